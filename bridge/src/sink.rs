//! A sink: something that follows the log and keeps its own cursor.

use engine::ids::Time;
use engine::record::Record;
use engine::state::Slot;
use wal::follow::Cursor;

/// Records in the log order of each core, all of one life.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Batch {
    pub life: u64,
    pub records: Vec<Record>,
}

/// The beginning of a sink that has nothing yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// With a copy of the state.
    Copy,
    /// With the oldest record that is still in the log.
    OldestRecord,
}

/// A destination of what is followed. Everything that reaches it may reach it again; in effect it has it once.
///
/// After an error nothing but [`Sink::open`] is called.
pub trait Sink: Send {
    fn name(&self) -> &'static str;

    /// Its beginning. One that begins with the oldest record is told so by [`Sink::end_copy`] alone.
    fn start(&self) -> Start {
        Start::Copy
    }

    /// Opens, or opens again after an error: how far it is durable. `None` where it has nothing yet, or a copy that is not whole:
    /// it wants to [start](Sink::start).
    ///
    /// # Errors
    /// It cannot be opened now.
    fn open(&mut self) -> Result<Option<Cursor>, SinkError>;

    /// All that it ever had is made of the engine's state: where it has lost something, it is filled again without being asked.
    fn is_refilled(&self) -> bool {
        false
    }

    /// Looks whether it is still there and has what it had. Asked now and then while nothing is to be written.
    ///
    /// # Errors
    /// It is not, or has not.
    fn check(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    /// Something that is not right although it goes on.
    fn notice(&self) -> Option<String> {
        None
    }

    /// Throws away what it has, whatever state that is in: when it is opened next, it has nothing yet.
    ///
    /// # Errors
    /// It cannot be thrown away now.
    fn discard(&mut self) -> Result<(), SinkError>;

    /// Empties it for a copy of the state.
    ///
    /// # Errors
    /// It cannot be written now.
    fn begin_copy(&mut self) -> Result<(), SinkError>;

    /// Everything that the slot has.
    ///
    /// # Errors
    /// It cannot be written now.
    fn copy_slot(&mut self, slot: &Slot, life: u64) -> Result<(), SinkError>;

    /// The copy is whole. It is durable, with this cursor, when this returns.
    ///
    /// # Errors
    /// It cannot be written now.
    fn end_copy(&mut self, cursor: &Cursor) -> Result<(), SinkError>;

    /// Rows that its last copy kept aside: it had them, and the log has not, since a backup was restored.
    fn moved_aside(&self) -> &[MovedAside] {
        &[]
    }

    /// Lets go what it has kept for long enough, a little at a time; `now` is not later than the last record that it was given. True where there is
    /// more to do at once.
    ///
    /// # Errors
    /// It cannot be written now.
    fn tidy(&mut self, now: Time) -> Result<bool, SinkError> {
        let _ = now;
        Ok(false)
    }

    /// Both the records and the cursor behind them are durable when this returns `Ok`; neither where it returns an error, or both
    /// where the error is that the outcome is not known: `open` tells.
    ///
    /// # Errors
    /// It cannot be written now.
    fn write(&mut self, batch: &Batch, cursor: &Cursor) -> Result<(), SinkError>;
}

/// Rows that were kept aside, as they were.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MovedAside {
    /// The table that has them now.
    pub to: String,
    pub rows: u64,
}

/// Why a sink is down.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{text}")]
pub struct SinkError {
    pub trouble: Trouble,
    pub text: String,
}

impl SinkError {
    pub fn new(trouble: Trouble, text: impl Into<String>) -> SinkError {
        SinkError { trouble, text: text.into() }
    }
}

/// The trouble of a sink, by name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    Missing,
    Unreadable,
    /// A newer program made it.
    Newer,
    AnotherDirectory,
    AnotherLife,
    /// The engine has relied on more than it has.
    Behind,
    /// It has more than the log.
    Ahead,
    /// Somebody else writes to it.
    AnotherWriter,
    /// Somebody else has it locked.
    Busy,
    /// It refuses a row: of a shape that its tables do not take.
    Rejected,
    /// No space is left for it.
    Full,
    /// Any other error of it or of what is below it.
    Failed,
    /// Its source is down.
    Source,
    /// It was told to stop. Nothing is wrong.
    Stopped,
}

impl Trouble {
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            Trouble::Missing => "missing",
            Trouble::Unreadable => "unreadable",
            Trouble::Newer => "newer",
            Trouble::AnotherDirectory => "another_directory",
            Trouble::AnotherLife => "another_life",
            Trouble::Behind => "behind",
            Trouble::Ahead => "ahead",
            Trouble::AnotherWriter => "another_writer",
            Trouble::Busy => "busy",
            Trouble::Rejected => "rejected",
            Trouble::Full => "full",
            Trouble::Failed => "failed",
            Trouble::Source => "source",
            Trouble::Stopped => "stopped",
        }
    }
}
