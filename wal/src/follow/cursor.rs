//! The place that a follower has come to.

use crate::types::Lsn;

/// The place that a follower has come to in the logs of a directory: it has everything up to here and nothing behind.
///
/// Record numbers begin anew in each epoch, so they mean nothing without it. A follower finishes an epoch, all cores of it, before it
/// begins the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The id of the directory.
    pub directory: [u8; 16],
    /// The life that the epoch belongs to.
    pub life: u64,
    /// The epoch.
    pub epoch: u32,
    /// The last record of each core's log that the follower has.
    pub cores: Vec<Lsn>,
}

impl Cursor {
    /// The beginning of an epoch.
    pub fn beginning(directory: [u8; 16], life: u64, epoch: u32, cores: u16) -> Cursor {
        Cursor { directory, life, epoch, cores: vec![Lsn::NONE; usize::from(cores)] }
    }

    /// It has everything that `other` has, and more.
    pub fn is_behind(&self, other: &Cursor) -> bool {
        if (self.life, self.epoch) != (other.life, other.epoch) {
            return self.epoch > other.epoch;
        }
        let mut cores = self.cores.iter().zip(&other.cores);
        self != other && cores.all(|(own, others)| own >= others)
    }
}
