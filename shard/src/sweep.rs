//! Overdue sweep: an order whose deadline has passed without news from its hold asks after it.

use engine::ids::{OrderId, Time};
use hashbrown::HashSet;

use crate::limits::SWEEP_MS;

/// When the next sweep is, and the orders that earlier ones asked after.
#[derive(Debug)]
pub(crate) struct OverdueSweep {
    next: Time,
    /// Asked after, and not answered for yet.
    in_flight: HashSet<OrderId>,
}

impl OverdueSweep {
    pub(crate) fn new(now: Time) -> OverdueSweep {
        OverdueSweep { next: now, in_flight: HashSet::new() }
    }

    /// Begins a sweep if one is due; the next one is then a while away. Gives the time before which a deadline must have passed, so
    /// that news that is on its way comes first.
    pub(crate) fn begin(&mut self, now: Time) -> Option<Time> {
        if now < self.next {
            return None;
        }
        self.next = now.plus(SWEEP_MS);
        Some(Time(now.0.saturating_sub(SWEEP_MS)))
    }

    /// When a sweep can find something, given the first deadline of any order.
    pub(crate) fn next(&self, first_deadline: Option<Time>) -> Option<Time> {
        first_deadline.map(|at| at.plus(SWEEP_MS).max(self.next))
    }

    pub(crate) fn started(&mut self, order: OrderId) {
        self.in_flight.insert(order);
    }

    /// The order was answered for. If it is still overdue, the next sweep asks again.
    pub(crate) fn finished(&mut self, order: OrderId) {
        self.in_flight.remove(&order);
    }

    pub(crate) fn is_in_flight(&self, order: OrderId) -> bool {
        self.in_flight.contains(&order)
    }
}

#[cfg(test)]
mod tests {
    use engine::ids::SlotId;

    use super::*;

    #[test]
    fn sweeps_are_a_while_apart_and_leave_a_grace() {
        let start = Time(10 * SWEEP_MS);
        let mut sweep = OverdueSweep::new(start);
        assert_eq!(sweep.begin(start), Some(Time(9 * SWEEP_MS)));
        assert_eq!(sweep.begin(start.plus(SWEEP_MS - 1)), None);
        assert_eq!(sweep.next(None), None);
        assert_eq!(sweep.next(Some(start)), Some(start.plus(SWEEP_MS)));
        assert_eq!(sweep.next(Some(start.plus(5))), Some(start.plus(5 + SWEEP_MS)));
        assert_eq!(sweep.begin(start.plus(SWEEP_MS)), Some(start));
    }

    #[test]
    fn an_order_is_asked_after_again_only_when_it_was_answered_for() {
        let (mut sweep, order) = (OverdueSweep::new(Time(0)), OrderId::new(SlotId::new(1), 1));
        sweep.started(order);
        assert!(sweep.is_in_flight(order));
        sweep.finished(order);
        assert!(!sweep.is_in_flight(order));
    }
}
