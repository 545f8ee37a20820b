//! Log writes through a small io_uring of the core's own. The segments are open with O_DIRECT and O_DSYNC: a completion says
//! that the bytes are on the disk. The kernel signals the eventfd at each completion.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, opcode, types};

use super::thread::{Helper, OpenSegments};
use super::wake::WakeFd;
use super::{Disk, Event, Job};
use crate::buffer::Buffer;
use crate::core_dir::CoreDir;
use crate::error::DiskError;
use crate::files::OsFiles;
use crate::names;

/// One write is in flight at a time; the ring has room for a few.
const ENTRIES: u32 = 4;

/// The driver.
#[derive(Debug)]
pub(crate) struct Uring {
    segments: OpenSegments,
    helper: Helper,
    ring: WriteRing,
    wake: WakeFd,
}

impl Uring {
    pub(crate) fn new(core: CoreDir<OsFiles>, direct: bool) -> io::Result<Uring> {
        let wake = WakeFd::new()?;
        let ring = WriteRing::new(&wake)?;
        let helper = Helper::spawn(core, direct, wake.clone())?;
        Ok(Uring { segments: OpenSegments::default(), helper, ring, wake })
    }
}

impl Disk for Uring {
    fn write(&mut self, generation: u64, offset: u64, buffer: Buffer, len: usize) {
        let file = self.segments.writing(generation).expect("the segment was opened by a job");
        self.ring.write(file, generation, offset, buffer, len);
        if self.ring.refused.is_some() {
            self.wake.signal();
        }
    }

    fn start(&mut self, job: Job) {
        self.helper.start(job);
    }

    fn take(&mut self) -> Option<Event> {
        self.ring.take().or_else(|| self.helper.take(&mut self.segments))
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.wake.fd())
    }
}

/// A ring with at most one write in flight.
pub(crate) struct WriteRing {
    ring: IoUring,
    in_flight: Option<WriteInFlight>,
    /// The write that the kernel did not take.
    refused: Option<DiskError>,
}

struct WriteInFlight {
    buffer: Buffer,
    len: usize,
    generation: u64,
}

impl std::fmt::Debug for WriteRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteRing").field("in_flight", &self.in_flight.is_some()).finish_non_exhaustive()
    }
}

impl WriteRing {
    pub(crate) fn new(wake: &WakeFd) -> io::Result<WriteRing> {
        let ring = IoUring::new(ENTRIES)?;
        ring.submitter().register_eventfd(wake.fd().as_raw_fd())?;
        Ok(WriteRing { ring, in_flight: None, refused: None })
    }

    pub(crate) fn write(
        &mut self,
        file: BorrowedFd<'_>,
        generation: u64,
        offset: u64,
        buffer: Buffer,
        len: usize,
    ) {
        assert!(self.in_flight.is_none(), "one write at a time");
        let length = u32::try_from(len).expect("a frame is small");
        assert!(len <= buffer.len());
        let write =
            opcode::Write::new(types::Fd(file.as_raw_fd()), buffer.as_ptr(), length).offset(offset).build();
        self.in_flight = Some(WriteInFlight { buffer, len, generation });
        // SAFETY: the kernel reads `len` bytes of the buffer until the write is complete. The buffer's memory does not move
        // with `Buffer`; it stays in `in_flight`, unchanged, until the completion is taken, or is leaked. The descriptor is
        // referenced by the kernel from submission on, which happens below, before the borrow ends.
        let pushed = unsafe { self.ring.submission().push(&write) };
        pushed.expect("the queue is empty between writes");
        if let Err(error) = submit(&self.ring) {
            self.refused = Some(DiskError::new("submit a write to", names::segment(generation), error));
        }
    }

    /// Waits for the write in flight; only for trying whether a ring works.
    pub(crate) fn wait(&mut self) -> Option<Event> {
        if self.refused.is_none() {
            self.ring.submit_and_wait(1).ok()?;
        }
        self.take()
    }

    pub(crate) fn take(&mut self) -> Option<Event> {
        if let Some(error) = self.refused.clone() {
            // The kernel may still take it later: its buffer is not touched again.
            let flight = self.in_flight.take()?;
            std::mem::forget(flight.buffer);
            return Some(Event::Written { buffer: Buffer::zeroed(0), result: Err(error) });
        }
        let completion = self.ring.completion().next()?;
        let flight = self.in_flight.take().expect("a completion belongs to the write in flight");
        let result = match completion.result() {
            error if error < 0 => Err(io::Error::from_raw_os_error(-error)),
            written if usize::try_from(written) == Ok(flight.len) => Ok(()),
            written => Err(io::Error::other(format!("{written} of {} bytes written", flight.len))),
        };
        let result =
            result.map_err(|error| DiskError::new("write", names::segment(flight.generation), error));
        Some(Event::Written { buffer: flight.buffer, result })
    }
}

impl Drop for WriteRing {
    fn drop(&mut self) {
        if self.refused.is_some() {
            return;
        }
        // The kernel must be done with the buffer before it is freed.
        while self.in_flight.is_some() {
            match self.ring.submit_and_wait(1) {
                Ok(_) => drop(self.take()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => std::mem::forget(self.in_flight.take()),
            }
        }
    }
}

fn submit(ring: &IoUring) -> io::Result<()> {
    loop {
        match ring.submit() {
            Ok(1) => return Ok(()),
            Ok(_) => return Err(io::Error::other("the kernel did not take the write")),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    use rustix::fs::{MemfdFlags, OFlags, SealFlags};

    use super::*;

    fn ring() -> Option<WriteRing> {
        match WriteRing::new(&WakeFd::new().expect("an eventfd")) {
            Ok(ring) => Some(ring),
            Err(error) => {
                eprintln!("not tried: no io_uring ({error})");
                None
            }
        }
    }

    fn written(event: Option<Event>) -> Result<(), String> {
        match event {
            Some(Event::Written { result, .. }) => result.map_err(|error| error.to_string()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_write_that_is_half_done_is_an_error() {
        let Some(mut ring) = ring() else { return };
        // A file that cannot grow takes the part of a write that it has room for.
        let file = rustix::fs::memfd_create("short", MemfdFlags::ALLOW_SEALING).expect("a file in memory");
        rustix::fs::ftruncate(&file, 4096).expect("its size");
        rustix::fs::fcntl_add_seals(&file, SealFlags::GROW).expect("it shall not grow");
        ring.write(file.as_fd(), 7, 0, Buffer::zeroed(8192), 8192);
        let error = written(ring.wait()).expect_err("there is room for half of it");
        assert_eq!(error, format!("cannot write {}: 4096 of 8192 bytes written", names::segment(7)));
        ring.write(file.as_fd(), 7, 0, Buffer::zeroed(8192), 4096);
        assert_eq!(written(ring.wait()), Ok(()));
    }

    /// A ring that goes away lets its write land first: the kernel reads the buffer until then.
    #[test]
    fn a_ring_that_is_dropped_waits_for_its_write() {
        let Some(mut ring) = ring() else { return };
        let (mut reader, mut writer) = std::io::pipe().expect("a pipe");
        // Full, so that the write cannot be done before somebody reads.
        rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).expect("its flags");
        let mut filling = 0;
        while let Ok(written) = writer.write(&[1; 4096]) {
            filling += written;
        }
        rustix::fs::fcntl_setfl(&writer, OFlags::empty()).expect("its flags");
        let length = 4096;
        let mut buffer = Buffer::zeroed(length);
        buffer.fill(7);
        ring.write(writer.as_fd(), 1, 0, buffer, length);
        assert!(ring.take().is_none(), "nobody has read");
        std::thread::scope(|scope| {
            let dropping = scope.spawn(move || drop(ring));
            let mut bytes = vec![0; filling];
            reader.read_exact(&mut bytes[..1]).expect("the first byte");
            assert!(!dropping.is_finished(), "the buffer is gone before it was written");
            drop(writer);
            reader.read_exact(&mut bytes[1..]).expect("what filled it");
            let mut rest = Vec::new();
            reader.read_to_end(&mut rest).expect("what was written");
            assert!(rest.len() == length && rest.iter().all(|byte| *byte == 7), "{} bytes", rest.len());
        });
    }
}
