//! What becomes of money: it pays its order, or it is that same payment again, or it is owed back. One refund for
//! each pair of order and transaction id.

use alloc::boxed::Box;

use alloc::vec::Vec;

use super::{Context, Progress, Step, orders, views};
use crate::answer::{
    Answer, CancelReason, OrderStatus, RefundReason, RefundView, Rejection, Reply, Settlement,
};
use crate::command::{ListRefunds, Pay};
use crate::ids::{Cents, OrderId, OrderName, Reference, TxnId};
use crate::limits::{CLAIMS_PER_SLOT_MAX, REFUNDS_PAGE_MAX, REFUNDS_PER_SLOT_MAX};
use crate::message::{Ask, Fact};
use crate::record::{Body, RefundRow};
use crate::state::{Order, Slot};

pub(super) fn pay(slot: &Slot, cx: &Context<'_>, c: &Pay, progress: Progress) -> Step<Reply> {
    let order = OrderId::parse(c.order.as_str()).and_then(|id| slot.orders().get(id));
    let Some(order) = order else {
        return unmatched(slot, cx, c);
    };
    let row = &order.row;
    if row.reservation.as_ref().is_some_and(|r| !r.agrees(&c.named)) {
        return Step::Done(Err(Rejection::HoldMismatch));
    }
    if row.txn.as_ref() == Some(&c.txn) {
        return orders::show(slot, order);
    }
    if let Some(refund) = slot.refunds().get(&c.order, &c.txn) {
        return Step::Done(Err(refusal(refund.reason)));
    }
    if !progress.claimed {
        return Step::Ask(Ask::Claim { txn: c.txn.clone(), order: row.order });
    }
    match (row.status, &row.reservation) {
        (OrderStatus::Reserved, Some(reservation)) => {
            Step::Ask(Ask::Confirm { hold: reservation.of_order(row.order), txn: c.txn.clone() })
        }
        _ => owe(slot, cx, c, Some(row.amount), reason(order)),
    }
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
fn unmatched(slot: &Slot, cx: &Context<'_>, c: &Pay) -> Step<Reply> {
    if !c.verified || slot.refunds().get(&c.order, &c.txn).is_some() {
        return Step::Done(Err(Rejection::OrderNotFound));
    }
    owe(slot, cx, c, None, RefundReason::Unmatched)
}

fn owe(slot: &Slot, cx: &Context<'_>, c: &Pay, amount: Option<Cents>, reason: RefundReason) -> Step<Reply> {
    if slot.refunds().len() >= REFUNDS_PER_SLOT_MAX {
        return Step::Done(Err(Rejection::LimitReached));
    }
    Step::Append(Body::RefundOwed(RefundRow {
        number: slot.refunds().next_number(),
        order: c.order.clone(),
        txn: c.txn.clone(),
        amount,
        reason,
        created_at: cx.now,
        settled: None,
    }))
}

/// In the transaction id's own slot: the first order to come has it.
pub(super) fn claim(slot: &Slot, txn: &TxnId, order: OrderId) -> Step<Result<Fact, Rejection>> {
    match slot.claim(txn) {
        Some(owner) if owner == order => Step::Done(Ok(Fact::TxnClaimed { order, txn: txn.clone() })),
        Some(_) => Step::Done(Err(Rejection::TxnUsed)),
        None if slot.claims_count() >= CLAIMS_PER_SLOT_MAX => Step::Done(Err(Rejection::LimitReached)),
        None => Step::Append(Body::TxnClaimed { txn: txn.clone(), order }),
    }
}

pub(super) fn settle(
    slot: &Slot,
    cx: &Context<'_>,
    order: &OrderName,
    txn: &TxnId,
    reference: &Reference,
) -> Step<Reply> {
    let Some(row) = slot.refunds().get(order, txn) else {
        return Step::Done(Err(Rejection::RefundNotFound));
    };
    match &row.settled {
        None => {
            let settled = Some(Settlement { reference: reference.clone(), at: cx.now });
            Step::Append(Body::RefundSettled(RefundRow { settled, ..row.clone() }))
        }
        Some(settled) if settled.reference == *reference => {
            Step::Done(Ok(Answer::Refund(Box::new(views::refund(slot, row)))))
        }
        Some(_) => Step::Done(Err(Rejection::RefundSettled)),
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
