//! Snapshot feeder: gives an open snapshot the slots of a core, some in each turn, so that selling goes on meanwhile.

use wal::Log;
use wal::disk::Disk;

use crate::limits::{SNAPSHOT_BYTES_PER_TURN, SNAPSHOT_SLOTS_PER_TURN};
use crate::slots::OwnedSlots;

#[derive(Debug, Default)]
pub(crate) struct SnapshotFeeder {
    /// Kept for its memory.
    image: Vec<u8>,
}

impl SnapshotFeeder {
    /// Gives the snapshot its next slots, and begins one when it is due. Returns whether it has all of them now.
    pub(crate) fn feed<D: Disk>(&mut self, log: &mut Log<D>, slots: &OwnedSlots) -> bool {
        let mut bytes = 0;
        for _ in 0..SNAPSHOT_SLOTS_PER_TURN {
            let Some(writer) = log.snapshot_wants() else { return false };
            let Some(slot) = slots.nth(writer.slots()) else {
                writer.end();
                return true;
            };
            self.image.clear();
            if !slot.is_blank() {
                slot.encode(&mut self.image);
            }
            writer.slot(slot.id().get(), &self.image);
            bytes += self.image.len();
            if bytes >= SNAPSHOT_BYTES_PER_TURN {
                return false;
            }
        }
        false
    }
}
