//! The drivers, each with what the suite needs to drive it.

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use wal::DataDir;
use wal::disk::{Choice, Disk, Driver, Lane, MemoryDisk, Preference, choose};
use wal::files::{Files, MemoryFiles, OsFiles};

use super::disk_cases::run_disk_tests;
use super::temp;

/// A driver under test, and the files that it works on.
pub(crate) trait Bench: Sized {
    type Disk: Disk;
    type Files: Files;

    fn files(&self) -> Self::Files;
    /// A disk for core 0.
    fn disk(&self, dir: &DataDir<Self::Files>) -> Self::Disk;
    /// Waits until there may be a completion. Something is under way.
    fn wait(&self, disk: &mut Self::Disk);
    /// The process ends, and the machine with it where that can be had: only what was durable is there.
    fn crash(self) -> Self;
}

struct MemoryBench {
    files: MemoryFiles,
    first: Lane,
}

impl Bench for MemoryBench {
    type Disk = MemoryDisk;
    type Files = MemoryFiles;

    fn files(&self) -> MemoryFiles {
        self.files.clone()
    }

    fn disk(&self, dir: &DataDir<MemoryFiles>) -> MemoryDisk {
        MemoryDisk::new(dir.core_dir(0))
    }

    fn wait(&self, disk: &mut MemoryDisk) {
        let second = if self.first == Lane::Jobs { Lane::Write } else { Lane::Jobs };
        assert!(disk.finish(self.first) || disk.finish(second), "nothing is under way");
    }

    fn crash(self) -> MemoryBench {
        MemoryBench { files: self.files.crash(|| false), ..self }
    }
}

struct OsBench {
    temp: Arc<tempfile::TempDir>,
    choice: Choice,
}

impl Bench for OsBench {
    type Disk = Driver;
    type Files = OsFiles;

    fn files(&self) -> OsFiles {
        OsFiles::new(self.temp.path().join("data")).unwrap()
    }

    fn disk(&self, dir: &DataDir) -> Driver {
        dir.disk(0, &self.choice).unwrap()
    }

    /// As a runtime does: until the eventfd is readable, which is then read.
    fn wait(&self, disk: &mut Driver) {
        let wake = disk.wake_fd().unwrap();
        let minute = Timespec { tv_sec: 60, tv_nsec: 0 };
        let ready = poll(&mut [PollFd::new(&wake, PollFlags::IN)], Some(&minute)).unwrap();
        assert_eq!(ready, 1, "no completion in a minute");
        rustix::io::read(wake.as_fd(), &mut [0; 8]).unwrap();
    }

    fn crash(self) -> OsBench {
        self
    }
}

fn run_on(choice: &Choice) {
    println!("{choice}");
    run_disk_tests(|| OsBench { temp: Arc::new(temp()), choice: choice.clone() });
}

#[test]
fn memory() {
    for first in [Lane::Write, Lane::Jobs] {
        run_disk_tests(|| MemoryBench { files: MemoryFiles::new(), first });
    }
}

#[test]
fn plain() {
    let temp = temp();
    let plain = choose(temp.path(), Preference::Plain).unwrap();
    run_on(&plain);
    if plain.direct {
        run_on(&Choice { direct: false, ..plain });
    }
}

#[test]
fn uring() {
    let temp = temp();
    match choose(temp.path(), Preference::Uring) {
        Ok(uring) => run_on(&uring),
        Err(reason) => eprintln!("not tried: {reason}"),
    }
}
