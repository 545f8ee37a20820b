//! Orders by id and by idempotency key, and the money that is owed back.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::imaged_map::ImagedMap;
use super::memory_estimate;
use crate::command::RefundFilter;
use crate::due_index::DueIndex;
use crate::ids::{IdempotencyKey, OrderId, OrderName, Time, TxnId};
use crate::record::{OrderRow, RefundRow};
use crate::status::{OrderStatus, RefundReason, RefundStatus};

#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    pub row: OrderRow,
    pub updated_at: Time,
}

impl Order {
    /// The deadline of the hold of a RESERVED order.
    fn deadline(&self) -> Option<Time> {
        let reserved = self.row.status == OrderStatus::Reserved;
        self.row.reservation.as_ref().filter(|_| reserved).map(|r| r.deadline)
    }

    /// An INIT order is given up then, if nobody reserves for it.
    fn abandon_at(&self) -> Option<Time> {
        (self.row.status == OrderStatus::Init).then_some(self.row.abandon_at)
    }

    /// A PAID order is due for its ticket at once, that is at the time of its payment.
    fn ticket_at(&self) -> Option<Time> {
        (self.row.status == OrderStatus::Paid).then_some(self.updated_at)
    }

    /// The deadline of what it holds has passed: its partition decides what became of it.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        self.deadline().is_some_and(|at| at <= now)
    }
}

#[derive(Debug, Default)]
pub struct Orders {
    pub(super) by_id: ImagedMap<OrderId, Order>,
    by_key: HashMap<IdempotencyKey, OrderId>,
    /// INIT orders by when they are given up; derived.
    abandons: DueIndex<OrderId>,
    /// RESERVED orders by the deadline of what they hold; derived.
    deadlines: DueIndex<OrderId>,
    /// PAID orders, which have no ticket yet, by when they were paid; derived.
    unticketed: DueIndex<OrderId>,
    /// Estimated bytes; derived.
    memory_estimate: usize,
}

impl Orders {
    #[must_use]
    pub fn get(&self, id: OrderId) -> Option<&Order> {
        self.by_id.get(&id)
    }

    #[must_use]
    pub fn by_key(&self, key: &IdempotencyKey) -> Option<&Order> {
        self.by_key.get(key).and_then(|id| self.by_id.get(id))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Order> {
        self.by_id.values()
    }

    pub(super) fn memory_estimate(&self) -> usize {
        self.memory_estimate
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Paid orders that wait for their ticket, by when they were paid.
    #[must_use]
    pub fn unticketed(&self) -> &DueIndex<OrderId> {
        &self.unticketed
    }

    /// The order that waits longest for its ticket, and since when.
    #[must_use]
    pub fn next_ticket(&self) -> Option<(Time, &Order)> {
        self.unticketed.first().map(|(at, id)| (at, &self.by_id[id]))
    }

    /// The INIT order to be given up first, and when.
    #[must_use]
    pub fn next_abandon(&self) -> Option<(Time, &Order)> {
        self.abandons.first().map(|(at, id)| (at, &self.by_id[id]))
    }

    /// INIT orders that were created by `created_by`, the one to be given up first, first.
    pub fn init(&self, created_by: Time) -> impl Iterator<Item = &Order> {
        let init = self.abandons.iter().map(|(_, id)| &self.by_id[id]);
        init.take_while(move |order| order.row.created_at <= created_by)
    }

    /// Orders that are given up or whose hold expires by `at`.
    pub(super) fn waiting_at(&self, at: Time) -> usize {
        self.abandons.due(at).count() + self.deadlines.due(at).count()
    }

    /// RESERVED orders whose deadline has passed at `now`: they have not heard from their partition yet.
    pub fn overdue(&self, now: Time) -> impl Iterator<Item = OrderId> {
        self.deadlines.due(now).copied()
    }

    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| at)
    }

    pub(super) fn put(&mut self, row: &OrderRow, updated_at: Time) {
        let order = Order { row: row.clone(), updated_at };
        self.memory_estimate += memory_estimate::order(&order);
        let new = (order.abandon_at(), order.deadline(), order.ticket_at());
        let old = self.by_id.insert(row.order, order).map(|old| {
            self.memory_estimate -= memory_estimate::order(&old);
            (old.abandon_at(), old.deadline(), old.ticket_at())
        });
        if old.is_none() {
            let other = self.by_key.insert(row.key.clone(), row.order);
            assert!(other.is_none(), "an idempotency key names one order");
        }
        let old = old.unwrap_or_default();
        self.abandons.reschedule(&row.order, old.0, new.0);
        self.deadlines.reschedule(&row.order, old.1, new.1);
        self.unticketed.reschedule(&row.order, old.2, new.2);
    }

    /// Only an INIT order: nothing but its abandonment is scheduled.
    pub(super) fn remove(&mut self, id: OrderId) {
        let order = self.by_id.remove(&id).expect("a dropped order was there");
        assert_eq!(order.row.status, OrderStatus::Init, "only an order without a hold is dropped");
        self.by_key.remove(&order.row.key);
        self.memory_estimate -= memory_estimate::order(&order);
        self.abandons.reschedule(&id, order.abandon_at(), None);
    }
}

/// One refund for each pair of order and transaction id, for ever.
#[derive(Debug, Default)]
pub struct Refunds {
    pub(super) by_number: ImagedMap<u64, RefundRow>,
    by_pair: BTreeMap<OrderName, BTreeMap<TxnId, u64>>,
    /// Still owed; derived.
    unsettled: BTreeSet<u64>,
    /// Of no known order; derived.
    unmatched: BTreeSet<u64>,
    /// Estimated bytes; derived.
    memory_estimate: usize,
}

impl Refunds {
    #[must_use]
    pub fn get(&self, order: &OrderName, txn: &TxnId) -> Option<&RefundRow> {
        let number = self.by_pair.get(order)?.get(txn)?;
        self.by_number.get(number)
    }

    /// The state of all refunds of the order together; `None`: there was none.
    #[must_use]
    pub fn status(&self, order: &OrderName) -> Option<RefundStatus> {
        let numbers = self.by_pair.get(order)?.values();
        let mut rows = numbers.filter_map(|number| self.by_number.get(number));
        Some(if rows.any(|row| row.settled.is_none()) {
            RefundStatus::Required
        } else {
            RefundStatus::Settled
        })
    }

    /// In the order they were recorded, after number `after`.
    pub fn after(&self, after: u64) -> impl Iterator<Item = &RefundRow> {
        self.by_number.range(after.saturating_add(1)..).map(|(_, row)| row)
    }

    /// Those of one kind, in the order they were recorded, after number `after`. Settled ones are many, and looked for among all.
    pub fn of_kind(&self, kind: RefundFilter, after: u64) -> Box<dyn Iterator<Item = &RefundRow> + '_> {
        let listed = match kind {
            RefundFilter::Settled => return Box::new(self.after(after).filter(|row| row.settled.is_some())),
            RefundFilter::Required => &self.unsettled,
            RefundFilter::Unmatched => &self.unmatched,
        };
        Box::new(listed.range(after.saturating_add(1)..).map(|number| &self.by_number[number]))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// The number of the next refund; numbers begin at 1.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.by_number.last_key_value().map_or(1, |(number, _)| number + 1)
    }

    pub(super) fn memory_estimate(&self) -> usize {
        self.memory_estimate
    }

    pub(super) fn put(&mut self, row: &RefundRow) {
        if row.settled.is_none() {
            self.unsettled.insert(row.number);
        } else {
            self.unsettled.remove(&row.number);
        }
        if row.reason == RefundReason::Unmatched {
            self.unmatched.insert(row.number);
        }
        if self.by_number.insert(row.number, row.clone()).is_none() {
            self.memory_estimate += memory_estimate::refund(&row.order, row);
        }
        self.by_pair.entry(row.order.clone()).or_default().insert(row.txn.clone(), row.number);
    }
}
