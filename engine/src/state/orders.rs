//! Orders by id and by idempotency key, and what time alone brings each to next.

use hashbrown::HashMap;

use super::image::OrderImage;
use super::imaged_map::ImagedMap;
use super::memory_estimate;
use crate::decide::Policy;
use crate::due_index::DueIndex;
use crate::ids::{OrderId, OrderKey, Time};
use crate::limits::LEAVING_TXNS_MAX;
use crate::record::{Kept, OrderRow};
use crate::status::{CancelReason, OrderStatus};

/// An order, and how it stands with leaving.
#[derive(Clone, PartialEq, Debug)]
pub struct Order {
    pub row: OrderRow,
    pub updated_at: Time,
    /// Its seats are of an ad hoc partition, which said that it is kept until then: it is asked again.
    pub(super) ask_at: Option<Time>,
    /// It leaves since then: the slots of its transaction ids are told.
    pub(super) leaving: Option<Time>,
    /// Tells of it to those slots that stand in the outbox; derived.
    unacknowledged_tells: usize,
    /// Its refunds, and those that are still owed; derived.
    refunds: usize,
    refunds_owed: usize,
}

/// The next step of an order that time alone brings.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    /// INIT: it is given up at that time.
    Abandon,
    /// RESERVED: the deadline of what it holds.
    Expire,
    /// PAID: its ticket is due, since its payment.
    Ticket,
    /// CANCELLED: it may leave, a retention after it was. Given up unreserved, or otherwise.
    LeaveAbandoned,
    LeaveCancelled,
    /// TICKETED: it may leave, a retention after its partition may; that is some days after the end of its run.
    LeaveDeparted,
    /// TICKETED: it asks how long its partition is kept. That of an ad hoc partition is not before that one may be forgotten.
    Ask,
    AskAdHoc,
    /// It leaves since that time, and all whom it told have acknowledged.
    Forget,
}

const STEPS: usize = Step::Forget as usize + 1;

impl Order {
    fn step(&self) -> Option<(Step, Time)> {
        let reservation = self.row.reservation.as_ref();
        match self.row.status {
            OrderStatus::Init => return Some((Step::Abandon, self.row.abandon_at)),
            OrderStatus::Reserved => return reservation.map(|r| (Step::Expire, r.deadline)),
            OrderStatus::Paid => return Some((Step::Ticket, self.updated_at)),
            OrderStatus::Ticketed | OrderStatus::Cancelled => {}
        }
        let txns = self.refunds + usize::from(self.row.txn.is_some());
        if self.refunds_owed > 0 || txns > LEAVING_TXNS_MAX {
            return None;
        }
        if let Some(since) = self.leaving {
            return (self.unacknowledged_tells == 0).then_some((Step::Forget, since));
        }
        let Some(reservation) = reservation.filter(|_| self.row.status == OrderStatus::Ticketed) else {
            let is_abandoned = self.row.cancel_reason == Some(CancelReason::Abandoned);
            let step = if is_abandoned { Step::LeaveAbandoned } else { Step::LeaveCancelled };
            return Some((step, self.updated_at));
        };
        Some(match (reservation.ends_at, self.ask_at) {
            (Some(ends_at), _) => (Step::LeaveDeparted, ends_at),
            (None, Some(ask_at)) => (Step::Ask, ask_at),
            (None, None) if reservation.made == 0 => (Step::Ask, self.updated_at),
            (None, None) => (Step::AskAdHoc, self.updated_at),
        })
    }

    /// The deadline of what it holds has passed: its partition decides what became of it.
    #[must_use]
    pub fn is_due(&self, now: Time) -> bool {
        matches!(self.step(), Some((Step::Expire, at)) if at <= now)
    }

    /// It has ended, and nothing is owed for it.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.row.status, OrderStatus::Ticketed | OrderStatus::Cancelled) && self.refunds_owed == 0
    }

    /// It leaves: the slots of its transaction ids are told, or were.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// All whom it told that it leaves have acknowledged.
    #[must_use]
    pub fn has_left_all(&self) -> bool {
        self.leaving.is_some() && self.unacknowledged_tells == 0
    }

    /// It waits for its partition to say how long its seats are kept.
    #[must_use]
    pub fn asks_by(&self, policy: &Policy, now: Time) -> bool {
        match self.step() {
            Some((Step::Ask, at)) => at <= now,
            Some((Step::AskAdHoc, at)) => at.plus(policy.ad_hoc_keep_ms) <= now,
            _ => false,
        }
    }
}

#[derive(Debug, Default)]
pub struct Orders {
    pub(super) by_id: ImagedMap<OrderId, Order>,
    by_key: HashMap<OrderKey, OrderId>,
    /// Each order at its next step; derived.
    steps: [DueIndex<OrderId>; STEPS],
    /// Estimated bytes; derived.
    memory_estimate: usize,
}

impl Orders {
    #[must_use]
    pub fn get(&self, id: OrderId) -> Option<&Order> {
        self.by_id.get(&id)
    }

    #[must_use]
    pub fn by_key(&self, key: &OrderKey) -> Option<&Order> {
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

    fn at(&self, step: Step) -> &DueIndex<OrderId> {
        &self.steps[step as usize]
    }

    fn first(&self, step: Step) -> Option<(Time, &Order)> {
        self.at(step).first().map(|(at, id)| (at, &self.by_id[id]))
    }

    fn due(&self, step: Step, now: Option<Time>) -> impl Iterator<Item = &Order> {
        now.into_iter().flat_map(move |now| self.at(step).due(now)).map(|id| &self.by_id[id])
    }

    /// Paid orders that wait for their ticket, by when they were paid.
    #[must_use]
    pub fn unticketed(&self) -> &DueIndex<OrderId> {
        self.at(Step::Ticket)
    }

    /// The order that waits longest for its ticket, and when it gets one unasked.
    #[must_use]
    pub fn next_ticket(&self, policy: &Policy) -> Option<(Time, &Order)> {
        self.first(Step::Ticket).map(|(paid_at, order)| (paid_at.plus(policy.ticket_after_ms), order))
    }

    /// The INIT order to be given up first, and when.
    #[must_use]
    pub fn next_abandon(&self) -> Option<(Time, &Order)> {
        self.first(Step::Abandon)
    }

    /// INIT orders that were created by `created_by`, the one to be given up first, first.
    pub fn init(&self, created_by: Time) -> impl Iterator<Item = &Order> {
        let init = self.at(Step::Abandon).iter().map(|(_, id)| &self.by_id[id]);
        init.take_while(move |order| order.row.created_at <= created_by)
    }

    /// Orders that are given up or whose hold expires by `at`.
    pub(super) fn waiting_at(&self, at: Time) -> usize {
        self.at(Step::Abandon).due(at).count() + self.at(Step::Expire).due(at).count()
    }

    /// RESERVED orders whose deadline has passed at `now`: they have not heard from their partition yet.
    pub fn overdue(&self, now: Time) -> impl Iterator<Item = OrderId> {
        self.at(Step::Expire).due(now).copied()
    }

    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.at(Step::Expire).first().map(|(at, _)| at)
    }

    /// Orders that were given up unreserved before `before`: they may leave early.
    pub fn abandoned(&self, before: Time) -> impl Iterator<Item = &Order> {
        let abandoned = self.at(Step::LeaveAbandoned).iter();
        abandoned.take_while(move |(at, _)| *at < before).map(|(_, id)| &self.by_id[id])
    }

    /// Bytes of memory that orders take which were given up unreserved, as estimated from below.
    #[must_use]
    pub fn abandoned_bytes(&self) -> usize {
        self.at(Step::LeaveAbandoned).len() * memory_estimate::ORDER_BYTES
    }

    /// The first order that was given up unreserved, and when.
    #[must_use]
    pub fn first_abandoned(&self) -> Option<Time> {
        self.at(Step::LeaveAbandoned).first().map(|(at, _)| at)
    }

    /// Orders that leave, with nobody left who has to acknowledge it; those that began before `before`.
    pub fn left_all(&self, before: Time) -> impl Iterator<Item = &Order> {
        let leaving = self.at(Step::Forget).iter();
        leaving.take_while(move |(since, _)| *since < before).map(|(_, id)| &self.by_id[id])
    }

    /// Orders whose time to leave has come, which have not begun to, and which last changed before `before`.
    pub fn leavable(&self, policy: &Policy, now: Time, before: Time) -> impl Iterator<Item = &Order> {
        let ended = now.minus(policy.order_retention_ms);
        let departed = ended.and_then(|at| at.minus(policy.departed_ms));
        // A cancelled order last changed when it ended: what came later is not looked at, however much of it there is.
        let cancelled_by = before.minus(1).and_then(|before| ended.map(|ended| ended.min(before)));
        let cancelled =
            self.due(Step::LeaveAbandoned, cancelled_by).chain(self.due(Step::LeaveCancelled, cancelled_by));
        let departed = self.due(Step::LeaveDeparted, departed);
        cancelled.chain(departed.filter(move |order| order.updated_at < before))
    }

    /// Orders that ask how long their partition is kept.
    pub fn asking(&self, policy: &Policy, now: Time) -> impl Iterator<Item = OrderId> {
        let ad_hoc = self.due(Step::AskAdHoc, now.minus(policy.ad_hoc_keep_ms));
        self.due(Step::Ask, Some(now)).chain(ad_hoc).map(|order| order.row.order)
    }

    /// When the next order may leave, or asks how long its partition is kept.
    pub(super) fn next_leave(&self, policy: &Policy) -> Option<Time> {
        let retention = policy.order_retention_ms;
        let first = |step, ms: u64| self.at(step).first().map(|(at, _)| at.plus(ms));
        let times = [
            // Whatever the calendar shows: it was time when they began to.
            first(Step::Forget, 0).map(|_| Time(0)),
            first(Step::LeaveAbandoned, retention),
            first(Step::LeaveCancelled, retention),
            first(Step::LeaveDeparted, policy.departed_ms.saturating_add(retention)),
            first(Step::Ask, 0),
            first(Step::AskAdHoc, policy.ad_hoc_keep_ms),
        ];
        times.into_iter().flatten().min()
    }

    pub(super) fn put(&mut self, row: &OrderRow, updated_at: Time) {
        if self.by_id.contains_key(&row.order) {
            self.change(row.order, |order| {
                order.row = row.clone();
                order.updated_at = updated_at;
            });
            return;
        }
        let other = self.by_key.insert(row.key.clone(), row.order);
        assert!(other.is_none(), "an idempotency key names one order");
        let order = Order {
            row: row.clone(),
            updated_at,
            ask_at: None,
            leaving: None,
            unacknowledged_tells: 0,
            refunds: 0,
            refunds_owed: 0,
        };
        self.memory_estimate += memory_estimate::order(&order);
        let step = order.step();
        self.by_id.insert(row.order, order);
        self.reschedule(row.order, None, step);
    }

    /// As it comes back from an image.
    pub(super) fn restore(&mut self, image: &OrderImage) {
        self.put(&image.row, image.updated_at);
        self.change(image.row.order, |order| {
            order.ask_at = image.ask_at;
            order.leaving = image.leaving;
        });
    }

    fn change(&mut self, id: OrderId, change: impl FnOnce(&mut Order)) {
        let order = self.by_id.get_mut(&id).expect("a logged change is of an order that is there");
        let (step, bytes) = (order.step(), memory_estimate::order(order));
        change(order);
        let (next, next_bytes) = (order.step(), memory_estimate::order(order));
        self.memory_estimate = self.memory_estimate - bytes + next_bytes;
        self.reschedule(id, step, next);
    }

    fn reschedule(&mut self, id: OrderId, old: Option<(Step, Time)>, new: Option<(Step, Time)>) {
        if old == new {
            return;
        }
        if let Some((step, at)) = old {
            self.steps[step as usize].reschedule(&id, Some(at), None);
        }
        if let Some((step, at)) = new {
            self.steps[step as usize].reschedule(&id, None, Some(at));
        }
    }

    pub(super) fn kept(&mut self, id: OrderId, kept: Kept) {
        self.change(id, |order| match kept {
            Kept::PastEnd(at) => {
                let reservation = order.row.reservation.as_mut();
                reservation.expect("only an order with seats asks how long they are kept").ends_at = Some(at);
            }
            Kept::UntilAtLeast(at) => order.ask_at = Some(at),
        });
    }

    pub(super) fn leaves(&mut self, id: OrderId, since: Time) {
        self.change(id, |order| order.leaving = Some(since));
    }

    /// A tell that the order leaves joined the outbox. An image may tell of one that has left: it counts for nothing.
    pub(super) fn tell_recorded(&mut self, id: OrderId) {
        if self.by_id.contains_key(&id) {
            self.change(id, |order| order.unacknowledged_tells += 1);
        }
    }

    pub(super) fn tell_acknowledged(&mut self, id: OrderId) {
        if self.by_id.contains_key(&id) {
            self.change(id, |order| order.unacknowledged_tells -= 1);
        }
    }

    /// A refund of the order was recorded. Money that is owed back keeps it here: it begins to leave anew once that is settled.
    pub(super) fn refund_owed(&mut self, id: OrderId) {
        self.change(id, |order| {
            order.refunds += 1;
            order.refunds_owed += 1;
            order.leaving = None;
        });
    }

    pub(super) fn refund_restored(&mut self, id: OrderId) {
        self.change(id, |order| order.refunds += 1);
    }

    pub(super) fn refund_settled(&mut self, id: OrderId) {
        self.change(id, |order| order.refunds_owed -= 1);
    }

    pub(super) fn forget(&mut self, id: OrderId) {
        let order = self.by_id.remove(&id).expect("a forgotten order was there");
        self.by_key.remove(&order.row.key);
        self.memory_estimate -= memory_estimate::order(&order);
        self.reschedule(id, order.step(), None);
    }
}
