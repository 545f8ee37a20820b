//! Snapshot feeder: gives an open snapshot the slots of a core, some in each turn, so that selling goes on meanwhile.

use wal::disk::Disk;
use wal::limits::SNAPSHOT_BUFFER_BYTES_MAX;
use wal::{Log, SnapshotState};

use crate::limits::{SNAPSHOT_BYTES_PER_TURN, SNAPSHOT_SLOTS_PER_TURN};
use crate::slots::OwnedSlots;

#[derive(Debug, Default)]
pub(crate) struct SnapshotFeeder {
    /// The next slot that the open snapshot takes, by its place among those of the core.
    next: Option<usize>,
    image: Vec<u8>,
}

impl SnapshotFeeder {
    /// An open snapshot waits for slots, not for the disk.
    pub(crate) fn has_work<D: Disk>(&self, log: &Log<D>) -> bool {
        self.next.is_some() && !is_buffer_full(log.snapshot_state())
    }

    /// Begins a snapshot when one is due, and gives it the next slots. Returns whether it has all of them now.
    pub(crate) fn feed<D: Disk>(&mut self, log: &mut Log<D>, slots: &OwnedSlots) -> bool {
        if self.next.is_none() {
            if !log.snapshot_due() || log.snapshot_state() != SnapshotState::Idle {
                return false;
            }
            log.snapshot_begin();
            self.next = Some(0);
        }
        let mut bytes = 0;
        for _ in 0..SNAPSHOT_SLOTS_PER_TURN {
            let Some(index) = self.next else { return false };
            match log.snapshot_state() {
                state if is_buffer_full(state) => return false,
                SnapshotState::Open { .. } => {}
                // The log has given it up for want of room. It will be due again.
                SnapshotState::Idle | SnapshotState::Finishing => {
                    self.next = None;
                    return false;
                }
            }
            let Some(slot) = slots.nth(index) else {
                log.snapshot_end();
                self.next = None;
                return true;
            };
            self.image.clear();
            if !slot.is_blank() {
                slot.encode(&mut self.image);
            }
            bytes += self.image.len();
            log.snapshot_slot(slot.id().get(), &self.image);
            self.next = Some(index + 1);
            if bytes >= SNAPSHOT_BYTES_PER_TURN {
                return false;
            }
        }
        false
    }
}

fn is_buffer_full(state: SnapshotState) -> bool {
    matches!(state, SnapshotState::Open { buffered_bytes } if buffered_bytes >= SNAPSHOT_BUFFER_BYTES_MAX)
}
