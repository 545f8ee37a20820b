//! Due work: records that time alone asks for. Each is bounded; the caller comes back for the next.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Context, orders, purchases};
use crate::ids::PartitionKey;
use crate::limits::{EXPIRED_PER_RECORD_MAX, EXPIRED_SEATS_PER_RECORD_MAX, FORGOTTEN_PER_RECORD_MAX};
use crate::record::{Body, ExpiredHold, HoldRow};
use crate::state::{Partition, Slot};
use crate::status::{CancelReason, HoldStatus};

/// The next record that time alone asks of the slot: `Some` exactly when [`Slot::next_due`] has come, or by the calendar
/// [`Slot::next_departure`].
///
/// Seats that others may want are freed first, then tickets are issued that somebody waits for. What only takes memory comes
/// last. None of them can hold up the next for long: each record does away with its own cause.
#[must_use]
pub fn decide_due(slot: &Slot, cx: &Context<'_>) -> Option<Body> {
    holds(slot, cx).or_else(|| ticket(slot, cx)).or_else(|| abandon(slot, cx)).or_else(|| departed(slot, cx))
}

fn holds(slot: &Slot, cx: &Context<'_>) -> Option<Body> {
    let (_, key) = slot.partitions().next_due().filter(|(at, _)| *at <= cx.now)?;
    let p = slot.partitions().get(key)?;
    expired(slot, key, p, cx).or_else(|| forget(key, p, cx)).or_else(|| {
        // Ad hoc, and the last that it remembered is forgotten.
        p.remembers_nothing().then(|| Body::PartitionForgotten { partition: key.clone() })
    })
}

/// Ends holds whose deadline has passed: the first so many of them.
pub(super) fn expired(slot: &Slot, key: &PartitionKey, p: &Partition, cx: &Context<'_>) -> Option<Body> {
    // The usual case, and every decision about a partition begins here.
    if p.next_deadline().is_none_or(|at| at > cx.now) {
        return None;
    }
    let mut rows: Vec<ExpiredHold> = Vec::new();
    let mut seats = 0;
    for (id, hold) in p.due(cx.now).take(EXPIRED_PER_RECORD_MAX) {
        seats += hold.seats.len();
        if seats > EXPIRED_SEATS_PER_RECORD_MAX && !rows.is_empty() {
            break;
        }
        let next = p.next_row(key, id, hold);
        let hold_row = HoldRow {
            partition_seq: next.partition_seq + rows.len() as u64,
            status: HoldStatus::Expired,
            keep_until: cx.now.plus(cx.policy.hold_memory_ms),
            ..next
        };
        let purchase = hold.owner.and_then(|order| purchases::of(slot, order));
        let purchase = purchase.map(|order| Box::new(order.row.cancelled(CancelReason::HoldExpired)));
        rows.push(ExpiredHold { hold: hold_row, purchase });
    }
    (!rows.is_empty()).then_some(Body::HoldsExpired(rows))
}

fn forget(key: &PartitionKey, p: &Partition, cx: &Context<'_>) -> Option<Body> {
    let holds: Vec<_> = p.forgettable(cx.now).take(FORGOTTEN_PER_RECORD_MAX).cloned().collect();
    (!holds.is_empty()).then(|| Body::HoldsForgotten { partition: key.clone(), holds })
}

fn ticket(slot: &Slot, cx: &Context<'_>) -> Option<Body> {
    let (_, order) = slot.orders().next_ticket(cx.policy).filter(|(at, _)| *at <= cx.now)?;
    Some(orders::ticketed(order))
}

fn abandon(slot: &Slot, cx: &Context<'_>) -> Option<Body> {
    let (_, order) = slot.orders().next_abandon().filter(|(at, _)| *at <= cx.now)?;
    Some(orders::cancelled(order, CancelReason::Abandoned))
}

fn departed(slot: &Slot, cx: &Context<'_>) -> Option<Body> {
    let (_, key) = slot.next_departure(cx.policy).filter(|(at, _)| *at <= cx.calendar)?;
    Some(Body::PartitionForgotten { partition: key.clone() })
}
