//! Snapshots are taken slot by slot between batches, while commands go on. Whatever becomes of one, recovery finds the
//! state that was durable.

use std::collections::BTreeMap;

use engine::answer::{Answer, OrderStatus, Rejection};
use engine::command::AdHoc;
use engine::ids::SlotId;
use engine::limits::QUANTITY_MAX;
use shard::limits::{IMAGE_BYTES_PER_TURN, SNAPSHOT_SLOTS_PER_TURN};
use wal::disk::Lane;
use wal::files::Trouble;
use wal::limits::{SNAPSHOT_BUFFER_BYTES_MAX, SNAPSHOT_RETRY_MS, SPARE_RETRY_MS};
use wal::{Lsn, SnapshotState};

use crate::support::chance;
use crate::support::world::{HOLD_TTL_MS, Mail};
use crate::support::{Names, Setup, World};

/// Large holds in each slot of [`large_slots`].
const HOLDS_PER_SLOT: usize = 40;

/// As small as a log may be before a snapshot is due.
fn setup(cores: u16) -> Setup {
    let mut setup = Setup::new(cores);
    setup.options.snapshot_log_bytes = setup.options.segment_bytes;
    // A few holds or orders.
    setup.image_bytes_per_turn = 2_000;
    setup
}

/// A world with something of everything in it: orders in every state, refunds, claims, holds, and a tell that core 0
/// does not hear.
fn everything(cores: u16) -> (World, Names) {
    let mut world = World::of(setup(cores));
    let last = cores - 1;
    let mut n = world.names([0, last, last]);
    n.ad_hoc = AdHoc { capacity: 100_000, segments: 4 };
    world.run_all((0..6).map(|nth| n.create(nth)));
    world.run_all((1..6).map(|nth| n.reserve(nth)));
    for command in [n.cancel(1), n.pay(2, 2), n.pay(3, 3), n.ticket(3), n.try_hold("h", 3)] {
        world.run(command).unwrap();
    }
    assert!(world.run(n.pay(0, 0)).is_err() && world.run(n.pay(3, 4)).is_err());
    world.run_all([n.try_hold("sold", 2), n.confirm("sold"), n.try_hold("gone", 2), n.release("gone")]);
    (world, n)
}

fn is_open(world: &World, core: u16) -> bool {
    matches!(world.shard(core).log().snapshot_state(), SnapshotState::Open { .. })
}

/// Large holds on core 0 until it begins a snapshot. All of them are durable.
fn until_due(world: &mut World, n: &Names) {
    for nth in 0.. {
        let caller = world.submit(n.try_hold(&format!("large-{nth}"), QUANTITY_MAX));
        world.turn(0);
        while !is_open(world, 0) && world.finish(0, Lane::Write) {
            world.turn(0);
            world.finish(0, Lane::Jobs);
            world.turn(0);
        }
        if is_open(world, 0) {
            world.reply(caller);
            return;
        }
        world.reply(caller).unwrap().unwrap();
    }
}

#[test]
fn a_snapshot_is_taken_while_commands_go_on() {
    let (mut world, n) = everything(1);
    until_due(&mut world, &n);
    let mut turns = 0;
    // Each turn gives it some slots, and its commands are answered meanwhile.
    while is_open(&world, 0) {
        turns += 1;
        let caller = world.submit(n.create(100 + turns));
        world.turn(0);
        while world.finish(0, Lane::Write) {
            world.turn(0);
        }
        assert!(world.reply(caller).expect("answered during the snapshot").is_ok());
        assert!(world.wants_turn(0) || !is_open(&world, 0), "the snapshot waits for turns");
    }
    assert!(turns > 4096 / SNAPSHOT_SLOTS_PER_TURN / 4, "{turns} turns");
    world.settle();
    assert_eq!((world.shard(0).log().stats().snapshots, world.shard(0).stats().snapshots), (1, 1));
    let before = world.images();
    let records = world.shard(0).log().appended();
    world.crash(|| false);
    assert_eq!(world.images(), before);
    let replayed = world.shard(0).log().appended();
    assert_eq!(replayed, records);
    assert!(world.replayed < records.0 / 2 + 200, "{} of {} records replayed", world.replayed, records.0);
}

/// Slots that change after they were taken, and before: the image counts up to where it was taken.
#[test]
fn slots_change_between_their_images() {
    let (mut world, n) = everything(1);
    let mut rng = fastrand::Rng::with_seed(3);
    for round in 0..3 {
        until_due(&mut world, &n.with_partition(round + 1));
        let mut nth = 1_000 * (round + 1);
        while is_open(&world, 0) {
            nth += 1;
            // The same few slots again and again.
            for command in [n.try_hold(&format!("s{nth}"), 1), n.create(nth), n.get(rng.usize(..6))] {
                world.submit(command);
            }
            world.turn(0);
            if chance(&mut rng, 60) {
                world.finish(0, Lane::Write);
            }
            if chance(&mut rng, 30) {
                world.finish(0, Lane::Jobs);
            }
        }
        world.settle();
        world.replies.clear();
        let before = world.images();
        world.crash(|| false);
        assert_eq!(world.images(), before, "round {round}");
        world.settle();
    }
}

/// Tells that wait in an outbox are in the snapshot as well.
#[test]
fn what_is_still_to_be_done_survives_in_a_snapshot() {
    let (mut world, n) = everything(2);
    // Core 1 makes a hold that core 0 does not hear of.
    let reserve = world.submit(n.reserve(0));
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    assert!(world.take_mail(Mail::is_tell).is_some());
    world.mail.clear();
    let late = n.with_partition(7);
    for nth in 0.. {
        world.submit(late.try_hold(&format!("large-{nth}"), QUANTITY_MAX));
        world.drain(1);
        if world.shard(1).log().stats().snapshots > 0 {
            break;
        }
    }
    world.mail.clear();
    let outboxes = |world: &World| world.slots().map(|slot| slot.outbox().len()).sum::<usize>();
    assert_eq!(outboxes(&world), 1);
    assert_eq!(world.reply(reserve), None);
    world.crash(|| false);
    assert_eq!(outboxes(&world), 1);
    world.settle();
    assert_eq!(outboxes(&world), 0);
    assert!(matches!(world.run(n.get(0)), Ok(Answer::Order(view)) if view.status == OrderStatus::Reserved));
}

type Images = BTreeMap<SlotId, Vec<u8>>;

/// The power goes after each step of a snapshot and of the commands beside it, and takes all, some or nothing of what is
/// not durable. What comes back is the state after the last record that came back.
#[test]
fn a_crash_at_every_step_of_a_snapshot() {
    let (mut world, n) = everything(1);
    until_due(&mut world, &n);
    let mut rng = fastrand::Rng::with_seed(5);
    let mut states: BTreeMap<Lsn, Images> = BTreeMap::new();
    let mut acknowledged = world.shard(0).log().durable();
    for step in 0.. {
        if step % 2 == 0 {
            world.submit(n.try_hold(&format!("s{step}"), 1 + rng.usize(..300) as u32));
            world.submit(n.create(10_000 + step));
        }
        world.turn(0);
        states.insert(world.shard(0).log().appended(), world.images());
        if chance(&mut rng, 70) {
            world.finish(0, Lane::Write);
        }
        let open = is_open(&world, 0);
        let published = world.shard(0).log().stats().snapshots;
        // While it is open nothing but turns happens to it; the steps of its file come one by one at its end.
        let job = (!open || step % 16 == 0) && world.finish(0, Lane::Jobs);
        if job || step % 8 == 0 {
            acknowledged = acknowledged.max(world.shard(0).log().durable());
            for percent in [0, 50, 100] {
                let files = world.files.fork().crash(|| chance(&mut rng, percent));
                let survivor = World::on(files, world.setup.clone(), world.now);
                let last = survivor.shard(0).log().appended();
                assert!(last >= acknowledged, "step {step}: {last} of {acknowledged} came back");
                assert_eq!(Some(&survivor.images()), states.get(&last), "step {step}, {percent}% kept");
            }
        }
        if published > 0 && !open {
            return;
        }
        assert!(step < 1_000, "the snapshot never ends");
    }
}

/// Slots with images so large that not all of them may wait in memory; a snapshot is open, and none of it is written.
fn large_slots() -> (World, Names) {
    let mut setup = Setup::new(1);
    setup.options.segment_bytes = 16 << 20;
    setup.options.snapshot_log_bytes = 17 << 20;
    let mut world = World::of(setup);
    let mut n = world.names([0; 3]);
    n.ad_hoc = AdHoc { capacity: 100_000, segments: 1 };
    let of_nth = |nth: usize| n.with_partition(nth / HOLDS_PER_SLOT).try_hold(&nth.to_string(), QUANTITY_MAX);
    let mut made = 0;
    while !is_open(&world, 0) {
        world.submit(of_nth(made));
        made += 1;
        world.turn(0);
        while !is_open(&world, 0) && (world.finish(0, Lane::Write) || world.finish(0, Lane::Jobs)) {
            world.turn(0);
        }
    }
    (world, n)
}

/// The disk is slow: what waits for it in memory is bounded, commands go on, and the snapshot ends when the disk does.
#[test]
fn a_snapshot_waits_for_a_slow_disk() {
    let (mut world, n) = large_slots();
    let buffered = |world: &World| match world.shard(0).log().snapshot_state() {
        SnapshotState::Open { buffered_bytes } => buffered_bytes,
        other => panic!("it cannot end: {other:?}"),
    };
    let turn_bytes_max = 2 * IMAGE_BYTES_PER_TURN + QUANTITY_MAX as usize * 4 + 400;
    let mut before = buffered(&world);
    while world.wants_turn(0) {
        world.turn(0);
        world.finish(0, Lane::Write);
        let bytes = buffered(&world);
        assert!(bytes - before <= turn_bytes_max, "in one turn");
        before = bytes;
    }
    let bound = SNAPSHOT_BUFFER_BYTES_MAX..SNAPSHOT_BUFFER_BYTES_MAX + turn_bytes_max;
    assert!(bound.contains(&before), "{before} bytes are buffered");
    // It waits, and nothing else does.
    for nth in 0..100 {
        let caller = world.submit(n.create(nth));
        world.turn(0);
        world.finish_write(0);
        assert!(world.reply(caller).unwrap().is_ok());
        assert_eq!(buffered(&world), before);
    }
    assert!(!world.wants_turn(0));
    world.settle();
    assert_eq!(world.shard(0).log().stats().snapshots, 1);
    let before = world.images();
    world.crash(|| false);
    assert_eq!(world.images(), before);
}

/// Its file cannot be written while slots are still being added.
#[test]
fn an_open_snapshot_is_given_up_and_taken_later() {
    let (mut world, n) = large_slots();
    while world.wants_turn(0) {
        world.turn(0);
        world.finish(0, Lane::Write);
    }
    world.files.trouble(Trouble { step: world.files.steps(), errno: 28 });
    while world.shard(0).log().stats().snapshots_abandoned == 0 {
        assert!(world.finish(0, Lane::Jobs));
        world.turn(0);
    }
    world.settle();
    assert!(world.run(n.create(1)).is_ok());
    assert_eq!(world.shard(0).log().stats().snapshots, 0);
    world.pass(SNAPSHOT_RETRY_MS);
    assert_eq!(world.shard(0).log().stats().snapshots, 1);
}

/// The snapshot cannot be written: it is given up, selling goes on, and a later one succeeds.
#[test]
fn a_failing_snapshot_is_given_up_and_taken_later() {
    const EIO: i32 = 5;
    for full in [true, false] {
        let (mut world, n) = everything(1);
        until_due(&mut world, &n);
        while world.finish(0, Lane::Jobs) {
            world.turn(0);
        }
        if full {
            let bytes = world.files.contents().values().flatten().map(|file| file.len() as u64).sum();
            world.files.set_capacity(Some(bytes));
        }
        while is_open(&world, 0) {
            world.turn(0);
            world.finish(0, Lane::Write);
        }
        if !full {
            world.turn(0);
            world.files.trouble(Trouble { step: world.files.steps(), errno: EIO });
            world.finish(0, Lane::Jobs);
        }
        world.settle();
        let stats = world.shard(0).log().stats();
        assert_eq!((stats.snapshots, stats.snapshots_abandoned), (0, 1));
        assert!(world.run(n.create(77)).is_ok());
        world.pass(SNAPSHOT_RETRY_MS / 2);
        assert_eq!(world.shard(0).log().stats().snapshots, 0);
        let mut survivor = world.after_power_cut();
        assert_eq!(survivor.images(), world.images());
        survivor.settle();
        world.files.set_capacity(None);
        world.pass(SNAPSHOT_RETRY_MS + HOLD_TTL_MS);
        let stats = world.shard(0).log().stats();
        assert_eq!((stats.snapshots, stats.snapshots_abandoned), (1, 1));
        let before = world.images();
        world.crash(|| false);
        assert_eq!(world.images(), before);
    }
}

/// Under another number of cores everything is there, and what was on its way goes on.
#[test]
fn another_number_of_cores_keeps_everything() {
    let (mut world, n) = everything(2);
    world.submit(n.reserve(0));
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    let before = world.images();
    for cores in [3, 1, 4, 2] {
        world.crash_to(cores, || false);
        let after = world.images();
        if cores == 3 {
            assert_eq!(after, before);
        }
        world.settle();
        assert!(world.slots().all(|slot| slot.outbox().is_empty()));
        let settled = world.images();
        world.crash(|| false);
        assert_eq!(world.images(), settled);
        world.settle();
    }
    assert!(matches!(world.run(n.get(0)), Ok(Answer::Order(view)) if view.status == OrderStatus::Reserved));
}

/// It is killed at any step of that: the old cores or the new ones are there, as a whole.
#[test]
fn a_crash_on_the_way_to_another_number_of_cores() {
    let (world, _) = everything(2);
    let before = world.images();
    let files = world.files.fork();
    let mut setup = world.setup.clone();
    drop(world);
    let mut rng = fastrand::Rng::with_seed(9);
    let mut survived = 0;
    for step in 0.. {
        let fork = files.fork();
        setup.cores = 3;
        let mut next = World::stopped(fork.clone(), setup.clone());
        fork.stop_at(fork.steps() + step);
        let started = next.start();
        if started.is_ok() {
            assert_eq!(next.images(), before);
            break;
        }
        next.stop(|| chance(&mut rng, 50));
        next.setup.cores = 2 + (step % 2) as u16;
        next.start().expect("whatever is left can be recovered");
        assert_eq!(next.images(), before, "stopped at step {step}");
        survived += 1;
    }
    assert!(survived > 10, "{survived} steps");
}

/// The disk is full: the log runs short of room, and the snapshot that would make some cannot be written. When there is
/// room again, sales go on, and nothing is left that keeps the core busy.
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let mut setup = Setup::new(1);
    setup.options.spare_segments = 1;
    let mut world = World::of(setup);
    world.settle();
    let mut n = world.names([0; 3]);
    n.ad_hoc = AdHoc { capacity: 100_000, segments: 1 };
    let bytes = world.files.contents().values().flatten().map(|file| file.len() as u64).sum();
    world.files.set_capacity(Some(bytes));
    let large = |nth: usize| n.try_hold(&format!("large-{nth}"), QUANTITY_MAX);
    let made = (0..).take_while(|nth| world.run(large(*nth)).is_ok()).count();
    assert!(made > 5);
    assert_eq!(world.run(n.create(1)), Err(Rejection::LogFull));
    assert_eq!(world.shard(0).log().stats().snapshots_abandoned, 1);
    world.files.set_capacity(None);
    world.pass(SPARE_RETRY_MS);
    assert!(world.run(n.create(1)).is_ok());
    world.pass(2 * SNAPSHOT_RETRY_MS);
    let turns = world.turns;
    world.pass(3_600_000);
    assert!(world.turns - turns < 10, "{} idle turns in an hour", world.turns - turns);
}
