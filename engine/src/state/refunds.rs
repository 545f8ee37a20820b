//! Refunds of a slot: money that is owed back, or was.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::imaged_map::ImagedMap;
use super::memory_estimate;
use crate::command::RefundFilter;
use crate::decide::Policy;
use crate::due_index::DueIndex;
use crate::ids::{OrderName, Time, TxnId};
use crate::limits::LOOKED_UP_MS_MAX;
use crate::record::RefundRow;
use crate::status::RefundStatus;

/// Money that is owed back, or was: one refund for each pair of order and transaction id. One that is settled leaves with its order, or, where
/// the slot does not have that, a retention after it was settled.
#[derive(Debug)]
pub struct Refunds {
    pub(super) by_number: ImagedMap<u64, RefundRow>,
    by_pair: BTreeMap<OrderName, BTreeMap<TxnId, u64>>,
    /// Still owed; derived.
    unsettled: BTreeSet<u64>,
    /// Of no known order; derived.
    unmatched: BTreeSet<u64>,
    /// Settled, of orders that the slot does not have, by when they were; derived.
    settled_alone: DueIndex<u64>,
    /// None that was ever given comes again.
    next_number: u64,
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
        self.next_number
    }

    /// Those of one order, by transaction id.
    pub fn of(&self, order: &OrderName) -> impl Iterator<Item = &RefundRow> {
        let numbers = self.by_pair.get(order).into_iter().flat_map(BTreeMap::values);
        numbers.map(|number| &self.by_number[number])
    }

    /// Settled ones of orders that the slot does not have, whose time to leave has come, settled before `before`.
    pub fn leavable(&self, policy: &Policy, now: Time, before: Time) -> impl Iterator<Item = u64> {
        let settled_by = now.minus(alone_ms(policy));
        let due = settled_by
            .into_iter()
            .flat_map(|at| self.settled_alone.iter().take_while(move |(t, _)| *t <= at));
        due.take_while(move |(at, _)| *at < before).map(|(_, number)| *number)
    }

    /// When the next of those may leave.
    pub(super) fn next_leave(&self, policy: &Policy) -> Option<Time> {
        self.settled_alone.first().map(|(at, _)| at.plus(alone_ms(policy)))
    }

    pub(super) fn memory_estimate(&self) -> usize {
        self.memory_estimate
    }

    /// `is_alone`: the slot does not have its order.
    pub(super) fn put(&mut self, row: &RefundRow, is_alone: bool) {
        match &row.settled {
            None => {
                self.unsettled.insert(row.number);
            }
            Some(settled) => {
                self.unsettled.remove(&row.number);
                if is_alone {
                    let before = self.by_number.get(&row.number).and_then(|row| row.settled.as_ref());
                    let before = before.map(|settled| settled.at);
                    self.settled_alone.reschedule(&row.number, before, Some(settled.at));
                }
            }
        }
        if row.reason.is_unmatched() {
            self.unmatched.insert(row.number);
        }
        if self.by_number.insert(row.number, row.clone()).is_none() {
            self.memory_estimate += memory_estimate::refund(&row.order, row);
        }
        self.by_pair.entry(row.order.clone()).or_default().insert(row.txn.clone(), row.number);
        self.next_number = self.next_number.max(row.number.saturating_add(1));
    }

    /// Numbers go on from there.
    pub(super) fn go_on_from(&mut self, number: u64) {
        self.next_number = self.next_number.max(number);
    }

    /// The slot has their order now.
    pub(super) fn adopt(&mut self, order: &OrderName) -> Vec<RefundRow> {
        let rows: Vec<RefundRow> = self.of(order).cloned().collect();
        for row in &rows {
            let settled_at = row.settled.as_ref().map(|settled| settled.at);
            self.settled_alone.reschedule(&row.number, settled_at, None);
        }
        rows
    }

    /// Those of an order that is forgotten.
    pub(super) fn forget_of(&mut self, order: &OrderName) {
        let numbers: Vec<u64> = self.of(order).map(|row| row.number).collect();
        numbers.into_iter().for_each(|number| drop(self.remove(number)));
    }

    /// One of an order that the slot does not have.
    pub(super) fn forget_alone(&mut self, number: u64) {
        let row = self.remove(number);
        let settled = row.settled.expect("a refund that is owed is never forgotten");
        self.settled_alone.reschedule(&number, Some(settled.at), None);
    }

    fn remove(&mut self, number: u64) -> RefundRow {
        let row = self.by_number.remove(&number).expect("a forgotten refund was there");
        let txns = self.by_pair.get_mut(&row.order).expect("a refund stands under its pair");
        txns.remove(&row.txn);
        if txns.is_empty() {
            self.by_pair.remove(&row.order);
        }
        self.unmatched.remove(&number);
        self.memory_estimate -= memory_estimate::refund(&row.order, &row);
        row
    }
}

/// A settled refund of an order that the slot does not have is kept for so long: what was looked up before it was is then too old.
fn alone_ms(policy: &Policy) -> u64 {
    policy.order_retention_ms.max(LOOKED_UP_MS_MAX)
}

impl Default for Refunds {
    fn default() -> Refunds {
        Refunds {
            by_number: ImagedMap::default(),
            by_pair: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            unmatched: BTreeSet::new(),
            settled_alone: DueIndex::default(),
            next_number: 1,
            memory_estimate: 0,
        }
    }
}
