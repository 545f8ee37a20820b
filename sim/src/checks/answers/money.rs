//! Answers about payments and refunds.

use engine::answer::{
    Answer, CancelReason, OrderStatus, RefundReason, RefundStatus, RefundView, Rejection, Reply,
    ReservationView,
};
use engine::command::{Found, ListRefunds, Pay, RefundFilter};
use engine::ids::{OrderId, OrderName, Reference, SlotId, Time, TxnId};
use engine::record::RefundRow;

use super::{Question, orders};
use crate::checks::model::Model;
use crate::checks::model::leave::LOOKED_UP_MS;
use crate::checks::model::state::Slot;

/// `asked_at`: it was not answered before this.
pub(super) fn pay(slot: &Slot, asked_at: Time, c: &Pay, reply: &Reply) -> bool {
    let id = OrderId::parse(c.order.as_str());
    let refund = slot.refund(&c.order, &c.txn);
    let Some(order) = id.and_then(|id| slot.orders.get(&id)) else {
        return match refund {
            Some(row) => pay_owed(asked_at, c, id, row.reason, reply),
            None => pay_nobody(asked_at, c, id, reply),
        };
    };
    let mismatch = order.row.reservation.as_ref().is_some_and(|r| !orders::agrees(r, &c.expected));
    match reply {
        Err(Rejection::HoldMismatch) => mismatch,
        Ok(Answer::Order(view)) => {
            !mismatch && order.row.txn.as_ref() == Some(&c.txn) && orders::shows(slot, order, view)
        }
        Ok(_) => false,
        Err(why) => refund.is_some_and(|row| *why == refusal(row.reason)),
    }
}

/// Of an order that is not there, and owed already. Money for nobody may have been money for an order that had left: it is asked for once more.
fn pay_owed(asked_at: Time, c: &Pay, id: Option<OrderId>, reason: RefundReason, reply: &Reply) -> bool {
    let is_for_nobody = refusal(reason) == Rejection::OrderNotFound;
    if id.is_none() || !is_for_nobody {
        return *reply == Err(refusal(reason));
    }
    let Some(looked_up) = &c.looked_up else {
        return matches!(reply, Err(Rejection::OrderNotHere(at)) if *at >= asked_at);
    };
    let Found::Order { order, .. } = &looked_up.found else { return *reply == Err(refusal(reason)) };
    if let Some(own) = &order.reservation
        && is_another(c, own)
    {
        return *reply == Err(Rejection::HoldMismatch);
    }
    let why = match (order.status, order.cancel_reason) {
        (OrderStatus::Paid | OrderStatus::Ticketed, _) => Rejection::AlreadyPaid,
        (OrderStatus::Cancelled, Some(CancelReason::HoldExpired)) => Rejection::HoldExpired,
        _ => Rejection::InvalidTransition,
    };
    *reply == Err(why)
}

/// The caller expects another partition or hold than the order's own.
fn is_another(c: &Pay, own: &ReservationView) -> bool {
    c.expected.partition.as_ref().is_some_and(|key| *key != own.partition)
        || c.expected.hold.as_ref().is_some_and(|hold| *hold != own.hold)
}

/// Of an order that is not there, with nothing owed for it. Money that a signature vouches for is written down before anything is said
/// about it, unless the read model knows what became of it.
fn pay_nobody(asked_at: Time, c: &Pay, id: Option<OrderId>, reply: &Reply) -> bool {
    let is_nothing = *reply == Err(Rejection::OrderNotFound) && !c.verified;
    let Some(looked_up) = &c.looked_up else {
        if id.is_none() && !c.verified {
            return is_nothing;
        }
        return matches!(reply, Err(Rejection::OrderNotHere(at)) if *at >= asked_at);
    };
    if looked_up.at.plus(LOOKED_UP_MS) < asked_at {
        // It is too old for anything.
        return false;
    }
    let (order, refund) = match &looked_up.found {
        Found::Order { order, refund } => (order, refund),
        Found::Nothing { refund: Some(reason), .. } => return *reply == Err(refusal(*reason)),
        Found::Nothing { refund: None, .. } => return is_nothing,
    };
    let own = order.reservation.as_ref();
    if own.is_some_and(|own| is_another(c, own)) {
        return *reply == Err(Rejection::HoldMismatch);
    }
    if order.txn.as_ref() == Some(&c.txn) {
        return matches!(reply, Ok(Answer::Order(view)) if **view == *order);
    }
    refund.is_some_and(|reason| *reply == Err(refusal(reason)))
}

fn refusal(reason: RefundReason) -> Rejection {
    match reason {
        RefundReason::AlreadyPaid => Rejection::AlreadyPaid,
        RefundReason::HoldExpired => Rejection::HoldExpired,
        RefundReason::InvalidState => Rejection::InvalidTransition,
        RefundReason::Unmatched | RefundReason::HistoryLost => Rejection::OrderNotFound,
    }
}

/// True where another order has the transaction id.
pub(super) fn used(slot: &Slot, c: &Pay, reply: &Reply) -> bool {
    let order = OrderId::parse(c.order.as_str());
    *reply == Err(Rejection::TxnUsed) && slot.claims.get(&c.txn).is_some_and(|owner| Some(*owner) != order)
}

fn shows(row: &RefundRow, slot: SlotId, view: &RefundView) -> bool {
    let status = if row.settled.is_some() { RefundStatus::Settled } else { RefundStatus::Required };
    (view.cursor.slot, view.cursor.number) == (slot, row.number)
        && (&view.order, &view.txn, view.amount) == (&row.order, &row.txn, row.amount)
        && (view.reason, view.status, view.created_at) == (row.reason, status, row.created_at)
        && view.settled == row.settled
}

pub(super) fn settle(
    slot: &Slot,
    order: &OrderName,
    txn: &TxnId,
    reference: &Reference,
    reply: &Reply,
) -> bool {
    let Some(row) = slot.refund(order, txn) else { return *reply == Err(Rejection::RefundNotFound) };
    let Some(settled) = &row.settled else { return false };
    match reply {
        Ok(Answer::Refund(view)) => settled.reference == *reference && shows(row, view.cursor.slot, view),
        Ok(_) => false,
        Err(why) => *why == Rejection::RefundSettled && settled.reference != *reference,
    }
}

/// A page of one core: each line is as its slot has it, and none is left out that was there all the time.
pub(super) fn listed(model: &Model, question: &Question, list: &ListRefunds, reply: &Reply) {
    let Ok(Answer::Refunds(page)) = reply else { panic!("{list:?} was answered with {reply:?}") };
    assert!(page.len() <= list.limit, "a page of {} at most has {}", list.limit, page.len());
    assert!(page.is_sorted_by(|a, b| a.cursor < b.cursor), "not in order: {page:?}");
    let wanted = |row: &RefundRow| match list.status {
        None => true,
        Some(RefundFilter::Settled) => row.settled.is_some(),
        Some(RefundFilter::Required) => row.settled.is_none(),
        Some(RefundFilter::Unmatched) => {
            matches!(row.reason, RefundReason::Unmatched | RefundReason::HistoryLost)
        }
    };
    for view in page {
        assert!(
            list.after.is_none_or(|after| after < view.cursor),
            "before the place that was asked: {view:?}"
        );
        let from = question.shown.iter().find(|shown| shown.slot == view.cursor.slot);
        let states = model.window(view.cursor.slot, from.map_or(0, |shown| shown.from));
        let row = |slot: &Slot| slot.refunds.get(&view.cursor.number).cloned();
        let found = states.iter().filter_map(|slot| row(slot));
        let shown = { found }.any(|row| shows(&row, view.cursor.slot, view) && wanted(&row));
        assert!(shown, "no durable state since it was asked shows {view:?}");
    }
    let end = if page.len() < list.limit { None } else { page.last().map(|view| view.cursor) };
    for shown in &question.shown {
        let states = model.window(shown.slot, shown.from);
        let Some(first) = states.first() else { continue };
        for (number, row) in &first.refunds {
            let cursor = engine::command::RefundCursor { slot: shown.slot, number: *number };
            let asked = list.after.is_none_or(|after| after < cursor) && end.is_none_or(|end| cursor <= end);
            let always = states.iter().all(|slot| slot.refunds.get(number).is_some_and(|row| wanted(row)));
            let given = page.iter().any(|view| view.cursor == cursor);
            assert!(!asked || !always || given, "left out of a page: {row:?} of slot {}", shown.slot.get());
        }
    }
}
