//! Random histories against an independent model that keeps the same promises the obvious way.
//!
//! The simulator has a model of its own (`sim/src/checks/model/`), which holds records against rules. This one decides each command
//! of one slot by itself and compares the answer; a failure shrinks to the few commands that show it.

mod naive;
mod ops;

use std::collections::BTreeMap;

use allocator::{SeatNo, Span};
use engine::answer::{Answer, HoldView, OrderView, Reply};
use engine::command::{
    AdHoc, Cancel, Command, ExpectedHold, HoldRef, ListRefunds, Pay, Purchase, Reserve, SeatRequest,
};
use engine::decide::Policy;
use engine::ids::{Cents, HoldId, OrderId, OrderName, PartitionKey, Reference, TxnId};
use engine::text::Text;
use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::support::catalogue::{Table, coaches, run};
use crate::support::check;
use crate::support::names::{APART, TOGETHER};
use crate::support::names::{Names, Placement, entropy, hold, key, order_name, partition, span};
use crate::support::word;
use crate::support::world::{START, World};
use naive::Naive;
use ops::{ALL_ORDERS, HoldName, ORDERS, Op, Place, Who};

/// The engine's side of a history.
struct Real {
    world: World,
    names: Names,
    /// Keys by place: the run's is of the timetable, the other one's slot is chosen.
    places: BTreeMap<Place, PartitionKey>,
}

const RUN: &str = "G1|2026-02-11|2nd";

impl Real {
    fn new(placement: Placement) -> Real {
        let names = Names::new(placement);
        let mut definition = run("stop", 3, START.plus(ops::RUN_ENDS_AT_MS));
        // The second departs long after the run has been forgotten: what closes is what boards at the first.
        for (stop, ms) in definition.stops.iter_mut().zip([ops::FIRST_STOP_DEPARTS_AT_MS, 1_000_000]) {
            let departs_at = stop.departs_at.as_mut().expect("a stop before the last");
            departs_at.unix_secs = START.plus(ms).0 as i64 / 1_000;
        }
        let mut world = World::new(Table::default().sells(RUN, coaches(&["05"]), definition));
        world.policy = Policy {
            hold_ttl_ms: ops::HOLD_TTL_MS,
            hold_ttl_max_ms: ops::HOLD_TTL_MAX_MS,
            hold_memory_ms: ops::RETENTION_MS,
            abandon_ms: ops::ABANDON_MS,
            sale_closes_ms: ops::SALE_CLOSES_MS as i64,
            departed_ms: ops::DEPARTED_MS,
            ..Policy::default()
        };
        let places = BTreeMap::from([(Place::Run, partition(RUN)), (Place::AdHoc, names.partition.clone())]);
        Real { world, names, places }
    }

    fn order(&self, order: usize) -> OrderId {
        if order < ORDERS {
            return self.names.order(order);
        }
        let place = [Place::Run, Place::AdHoc][(order - ORDERS) % 2];
        OrderId::new(self.world.hash().partition(&self.places[&place]), entropy(order))
    }

    fn hold(&self, name: HoldName) -> HoldId {
        match name {
            HoldName::Own(order) => self.order(order).hold_id(),
            HoldName::Free(nth) => hold(&format!("free-{nth}")),
        }
    }

    fn who(&self, who: Who) -> OrderName {
        match who {
            Who::Order(order) => self.order(order).name(),
            Who::Stranger => order_name("a stranger's"),
        }
    }

    fn named(&self, named: Option<HoldName>) -> ExpectedHold {
        ExpectedHold { partition: None, hold: named.map(|name| self.hold(name)) }
    }

    fn command(&self, op: &Op) -> Option<Command> {
        let ad_hoc = AdHoc { capacity: 4, segments: 3 };
        let reference = |place: &Place, name: &HoldName| HoldRef {
            partition: self.places[place].clone(),
            hold: self.hold(*name),
        };
        Some(match op {
            Op::TryHold { place, hold, quantity, span: asked } => {
                let HoldRef { partition, hold } = reference(place, hold);
                let span = asked.and_then(|(from, to)| span(from, to));
                Command::TryHold(SeatRequest { partition, hold, quantity: *quantity, span, ad_hoc })
            }
            Op::Release { place, hold } => Command::ReleaseHold(reference(place, hold)),
            Op::Confirm { place, hold } => Command::ConfirmHold(reference(place, hold)),
            Op::Available { place, span: asked } => Command::Availability {
                partition: self.places[place].clone(),
                span: asked.and_then(|(from, to)| span(from, to)),
            },
            Op::Create { order, amount } => {
                crate::support::names::create(self.names.key(*order), *amount, *order)
            }
            Op::Purchase { key: nth, place, amount, quantity, span: asked, ttl_ms } => {
                Command::Purchase(Purchase {
                    key: key(&format!("basket-{nth}")),
                    amount: Cents(*amount),
                    partition: self.places[place].clone(),
                    quantity: *quantity,
                    span: asked.and_then(|(from, to)| span(from, to)),
                    ad_hoc,
                    ttl_ms: *ttl_ms,
                    entropy: entropy(ops::purchase(*nth, *place)),
                })
            }
            Op::Reserve { order, place, hold, quantity, span: asked } => {
                let HoldRef { partition, hold } = reference(place, hold);
                let span = asked.and_then(|(from, to)| span(from, to));
                let order = self.order(*order);
                let seats = SeatRequest { partition, hold, quantity: *quantity, span, ad_hoc };
                Command::Reserve(Reserve { order, seats })
            }
            Op::Cancel { order, named } => {
                Command::Cancel(Cancel { order: self.order(*order), expected: self.named(*named) })
            }
            Op::Pay { who, txn, verified, named } => Command::Pay(Pay {
                order: self.who(*who),
                txn: self.names.txn(*txn),
                expected: self.named(*named),
                verified: *verified,
                looked_up: None,
            }),
            Op::Ticket { order } => Command::IssueTicket { order: self.order(*order) },
            Op::Get { order } => Command::GetOrder { order: self.order(*order) },
            Op::Settle { who, txn, reference } => Command::SettleRefund {
                order: self.who(*who),
                txn: self.names.txn(*txn),
                reference: Reference::parse(&format!("{reference}")).unwrap(),
            },
            Op::Wait { .. } | Op::Reload => return None,
        })
    }

    /// The answer in the model's words, and the seats that it names.
    fn step(&mut self, op: &Op) -> (String, Vec<usize>) {
        match op {
            Op::Wait { ms, due: true } => self.world.later(*ms),
            Op::Wait { ms, due: false } => self.world.wait(*ms),
            Op::Reload => self.world.reload(),
            _ => {}
        }
        let Some(command) = self.command(op) else { return (String::new(), vec![]) };
        let reply = self.world.run(command);
        let seats = match &reply {
            Ok(Answer::Partition(view)) => seats(&view.hold.seats),
            Ok(Answer::Order(view)) => view.reservation.as_ref().map_or(vec![], |r| seats(&r.seats)),
            _ => vec![],
        };
        (self.say(&reply), seats)
    }

    fn say(&self, reply: &Reply) -> String {
        match reply {
            Err(_) => word(reply),
            Ok(Answer::Partition(view)) => {
                let HoldView { status, seats: labels, expires_at, .. } = &view.hold;
                let until = expires_at.0 - START.0;
                let (free, sold) = (view.available, view.confirmed);
                format!("{status:?} {:?} until {until}, {free} free, {sold} sold", seats(labels))
            }
            Ok(Answer::Availability { available, .. }) => format!("{available} free"),
            Ok(Answer::Order(view)) => self.say_order(view, &word(reply)),
            Ok(Answer::Refund(view)) => {
                format!("{:?} {}", view.reason, view.settled.as_ref().unwrap().reference)
            }
            Ok(other) => panic!("{other:?}"),
        }
    }

    fn say_order(&self, view: &OrderView, status: &str) -> String {
        let reserved = view.reservation.as_ref().map(|r| {
            let has_ended = view.cancel_reason.is_some();
            assert_eq!(r.seats.len(), if has_ended { 0 } else { r.quantity as usize });
            let (place, _) = self.places.iter().find(|(_, key)| **key == r.partition).unwrap();
            let (hold, until) = (self.hold_name(&r.hold), r.expires_at.0 - START.0);
            let span = (usize::from(r.from), usize::from(r.to));
            format!("{place:?} {hold:?} {:?} {span:?} until {until}", seats(&r.seats))
        });
        let txn = view.txn.as_ref().map(|txn| self.txn_number(txn));
        let refund = view.refund.map(|refund| format!("{refund:?}"));
        format!("{status} {} {reserved:?} {txn:?} {refund:?}", view.amount.0)
    }

    fn hold_name(&self, id: &HoldId) -> HoldName {
        let own = (0..ALL_ORDERS).map(HoldName::Own);
        own.chain((0..3).map(HoldName::Free)).find(|name| self.hold(*name) == *id).unwrap()
    }

    fn txn_number(&self, txn: &TxnId) -> usize {
        (0..=ALL_ORDERS).find(|nth| self.names.txn(*nth) == *txn).unwrap()
    }

    fn refunds(&mut self) -> Vec<String> {
        let list = ListRefunds { status: None, after: None, limit: 1_000 };
        let Ok(Answer::Refunds(views)) = self.world.run(Command::ListRefunds(list)) else { panic!() };
        let mut all: Vec<String> = views
            .iter()
            .map(|view| {
                let who = (0..ALL_ORDERS).map(Who::Order).find(|who| self.who(*who) == view.order);
                let (who, txn) = (who.unwrap_or(Who::Stranger), self.txn_number(&view.txn));
                let settled: Option<usize> =
                    view.settled.as_ref().map(|settled| settled.reference.as_str().parse().unwrap());
                format!("{who:?} {txn} {:?}", (format!("{:?}", view.reason).as_str(), settled))
            })
            .collect();
        all.sort();
        all
    }

    /// Every seat on every segment.
    fn check_seats(&self, model: &Naive) {
        for (place, key) in &self.places {
            let (seats, segments) = match place {
                Place::Run => (6, 2),
                Place::AdHoc => (4, 3),
            };
            let slot = self.world.slot(self.world.hash().partition(key));
            let p = slot.and_then(|slot| slot.partitions().get(key));
            for (seat, segment) in (0..seats).flat_map(|seat| (0..segments).map(move |s| (seat, s))) {
                let span = Span::new(segment as u16, segment as u16 + 1).unwrap();
                let is_free = p.is_none_or(|p| p.inventory().is_free(SeatNo(seat as u32), span));
                assert_eq!(!is_free, model.is_taken(*place, seat, segment), "{place:?} {seat} {segment}");
            }
        }
    }
}

/// Labels as the numbers that the model counts by: `05-2C` is the fifth of the run, `1-3` the third ad hoc one.
fn seats(labels: &[Text]) -> Vec<usize> {
    let number = |label: &Text| match label.as_str().split_once('-').unwrap() {
        ("05", place) => {
            let (row, letter) = place.split_at(1);
            (row.parse::<usize>().unwrap() - 1) * 3
                + ["A", "C", "F"].iter().position(|l| *l == letter).unwrap()
        }
        ("1", place) => place.parse::<usize>().unwrap() - 1,
        other => panic!("{other:?}"),
    };
    labels.iter().map(number).collect()
}

fn history(placement: Placement, ops: &[Op]) {
    let (mut real, mut model) = (Real::new(placement), Naive::default());
    for (i, op) in ops.iter().enumerate() {
        let (said, chosen) = real.step(op);
        assert_eq!(said, model.step(op, &chosen), "step {i}: {op:?}");
        assert_eq!(real.refunds(), model.refunds(), "step {i}: {op:?}");
        real.check_seats(&model);
        check::always(&real.world);
        if matches!(op, Op::Wait { due: true, .. }) {
            check::settled(&real.world);
        }
    }
    check::replay(&real.world);
    // And once more with all that is still due.
    real.world.later(10_000);
    check::settled(&real.world);
    check::replay(&real.world);
}

proptest! {
    #![proptest_config(Config { cases: 200, failure_persistence: None, ..Config::default() })]

    #[test]
    fn histories_in_one_slot(ops in prop::collection::vec(ops::op(), 1..120)) {
        history(TOGETHER, &ops);
    }

    #[test]
    fn histories_across_slots(ops in prop::collection::vec(ops::op(), 1..120)) {
        history(APART, &ops);
    }
}

/// What a reply begins with after an operation's name, and kinds of records.
const WANTED: &[&str] = &[
    "TryHold Held",
    "TryHold Confirmed",
    "TryHold !HoldDiffers",
    "TryHold !HoldExpired",
    "TryHold !HoldReleased",
    "TryHold !InsufficientStock",
    "TryHold !InvalidSpan",
    "TryHold !PartitionNotFound",
    "TryHold !SaleClosed",
    "Release Released",
    "Release !HoldOwned",
    "Release !HoldConfirmed",
    "Confirm Confirmed",
    "Confirm !HoldExpired",
    "Create !AmountDiffers",
    "Create Cancelled(HoldExpired)",
    "Purchase Reserved",
    "Purchase Paid",
    "Purchase Ticketed",
    "Purchase Cancelled(HoldExpired)",
    "Purchase Cancelled(Requested)",
    "Purchase !KeyReused",
    "Purchase !InvalidTtl",
    "Purchase !InvalidSpan",
    "Purchase !InsufficientStock",
    "Purchase !SaleClosed",
    "Reserve Reserved",
    "Reserve !HoldOwnedByAnother",
    "Reserve !ReservationDiffers",
    "Reserve !InvalidTransition",
    "Reserve !InsufficientStock",
    "Cancel Cancelled(Requested)",
    "Cancel Cancelled(HoldExpired)",
    "Cancel Cancelled(Abandoned)",
    "Cancel !HoldMismatch",
    "Cancel !InvalidTransition",
    "Pay Paid",
    "Pay Ticketed",
    "Pay !TxnUsed",
    "Pay !AlreadyPaid",
    "Pay !HoldExpired",
    "Pay !InvalidTransition",
    "Pay !OrderNotFound",
    "Ticket Ticketed",
    "Ticket !InvalidTransition",
    "Settle Unmatched",
    "Settle AlreadyPaid",
    "Settle HoldExpired",
    "Settle !RefundSettled",
    "Get Paid",
    "Get Cancelled(HoldExpired)",
    "PartitionForgotten",
    "HoldAdopted",
    "HoldsForgotten",
    "HoldsExpired",
    "PurchasePaid",
    "PurchaseCancelled",
];

/// The histories above do come to everything: otherwise they would prove little.
#[test]
fn histories_are_rich() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for _ in 0..600 {
        let ops = prop::collection::vec(ops::op(), 60..120).new_tree(&mut runner).unwrap().current();
        let mut real = Real::new(APART);
        for op in &ops {
            let (said, _) = real.step(op);
            let said = said.split(' ').next().unwrap().to_owned();
            let op = format!("{op:?}").split(' ').next().unwrap().to_owned();
            *seen.entry(format!("{op} {said}")).or_insert(0) += 1;
        }
        for record in &real.world.log {
            *seen.entry(crate::support::kind(record).into()).or_insert(0) += 1;
        }
    }
    let missing = WANTED.iter().filter(|wanted| seen.get(**wanted).is_none_or(|count| *count < 3));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&&str>::new());
}
