//! Batches size themselves: what comes while a write is in flight goes with the next one. Queues are bounded, and a log
//! that runs short of room takes no new sales before it takes nothing at all.

use std::sync::Arc;

use engine::answer::{Answer, HoldStatus, OrderStatus, Rejection, Reply};
use engine::command::{AdHoc, Command};
use engine::limits::QUANTITY_MAX;
use shard::Caller;
use shard::limits::{
    BATCH_OPERATIONS_MAX, BATCHED_PER_TURN_MAX, BATCHES_MAX, COMMANDS_WAITING_MAX, MESSAGES_WAITING_MAX,
    RESEND_MS, SWEEP_MS, TAKEN_PER_TURN_MAX,
};
use wal::Space;
use wal::disk::Lane;
use wal::limits::{BACKLOG_BYTES_MAX, EXHAUSTED_BYTES};

use crate::support::catalogue::{Table, coach, run};
use crate::support::names::{partition, span};
use crate::support::world::{HOLD_TTL_MS, Mail, START};
use crate::support::{Names, Setup, World};

/// Room for many of the largest holds.
const LARGE: AdHoc = AdHoc { capacity: 100_000, segments: 64 };

fn frames(world: &World) -> u64 {
    let stats = world.shard(0).log().stats();
    stats.frames - stats.closing_frames
}

fn is_order(reply: &Reply, status: OrderStatus) -> bool {
    matches!(reply, Ok(Answer::Order(view)) if view.status == status)
}

#[test]
fn what_comes_while_a_write_is_in_flight_goes_as_one() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.settle();
    let before = frames(&world);
    let first = world.submit(n.create(0));
    world.turn(0);
    let more: Vec<Caller> = (1..100)
        .map(|nth| {
            let caller = world.submit(n.create(nth));
            world.turn(0);
            caller
        })
        .collect();
    assert_eq!(world.replies.len(), 0);
    world.finish_write(0);
    assert!(world.reply(first).is_some());
    assert_eq!(world.replies.len(), 0);
    world.finish_write(0);
    assert_eq!(world.replies.len(), more.len());
    assert_eq!(frames(&world), before + 2);
}

#[test]
fn what_waits_when_a_write_completes_goes_with_the_next_one() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.settle();
    let before = frames(&world);
    let first = world.submit(n.create(0));
    world.turn(0);
    let second = world.submit(n.create(1));
    world.turn(0);
    // Not taken yet when the disk is done with the first.
    let third = world.submit(n.create(2));
    world.finish_write(0);
    assert!(world.reply(first).is_some() && world.replies.is_empty());
    world.finish_write(0);
    assert!(world.reply(second).is_some() && world.reply(third).is_some());
    assert_eq!(frames(&world), before + 2);
}

#[test]
fn a_write_that_is_not_committed_takes_more_with_it() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.settle();
    let before = frames(&world);
    assert!(!world.shard(0).can_delay_commit(), "nothing is to be written");
    for nth in 0..3 {
        world.submit(n.create(nth));
        world.process(0);
        assert!(world.shard(0).can_delay_commit());
        assert!(!world.is_waiting(0, Lane::Write) && world.replies.is_empty());
    }
    world.turn(0);
    assert!(world.is_waiting(0, Lane::Write));
    // A write is under way: what comes now has to wait for it anyway.
    world.submit(n.create(3));
    world.process(0);
    assert!(!world.shard(0).can_delay_commit());
    world.finish(0, Lane::Write);
    world.process(0);
    assert_eq!(world.replies.len(), 3, "what is durable leaves, whether the next write starts or not");
    assert!(world.shard(0).can_delay_commit() && !world.is_waiting(0, Lane::Write));
    world.nodes[0].shard.stop();
    assert!(!world.shard(0).can_delay_commit(), "on the way out nothing waits for company");
    world.turn(0);
    world.settle();
    assert_eq!((world.replies.len(), frames(&world)), (4, before + 2));
}

#[test]
fn a_turn_that_is_whole_starts_its_write() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.settle();
    for nth in 0..3 {
        world.submit(n.create(nth));
        world.turn(0);
        assert!(world.is_waiting(0, Lane::Write), "the write starts in the turn that took the command");
        world.submit(n.create(10 + nth));
        world.turn(0);
        world.finish_write(0);
        assert!(world.is_waiting(0, Lane::Write), "and the next one in the turn that saw it complete");
        world.finish_write(0);
    }
    assert_eq!(world.replies.len(), 6);
}

#[test]
fn the_inbox_is_bounded() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.settle();
    let callers: Vec<Caller> = (0..COMMANDS_WAITING_MAX).map(|_| world.submit(n.get(0))).collect();
    assert_eq!(world.commands_waiting(0), COMMANDS_WAITING_MAX);
    let beyond = world.submit(n.get(0));
    assert_eq!(world.reply(beyond), Some(Err(Rejection::Busy)), "refused at once");
    world.turn(0);
    assert!(world.commands_waiting(0) + 2 * TAKEN_PER_TURN_MAX >= COMMANDS_WAITING_MAX, "a turn is bounded");
    let next = world.submit(n.get(0));
    world.settle();
    for caller in callers.into_iter().chain([next]) {
        assert_eq!(world.reply(caller), Some(Err(Rejection::OrderNotFound)));
    }
}

/// Messages finish what was begun and go first, but however many wait, commands get their turn; and beyond a bound the
/// others are told to keep them.
#[test]
fn a_flood_of_messages_does_not_drown_commands() {
    let mut world = World::new(2);
    let n = world.names([0, 1, 1]);
    world.run(n.create(0)).unwrap();
    world.submit(n.reserve(0));
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    let tell = world.take_mail(Mail::is_tell).unwrap();
    for _ in 0..MESSAGES_WAITING_MAX {
        assert!(!world.shard(0).is_flooded());
        world.deliver(tell.clone());
    }
    assert!(world.shard(0).is_flooded());
    let commands: Vec<Caller> = (1..=20).map(|nth| world.submit(n.create(nth))).collect();
    world.turn(0);
    assert!(world.shard(0).is_flooded() || world.commands_waiting(0) == 0);
    world.finish_write(0);
    for caller in commands {
        assert!(world.reply(caller).expect("begun in the first turn").is_ok());
    }
    world.settle();
    assert!(!world.shard(0).is_flooded());
    assert!(is_order(&world.run(n.get(0)), OrderStatus::Reserved));
    assert!(world.slots().all(|slot| slot.outbox().is_empty()));
}

/// What a core does by itself waits until it is no longer flooded: an answer to its tells may be in what it was sent.
#[test]
fn a_flooded_core_begins_nothing_by_itself() {
    let mut world = World::new(2);
    let (n, other) = (world.names([0, 1, 1]), world.names([1, 0, 0]));
    // A hold of core 0 that nobody confirms, and one that core 1 does not hear of.
    world.run_all([n.create(0), other.create(1), other.try_hold("due", 1)]);
    world.submit(other.reserve(1));
    world.drain(1);
    world.deliver_all();
    world.drain(0);
    world.mail.clear();
    // A tell of core 1, again and again.
    world.submit(n.reserve(0));
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    let tell = world.take_mail(Mail::is_tell).unwrap();
    world.mail.clear();
    for _ in 0..MESSAGES_WAITING_MAX + TAKEN_PER_TURN_MAX {
        world.deliver(tell.clone());
    }
    world.now = world.now.plus(HOLD_TTL_MS);
    let own = |world: &World| {
        let stats = world.shard(0).stats();
        (stats.tally.holds_expired, stats.tells_resent)
    };
    world.turn(0);
    assert_eq!(own(&world), (0, 0), "while it is flooded");
    world.turn(0);
    assert_eq!(own(&world).0, 2, "and no longer than that");
    assert!(own(&world).1 > 0);
    // The end of a hold is told again once its beginning is known.
    world.pass(2 * RESEND_MS);
    assert!(world.slots().all(|slot| slot.outbox().is_empty()));
}

/// Beyond the bound of its memory a core takes no new sales; what was sold goes on.
#[test]
fn memory_is_bounded() {
    const BYTES_MAX: u64 = 30_000;
    let mut setup = Setup::new(1);
    setup.state_bytes_max = BYTES_MAX;
    let mut world = World::of(setup);
    let mut n = world.names([0; 3]);
    n.ad_hoc.capacity = 100;
    world.run_all([n.create(0), n.create(1), n.create(2)]);
    world.run_all([n.reserve(0), n.reserve(1)]);
    let hold = |nth: usize| n.try_hold(&format!("hold-{nth}"), 1);
    let made = (0..).take_while(|nth| world.run(hold(*nth)).is_ok()).count();
    assert!((10..100).contains(&made), "{made} holds");
    let bytes = world.shard(0).state_bytes();
    assert!((BYTES_MAX..BYTES_MAX + 2_000).contains(&bytes), "{bytes} bytes");
    assert_eq!(world.run(n.try_hold("new", 1)), Err(Rejection::LimitReached));
    assert_eq!(world.run(n.create(9)), Err(Rejection::LimitReached));
    assert_eq!(world.run(n.reserve(2)), Err(Rejection::LimitReached));
    assert!(is_order(&world.run(n.pay(0, 0)), OrderStatus::Paid));
    assert!(is_order(&world.run(n.cancel(1)), OrderStatus::Cancelled));
    assert!(world.run(n.release("hold-0")).is_ok() && world.run(hold(1)).is_ok());
    // The sum is the same when it is taken anew.
    let bytes = world.shard(0).state_bytes();
    world.crash(|| false);
    assert_eq!(world.shard(0).state_bytes(), bytes);
    // What is forgotten makes room.
    let hold_memory_ms = world.setup.policy.hold_memory_ms;
    world.pass(HOLD_TTL_MS + hold_memory_ms);
    assert!(world.run(n.try_hold("new", 1)).is_ok());
}

#[test]
fn a_stopping_shard_ends_what_it_accepted() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.run(n.try_hold("h", 1)).unwrap();
    let accepted = world.submit(n.create(0));
    world.nodes[0].shard.stop();
    let refused = world.submit(n.create(1));
    assert_eq!(world.reply(refused), Some(Err(Rejection::Stopping)));
    world.settle();
    assert!(world.reply(accepted).unwrap().is_ok());
    // Nothing new begins by itself either, whoever gives it a turn.
    world.pass(2 * HOLD_TTL_MS);
    world.turn(0);
    assert_eq!(world.shard(0).stats().tally.holds_expired, 0);
    assert!(world.shard(0).is_quiesced());
}

/// A world whose segments have room for more than may wait in memory.
fn roomy() -> World {
    let mut setup = Setup::new(1);
    setup.options.segment_bytes = 16 << 20;
    setup.options.snapshot_log_bytes = 1 << 30;
    let mut world = World::of(setup);
    world.settle();
    world
}

fn large(world: &World) -> Names {
    let mut names = world.names([0; 3]);
    names.ad_hoc = LARGE;
    names
}

#[test]
fn a_backed_up_log_stops_taking_work_and_goes_on_later() {
    let mut world = roomy();
    let n = large(&world);
    let of_nth = |nth: usize| n.with_partition(nth / 50).try_hold(&format!("hold-{nth}"), QUANTITY_MAX);
    let holds: Vec<Caller> = (0..400).map(|nth| world.submit(of_nth(nth))).collect();
    let read = world.submit(n.get(0));
    world.turn(0);
    world.turn(0);
    let (backlog, left) = (world.shard(0).log().backlog_bytes(), world.commands_waiting(0));
    assert!((BACKLOG_BYTES_MAX..2 * BACKLOG_BYTES_MAX).contains(&backlog), "{backlog} bytes wait");
    assert!(left > 0, "work that is not begun waits in the inbox");
    world.turn(0);
    assert_eq!(world.commands_waiting(0), left, "nothing is taken while the log is backed up");
    let wake = world.shard(0).next_wake();
    assert!(wake.is_none_or(|at| at > world.now), "only the disk helps now, and yet a turn is due");
    world.settle();
    for caller in holds {
        assert!(world.reply(caller).expect("taken later").is_ok());
    }
    assert_eq!(world.reply(read), Some(Err(Rejection::OrderNotFound)));
}

#[test]
fn a_turn_begins_a_bounded_number_of_a_batch_and_what_came_alone_first() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    world.settle();
    let batch = world.submit_batch(0, (0..BATCH_OPERATIONS_MAX).map(|nth| n.create(nth)));
    for nth in 0..3 {
        let alone = world.submit(n.get(BATCH_OPERATIONS_MAX + nth));
        let before = world.shard(0).stats().batched_commands;
        world.turn(0);
        assert_eq!(world.shard(0).stats().batched_commands - before, BATCHED_PER_TURN_MAX as u64);
        assert!(world.wants_turn(0), "the rest does not wait for an event");
        assert!(world.reply(alone).is_some(), "nobody waits for the end of a batch");
        assert!(world.replies.is_empty(), "the replies of a batch come together");
    }
    world.settle();
    for caller in batch {
        assert!(is_order(&world.reply(caller).expect("in the end"), OrderStatus::Init));
    }
}

#[test]
fn batches_beyond_their_number_are_refused_whole() {
    let mut world = World::new(1);
    let n = world.names([0; 3]);
    let taken: Vec<Caller> =
        (0..BATCHES_MAX).flat_map(|nth| world.submit_batch(0, [n.create(nth)])).collect();
    let beyond = world.submit_batch(0, [n.create(BATCHES_MAX), n.create(0)]);
    for caller in beyond {
        assert_eq!(world.reply(caller), Some(Err(Rejection::Busy)), "refused at once");
    }
    world.settle();
    for caller in taken {
        assert!(world.reply(caller).expect("taken").is_ok());
    }
    assert_eq!(world.shard(0).stats().tally.orders_created, BATCHES_MAX as u64);
    let next = world.submit_batch(0, [n.create(BATCHES_MAX)])[0];
    world.settle();
    assert!(world.reply(next).expect("there is room again").is_ok());
}

/// The first command of a batch waits in its middle for the disk, while the one behind it could be refused at once.
#[test]
fn a_batch_keeps_its_order_while_the_log_is_backed_up() {
    let mut world = roomy();
    let n = large(&world);
    let mut only_seat = n.with_partition(99);
    only_seat.ad_hoc = AdHoc { capacity: 1, segments: 1 };
    world.run(only_seat.try_hold("first", 1)).unwrap();
    let of_nth = |nth: usize| n.with_partition(nth / 50).try_hold(&format!("hold-{nth}"), QUANTITY_MAX);
    (0..400).for_each(|nth| _ = world.submit(of_nth(nth)));
    world.turn(0);
    world.turn(0);
    assert!(world.shard(0).log().backlog_bytes() >= BACKLOG_BYTES_MAX);
    let batch = world.submit_batch(0, [only_seat.release("first"), only_seat.try_hold("second", 1)]);
    world.turn(0);
    assert_eq!(world.shard(0).stats().batched_commands, 0, "nothing is begun while the log is backed up");
    world.settle();
    for caller in batch {
        assert!(matches!(world.reply(caller), Some(Ok(Answer::Partition(_)))));
    }
}

/// So many seats fall due at once that expiring them is more than may wait for the disk. Commands and messages that
/// stumble over them go on when there is room.
#[test]
fn an_operation_waits_in_its_middle_for_a_backed_up_log() {
    let mut world = roomy();
    let n = large(&world);
    world.run(n.create(0)).unwrap();
    let one = |segment: u16, nth: usize| {
        let Command::TryHold(mut hold) = n.try_hold(&format!("{segment}-{nth}"), QUANTITY_MAX) else {
            unreachable!("that is a hold")
        };
        hold.span = span(segment, segment + 1);
        Command::TryHold(hold)
    };
    world.run_all((0..10).flat_map(|segment| (0..50).map(move |nth| (segment, nth))).map(|(s, n)| one(s, n)));
    let read = world.submit(n.get(0));
    world.now = world.now.plus(HOLD_TTL_MS);
    let hold = world.submit(n.try_hold("late", 1));
    let reserve = world.submit(n.reserve(0));
    world.turn(0);
    world.turn(0);
    assert!(world.shard(0).log().backlog_bytes() >= BACKLOG_BYTES_MAX);
    assert_eq!(world.shard(0).stats().tally.holds_made, 500, "neither is done");
    world.settle();
    assert!(world.reply(read).unwrap().is_ok());
    assert!(matches!(world.reply(hold), Some(Ok(Answer::Partition(_)))));
    assert!(is_order(&world.reply(reserve).unwrap(), OrderStatus::Reserved));
    assert_eq!(world.shard(0).stats().tally.holds_expired, 500);
}

/// Holds as large as can be, until the log refuses them.
fn fill(world: &mut World, n: &Names) -> Vec<String> {
    let mut made = Vec::new();
    loop {
        let id = format!("large-{}", made.len());
        let caller = world.submit(n.try_hold(&id, QUANTITY_MAX));
        writes(world);
        match world.reply(caller).unwrap() {
            Ok(_) => made.push(id),
            Err(Rejection::LogFull) => return made,
            other => panic!("{other:?}"),
        }
    }
}

/// Turns and writes, while no segment is made.
fn writes(world: &mut World) {
    for _ in 0..100 {
        world.turn(0);
        if !world.finish(0, Lane::Write) && !world.wants_turn(0) {
            return;
        }
    }
    panic!("the log is never done");
}

fn run_short(world: &mut World, command: Command) -> Reply {
    let caller = world.submit(command);
    writes(world);
    world.reply(caller).expect("every command is replied to")
}

#[test]
fn in_the_reserve_money_and_freeing_of_seats_go_on() {
    let mut setup = Setup::new(1);
    setup.options.spare_segments = 3;
    setup.options.reserve_bytes = Some(EXHAUSTED_BYTES + (560 << 10));
    let mut world = World::of(setup);
    let n = large(&world);
    world.run_all([n.create(0), n.create(1), n.create(2), n.create(3)]);
    world.run_all([n.reserve(0), n.reserve(1)]);
    world.run_all(["mine", "sold", "left"].map(|id| n.try_hold(id, 1)));
    fill(&mut world, &n);
    assert_eq!(world.shard(0).log().space(), Space::Reserve);
    // No new sales; what was sold before is still known.
    assert_eq!(run_short(&mut world, n.try_hold("new", 1)), Err(Rejection::LogFull));
    assert_eq!(run_short(&mut world, n.create(9)), Err(Rejection::LogFull));
    assert_eq!(run_short(&mut world, n.reserve(2)), Err(Rejection::LogFull));
    assert!(is_order(&run_short(&mut world, n.create(2)), OrderStatus::Init));
    assert!(is_order(&run_short(&mut world, n.reserve(0)), OrderStatus::Reserved));
    assert!(run_short(&mut world, n.try_hold("mine", 1)).is_ok());
    // Payments with all the messages they need, refunds, tickets, cancellations, releases, expiry.
    assert!(is_order(&run_short(&mut world, n.pay(0, 0)), OrderStatus::Paid));
    assert!(is_order(&run_short(&mut world, n.ticket(0)), OrderStatus::Ticketed));
    assert!(is_order(&run_short(&mut world, n.cancel(1)), OrderStatus::Cancelled));
    assert_eq!(run_short(&mut world, n.pay(3, 3)), Err(Rejection::InvalidTransition));
    assert_eq!(world.shard(0).stats().tally.refunds_owed, 1);
    assert!(run_short(&mut world, n.release("mine")).is_ok());
    assert!(run_short(&mut world, n.confirm("sold")).is_ok());
    world.now = world.now.plus(HOLD_TTL_MS);
    writes(&mut world);
    let held = |world: &World| {
        let p = world.slots().find_map(|slot| slot.partitions().get(&n.partition)).unwrap();
        p.holds().filter(|(_, hold)| hold.status == HoldStatus::Held).count()
    };
    assert_eq!(held(&world), 0, "all that was due has expired");
    assert!(world.slots().all(|slot| slot.outbox().is_empty()));
    assert_eq!(world.shard(0).log().space(), Space::Reserve);
    // With a new segment, sales go on.
    world.settle();
    assert!(world.run(n.try_hold("new", 1)).is_ok());
}

#[test]
fn an_exhausted_log_takes_nothing_and_goes_on_when_there_is_room() {
    let mut world = World::new(1);
    let n = large(&world);
    world.run_all([n.create(0), n.create(1)]);
    world.run_all([n.reserve(0), n.reserve(1)]);
    for id in fill(&mut world, &n) {
        if run_short(&mut world, n.release(&id)) == Err(Rejection::LogFull) {
            break;
        }
    }
    assert_eq!(world.shard(0).log().space(), Space::Exhausted);
    assert!(is_order(&run_short(&mut world, n.get(0)), OrderStatus::Reserved));
    assert!(is_order(&run_short(&mut world, n.reserve(0)), OrderStatus::Reserved));
    assert_eq!(run_short(&mut world, n.pay(0, 0)), Err(Rejection::LogFull));
    assert_eq!(run_short(&mut world, n.cancel(1)), Err(Rejection::LogFull));
    // What falls due waits, and is looked at from time to time only.
    let records = world.shard(0).stats().tally.records;
    world.now = world.now.plus(HOLD_TTL_MS);
    writes(&mut world);
    assert_eq!(world.shard(0).stats().tally.records, records);
    let wake = world.shard(0).next_wake().expect("something is due");
    assert!(wake > world.now && wake <= world.now.plus(SWEEP_MS), "{wake:?} at {:?}", world.now);
    world.pass(2 * SWEEP_MS);
    assert!(world.shard(0).stats().tally.holds_expired > 0);
    assert!(is_order(&world.run(n.get(1)), OrderStatus::Cancelled));
    assert!(world.slots().all(|slot| slot.outbox().is_empty()));
}

/// What other cores say is not recorded where there is no room for it. It is said again.
#[test]
fn facts_wait_until_there_is_room() {
    let mut world = World::new(2);
    let apart = world.names([0, 1, 1]);
    let mut n = world.names([0; 3]);
    n.ad_hoc = LARGE;
    world.run_all([apart.create(0), apart.create(1)]);
    // Core 1 has made two holds: of one the answer is on its way, of the other the tell.
    let callers = [world.submit(apart.reserve(0)), world.submit(apart.reserve(1))];
    world.drain(0);
    world.deliver_all();
    world.drain(1);
    let answer = world.take_mail(Mail::is_answer).unwrap();
    world.take_mail(Mail::is_answer).unwrap();
    world.take_mail(Mail::is_tell).unwrap();
    let tell = world.take_mail(Mail::is_tell).unwrap();
    for id in fill(&mut world, &n) {
        if run_short(&mut world, n.release(&id)) == Err(Rejection::LogFull) {
            break;
        }
    }
    assert_eq!(world.shard(0).log().space(), Space::Exhausted);
    world.deliver(answer);
    world.deliver(tell);
    writes(&mut world);
    assert_eq!(world.shard(0).stats().tally.orders_reserved, 0);
    assert_eq!(world.reply(callers[0]), Some(Err(Rejection::LogFull)));
    assert_eq!(world.mail, [], "and nothing is acknowledged");
    world.pass(RESEND_MS);
    for nth in 0..2 {
        assert!(is_order(&world.run(apart.get(nth)), OrderStatus::Reserved));
    }
    assert!(world.slots().all(|slot| slot.outbox().is_empty()));
}

/// Labels as long as a formation may have them make records of which two do not fit into one command of the log.
#[test]
fn records_of_one_operation_that_are_too_large_together_are_split() {
    const KEY: &str = "G1|2027-01-01|2nd";
    let mut setup = Setup::new(1);
    let layout = coach("0123456789abcdef", u16::MAX - 999, 1_000);
    setup.catalogue = Arc::new(Table::default().sells(KEY, layout, run(3, START.plus(1 << 40))));
    let mut world = World::of(setup);
    let mut n = world.names([0; 3]);
    n.partition = partition(KEY);
    for seats in [1_200, 1_500, 1_700, 1_800, 1_850, 1_900, 2_000] {
        world.run(n.try_hold(&format!("first-{seats}"), seats)).unwrap();
        world.settle();
        // Expired and sold again by one command.
        world.now = world.now.plus(HOLD_TTL_MS);
        let hold = world.submit(n.try_hold(&format!("all-{seats}"), 2_000));
        world.settle();
        assert!(world.reply(hold).unwrap().is_ok());
        world.pass(HOLD_TTL_MS);
    }
}

/// What one command records is there after a crash as a whole or not at all, wherever its frame ends.
#[test]
fn a_crash_keeps_the_records_of_a_command_together() {
    const HOLDS: usize = 1_000;
    for padding in 0..8 {
        let mut world = World::new(1);
        let n = world.names([0; 3]);
        world.settle();
        world.submit(n.create(0));
        world.turn(0);
        // Opens a partition and takes a seat in it: two records.
        let of_nth = |nth: usize| {
            let text = format!("{}{nth:04}", "x".repeat(padding));
            let mut n = n.clone();
            n.partition = partition(&text);
            n.try_hold("only", 1)
        };
        (0..HOLDS).for_each(|nth| {
            world.submit(of_nth(nth));
        });
        crash_between_frames(&mut world, HOLDS);
    }
}

/// Of so many commands that each open a partition and take seats in it, some are durable, and those as a whole.
pub(crate) fn crash_between_frames(world: &mut World, commands: usize) {
    world.turn(0);
    world.finish_write(0);
    assert!(world.finish(0, Lane::Write), "the first of several frames");
    world.crash(|| false);
    let partitions = world.slots().flat_map(|slot| slot.partitions().iter());
    let holds: Vec<usize> = partitions.map(|(_, p)| p.holds_count()).collect();
    assert!((1..commands).contains(&holds.len()), "{} are durable", holds.len());
    assert!(holds.iter().all(|count| *count == 1), "a partition was opened, and its hold is lost");
}
