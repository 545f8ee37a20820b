//! Retransmission: tells are sent until they are acknowledged, and acknowledgements wait for the record that notes them.

use engine::due_index::DueIndex;
use engine::ids::{SlotId, Time};
use engine::record::TellId;
use hashbrown::HashMap;

use crate::limits::RESEND_MS;

/// Tells on their way and acknowledgements that have come. A tell is [`sent`](Retransmission::sent), then either
/// [`acknowledged`](Retransmission::acknowledged) or [taken out as overdue](Retransmission::pop_overdue) and sent again.
/// Acknowledgements are [drained](Retransmission::drain_acks) into records.
#[derive(Debug, Default)]
pub(crate) struct Retransmission {
    /// By when each should have been acknowledged.
    sent: DueIndex<(SlotId, TellId)>,
    /// By the slot that told.
    acks: HashMap<SlotId, Vec<TellId>>,
}

impl Retransmission {
    pub(crate) fn sent(&mut self, now: Time, slot: SlotId, tell: TellId) {
        self.sent.reschedule(&(slot, tell), None, Some(now.plus(RESEND_MS)));
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.sent.first().map(|(at, _)| at)
    }

    /// The oldest tell that should have been acknowledged by `now`, though it may have been.
    pub(crate) fn pop_overdue(&mut self, now: Time) -> Option<(SlotId, TellId)> {
        let (at, tell) = self.sent.first().filter(|(at, _)| *at <= now).map(|(at, tell)| (at, *tell))?;
        self.sent.reschedule(&tell, Some(at), None);
        Some(tell)
    }

    pub(crate) fn acknowledged(&mut self, slot: SlotId, tell: TellId) {
        let acks = self.acks.entry(slot).or_default();
        if !acks.contains(&tell) {
            acks.push(tell);
        }
    }

    pub(crate) fn is_acknowledged(&self, slot: SlotId, tell: TellId) -> bool {
        self.acks.get(&slot).is_some_and(|acks| acks.contains(&tell))
    }

    pub(crate) fn has_acks(&self) -> bool {
        !self.acks.is_empty()
    }

    /// All acknowledgements, in the order of slots, so that the log does not depend on a hash.
    pub(crate) fn drain_acks(&mut self) -> Vec<(SlotId, Vec<TellId>)> {
        let mut acks: Vec<_> = self.acks.drain().collect();
        acks.sort_unstable_by_key(|(slot, _)| *slot);
        acks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tell_is_overdue_after_its_time_and_once() {
        let mut retransmission = Retransmission::default();
        let (first, second) = (SlotId::new(1), SlotId::new(2));
        retransmission.sent(Time(0), first, TellId(7));
        retransmission.sent(Time(5), second, TellId(8));
        assert_eq!(retransmission.next(), Some(Time(RESEND_MS)));
        assert_eq!(retransmission.pop_overdue(Time(RESEND_MS - 1)), None);
        assert_eq!(retransmission.pop_overdue(Time(RESEND_MS)), Some((first, TellId(7))));
        assert_eq!(retransmission.pop_overdue(Time(RESEND_MS)), None);
        assert_eq!(retransmission.pop_overdue(Time(RESEND_MS + 5)), Some((second, TellId(8))));
        assert_eq!(retransmission.next(), None);
    }

    #[test]
    fn acknowledgements_count_once_and_come_by_slot() {
        let mut retransmission = Retransmission::default();
        for (slot, tell) in [(9, 3), (2, 1), (9, 4), (9, 3)] {
            retransmission.acknowledged(SlotId::new(slot), TellId(tell));
        }
        assert!(retransmission.has_acks() && retransmission.is_acknowledged(SlotId::new(9), TellId(4)));
        assert!(!retransmission.is_acknowledged(SlotId::new(2), TellId(4)));
        let expected = [(SlotId::new(2), vec![TellId(1)]), (SlotId::new(9), vec![TellId(3), TellId(4)])];
        assert_eq!(retransmission.drain_acks(), expected);
        assert!(!retransmission.has_acks());
    }
}
