//! Timers: the times at which a shard acts by itself. The commit delay has a time of its own (`commit_delay.rs`).

use engine::due_index::DueIndex;
use engine::ids::{SlotId, Time};

/// When each timer of a shard fires next; `None`: not before something else happens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct TimerTable {
    /// The log has something to do: a note that it is idle, a segment or a snapshot to try again.
    pub(crate) log: Option<Time>,
    /// A slot has something due: holds to expire, a ticket to issue, something to forget.
    pub(crate) due: Option<Time>,
    /// A tell that was not acknowledged is sent again.
    pub(crate) resend: Option<Time>,
    /// Orders past their deadline are looked for.
    pub(crate) sweep: Option<Time>,
    /// Something that has ended may leave.
    pub(crate) leave: Option<Time>,
}

impl TimerTable {
    pub(crate) fn next(&self) -> Option<Time> {
        let TimerTable { log, due, resend, sweep, leave } = *self;
        [log, due, resend, sweep, leave].into_iter().flatten().min()
    }
}

/// One timer for each slot of a core.
#[derive(Debug)]
pub(crate) struct SlotTimers {
    index: DueIndex<SlotId>,
    /// By the slot's place among those of its core; as the index has it.
    times: Vec<Option<Time>>,
}

impl SlotTimers {
    pub(crate) fn new(slots: usize) -> SlotTimers {
        SlotTimers { index: DueIndex::default(), times: vec![None; slots] }
    }

    /// Sets the timer of the slot that stands at `place`.
    pub(crate) fn set(&mut self, place: usize, slot: SlotId, at: Option<Time>) {
        let before = std::mem::replace(&mut self.times[place], at);
        self.index.reschedule(&slot, before, at);
    }

    pub(crate) fn first(&self) -> Option<(Time, SlotId)> {
        self.index.first().map(|(at, slot)| (at, *slot))
    }

    /// Slots whose timer has fired by `now`, the longest ago first.
    pub(crate) fn due(&self, now: Time) -> impl Iterator<Item = SlotId> {
        self.index.due(now).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_timer_that_is_set_fires() {
        let none = TimerTable::default();
        assert_eq!(none.next(), None);
        let at = |ms| Some(Time(ms));
        for (table, first) in [
            (TimerTable { log: at(3), ..none }, 3),
            (TimerTable { due: at(2), sweep: at(4), ..none }, 2),
            (TimerTable { log: at(9), due: at(8), resend: at(7), sweep: at(6), leave: at(9) }, 6),
            (TimerTable { resend: at(5), leave: at(4), ..none }, 4),
            (TimerTable { resend: at(5), sweep: at(6), ..none }, 5),
        ] {
            assert_eq!(table.next(), at(first), "{table:?}");
        }
    }

    #[test]
    fn a_slot_has_one_time() {
        let mut timers = SlotTimers::new(2);
        let slots = [SlotId::new(3), SlotId::new(7)];
        timers.set(0, slots[0], Some(Time(5)));
        timers.set(1, slots[1], Some(Time(4)));
        assert_eq!(timers.first(), Some((Time(4), slots[1])));
        timers.set(1, slots[1], Some(Time(6)));
        assert_eq!(timers.first(), Some((Time(5), slots[0])));
        assert_eq!(timers.due(Time(6)).collect::<Vec<_>>(), slots);
        timers.set(0, slots[0], None);
        timers.set(1, slots[1], None);
        assert_eq!(timers.first(), None);
    }
}
