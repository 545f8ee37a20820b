//! Asynchronous disks for a running log: operations are submitted and completed, never waited for.
//!
//! There are two lanes. Log writes go one at a time: at most one is in flight. Everything else (making, recycling and removing
//! segments, the snapshot file) is a [`Job`], rare and slow; jobs run one after the other on the driver's helper thread.
//!
//! Drivers, one file each: `uring` (io_uring for the log writes), `plain` (a thread for them, where io_uring is not permitted),
//! `memory` (deterministic, for tests and the simulator). `tests/conformance` runs one suite against all of them.

mod choose;
mod driver;
pub(crate) mod jobs;
mod memory;
mod plain;
mod thread;
mod uring;
mod wake;

use std::os::fd::BorrowedFd;

pub use choose::{Choice, Kind, Preference, choose};
pub use driver::Driver;
pub use memory::{Lane, MemoryDisk};

use crate::buffer::Buffer;
use crate::error::DiskError;

/// An asynchronous disk for the files of one core. Nothing here blocks.
pub trait Disk {
    /// Starts writing the first `len` bytes of `buffer` (whole blocks) at `offset` of a segment that a job has opened. At
    /// most one write is in flight. It is complete when the bytes are durable.
    fn write(&mut self, generation: u64, offset: u64, buffer: Buffer, len: usize);
    /// Queues a job behind those already queued.
    fn start(&mut self, job: Job);
    /// Takes one completion, if there is one.
    fn take(&mut self) -> Option<Event>;
    /// Becomes readable when there may be a completion. It is an eventfd: the one who waits reads it; the driver only
    /// writes. `None` for a disk in memory.
    fn wake_fd(&self) -> Option<BorrowedFd<'_>>;
}

/// A rare and slow operation. Each has several steps, ordered so that a crash between any two of them is harmless.
#[derive(Debug, PartialEq, Eq)]
pub enum Job {
    /// Opens a segment that is there for log writes.
    OpenSegment {
        /// Its generation.
        generation: u64,
    },
    /// Writes a segment of zeros under a temporary name, syncs, renames, syncs the directory, opens.
    CreateSegment {
        /// Its generation.
        generation: u64,
        /// Its size.
        bytes: u64,
    },
    /// Renames an old segment to a new generation, syncs the directory, opens.
    RecycleSegment {
        /// The old generation, which nothing needs any more. A write to a later segment has closed it.
        from: u64,
        /// The new generation.
        to: u64,
    },
    /// Removes an old segment, syncs the directory.
    RemoveSegment {
        /// Its generation.
        generation: u64,
    },
    /// Writes and syncs a part of the snapshot file under its temporary name; the part at 0 makes the file.
    WriteSnapshot {
        /// Offset of the part in the file.
        offset: u64,
        /// The part's bytes.
        bytes: Vec<u8>,
    },
    /// Gives the snapshot its name, syncs the directory.
    PublishSnapshot {
        /// Its number.
        number: u64,
    },
    /// Removes an older snapshot, syncs the directory.
    RemoveSnapshot {
        /// Its number.
        number: u64,
    },
}

impl Job {
    /// The segment that is open for log writes once the job is done.
    pub(crate) fn opens(&self) -> Option<u64> {
        match *self {
            Job::OpenSegment { generation }
            | Job::CreateSegment { generation, .. }
            | Job::RecycleSegment { to: generation, .. } => Some(generation),
            _ => None,
        }
    }
}

/// A job that was not done.
#[derive(Debug, Clone)]
pub enum JobError {
    /// No space left. Nothing has changed: temporary files are removed again.
    NoSpace(DiskError),
    /// The snapshot's temporary file could not be written, and was removed again. Nothing else has changed.
    Abandoned(DiskError),
    /// Anything else.
    Fatal(DiskError),
}

/// A completion.
#[derive(Debug)]
pub enum Event {
    /// The log write is durable, or has failed. Its buffer comes back.
    Written {
        /// As given to [`Disk::write`].
        buffer: Buffer,
        /// `Ok` if it is durable.
        result: Result<(), DiskError>,
    },
    /// The oldest queued job is done, or has failed.
    Done(Result<(), JobError>),
}
