//! Blocking file operations, used at start and on the helper thread of a running log. A real file system and one in memory
//! implement the same trait, so that tests can crash between any two operations; `tests/conformance` runs one suite on both.
//!
//! Paths are relative to the data directory, with `/` between names; `""` is the data directory itself.

mod memory;
mod os;

use std::io;
use std::sync::LazyLock;
use std::time::Duration;

use crate::buffer::Buffer;
use crate::error::{During, OpenError};
use crate::limits::CHUNK_BYTES;

pub use memory::{MemoryFile, MemoryFiles, MemoryLock, Trouble, Unsynced};
pub use os::{OsFile, OsFiles};

/// A file system that holds one data directory.
pub trait Files: Clone + Send + Sync + 'static {
    /// An open file.
    type File: File;
    /// The lock on the directory, released when it is dropped.
    type Lock: Send + Sync + 'static;

    /// A file's name for messages; that of the directory itself for `""`.
    fn display(&self, path: &str) -> String;
    /// The names in a directory, sorted; `None` if there is no such directory.
    fn list(&self, dir: &str) -> io::Result<Option<Vec<String>>>;
    /// Makes one directory. It may be there.
    fn make_dir(&self, dir: &str) -> io::Result<()>;
    /// Opens for reading; `None` if there is no such file.
    fn open_read(&self, file: &str) -> io::Result<Option<Self::File>>;
    /// Opens for reading a file that another one writes: only what is asked for is read, nothing ahead of it, and none of it is kept. Read
    /// whole blocks into aligned memory.
    fn open_follow(&self, file: &str) -> io::Result<Option<Self::File>> {
        self.open_read(file)
    }
    /// Opens for reading and writing a file that is there.
    fn open_write(&self, file: &str) -> io::Result<Self::File>;
    /// Makes an empty file, in place of one that may be there.
    fn create(&self, file: &str) -> io::Result<Self::File>;
    /// Renames a file within its directory.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, file: &str) -> io::Result<()>;
    /// Removes an empty directory.
    fn remove_dir(&self, dir: &str) -> io::Result<()>;
    /// Makes changes to the names of a directory durable.
    fn sync_dir(&self, dir: &str) -> io::Result<()>;
    /// Makes everything in the file system durable, whoever wrote it.
    fn sync_all(&self) -> io::Result<()>;
    /// Locks a file, making it if it is absent and `exclusive` is asked for. `Err(holder)` inside: another one has it.
    fn lock(&self, file: &str, exclusive: bool) -> io::Result<Result<Self::Lock, String>>;
}

/// An open file.
pub trait File: Send {
    /// Length in bytes.
    fn size(&self) -> io::Result<u64>;
    /// Reads until `buf` is full or the file ends. Returns the number of bytes.
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `buf`.
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()>;
    /// Writes zeros over a range.
    fn fill(&self, from: u64, to: u64) -> io::Result<()>
    where
        Self: Sized,
    {
        fill_in_chunks(self, from, to)
    }
    /// Allocates the space for `bytes`, so that a full disk is noticed before they are written.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Makes contents and length durable.
    fn sync(&self) -> io::Result<()>;
    /// Waits until no write to this file is in flight any more, not even one of a dead process. `false` if one still is after
    /// `timeout`.
    fn wait_for_writes(&self, timeout: Duration) -> io::Result<bool>;
}

fn fill_in_chunks(file: &impl File, from: u64, to: u64) -> io::Result<()> {
    static ZEROS: LazyLock<Buffer> = LazyLock::new(|| Buffer::zeroed(CHUNK_BYTES));
    let mut at = from;
    while at < to {
        let length = (to - at).min(CHUNK_BYTES as u64);
        file.write_at(&ZEROS[..usize::try_from(length).expect("at most a chunk")], at)?;
        at += length;
    }
    Ok(())
}

/// Opens a file that its directory listed a moment ago, for reading: with its name for messages, and its size.
pub(crate) fn open_listed<F: Files>(files: &F, path: &str) -> Result<(F::File, String, u64), OpenError> {
    let name = files.display(path);
    let Some(file) = files.open_read(path).during("open", &name)? else {
        let reason = "it was in the directory a moment ago".to_owned();
        return Err(OpenError::Missing { file: name, reason });
    };
    let size = file.size().during("read", &name)?;
    Ok((file, name, size))
}

/// `dir/name`, or `name` alone within the data directory itself.
pub(crate) fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// The directory part of a path.
pub(crate) fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(dir, _)| dir)
}

/// True for errors that mean a full disk or an exhausted quota.
pub(crate) fn is_no_space(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
