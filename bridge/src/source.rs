//! The source of sinks: the log and the state behind it.

use std::time::Duration;

use engine::ids::Time;
use engine::state::Slot;
use wal::follow::Cursor;

use crate::sink::{Batch, SinkError, Trouble};

/// The log of a data directory, up to what is durable.
pub trait Source: Send {
    /// Refuses a sink that must not be followed into from there ([`judge`]): of another directory, ahead of the log. `None`: the sink
    /// has nothing, and is about to be emptied for a copy of the state.
    ///
    /// # Errors
    /// Why it is refused, by name.
    fn admit(&mut self, at: Option<&Cursor>) -> Result<(), SinkError>;

    /// The next part behind `at`.
    ///
    /// # Errors
    /// The log cannot be read there now.
    fn follow(&mut self, at: &Cursor, bytes_max: usize) -> Result<Followed, SourceError>;

    /// Gives all slots as of some moment, one after another, each with its life, then the cursor to follow from: at or before each
    /// slot's own position.
    ///
    /// # Errors
    /// The state cannot be read now, or `each` refused.
    fn copy(&mut self, each: &mut dyn FnMut(Slot, u64) -> Result<(), SinkError>)
    -> Result<Cursor, SinkError>;

    /// The place before the oldest record that is still there.
    ///
    /// # Errors
    /// The log cannot be read now.
    fn oldest(&mut self) -> Result<Cursor, SourceError>;

    /// Records that are durable behind `at`, as far as that is known without looking. 0 where the end is reached.
    fn backlog(&mut self, at: &Cursor) -> u64;

    /// Waits until there may be more, at most so long.
    fn wait(&mut self, timeout: Duration);
}

/// The next part of a log.
#[derive(Clone, PartialEq, Debug)]
pub struct Followed {
    /// Of one life. May be empty although the cursor moved: records that no sink wants are passed over.
    pub batch: Batch,
    /// Behind the batch and what was passed over. The same as before where nothing new is durable.
    pub cursor: Cursor,
    /// The time of the last record up to the cursor, passed over or not; `None` where the cursor did not move.
    pub last_time: Option<Time>,
}

/// The log cannot be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

impl From<SourceError> for SinkError {
    fn from(error: SourceError) -> SinkError {
        SinkError::new(Trouble::Source, error.0)
    }
}

/// Judges whether a sink with this cursor can be followed into, where the log is durable up to `durable`, and the engine has forgotten and
/// pruned on the word that the sink had everything up to `relied_on`.
///
/// # Errors
/// Its trouble, by name.
pub fn judge(at: Option<&Cursor>, durable: &Cursor, relied_on: Option<&Cursor>) -> Result<(), SinkError> {
    let refuse = |trouble, text: &str| Err(SinkError::new(trouble, text));
    let Some(at) = at else {
        return match relied_on {
            Some(_) => refuse(Trouble::Behind, "it is empty, and what it had is no longer in the engine"),
            None => Ok(()),
        };
    };
    if at.directory != durable.directory {
        return refuse(Trouble::AnotherDirectory, "it belongs to another data directory");
    }
    if at.life != durable.life {
        return refuse(Trouble::AnotherLife, "it belongs to another life of the data directory");
    }
    let is_beyond = |a: &Cursor, b: &Cursor| {
        a.epoch > b.epoch || (a.epoch == b.epoch && a.cores.iter().zip(&b.cores).any(|(a, b)| a > b))
    };
    for other in relied_on.into_iter().chain([durable]) {
        if at.epoch == other.epoch && at.cores.len() != other.cores.len() {
            return refuse(Trouble::Unreadable, "its cursor has another number of cores than its epoch");
        }
    }
    if is_beyond(at, durable) {
        return refuse(Trouble::Ahead, "it has more than the log");
    }
    if relied_on.is_some_and(|relied_on| is_beyond(relied_on, at)) {
        return refuse(Trouble::Behind, "it has less than the engine has relied on");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wal::Lsn;

    use super::*;

    fn cursor(life: u64, epoch: u32, cores: &[u64]) -> Cursor {
        Cursor { directory: [1; 16], life, epoch, cores: cores.iter().map(|lsn| Lsn(*lsn)).collect() }
    }

    #[test]
    fn cursors_are_judged() {
        let durable = cursor(7, 3, &[10, 20]);
        let check = |at: Option<Cursor>, relied_on: Option<Cursor>, expected: Option<Trouble>| {
            let judged = judge(at.as_ref(), &durable, relied_on.as_ref());
            assert_eq!(judged.err().map(|error| error.trouble), expected, "{at:?} {relied_on:?}");
        };
        check(None, None, None);
        check(None, Some(cursor(7, 1, &[0])), Some(Trouble::Behind));
        check(Some(durable.clone()), None, None);
        check(Some(durable.clone()), Some(durable.clone()), None);
        check(Some(cursor(7, 3, &[0, 0])), None, None);
        check(Some(cursor(7, 2, &[99, 99, 99])), None, None);
        check(Some(Cursor { directory: [2; 16], ..durable.clone() }), None, Some(Trouble::AnotherDirectory));
        check(Some(cursor(8, 3, &[10, 20])), None, Some(Trouble::AnotherLife));
        check(Some(cursor(7, 4, &[0, 0])), None, Some(Trouble::Ahead));
        check(Some(cursor(7, 3, &[11, 20])), None, Some(Trouble::Ahead));
        check(Some(cursor(7, 3, &[10, 21])), None, Some(Trouble::Ahead));
        check(Some(cursor(7, 3, &[9, 20])), Some(cursor(7, 3, &[9, 20])), None);
        check(Some(cursor(7, 3, &[9, 20])), Some(cursor(7, 3, &[10, 1])), Some(Trouble::Behind));
        check(Some(cursor(7, 2, &[99])), Some(cursor(7, 3, &[0, 0])), Some(Trouble::Behind));
        check(Some(cursor(7, 3, &[0, 0])), Some(cursor(7, 2, &[99])), None);
        check(Some(cursor(7, 3, &[10])), None, Some(Trouble::Unreadable));
        check(Some(cursor(7, 2, &[1])), Some(cursor(7, 2, &[1, 1])), Some(Trouble::Unreadable));
    }
}
