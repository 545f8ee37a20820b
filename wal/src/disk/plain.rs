//! Log writes by a thread with pwrite, for where io_uring is not permitted. The segments are open with O_DSYNC, and with
//! O_DIRECT where the file system has it.

use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use super::thread::{Helper, OpenSegments, TaskPoll, TaskThread, dead};
use super::wake::WakeFd;
use super::{Disk, Event, Job};
use crate::buffer::Buffer;
use crate::core_dir::CoreDir;
use crate::error::DiskError;
use crate::files::OsFiles;
use crate::names;

/// The driver.
#[derive(Debug)]
pub(crate) struct Plain {
    segments: OpenSegments,
    helper: Helper,
    writer: TaskThread<Write, Written>,
    wake: WakeFd,
    /// The segment being written. The thread has its own descriptor of it, which shares the lock.
    generation: u64,
    failed: Option<DiskError>,
}

#[derive(Debug)]
struct Write {
    /// Given with the first write to a segment.
    file: Option<OwnedFd>,
    generation: u64,
    offset: u64,
    buffer: Buffer,
    len: usize,
}

type Written = (Buffer, Result<(), DiskError>);

impl Plain {
    pub(crate) fn new(core: CoreDir<OsFiles>, direct: bool) -> io::Result<Plain> {
        let wake = WakeFd::new()?;
        let helper = Helper::spawn(core, direct, wake.clone())?;
        let mut file = None;
        let work = move |mut task: Write| {
            if let Some(next) = task.file.take() {
                file = Some(fs::File::from(next));
            }
            let file = file.as_ref().expect("the first write to a segment brings its file");
            let written = write_once(file, &task.buffer[..task.len], task.offset);
            let result =
                written.map_err(|error| DiskError::new("write", names::segment(task.generation), error));
            (task.buffer, result)
        };
        let writer = TaskThread::spawn("wal-writer".to_owned(), wake.clone(), work)?;
        Ok(Plain { segments: OpenSegments::default(), helper, writer, wake, generation: 0, failed: None })
    }
}

impl Disk for Plain {
    fn write(&mut self, generation: u64, offset: u64, buffer: Buffer, len: usize) {
        let file = self.segments.writing(generation).expect("the segment was opened by a job");
        let mut task = Write { file: None, generation, offset, buffer, len };
        if self.generation != generation {
            match file.try_clone_to_owned() {
                Ok(file) => task.file = Some(file),
                Err(error) => {
                    self.failed = Some(DiskError::new("open", names::segment(generation), error));
                    self.wake.signal();
                    return;
                }
            }
            self.generation = generation;
        }
        self.writer.start(task);
    }

    fn start(&mut self, job: Job) {
        self.helper.start(job);
    }

    fn take(&mut self) -> Option<Event> {
        if let Some(error) = self.failed.take() {
            return Some(Event::Written { buffer: Buffer::zeroed(0), result: Err(error) });
        }
        match self.writer.take() {
            TaskPoll::Ready((buffer, result)) => Some(Event::Written { buffer, result }),
            TaskPoll::Dead => {
                Some(Event::Written { buffer: Buffer::zeroed(0), result: Err(dead("wal-writer")) })
            }
            TaskPoll::Pending => self.helper.take(&mut self.segments),
        }
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.wake.fd())
    }
}

/// One write. What it leaves over is not tried again: nothing says what the rest would do.
fn write_once(file: &fs::File, bytes: &[u8], offset: u64) -> io::Result<()> {
    loop {
        match file.write_at(bytes, offset) {
            Ok(written) if written == bytes.len() => return Ok(()),
            Ok(written) => {
                return Err(io::Error::other(format!("{written} of {} bytes written", bytes.len())));
            }
            // Interrupted before anything was written.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, SealFlags};

    use super::*;

    #[test]
    fn a_write_that_is_not_done_is_an_error() {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("every Linux has it");
        let error = write_once(&full, b"x", 0).expect_err("it is full");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_write_that_is_half_done_is_an_error() {
        // A file that cannot grow takes the part of a write that it has room for.
        let file = rustix::fs::memfd_create("short", MemfdFlags::ALLOW_SEALING).expect("a file in memory");
        rustix::fs::ftruncate(&file, 4096).expect("its size");
        rustix::fs::fcntl_add_seals(&file, SealFlags::GROW).expect("it shall not grow");
        let file = fs::File::from(file);
        let error = write_once(&file, &[1; 8192], 0).expect_err("there is room for half of it");
        assert_eq!(error.to_string(), "4096 of 8192 bytes written");
        write_once(&file, &[1; 4096], 0).expect("there is room for this");
    }
}
