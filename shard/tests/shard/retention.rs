//! Orders that have ended leave, over the messages of two cores, and never before the read model has them.

use engine::answer::{OrderStatus, Rejection};
use engine::command::{AdHoc, Command};
use engine::ids::Reference;
use engine::record::Body;
use engine::slots::core_of;
use shard::limits::SWEEP_MS;
use wal::Lsn;

use crate::support::check;
use crate::support::world::HOLD_TTL_MS;
use crate::support::{Names, Setup, World};

const RETENTION_MS: u64 = 60_000;

/// Partition, order and transaction id on these cores, and a read model that has everything.
fn world(on: [u16; 3]) -> (World, Names) {
    let mut setup = Setup::new(2);
    setup.policy.order_retention_ms = RETENTION_MS;
    setup.policy.ad_hoc_keep_ms = RETENTION_MS;
    setup.policy.departed_ms = RETENTION_MS;
    let mut world = World::of(setup);
    world.has_read_model = true;
    let mut names = world.names(on);
    names.ad_hoc = AdHoc { capacity: 100, segments: 1 };
    (world, names)
}

fn is_there(world: &World, n: &Names, nth: usize) -> bool {
    world.slot(n.order(nth).slot()).orders().get(n.order(nth)).is_some()
}

fn claims(world: &World) -> usize {
    world.slots().map(|slot| slot.claims_count()).sum()
}

/// An order that expired, was paid late, and whose refund is settled.
fn settled(world: &mut World, n: &Names, nth: usize) {
    world.run(n.create(nth)).unwrap();
    world.run(n.reserve(nth)).unwrap();
    world.pass(HOLD_TTL_MS);
    assert_eq!(world.run(n.pay(nth, nth)), Err(Rejection::HoldExpired));
    let reference = Reference::parse("booking").unwrap();
    let settle = Command::SettleRefund { order: n.order(nth).name(), txn: n.txn(nth), reference };
    world.run(settle).unwrap();
}

const PLACES: [[u16; 3]; 4] = [[0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 1]];

#[test]
fn an_order_leaves_with_its_claims_and_refunds() {
    for on in PLACES {
        let (mut world, n) = world(on);
        settled(&mut world, &n, 0);
        assert_eq!(claims(&world), 1);
        world.pass(RETENTION_MS - HOLD_TTL_MS);
        assert!(is_there(&world, &n, 0));
        world.pass(HOLD_TTL_MS + 4 * SWEEP_MS);
        assert!(!is_there(&world, &n, 0), "{on:?}");
        assert_eq!(claims(&world), 0);
        assert!(world.slots().all(|slot| slot.refunds().is_empty() && slot.outbox().is_empty()));
        check::at_rest(&world);
        // What is on the disk is the same; the key makes another order.
        let mut world = world.after_power_cut();
        assert!(!is_there(&world, &n, 0));
        world.run(n.create(0)).unwrap();
        check::at_rest(&world);
    }
}

#[test]
fn nothing_leaves_before_the_read_model_has_it() {
    let (mut world, n) = world([0, 0, 1]);
    world.has_read_model = false;
    settled(&mut world, &n, 0);
    let last = world.shard(0).log().durable();
    world.pass(3 * RETENTION_MS);
    assert!(is_there(&world, &n, 0), "nothing is known of it");
    // All but the last record: where another one follows, that one alone is not there yet.
    for core in 0..2 {
        world.nodes[core].shard.read_model_has(Some(Lsn(last.0 - 1)));
    }
    world.pass(RETENTION_MS);
    assert!(is_there(&world, &n, 0));
    world.has_read_model = true;
    world.nodes[0].shard.read_model_has(Some(last));
    world.pass(4 * SWEEP_MS);
    assert!(!is_there(&world, &n, 0));
    check::at_rest(&world);
}

/// Records that a start has read may stand anywhere up to the log's end: until the read model has that, nothing leaves.
#[test]
fn a_start_waits_for_the_read_model_as_well() {
    let (mut world, n) = world([0, 0, 1]);
    world.has_read_model = false;
    settled(&mut world, &n, 0);
    world.pass(RETENTION_MS);
    let mut world = world.after_power_cut();
    let end = world.shard(0).log().durable();
    world.nodes[0].shard.read_model_has(Some(Lsn(end.0 - 1)));
    world.pass(2 * RETENTION_MS);
    assert!(is_there(&world, &n, 0));
    world.has_read_model = true;
    world.nodes[0].shard.read_model_has(Some(end));
    world.pass(4 * SWEEP_MS);
    assert!(!is_there(&world, &n, 0));
}

/// A crash between the steps: what is left of them is done by the next start.
#[test]
fn an_order_that_was_leaving_leaves_after_a_crash() {
    for on in PLACES {
        let (mut world, n) = world(on);
        settled(&mut world, &n, 0);
        world.now = world.now.plus(RETENTION_MS + 1);
        world.drain(core_of(n.order(0).slot(), 2));
        let leaving = |world: &World| {
            let slot = world.slot(n.order(0).slot());
            slot.orders().get(n.order(0)).is_some_and(|order| order.is_leaving())
        };
        assert!(leaving(&world), "{on:?}");
        let mut world = world.after_power_cut();
        world.has_read_model = true;
        world.settle();
        world.pass(6 * SWEEP_MS);
        assert!(!is_there(&world, &n, 0), "{on:?}");
        assert_eq!(claims(&world), 0);
        check::at_rest(&world);
    }
}

/// An order with seats of an ad hoc partition asks after it, and is kept as long as that.
#[test]
fn an_order_with_seats_asks_its_partition() {
    let (mut world, n) = world([1, 0, 1]);
    world.run(n.create(0)).unwrap();
    world.run(n.reserve(0)).unwrap();
    world.run(n.pay(0, 0)).unwrap();
    world.pass(RETENTION_MS / 2);
    world.run(n.try_hold("other", 1)).unwrap();
    world.run(n.release("other")).unwrap();
    world.pass(RETENTION_MS);
    let order = world.slot(n.order(0).slot()).orders().get(n.order(0)).expect("its partition is there");
    assert_eq!(order.row.status, OrderStatus::Ticketed);
    world.pass(2 * RETENTION_MS);
    assert!(is_there(&world, &n, 0));
    world.pass(4 * RETENTION_MS);
    assert!(!is_there(&world, &n, 0));
    check::at_rest(&world);
    let world = world.after_power_cut();
    let kept =
        world.history.values().flatten().filter(|record| matches!(record.body, Body::OrderKept { .. }));
    assert!((1..10).contains(&kept.count()));
}
