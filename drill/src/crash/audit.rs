//! Holds a restarted server to everything that it, or the one before it, ever said.
//!
//! Which assertion catches what:
//! - an acknowledged write that is lost, or answers otherwise: [`repeat`], each write again;
//! - a read taken back: [`check_recovered`] and [`check_sights`];
//! - an order that is stuck: [`settle`], which waits for its end, and its verdict;
//! - a step across slots that stays half done: [`resolve`], where nobody asks again;
//! - money lost or paid twice: the verdict and [`check_refunds`];
//! - a seat held twice, seats that never come back, or come back though they are sold: the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::book::{Journey, Op, Place, Sight, Step, Told, Want};
use super::load::read;
use super::pool::each;
use super::rules::{CLOCK_SLACK_MS, EXPIRED_MEANWHILE, TXN_USED, follows};
use crate::time::{is_server_clock_ours, now_ms};
use crate::{Server, Session, until};

/// Repeats every write of a journey: those that were answered must be answered alike, and one that was not gets its
/// outcome now.
pub fn repeat(session: &mut Session, journey: &mut Journey) {
    let mut has_gone_on = false;
    for i in 0..journey.steps.len() {
        let step = &journey.steps[i];
        let again = step.told.as_ref().map_or(!journey.abandoned, |told| is_repeatable(&step.op, told));
        if !again {
            continue;
        }
        let asked_ms = now_ms();
        let told = Told::of(&step.op.send_until_known(session, &journey.want));
        let checked = match &step.told {
            None => check_first(step, &told),
            Some(before) => {
                has_gone_on |= matches!(step.op, Op::Reserve { .. }) && !told.is_ok();
                check_again(journey, step, before, &told, asked_ms)
            }
        };
        checked.unwrap_or_else(|what| panic!("{what}\nthe journey: {journey:#?}"));
        let step = &mut journey.steps[i];
        if step.told.is_none() {
            step.told = Some(told);
            step.done_ms = now_ms();
        }
    }
    let Some(order) = journey.order().map(str::to_owned) else { return };
    let now = read(session, &order, false).expect("an answer");
    let orders = journey.steps.iter().filter_map(|s| s.told.as_ref()).filter(|t| t.is_ok());
    for told in orders {
        follows(&told.body, &now).unwrap_or_else(|what| panic!("{what}\nthe journey: {journey:#?}"));
    }
    if let Some(settled) = &journey.settled {
        assert_eq!(&now, settled, "what had ended has changed\nthe journey: {journey:#?}");
    }
    let reserved = journey.accepted(|op| matches!(op, Op::Reserve { .. })).is_some();
    assert!(!reserved || now["Status"] != "INIT", "a reservation is gone: {now}\nthe journey: {journey:#?}");
    assert!(
        !has_gone_on || now["Status"] != "RESERVED",
        "a reservation is refused: {now}\nthe journey: {journey:#?}"
    );
}

/// A refused hold or reservation may well be possible now; everything else has its answer for ever.
fn is_repeatable(op: &Op, told: &Told) -> bool {
    told.is_ok() || !matches!(op, Op::Reserve { .. } | Op::TryHold { .. })
}

/// Whether a write that was cut off may end like this.
fn check_first(step: &Step, told: &Told) -> Result<(), String> {
    let legal = match (&step.op, told.status) {
        (_, 200) => true,
        (Op::Create { .. } | Op::Cancel { .. }, _) => false,
        (Op::TryHold { .. }, 400) | (Op::Reserve { .. }, 409) if told.error() == "insufficient stock" => true,
        (_, status) => status == 409,
    };
    if legal { Ok(()) } else { Err(format!("no legal end of {step:?}: {told:?}")) }
}

/// Whether a write that was answered with `before` may be answered with `again`.
fn check_again(
    journey: &Journey,
    step: &Step,
    before: &Told,
    again: &Told,
    asked_ms: u64,
) -> Result<(), String> {
    let wrong = || Err(format!("answered otherwise: {step:?}, now {again:?}"));
    if !before.is_ok() {
        // For a transaction of another order the contract gives no text where the order has ended.
        let same_text = again.error() == before.error() || before.error() == TXN_USED;
        return if again.status == before.status && same_text { Ok(()) } else { wrong() };
    }
    match &step.op {
        Op::TryHold { .. } => check_try_hold(journey, step, before, again, asked_ms),
        Op::Confirm { .. } | Op::Release { .. } => {
            if again.is_ok() {
                same_hold(journey, before, again)
            } else {
                wrong()
            }
        }
        // An order that has gone on cannot be reserved any more; that it has, the read afterwards shows.
        Op::Reserve { .. } if again.status == 409 => Ok(()),
        Op::Create { .. } | Op::Reserve { .. } | Op::Pay { .. } | Op::Cancel { .. } => {
            if again.is_ok() {
                follows(&before.body, &again.body)
            } else {
                wrong()
            }
        }
    }
}

fn check_try_hold(
    journey: &Journey,
    step: &Step,
    before: &Told,
    again: &Told,
    asked_ms: u64,
) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: {step:?}, now {again:?}"));
    let expires_ms = journey.expires_ms(before);
    let confirmed = journey.accepted(|op| matches!(op, Op::Confirm { .. })).is_some();
    let released = journey.accepted(|op| matches!(op, Op::Release { .. })).is_some();
    // An end that was asked for and not answered may have come.
    let ending = journey.first_sent_ms(|op| matches!(op, Op::Confirm { .. } | Op::Release { .. })).is_some();
    if again.is_ok() {
        if released {
            return wrong("a released hold is held again");
        }
        if is_server_clock_ours() && !ending && expires_ms + CLOCK_SLACK_MS < asked_ms {
            return wrong("an expired hold is still held");
        }
        if confirmed && journey.hold_in(again)["status"] != "confirmed" {
            return wrong("a hold is not confirmed any more");
        }
        return same_hold(journey, before, again);
    }
    let expired = !is_server_clock_ours() || now_ms() + CLOCK_SLACK_MS >= expires_ms;
    if again.status == 409 && !confirmed && (released || expired || ending) {
        Ok(())
    } else {
        wrong("a hold is gone")
    }
}

fn same_hold(journey: &Journey, before: &Told, again: &Told) -> Result<(), String> {
    let (was, is) = (journey.hold_in(before), journey.hold_in(again));
    let same =
        ["hold_id", "qty", "seats"].iter().all(|field| was[field] == is[field] && !is[field].is_null());
    if same { Ok(()) } else { Err(format!("another hold than before: {was}, now {is}")) }
}

/// Exactly the refunds that were announced are owed, each once. Gives how many.
pub fn check_refunds<'a>(session: &mut Session, journeys: impl Iterator<Item = &'a Journey>) -> u64 {
    let mut expected = BTreeSet::new();
    for journey in journeys {
        let order = journey.order().unwrap_or_default();
        expected.extend(journey.owed().map(|txn| (order.to_owned(), txn.to_owned())));
    }
    let mut listed = BTreeSet::new();
    for refund in session.refunds("") {
        let field = |name: &str| refund[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(refund["status"], "required", "nobody settled {refund}");
        let new = listed.insert((field("order_id"), field("provider_txn_id")));
        assert!(new, "owed twice: {refund}");
    }
    let lost: Vec<_> = expected.difference(&listed).collect();
    let made_up: Vec<_> = listed.difference(&expected).collect();
    assert!(lost.is_empty() && made_up.is_empty(), "refunds lost: {lost:?}, owed to nobody: {made_up:?}");
    listed.len() as u64
}

/// Every acknowledged write about an order is there right after the restart, and everything that was read is still true.
pub fn check_recovered(server: &Server, journeys: &mut [Journey], sights: &[Sight]) {
    each(server, journeys, |session, journey| {
        let Some(order) = journey.order() else { return };
        let now = read(session, order, false).expect("an answer");
        for told in journey.steps.iter().filter_map(|s| s.told.as_ref()).filter(|t| t.is_ok()) {
            follows(&told.body, &now).unwrap_or_else(|what| {
                panic!("an acknowledged write is gone: {what}\nthe journey: {journey:#?}")
            });
        }
    });
    let mut by_order: BTreeMap<&str, Vec<&Sight>> = BTreeMap::new();
    for sight in sights {
        by_order.entry(&sight.order).or_default().push(sight);
    }
    let mut by_order: Vec<_> = by_order.into_iter().collect();
    each(server, &mut by_order, |session, (order, sights)| {
        let now = read(session, order, false).expect("an answer");
        for sight in sights {
            follows(&sight.seen, &now).unwrap_or_else(|what| panic!("a read was taken back: {what}"));
        }
    });
}

/// Everything that was read is still true when all has ended, and was in order while it was read.
pub fn check_sights(sights: &[Sight], journeys: &[Journey]) {
    let settled: BTreeMap<&str, &serde_json::Value> =
        journeys.iter().filter_map(|j| Some((j.order()?, j.settled.as_ref()?))).collect();
    let mut by_order: BTreeMap<&str, Vec<&Sight>> = BTreeMap::new();
    for sight in sights {
        by_order.entry(&sight.order).or_default().push(sight);
    }
    for (order, seen) in by_order {
        // An order whose creation was not answered to its creator was not known to readers either.
        let now = settled.get(order).unwrap_or_else(|| panic!("{order} was read and is not in the book"));
        for sight in &seen {
            follows(&sight.seen, now).unwrap_or_else(|what| panic!("a read was taken back: {what}"));
        }
        for (a, b) in seen.iter().flat_map(|a| seen.iter().map(move |b| (a, b))) {
            if a.done_ms < b.sent_ms && a.is_view == b.is_view {
                follows(&a.seen, &b.seen)
                    .unwrap_or_else(|what| panic!("two reads contradict each other: {what}"));
            }
        }
    }
}

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
        journey.payments().filter(|(_, told)| told.is_ok()).map(|(txn, _)| txn).collect();
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
    let refused = journey.payments().filter(|(_, told)| told.error() == TXN_USED);
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
    let owed = journey.owed().next().is_some();
    ensure(now["Refund"] == if owed { "required".into() } else { serde_json::Value::Null }, "another refund")
}
