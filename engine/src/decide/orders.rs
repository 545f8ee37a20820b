//! The life of an order: INIT, RESERVED, PAID, TICKETED, or CANCELLED.

use alloc::boxed::Box;

use super::{Context, Step, views};
use crate::answer::{Answer, CancelReason, OrderStatus, Rejection, Reply};
use crate::command::{Cancel, CreateOrder, Named, Reserve};
use crate::ids::{OrderId, TxnId};
use crate::limits::{ORDERS_PER_SLOT_MAX, SLOT_BYTES_MAX};
use crate::message::{Ask, OrderHold};
use crate::record::{Body, OrderRow, Reservation};
use crate::state::{Order, Slot};

pub(super) fn create(slot: &Slot, cx: &Context<'_>, c: &CreateOrder) -> Step<Reply> {
    if let Some(order) = slot.orders().by_key(&c.key) {
        return if order.row.amount == c.amount {
            settle_first(cx, order).unwrap_or_else(|| show(slot, order))
        } else {
            refuse(Rejection::AmountDiffers)
        };
    }
    if slot.orders().len() >= ORDERS_PER_SLOT_MAX || slot.weight() >= SLOT_BYTES_MAX {
        return refuse(Rejection::LimitReached);
    }
    let order = OrderId::new(slot.id(), c.entropy);
    assert!(slot.orders().get(order).is_none(), "110 random bits do not come twice");
    Step::Append(Body::OrderCreated(OrderRow {
        order,
        key: c.key.clone(),
        status: OrderStatus::Init,
        amount: c.amount,
        created_at: cx.now,
        abandon_at: cx.now.plus(cx.policy.abandon_ms),
        reservation: None,
        cancel_reason: None,
        txn: None,
    }))
}

pub(super) fn get(slot: &Slot, cx: &Context<'_>, id: OrderId) -> Step<Reply> {
    match slot.orders().get(id) {
        None => refuse(Rejection::OrderNotFound),
        Some(order) => settle_first(cx, order).unwrap_or_else(|| show(slot, order)),
    }
}

/// Past its deadline an order is what its partition says: that is asked before anything is said about it.
fn settle_first(cx: &Context<'_>, order: &Order) -> Option<Step<Reply>> {
    let reservation = order.row.reservation.as_ref()?;
    order.is_due(cx.now).then(|| Step::Ask(Ask::Settle(reservation.of_order(order.row.order))))
}

pub(super) fn reserve(slot: &Slot, cx: &Context<'_>, c: &Reserve) -> Step<Reply> {
    let Some(order) = slot.orders().get(c.order) else {
        return refuse(Rejection::OrderNotFound);
    };
    match (order.row.status, &order.row.reservation) {
        (OrderStatus::Init, _) => Step::Ask(Ask::Hold(c.clone())),
        (OrderStatus::Reserved, Some(reservation)) => match settle_first(cx, order) {
            Some(step) => step,
            None if reservation.is_what(c) => show(slot, order),
            None => refuse(Rejection::ReservationDiffers),
        },
        _ => refuse(Rejection::InvalidTransition),
    }
}

impl Reservation {
    fn is_what(&self, c: &Reserve) -> bool {
        let (from, to) = c.span.map_or((0, self.segments), |span| (span.from(), span.to()));
        self.partition == c.partition
            && self.hold == c.hold
            && self.quantity == c.quantity
            && (self.from, self.to) == (from, to)
    }

    pub(super) fn of_order(&self, order: OrderId) -> OrderHold {
        let (partition, hold) = (self.partition.clone(), self.hold.clone());
        OrderHold { order, partition, hold, deadline: self.deadline }
    }

    /// Whether the caller named no other partition or hold than this.
    pub(super) fn agrees(&self, named: &Named) -> bool {
        named.partition.as_ref().is_none_or(|p| *p == self.partition)
            && named.hold.as_ref().is_none_or(|h| *h == self.hold)
    }
}

pub(super) fn cancel(slot: &Slot, c: &Cancel) -> Step<Reply> {
    let Some(order) = slot.orders().get(c.order) else {
        return refuse(Rejection::OrderNotFound);
    };
    if order.row.reservation.as_ref().is_some_and(|r| !r.agrees(&c.named)) {
        return refuse(Rejection::HoldMismatch);
    }
    match (order.row.status, &order.row.reservation) {
        (OrderStatus::Init, _) => Step::Append(cancelled(order, CancelReason::Requested)),
        (OrderStatus::Reserved, Some(reservation)) => Step::Ask(Ask::Release(reservation.of_order(c.order))),
        (OrderStatus::Cancelled, _) => show(slot, order),
        _ => refuse(Rejection::InvalidTransition),
    }
}

pub(super) fn issue_ticket(slot: &Slot, id: OrderId) -> Step<Reply> {
    let Some(order) = slot.orders().get(id) else {
        return refuse(Rejection::OrderNotFound);
    };
    match order.row.status {
        OrderStatus::Paid => Step::Append(ticketed(order)),
        OrderStatus::Ticketed => show(slot, order),
        _ => refuse(Rejection::InvalidTransition),
    }
}

pub(super) fn reserved(order: &Order, reservation: &Reservation) -> Body {
    Body::OrderReserved(OrderRow {
        status: OrderStatus::Reserved,
        reservation: Some(reservation.clone()),
        ..order.row.clone()
    })
}

pub(super) fn paid(order: &Order, txn: &TxnId) -> Body {
    Body::OrderPaid(OrderRow { status: OrderStatus::Paid, txn: Some(txn.clone()), ..order.row.clone() })
}

pub(super) fn ticketed(order: &Order) -> Body {
    Body::OrderTicketed(OrderRow { status: OrderStatus::Ticketed, ..order.row.clone() })
}

pub(super) fn cancelled(order: &Order, reason: CancelReason) -> Body {
    Body::OrderCancelled(OrderRow {
        status: OrderStatus::Cancelled,
        cancel_reason: Some(reason),
        ..order.row.clone()
    })
}

pub(super) fn show(slot: &Slot, order: &Order) -> Step<Reply> {
    Step::Done(Ok(Answer::Order(Box::new(views::order(slot, order)))))
}

fn refuse(rejection: Rejection) -> Step<Reply> {
    Step::Done(Err(rejection))
}
