//! The drivers as one type.
use super::{Disk, Event, Job};
use crate::buffer::Buffer;
use std::os::fd::BorrowedFd;

/// One of the drivers for a real disk.
#[derive(Debug)]
pub struct Driver;
impl Disk for Driver {
    fn write(&mut self, _: u64, _: u64, _: Buffer, _: usize) {}
    fn start(&mut self, _: Job) {}
    fn take(&mut self) -> Option<Event> {
        None
    }
    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
