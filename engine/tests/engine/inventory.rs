//! Holds of clients, availability, expiry and forgetting.

use engine::answer::HoldStatus;
use engine::command::{AdHoc, Command, HoldRef, Reserve, SeatRequest};
use engine::ids::{HoldId, PartitionKey, SlotId};
use engine::limits::{EXPIRED_PER_RECORD_MAX, EXPIRED_SEATS_PER_RECORD_MAX, FORGOTTEN_PER_RECORD_MAX};
use engine::record::{Body, Record};

use crate::support::catalogue::Table;
use crate::support::check;
use crate::support::names::{APART, Names, hold, partition, span};
use crate::support::world::{START, World};
use crate::support::{available_of, partition_of, said, said_twice, since, word};

const HOUR_MS: u64 = 3_600_000;
const TTL_MS: u64 = 120_000;
const P: &str = "anything";

fn try_hold(id: &str, quantity: u32, on: Option<(u16, u16)>) -> Command {
    Command::TryHold(SeatRequest {
        partition: partition(P),
        hold: hold(id),
        quantity,
        span: on.and_then(|(from, to)| span(from, to)),
        ad_hoc: AdHoc { capacity: 4, segments: 3 },
    })
}

fn reference(id: &str) -> HoldRef {
    HoldRef { partition: partition(P), hold: hold(id) }
}

fn release(id: &str) -> Command {
    Command::ReleaseHold(reference(id))
}

fn confirm(id: &str) -> Command {
    Command::ConfirmHold(reference(id))
}

fn available(world: &mut World, on: Option<(u16, u16)>) -> u32 {
    let span = on.and_then(|(from, to)| span(from, to));
    available_of(&world.run(Command::Availability { partition: partition(P), span }))
}

/// What has become of the hold `h`, two seats on the first two segments.
const STATUSES: [&str; 9] =
    ["none", "held", "overdue", "confirmed", "released", "expired", "owned", "paid", "forgotten"];

fn world_with(status: &str) -> World {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    world.policy.hold_memory_ms = 24 * HOUR_MS;
    let mut run = |command| world.run(command).map(drop).expect("a step of the set-up");
    run(try_hold("opener", 1, None));
    run(release("opener"));
    if status != "none" {
        run(try_hold("h", 2, Some((0, 2))));
    }
    let Command::TryHold(seats) = try_hold("h", 2, Some((0, 2))) else { unreachable!("that is a hold") };
    let adopt = Reserve { order: names.order(0), seats };
    match status {
        "none" | "held" => {}
        "overdue" => world.wait(TTL_MS),
        "confirmed" => run(confirm("h")),
        "released" => run(release("h")),
        "expired" => world.later(TTL_MS),
        "owned" | "paid" => {
            run(names.create(0));
            run(Command::Reserve(adopt));
            if status == "paid" {
                run(names.pay(0, 0));
            }
        }
        "forgotten" => {
            run(release("h"));
            world.later(24 * HOUR_MS);
        }
        other => panic!("no status is called {other}"),
    }
    world
}

/// What each status, in the order of [`STATUSES`], answers and records.
fn row(command: &Command, expected: [&str; 9]) {
    for (status, expected) in STATUSES.iter().zip(expected) {
        let mut world = world_with(status);
        assert_eq!(said_twice(&mut world, command), expected, "{command:?} on {status}");
        check::settled(&world);
        check::replay(&world);
    }
}

const EXPIRES: &str = "!HoldExpired HoldsExpired";
const MISSING: &str = "!HoldNotFound";
const OWNED: &str = "!HoldOwned";
const GONE: &str = "!HoldExpired";
/// With the last hold that it remembered, its partition was forgotten.
const FORGOTTEN: &str = "Held PartitionOpened HoldMade";

#[test]
fn the_same_try_hold_again() {
    row(
        &try_hold("h", 2, Some((0, 2))),
        [
            "Held HoldMade",
            "Held",
            EXPIRES,
            "Confirmed",
            "!HoldReleased",
            GONE,
            "Held",
            "Confirmed",
            FORGOTTEN,
        ],
    );
}

#[test]
fn a_try_hold_with_other_contents() {
    let made = "Held HoldMade";
    let differs = "!HoldDiffers";
    for other in [try_hold("h", 1, Some((0, 2))), try_hold("h", 2, Some((1, 3))), try_hold("h", 2, None)] {
        row(&other, [made, differs, EXPIRES, differs, "!HoldReleased", GONE, differs, differs, FORGOTTEN]);
    }
}

#[test]
fn release_of_a_hold() {
    let done = "Released HoldReleased";
    row(&release("h"), [MISSING, done, EXPIRES, "!HoldConfirmed", "Released", GONE, OWNED, OWNED, MISSING]);
}

#[test]
fn confirmation_of_a_hold() {
    let done = "Confirmed HoldConfirmed";
    row(&confirm("h"), [MISSING, done, EXPIRES, "Confirmed", "!HoldReleased", GONE, OWNED, OWNED, MISSING]);
}

fn allocate(id: &str, quantity: u32, on: Option<(u16, u16)>) -> Command {
    let Command::TryHold(seats) = try_hold(id, quantity, on) else { unreachable!("that is a hold") };
    Command::Allocate(seats)
}

/// Whatever it asks for: what the id has is what it gets.
#[test]
fn seats_that_are_sold_at_once() {
    let made = "Confirmed HoldMade HoldConfirmed";
    let opened = "Confirmed PartitionOpened HoldMade HoldConfirmed";
    let confirmed = "Confirmed HoldConfirmed";
    for asked in [(2, Some((0, 2))), (1, Some((1, 3))), (1, None)] {
        row(
            &allocate("h", asked.0, asked.1),
            [made, confirmed, EXPIRES, "Confirmed", "!HoldReleased", GONE, OWNED, OWNED, opened],
        );
    }
    let mut world = world_with("none");
    assert_eq!(word(&world.run(allocate("all", 4, Some((0, 2))))), "Confirmed");
    assert_eq!(word(&world.run(allocate("more", 1, Some((1, 3))))), "!InsufficientStock");
    assert_eq!(word(&world.run(allocate("other", 1, Some((2, 3))))), "Confirmed");
    assert_eq!(word(&world.run(allocate("beyond", 1, Some((2, 4))))), "!InvalidSpan");
}

/// Nobody has said where such a train stops.
#[test]
fn any_stretch_of_one_segment_is_all_of_it() {
    let mut world = World::new(Table::default());
    let one = AdHoc { capacity: 2, segments: 1 };
    let with = |command| match command {
        Command::TryHold(seats) => Command::TryHold(SeatRequest { ad_hoc: one, ..seats }),
        other => other,
    };
    world.run(with(try_hold("opener", 1, None))).unwrap();
    assert_eq!(word(&world.run(allocate("a", 1, Some((3, 7))))), "Confirmed");
    assert_eq!(word(&world.run(allocate("b", 1, Some((8, 9))))), "!InsufficientStock");
    assert_eq!(word(&world.run(try_hold("c", 1, Some((3, 7))))), "!InvalidSpan");
    check::settled(&world);
}

#[test]
fn holds_of_a_partition_that_is_not_open() {
    let mut world = World::new(Table::default());
    for command in [release("h"), confirm("h")] {
        assert_eq!(word(&world.run(command)), MISSING);
    }
    assert!(world.log.is_empty());
}

#[test]
fn a_hold_lives_until_its_deadline() {
    for (wait, expected) in [(TTL_MS - 1, "Confirmed"), (TTL_MS, GONE), (TTL_MS + 1, GONE)] {
        let mut world = world_with("held");
        world.wait(wait);
        assert_eq!(word(&world.run(confirm("h"))), expected, "after {wait} ms");
    }
}

#[test]
fn a_repeat_of_the_last_seats_hold_is_not_short_of_seats() {
    let mut world = world_with("none");
    assert_eq!(word(&world.run(try_hold("all", 4, None))), "Held");
    assert_eq!(word(&world.run(try_hold("all", 4, None))), "Held");
    assert_eq!(word(&world.run(try_hold("more", 1, Some((1, 2))))), "!InsufficientStock");
}

#[test]
fn seats_are_free_by_stretch() {
    let mut world = world_with("none");
    for (id, quantity, on) in [("a", 2, (0, 1)), ("b", 1, (1, 3)), ("c", 1, (2, 3)), ("d", 1, (0, 3))] {
        world.run(try_hold(id, quantity, Some(on))).unwrap();
    }
    world.run(confirm("b")).unwrap();
    world.run(confirm("d")).unwrap();
    // By segment: a and d, b and d, b and c and d. The tightest gap puts b beside a on one seat, and c beside a's other.
    for (on, free) in [((0, 1), 1), ((1, 2), 2), ((2, 3), 1), ((0, 2), 1), ((1, 3), 1), ((0, 3), 1)] {
        assert_eq!(available(&mut world, Some(on)), free, "{on:?}");
    }
    assert_eq!(available(&mut world, None), 1);
    // The views count on the span that was asked; a release and a confirmation show the whole run.
    let view = |world: &mut World, command| {
        let reply = world.run(command);
        let view = partition_of(&reply);
        (view.capacity, view.available, view.confirmed)
    };
    assert_eq!(view(&mut world, try_hold("a", 2, Some((0, 1)))), (4, 1, 1));
    assert_eq!(view(&mut world, try_hold("c", 1, Some((2, 3)))), (4, 1, 2));
    assert_eq!(view(&mut world, confirm("b")), (4, 1, 2));
    assert_eq!(view(&mut world, release("a")), (4, 1, 2));
    assert_eq!(available(&mut world, Some((0, 1))), 3);
    check::always(&world);
}

#[test]
fn a_view_shows_the_callers_own_hold() {
    let mut world = world_with("held");
    world.wait(500);
    let reply = world.run(try_hold("mine", 1, Some((2, 3))));
    let view = partition_of(&reply);
    assert_eq!((view.partition.as_str(), view.last_seq), (P, 4));
    assert_eq!((view.hold.hold.as_str(), view.hold.quantity), ("mine", 1));
    assert_eq!((view.hold.status, view.hold.expires_at), (HoldStatus::Held, START.plus(500 + TTL_MS)));
    // It fits beside the other hold on its first seat.
    let seats: Vec<&str> = view.hold.seats.iter().map(|seat| seat.as_str()).collect();
    assert_eq!(seats, ["1-1"]);
}

#[test]
fn spans_beyond_the_run_are_refused() {
    let mut world = world_with("held");
    let before = world.log.len();
    for (from, to) in [(0, 4), (3, 4), (64, 65), (0, u16::MAX)] {
        assert_eq!(word(&world.run(try_hold("x", 1, Some((from, to))))), "!InvalidSpan");
        let asked = Command::Availability { partition: partition(P), span: span(from, to) };
        assert_eq!(word(&world.run(asked)), "!InvalidSpan");
    }
    assert_eq!(world.log.len(), before);
}

#[test]
fn hold_ids_are_unique_in_their_partition_only() {
    let mut world = world_with("held");
    let Command::TryHold(mut elsewhere) = try_hold("h", 1, None) else { unreachable!() };
    elsewhere.partition = partition("another");
    assert_eq!(word(&world.run(Command::TryHold(elsewhere))), "Held");
}

// Expiry.

fn expired(record: &Record) -> Option<Vec<&engine::record::HoldRow>> {
    match &record.body {
        Body::HoldsExpired(rows) => Some(rows.iter().map(|row| &row.hold).collect()),
        _ => None,
    }
}

/// A partition with many seats, and holds of so many seats each, a millisecond apart.
fn many(quantities: impl IntoIterator<Item = u32>) -> (World, PartitionKey) {
    let key = partition("large");
    let mut world = World::new(Table::default());
    for (i, quantity) in quantities.into_iter().enumerate() {
        let command = SeatRequest {
            partition: key.clone(),
            hold: hold(&format!("{i}")),
            quantity,
            span: None,
            ad_hoc: AdHoc { capacity: 20_000, segments: 1 },
        };
        world.run(Command::TryHold(command)).unwrap();
        world.wait(1);
    }
    (world, key)
}

/// The holds that each expiry record ends, by their numbers.
fn expiry(world: &mut World) -> Vec<Vec<u32>> {
    world.wait(TTL_MS);
    let before = world.log.len();
    world.do_due();
    let records = world.log[before..].iter().map(|record| expired(record).expect("expiry alone is due"));
    records.map(|rows| rows.iter().map(|row| row.hold.as_str().parse().unwrap()).collect()).collect()
}

#[test]
fn one_record_ends_a_bounded_number_of_holds() {
    let (mut world, key) = many(std::iter::repeat_n(1, 150));
    let records = expiry(&mut world);
    let sizes: Vec<usize> = records.iter().map(Vec::len).collect();
    assert_eq!(sizes, [EXPIRED_PER_RECORD_MAX, EXPIRED_PER_RECORD_MAX, 150 - 2 * EXPIRED_PER_RECORD_MAX]);
    // The longest waiting first, and each a step of the partition.
    assert_eq!(records.concat(), (0..150).collect::<Vec<_>>());
    let rows = world.log.iter().filter_map(|record| expired(record)).flatten();
    let seqs: Vec<u64> = rows.map(|row| row.partition_seq).collect();
    assert_eq!(seqs, (151..=300).collect::<Vec<_>>());
    let free = world.run(Command::Availability { partition: key, span: None });
    assert_eq!(available_of(&free), 20_000);
    check::replay(&world);
}

#[test]
fn one_record_frees_a_bounded_number_of_seats() {
    assert_eq!(EXPIRED_SEATS_PER_RECORD_MAX, 2_000, "or the numbers below change");
    let (mut world, _) = many([700, 700, 700, 2_000, 1_999, 1, 1]);
    assert_eq!(expiry(&mut world), [vec![0, 1], vec![2], vec![3], vec![4, 5], vec![6]]);
}

#[test]
fn only_what_is_due_ends() {
    let (mut world, _) = many([1, 1, 1]);
    world.now = START.plus(TTL_MS + 1);
    let before = world.log.len();
    world.do_due();
    assert_eq!(world.log.len(), before + 1);
    let rows = expired(&world.log[before]).unwrap();
    assert_eq!(rows.iter().map(|row| row.hold.as_str()).collect::<Vec<_>>(), ["0", "1"]);
    for row in rows {
        assert_eq!(
            (row.status, row.keep_until),
            (HoldStatus::Expired, world.now.plus(world.policy.hold_memory_ms))
        );
    }
}

/// Whatever is decided about a partition, its due holds end first, all of them.
#[test]
fn what_is_due_ends_before_anything_is_decided() {
    for (command, expected) in [
        (try_hold("new", 4, None), "Held HoldsExpired HoldMade"),
        (try_hold("new", 5, None), "!InsufficientStock HoldsExpired"),
        (try_hold("a", 1, None), "!HoldExpired HoldsExpired"),
        (release("other"), "!HoldNotFound HoldsExpired"),
        (confirm("other"), "!HoldNotFound HoldsExpired"),
        (Command::Availability { partition: partition(P), span: None }, "available 4 HoldsExpired"),
    ] {
        let mut world = world_with("none");
        world.run(try_hold("a", 2, None)).unwrap();
        world.run(try_hold("b", 2, None)).unwrap();
        world.wait(TTL_MS);
        assert_eq!(said(&mut world, &command), expected, "{command:?}");
        check::settled(&world);
    }
}

#[test]
fn more_than_one_record_is_due_and_all_come_first() {
    let (mut world, key) = many(std::iter::repeat_n(1, 130));
    world.wait(TTL_MS);
    let before = world.log.len();
    let free = world.run(Command::Availability { partition: key, span: None });
    assert_eq!(available_of(&free), 20_000);
    assert_eq!(since(&world, before), ["HoldsExpired"; 3]);
}

#[test]
fn an_expired_hold_cancels_its_order() {
    let mut world = world_with("owned");
    let before = world.log.len();
    world.later(TTL_MS);
    assert_eq!(since(&world, before), ["HoldsExpired", "OrderCancelled"]);
    check::settled(&world);
}

// Forgetting.

fn ids(world: &World, key: &PartitionKey) -> Vec<HoldId> {
    let slot = world.slot(world.hash().partition(key)).unwrap();
    let holds = slot.partitions().get(key).unwrap().holds().collect::<Vec<_>>();
    holds.into_iter().map(|(id, _)| id.clone()).collect()
}

#[test]
fn ended_holds_are_forgotten_after_a_day() {
    let mut world = world_with("released");
    world.run(try_hold("expires", 1, None)).unwrap();
    world.run(try_hold("sold", 1, None)).unwrap();
    world.run(confirm("sold")).unwrap();
    world.later(24 * HOUR_MS - 1);
    assert_eq!(word(&world.run(release("h"))), "Released");
    world.later(1);
    assert_eq!(word(&world.run(release("h"))), MISSING);
    // It ended when its end was recorded, a day less a millisecond after it was made.
    assert_eq!(word(&world.run(release("expires"))), GONE);
    world.later(24 * HOUR_MS);
    assert_eq!(ids(&world, &partition(P)), [hold("sold")]);
    world.later(9_000 * HOUR_MS);
    assert_eq!(word(&world.run(confirm("sold"))), "Confirmed");
    check::replay(&world);
}

#[test]
fn one_record_forgets_a_bounded_number_of_holds() {
    let (mut world, key) = many(std::iter::repeat_n(1, 300));
    world.later(TTL_MS);
    world.wait(24 * HOUR_MS);
    let before = world.log.len();
    world.do_due();
    let sizes: Vec<usize> = world.log[before..]
        .iter()
        .map(|record| match &record.body {
            Body::HoldsForgotten { holds, .. } => holds.len(),
            Body::PartitionForgotten { .. } => 0,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sizes, [FORGOTTEN_PER_RECORD_MAX, 300 - FORGOTTEN_PER_RECORD_MAX, 0]);
    assert!(world.slot(world.hash().partition(&key)).unwrap().partitions().is_empty());
    check::replay(&world);
}

/// What is due next is what the slot says is due next.
#[test]
fn the_slot_knows_when_it_is_due() {
    let mut world = world_with("held");
    let slot = world.hash().partition(&partition(P));
    let due = |world: &World| world.slot(slot).unwrap().next_due(&world.policy);
    assert_eq!(due(&world), Some(START.plus(TTL_MS)));
    world.later(TTL_MS);
    // The opener was released at the start, the hold has just expired.
    assert_eq!(due(&world), Some(START.plus(24 * HOUR_MS)));
    world.later(24 * HOUR_MS);
    assert_eq!(due(&world), None);

    let names = Names::new(APART);
    world.run(names.create(0)).unwrap();
    let order = world.slot(SlotId::new(7)).unwrap();
    assert_eq!(order.next_due(&world.policy), Some(world.now.plus(24 * HOUR_MS)));
    world.run(names.cancel(0)).unwrap();
    assert_eq!(world.slot(SlotId::new(7)).unwrap().next_due(&world.policy), None);
}
