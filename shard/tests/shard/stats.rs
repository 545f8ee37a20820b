//! What a shard says of itself: its counters, and whether it is at rest.

use std::collections::BTreeMap;

use engine::answer::Rejection;
use engine::command::Command;
use engine::record::Body;
use shard::Stats;
use wal::limits::IDLE_CLOSE_MS;

use crate::support::World;
use crate::support::names::reference;
use crate::support::world::{HOLD_TTL_MS, Mail};

/// The counters that count records of one kind.
fn by_kind(stats: &Stats) -> BTreeMap<&'static str, u64> {
    BTreeMap::from([
        ("partition_opened", stats.tally.partitions_opened),
        ("hold_made", stats.tally.holds_made),
        ("hold_confirmed", stats.tally.holds_confirmed),
        ("hold_released", stats.tally.holds_released),
        ("holds_expired", stats.tally.holds_expired),
        ("order_created", stats.tally.orders_created),
        ("order_reserved", stats.tally.orders_reserved),
        ("order_paid", stats.tally.orders_paid),
        ("order_ticketed", stats.tally.orders_ticketed),
        ("order_cancelled", stats.tally.orders_cancelled),
        ("refund_owed", stats.tally.refunds_owed),
        ("refund_settled", stats.tally.refunds_settled),
    ])
}

/// Against the records that a start reads back.
#[test]
fn every_record_is_counted_by_its_kind() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    let settle =
        Command::SettleRefund { order: n.order(1).name(), txn: n.txn(1), reference: reference("booked") };
    let commands = [
        n.create(0),
        n.create(1),
        n.create(2),
        n.reserve(0),
        n.pay(0, 0),
        n.ticket(0),
        n.pay(1, 1),
        settle,
        n.reserve(2),
        n.cancel(2),
        n.try_hold("sold", 1),
        n.confirm("sold"),
        n.try_hold("late", 1),
        n.try_hold("too late", 1),
    ];
    let count = commands.len() as u64;
    let refused = commands.into_iter().filter(|command| world.run(command.clone()).is_err()).count();
    assert_eq!(refused, 1, "the payment that is owed back");
    world.pass(HOLD_TTL_MS);
    let stats = world.shard(0).stats();
    assert_eq!((stats.commands, stats.commands_refused), (count, 1));
    let log = world.shard(0).log().stats();
    assert_eq!((stats.log_frames, stats.log_bytes), (log.frames, log.bytes));
    world.crash(|| false);
    let records: Vec<&Body> = world.history.values().flatten().map(|record| &record.body).collect();
    assert_eq!(stats.tally.records, records.len() as u64);
    let mut expected: BTreeMap<_, _> = by_kind(&Stats::default());
    for body in records {
        let count = if let Body::HoldsExpired(rows) = body { rows.len() as u64 } else { 1 };
        expected.entry(body.kind().wire_name()).and_modify(|counted| *counted += count);
    }
    assert_eq!(by_kind(&stats), expected);
    assert!(expected.values().all(|count| *count > 0), "one of each kind: {expected:?}");
}

#[test]
fn messages_to_other_cores_are_counted() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run(n.create(0)).unwrap();
    world.submit(n.reserve(0));
    world.drain(0);
    assert!(world.mail.iter().all(Mail::is_ask));
    assert_eq!((world.shard(0).stats().messages_sent, world.mail.len()), (1, 1));
    world.deliver_all();
    world.drain(1);
    assert_eq!((world.shard(1).stats().messages_sent, world.mail.len()), (2, 2));
}

/// Work that is not begun, an operation that waits for another core, a log that is not closed, a reply that nobody has
/// taken: with any one of them left, and nothing else, a shard is not quiet.
#[test]
fn a_shard_is_quiet_when_nothing_at_all_is_left() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    let quiet = |world: &World| world.shard(0).is_quiesced();
    let close = |world: &mut World| {
        world.now = world.now.plus(IDLE_CLOSE_MS);
        world.drain(0);
    };
    world.run(n.create(0)).unwrap();
    assert!(!quiet(&world), "the log is not closed");
    close(&mut world);
    assert!(quiet(&world));

    let read = world.submit(n.get(1));
    assert!(!quiet(&world), "a command waits");
    let now = world.now;
    world.nodes[0].shard.process(now, now).and_then(|()| world.nodes[0].shard.commit()).unwrap();
    assert!(!quiet(&world), "a reply waits");
    world.turn(0);
    assert_eq!(world.reply(read), Some(Err(Rejection::OrderNotFound)));
    assert!(quiet(&world));

    world.submit(n.reserve(0));
    world.drain(0);
    close(&mut world);
    assert!(!quiet(&world), "an operation waits");
    world.settle();
    close(&mut world);
    assert!(quiet(&world));
}
