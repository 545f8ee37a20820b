//! The drivers for a real disk, as one type.

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
#[derive(Debug)]
pub struct Driver(Inner);

#[derive(Debug)]
enum Inner {
    Uring(Box<Uring>),
    Plain(Box<Plain>),
}

impl Driver {
    /// Starts a driver for the log of one core.
    pub fn new(core: CoreDir<OsFiles>, choice: &Choice) -> io::Result<Driver> {
        let inner = match choice.kind {
            Kind::Uring => Inner::Uring(Box::new(Uring::new(core, choice.direct)?)),
            Kind::Plain => Inner::Plain(Box::new(Plain::new(core, choice.direct)?)),
        };
        Ok(Driver(inner))
    }
}

impl Disk for Driver {
    fn write(&mut self, generation: u64, offset: u64, buffer: Buffer, len: usize) {
        match &mut self.0 {
            Inner::Uring(disk) => disk.write(generation, offset, buffer, len),
            Inner::Plain(disk) => disk.write(generation, offset, buffer, len),
        }
    }

    fn start(&mut self, job: Job) {
        match &mut self.0 {
            Inner::Uring(disk) => disk.start(job),
            Inner::Plain(disk) => disk.start(job),
        }
    }

    fn take(&mut self) -> Option<Event> {
        match &mut self.0 {
            Inner::Uring(disk) => disk.take(),
            Inner::Plain(disk) => disk.take(),
        }
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.0 {
            Inner::Uring(disk) => disk.wake_fd(),
            Inner::Plain(disk) => disk.wake_fd(),
        }
    }
}
