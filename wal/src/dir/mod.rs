//! The data directory.

use std::path::Path;

use crate::disk::{Choice, Disk, Driver};
use crate::error::OpenError;
use crate::files::{Files, OsFiles};
use crate::log::Log;
use crate::options::Options;
use crate::recover::{Recover, Recovered};

/// The directory of one core's log in the current epoch.
#[derive(Debug, Clone)]
pub struct CoreDir<F: Files = OsFiles> {
    pub(crate) files: F,
    pub(crate) dir: String,
}

impl<F: Files> CoreDir<F> {
    pub(crate) fn path(&self, name: &str) -> String {
        crate::files::join(&self.dir, name)
    }
}

/// A data directory, open and locked.
#[derive(Debug)]
pub struct DataDir<F: Files = OsFiles> {
    files: F,
}

/// Takes the images of one core's slots when a directory is distributed anew.
#[derive(Debug)]
pub struct SnapshotSink<'a> {
    _a: &'a (),
}

impl SnapshotSink<'_> {
    /// Adds a slot that the core shall own.
    pub fn slot(&mut self, slot: u16, image: &[u8]) -> Result<(), OpenError> {
        unimplemented!("{slot} {image:?}")
    }
}

impl DataDir<OsFiles> {
    /// Opens the directory, or makes it if it is absent or empty.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<DataDir, OpenError> {
        unimplemented!("{:?} {options:?}", path.as_ref())
    }
    /// A driver for the log writes of one core.
    pub fn disk(&self, core: u16, choice: &Choice) -> Result<Driver, OpenError> {
        unimplemented!("{core} {choice:?}")
    }
}

impl<F: Files> DataDir<F> {
    /// [`DataDir::open`] on any kind of files.
    pub fn open_on(files: F, options: &Options) -> Result<DataDir<F>, OpenError> {
        let _ = files;
        unimplemented!("{options:?}")
    }
    /// 128 random bits, made with the directory.
    pub fn id(&self) -> [u8; 16] {
        unimplemented!()
    }
    /// 128 random bits that key the placement of slots.
    pub fn secret(&self) -> [u8; 16] {
        unimplemented!()
    }
    /// Cores that the slots are distributed over.
    pub fn cores(&self) -> u16 {
        unimplemented!()
    }
    /// Counts the distributions, from 1.
    pub fn epoch(&self) -> u32 {
        unimplemented!()
    }
    /// Slots, fixed.
    pub fn slots(&self) -> u16 {
        unimplemented!()
    }
    /// The place of one core's files.
    pub fn core_dir(&self, core: u16) -> CoreDir<F> {
        CoreDir { files: self.files.clone(), dir: format!("{core}") }
    }
    /// Reads snapshot and log of one core, in order.
    pub fn recover(&self, core: u16, sink: &mut dyn Recover) -> Result<Recovered, OpenError> {
        let _ = sink;
        unimplemented!("{core}")
    }
    /// Starts the log where recovery ended.
    pub fn log<D: Disk>(&self, core: u16, at: Recovered, disk: D) -> Result<Log<D>, OpenError> {
        let _ = disk;
        unimplemented!("{core} {at:?}")
    }
    /// Distributes all slots over another number of cores.
    pub fn redistribute(
        &mut self,
        cores: u16,
        images: impl FnMut(u16, &mut SnapshotSink<'_>) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        let _ = images;
        unimplemented!("{cores}")
    }
}
