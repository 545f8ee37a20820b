//! The place that a sink has come to, counted by itself: what it is given has to follow on it.

use wal::Lsn;
use wal::follow::Cursor;

use crate::checks::logs::Logs;
use crate::checks::model::state::RecordPlace;

/// The last record of each core in an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub epoch: u32,
    pub cores: Vec<u64>,
}

impl Place {
    pub(crate) fn beginning(epoch: u32, cores: usize) -> Place {
        Place { epoch, cores: vec![0; cores] }
    }

    /// As followers have it. `directory` is any place in the same directory.
    pub(crate) fn cursor(&self, directory: &Cursor) -> Cursor {
        let cores = self.cores.iter().map(|lsn| Lsn(*lsn)).collect();
        Cursor { epoch: self.epoch, cores, ..directory.clone() }
    }

    pub(crate) fn of(cursor: &Cursor) -> Place {
        Place { epoch: cursor.epoch, cores: cursor.cores.iter().map(|lsn| lsn.0).collect() }
    }

    /// Nothing that the other one has is missing here.
    pub(crate) fn has_all_of(&self, other: &Place) -> bool {
        let mut cores = self.cores.iter().zip(&other.cores);
        self.epoch > other.epoch || (self.epoch == other.epoch && cores.all(|(own, others)| own >= others))
    }

    /// The record is at or before this place.
    pub(crate) fn has(&self, record: RecordPlace) -> bool {
        self.epoch > record.epoch
            || (self.epoch == record.epoch && self.cores[usize::from(record.core)] >= record.lsn)
    }

    /// The follower is in this epoch now. How many epochs it has gone through on the way.
    ///
    /// # Panics
    /// When it has left one before its end.
    pub(crate) fn enter(&mut self, epoch: u32, logs: &Logs) -> u64 {
        assert!(epoch >= self.epoch, "a follower goes from epoch {} back to {epoch}", self.epoch);
        let mut changes = 0;
        while self.epoch < epoch {
            assert_eq!(self.cores, logs.ends(self.epoch), "epoch {} is left before its end", self.epoch);
            *self = Place::beginning(self.epoch + 1, logs.ends(self.epoch + 1).len());
            changes += 1;
        }
        changes
    }

    /// Takes records of one core.
    ///
    /// # Panics
    /// When they do not follow on what was taken before, or are not what was written.
    pub(crate) fn take(&mut self, core: u16, first: u64, records: &[Vec<u8>], logs: &Logs) {
        let last = &mut self.cores[usize::from(core)];
        assert_eq!(first, *last + 1, "the next record of core {core} in epoch {}", self.epoch);
        logs.check(self.epoch, core, first, records);
        *last += records.len() as u64;
    }
}
