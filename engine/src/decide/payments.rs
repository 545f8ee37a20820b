//! Payments and refunds. Money pays its order, or it is that same payment again, or it is owed back. One refund for
//! each pair of order and transaction id.

use alloc::boxed::Box;

use alloc::vec::Vec;

use super::{Context, Decision, Pending, Progress, orders, views};
use crate::answer::{Answer, RefundView, Rejection};
use crate::command::{ListRefunds, Pay};
use crate::ids::{Cents, OrderId, OrderName, Reference, TxnId};
use crate::limits::{CLAIMS_PER_SLOT_MAX, REFUNDS_PAGE_MAX, REFUNDS_PER_SLOT_MAX};
use crate::message::{Ask, Fact};
use crate::record::{Body, RefundRow};
use crate::state::{Order, Slot};
use crate::status::{CancelReason, OrderStatus, RefundReason, Settlement};

pub(super) fn pay(slot: &Slot, cx: &Context<'_>, c: &Pay, progress: Progress) -> Decision<Answer> {
    let order = OrderId::parse(c.order.as_str()).and_then(|id| slot.orders().get(id));
    let Some(order) = order else {
        return Err(unmatched(slot, cx, c)?);
    };
    let row = &order.row;
    order.check_expected(&c.expected)?;
    if row.txn.as_ref() == Some(&c.txn) {
        return Ok(orders::show(slot, order));
    }
    if let Some(refund) = slot.refunds().get(&c.order, &c.txn) {
        return Err(refusal(refund.reason).into());
    }
    Err(if !progress.claimed {
        Pending::Ask(Ask::Claim { txn: c.txn.clone(), order: row.order })
    } else if let (OrderStatus::Reserved, Some(reservation)) = (row.status, &row.reservation) {
        Pending::Ask(Ask::Confirm { hold: reservation.to_order_hold(row.order), txn: c.txn.clone() })
    } else {
        owe(slot, cx, c, Some(row.amount), reason(order))?
    })
}

/// Why a payment that nothing waits for goes back.
fn reason(order: &Order) -> RefundReason {
    match (order.row.status, order.row.cancel_reason) {
        (OrderStatus::Paid | OrderStatus::Ticketed, _) => RefundReason::AlreadyPaid,
        (OrderStatus::Cancelled, Some(CancelReason::HoldExpired)) => RefundReason::HoldExpired,
        _ => RefundReason::InvalidState,
    }
}

fn refusal(reason: RefundReason) -> Rejection {
    match reason {
        RefundReason::AlreadyPaid => Rejection::AlreadyPaid,
        RefundReason::HoldExpired => Rejection::HoldExpired,
        RefundReason::InvalidState => Rejection::InvalidTransition,
        RefundReason::Unmatched => Rejection::OrderNotFound,
    }
}

/// Money for an order that nobody knows. Recorded only where a signature says that it is money.
fn unmatched(slot: &Slot, cx: &Context<'_>, c: &Pay) -> Result<Pending, Rejection> {
    if !c.verified || slot.refunds().get(&c.order, &c.txn).is_some() {
        return Err(Rejection::OrderNotFound);
    }
    owe(slot, cx, c, None, RefundReason::Unmatched)
}

fn owe(
    slot: &Slot,
    cx: &Context<'_>,
    c: &Pay,
    amount: Option<Cents>,
    reason: RefundReason,
) -> Result<Pending, Rejection> {
    if slot.refunds().len() >= REFUNDS_PER_SLOT_MAX {
        return Err(Rejection::LimitReached);
    }
    Ok(Pending::Append(Body::RefundOwed(RefundRow {
        number: slot.refunds().next_number(),
        order: c.order.clone(),
        txn: c.txn.clone(),
        amount,
        reason,
        created_at: cx.now,
        settled: None,
    })))
}

/// In the transaction id's own slot: the first order to come has it.
pub(super) fn claim(slot: &Slot, txn: &TxnId, order: OrderId) -> Decision<Fact> {
    match slot.claim(txn) {
        Some(owner) if owner == order => Ok(Fact::TxnClaimed { order, txn: txn.clone() }),
        Some(_) => Err(Rejection::TxnUsed.into()),
        None if slot.claims_count() >= CLAIMS_PER_SLOT_MAX => Err(Rejection::LimitReached.into()),
        None => Err(Pending::Append(Body::TxnClaimed { txn: txn.clone(), order })),
    }
}

pub(super) fn settle(
    slot: &Slot,
    cx: &Context<'_>,
    order: &OrderName,
    txn: &TxnId,
    reference: &Reference,
) -> Decision<Answer> {
    let row = slot.refunds().get(order, txn).ok_or(Rejection::RefundNotFound)?;
    match &row.settled {
        None => {
            let settled = Some(Settlement { reference: reference.clone(), at: cx.now });
            Err(Pending::Append(Body::RefundSettled(RefundRow { settled, ..row.clone() })))
        }
        Some(settled) if settled.reference == *reference => {
            Ok(Answer::Refund(Box::new(views::refund(slot, row))))
        }
        Some(_) => Err(Rejection::RefundSettled.into()),
    }
}

/// One slot's part of a page of refunds.
pub(super) fn list(slot: &Slot, c: &ListRefunds) -> Vec<RefundView> {
    let after = match c.after {
        Some(cursor) if cursor.slot > slot.id() => return Vec::new(),
        Some(cursor) if cursor.slot == slot.id() => cursor.number,
        _ => 0,
    };
    let limit = c.limit.min(REFUNDS_PAGE_MAX);
    let view = |row| views::refund(slot, row);
    match c.status {
        Some(kind) => slot.refunds().of_kind(kind, after).take(limit).map(view).collect(),
        None => slot.refunds().after(after).take(limit).map(view).collect(),
    }
}
