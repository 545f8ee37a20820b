//! Orders by id and by idempotency key, and the money that is owed back.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::weight;
use crate::answer::{OrderStatus, RefundReason, RefundStatus};
use crate::command::RefundFilter;
use crate::ids::{IdempotencyKey, OrderId, OrderName, Time, TxnId};
use crate::record::{OrderRow, RefundRow};

#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    pub row: OrderRow,
    pub updated_at: Time,
}

impl Order {
    /// When what it holds runs out.
    fn deadline(&self) -> Option<Time> {
        let reserved = self.row.status == OrderStatus::Reserved;
        self.row.reservation.as_ref().filter(|_| reserved).map(|r| r.deadline)
    }

    /// When it is given up if nobody reserves for it.
    fn abandon_at(&self) -> Option<Time> {
        (self.row.status == OrderStatus::Init).then_some(self.row.abandon_at)
    }

    /// The deadline of what it holds has passed: its partition decides what became of it.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        self.deadline().is_some_and(|at| at <= now)
    }
}

#[derive(Debug, Default)]
pub struct Orders {
    by_id: BTreeMap<OrderId, Order>,
    by_key: HashMap<IdempotencyKey, OrderId>,
    /// INIT orders by when they are given up; derived.
    abandons: BTreeSet<(Time, OrderId)>,
    /// RESERVED orders by the deadline of what they hold; derived.
    deadlines: BTreeSet<(Time, OrderId)>,
    /// PAID and not yet TICKETED; derived.
    unticketed: BTreeSet<OrderId>,
    /// Estimated bytes; derived.
    weight: usize,
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

    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Paid orders that wait for their ticket.
    #[must_use]
    pub fn unticketed(&self) -> &BTreeSet<OrderId> {
        &self.unticketed
    }

    /// The INIT order to be given up first, and when.
    #[must_use]
    pub fn next_abandon(&self) -> Option<(Time, &Order)> {
        self.abandons.first().map(|(at, id)| (*at, &self.by_id[id]))
    }

    /// RESERVED orders whose deadline has passed at `now`: they have not heard from their partition yet.
    pub fn overdue(&self, now: Time) -> impl Iterator<Item = OrderId> {
        self.deadlines.iter().take_while(move |(at, _)| *at <= now).map(|(_, id)| *id)
    }

    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn put(&mut self, row: &OrderRow, updated_at: Time) {
        let order = Order { row: row.clone(), updated_at };
        if order.row.status == OrderStatus::Paid {
            self.unticketed.insert(row.order);
        } else {
            self.unticketed.remove(&row.order);
        }
        if let Some(at) = order.abandon_at() {
            self.abandons.insert((at, row.order));
        }
        if let Some(at) = order.deadline() {
            self.deadlines.insert((at, row.order));
        }
        self.weight += weight::order(&order);
        let (abandon_at, deadline) = (order.abandon_at(), order.deadline());
        let Some(old) = self.by_id.insert(row.order, order) else {
            let other = self.by_key.insert(row.key.clone(), row.order);
            assert!(other.is_none(), "an idempotency key names one order");
            return;
        };
        self.weight -= weight::order(&old);
        if let Some(at) = old.abandon_at().filter(|at| Some(*at) != abandon_at) {
            self.abandons.remove(&(at, row.order));
        }
        if let Some(at) = old.deadline().filter(|at| Some(*at) != deadline) {
            self.deadlines.remove(&(at, row.order));
        }
    }
}

/// One refund for each pair of order and transaction id, for ever.
#[derive(Debug, Default)]
pub struct Refunds {
    by_number: BTreeMap<u64, RefundRow>,
    by_pair: BTreeMap<OrderName, BTreeMap<TxnId, u64>>,
    /// Still owed; derived.
    unsettled: BTreeSet<u64>,
    /// Of no known order; derived.
    unmatched: BTreeSet<u64>,
    /// Estimated bytes; derived.
    weight: usize,
}

impl Refunds {
    #[must_use]
    pub fn get(&self, order: &OrderName, txn: &TxnId) -> Option<&RefundRow> {
        let number = self.by_pair.get(order)?.get(txn)?;
        self.by_number.get(number)
    }

    /// Whether anything is owed for the order, or was.
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

    pub(super) fn weight(&self) -> usize {
        self.weight
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
            self.weight += weight::refund(&row.order, row);
        }
        self.by_pair.entry(row.order.clone()).or_default().insert(row.txn.clone(), row.number);
    }
}
