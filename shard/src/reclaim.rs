//! Reclaiming memory: where it is short, what has ended goes before its time, so that a sale is not refused.

use engine::decide::{Reclaim, decide_reclaim};
use engine::ids::SlotId;
use engine::state::Slot;
use engine::text::Text;
use wal::Space;
use wal::disk::Disk;

use crate::limits::{RECLAIM_PARTS, RECLAIM_PAUSE_MS, RECLAIM_RECORDS_MAX};
use crate::shard::Shard;

impl<D: Disk> Shard<D> {
    /// Makes room for a new sale in a full state. True where something was recorded: what was decided before is decided again.
    pub(crate) fn make_room(&mut self) -> bool {
        if self.now < self.reclaim_pause.0 {
            return false;
        }
        let mut records = 0;
        for kind in [Reclaim::Ended, Reclaim::Abandoned, Reclaim::Unreserved] {
            if self.is_state_full() && records < RECLAIM_RECORDS_MAX {
                records += self.reclaim(kind);
            }
        }
        if records == 0 && self.may_reclaim() {
            self.reclaim_pause.0 = self.now.plus(RECLAIM_PAUSE_MS);
        }
        records > 0
    }

    /// Before the state is full: orders that never had a hold or money are given up, so that they have left by then.
    pub(crate) fn give_up_unreserved(&mut self) {
        if self.state_bytes() > self.state_bytes_max() - self.state_bytes_max() / RECLAIM_PARTS {
            self.reclaim(Reclaim::Abandoned);
            self.reclaim(Reclaim::Unreserved);
        }
    }

    /// Frees memory of one kind until less is taken, the oldest first. Gives the number of records.
    fn reclaim(&mut self, kind: Reclaim) -> usize {
        let target = self.state_bytes_max() - self.state_bytes_max() / RECLAIM_PARTS;
        // Orders that are given up free their memory when the read model has that: without one they are kept.
        if kind != Reclaim::Ended && !self.read_model.is_known() {
            return 0;
        }
        let abandoned = |slot: &Slot| slot.orders().abandoned_bytes() as u64;
        let mut freed_later = match kind {
            Reclaim::Unreserved => self.slots().map(abandoned).sum(),
            Reclaim::Ended | Reclaim::Abandoned => 0,
        };
        let mut records = 0;
        loop {
            let before = records;
            for slot in self.reclaimable(kind) {
                if self.state_bytes().saturating_sub(freed_later) <= target
                    || records == RECLAIM_RECORDS_MAX
                    || !self.may_reclaim()
                {
                    return records;
                }
                let durable = self.durable_before(slot);
                // An order that something is under way for has to stay for it.
                let is_idle = |order| !self.operations.is_locked(order);
                let body = decide_reclaim(&self.owned(slot).slot, &self.context(), kind, durable, is_idle);
                let Some(body) = body else { continue };
                let abandoned_before = abandoned(&self.owned(slot).slot);
                self.append(slot, body, &Text::from(""));
                if kind == Reclaim::Unreserved {
                    freed_later += abandoned(&self.owned(slot).slot) - abandoned_before;
                }
                records += 1;
            }
            if records == before {
                return records;
            }
        }
    }

    /// The log has room for records that no sale waits for: neither is it backed up, nor is its reserve begun.
    fn may_reclaim(&self) -> bool {
        !self.is_backed_up() && self.log.space() == Space::Plenty
    }

    /// Slots that may have something to free, the one with the oldest first.
    fn reclaimable(&self, kind: Reclaim) -> Vec<SlotId> {
        let oldest = |slot: &Slot| match kind {
            Reclaim::Ended => slot.oldest_ended(),
            Reclaim::Abandoned => slot.orders().first_abandoned(),
            Reclaim::Unreserved => slot.orders().next_abandon().map(|(at, _)| at),
        };
        let mut slots: Vec<_> = self.slots().filter_map(|slot| Some((oldest(slot)?, slot.id()))).collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, slot)| slot).collect()
    }
}
