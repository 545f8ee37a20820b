//! The registry: the sinks of an open directory, changed while it runs.

use super::{Sink, Sinks, write};
use crate::core_dir::DirLock;
use crate::dir::epoch;
use crate::error::OpenError;
use crate::files::{Files, OsFiles};
use crate::follow::Cursor;
use crate::limits::{SINK_NAME_BYTES_MAX, SINKS_MAX};
use crate::types::Lsn;

/// The sinks of an open directory. Each change is on the disk when it returns, and only then may anything be pruned by it.
///
/// An unreadable file of sinks: nobody knows what is still needed: [`problem`](SinkRegistry::problem) says so, every floor is 0,
/// and no change is taken.
pub struct SinkRegistry<F: Files = OsFiles> {
    files: F,
    directory: [u8; 16],
    life: u64,
    epoch: u32,
    cores: u16,
    sinks: Sinks,
    problem: Option<String>,
    _lock: DirLock,
}

impl<F: Files> std::fmt::Debug for SinkRegistry<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkRegistry").field("sinks", &self.sinks).field("problem", &self.problem).finish()
    }
}

impl<F: Files> SinkRegistry<F> {
    pub(crate) fn new(
        files: &F,
        beginning: Cursor,
        sinks: Result<Sinks, String>,
        lock: DirLock,
    ) -> SinkRegistry<F> {
        let Cursor { directory, life, epoch, cores } = beginning;
        let (sinks, problem) = match sinks {
            Ok(sinks) => (sinks, None),
            Err(problem) => (Sinks::default(), Some(problem)),
        };
        let (files, cores) = (files.clone(), cores.len() as u16);
        SinkRegistry { files, directory, life, epoch, cores, sinks, problem, _lock: lock }
    }

    /// Why nothing is known of the sinks.
    pub fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// The sinks, none where there is a [`problem`](SinkRegistry::problem).
    pub fn sinks(&self) -> &Sinks {
        &self.sinks
    }

    /// The beginning of the current epoch.
    pub fn beginning(&self) -> Cursor {
        Cursor::beginning(self.directory, self.life, self.epoch, self.cores)
    }

    /// For each core, the last record that no sink needs any more; [`Lsn::MAX`] where there is no sink.
    pub fn floors(&self) -> Vec<Lsn> {
        match self.problem {
            Some(_) => vec![Lsn::NONE; usize::from(self.cores)],
            None => self.sinks.floors(self.epoch, self.cores),
        }
    }

    /// For each core of the current epoch, the last record that this sink is relied on to have. `None`: nothing is known of it, or it is still in
    /// an earlier epoch.
    pub fn relied(&self, name: &str) -> Option<&[Lsn]> {
        let relied = self.sinks.get(name)?.relied.as_ref()?;
        ((relied.life, relied.epoch) == (self.life, self.epoch)).then_some(&relied.cores)
    }

    /// The sink that is relied on least, for which the log is kept the longest.
    pub fn slowest(&self) -> Option<&str> {
        let place = |sink: &&Sink| {
            let place = sink.relied.as_ref();
            place.map(|place| (place.epoch, place.cores.iter().map(|lsn| lsn.0).sum::<u64>()))
        };
        self.sinks.sinks.iter().min_by_key(place).map(|sink| &sink.name[..])
    }

    /// Registers a sink, of which nothing is known yet. From here on everything is kept for it. One that is there stays as it is.
    ///
    /// # Errors
    /// When the name is empty or too long, there are too many, or the file cannot be written.
    pub fn register(&mut self, name: &str) -> Result<(), OpenError> {
        if self.sinks.get(name).is_some() {
            return Ok(());
        }
        if name.is_empty() || name.len() > SINK_NAME_BYTES_MAX || self.sinks.sinks.len() == SINKS_MAX {
            let reason = format!(
                "a directory has at most {SINKS_MAX} sinks, with names of 1 to {SINK_NAME_BYTES_MAX} bytes"
            );
            return Err(OpenError::Options { reason });
        }
        self.change(|sinks| sinks.sinks.push(Sink { name: name.to_owned(), relied: None }))
    }

    /// Takes a sink off: nothing is kept for it any more.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn detach(&mut self, name: &str) -> Result<(), OpenError> {
        self.change(|sinks| sinks.sinks.retain(|sink| sink.name != name))?;
        self.remove_finished_epochs()
    }

    /// Nothing is known of a sink any more: it is to be filled anew, and everything is kept for it until it says how far it is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn forget(&mut self, name: &str) -> Result<(), OpenError> {
        self.change(|sinks| {
            sinks.sinks.iter_mut().filter(|sink| sink.name == name).for_each(|sink| sink.relied = None);
        })
    }

    /// From here on a sink is relied on up to `cursor`, which it has durably. Never backwards: an earlier place changes nothing.
    ///
    /// # Errors
    /// When the file, or an epoch that is finished by it, cannot be changed.
    pub fn rely(&mut self, name: &str, cursor: &Cursor) -> Result<(), OpenError> {
        let is_new = |sink: &Sink| sink.relied.as_ref().is_none_or(|relied| cursor.is_behind(relied));
        if cursor.directory != self.directory || !self.sinks.get(name).is_some_and(is_new) {
            return Ok(());
        }
        self.change(|sinks| {
            let of_name = sinks.sinks.iter_mut().filter(|sink| sink.name == name);
            of_name.for_each(|sink| sink.relied = Some(cursor.clone()));
        })?;
        self.remove_finished_epochs()
    }

    /// Sets what the logs of all cores may take.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_log_budget(&mut self, bytes: u64) -> Result<(), OpenError> {
        if self.sinks.log_budget_bytes == Some(bytes) {
            return Ok(());
        }
        self.change(|sinks| sinks.log_budget_bytes = Some(bytes))
    }

    /// Sets what the read model may take.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_read_model_bytes(&mut self, bytes: u64) -> Result<(), OpenError> {
        if self.sinks.read_model_bytes == Some(bytes) {
            return Ok(());
        }
        self.change(|sinks| sinks.read_model_bytes = Some(bytes))
    }

    fn change(&mut self, change: impl FnOnce(&mut Sinks)) -> Result<(), OpenError> {
        if self.problem.is_some() {
            return Ok(());
        }
        let mut next = self.sinks.clone();
        change(&mut next);
        write(&self.files, self.directory, &next)?;
        self.sinks = next;
        Ok(())
    }

    fn remove_finished_epochs(&self) -> Result<(), OpenError> {
        if self.problem.is_some() {
            return Ok(());
        }
        epoch::remove_others(&self.files, self.epoch, |other| self.sinks.need_epoch(other))
    }
}
