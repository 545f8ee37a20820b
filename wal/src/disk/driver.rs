//! The drivers for a real disk, as one type.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use super::choose::{Choice, Kind};
use super::plain::Plain;
use super::uring::Uring;
use super::{Disk, Event, Job};
use crate::buffer::Buffer;
use crate::core_dir::CoreDir;
use crate::files::OsFiles;

/// The chosen driver, for one core.
pub struct Driver(Box<dyn Disk + Send>);

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Driver").finish_non_exhaustive()
    }
}

impl Driver {
    /// Starts a driver for the log of one core.
    pub fn new(core: CoreDir<OsFiles>, choice: &Choice) -> io::Result<Driver> {
        Ok(Driver(match choice.kind {
            Kind::Uring => Box::new(Uring::new(core, choice.direct)?),
            Kind::Plain => Box::new(Plain::new(core, choice.direct)?),
        }))
    }
}

impl Disk for Driver {
    fn write(&mut self, generation: u64, offset: u64, buffer: Buffer, len: usize) {
        self.0.write(generation, offset, buffer, len);
    }

    fn start(&mut self, job: Job) {
        self.0.start(job);
    }

    fn take(&mut self) -> Option<Event> {
        self.0.take()
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.wake_fd()
    }
}
