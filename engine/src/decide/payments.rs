//! Payments and refunds. Money pays its order, or it is that same payment again, or it is owed back. One refund for
//! each pair of order and transaction id.

use alloc::boxed::Box;

use alloc::vec::Vec;

use super::{Context, Decision, Pending, Progress, orders, purchases, views};
use crate::answer::{Answer, OrderView, RefundView, Rejection};
use crate::command::{Found, ListRefunds, Pay};
use crate::ids::{Cents, OrderId, OrderName, Reference, TxnId};
use crate::limits::{CLAIMS_PER_SLOT_MAX, LOOKED_UP_MS_MAX, REFUNDS_PAGE_MAX, REFUNDS_PER_SLOT_MAX};
use crate::message::{Ask, Fact};
use crate::record::{Body, GoesBack, RefundRow};
use crate::state::Slot;
use crate::status::{CancelReason, OrderStatus, RefundReason, Settlement};

pub(super) fn pay(slot: &Slot, cx: &Context<'_>, c: &Pay, progress: Progress) -> Decision<Answer> {
    let id = OrderId::parse(c.order.as_str());
    let Some(order) = id.and_then(|id| slot.orders().get(id)) else {
        return of_no_order(slot, cx, c, id, progress);
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
        let goes_back = goes_back(row.amount, row.status, row.cancel_reason);
        Pending::Ask(Ask::Claim { txn: c.txn.clone(), order: row.order, goes_back })
    } else if row.status == OrderStatus::Reserved && row.is_purchase() {
        purchases::pay(slot, cx, order, &c.txn)?
    } else if let (OrderStatus::Reserved, Some(reservation)) = (row.status, &row.reservation) {
        Pending::Ask(Ask::Confirm { hold: reservation.to_order_hold(row.order), txn: c.txn.clone() })
    } else {
        owe(slot, cx, c, Some(row.amount), reason(row.status, row.cancel_reason))?
    })
}

/// A payment whose order the slot does not have: it has left, or never was.
fn of_no_order(
    slot: &Slot,
    cx: &Context<'_>,
    c: &Pay,
    id: Option<OrderId>,
    progress: Progress,
) -> Decision<Answer> {
    if let Some(refund) = slot.refunds().get(&c.order, &c.txn) {
        return of_owed(slot, cx, c, id, refund.reason, progress);
    }
    match (&c.looked_up, id) {
        (Some(looked_up), _) if looked_up.at.plus(LOOKED_UP_MS_MAX) < cx.now => Err(Rejection::Busy.into()),
        (Some(looked_up), id) => match (&looked_up.found, id) {
            (Found::Order { order, refund }, Some(id)) => {
                of_left_order(slot, cx, c, id, (order, *refund), progress)
            }
            (Found::Nothing { refund: Some(reason), .. }, _) => Err(refusal(*reason).into()),
            (Found::Nothing { history_lost: true, .. }, _) => {
                Err(unmatched(slot, cx, c, RefundReason::HistoryLost)?)
            }
            _ => Err(unmatched(slot, cx, c, RefundReason::Unmatched)?),
        },
        // Whatever is known of it, nothing is recorded for money that nobody has verified.
        (None, None) if !c.verified => Err(Rejection::OrderNotFound.into()),
        (None, Some(id)) if progress.claimed => of_late_claim(slot, cx, c, id, progress),
        (None, _) => Err(Rejection::OrderNotHere(cx.now).into()),
    }
}

/// A payment that goes back already. Where it does as money for nobody, for want of an order to be seen then, what the order was is looked up: the answer is
/// by that.
fn of_owed(
    slot: &Slot,
    cx: &Context<'_>,
    c: &Pay,
    id: Option<OrderId>,
    reason: RefundReason,
    progress: Progress,
) -> Decision<Answer> {
    let is_for_nobody = matches!(reason, RefundReason::Unmatched | RefundReason::HistoryLost);
    match (id.filter(|_| is_for_nobody), c.looked_up.as_ref().map(|looked_up| &looked_up.found)) {
        (Some(_), None) => Err(Rejection::OrderNotHere(cx.now).into()),
        (Some(id), Some(Found::Order { order, .. })) => {
            let reason = self::reason(order.status, order.cancel_reason);
            of_left_order(slot, cx, c, id, (order, Some(reason)), progress)
        }
        _ => Err(refusal(reason).into()),
    }
}

/// The tell of a claim came after its order had left. Where the claim is there still, it is of a payment that the order never saw.
fn of_late_claim(
    slot: &Slot,
    cx: &Context<'_>,
    c: &Pay,
    order: OrderId,
    progress: Progress,
) -> Decision<Answer> {
    Err(if progress.still_claimed {
        match progress.goes_back {
            Some(GoesBack { amount, reason }) => owe(slot, cx, c, Some(amount), reason)?,
            None => owe(slot, cx, c, None, RefundReason::Unmatched)?,
        }
    } else {
        Pending::Ask(Ask::IsClaimed { txn: c.txn.clone(), order })
    })
}

/// A payment of an order that has left: what it was, and why this payment went back before, if it did.
fn of_left_order(
    slot: &Slot,
    cx: &Context<'_>,
    c: &Pay,
    id: OrderId,
    (order, refund): (&OrderView, Option<RefundReason>),
    progress: Progress,
) -> Decision<Answer> {
    if let Some(own) = &order.reservation {
        c.expected.check(&own.partition, &own.hold)?;
    }
    if order.txn.as_ref() == Some(&c.txn) {
        return Ok(Answer::Order(Box::new(order.clone())));
    }
    if let Some(reason) = refund {
        return Err(refusal(reason).into());
    }
    Err(if progress.claimed {
        owe(slot, cx, c, Some(order.amount), reason(order.status, order.cancel_reason))?
    } else {
        let goes_back = goes_back(order.amount, order.status, order.cancel_reason);
        Pending::Ask(Ask::Claim { txn: c.txn.clone(), order: id, goes_back })
    })
}

/// Why a payment that nothing waits for goes back.
fn reason(status: OrderStatus, cancel_reason: Option<CancelReason>) -> RefundReason {
    match (status, cancel_reason) {
        (OrderStatus::Paid | OrderStatus::Ticketed, _) => RefundReason::AlreadyPaid,
        (OrderStatus::Cancelled, Some(CancelReason::HoldExpired)) => RefundReason::HoldExpired,
        _ => RefundReason::InvalidState,
    }
}

/// Known of an order that changes no more; one that does has still to say.
fn goes_back(amount: Cents, status: OrderStatus, cancel_reason: Option<CancelReason>) -> Option<GoesBack> {
    let is_settled = !matches!(status, OrderStatus::Init | OrderStatus::Reserved);
    is_settled.then(|| GoesBack { amount, reason: reason(status, cancel_reason) })
}

fn refusal(reason: RefundReason) -> Rejection {
    match reason {
        RefundReason::AlreadyPaid => Rejection::AlreadyPaid,
        RefundReason::HoldExpired => Rejection::HoldExpired,
        RefundReason::InvalidState => Rejection::InvalidTransition,
        RefundReason::Unmatched | RefundReason::HistoryLost => Rejection::OrderNotFound,
    }
}

/// Money for an order that nobody knows. Recorded only where a signature says that it is money.
fn unmatched(slot: &Slot, cx: &Context<'_>, c: &Pay, reason: RefundReason) -> Result<Pending, Rejection> {
    if c.verified { owe(slot, cx, c, None, reason) } else { Err(Rejection::OrderNotFound) }
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
pub(super) fn claim(slot: &Slot, txn: &TxnId, order: OrderId, goes_back: Option<GoesBack>) -> Decision<Fact> {
    match slot.claim(txn) {
        Some(owner) if owner == order => Ok(Fact::TxnClaimed { order, txn: txn.clone(), goes_back }),
        Some(_) => Err(Rejection::TxnUsed.into()),
        None if slot.claims_count() >= CLAIMS_PER_SLOT_MAX => Err(Rejection::LimitReached.into()),
        None => Err(Pending::Append(Body::TxnClaimed { txn: txn.clone(), order, goes_back })),
    }
}

/// In the transaction id's own slot. Where it is not that order's any more, the payment is one of an order that has left, like any other: it is to be
/// looked up.
pub(super) fn is_claimed(slot: &Slot, cx: &Context<'_>, txn: &TxnId, order: OrderId) -> Decision<Fact> {
    match slot.claim(txn) {
        Some(owner) if owner == order => Ok(Fact::TxnClaimed { order, txn: txn.clone(), goes_back: None }),
        _ => Err(Rejection::OrderNotHere(cx.now).into()),
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
