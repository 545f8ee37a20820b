//! Operating errors. A bug is an assertion, not an error.

use std::io;
use std::sync::Arc;

use thiserror::Error;

/// A data directory cannot be opened, recovered or changed. Each error names the file and the place in it. Nothing is retried or
/// repaired behind the operator's back.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The directory holds something else.
    #[error("{path} is not a data directory and is not empty: it holds {found:?}; nothing was changed")]
    Foreign {
        /// The directory.
        path: String,
        /// One of the names found in it.
        found: String,
    },
    /// Something is to be made in an empty directory, and this one is not.
    #[error("{path} is not empty: it holds {found:?}; nothing was changed")]
    NotEmpty {
        /// The directory.
        path: String,
        /// One of the names found in it.
        found: String,
    },
    /// The directory is a backup.
    #[error("{path} is a backup, from which nobody sells: restore it to another directory")]
    IsBackup {
        /// The directory.
        path: String,
    },
    /// Another process has it open.
    #[error("{path} is in use by another process ({holder})")]
    Locked {
        /// The directory, or the file within.
        path: String,
        /// The other process, as the lock file names it.
        holder: String,
    },
    /// A later version wrote it.
    #[error(
        "{file} has format version {version}, this program reads {supported}: use the program that wrote it, or a later one"
    )]
    Newer {
        /// The file.
        file: String,
        /// Its version.
        version: u16,
        /// The latest version that is known here.
        supported: u16,
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
    /// A file that must be there is absent.
    #[error("{file} is missing: {reason}")]
    Missing {
        /// The file.
        file: String,
        /// The reason that it must be there.
        reason: String,
    },
    /// The system refused an operation: the file may be sound, but that cannot be known.
    #[error("cannot {op} {file}: {source}")]
    Io {
        /// The operation, as a verb.
        op: &'static str,
        /// The file.
        file: String,
        /// The system's error.
        source: io::Error,
    },
    /// The caller's [`crate::Recover`] did not take a record or an image.
    #[error("{file}: {what} at byte {offset} was refused: {reason}")]
    Refused {
        /// The file.
        file: String,
        /// Offset of the frame or the slot section.
        offset: u64,
        /// The record or the slot.
        what: String,
        /// The caller's reason.
        reason: String,
    },
    /// An option is out of its range.
    #[error("{reason}")]
    Options {
        /// The option and its range.
        reason: String,
    },
}

/// Gives a system error its operation and its file.
pub(crate) trait During<T> {
    fn during(self, op: &'static str, file: &str) -> Result<T, OpenError>;
}

impl<T> During<T> for io::Result<T> {
    fn during(self, op: &'static str, file: &str) -> Result<T, OpenError> {
        self.map_err(|source| OpenError::Io { op, file: file.to_owned(), source })
    }
}

impl OpenError {
    pub(crate) fn damaged(file: &str, offset: u64, reason: impl Into<String>) -> OpenError {
        OpenError::Damaged { file: file.to_owned(), offset, reason: reason.into() }
    }
}

/// A write, a sync or a directory change that failed while the log was running. Fatal: nobody knows what the disk holds until
/// the next start reads it.
#[derive(Debug, Clone, Error)]
#[error("cannot {op} {file}: {source}")]
pub struct DiskError {
    /// The operation, as a verb.
    pub op: &'static str,
    /// The file.
    pub file: String,
    /// The system's error.
    pub source: Arc<io::Error>,
}

impl DiskError {
    /// Wraps an error of the system.
    pub fn new(op: &'static str, file: impl Into<String>, source: io::Error) -> DiskError {
        DiskError { op, file: file.into(), source: Arc::new(source) }
    }
}
