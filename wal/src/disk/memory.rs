//! A deterministic disk in memory: the test decides when an operation completes.

use std::collections::VecDeque;
use std::os::fd::BorrowedFd;

use super::jobs::JobRunner;
use super::{Disk, Event, Job, JobError};
use crate::buffer::Buffer;
use crate::core_dir::CoreDir;
use crate::error::DiskError;
use crate::files::{File, Files, MemoryFiles};
use crate::names;

/// The two lanes of a disk. Each completes in its own order; between them any order is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// The log write.
    Write,
    /// The jobs.
    Jobs,
}

/// The driver for [`MemoryFiles`]. A crash can tear a write from its submission on; it is durable once it is finished.
///
/// Submit through [`Disk`], then call [`finish`](MemoryDisk::finish) for the lane that is to complete its oldest operation; the
/// next [`take`](Disk::take) returns the event.
#[derive(Debug)]
pub struct MemoryDisk {
    core: CoreDir<MemoryFiles>,
    runner: JobRunner<MemoryFiles>,
    open: Vec<u64>,
    write: Option<WriteInFlight>,
    jobs: VecDeque<Job>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct WriteInFlight {
    name: String,
    offset: u64,
    len: usize,
    buffer: Buffer,
    submitted: std::io::Result<<MemoryFiles as Files>::File>,
}

impl MemoryDisk {
    /// A disk for the log of one core.
    pub fn new(core: CoreDir<MemoryFiles>) -> MemoryDisk {
        MemoryDisk {
            runner: JobRunner::new(core.clone()),
            core,
            open: Vec::new(),
            write: None,
            jobs: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// True if an operation of this lane is under way.
    pub fn is_waiting(&self, lane: Lane) -> bool {
        match lane {
            Lane::Write => self.write.is_some(),
            Lane::Jobs => !self.jobs.is_empty(),
        }
    }

    /// Finishes the oldest operation of a lane; `false` if there is none.
    pub fn finish(&mut self, lane: Lane) -> bool {
        let event = match lane {
            Lane::Write => self.write.take().map(finish_write),
            Lane::Jobs => self.jobs.pop_front().map(|job| self.finish_job(job)),
        };
        let any = event.is_some();
        self.events.extend(event);
        any
    }

    fn finish_job(&mut self, job: Job) -> Event {
        let opens = job.opens();
        let in_use = matches!(job, Job::RecycleSegment { from, .. } if self.open.contains(&from));
        let result = self.runner.run(job).and_then(|()| match opens {
            Some(generation) => self.open_segment(generation, in_use),
            None => Ok(()),
        });
        Event::Done(result)
    }

    /// As on a real file system: the file is there, and not locked by being open already.
    fn open_segment(&mut self, generation: u64, in_use: bool) -> Result<(), JobError> {
        let name = names::segment(generation);
        let opened = self.core.files.open_write(&self.core.path(&name));
        let opened = if in_use { Err(std::io::ErrorKind::WouldBlock.into()) } else { opened };
        opened.map_err(|error| JobError::Fatal(DiskError::new("open", name, error)))?;
        self.open.push(generation);
        Ok(())
    }
}

fn finish_write(flight: WriteInFlight) -> Event {
    let result = flight.submitted.and_then(|file| file.make_durable(flight.offset, flight.len));
    let result = result.map_err(|error| DiskError::new("write", flight.name, error));
    Event::Written { buffer: flight.buffer, result }
}

impl Disk for MemoryDisk {
    fn write(&mut self, generation: u64, offset: u64, buffer: Buffer, len: usize) {
        assert!(self.write.is_none(), "one write at a time");
        assert!(self.open.contains(&generation), "segment {generation} was not opened by a job");
        // The log does not go back.
        self.open.retain(|other| *other >= generation);
        let name = names::segment(generation);
        let file = self.core.files.open_write(&self.core.path(&name));
        let submitted = file.and_then(|file| file.write_at(&buffer[..len], offset).map(|()| file));
        self.write = Some(WriteInFlight { name, offset, len, buffer, submitted });
    }

    fn start(&mut self, job: Job) {
        self.jobs.push_back(job);
    }

    fn take(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn wake_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}
