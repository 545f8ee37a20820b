//! What time alone brings about: bounded in every turn, and never missed by a driver that turns only when it is asked to.

use std::sync::Arc;

use engine::answer::{Answer, CancelReason, HoldStatus, OrderStatus, Rejection};
use engine::command::{AdHoc, Command};
use engine::ids::Time;
use engine::limits::EXPIRED_PER_RECORD_MAX;
use proptest::prelude::*;
use shard::limits::{DUE_RECORDS_PER_TURN_MAX, SWEEP_MS};
use shard::{Envelope, Message};
use wal::Lsn;

use crate::support::catalogue::{Table, coach, run};
use crate::support::check;
use crate::support::names::partition;
use crate::support::world::{HOLD_TTL_MS, Mail, START};
use crate::support::{Names, Setup, World};

/// Live holds whose deadline has passed.
fn overdue_holds(world: &World) -> usize {
    let partitions = world.slots().flat_map(|slot| slot.partitions().iter());
    partitions.map(|(_, p)| p.due(world.now).count()).sum()
}

#[track_caller]
fn order(world: &World, n: &Names, nth: usize) -> (OrderStatus, Option<CancelReason>) {
    let id = n.order(nth);
    let row = &world.slot(id.slot()).orders().get(id).expect("the order is there").row;
    (row.status, row.cancel_reason)
}

#[test]
fn a_turn_expires_so_many_and_no_more() {
    const HOLDS: usize = 5_000;
    let mut setup = Setup::new(1);
    setup.options.segment_bytes = 16 << 20;
    let mut world = World::of(setup);
    let mut n = world.names([0; 3]);
    n.ad_hoc = AdHoc { capacity: 10_000, segments: 1 };
    world.run_all((0..HOLDS).map(|nth| n.try_hold(&format!("h{nth}"), 1)));
    world.now = world.now.plus(HOLD_TTL_MS - 1);
    world.drain(0);
    assert_eq!(world.shard(0).stats().tally.holds_expired, 0, "not before the deadline");
    assert_eq!(world.shard(0).next_wake(), Some(world.now.plus(1)));
    world.now = world.now.plus(1);
    world.turn(0);
    let bound = DUE_RECORDS_PER_TURN_MAX * EXPIRED_PER_RECORD_MAX;
    assert_eq!(world.shard(0).stats().tally.holds_expired, bound as u64);
    assert_eq!(world.shard(0).next_wake(), Some(world.now), "there is more to do at once");
    world.turn(0);
    assert_eq!(world.shard(0).stats().tally.holds_expired, HOLDS as u64);
    world.settle();
    assert!(world.shard(0).next_wake().is_none_or(|at| at > world.now));
}

#[test]
fn many_slots_fall_due_in_turn() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.run_all((0..200).map(|nth| n.with_partition(nth).try_hold("h", 1)));
    world.now = world.now.plus(HOLD_TTL_MS);
    for turn in 1..=3 {
        world.turn(0);
        let expired = world.shard(0).stats().tally.holds_expired;
        assert_eq!(expired, (turn * DUE_RECORDS_PER_TURN_MAX) as u64);
    }
    world.turn(0);
    assert_eq!(world.shard(0).stats().tally.holds_expired, 200);
}

#[test]
fn expiry_cancels_the_order_and_frees_the_seat() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run_all([n.create(0), n.reserve(0)]);
    world.pass(HOLD_TTL_MS - 1);
    assert_eq!(order(&world, &n, 0), (OrderStatus::Reserved, None));
    world.pass(1);
    assert_eq!(order(&world, &n, 0), (OrderStatus::Cancelled, Some(CancelReason::HoldExpired)));
    assert!(matches!(world.run(n.availability()), Ok(Answer::Availability { available: 4, .. })));
}

/// The partition's core is silent: its orders ask after their holds, when there was time enough to be told.
#[test]
fn overdue_orders_ask_after_their_hold() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run_all([n.create(0), n.reserve(0), n.create(1), n.reserve(1)]);
    let deadline = world.now.plus(HOLD_TTL_MS);
    while world.now < deadline.plus(SWEEP_MS) {
        assert_eq!(world.mail, [], "not before {:?}", deadline.plus(SWEEP_MS));
        world.now = world.shard(0).next_wake().expect("a deadline is ahead").max(world.now.plus(1));
        world.drain(0);
    }
    assert_eq!(world.mail.iter().filter(|mail| mail.is_ask()).count(), 2);
    // Once: the question is on its way.
    world.now = world.now.plus(5 * SWEEP_MS);
    world.drain(0);
    assert_eq!(world.mail.iter().filter(|mail| mail.is_ask()).count(), 2);
    // Reading an overdue order asks as well, whatever is known here.
    let read = world.submit(n.get(0));
    world.drain(0);
    assert_eq!(world.reply(read), None);
    world.settle();
    assert!(
        matches!(world.reply(read), Some(Ok(Answer::Order(view))) if view.status == OrderStatus::Cancelled)
    );
    for nth in 0..2 {
        assert_eq!(order(&world, &n, nth), (OrderStatus::Cancelled, Some(CancelReason::HoldExpired)));
    }
    check::at_rest(&world);
}

/// A turn after the deadline puts the next sweep off, to a moment that is then the one that counts.
#[test]
fn a_sweep_comes_when_it_is_due_and_not_later() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run_all([n.create(0), n.reserve(0)]);
    world.now = world.now.plus(HOLD_TTL_MS + SWEEP_MS / 2);
    world.drain(0);
    assert_eq!(world.mail, []);
    world.now = world.now.plus(SWEEP_MS);
    assert_eq!(world.shard(0).next_wake(), Some(world.now));
    world.turn(0);
    assert_eq!(world.mail.iter().filter(|mail| mail.is_ask()).count(), 1);
    world.settle();
    check::at_rest(&world);
}

/// What was refused is asked again by a later sweep.
#[test]
fn an_overdue_order_that_was_refused_asks_again() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run_all([n.create(0), n.reserve(0)]);
    world.now = world.now.plus(HOLD_TTL_MS + SWEEP_MS);
    for _ in 0..3 {
        world.drain(0);
        let mail = world.take_mail(Mail::is_ask).expect("it asks");
        assert_eq!(world.mail, []);
        let Envelope { from, to, time, trace, message: Message::Ask { op, .. } } = mail.envelope else {
            unreachable!("that is an ask")
        };
        let message = Message::Answer { op, result: Err(Rejection::Busy), visible_at: Lsn(0) };
        let envelope = Envelope { from: to, to: from, time, trace, message };
        world.deliver(Mail { core: 0, envelope });
        world.drain(0);
        world.now = world.now.plus(SWEEP_MS);
    }
    world.settle();
    assert_eq!(order(&world, &n, 0), (OrderStatus::Cancelled, Some(CancelReason::HoldExpired)));
    check::at_rest(&world);
}

/// An order whose operation is under way is not asked after beside it.
#[test]
fn an_operation_under_way_is_left_alone() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run_all([n.create(0), n.reserve(0)]);
    let cancel = world.submit(n.cancel(0));
    world.drain(0);
    world.now = world.now.plus(HOLD_TTL_MS + 5 * SWEEP_MS);
    world.drain(0);
    assert_eq!(world.mail.len(), 1, "{:?}", world.mail);
    world.settle();
    assert!(world.reply(cancel).unwrap().is_ok());
    check::at_rest(&world);
}

#[test]
fn the_clock_of_another_core_is_ahead() {
    const AHEAD_MS: u64 = 4_000;
    // The partition's: its deadline counts, and what it says has happened here too.
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.nodes[1].ahead_ms = AHEAD_MS;
    world.run_all([n.create(0), n.reserve(0)]);
    assert_eq!(world.shard(0).now(), world.now.plus(AHEAD_MS));
    world.pass(HOLD_TTL_MS);
    assert_eq!(order(&world, &n, 0), (OrderStatus::Cancelled, Some(CancelReason::HoldExpired)));
    check::at_rest(&world);
    // The order's: the deadline has passed for it, and so it has for the partition when it is asked.
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run_all([n.create(0), n.reserve(0)]);
    world.nodes[0].ahead_ms = AHEAD_MS;
    world.now = world.now.plus(HOLD_TTL_MS - AHEAD_MS);
    let read = world.submit(n.get(0));
    world.drain(0);
    let ask = world.take_mail(Mail::is_ask).unwrap();
    world.deliver(ask);
    world.drain(1);
    assert_eq!(world.shard(1).stats().tally.holds_expired, 1);
    let answer = world.take_mail(Mail::is_answer).unwrap();
    world.deliver(answer);
    world.drain(0);
    assert!(!world.mail.iter().any(Mail::is_ask), "it asks once");
    assert!(
        matches!(world.reply(read), Some(Ok(Answer::Order(view))) if view.status == OrderStatus::Cancelled)
    );
    // A shard's time never goes back.
    world.nodes[0].ahead_ms = 0;
    let before = world.shard(0).now();
    world.turn(0);
    assert_eq!(world.shard(0).now(), before);
    world.settle();
    check::at_rest(&world);
}

/// Time goes on from the last record, however late the clock is after a start.
#[test]
fn time_goes_on_after_a_start() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.pass(50_000);
    world.run(n.create(0)).unwrap();
    world.stop(|| false);
    world.now = START;
    world.start().unwrap();
    assert_eq!(world.shard(0).now(), START.plus(50_000));
}

/// Engine time is ahead of the wall clock, as after a start with a wrong clock: holds end by engine time, and a run is sold and kept
/// until the wall clock comes to where it departs and is forgotten.
#[test]
fn a_lead_of_engine_time_neither_closes_nor_forgets() {
    const KEY: &str = "G1|2027-01-01|2nd";
    const HOUR_MS: u64 = 3_600_000;
    let mut setup = Setup::new(1);
    let ends_at = START.plus(HOUR_MS);
    setup.catalogue = Arc::new(Table::default().sells(KEY, coach("1", 1, 2), run(2, ends_at)));
    let departed_ms = setup.policy.departed_ms;
    let mut world = World::of(setup);
    world.lead_ms = 100 * HOUR_MS;
    world.now = START.plus(world.lead_ms);
    let mut n = world.names([0; 3]);
    n.partition = partition(KEY);
    world.run(n.try_hold("sold", 1)).unwrap();
    world.run(n.confirm("sold")).unwrap();
    world.run(n.try_hold("expires", 1)).unwrap();
    world.pass(HOLD_TTL_MS);
    assert_eq!(world.run(n.confirm("expires")), Err(Rejection::HoldExpired));
    // The only stop that is boarded departs ten minutes before the end.
    world.pass(HOUR_MS - 600_000 - HOLD_TTL_MS - 1_000);
    assert!(world.run(n.try_hold("in time", 1)).is_ok());
    world.pass(1_000);
    assert_eq!(world.run(n.try_hold("late", 1)), Err(Rejection::SaleClosed));
    assert_eq!(world.shard(0).time_lead_ms(), world.lead_ms);
    let is_open = |world: &World| world.slots().any(|slot| slot.partitions().get(&n.partition).is_some());
    world.pass(departed_ms + 600_000 - 1_000);
    assert!(is_open(&world));
    world.pass(1_000);
    assert!(!is_open(&world));
}

#[test]
fn what_nobody_wants_any_more_is_given_up_and_forgotten() {
    const KEY: &str = "G1|2027-01-01|2nd";
    const HOUR_MS: u64 = 3_600_000;
    let mut setup = Setup::new(1);
    let ends_at = START.plus(HOUR_MS);
    setup.catalogue = Arc::new(Table::default().sells(KEY, coach("1", 1, 2), run(3, ends_at)));
    let policy = setup.policy.clone();
    let mut world = World::of(setup);
    let mut n = world.names([0; 3]);
    world.run_all([n.create(0), n.try_hold("h", 1)]);
    n.partition = partition(KEY);
    world.run(n.try_hold("h", 1)).unwrap();
    let open = |world: &World| -> Vec<String> {
        world.slots().flat_map(|slot| slot.partitions().iter()).map(|(key, _)| key.to_string()).collect()
    };
    assert_eq!(open(&world).len(), 2);
    world.pass(policy.abandon_ms);
    assert_eq!(order(&world, &n, 0), (OrderStatus::Cancelled, Some(CancelReason::Abandoned)));
    world.pass(HOUR_MS + policy.departed_ms);
    assert_eq!(open(&world), [""; 0], "the run is long gone, and nobody has seats of the other partition");
    let turns = world.turns;
    world.pass(100 * HOUR_MS);
    assert!(world.turns - turns < 10, "nothing is due, and yet there were {} turns", world.turns - turns);
}

fn command(n: &Names, which: usize, nth: usize) -> Command {
    match which {
        0..3 => n.create(nth),
        3..7 => n.reserve(nth),
        7 => n.cancel(nth),
        8 => n.pay(nth, nth),
        9 => n.try_hold(&format!("h{nth}"), 1),
        10 => n.release(&format!("h{nth}")),
        _ => n.availability(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// A driver that turns only at `next_wake`, on completions and on what comes in misses no deadline and is never
    /// kept busy.
    #[test]
    fn next_wake_is_all_that_a_driver_needs(
        script in prop::collection::vec((0..12usize, 0..6usize, 0..4_000u64), 1..40),
        ahead in prop::array::uniform2(0..50u64),
    ) {
        let mut world = World::new(2);
        let n = world.names([0, 1, 0]);
        world.nodes.iter_mut().zip(ahead).for_each(|(node, ms)| node.ahead_ms = ms);
        for (which, nth, ms) in script {
            let caller = world.submit(command(&n, which, nth));
            world.settle();
            prop_assert!(world.reply(caller).is_some());
            world.pass(ms);
            prop_assert_eq!(overdue_holds(&world), 0);
            let late = Time(world.now.0 - 100);
            let orders = world.slots().flat_map(|slot| slot.orders().overdue(late)).count();
            prop_assert_eq!(orders, 0, "an order does not know that its hold has expired");
            check::no_message_waits(&world);
        }
        world.pass(2 * HOLD_TTL_MS + world.setup.policy.hold_memory_ms);
        check::at_rest(&world);
        let held = |h: &(_, &engine::state::Hold)| h.1.status == HoldStatus::Held;
        for (_, p) in world.slots().flat_map(|slot| slot.partitions().iter()) {
            prop_assert_eq!(p.holds().filter(held).count(), 0);
        }
        let turns = world.turns;
        world.pass(3_600_000);
        prop_assert!(world.turns - turns < 10, "{} idle turns in an hour", world.turns - turns);
    }
}
