//! What may go before its time where memory is short, and before a sale is refused: first what has ended, the oldest first; then
//! orders that never had a hold or money.

use alloc::vec::Vec;

use super::orders::cancelled_row;
use super::{Context, Pending};
use crate::answer::Rejection;
use crate::ids::Time;
use crate::limits::{
    DROPPED_AGE_MIN_MS, DROPPED_PER_RECORD_MAX, FORGOTTEN_PER_RECORD_MAX, PARTITIONS_PER_SLOT_MAX,
    SLOT_BYTES_MAX,
};
use crate::record::Body;
use crate::state::{Order, Slot};
use crate::status::CancelReason;

/// A kind of memory that may be freed early, in the order in which it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reclaim {
    /// Ended holds that nobody has still to be told of, and ad hoc partitions that are empty by that.
    Ended,
    /// Orders that never had a hold or money, [`DROPPED_AGE_MIN_MS`] old or older.
    Orders,
}

/// A record that frees some of the slot's memory; `None` where it has no such thing.
#[must_use]
pub fn decide_reclaim(slot: &Slot, cx: &Context<'_>, kind: Reclaim) -> Option<Body> {
    match kind {
        Reclaim::Ended => ended(slot),
        Reclaim::Orders => orders(slot, cx),
    }
}

/// The record of a new sale, or before it one that makes room for it in this slot.
pub(super) fn record(slot: &Slot, cx: &Context<'_>, sale: Body) -> Result<Pending, Rejection> {
    let opens = matches!(sale, Body::PartitionOpened(_));
    let too_many = opens && slot.partitions().len() >= PARTITIONS_PER_SLOT_MAX;
    if slot.memory_estimate() < SLOT_BYTES_MAX && !too_many {
        return Ok(Pending::Append(sale));
    }
    let freed = ended(slot).or_else(|| orders(slot, cx));
    freed.map(Pending::Append).ok_or(Rejection::LimitReached)
}

impl Slot {
    /// The time that [`Reclaim::Ended`] begins with: the lower, the longer ago something has ended.
    #[must_use]
    pub fn oldest_ended(&self) -> Option<Time> {
        self.partitions().next_ended().map(|(at, _)| at)
    }
}

fn ended(slot: &Slot) -> Option<Body> {
    let (_, key) = slot.partitions().next_ended()?;
    let p = slot.partitions().get(key)?;
    if p.is_vacant() {
        return Some(Body::PartitionForgotten { partition: key.clone() });
    }
    let holds = p.ended().take(FORGOTTEN_PER_RECORD_MAX).cloned().collect();
    Some(Body::HoldsForgotten { partition: key.clone(), holds })
}

fn orders(slot: &Slot, cx: &Context<'_>) -> Option<Body> {
    let created_by = Time(cx.now.0.checked_sub(DROPPED_AGE_MIN_MS)?);
    let looked_at = slot.orders().init(created_by).take(DROPPED_PER_RECORD_MAX);
    let without_money = looked_at.filter(|order| slot.refunds().status(&order.row.order.name()).is_none());
    let rows: Vec<_> =
        without_money.map(|order: &Order| cancelled_row(order, CancelReason::Abandoned)).collect();
    (!rows.is_empty()).then_some(Body::OrdersDropped(rows))
}
