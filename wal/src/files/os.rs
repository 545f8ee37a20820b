//! The real file system.

use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, FallocateFlags, FlockOperation, OFlags};

use super::{File, Files, fill_in_chunks};

/// A directory of the real file system.
#[derive(Debug, Clone)]
pub struct OsFiles {
    root: Arc<PathBuf>,
}

/// An open file of the real file system.
#[derive(Debug)]
pub struct OsFile(fs::File);

impl OsFiles {
    /// The directory at `path`, which may be absent.
    pub fn new(path: impl AsRef<Path>) -> io::Result<OsFiles> {
        Ok(OsFiles { root: Arc::new(std::path::absolute(path)?) })
    }

    fn path(&self, path: &str) -> PathBuf {
        if path.is_empty() { self.root.as_path().to_owned() } else { self.root.join(path) }
    }

    /// Opens a segment for log writes, each durable when it is complete. It stays locked while the file is open or a write to it is
    /// in flight, which can be longer than the process lives: see [`File::wait_for_writes`].
    pub(crate) fn open_durable(&self, file: &str, direct: bool) -> io::Result<OwnedFd> {
        let flags = if direct { OFlags::DSYNC | OFlags::DIRECT } else { OFlags::DSYNC };
        let flags = flags.bits().cast_signed();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(self.path(file))?;
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(file.into())
    }
}

impl Files for OsFiles {
    type File = OsFile;
    type Lock = Option<OwnedFd>;

    fn display(&self, path: &str) -> String {
        self.path(path).display().to_string()
    }

    fn list(&self, dir: &str) -> io::Result<Option<Vec<String>>> {
        let entries = match fs::read_dir(self.path(dir)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let name =
            |entry: io::Result<fs::DirEntry>| Ok(OsStr::to_string_lossy(&entry?.file_name()).into_owned());
        let mut names = entries.map(name).collect::<io::Result<Vec<_>>>()?;
        names.sort_unstable();
        Ok(Some(names))
    }

    fn make_dir(&self, dir: &str) -> io::Result<()> {
        let path = self.path(dir);
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
            // Nobody else makes the name of the data directory itself durable.
            Ok(()) if dir.is_empty() => match path.parent() {
                Some(parent) => fs::File::open(parent)?.sync_all(),
                None => Ok(()),
            },
            Ok(()) => Ok(()),
        }
    }

    fn open_read(&self, file: &str) -> io::Result<Option<OsFile>> {
        match fs::File::open(self.path(file)) {
            Ok(file) => {
                // Read the disk and not the page cache: pages of a failed write-back stay there without being on the disk. Best
                // effort, because not every file system takes this advice.
                let _ = rustix::fs::fadvise(&file, 0, None, Advice::DontNeed);
                Ok(Some(OsFile(file)))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Past the page cache where the file system allows it, as the writer goes. What is read ahead would be the place that is written next.
    fn open_follow(&self, file: &str) -> io::Result<Option<OsFile>> {
        let flags = OFlags::DIRECT.bits().cast_signed();
        match OpenOptions::new().read(true).custom_flags(flags).open(self.path(file)) {
            Ok(file) => return Ok(Some(OsFile(file))),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) if error.kind() == ErrorKind::InvalidInput => {}
            Err(error) => return Err(error),
        }
        let opened = self.open_read(file)?;
        if let Some(OsFile(file)) = &opened {
            let _ = rustix::fs::fadvise(file, 0, None, Advice::Random);
        }
        Ok(opened)
    }

    fn open_write(&self, file: &str) -> io::Result<OsFile> {
        OpenOptions::new().read(true).write(true).open(self.path(file)).map(OsFile)
    }

    fn create(&self, file: &str) -> io::Result<OsFile> {
        let path = self.path(file);
        OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).map(OsFile)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        fs::remove_file(self.path(file))
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        fs::remove_dir(self.path(dir))
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        fs::File::open(self.path(dir))?.sync_all()
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(fs::File::open(self.path(""))?)?)
    }

    fn lock(&self, file: &str, exclusive: bool) -> io::Result<Result<Option<OwnedFd>, String>> {
        let path = self.path(file);
        let opened = if exclusive {
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)
        } else {
            fs::File::open(&path)
        };
        let file = match opened {
            Ok(file) => file,
            // Without a lock file nobody can have locked it, and a reader makes none.
            Err(error) if error.kind() == ErrorKind::NotFound && !exclusive => return Ok(Ok(None)),
            Err(error) => return Err(error),
        };
        let operation = if exclusive {
            FlockOperation::NonBlockingLockExclusive
        } else {
            FlockOperation::NonBlockingLockShared
        };
        match rustix::fs::flock(&file, operation) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut holder = [0; 64];
                let length = file.read_at(&mut holder, 0)?;
                return Ok(Err(String::from_utf8_lossy(&holder[..length]).trim().to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
        if exclusive {
            file.set_len(0)?;
            file.write_all_at(format!("process {}\n", std::process::id()).as_bytes(), 0)?;
        }
        Ok(Ok(Some(file.into())))
    }
}

impl File for OsFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buf.len() {
            match self.0.read_at(&mut buf[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(buf, offset)
    }

    /// Bypasses the page cache, which would only hold a copy of the zeros, unless the file system has no direct writes.
    fn fill(&self, from: u64, to: u64) -> io::Result<()> {
        let flags = rustix::fs::fcntl_getfl(&self.0)?;
        if rustix::fs::fcntl_setfl(&self.0, flags | OFlags::DIRECT).is_ok() {
            let filled = fill_in_chunks(self, from, to);
            rustix::fs::fcntl_setfl(&self.0, flags)?;
            if !filled.as_ref().is_err_and(|error| error.kind() == ErrorKind::InvalidInput) {
                return filled;
            }
        }
        fill_in_chunks(self, from, to)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            // Then the writes that follow find out.
            Err(rustix::io::Errno::OPNOTSUPP) => Ok(()),
            result => Ok(result?),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_all()?;
        // Not read again soon: free the page cache, which also leaves direct writes nothing to invalidate.
        let _ = rustix::fs::fadvise(&self.0, 0, None, Advice::DontNeed);
        Ok(())
    }

    fn wait_for_writes(&self, timeout: Duration) -> io::Result<bool> {
        // A write in flight holds the description it was submitted through, and that holds its lock.
        let begin = Instant::now();
        loop {
            match rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockShared) {
                Ok(()) => {
                    rustix::fs::flock(&self.0, FlockOperation::Unlock)?;
                    return Ok(true);
                }
                Err(rustix::io::Errno::WOULDBLOCK) if begin.elapsed() < timeout => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
                // No locks here, so none were taken either.
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => return Ok(true),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::limits::{BLOCK_BYTES, CHUNK_BYTES};

    use super::*;

    #[test]
    fn a_segment_is_opened_for_writes_that_are_durable_when_they_are_complete() {
        let temp = tempfile::tempdir().expect("a directory");
        let files = OsFiles::new(temp.path()).expect("it is there");
        files.create("segment").expect("a file");
        for direct in [false, true] {
            let file = match files.open_durable("segment", direct) {
                Err(error) if direct => {
                    eprintln!("not tried: no direct writes here ({error})");
                    continue;
                }
                opened => opened.expect("it is there, and not locked"),
            };
            let flags = rustix::fs::fcntl_getfl(&file).expect("the flags of an open file");
            assert!(flags.contains(OFlags::DSYNC), "{flags:?}");
            assert_eq!(flags.contains(OFlags::DIRECT), direct, "{flags:?}");
        }
    }

    #[test]
    fn a_file_is_settled_when_nobody_writes_to_it() {
        let temp = tempfile::tempdir().expect("a directory");
        let files = OsFiles::new(temp.path()).expect("it is there");
        let file = files.create("segment").expect("a file");
        assert!(file.wait_for_writes(Duration::ZERO).expect("an answer"));
        let writer = files.open_durable("segment", false).expect("nobody else writes");
        assert!(files.open_durable("segment", false).is_err(), "one writes at a time");
        // A lock that is held is waited for, at least as long as was asked for.
        let (begin, wait) = (Instant::now(), Duration::from_millis(30));
        assert!(!file.wait_for_writes(wait).expect("an answer"));
        assert!(begin.elapsed() >= wait, "given up after {:?}", begin.elapsed());
        drop(writer);
        assert!(file.wait_for_writes(Duration::ZERO).expect("an answer"));
        // The question itself holds nothing.
        files.open_durable("segment", false).expect("nobody else writes");
    }

    #[test]
    fn zeros_fill_any_range_and_nothing_beside_it() {
        let temp = tempfile::tempdir().expect("a directory");
        let files = OsFiles::new(temp.path()).expect("it is there");
        let bytes = 2 * CHUNK_BYTES + 3 * BLOCK_BYTES;
        // In blocks, as the disk takes it, and not.
        for (from, to) in [(BLOCK_BYTES, bytes - BLOCK_BYTES), (1, bytes - 1), (0, 0), (5, 6)] {
            let file = files.create("segment").expect("a file");
            file.write_at(&vec![1; bytes], 0).expect("room");
            file.fill(from as u64, to as u64).expect("room");
            let mut read = vec![2; bytes];
            assert_eq!(file.read_at(&mut read, 0).expect("its bytes"), bytes);
            let zeros = |range: &[u8]| range.iter().all(|byte| *byte == 0);
            let ones = |range: &[u8]| range.iter().all(|byte| *byte == 1);
            assert!(ones(&read[..from]) && zeros(&read[from..to]) && ones(&read[to..]), "{from}..{to}");
            let flags = rustix::fs::fcntl_getfl(&file.0).expect("the flags of an open file");
            assert!(!flags.contains(OFlags::DIRECT), "{from}..{to}: {flags:?}");
        }
    }
}
