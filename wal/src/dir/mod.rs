//! The data directory: opened and locked, recovered, redistributed over another number of cores.

pub(crate) mod backup;
pub(crate) mod epoch;
mod open;
pub(crate) mod origin;
mod start;

use std::path::Path;
use std::sync::Arc;

use crate::core_dir::{CoreDir, DirLock};
use crate::disk::{Choice, Disk, Driver};
use crate::error::{During, OpenError};
use crate::files::{Files, OsFiles};
use crate::follow::Cursor;
use crate::frame::Owner;
use crate::limits::CORES_MAX;
use crate::log::Log;
use crate::options::Options;
use crate::recover::{Recovered, recover};
use crate::replay::Recover;
use crate::sinks::{SinkRegistry, Sinks};
use crate::superblock::{self, Superblock};
use crate::types::Lsn;

use open::Opened;
use origin::FinishedEpoch;

pub use epoch::SnapshotSink;

/// A data directory, recognised and locked.
#[derive(Debug)]
pub struct DataDir<F: Files = OsFiles> {
    files: F,
    options: Options,
    superblock: Superblock,
    sinks: Result<Sinks, String>,
    lock: DirLock,
}

impl DataDir<OsFiles> {
    /// Opens the data directory at `path`, or makes one if there is nothing or an empty directory.
    ///
    /// # Errors
    /// A directory that holds something else, is in use, damaged or of a later version is refused, and nothing in it is
    /// changed.
    pub fn open(path: impl AsRef<Path>, options: &Options) -> Result<DataDir, OpenError> {
        let path = path.as_ref();
        let files = OsFiles::new(path).during("find", &path.display().to_string())?;
        DataDir::open_on(files, options)
    }

    /// Starts a driver for the log of one core. Its helper threads may run on every core, even if the calling thread is pinned.
    ///
    /// # Errors
    /// When a ring or a thread cannot be created.
    pub fn disk(&self, core: u16, choice: &Choice) -> Result<Driver, OpenError> {
        let dir = self.core_dir(core);
        let name = self.files.display(&dir.dir);
        Driver::new(dir, choice).during("start a driver for", &name)
    }
}

impl<F: Files> DataDir<F> {
    /// [`DataDir::open`] on any [`Files`].
    ///
    /// # Errors
    /// As there.
    pub fn open_on(files: F, options: &Options) -> Result<DataDir<F>, OpenError> {
        options.check()?;
        let Opened { lock, superblock, sinks } = open::open(&files, options)?;
        Ok(DataDir { files, options: options.clone(), superblock, sinks, lock })
    }

    /// The directory's id: 128 random bits.
    pub fn id(&self) -> [u8; 16] {
        self.superblock.id
    }

    /// 128 random bits that key the placement of slots.
    pub fn secret(&self) -> [u8; 16] {
        self.superblock.secret
    }

    /// The number of cores that the slots are distributed over. Each has its own log.
    pub fn cores(&self) -> u16 {
        self.superblock.cores
    }

    /// The number of this distribution over cores, from 1.
    pub fn epoch(&self) -> u32 {
        self.superblock.epoch
    }

    /// The life that this epoch belongs to: 64 random bits, made with the directory and anew with each restore of a backup; 0 in a
    /// directory that version 1 made.
    pub fn life(&self) -> u64 {
        self.superblock.life
    }

    /// The beginning of this epoch's logs.
    pub fn beginning(&self) -> Cursor {
        Cursor::beginning(self.id(), self.life(), self.epoch(), self.cores())
    }

    /// The sinks that are registered, and how far each is relied on. Take one registry for an open directory.
    pub fn sink_registry(&self) -> SinkRegistry<F> {
        SinkRegistry::new(&self.files, self.beginning(), self.sinks.clone(), self.lock.clone())
    }

    /// Registers a sink: see [`SinkRegistry::register`]. The logs that are started from here on keep everything for it.
    ///
    /// # Errors
    /// As there.
    pub fn register_sink(&mut self, name: &str) -> Result<(), OpenError> {
        let mut registry = self.sink_registry();
        registry.register(name)?;
        if registry.problem().is_none() {
            self.sinks = Ok(registry.sinks().clone());
        }
        Ok(())
    }

    /// The budget of all logs together, as the first start decided it. `decide` is asked where none did.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn log_budget(&mut self, decide: impl FnOnce() -> u64) -> Result<u64, OpenError> {
        let mut registry = self.sink_registry();
        if let Some(bytes) = registry.sinks().log_budget_bytes {
            return Ok(bytes);
        }
        let bytes = decide();
        registry.set_log_budget(bytes)?;
        if registry.problem().is_none() {
            self.sinks = Ok(registry.sinks().clone());
        }
        Ok(bytes)
    }

    /// The budget of the read model, as the first start decided it. `decide` is asked where none did.
    ///
    /// # Errors
    /// When it cannot be written down.
    pub fn read_model_bytes(&mut self, decide: impl FnOnce() -> u64) -> Result<u64, OpenError> {
        let mut registry = self.sink_registry();
        if let Some(bytes) = registry.sinks().read_model_bytes {
            return Ok(bytes);
        }
        let bytes = decide();
        registry.set_read_model_bytes(bytes)?;
        if registry.problem().is_none() {
            self.sinks = Ok(registry.sinks().clone());
        }
        Ok(bytes)
    }

    /// Keeps what neither a snapshot nor a sink needs for so long, in the logs that are started from here on, and as long as the log of
    /// each core has no more bytes.
    ///
    /// # Errors
    /// When the budget is too small.
    pub fn keep_log(&mut self, keep_ms: u64, budget_bytes_per_core: u64) -> Result<(), OpenError> {
        let options = Options { keep_ms, budget_bytes: budget_bytes_per_core, ..self.options.clone() };
        options.check()?;
        self.options = options;
        Ok(())
    }

    /// The directory of one core's files, for a driver.
    ///
    /// # Panics
    /// When there is no such core.
    pub fn core_dir(&self, core: u16) -> CoreDir<F> {
        assert!(core < self.cores(), "core {core} of {}", self.cores());
        CoreDir::new(&self.files, self.epoch(), core)
    }

    fn owner(&self, core: u16) -> Owner {
        Owner { id: self.id(), epoch: self.epoch(), core }
    }

    /// Recovers one core: reads its snapshot and its log, in order. Writes nothing. May run for several cores at once.
    ///
    /// Everything read is durable, because the file system was synced when the directory was opened.
    ///
    /// # Errors
    /// A file that is damaged, missing or unreadable is refused by name and offset; so is a record or image that `sink` refuses.
    ///
    /// # Panics
    /// When there is no such core.
    pub fn recover(&self, core: u16, sink: &mut dyn Recover) -> Result<Recovered, OpenError> {
        recover(&self.core_dir(core), self.owner(core), sink)
    }

    /// Starts the log where recovery ended: removes temporary files, overwrites a torn tail with zeros, and lets `disk` open the
    /// segments.
    ///
    /// # Errors
    /// When a file cannot be changed.
    ///
    /// # Panics
    /// When `at` is of another core or epoch, a bug.
    pub fn log<D: Disk>(&self, core: u16, at: Recovered, disk: D) -> Result<Log<D>, OpenError> {
        assert_eq!(at.owner, self.owner(core), "recovered from another log");
        let at = start::prepare(&self.core_dir(core), at, &self.options)?;
        let mut log = Log::new(at, &self.options, disk, self.lock.clone());
        log.keep_from(self.sink_registry().floors()[usize::from(core)].next());
        Ok(log)
    }

    /// Redistributes all slots over another number of cores: writes a snapshot for each core in a new epoch, switches the
    /// superblock, and removes the old epoch unless a sink has not got all of it. After a crash at any point either the old or the new
    /// epoch is whole. The logs start over with record 1.
    ///
    /// `ends` is the last record of each core so far. `images` is called once for each new core, in order, and adds every slot that the
    /// core is to own. Recover all cores first, and start no log.
    ///
    /// # Errors
    /// When a file cannot be written, or `images` returns an error. The directory must then be opened again; it still has its old
    /// epoch unless the superblock was switched.
    ///
    /// # Panics
    /// When a log is running, the number of cores is out of range, or a slot is added twice.
    pub fn redistribute(
        &mut self,
        cores: u16,
        ends: &[Lsn],
        images: impl FnMut(u16, &mut SnapshotSink<'_>) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        assert!(cores > 0 && cores <= CORES_MAX, "{cores} cores");
        assert_eq!(ends.len(), usize::from(self.cores()), "an end for each core");
        assert_eq!(Arc::strong_count(&self.lock), 1, "a log is running");
        let next = Superblock {
            cores,
            epoch: self.superblock.epoch + 1,
            sequence: self.superblock.sequence + 1,
            ..self.superblock
        };
        let previous = FinishedEpoch { epoch: self.epoch(), life: self.life(), ends: ends.to_vec() };
        epoch::build(&self.files, &next, Some(previous), &self.options, images)?;
        superblock::write(&self.files, &next)?;
        self.superblock = next;
        let is_needed = |epoch| self.sinks.as_ref().map_or(true, |sinks| sinks.need_epoch(epoch));
        epoch::remove_others(&self.files, next.epoch, is_needed)
    }
}
