//! Reclaiming memory, where it is short and before a sale is refused: first what has ended goes, the oldest first; then orders that never
//! had a hold or money. Those are given up, and go once the read model has that.

use alloc::vec::Vec;

use super::{Context, Pending};
use crate::answer::Rejection;
use crate::ids::{OrderId, PartitionKey, Time};
use crate::limits::{
    ABANDONED_AGE_MIN_MS, ABANDONED_PER_RECORD_MAX, FORGOTTEN_PER_RECORD_MAX, LEFT_PER_RECORD_MAX,
    PARTITIONS_PER_SLOT_MAX, SLOT_BYTES_MAX,
};
use crate::record::Body;
use crate::state::Slot;
use crate::status::CancelReason;

/// A kind of memory that may be freed early, in the order in which it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reclaim {
    /// Ended holds that nobody has still to be told of, and ad hoc partitions that are empty by that.
    Ended,
    /// Orders that were given up unreserved, once the read model has that durably.
    Abandoned,
    /// Orders that never had a hold or money, [`ABANDONED_AGE_MIN_MS`] old or older: they are given up, and free their memory later.
    Unreserved,
}

/// A record that frees some of the slot's memory; `None` where it has no such thing. Of orders, only those that are idle go. All that the slot
/// recorded before `durable` the read model has durably.
#[must_use]
pub fn decide_reclaim(
    slot: &Slot,
    cx: &Context<'_>,
    kind: Reclaim,
    durable: Time,
    is_idle: impl Fn(OrderId) -> bool,
) -> Option<Body> {
    match kind {
        Reclaim::Ended => ended(slot),
        Reclaim::Abandoned => abandoned(slot, durable, is_idle),
        Reclaim::Unreserved => unreserved(slot, cx, is_idle),
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

fn abandoned(slot: &Slot, durable: Time, is_idle: impl Fn(OrderId) -> bool) -> Option<Body> {
    let ids = slot.orders().abandoned(durable).filter(|order| is_idle(order.row.order));
    let without_money = ids.filter(|order| slot.txns_of(order).is_empty());
    let orders: Vec<_> = without_money.take(LEFT_PER_RECORD_MAX).map(|order| order.row.order).collect();
    (!orders.is_empty()).then_some(Body::OrdersForgotten { orders })
}

fn unreserved(slot: &Slot, cx: &Context<'_>, is_idle: impl Fn(OrderId) -> bool) -> Option<Body> {
    let created_by = cx.now.minus(ABANDONED_AGE_MIN_MS)?;
    let idle = slot.orders().init(created_by).filter(|order| is_idle(order.row.order));
    let without_money = idle.filter(|order| slot.refunds().status(&order.row.order.name()).is_none());
    let given_up = without_money.take(ABANDONED_PER_RECORD_MAX);
    let rows: Vec<_> = given_up.map(|order| order.row.cancelled(CancelReason::Abandoned)).collect();
    (!rows.is_empty()).then_some(Body::OrdersAbandoned(rows))
}
