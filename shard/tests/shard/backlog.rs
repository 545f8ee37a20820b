//! What a shard has begun when its log runs full, or when a frame of it ends, is neither lost nor parted: messages wait
//! their turn again, acknowledgements are kept until there is room, a command's records stay together.

use engine::answer::{Answer, OrderStatus};
use engine::command::{AdHoc, Command};
use engine::limits::QUANTITY_MAX;
use engine::record::TellId;
use wal::Space;
use wal::limits::{BACKLOG_BYTES_MAX, EXHAUSTED_BYTES};

use crate::batching::crash_between_frames;
use crate::support::names::{partition, span};
use crate::support::world::{HOLD_TTL_MS, Mail};
use crate::support::{Names, Setup, World};

/// Room for many of the largest holds.
const LARGE: AdHoc = AdHoc { capacity: 100_000, segments: 64 };
/// So many of the largest holds that the records which end them are more than may wait for the disk.
const SEGMENTS: u16 = 10;
const HOLDS_PER_SEGMENT: usize = 49;

/// Two cores whose segments have room for more than may wait in memory.
fn roomy() -> World {
    let mut setup = Setup::new(2);
    setup.options.segment_bytes = 16 << 20;
    let mut world = World::of(setup);
    world.settle();
    world
}

fn large(world: &World, on: [u16; 3]) -> Names {
    let mut names = world.names(on);
    names.ad_hoc = LARGE;
    names
}

/// Makes the holds of the partition that are due together once their time has passed.
fn make_holds(world: &mut World, n: &Names) {
    let one = |segment: u16, nth: usize| {
        let Command::TryHold(mut hold) = n.try_hold(&format!("{segment}-{nth}"), QUANTITY_MAX) else {
            unreachable!("that is a hold")
        };
        hold.span = span(segment, segment + 1);
        Command::TryHold(hold)
    };
    world.run_all(
        (0..SEGMENTS)
            .flat_map(|s| (0..HOLDS_PER_SEGMENT).map(move |nth| (s, nth)))
            .map(|(s, nth)| one(s, nth)),
    );
}

/// Core 0 has told an order of core 1 of its hold; the acknowledgement is taken out of the mail.
fn acknowledged(world: &mut World, n: &Names) -> (Mail, TellId) {
    world.run(n.create(0)).unwrap();
    world.submit(n.reserve(0));
    world.drain(1);
    world.deliver_all();
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    let ack = world.take_mail(Mail::is_ack).expect("the order has heard of its hold");
    let tells: Vec<TellId> = outbox(world);
    assert_eq!(tells.len(), 1);
    (ack, tells[0])
}

/// The tells of core 0 that are not known to have been heard.
fn outbox(world: &World) -> Vec<TellId> {
    world.shard(0).slots().flat_map(|slot| slot.outbox().keys().copied()).collect()
}

/// In a full state a sale stumbles over as much: it waits for the disk, and is not refused for memory that expiry frees.
#[test]
fn a_sale_that_a_backed_up_log_stops_is_not_refused_for_memory() {
    let mut world = roomy();
    let n = large(&world, [0; 3]);
    make_holds(&mut world, &n);
    world.setup.state_bytes_max = world.shard(0).state_bytes();
    let mut world = world.after_power_cut();
    world.now = world.now.plus(HOLD_TTL_MS);
    let caller = world.submit(n.try_hold("new", QUANTITY_MAX));
    world.settle();
    let reply = world.reply(caller).expect("it is answered");
    assert!(reply.is_ok(), "{reply:?}");
}

/// An ask stumbles over so much that is due that the log is backed up in its middle. It waits its turn again.
#[test]
fn an_ask_that_a_backed_up_log_stops_is_answered_later() {
    let mut world = roomy();
    let n = large(&world, [1, 0, 1]);
    world.run(n.create(0)).unwrap();
    make_holds(&mut world, &n);
    world.now = world.now.plus(HOLD_TTL_MS);
    let reserve = world.submit(n.reserve(0));
    world.drain(1);
    let ask = world.take_mail(Mail::is_ask).expect("the partition is on another core");
    world.deliver(ask);
    world.turn(0);
    assert!(world.shard(0).log().backlog_bytes() >= BACKLOG_BYTES_MAX);
    assert!(world.shard(0).stats().tally.holds_expired > 0, "the ask was begun");
    world.settle();
    let reply = world.reply(reserve).expect("the ask is answered");
    assert!(matches!(reply, Ok(Answer::Order(view)) if view.status == OrderStatus::Reserved));
}

/// Acknowledgements that were taken before the log was backed up are noted when it no longer is, and not before.
#[test]
fn acknowledgements_wait_for_a_backed_up_log() {
    let mut world = roomy();
    let n = large(&world, [1, 0, 1]);
    make_holds(&mut world, &n);
    let (ack, tell) = acknowledged(&mut world, &n);
    world.now = world.now.plus(HOLD_TTL_MS);
    world.deliver(ack);
    world.submit(n.try_hold("late", 1));
    world.turn(0);
    assert!(world.shard(0).log().backlog_bytes() >= BACKLOG_BYTES_MAX);
    assert_eq!(world.shard(0).log().space(), Space::Plenty);
    assert!(outbox(&world).contains(&tell), "noted beyond the bound");
    world.settle();
    assert_eq!(outbox(&world), []);
}

/// The same for a log that has run out of room in the turn that took them.
#[test]
fn acknowledgements_wait_for_room() {
    let mut setup = Setup::new(2);
    setup.options.reserve_bytes = Some(EXHAUSTED_BYTES + (64 << 10));
    let mut world = World::of(setup);
    let n = large(&world, [1, 0, 1]);
    let (ack, tell) = acknowledged(&mut world, &n);
    // Holds as large as can be, and no segment is made, until there is no room but for what was begun.
    for nth in 0.. {
        if world.shard(0).log().space() != Space::Plenty {
            break;
        }
        world.submit(n.try_hold(&format!("large-{nth}"), QUANTITY_MAX));
        world.turn(0);
        world.finish_write(0);
    }
    assert_eq!(world.shard(0).log().space(), Space::Reserve);
    world.now = world.now.plus(HOLD_TTL_MS);
    world.deliver(ack);
    world.turn(0);
    assert_eq!(world.shard(0).log().space(), Space::Exhausted, "by what is due");
    assert!(world.shard(0).log().backlog_bytes() < BACKLOG_BYTES_MAX);
    assert!(outbox(&world).contains(&tell), "noted where there is no room");
    world.pass(HOLD_TTL_MS);
    assert_eq!(outbox(&world), []);
}

/// Long records of one command are in one frame, too: a crash between two frames leaves no partition without its hold.
#[test]
fn a_crash_keeps_the_long_records_of_a_command_together() {
    const HOLDS: usize = 100;
    const SEATS: u32 = 1_000;
    let mut world = World::new(1);
    let n = large(&world, [0; 3]);
    world.settle();
    world.submit(n.create(0));
    world.turn(0);
    // Opens a partition and takes seats in it: two records.
    for nth in 0..HOLDS {
        let mut n = n.clone();
        n.partition = partition(&format!("{nth}"));
        world.submit(n.try_hold("only", SEATS));
    }
    crash_between_frames(&mut world, HOLDS);
}
