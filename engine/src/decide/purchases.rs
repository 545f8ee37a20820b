//! Purchases: an order that is made with its hold. Both live in the slot of the run and change by one record, so nothing is asked or told
//! but the claim of the transaction id.

use alloc::boxed::Box;

use super::{Context, Decision, Pending, inventory, orders, reclaim};
use crate::answer::{Answer, Rejection};
use crate::command::{Purchase, SeatRequest};
use crate::ids::{OrderId, OrderKey, TxnId};
use crate::limits::ORDERS_PER_SLOT_MAX;
use crate::record::{Body, HoldRow, OrderRow, PurchaseRow, ReleaseReason, Reservation};
use crate::state::{Order, Slot};
use crate::status::{CancelReason, HoldStatus, OrderStatus};

/// The purchase that is this order, if it is one.
pub(super) fn of(slot: &Slot, order: OrderId) -> Option<&Order> {
    slot.orders().get(order).filter(|order| order.row.is_purchase())
}

pub(super) fn purchase(slot: &Slot, cx: &Context<'_>, c: &Purchase) -> Decision<Answer> {
    let key = OrderKey::of_purchase(&c.partition, c.key.clone());
    if let Some(order) = slot.orders().by_key(&key) {
        if !is_for(&order.row, c) {
            return Err(Rejection::KeyReused.into());
        }
        orders::settle_overdue(slot, cx, order)?;
        return Ok(orders::show(slot, order));
    }
    let ttl_ms = c.ttl_ms.unwrap_or(cx.policy.hold_ttl_ms);
    if ttl_ms == 0 || ttl_ms > cx.policy.hold_ttl_max_ms.max(cx.policy.hold_ttl_ms) {
        return Err(Rejection::InvalidTtl.into());
    }
    if slot.orders().len() >= ORDERS_PER_SLOT_MAX {
        return Err(Rejection::LimitReached.into());
    }
    let order = OrderId::new(slot.id(), c.entropy);
    assert!(slot.orders().get(order).is_none(), "110 random bits do not come twice");
    let want = SeatRequest {
        partition: c.partition.clone(),
        hold: order.hold_id(),
        quantity: c.quantity,
        span: c.span,
        ad_hoc: c.ad_hoc,
    };
    let (p, span) = inventory::place(slot, cx, &want)?;
    let hold = inventory::make(slot, cx, (p, span), &want, Some(order), ttl_ms)?;
    let order = OrderRow {
        order,
        key,
        status: OrderStatus::Reserved,
        amount: c.amount,
        created_at: cx.now,
        abandon_at: cx.now,
        reservation: Some(Reservation::of(&hold, p.ends_at())),
        cancel_reason: None,
        txn: None,
    };
    Err(reclaim::record(slot, Body::PurchaseMade(Box::new(PurchaseRow { order, hold })))?)
}

/// The order is what this purchase asks for. How long its hold was to last does not count: it may be over.
fn is_for(order: &OrderRow, c: &Purchase) -> bool {
    let span = |own: &Reservation| c.span.map_or((0, own.segments), |span| (span.from(), span.to()));
    order.amount == c.amount
        && order.reservation.as_ref().is_some_and(|own| {
            (&own.partition, own.quantity, (own.from, own.to)) == (&c.partition, c.quantity, span(own))
        })
}

/// The payment of a purchase that is RESERVED: where its hold has expired, that comes first.
pub(super) fn pay(slot: &Slot, cx: &Context<'_>, order: &Order, txn: &TxnId) -> Decision<Pending> {
    let hold = next_hold(slot, cx, order)?;
    let paid = OrderRow { status: OrderStatus::Paid, txn: Some(txn.clone()), ..order.row.clone() };
    let hold = HoldRow { status: HoldStatus::Confirmed, txn: Some(txn.clone()), ..hold };
    Ok(Pending::Append(Body::PurchasePaid(Box::new(PurchaseRow { order: paid, hold }))))
}

/// The cancellation of a purchase that is RESERVED.
pub(super) fn cancel(slot: &Slot, cx: &Context<'_>, order: &Order) -> Decision<Pending> {
    let hold = inventory::released(cx, next_hold(slot, cx, order)?, ReleaseReason::Requested);
    let order = order.row.cancelled(CancelReason::Requested);
    Ok(Pending::Append(Body::PurchaseCancelled(Box::new(PurchaseRow { order, hold }))))
}

/// The row of the next change of the order's hold, which is live.
fn next_hold(slot: &Slot, cx: &Context<'_>, order: &Order) -> Decision<HoldRow> {
    let own = order.row.reservation.as_ref().ok_or(Rejection::HoldNotFound)?;
    let held = inventory::order_hold(slot, cx, &own.to_order_hold(order.row.order))?;
    let (p, hold) =
        held.filter(|(_, hold)| hold.status == HoldStatus::Held).ok_or(Rejection::HoldNotFound)?;
    Ok(p.next_row(&own.partition, &own.hold, hold))
}
