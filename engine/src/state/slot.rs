//! One slot: everything that hashes to it, and its outbox.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::image::ImageUnderWay;
use super::imaged_map::ImagedMap;
use super::{Order, Orders, Partition, Partitions, Refunds, memory_estimate};
use crate::decide::Policy;
use crate::ids::{HoldId, OrderId, PartitionKey, SlotId, Time, TxnId};
use crate::limits::AD_HOC_KEPT_PAST_DATE_MS;
use crate::message::{Fact, Outbox, Tell};
use crate::record::{OrderRow, RefundRow, TellId};

#[derive(Debug)]
pub struct Slot {
    pub(super) id: SlotId,
    pub(super) seq: u64,
    /// The time of the last record.
    pub(super) time: Time,
    pub(super) partitions: Partitions,
    pub(super) orders: Orders,
    pub(super) claims: ImagedMap<TxnId, OrderId>,
    /// Estimated bytes of `claims`; derived.
    pub(super) claims_memory_estimate: usize,
    pub(super) refunds: Refunds,
    pub(super) outbox: ImagedMap<TellId, Tell>,
    pub(super) next_tell: TellId,
    /// The highest sequence of any partition that was forgotten.
    pub(super) forgotten_seq: u64,
    /// Orders and refunds that have left.
    pub(super) left: u64,
    pub(super) image: Option<Box<ImageUnderWay>>,
}

impl Slot {
    #[must_use]
    pub fn new(id: SlotId) -> Slot {
        Slot {
            id,
            seq: 0,
            time: Time(0),
            partitions: Partitions::default(),
            orders: Orders::default(),
            claims: ImagedMap::default(),
            claims_memory_estimate: 0,
            refunds: Refunds::default(),
            outbox: ImagedMap::default(),
            next_tell: TellId(1),
            forgotten_seq: 0,
            left: 0,
            image: None,
        }
    }

    #[must_use]
    pub fn id(&self) -> SlotId {
        self.id
    }

    /// The sequence of the last record; 0 where there was none.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    #[must_use]
    pub fn time(&self) -> Time {
        self.time
    }

    #[must_use]
    pub fn partitions(&self) -> &Partitions {
        &self.partitions
    }

    #[must_use]
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    #[must_use]
    pub fn claim(&self, txn: &TxnId) -> Option<OrderId> {
        self.claims.get(txn).copied()
    }

    #[must_use]
    pub fn claims_count(&self) -> usize {
        self.claims.len()
    }

    pub(super) fn put_claim(&mut self, txn: TxnId, order: OrderId) {
        self.claims_memory_estimate += memory_estimate::claim(&txn);
        let before = self.claims.insert(txn, order);
        assert!(before.is_none(), "a transaction id is claimed once");
    }

    #[must_use]
    pub fn refunds(&self) -> &Refunds {
        &self.refunds
    }

    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// A partition that the image under way has still to give stays for it.
    pub(super) fn forget_partition(&mut self, key: &PartitionKey) {
        let forgotten = self.partitions.forget(key);
        self.forgotten_seq = self.forgotten_seq.max(forgotten.seq);
        if let Some(image) = &mut self.image
            && forgotten.is_awaited_by_image()
        {
            image.keep_forgotten(key.clone(), forgotten);
        }
    }

    pub(super) fn remove_claim(&mut self, txn: &TxnId) {
        self.claims.remove(txn).expect("a forgotten claim was there");
        self.claims_memory_estimate -= memory_estimate::claim(txn);
    }

    /// The order of a refund, where the slot has it.
    pub(crate) fn order_of(&self, refund: &RefundRow) -> Option<OrderId> {
        OrderId::parse(refund.order.as_str()).filter(|id| self.orders.get(*id).is_some())
    }

    pub(super) fn put_order(&mut self, row: &OrderRow, at: Time) {
        let is_new = self.orders.get(row.order).is_none();
        self.orders.put(row, at);
        if is_new && !self.refunds.is_empty() {
            // Money may have come for its id before: it is the order's now.
            for refund in self.refunds.adopt(&row.order.name()) {
                self.count_refund(row.order, None, &refund);
            }
        }
    }

    pub(super) fn put_refund(&mut self, row: &RefundRow) {
        let order = self.order_of(row);
        let was_owed = self.refunds.get(&row.order, &row.txn).map(|before| before.settled.is_none());
        self.refunds.put(row, order.is_none());
        if let Some(order) = order {
            self.count_refund(order, was_owed, row);
        }
    }

    fn count_refund(&mut self, order: OrderId, was_owed: Option<bool>, row: &RefundRow) {
        match (was_owed, &row.settled) {
            (None, None) => self.orders.refund_owed(order),
            // From an image.
            (None, Some(_)) => self.orders.refund_restored(order),
            (Some(true), Some(_)) => self.orders.refund_settled(order),
            (Some(_), _) => {}
        }
    }

    /// Orders, and refunds without one, that have ever left the slot.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left
    }

    pub(super) fn forget_order(&mut self, id: OrderId) {
        self.left += 1;
        self.orders.forget(id);
        self.refunds.forget_of(&id.name());
    }

    pub(super) fn put_tell(&mut self, tell: Tell) {
        if let Fact::OrderLeaves { order, .. } = tell.fact {
            self.orders.tell_recorded(order);
        }
        self.change_told_hold(&tell.fact, Partition::tell_recorded);
        self.outbox.insert(tell.id, tell);
    }

    pub(super) fn remove_tell(&mut self, id: TellId) {
        if let Some(tell) = self.outbox.remove(&id) {
            if let Fact::OrderLeaves { order, .. } = tell.fact {
                self.orders.tell_acknowledged(order);
            }
            self.change_told_hold(&tell.fact, Partition::tell_acknowledged);
        }
    }

    /// Old logs may tell of a hold or a partition that was already forgotten; such a fact counts for nothing.
    fn change_told_hold(&mut self, fact: &Fact, change: impl FnOnce(&mut Partition, &HoldId)) {
        if let Some((partition, hold)) = fact.hold()
            && self.partitions.get(partition).is_some()
        {
            self.partitions.change(partition, |p| change(p, hold));
        }
    }

    /// The highest sequence of any partition that was forgotten: the next to open goes on from there.
    #[must_use]
    pub fn forgotten_seq(&self) -> u64 {
        self.forgotten_seq
    }

    /// The number of the next tell.
    #[must_use]
    pub fn next_tell(&self) -> TellId {
        self.next_tell
    }

    /// The engine time from which on `decide_due` has a record for this slot, beside what goes by the calendar.
    #[must_use]
    pub fn next_due(&self, policy: &Policy) -> Option<Time> {
        let hold = self.partitions.next_due().map(|(at, _)| at);
        let ticket = self.orders.next_ticket(policy).map(|(at, _)| at);
        let order = self.orders.next_abandon().map(|(at, _)| at);
        hold.into_iter().chain(ticket).chain(order).min()
    }

    /// The partition with sold seats to be forgotten next, and the day by the calendar on which it may be. None while anybody has
    /// still to be told something: it may be about that one.
    #[must_use]
    pub fn next_departure(&self, policy: &Policy) -> Option<(Time, &PartitionKey)> {
        if !self.outbox.is_empty() {
            return None;
        }
        let run = self.partitions.next_departed().map(|(at, key)| (at.plus(policy.departed_ms), key));
        run.into_iter().chain(self.next_kept(policy)).min()
    }

    /// The time by the calendar from which on something may leave, or has to ask whether it may.
    #[must_use]
    pub fn next_leave(&self, policy: &Policy) -> Option<Time> {
        self.orders.next_leave(policy).into_iter().chain(self.refunds.next_leave(policy)).min()
    }

    /// The transaction ids that an order has: of the payment that paid it, and of those that go back.
    #[must_use]
    pub fn txns_of(&self, order: &Order) -> Vec<TxnId> {
        if self.refunds.is_empty() {
            return order.row.txn.iter().cloned().collect();
        }
        let name = order.row.order.name();
        let refunded = self.refunds.of(&name).map(|refund| &refund.txn);
        order.row.txn.iter().chain(refunded).cloned().collect()
    }

    /// The ad hoc partition with sold seats whose time is over first, and when.
    fn next_kept(&self, policy: &Policy) -> Option<(Time, &PartitionKey)> {
        let mut first: Option<(Time, &PartitionKey)> = None;
        for (changed_at, key) in self.partitions.kept() {
            let at = changed_at.plus(policy.ad_hoc_keep_ms);
            if first.is_some_and(|(first, _)| first <= at) {
                // Nor can one that has changed since.
                break;
            }
            first = first.into_iter().chain([(kept_until(policy, changed_at, key), key)]).min();
        }
        first
    }

    /// Bytes of memory that the slot takes, as estimated.
    #[must_use]
    pub fn memory_estimate(&self) -> usize {
        let tells = self.outbox.len() * memory_estimate::TELL_BYTES;
        self.partitions.memory_estimate()
            + self.orders.memory_estimate()
            + self.refunds.memory_estimate()
            + self.claims_memory_estimate
            + tells
    }

    /// Nothing was ever recorded here.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.seq == 0
    }
}

/// When an ad hoc partition with sold seats, last changed then, may be forgotten.
pub(crate) fn kept_until(policy: &Policy, changed_at: Time, key: &PartitionKey) -> Time {
    let at = changed_at.plus(policy.ad_hoc_keep_ms);
    key.date_start().map_or(at, |date| at.max(date.plus(AD_HOC_KEPT_PAST_DATE_MS)))
}
