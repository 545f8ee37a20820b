//! Ticket backlog: paid orders that have no ticket yet, for whoever watches the ticket worker.

use std::collections::BTreeSet;

use engine::answer::Rejection;
use engine::ids::{OrderId, Time};
use hashbrown::HashMap;
use wal::Lsn;

/// The paid orders of a core without a ticket, by the record that says that they are paid.
#[derive(Debug, Default)]
pub(crate) struct TicketBacklog {
    waiting: HashMap<OrderId, (Lsn, Time)>,
    by_lsn: BTreeSet<(Lsn, OrderId)>,
}

/// The backlog as it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TicketStatus {
    /// Every order that the log says is paid up to here has its ticket.
    pub position: Lsn,
    /// Orders that wait for a ticket.
    pub backlog: usize,
    /// The oldest of them, and since when it waits.
    pub oldest: Option<(OrderId, Time)>,
    /// Why no ticket can be recorded now.
    pub blocked_by: Option<Rejection>,
}

impl TicketBacklog {
    pub(crate) fn paid(&mut self, order: OrderId, lsn: Lsn, at: Time) {
        if let Some((before, _)) = self.waiting.insert(order, (lsn, at)) {
            self.by_lsn.remove(&(before, order));
        }
        self.by_lsn.insert((lsn, order));
    }

    pub(crate) fn ticketed(&mut self, order: OrderId) {
        if let Some((lsn, _)) = self.waiting.remove(&order) {
            self.by_lsn.remove(&(lsn, order));
        }
    }

    /// In a log that is durable up to `durable` and has this capacity for more.
    pub(crate) fn status(&self, durable: Lsn, capacity: Result<(), Rejection>) -> TicketStatus {
        let oldest = self.by_lsn.first();
        let before = oldest.map(|(lsn, _)| Lsn(lsn.0.saturating_sub(1)));
        TicketStatus {
            position: before.map_or(durable, |before| before.min(durable)),
            backlog: self.by_lsn.len(),
            oldest: oldest.map(|(_, order)| (*order, self.waiting[order].1)),
            blocked_by: capacity.err().filter(|_| oldest.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::ids::SlotId;

    use super::*;

    fn order(n: u128) -> OrderId {
        OrderId::new(SlotId::new(0), n << 12)
    }

    /// Whichever tickets are issued first.
    #[test]
    fn the_position_is_before_the_first_order_without_a_ticket() {
        let mut backlog = TicketBacklog::default();
        let check = |backlog: &TicketBacklog, position, waiting, oldest: Option<(u128, u64)>| {
            let oldest = oldest.map(|(n, at)| (order(n), Time(at)));
            let expected =
                TicketStatus { position: Lsn(position), backlog: waiting, oldest, blocked_by: None };
            assert_eq!(backlog.status(Lsn(50), Ok(())), expected);
            let blocked_by = (waiting > 0).then_some(Rejection::LogFull);
            let expected = TicketStatus { blocked_by, ..expected };
            assert_eq!(backlog.status(Lsn(50), Err(Rejection::LogFull)), expected);
        };
        check(&backlog, 50, 0, None);
        for (n, lsn) in [(1, 10), (2, 20), (3, 30), (4, 60)] {
            backlog.paid(order(n), Lsn(lsn), Time(lsn));
        }
        check(&backlog, 9, 4, Some((1, 10)));
        backlog.ticketed(order(2));
        check(&backlog, 9, 3, Some((1, 10)));
        backlog.ticketed(order(1));
        check(&backlog, 29, 2, Some((3, 30)));
        backlog.ticketed(order(3));
        backlog.ticketed(order(3));
        check(&backlog, 50, 1, Some((4, 60)));
        backlog.ticketed(order(4));
        check(&backlog, 50, 0, None);
    }
}
