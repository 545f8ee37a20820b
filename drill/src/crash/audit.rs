//! The audit: holds a restarted server to everything that it, or the one before it, ever answered.
//!
//! After a restart the steps come in this order, for the journeys of one cycle:
//! 1. [`check_recovered`]: by reading alone; nothing is changed yet.
//! 2. [`repeat`]: each write is sent again.
//! 3. [`settle_all`]: every order ends, and what became of unanswered writes is found out.
//! 4. [`check_reads`], [`repeat`] once more, [`check_refunds`], and the ledger of seats.
//!
//! | defect | found by |
//! |---|---|
//! | an acknowledged write is lost, or is answered otherwise | [`repeat`] |
//! | a read is taken back | [`check_recovered`], [`check_reads`] |
//! | an order is stuck | [`settle_all`], which waits for its end, and the verdict on it |
//! | a step across slots stays half done | [`settle_all`], where a client does not ask again |
//! | money is lost or paid twice | the verdict, [`check_refunds`] |
//! | a seat is held twice, never comes back, or comes back though it is sold | [`super::ledger`] |

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::history::{Journey, ObservedRead, Op, Outcome, Write, read_now};
use super::partitions::{Partition, SeatRequest};
use super::pool::each;
use super::rules::{CLOCK_SLACK_MS, EXPIRED_MEANWHILE, TXN_USED, follows};
use crate::time::{is_server_clock_ours, now_ms};
use crate::{Server, Session, until};

/// Seats for the orders that find out what became of a payment.
const PROBE_CAPACITY: i64 = 10_000;

/// Repeats every write of a journey. What was answered must be answered alike; what was not gets its outcome now.
pub fn repeat(session: &mut Session, journey: &mut Journey) {
    let mut is_reserve_refused = false;
    for i in 0..journey.writes.len() {
        let write = &journey.writes[i];
        let again =
            write.outcome.as_ref().map_or(!journey.abandoned, |outcome| is_repeatable(&write.op, outcome));
        if !again {
            continue;
        }
        let sent_ms = now_ms();
        let outcome = write.op.send_until_known(session, &journey.seats);
        let checked = match &write.outcome {
            None => check_first(write, &outcome),
            Some(before) => {
                is_reserve_refused |= matches!(write.op, Op::Reserve { .. }) && !outcome.is_ok();
                Repeated { journey, write, before, again: &outcome, sent_ms }.check()
            }
        };
        checked.unwrap_or_else(|what| panic!("{what}\nthe journey: {journey:#?}"));
        let write = &mut journey.writes[i];
        if write.outcome.is_none() {
            write.outcome = Some(outcome);
            write.done_ms = now_ms();
        }
    }
    let Some(now) = check_acknowledged(session, journey) else { return };
    if let Some(settled) = &journey.settled {
        assert_eq!(&now, settled, "an order changed after its end\nthe journey: {journey:#?}");
    }
    let reserved = journey.accepted(Op::reserves).is_some();
    assert!(!reserved || now["Status"] != "INIT", "a reservation is gone: {now}\nthe journey: {journey:#?}");
    assert!(
        !is_reserve_refused || now["Status"] != "RESERVED",
        "a reservation is refused: {now}\nthe journey: {journey:#?}"
    );
}

/// Every acknowledged write of an order's journey still shows in the order. Gives the order.
fn check_acknowledged(session: &mut Session, journey: &Journey) -> Option<Value> {
    let now = read_now(session, journey.order()?);
    for outcome in journey.acknowledged() {
        follows(&outcome.body, &now).unwrap_or_else(|what| {
            panic!("an acknowledged write is gone: {what}\nthe journey: {journey:#?}")
        });
    }
    Some(now)
}

/// A refused hold or reservation may be possible now; everything else has its answer for ever.
fn is_repeatable(op: &Op, outcome: &Outcome) -> bool {
    outcome.is_ok() || !(op.reserves() || matches!(op, Op::TryHold { .. }))
}

/// The outcomes that a write may have which was cut off.
fn check_first(write: &Write, outcome: &Outcome) -> Result<(), String> {
    let is_legal = match (&write.op, outcome.status) {
        (_, 200) => true,
        (Op::Create { .. } | Op::Cancel { .. }, _) => false,
        (Op::TryHold { .. }, 400) => outcome.error() == "insufficient stock",
        (_, status) => status == 409,
    };
    if is_legal { Ok(()) } else { Err(format!("no legal outcome of {write:?}: {outcome:?}")) }
}

/// A write that was answered with `before` and sent again at `sent_ms`.
struct Repeated<'a> {
    journey: &'a Journey,
    write: &'a Write,
    before: &'a Outcome,
    again: &'a Outcome,
    sent_ms: u64,
}

impl Repeated<'_> {
    fn wrong(&self, what: &str) -> Result<(), String> {
        Err(format!("{what}: {:?}, now {:?}", self.write, self.again))
    }

    fn check(&self) -> Result<(), String> {
        let Repeated { write, before, again, .. } = self;
        if !before.is_ok() {
            // The contract fixes no text for another order's transaction where the order has ended.
            let same_text = again.error() == before.error() || before.error() == TXN_USED;
            let same = again.status == before.status && same_text;
            return if same { Ok(()) } else { self.wrong("refused otherwise") };
        }
        match &write.op {
            Op::TryHold { .. } => self.check_try_hold(),
            // An order that has gone on cannot be reserved any more; the read afterwards shows that it has.
            Op::Reserve { .. } if again.status == 409 => Ok(()),
            _ if !again.is_ok() => self.wrong("answered otherwise"),
            Op::Confirm { .. } | Op::Release { .. } => self.check_same_hold(),
            Op::Create { .. }
            | Op::Purchase { .. }
            | Op::Reserve { .. }
            | Op::Pay { .. }
            | Op::Cancel { .. } => follows(&before.body, &again.body),
        }
    }

    fn check_try_hold(&self) -> Result<(), String> {
        let Repeated { journey, before, again, .. } = self;
        let expires_ms = journey.expires_ms(before);
        let confirmed = journey.accepted(|op| matches!(op, Op::Confirm { .. })).is_some();
        let released = journey.accepted(|op| matches!(op, Op::Release { .. })).is_some();
        // An end that was asked for and not answered may have come.
        let is_end = |op: &Op| matches!(op, Op::Confirm { .. } | Op::Release { .. });
        let ending = journey.first_sent_ms(is_end).is_some();
        if again.is_ok() {
            if released {
                return self.wrong("a released hold is held again");
            }
            if is_server_clock_ours() && !ending && expires_ms + CLOCK_SLACK_MS < self.sent_ms {
                return self.wrong("an expired hold is still held");
            }
            if confirmed && journey.hold_in(again)["status"] != "confirmed" {
                return self.wrong("a hold is not confirmed any more");
            }
            return self.check_same_hold();
        }
        let expired = !is_server_clock_ours() || now_ms() + CLOCK_SLACK_MS >= expires_ms;
        let may_be_gone = again.status == 409 && !confirmed && (released || expired || ending);
        if may_be_gone { Ok(()) } else { self.wrong("a hold is gone") }
    }

    fn check_same_hold(&self) -> Result<(), String> {
        let (was, is) = (self.journey.hold_in(self.before), self.journey.hold_in(self.again));
        let same = |field: &&str| was[*field] == is[*field] && !is[*field].is_null();
        let same = ["hold_id", "qty", "seats"].iter().all(same);
        if same { Ok(()) } else { self.wrong("another hold than before") }
    }
}

/// Every acknowledged write about an order is there right after the restart, and everything that was read is still true.
pub fn check_recovered(server: &Server, journeys: &mut [Journey], reads: &[ObservedRead]) {
    each(server, journeys, |session, journey| {
        check_acknowledged(session, journey);
    });
    let mut by_order: Vec<_> = by_order(reads).into_iter().collect();
    each(server, &mut by_order, |session, (order, reads)| {
        let now = read_now(session, order);
        reads.iter().for_each(|read| check_read(read, &now));
    });
}

/// Everything that was read is still true when all has ended, and no two reads contradict each other.
pub fn check_reads(reads: &[ObservedRead], journeys: &[Journey]) {
    let settled: BTreeMap<&str, &Value> =
        journeys.iter().filter_map(|j| Some((j.order()?, j.settled.as_ref()?))).collect();
    for (order, reads) in by_order(reads) {
        // Readers know of an order only once its creation was answered.
        let now = settled.get(order).unwrap_or_else(|| panic!("{order} was read and is not in the history"));
        reads.iter().for_each(|read| check_read(read, now));
        for (a, b) in reads.iter().flat_map(|a| reads.iter().map(move |b| (a, b))) {
            if a.done_ms < b.sent_ms && a.is_view == b.is_view {
                follows(&a.seen, &b.seen)
                    .unwrap_or_else(|what| panic!("two reads contradict each other: {what}"));
            }
        }
    }
}

fn by_order(reads: &[ObservedRead]) -> BTreeMap<&str, Vec<&ObservedRead>> {
    let mut by_order: BTreeMap<&str, Vec<&ObservedRead>> = BTreeMap::new();
    for read in reads {
        by_order.entry(&read.order).or_default().push(read);
    }
    by_order
}

fn check_read(read: &ObservedRead, now: &Value) {
    follows(&read.seen, now).unwrap_or_else(|what| panic!("a read was taken back: {what}"));
}

/// Exactly the refunds that were announced are owed, each once. Gives how many.
pub fn check_refunds<'a>(session: &mut Session, journeys: impl Iterator<Item = &'a Journey>) -> u64 {
    let mut expected = BTreeSet::new();
    for journey in journeys {
        let order = journey.order().unwrap_or_default();
        expected.extend(journey.owed().map(|txn| (order.to_owned(), txn.to_owned())));
    }
    let mut listed = BTreeSet::new();
    // Nobody settles any.
    for refund in session.refunds("required") {
        let field = |name: &str| refund[name].as_str().unwrap_or_default().to_owned();
        let new = listed.insert((field("order_id"), field("provider_txn_id")));
        assert!(new, "owed twice: {refund}");
    }
    let lost: Vec<_> = expected.difference(&listed).collect();
    let made_up: Vec<_> = listed.difference(&expected).collect();
    assert!(lost.is_empty() && made_up.is_empty(), "refunds lost: {lost:?}, owed to nobody: {made_up:?}");
    listed.len() as u64
}

/// Brings every journey to its end: one in four of the expired orders is paid, too late; what became of abandoned writes
/// is found out, and the orders that this takes become journeys as well.
pub fn settle_all(server: &Server, journeys: &mut Vec<Journey>, cycle: u64) {
    let late_txn = |i: usize, journey: &Journey| {
        journey.key().filter(|_| i.is_multiple_of(4)).map(|key| format!("{key}-late"))
    };
    let mut settling: Vec<_> = journeys.iter_mut().enumerate().map(|(i, j)| (late_txn(i, j), j)).collect();
    each(server, &mut settling, |session, (late_txn, journey)| settle(session, journey, late_txn.take()));
    let partition = Partition::ad_hoc(format!("probes-{cycle}"), PROBE_CAPACITY);
    let abandoned = journeys.iter_mut().filter(|journey| journey.abandoned);
    let mut resolving: Vec<_> = abandoned.map(|journey| (journey, Vec::new())).collect();
    each(server, &mut resolving, |session, (journey, probes)| {
        *probes = resolve(session, journey, &partition);
    });
    let probes: Vec<Journey> = resolving.into_iter().flat_map(|(_, probes)| probes).collect();
    journeys.extend(probes);
}

/// Waits until the order has ended, pays it too late where it expired and `late_txn` is given, and judges its end.
fn settle(session: &mut Session, journey: &mut Journey, late_txn: Option<String>) {
    let Some(order) = journey.order().map(str::to_owned) else { return };
    let until_ended = |session: &mut Session| {
        until(&format!("order {order} to end"), || {
            let now = read_now(session, &order);
            let status = now["Status"].as_str().unwrap_or_default();
            ["INIT", "TICKETED", "CANCELLED"].contains(&status).then_some(now)
        })
    };
    let mut now = until_ended(session);
    if let Some(txn) = late_txn
        && !journey.abandoned
        && now["CancelReason"] == "hold_expired"
    {
        let outcome = send_known(session, journey, Op::Pay { order: order.clone(), txn });
        assert_eq!((outcome.status, outcome.error()), (409, "hold expired"), "{journey:#?}");
        now = until_ended(session);
    }
    journey.settled = Some(now);
    if !journey.abandoned {
        verdict(journey).unwrap_or_else(|what| panic!("{what}\nthe journey: {journey:#?}"));
    }
}

fn send_known(session: &mut Session, journey: &mut Journey, op: Op) -> Outcome {
    journey.send(session, op).expect("the server answers").expect("an outcome")
}

/// Nobody settles any, and what is owed the engine says by itself.
fn is_owed(session: &mut Session, order: &str, txn: &str) -> bool {
    let mut owed = session.refunds("required").into_iter();
    owed.any(|refund| refund["order_id"] == order && refund["provider_txn_id"] == txn)
}

/// Finds out what became of a write that nobody sent again: it was done whole or not at all. Then settles the journey, as
/// far as it can be. Gives the orders that were made to find out.
fn resolve(session: &mut Session, journey: &mut Journey, partition: &Arc<Partition>) -> Vec<Journey> {
    let mut probes = Vec::new();
    let write = journey.writes.pop().expect("an abandoned write");
    let is_done = match &write.op {
        Op::Pay { order, txn } => until(&format!("{txn} to pay, to be owed back, or to be free"), || {
            let now = read_now(session, order);
            if now["ProviderTxnID"] == txn.as_str() || is_owed(session, order, txn) {
                return Some(true);
            }
            let (probe, is_free) = probe(session, partition, txn, probes.len());
            probes.push(probe);
            is_free.then_some(false)
        }),
        // That the order has ended is all there is to know; a cancel can still be asked for.
        Op::Cancel { .. } => true,
        _ => false,
    };
    if is_done {
        journey.writes.push(write);
    }
    journey.abandoned = false;
    for journey in probes.iter_mut().chain([journey]) {
        journey.settled = None;
        repeat(session, journey);
        settle(session, journey, None);
    }
    probes
}

/// Pays a new order with somebody else's transaction. True where the transaction was free: it is the new order's now,
/// even if the payment came too late for its seat.
fn probe(session: &mut Session, partition: &Arc<Partition>, txn: &str, number: usize) -> (Journey, bool) {
    let mut journey = Journey::new(SeatRequest::one(partition));
    let mut send = |op: Op| send_known(session, &mut journey, op);
    let created = send(Op::Create { key: format!("{txn}-probe-{number}"), amount_cents: 1 });
    let order = created.body["OrderID"].as_str().expect("an id").to_owned();
    send(Op::Reserve { order: order.clone() });
    let paid = send(Op::Pay { order, txn: txn.to_owned() });
    (journey, paid.error() != TXN_USED)
}

/// Compares the end of an order with its answers.
fn verdict(journey: &Journey) -> Result<(), String> {
    let now = journey.settled.as_ref().expect("a settled order");
    let status = now["Status"].as_str().unwrap_or_default();
    let reserved = journey.accepted(Op::reserves);
    let paid: BTreeSet<&str> =
        journey.payments().filter(|(_, outcome)| outcome.is_ok()).map(|(txn, _)| txn).collect();
    let cancelled = journey.accepted(|op| matches!(op, Op::Cancel { .. })).is_some();
    let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}: {now}")) };
    ensure(paid.len() <= 1, "paid with two transactions")?;
    ensure(
        (status == "TICKETED") == (paid.len() == 1),
        "a payment is acknowledged if and only if there is a ticket",
    )?;
    if let Some(txn) = paid.first() {
        ensure(now["ProviderTxnID"] == *txn, "ticketed for another payment")?;
        let (_, reserved) = reserved.ok_or("a ticket without a reservation")?;
        ensure(now["Seats"] == reserved.body["Seats"], "ticketed with other seats")?;
        ensure(!cancelled, "ticketed and cancelled")?;
    }
    let mut refused = journey.payments().filter(|(_, outcome)| outcome.error() == TXN_USED);
    ensure(refused.all(|(txn, _)| !journey.is_own(txn)), "its own transaction is said to be another's")?;
    ensure(!cancelled || status == "CANCELLED", "an acknowledged cancel is gone")?;
    ensure(reserved.is_none() || status != "INIT", "an acknowledged reservation is gone")?;
    let expired = now["CancelReason"] == "hold_expired";
    ensure(status != "CANCELLED" || cancelled || expired, "cancelled by nobody")?;
    let too_late = journey.writes.iter().any(|write| {
        let outcome = write.outcome.as_ref();
        matches!(write.op, Op::Reserve { .. }) && outcome.is_some_and(|o| o.error() == EXPIRED_MEANWHILE)
    });
    ensure(!too_late || expired, "refused as expired and not expired")?;
    let refund = if journey.owed().next().is_some() { "required".into() } else { Value::Null };
    ensure(now["Refund"] == refund, "another refund")
}
