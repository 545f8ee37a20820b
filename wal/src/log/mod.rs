//! The log of one core while it runs.

use crate::disk::Disk;
use crate::error::DiskError;
use crate::types::{Lsn, Millis};

/// How much room a log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Nothing fits: take nothing that would append.
    Exhausted,
    /// Only the reserve is left: no new sales; payments, releases, expiry and messages go on.
    Reserve,
    /// Enough.
    Plenty,
}

/// Where the snapshot under way stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotState {
    /// None is under way. It comes to this as well when one is abandoned: a caller in the middle of one starts over when
    /// the next one is due.
    Idle,
    /// Between begin and end.
    Open {
        /// Bytes that wait for the disk. Add slots while it is below [`crate::limits::SNAPSHOT_BUFFER_BYTES_MAX`].
        buffered_bytes: usize,
    },
    /// After the end: being written, or waiting for the log to be durable up to it.
    Finishing,
}

/// Counts since start, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames written, closing ones included.
    pub frames: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Segments made of zeros.
    pub segments_created: u64,
    /// Segments recycled.
    pub segments_recycled: u64,
    /// Segments removed.
    pub segments_removed: u64,
    /// Times that a segment could not be made because the disk was full.
    pub segments_refused: u64,
    /// Snapshots that came to count.
    pub snapshots: u64,
    /// Snapshots that were given up.
    pub snapshots_abandoned: u64,
}

/// The log of one core: records in, frames out, durable up to a number.
///
/// Getters: [`appended`](Log::appended), [`durable`](Log::durable), [`backlog_bytes`](Log::backlog_bytes),
/// [`space`](Log::space), [`is_quiet`](Log::is_quiet), [`next_wake`](Log::next_wake). Input: [`append`](Log::append),
/// [`end_command`](Log::end_command), the `snapshot_*` calls, [`keep_from`](Log::keep_from). [`poll`](Log::poll) alone
/// talks to the disk.
#[derive(Debug)]
pub struct Log<D: Disk> {
    disk: D,
}

impl<D: Disk> Log<D> {
    /// Adds a record to the open batch and numbers it. It is not durable before [`durable`](Log::durable) says so.
    ///
    /// # Panics
    /// When the records of the open command exceed [`crate::limits::COMMAND_BYTES_MAX`], or the backlog exceeds
    /// [`crate::limits::BACKLOG_BYTES_HARD`]: bugs of a caller which did not look at
    /// [`backlog_bytes`](Log::backlog_bytes) and [`space`](Log::space).
    pub fn append(&mut self, record: &[u8]) -> Lsn {
        unimplemented!("{record:?}")
    }

    /// The records appended since the last call belong together: a crash keeps all of them or none.
    pub fn end_command(&mut self) {
        unimplemented!()
    }

    /// Takes completions, starts the next write if none is in flight, prepares spare segments, feeds the snapshot file,
    /// prunes. Never blocks.
    ///
    /// # Errors
    /// Fatal: the caller stops answering and exits. The same error is given ever after.
    ///
    /// # Panics
    /// When a command is open, a bug.
    pub fn poll(&mut self, now: Millis) -> Result<(), DiskError> {
        unimplemented!("{now:?}")
    }

    /// When to poll at the latest, even if no completion comes.
    pub fn next_wake(&self) -> Option<Millis> {
        unimplemented!()
    }

    /// The last record appended.
    pub fn appended(&self) -> Lsn {
        unimplemented!()
    }

    /// The last record that is on the disk, with all before it.
    pub fn durable(&self) -> Lsn {
        unimplemented!()
    }

    /// Bytes appended and not yet durable. From [`crate::limits::BACKLOG_BYTES_MAX`] on, take no new work.
    pub fn backlog_bytes(&self) -> usize {
        unimplemented!()
    }

    /// How much room there is, what waits in memory taken off.
    pub fn space(&self) -> Space {
        unimplemented!()
    }

    /// Whether nothing is in flight, the batch is empty and the closing frame is written (or no room is left for it): the
    /// time to stop, with no snapshot under way.
    pub fn is_quiet(&self) -> bool {
        unimplemented!()
    }

    /// Whether to begin a snapshot: the log has grown by the option since the last one, or segments run out and a snapshot
    /// would free some.
    pub fn snapshot_due(&self) -> bool {
        unimplemented!()
    }

    /// Begins a snapshot.
    ///
    /// # Panics
    /// When one is under way, a bug.
    pub fn snapshot_begin(&mut self) {
        unimplemented!()
    }

    /// Adds the image of one slot, which holds all records up to [`appended`](Log::appended) at this moment. Every slot that
    /// the core owns is added once, an empty one with what stands for empty. Ignored when the snapshot has been abandoned.
    ///
    /// # Panics
    /// When the slot is none of the directory's, was added before, or its image exceeds
    /// [`crate::limits::SLOT_IMAGE_BYTES_MAX`].
    pub fn snapshot_slot(&mut self, slot: u16, image: &[u8]) {
        unimplemented!("{slot} {image:?}")
    }

    /// Ends the snapshot. It counts once it is written, synced and named, and the log durable up to it; then older segments
    /// that nobody needs are recycled. Ignored when the snapshot has been abandoned.
    pub fn snapshot_end(&mut self) {
        unimplemented!()
    }

    /// Where the snapshot under way stands.
    pub fn snapshot_state(&self) -> SnapshotState {
        unimplemented!()
    }

    /// Keeps the log from this record on even when a snapshot has passed it. [`Lsn::MAX`], which it is at first, keeps
    /// nothing beyond the snapshot; `Lsn(1)` keeps all that is there.
    pub fn keep_from(&mut self, lsn: Lsn) {
        unimplemented!("{lsn}")
    }

    /// Counts since start.
    pub fn stats(&self) -> Stats {
        unimplemented!()
    }

    /// The disk, for the one who waits for it.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The disk, for tests that drive it.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }
}
