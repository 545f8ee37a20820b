//! Snapshot feeder: gives an open snapshot the slots of a core, piece by piece, so that selling goes on meanwhile.

use wal::disk::Disk;
use wal::{Log, SnapshotState};

use crate::limits::SNAPSHOT_SLOTS_PER_TURN;
use crate::slots::OwnedSlots;
use crate::stats::Stats;

#[derive(Debug)]
pub(crate) struct SnapshotFeeder {
    /// Bytes of a piece, and of all that one turn gives.
    piece_bytes: usize,
    /// The place of the slot that the snapshot has a part of.
    open: Option<usize>,
    /// Kept for its memory.
    piece: Vec<u8>,
}

impl SnapshotFeeder {
    pub(crate) fn new(piece_bytes: usize) -> SnapshotFeeder {
        SnapshotFeeder { piece_bytes, open: None, piece: Vec::new() }
    }

    /// Gives the snapshot its next pieces, and begins one when it is due.
    pub(crate) fn feed<D: Disk>(&mut self, log: &mut Log<D>, slots: &mut OwnedSlots, stats: &mut Stats) {
        let mut bytes = 0;
        for _ in 0..SNAPSHOT_SLOTS_PER_TURN {
            let Some(writer) = log.snapshot_wants() else {
                if log.snapshot_state() == SnapshotState::Idle {
                    // Another one begins some time after this one was given up, so this comes before.
                    self.give_up(slots);
                }
                return;
            };
            let place = writer.slots();
            assert!(self.open.is_none_or(|open| open == place), "a slot that has begun goes on");
            let Some(slot) = slots.nth_mut(place) else {
                writer.end();
                stats.snapshots += 1;
                return;
            };
            self.piece.clear();
            if self.open.is_none() && !slot.is_blank() {
                slot.begin_image();
            }
            let is_last = slot.is_blank() || slot.next_piece(self.piece_bytes, &mut self.piece);
            writer.piece(slot.id().get(), &self.piece, is_last);
            self.open = (!is_last).then_some(place);
            stats.image_pieces += u64::from(!is_last);
            bytes += self.piece.len();
            if bytes >= self.piece_bytes {
                return;
            }
        }
    }

    /// The snapshot was given up: nobody takes the rest of the slot that it had a part of.
    fn give_up(&mut self, slots: &mut OwnedSlots) {
        if let Some(place) = self.open.take() {
            slots.nth_mut(place).expect("a slot that was there").drop_image();
        }
    }
}
