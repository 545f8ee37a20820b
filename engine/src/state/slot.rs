//! One slot: everything that hashes to it, and its outbox.

use hashbrown::HashMap;

use super::{Orders, Partition, Partitions, Refunds, memory_estimate};
use crate::decide::Policy;
use crate::ids::{HoldId, OrderId, PartitionKey, SlotId, Time, TxnId};
use crate::message::{Fact, Outbox, Tell};
use crate::record::TellId;

#[derive(Debug)]
pub struct Slot {
    pub(super) id: SlotId,
    pub(super) seq: u64,
    /// The time of the last record.
    pub(super) time: Time,
    pub(super) partitions: Partitions,
    pub(super) orders: Orders,
    pub(super) claims: HashMap<TxnId, OrderId>,
    /// Estimated bytes of `claims`; derived.
    pub(super) claims_memory_estimate: usize,
    pub(super) refunds: Refunds,
    pub(super) outbox: Outbox,
    pub(super) next_tell: TellId,
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
            claims: HashMap::new(),
            claims_memory_estimate: 0,
            refunds: Refunds::default(),
            outbox: Outbox::new(),
            next_tell: TellId(1),
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

    pub(super) fn put_tell(&mut self, tell: Tell) {
        self.change_told_hold(&tell.fact, Partition::tell_recorded);
        self.outbox.insert(tell.id, tell);
    }

    pub(super) fn remove_tell(&mut self, id: TellId) {
        if let Some(tell) = self.outbox.remove(&id) {
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

    /// The number of the next tell.
    #[must_use]
    pub fn next_tell(&self) -> TellId {
        self.next_tell
    }

    /// The time from which on `decide_due` has a record for this slot.
    #[must_use]
    pub fn next_due(&self, policy: &Policy) -> Option<Time> {
        let hold = self.partitions.next_due().map(|(at, _)| at);
        let ticket = self.orders.next_ticket().map(|(at, _)| at);
        let order = self.orders.next_abandon().map(|(at, _)| at);
        let run = self.departed().map(|(at, _)| at.plus(policy.departed_ms));
        hold.into_iter().chain(ticket).chain(order).chain(run).min()
    }

    /// The partition to be forgotten next. None while anybody has still to be told something: it may be about that one.
    pub(crate) fn departed(&self) -> Option<(Time, &PartitionKey)> {
        self.partitions.next_departed().filter(|_| self.outbox.is_empty())
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
