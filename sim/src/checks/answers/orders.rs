//! Answers about orders.

use engine::answer::{Answer, OrderStatus, OrderView, Rejection, Reply};
use engine::command::{Cancel, CreateOrder, ExpectedHold, Purchase, Reserve};
use engine::ids::{OrderId, OrderKey, Time};
use engine::record::Reservation;
use engine::text::Text;

use super::{At, inventory};

use crate::checks::model::state::{Order, Slot};

/// True where this is the order as the slot has it.
pub(super) fn shows(slot: &Slot, order: &Order, view: &OrderView) -> bool {
    let row = &order.row;
    let reservation = match (&row.reservation, &view.reservation) {
        (None, None) => true,
        (Some(r), Some(v)) => {
            (&r.partition, &r.hold, r.quantity, r.from, r.to, &r.labels, r.deadline)
                == (&v.partition, &v.hold, v.quantity, v.from, v.to, &v.seats, v.expires_at)
        }
        _ => false,
    };
    reservation
        && (row.order, row.key.name(), row.status, row.amount)
            == (view.order, &view.key, view.status, view.amount)
        && (row.created_at, order.updated_at) == (view.created_at, view.updated_at)
        && (row.cancel_reason, &row.txn) == (view.cancel_reason, &view.txn)
        && view.refund == slot.refund_status(&row.order.name())
}

/// RESERVED, and its deadline has passed: only its partition can say what became of it.
fn is_overdue(order: &Order, now: Time) -> bool {
    let deadline = order.row.reservation.as_ref().map(|r| r.deadline);
    order.row.status == OrderStatus::Reserved && deadline.is_some_and(|deadline| deadline <= now)
}

fn is_shown(slot: &Slot, order: &Order, now: Time, reply: &Reply) -> bool {
    matches!(reply, Ok(Answer::Order(view)) if !is_overdue(order, now) && shows(slot, order, view))
}

pub(super) fn agrees(r: &Reservation, expected: &ExpectedHold) -> bool {
    expected.partition.as_ref().is_none_or(|p| *p == r.partition)
        && expected.hold.as_ref().is_none_or(|h| *h == r.hold)
}

pub(super) fn create(slot: &Slot, now: Time, c: &CreateOrder, reply: &Reply) -> bool {
    let key = OrderKey::Plain(c.key.clone());
    let Some(order) = slot.keys.get(&key).and_then(|id| slot.orders.get(id)) else { return false };
    match reply {
        Err(why) => *why == Rejection::AmountDiffers && order.row.amount != c.amount,
        Ok(_) => order.row.amount == c.amount && is_shown(slot, order, now, reply),
    }
}

/// One that is there is answered with; else its seats are refused.
pub(super) fn purchase(slot: &Slot, at: &At<'_>, c: &Purchase, reply: &Reply) -> bool {
    let run = c.partition.run().unwrap_or(c.partition.as_str());
    let key = OrderKey::OfRun { run: Text::from(run), key: c.key.clone() };
    let Some(order) = slot.keys.get(&key).and_then(|id| slot.orders.get(id)) else {
        let policy = &at.inputs.policy;
        let most = policy.hold_ttl_ms.max(policy.hold_ttl_max_ms);
        return if c.ttl_ms.is_some_and(|ttl| !(1..=most).contains(&ttl)) {
            *reply == Err(Rejection::InvalidTtl)
        } else {
            inventory::refuse_purchase(slot, at, c, reply)
        };
    };
    let is_same = order.row.reservation.as_ref().is_some_and(|r| {
        let span = c.span.map_or((0, r.segments), |span| (span.from(), span.to()));
        r.partition == c.partition && r.quantity == c.quantity && (r.from, r.to) == span
    });
    match reply {
        Err(why) => *why == Rejection::KeyReused && !(is_same && order.row.amount == c.amount),
        Ok(_) => is_same && order.row.amount == c.amount && is_shown(slot, order, at.time, reply),
    }
}

pub(super) fn get(slot: &Slot, now: Time, id: OrderId, reply: &Reply) -> bool {
    match slot.orders.get(&id) {
        None => *reply == Err(Rejection::OrderNotFound),
        Some(order) => is_shown(slot, order, now, reply),
    }
}

pub(super) fn ticket(slot: &Slot, id: OrderId, reply: &Reply) -> bool {
    let Some(order) = slot.orders.get(&id) else { return *reply == Err(Rejection::OrderNotFound) };
    match (order.row.status, reply) {
        (OrderStatus::Ticketed, Ok(Answer::Order(view))) => shows(slot, order, view),
        (OrderStatus::Ticketed | OrderStatus::Paid, _) => false,
        (_, reply) => *reply == Err(Rejection::InvalidTransition),
    }
}

pub(super) fn cancel(slot: &Slot, c: &Cancel, reply: &Reply) -> bool {
    let Some(order) = slot.orders.get(&c.order) else { return *reply == Err(Rejection::OrderNotFound) };
    if order.row.reservation.as_ref().is_some_and(|r| !agrees(r, &c.expected)) {
        return *reply == Err(Rejection::HoldMismatch);
    }
    match (order.row.status, reply) {
        (OrderStatus::Cancelled, Ok(Answer::Order(view))) => shows(slot, order, view),
        (OrderStatus::Paid | OrderStatus::Ticketed, reply) => *reply == Err(Rejection::InvalidTransition),
        _ => false,
    }
}

pub(super) fn reserve(slot: &Slot, now: Time, c: &Reserve, reply: &Reply) -> bool {
    let Some(order) = slot.orders.get(&c.order) else { return *reply == Err(Rejection::OrderNotFound) };
    let what = |r: &Reservation| {
        let (from, to) = c.seats.span.map_or((0, r.segments), |span| (span.from(), span.to()));
        r.partition == c.seats.partition
            && r.hold == c.seats.hold
            && (r.quantity, r.from, r.to) == (c.seats.quantity, from, to)
    };
    match (order.row.status, &order.row.reservation, reply) {
        (OrderStatus::Reserved, Some(r), Ok(_)) => what(r) && is_shown(slot, order, now, reply),
        (OrderStatus::Reserved, Some(r), Err(why)) => {
            *why == Rejection::ReservationDiffers && !what(r) && !is_overdue(order, now)
        }
        (OrderStatus::Init, ..) => false,
        (.., reply) => *reply == Err(Rejection::InvalidTransition),
    }
}
