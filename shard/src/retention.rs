//! Retention: what has ended leaves after its time, once the read model has it durably. The slots in which something may leave are swept, a few
//! in each turn.

use engine::command::{Command, Request};
use engine::decide::decide_leave;
use engine::ids::{SlotId, Time};
use engine::text::Text;
use wal::disk::Disk;
use wal::{Lsn, Space};

use crate::limits::{ASKED_PER_SLOT_MAX, LEFT_RECORDS_PER_TURN_MAX, LEFT_SLOTS_PER_TURN_MAX, SWEEP_MS};
use crate::operations::{Operation, Waiter};
use crate::shard::Shard;
use crate::slots::OwnedSlot;

/// The reach of the read model: how far it has the log of this core durably, and by that the records of each slot.
#[derive(Debug)]
pub(crate) struct ReadModelReach {
    durable: Option<Lsn>,
    /// The end of the log at the start: what a slot recorded before is no later.
    start: Lsn,
    /// By the place of the slot.
    slots: Vec<SlotReach>,
}

/// A moment of a slot that the read model has reached, and a later one that it has still to reach. So a slot that records all the time is known
/// to be reached as well.
#[derive(Clone, Copy, Default, Debug)]
struct SlotReach {
    reached: Time,
    ahead: Option<(Lsn, Time)>,
}

impl ReadModelReach {
    pub(crate) fn new(start: Lsn, slots: usize) -> ReadModelReach {
        ReadModelReach { durable: None, start, slots: vec![SlotReach::default(); slots] }
    }

    /// `None`: nothing is known of it. Then, and where it has gone back, what was known before counts no more.
    pub(crate) fn set(&mut self, durable: Option<Lsn>) {
        if durable < self.durable {
            self.slots.fill(SlotReach::default());
        }
        self.durable = durable;
    }

    pub(crate) fn is_known(&self) -> bool {
        self.durable.is_some()
    }

    /// All that the slot at `place` recorded before this time is durable there.
    pub(crate) fn before(&mut self, place: usize, owned: &OwnedSlot) -> Time {
        let Some(durable) = self.durable else { return Time(0) };
        let last = owned.last_lsn.max(self.start);
        if last <= durable {
            return Time(u64::MAX);
        }
        let reach = &mut self.slots[place];
        if let Some((_, time)) = reach.ahead.take_if(|(lsn, _)| *lsn <= durable) {
            reach.reached = time;
        }
        reach.ahead.get_or_insert((last, owned.slot.time()));
        reach.reached
    }
}

/// When the next sweep is, and the slots that this one has still to look at.
#[derive(Debug, Default)]
pub(crate) struct RetentionSweep {
    next: Time,
    slots: Vec<SlotId>,
}

impl RetentionSweep {
    /// When a turn has something to do for it, given the time of the first that may leave.
    pub(crate) fn next(&self, first: Option<Time>) -> Option<Time> {
        if self.slots.is_empty() { first.map(|at| at.max(self.next)) } else { Some(Time(0)) }
    }
}

impl<D: Disk> Shard<D> {
    /// The read model has the log of this core durably up to there, and is relied on for it. `None`: nothing may be let go on its word.
    pub fn read_model_has(&mut self, durable: Option<Lsn>) {
        self.read_model.set(durable);
    }

    /// All that the slot recorded before this time is durable in the read model.
    pub(crate) fn durable_before(&mut self, slot: SlotId) -> Time {
        let place = self.slots.place(slot);
        self.read_model.before(place, self.slots.get(slot))
    }

    /// Lets go what has ended and been kept for its time, unless something else needs the log.
    pub(crate) fn let_leave(&mut self) {
        if !self.read_model.is_known() {
            return;
        }
        if self.retention.slots.is_empty() {
            if self.now < self.retention.next {
                return;
            }
            self.retention.next = self.now.plus(SWEEP_MS);
            self.give_up_unreserved();
            self.retention.slots = self.leaves.due(self.calendar).collect();
        }
        let mut records = 0;
        for _ in 0..LEFT_SLOTS_PER_TURN_MAX {
            let Some(slot) = self.retention.slots.last().copied() else { return };
            while self.may_leave() {
                let durable = self.durable_before(slot);
                // What is under way for an order needs it.
                let is_idle = |order| !self.operations.is_locked(order);
                let body = decide_leave(&self.owned(slot).slot, &self.context(), durable, is_idle);
                let Some(body) = body else { break };
                self.append(slot, body, &Text::from(""));
                records += 1;
                if records == LEFT_RECORDS_PER_TURN_MAX {
                    return;
                }
            }
            if !self.may_leave() {
                return;
            }
            self.ask_kept(slot);
            self.retention.slots.pop();
        }
    }

    /// Nobody waits for these records: they leave the log's reserve and its backlog alone.
    pub(crate) fn may_leave(&self) -> bool {
        !self.is_backed_up() && !self.is_flooded() && self.log.space() == Space::Plenty
    }

    /// Orders of which nothing says how long their seats are kept ask.
    fn ask_kept(&mut self, slot: SlotId) {
        let policy = &self.context().policy.clone();
        let asking = self.owned(slot).slot.orders().asking(policy, self.calendar);
        let asking: Vec<_> =
            asking.filter(|order| !self.sweep.is_in_flight(*order)).take(ASKED_PER_SLOT_MAX).collect();
        for order in asking {
            self.sweep.started(order);
            let id = self.operations.next_id();
            let request = Box::new(Request { command: Command::AskKept { order }, trace: Text::from("") });
            self.admit(Operation::new(id, slot, request, Waiter::Sweep(order)));
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::record::{Body, Record};
    use engine::state::Slot;

    use super::*;

    const SLOT: SlotId = SlotId::new(0);

    /// The slot after so many records, one a millisecond, of which the last one is at `lsn` in the log.
    fn slot(records: u64, lsn: u64) -> OwnedSlot {
        let mut slot = Box::new(Slot::new(SLOT));
        for seq in 1..=records {
            let body = Body::TellsAcked { tells: Vec::new() };
            let record = Record { slot: SLOT, seq, time: Time(seq), trace: Text::from(""), body };
            slot.apply(&record, &mut Vec::new());
        }
        OwnedSlot { slot, last_lsn: Lsn(lsn) }
    }

    #[test]
    fn a_slot_is_reached_whole_or_up_to_a_moment_that_was_marked() {
        const ALL: Time = Time(u64::MAX);
        let mut reach = ReadModelReach::new(Lsn(5), 1);
        assert_eq!(reach.before(0, &slot(3, 0)), Time(0), "nothing is known");
        reach.set(Some(Lsn(4)));
        assert_eq!(reach.before(0, &slot(3, 0)), Time(0), "what it recorded before the start may be at 5");
        reach.set(Some(Lsn(5)));
        assert_eq!(reach.before(0, &slot(3, 0)), ALL);
        // It records on, and is never reached whole: at 9 it is marked.
        assert_eq!(reach.before(0, &slot(7, 9)), Time(3));
        reach.set(Some(Lsn(8)));
        assert_eq!(reach.before(0, &slot(8, 12)), Time(3));
        reach.set(Some(Lsn(9)));
        assert_eq!(reach.before(0, &slot(9, 20)), Time(7));
        reach.set(None);
        assert_eq!(reach.before(0, &slot(9, 20)), Time(0));
        reach.set(Some(Lsn(15)));
        assert_eq!(reach.before(0, &slot(9, 20)), Time(0), "what was known before counts no more");
    }
}
