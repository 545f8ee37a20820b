//! The life of an order: INIT, RESERVED, PAID, TICKETED, or CANCELLED.

use alloc::boxed::Box;

use super::{Context, Decision, Pending, inventory, purchases, reclaim, views};
use crate::answer::{Answer, Rejection};
use crate::command::{Cancel, CreateOrder, ExpectedHold, Reserve, SeatRequest};
use crate::ids::{HoldId, OrderId, OrderKey, PartitionKey, TxnId};
use crate::limits::ORDERS_PER_SLOT_MAX;
use crate::message::{Ask, OrderHold};
use crate::record::{Body, OrderRow, Reservation};
use crate::state::{Order, Slot};
use crate::status::{CancelReason, OrderStatus};

pub(super) fn create(slot: &Slot, cx: &Context<'_>, c: &CreateOrder) -> Decision<Answer> {
    let key = OrderKey::Plain(c.key.clone());
    if let Some(order) = slot.orders().by_key(&key) {
        if order.row.amount != c.amount {
            return Err(Rejection::AmountDiffers.into());
        }
        settle_overdue(slot, cx, order)?;
        return Ok(show(slot, order));
    }
    if slot.orders().len() >= ORDERS_PER_SLOT_MAX {
        return Err(Rejection::LimitReached.into());
    }
    let order = OrderId::new(slot.id(), c.entropy);
    assert!(slot.orders().get(order).is_none(), "110 random bits do not come twice");
    let created = Body::OrderCreated(OrderRow {
        order,
        key,
        status: OrderStatus::Init,
        amount: c.amount,
        created_at: cx.now,
        abandon_at: cx.now.plus(cx.policy.abandon_ms),
        reservation: None,
        cancel_reason: None,
        txn: None,
    });
    Err(reclaim::record(slot, created)?)
}

pub(super) fn get(slot: &Slot, cx: &Context<'_>, id: OrderId) -> Decision<Answer> {
    let order = find(slot, id)?;
    settle_overdue(slot, cx, order)?;
    Ok(show(slot, order))
}

pub(super) fn find(slot: &Slot, id: OrderId) -> Result<&Order, Rejection> {
    slot.orders().get(id).ok_or(Rejection::OrderNotFound)
}

/// Past its deadline an order is what its partition says: that is asked before anything is said about it.
pub(super) fn settle_overdue(slot: &Slot, cx: &Context<'_>, order: &Order) -> Decision<()> {
    match &order.row.reservation {
        Some(reservation) if order.is_due(cx.now) && order.row.is_purchase() => {
            inventory::open_partition(slot, cx, &reservation.partition).map(drop)
        }
        Some(reservation) if order.is_due(cx.now) => {
            Err(Pending::Ask(Ask::Settle(reservation.to_order_hold(order.row.order))))
        }
        _ => Ok(()),
    }
}

pub(super) fn reserve(slot: &Slot, cx: &Context<'_>, c: &Reserve) -> Decision<Answer> {
    let order = find(slot, c.order)?;
    match (order.row.status, &order.row.reservation) {
        (OrderStatus::Init, _) => Err(Pending::Ask(Ask::Hold(c.clone()))),
        (OrderStatus::Reserved, Some(reservation)) => {
            settle_overdue(slot, cx, order)?;
            if reservation.is_for(&c.seats) {
                Ok(show(slot, order))
            } else {
                Err(Rejection::ReservationDiffers.into())
            }
        }
        _ => Err(Rejection::InvalidTransition.into()),
    }
}

impl Reservation {
    /// These seats are what the request asks for.
    fn is_for(&self, c: &SeatRequest) -> bool {
        let (from, to) = c.span.map_or((0, self.segments), |span| (span.from(), span.to()));
        self.partition == c.partition
            && self.hold == c.hold
            && self.quantity == c.quantity
            && (self.from, self.to) == (from, to)
    }

    pub(super) fn to_order_hold(&self, order: OrderId) -> OrderHold {
        let (partition, hold) = (self.partition.clone(), self.hold.clone());
        OrderHold { order, partition, hold, identity: self.identity() }
    }
}

impl Order {
    /// Refuses a caller who expects another partition or hold than the order's own.
    pub(super) fn check_expected(&self, expected: &ExpectedHold) -> Result<(), Rejection> {
        let own = self.row.reservation.as_ref();
        own.map_or(Ok(()), |own| expected.check(&own.partition, &own.hold))
    }
}

impl ExpectedHold {
    /// Refuses where the order's own are others.
    ///
    /// # Errors
    /// They are.
    pub fn check(&self, partition: &PartitionKey, hold: &HoldId) -> Result<(), Rejection> {
        let is_partition = self.partition.as_ref().is_none_or(|expected| expected == partition);
        let is_hold = self.hold.as_ref().is_none_or(|expected| expected == hold);
        if is_partition && is_hold { Ok(()) } else { Err(Rejection::HoldMismatch) }
    }
}

pub(super) fn cancel(slot: &Slot, cx: &Context<'_>, c: &Cancel) -> Decision<Answer> {
    let order = find(slot, c.order)?;
    order.check_expected(&c.expected)?;
    match (order.row.status, &order.row.reservation) {
        (OrderStatus::Init, _) => Err(Pending::Append(cancelled(order, CancelReason::Requested))),
        (OrderStatus::Reserved, _) if order.row.is_purchase() => Err(purchases::cancel(slot, cx, order)?),
        (OrderStatus::Reserved, Some(reservation)) => {
            Err(Pending::Ask(Ask::Release(reservation.to_order_hold(c.order))))
        }
        (OrderStatus::Cancelled, _) => Ok(show(slot, order)),
        _ => Err(Rejection::InvalidTransition.into()),
    }
}

pub(super) fn issue_ticket(slot: &Slot, id: OrderId) -> Decision<Answer> {
    let order = find(slot, id)?;
    match order.row.status {
        OrderStatus::Paid => Err(Pending::Append(ticketed(order))),
        OrderStatus::Ticketed => Ok(show(slot, order)),
        _ => Err(Rejection::InvalidTransition.into()),
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
    Body::OrderCancelled(order.row.cancelled(reason))
}

pub(super) fn show(slot: &Slot, order: &Order) -> Answer {
    Answer::Order(Box::new(views::order(slot, order)))
}
