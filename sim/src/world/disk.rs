//! Recording disk: the memory disk of `wal`, which notes every write to the log.

use std::os::fd::BorrowedFd;

use wal::disk::{Disk, Event, Job, Lane, MemoryDisk};
use wal::files::MemoryFiles;
use wal::{Buffer, CoreDir};

/// Error numbers of a disk: it fails, and it is full.
pub(crate) const EIO: i32 = 5;
pub(crate) const ENOSPC: i32 = 28;

/// A write to the log.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub core: u16,
    pub path: String,
    pub offset: usize,
    pub bytes: Vec<u8>,
    /// The bytes that stood there.
    pub before: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct RecordingDisk {
    inner: MemoryDisk,
    files: MemoryFiles,
    core: u16,
    /// The directory of this core's files.
    dir: String,
    /// Given to the disk since this was last looked at.
    pub submitted: Vec<Frame>,
}

impl RecordingDisk {
    pub(crate) fn new(
        place: CoreDir<MemoryFiles>,
        files: MemoryFiles,
        epoch: u32,
        core: u16,
    ) -> RecordingDisk {
        let dir = format!("epoch-{epoch:010}/core-{core:05}");
        RecordingDisk { inner: MemoryDisk::new(place), files, core, dir, submitted: Vec::new() }
    }

    pub(crate) fn is_waiting(&self, lane: Lane) -> bool {
        self.inner.is_waiting(lane)
    }

    pub(crate) fn finish(&mut self, lane: Lane) -> bool {
        self.inner.finish(lane)
    }
}

impl Disk for RecordingDisk {
    fn write(&mut self, generation: u64, offset: u64, buffer: Buffer, len: usize) {
        let path = format!("{}/log-{generation:020}", self.dir);
        let at = usize::try_from(offset).expect("segments in memory are small");
        let before = self.files.peek(&path, at, len).expect("a log write goes to a segment that is there");
        let bytes = buffer[..len].to_vec();
        self.submitted.push(Frame { core: self.core, path, offset: at, bytes, before });
        self.inner.write(generation, offset, buffer, len);
    }

    fn start(&mut self, job: Job) {
        self.inner.start(job);
    }

    fn take(&mut self) -> Option<Event> {
        self.inner.take()
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        self.inner.wake_fd()
    }
}
