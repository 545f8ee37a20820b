//! Log writes through a small io_uring of the core's own. The segments are open with O_DIRECT and O_DSYNC: a completion says
//! that the bytes are on the disk. The kernel signals the eventfd at each completion.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, opcode, types};

use super::wake::Wake;
use super::worker::{Helper, Segments};
use super::{Disk, Event, Job};
use crate::buffer::Buffer;
use crate::dir::CoreDir;
use crate::error::DiskError;
use crate::files::OsFiles;
use crate::names;

/// One write is in flight at a time; the ring has room for a few.
const ENTRIES: u32 = 4;

/// The driver.
#[derive(Debug)]
pub(crate) struct Uring {
    segments: Segments,
    helper: Helper,
    ring: Ring,
    wake: Wake,
}

impl Uring {
    pub(crate) fn new(core: CoreDir<OsFiles>, direct: bool) -> io::Result<Uring> {
        let wake = Wake::new()?;
        let ring = Ring::new(&wake)?;
        let helper = Helper::spawn(core, direct, wake.clone())?;
        Ok(Uring { segments: Segments::default(), helper, ring, wake })
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
pub(crate) struct Ring {
    ring: IoUring,
    in_flight: Option<Flight>,
    /// The write that the kernel did not take.
    refused: Option<DiskError>,
}

struct Flight {
    buffer: Buffer,
    len: usize,
    generation: u64,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring").field("in_flight", &self.in_flight.is_some()).finish_non_exhaustive()
    }
}

impl Ring {
    pub(crate) fn new(wake: &Wake) -> io::Result<Ring> {
        let ring = IoUring::new(ENTRIES)?;
        ring.submitter().register_eventfd(wake.fd().as_raw_fd())?;
        Ok(Ring { ring, in_flight: None, refused: None })
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
        self.in_flight = Some(Flight { buffer, len, generation });
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

impl Drop for Ring {
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
