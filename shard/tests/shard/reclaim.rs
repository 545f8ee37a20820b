//! A full state: what has ended goes before its time, so that a sale is refused only when nothing else is left to go.

use engine::answer::{OrderStatus, Rejection};
use engine::limits::{ABANDONED_AGE_MIN_MS, QUANTITY_MAX};
use engine::record::Body;
use shard::limits::{RECLAIM_PARTS, RECLAIM_PAUSE_MS};

use crate::support::check;
use crate::support::{Names, Setup, World};

const BYTES_MAX: u64 = 200_000;

fn world(cores: u16) -> (World, Names) {
    let mut setup = Setup::new(cores);
    setup.state_bytes_max = BYTES_MAX;
    let world = World::of(setup);
    let mut names = world.names([0; 3]);
    names.ad_hoc.capacity = QUANTITY_MAX;
    (world, names)
}

/// The same seats are held and given back far more often than memory could remember.
#[test]
fn holds_that_ended_never_close_the_sale() {
    let (mut world, n) = world(1);
    for nth in 0..3_000 {
        let id = format!("h{nth}");
        world.run(n.try_hold(&id, QUANTITY_MAX)).unwrap_or_else(|error| panic!("{id}: {error:?}"));
        world.run(n.release(&id)).unwrap();
        assert!(world.shard(0).state_bytes() < BYTES_MAX + 20_000);
    }
    // Those that ended last are still remembered.
    assert!(world.run(n.release("h2999")).is_ok());
    assert_eq!(world.run(n.release("h0")), Err(Rejection::HoldNotFound));
    check::at_rest(&world);
    let history = world.after_power_cut();
    assert_eq!(history.shard(0).state_bytes(), world.shard(0).state_bytes());
}

/// Orders that asked for a hold and were cancelled: what they held is forgotten, they are not.
#[test]
fn orders_that_were_cancelled_never_close_the_sale() {
    let (mut world, n) = world(1);
    for nth in 0..100 {
        world.run(n.create(nth)).unwrap();
        let reserve = n.reserve_with(nth, |seats| seats.quantity = QUANTITY_MAX);
        world.run(reserve).unwrap_or_else(|error| panic!("order {nth}: {error:?}"));
        world.run(n.cancel(nth)).unwrap();
    }
    check::at_rest(&world);
}

/// Ad hoc partitions of made-up keys go with their last hold.
#[test]
fn made_up_partitions_never_close_the_sale() {
    let (mut world, n) = world(2);
    for nth in 0..500 {
        let mut n = n.with_partition(nth);
        n.ad_hoc.capacity = 20_000;
        world.run(n.try_hold("h", 1)).unwrap_or_else(|error| panic!("partition {nth}: {error:?}"));
        world.run(n.release("h")).unwrap();
    }
    check::at_rest(&world);
}

/// Nothing has ended: a sale is refused, nothing is recorded, and as soon as something ends the next one has room.
#[test]
fn a_sale_is_refused_when_nothing_is_left_to_go() {
    let (mut world, n) = world(1);
    let hold = |nth: usize| n.try_hold(&format!("h{nth}"), 1);
    let made = (0..).take_while(|nth| world.run(hold(*nth)).is_ok()).count();
    let (records, appended) = (world.shard(0).stats().tally.records, world.shard(0).log().appended());
    for nth in made..made + 10 {
        assert_eq!(world.run(hold(nth)), Err(Rejection::LimitReached));
    }
    assert_eq!((world.shard(0).stats().tally.records, world.shard(0).log().appended()), (records, appended));
    // Room for a hold and not only for the one that ended: a part of the limit is freed at once, as far as there is something.
    world.run(n.release("h0")).unwrap();
    world.run(hold(made)).unwrap();
    for nth in 1..made / RECLAIM_PARTS as usize {
        world.run(n.release(&format!("h{nth}"))).unwrap();
    }
    world.run(hold(made + 1)).unwrap();
}

/// Without a read model that has them, orders are kept, and a sale is refused.
#[test]
fn orders_are_kept_where_nobody_else_has_them() {
    let (mut world, n) = world(1);
    let made = (0..).take_while(|nth| world.run(n.create(*nth)).is_ok()).count();
    world.pass(ABANDONED_AGE_MIN_MS + RECLAIM_PAUSE_MS);
    assert_eq!(world.run(n.create(made)), Err(Rejection::LimitReached));
    assert!((0..made).all(|nth| world.run(n.get(nth)).is_ok()));
}

/// However old it is, and whichever would go first: an order that asks for seats stays.
#[test]
fn an_order_is_not_dropped_for_its_own_seats() {
    let (mut world, n) = world(1);
    world.has_read_model = true;
    let made = (0..).take_while(|nth| world.run(n.create(*nth)).is_ok()).count();
    world.pass(ABANDONED_AGE_MIN_MS);
    let first = (0..made).min_by_key(|nth| n.order(*nth).slot()).expect("there are some");
    // Others are given up, and leave once the read model has that.
    assert_eq!(world.run(n.reserve(first)), Err(Rejection::LimitReached));
    world.pass(RECLAIM_PAUSE_MS);
    world.run(n.reserve(first)).unwrap();
    let gone = (0..made).filter(|nth| world.run(n.get(*nth)) == Err(Rejection::OrderNotFound)).count();
    assert!(gone > 0, "others made room for it");
}

/// Then go orders that never had a hold or money, ten minutes old, once the read model has that they were given up; one that has a hold stays.
#[test]
fn orders_that_wait_for_nothing_go_last() {
    let (mut world, n) = world(1);
    world.has_read_model = true;
    world.run(n.create(0)).unwrap();
    world.run(n.reserve(0)).unwrap();
    let made = (1..).take_while(|nth| world.run(n.create(*nth)).is_ok()).count();
    assert!(made > 100, "{made} orders");
    assert_eq!(world.run(n.create(made + 1)), Err(Rejection::LimitReached));
    world.pass(ABANDONED_AGE_MIN_MS + RECLAIM_PAUSE_MS);
    for nth in made + 1..made + 20 {
        world.run(n.create(nth)).unwrap();
    }
    let gone: Vec<usize> =
        (1..made).filter(|nth| world.run(n.get(*nth)) == Err(Rejection::OrderNotFound)).collect();
    assert!((1..=made / 4).contains(&gone.len()), "{} of {made} orders are gone", gone.len());
    // Its hold has expired: it had one, and is remembered.
    let order = world.slot(n.order(0).slot()).orders().get(n.order(0)).expect("it had a hold");
    assert_eq!(order.row.status, OrderStatus::Cancelled);
    check::at_rest(&world);
    // Their keys are free again.
    world.run(n.create(gone[0])).unwrap();
    let world = world.after_power_cut();
    let left = |record: &&engine::record::Record| matches!(record.body, Body::OrdersForgotten { .. });
    assert!(world.history.values().flatten().any(|record| left(&record)));
}
