//! Following a log: the records of a directory that others have open, up to what is durable.
//!
//! A [`Follower`] reads behind a [`Cursor`], core by core. Whoever writes says how far his log is durable ([`Reach`]); nothing behind that
//! is ever read, so nothing that a crash could take back is ever passed on. Within the reach every frame must be sound and follow the
//! one before it: what is not there has been recycled ([`FollowError::Gone`]) or is damage. The end of a log is never searched for.

mod cursor;
mod earliest;
mod follower;
pub(crate) mod state;
mod stream;

use thiserror::Error;

use crate::error::OpenError;
use crate::types::Lsn;

pub use cursor::Cursor;
pub use earliest::{Stopped, earliest};
pub use follower::{Followed, Follower};
pub use state::read_snapshot;

/// The reach of a core's log, up to where it is durable: the last record, and a place that its frame does not reach beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The last record.
    pub lsn: Lsn,
    /// The segment of the last durable frame.
    pub generation: u64,
    /// The end of that frame in its segment.
    pub offset: u64,
}

impl Reach {
    /// A log without a record.
    pub const NOTHING: Reach = Reach { lsn: Lsn::NONE, generation: 0, offset: 0 };

    /// A log that nobody writes any more, up to a record of it.
    pub const fn of_closed(lsn: Lsn) -> Reach {
        Reach { lsn, generation: u64::MAX, offset: 0 }
    }
}

/// A log cannot be followed.
#[derive(Debug, Error)]
pub enum FollowError {
    /// A record is not in the log any more: its segment was recycled.
    #[error("record {missing} of core {core} is not in the log any more")]
    Gone {
        /// The core.
        core: u16,
        /// The first record that is missing.
        missing: Lsn,
    },
    /// An epoch is not there any more.
    #[error("epoch {epoch} is not in the directory any more")]
    EpochGone {
        /// The epoch.
        epoch: u32,
    },
    /// The cursor is of another directory.
    #[error("the place is of another data directory")]
    OtherDirectory,
    /// The cursor is of another life: of before a restore, or after it.
    #[error("the place is of another life of this data directory")]
    OtherLife,
    /// The cursor is in an epoch that the directory has not come to.
    #[error("the place is in epoch {epoch}, the directory is in epoch {newest}")]
    Ahead {
        /// The cursor's epoch.
        epoch: u32,
        /// The directory's.
        newest: u32,
    },
    /// The cursor has another number of cores than its epoch.
    #[error("the place has another number of cores than epoch {epoch}")]
    OtherCores {
        /// The epoch.
        epoch: u32,
    },
    /// A later version wrote it.
    #[error("{file} has frames of version {version}")]
    Newer {
        /// The file.
        file: String,
        /// The version.
        version: u16,
    },
    /// Bytes that are not what was written.
    #[error("{file} is damaged at byte {offset}: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// Byte offset in it.
        offset: u64,
        /// The defect.
        reason: String,
    },
    /// A file cannot be read, or the origin of an epoch is not sound.
    #[error(transparent)]
    Unreadable(#[from] OpenError),
}
