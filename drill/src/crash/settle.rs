//! The end of every order: waited for, judged by what its writes were told, and found out where nobody asked again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::audit::repeat;
use super::book::{Journey, Op, Place, Told, Want};
use super::load::read;
use super::rules::{EXPIRED_MEANWHILE, TXN_USED};
use crate::{Session, until};

/// Waits until the order has ended, and pays some of the expired ones: too late, so that the money is owed back.
pub fn settle(session: &mut Session, journey: &mut Journey, late_txn: Option<String>) {
    let Some(order) = journey.order().map(str::to_owned) else { return };
    let ended = |session: &mut Session| {
        until(&format!("order {order} to end"), || {
            let now = read(session, &order, false).expect("an answer");
            ["INIT", "TICKETED", "CANCELLED"]
                .contains(&now["Status"].as_str().unwrap_or_default())
                .then_some(now)
        })
    };
    let mut now = ended(session);
    if let Some(txn) = late_txn
        && !journey.abandoned
        && now["CancelReason"] == "hold_expired"
    {
        let told = journey
            .go(session, Op::Pay { order: order.clone(), txn })
            .expect("an answer")
            .expect("an outcome");
        assert_eq!((told.status, told.error()), (409, "hold expired"), "{journey:#?}");
        now = ended(session);
    }
    journey.settled = Some(now);
    if !journey.abandoned {
        verdict(journey).unwrap_or_else(|what| panic!("{what}\nthe journey: {journey:#?}"));
    }
}

/// Finds out what became of a write that nobody asked for again: it was done whole or not at all. Gives the orders
/// that were made to find out; they are part of the book as well. The journey is settled, as far as it can be.
pub fn resolve(session: &mut Session, journey: &mut Journey, place: &Arc<Place>) -> Vec<Journey> {
    let mut probes = Vec::new();
    if !journey.abandoned {
        return probes;
    }
    let step = journey.steps.pop().expect("an abandoned write");
    let done = match &step.op {
        Op::Pay { order, txn } => {
            until(&format!("{txn} to pay, to be owed back, or to be anybody's"), || {
                let now = read(session, order, false).expect("an answer");
                if now["ProviderTxnID"] == txn.as_str() || !session.refunds_of(order, txn).is_empty() {
                    return Some(true);
                }
                let probe = probe(session, place, txn, probes.len());
                // Whatever else the probe was told, even that it came too late: the transaction is the probe's now.
                let told = probe.steps.last().and_then(|s| s.told.as_ref());
                let is_free = told.is_some_and(|told| told.error() != TXN_USED);
                probes.push(probe);
                is_free.then_some(false)
            })
        }
        // That the order has ended is all there is to know; a cancel can still be asked for.
        Op::Cancel { .. } => true,
        _ => false,
    };
    if done {
        journey.steps.push(step);
    }
    journey.abandoned = false;
    for journey in probes.iter_mut().chain([journey]) {
        journey.settled = None;
        repeat(session, journey);
        settle(session, journey, None);
    }
    probes
}

/// An order that is paid with somebody else's transaction, if that one is still free.
fn probe(session: &mut Session, place: &Arc<Place>, txn: &str, number: usize) -> Journey {
    let mut journey = Journey::new(Want { place: place.clone(), qty: 1, span: None });
    let mut go = |op: Op| journey.go(session, op).expect("an answer").expect("an outcome");
    let created = go(Op::Create { key: format!("{txn}-probe-{number}"), amount_cents: 1 });
    let order = created.body["OrderID"].as_str().expect("an id").to_owned();
    // Where it does not get its seat in time the payment has no use for it, and claims the transaction all the same.
    go(Op::Reserve { order: order.clone() });
    go(Op::Pay { order, txn: txn.to_owned() });
    journey
}

/// Whether an order has ended as its answers say.
fn verdict(journey: &Journey) -> Result<(), String> {
    let now = journey.settled.as_ref().expect("a settled order");
    let status = now["Status"].as_str().unwrap_or_default();
    let reserved = journey.accepted(|op| matches!(op, Op::Reserve { .. }));
    let paid: BTreeSet<&str> =
        payments(journey).filter(|(_, told)| told.is_ok()).map(|(txn, _)| txn).collect();
    let cancelled = journey.accepted(|op| matches!(op, Op::Cancel { .. })).is_some();
    let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {now}")) };
    ensure(paid.len() <= 1, "paid with two transactions")?;
    ensure(
        (status == "TICKETED") == (paid.len() == 1),
        "a payment is acknowledged if and only if there is a ticket",
    )?;
    if let Some(txn) = paid.first() {
        ensure(now["ProviderTxnID"] == *txn, "ticketed for another payment")?;
        let reserved = reserved.and_then(|s| s.told.as_ref()).ok_or("a ticket without a reservation")?;
        ensure(now["Seats"] == reserved.body["Seats"], "ticketed with other seats")?;
        ensure(!cancelled, "ticketed and cancelled")?;
    }
    let refused = payments(journey).filter(|(_, told)| told.error() == TXN_USED);
    ensure(
        refused.into_iter().all(|(txn, _)| !journey.is_own(txn)),
        "its own transaction is said to be another's",
    )?;
    ensure(!cancelled || status == "CANCELLED", "an acknowledged cancel is gone")?;
    ensure(reserved.is_none() || status != "INIT", "an acknowledged reservation is gone")?;
    ensure(
        status != "CANCELLED" || cancelled || now["CancelReason"] == "hold_expired",
        "cancelled by nobody",
    )?;
    let too_late = journey.steps.iter().any(|step| {
        let told = step.told.as_ref();
        matches!(step.op, Op::Reserve { .. }) && told.is_some_and(|told| told.error() == EXPIRED_MEANWHILE)
    });
    ensure(!too_late || now["CancelReason"] == "hold_expired", "refused as expired and not expired")?;
    let owed = owed(journey).next().is_some();
    ensure(now["Refund"] == if owed { "required".into() } else { serde_json::Value::Null }, "another refund")
}

fn payments(journey: &Journey) -> impl Iterator<Item = (&str, &Told)> {
    journey.steps.iter().filter_map(|step| match (&step.op, &step.told) {
        (Op::Pay { txn, .. }, Some(told)) => Some((txn.as_str(), told)),
        _ => None,
    })
}

/// Transactions of a journey that are owed back, by what its payments were told.
pub(super) fn owed(journey: &Journey) -> impl Iterator<Item = &str> {
    let owed =
        |told: &Told| ["already paid", "hold expired", "invalid state transition"].contains(&told.error());
    payments(journey).filter(move |(_, told)| owed(told)).map(|(txn, _)| txn)
}
