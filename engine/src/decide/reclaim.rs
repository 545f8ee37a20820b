//! Reclaiming memory, where it is short and before a sale is refused: first what has ended goes, the oldest first; then
//! orders that never had a hold or money.

use alloc::vec::Vec;

use super::{Context, Pending};
use crate::answer::Rejection;
use crate::ids::{OrderId, PartitionKey, Time};
use crate::limits::{
    DROPPED_AGE_MIN_MS, DROPPED_PER_RECORD_MAX, FORGOTTEN_PER_RECORD_MAX, PARTITIONS_PER_SLOT_MAX,
    SLOT_BYTES_MAX,
};
use crate::record::Body;
use crate::state::Slot;
use crate::status::CancelReason;

/// A kind of memory that may be freed early, in the order in which it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reclaim {
    /// Ended holds that nobody has still to be told of, and ad hoc partitions that are empty by that.
    Ended,
    /// Orders that never had a hold or money, [`DROPPED_AGE_MIN_MS`] old or older.
    Orders,
}

/// A record that frees some of the slot's memory; `None` where it has no such thing. Of orders, only those that are idle go.
#[must_use]
pub fn decide_reclaim(
    slot: &Slot,
    cx: &Context<'_>,
    kind: Reclaim,
    is_idle: impl Fn(OrderId) -> bool,
) -> Option<Body> {
    match kind {
        Reclaim::Ended => ended(slot),
        Reclaim::Orders => orders(slot, cx, is_idle),
    }
}

/// The record of a new sale, or before it one that makes room for it in this slot.
pub(super) fn record(slot: &Slot, sale: Body) -> Result<Pending, Rejection> {
    let opens = matches!(sale, Body::PartitionOpened(_));
    let freed = if opens && slot.partitions().len() >= PARTITIONS_PER_SLOT_MAX {
        let mut with_ended = slot.partitions().with_ended();
        with_ended.find(|(_, p)| p.is_vacant()).map(|(key, _)| forgotten(key))
    } else if slot.memory_estimate() >= SLOT_BYTES_MAX {
        ended(slot)
    } else {
        return Ok(Pending::Append(sale));
    };
    freed.map(Pending::Append).ok_or(Rejection::LimitReached)
}

fn forgotten(key: &PartitionKey) -> Body {
    Body::PartitionForgotten { partition: key.clone() }
}

impl Slot {
    /// The time that [`Reclaim::Ended`] begins with: the lower, the longer ago something has ended.
    #[must_use]
    pub fn oldest_ended(&self) -> Option<Time> {
        self.partitions().with_ended().next().and_then(|(_, p)| p.next_end())
    }
}

/// Of the partition that something has ended in the longest ago: all of it where it is vacant, else its ended holds.
fn ended(slot: &Slot) -> Option<Body> {
    let (key, p) = slot.partitions().with_ended().next()?;
    if p.is_vacant() {
        return Some(forgotten(key));
    }
    let holds = p.ended().take(FORGOTTEN_PER_RECORD_MAX).cloned().collect();
    Some(Body::HoldsForgotten { partition: key.clone(), holds })
}

fn orders(slot: &Slot, cx: &Context<'_>, is_idle: impl Fn(OrderId) -> bool) -> Option<Body> {
    let created_by = Time(cx.now.0.checked_sub(DROPPED_AGE_MIN_MS)?);
    let idle = slot.orders().init(created_by).filter(|order| is_idle(order.row.order));
    let without_money = idle.filter(|order| slot.refunds().status(&order.row.order.name()).is_none());
    let dropped = without_money.take(DROPPED_PER_RECORD_MAX);
    let rows: Vec<_> = dropped.map(|order| order.row.cancelled(CancelReason::Abandoned)).collect();
    (!rows.is_empty()).then_some(Body::OrdersDropped(rows))
}
