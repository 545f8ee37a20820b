//! Ticket backlog: paid orders that have no ticket yet, as `/worker/status` shows them.

use std::collections::{BTreeSet, VecDeque};

use engine::answer::Rejection;
use engine::ids::{OrderId, Time};
use hashbrown::HashMap;
use wal::Lsn;

/// The paid orders of a core without a durable ticket, by the record that says that they are paid. An order is
/// [`paid`](TicketBacklog::paid), then [`ticketed`](TicketBacklog::ticketed); it leaves when the log is
/// [`durable`](TicketBacklog::durable) up to its ticket.
#[derive(Debug, Default)]
pub(crate) struct TicketBacklog {
    waiting: HashMap<OrderId, (Lsn, Time)>,
    by_lsn: BTreeSet<(Lsn, OrderId)>,
    /// Tickets that were recorded, oldest first.
    recorded: VecDeque<(Lsn, OrderId)>,
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
        self.waiting.insert(order, (lsn, at));
        self.by_lsn.insert((lsn, order));
    }

    pub(crate) fn ticketed(&mut self, order: OrderId, lsn: Lsn) {
        self.recorded.push_back((lsn, order));
    }

    pub(crate) fn durable(&mut self, durable: Lsn) {
        while let Some((_, order)) = self.recorded.pop_front_if(|(lsn, _)| *lsn <= durable) {
            if let Some((lsn, _)) = self.waiting.remove(&order) {
                self.by_lsn.remove(&(lsn, order));
            }
        }
    }

    /// In a log that is durable up to `durable` and has this capacity for more. Only what is durable shows.
    pub(crate) fn status(&self, durable: Lsn, capacity: Result<(), Rejection>) -> TicketStatus {
        let oldest = self.by_lsn.first().filter(|(lsn, _)| *lsn <= durable);
        let younger = self.by_lsn.iter().rev().take_while(|(lsn, _)| *lsn > durable).count();
        TicketStatus {
            position: oldest.map_or(durable, |(lsn, _)| Lsn(lsn.0.saturating_sub(1))),
            backlog: self.by_lsn.len() - younger,
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

    /// Whichever tickets are recorded first; and an order counts while its payment is durable and its ticket is not.
    #[test]
    fn the_position_is_before_the_first_order_without_a_durable_ticket() {
        let mut backlog = TicketBacklog::default();
        let check = |backlog: &mut TicketBacklog, durable, position, waiting, oldest: Option<(u128, u64)>| {
            backlog.durable(Lsn(durable));
            let oldest = oldest.map(|(n, at)| (order(n), Time(at)));
            let expected =
                TicketStatus { position: Lsn(position), backlog: waiting, oldest, blocked_by: None };
            assert_eq!(backlog.status(Lsn(durable), Ok(())), expected);
            let blocked_by = (waiting > 0).then_some(Rejection::LogFull);
            let expected = TicketStatus { blocked_by, ..expected };
            assert_eq!(backlog.status(Lsn(durable), Err(Rejection::LogFull)), expected);
        };
        check(&mut backlog, 5, 5, 0, None);
        for (n, lsn) in [(1, 10), (2, 20), (3, 30), (4, 60)] {
            backlog.paid(order(n), Lsn(lsn), Time(lsn));
        }
        check(&mut backlog, 9, 9, 0, None);
        check(&mut backlog, 25, 9, 2, Some((1, 10)));
        check(&mut backlog, 50, 9, 3, Some((1, 10)));
        backlog.ticketed(order(2), Lsn(61));
        backlog.ticketed(order(1), Lsn(62));
        check(&mut backlog, 60, 9, 4, Some((1, 10)));
        check(&mut backlog, 61, 9, 3, Some((1, 10)));
        check(&mut backlog, 62, 29, 2, Some((3, 30)));
        backlog.ticketed(order(3), Lsn(63));
        backlog.ticketed(order(4), Lsn(64));
        check(&mut backlog, 63, 59, 1, Some((4, 60)));
        check(&mut backlog, 64, 64, 0, None);
    }
}
