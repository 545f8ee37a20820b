//! How partitions open, what fixes the stops of a run, and when a run is gone.

use std::rc::Rc;
use std::sync::Arc;

use allocator::Layout;
use engine::answer::{Answer, RunView};
use engine::catalogue::RunDefinition;
use engine::command::{AdHoc, Command, HoldRef, RunQuery, SeatRequest};
use engine::ids::{SlotId, Time};
use engine::record::{Body, PartitionOpened, Record};
use engine::state::Slot;
use engine::text::Text;

use crate::support::catalogue::{Table, coaches, run};
use crate::support::check;
use crate::support::names::{hold, partition, span};
use crate::support::world::{START, World};
use crate::support::{kind, partition_of, word};

const HOUR_MS: u64 = 3_600_000;
/// Three stops from now on, and a day to travel.
const SECOND: &str = "G1|2026-02-11|2nd";
const FIRST: &str = "G1|2026-02-11|1st";
/// The sale goes on after the first stop has departed.
const UNTIL_IT_IS_FORGOTTEN: i64 = -(80 * HOUR_MS as i64);
const LAST_STOP: Time = START.plus(24 * HOUR_MS);

fn table() -> Table {
    let definition = || run("stop", 3, LAST_STOP);
    Table::default()
        .sells(SECOND, coaches(&["05", "06"]), definition())
        .sells(FIRST, coaches(&["01"]), definition())
        .refuses("G1|2026-02-11|sleeper")
}

fn try_hold(key: &str, id: &str, quantity: u32, on: Option<(u16, u16)>) -> SeatRequest {
    SeatRequest {
        partition: partition(key),
        hold: hold(id),
        quantity,
        span: on.and_then(|(from, to)| span(from, to)),
        ad_hoc: AdHoc { capacity: 9, segments: 5 },
    }
}

fn hold_in(world: &mut World, key: &str, id: &str, quantity: u32, on: Option<(u16, u16)>) -> String {
    word(&world.run(Command::TryHold(try_hold(key, id, quantity, on))))
}

fn available(world: &mut World, key: &str, on: Option<(u16, u16)>) -> String {
    let span = on.and_then(|(from, to)| span(from, to));
    word(&world.run(Command::Availability { partition: partition(key), span }))
}

fn run_view(world: &mut World, train: &str, on: Option<(u16, u16)>) -> RunView {
    let span = on.and_then(|(from, to)| span(from, to));
    let query = RunQuery { train: Text::from(train), date: Text::from("2026-02-11"), span };
    match world.run(Command::Run(query)) {
        Ok(Answer::Run(view)) => view,
        other => panic!("{other:?}"),
    }
}

fn opened(world: &World) -> Vec<&PartitionOpened> {
    let opened = world.log.iter().filter_map(|record| match &record.body {
        Body::PartitionOpened(opened) => Some(opened),
        _ => None,
    });
    opened.collect()
}

#[test]
fn a_partition_of_the_timetable_opens_at_its_first_hold() {
    let mut world = World::new(table());
    // Until then it offers what it will have, and nothing is recorded.
    assert_eq!(available(&mut world, SECOND, None), "available 12");
    assert_eq!(available(&mut world, SECOND, Some((1, 2))), "available 12");
    assert_eq!(available(&mut world, SECOND, Some((1, 3))), "!InvalidSpan");
    assert_eq!(hold_in(&mut world, SECOND, "h", 1, Some((0, 3))), "!InvalidSpan");
    assert_eq!(hold_in(&mut world, SECOND, "h", 13, None), "!InsufficientStock");
    assert!(world.log.is_empty());

    let reply = world.run(Command::TryHold(try_hold(SECOND, "h", 2, Some((0, 1)))));
    let view = partition_of(&reply);
    // The caller's idea of its shape counts for nothing.
    assert_eq!((view.capacity, view.available, view.last_seq), (12, 10, 1));
    assert_eq!(view.hold.seats, ["05-1A", "05-1C"].map(Text::from));
    assert_eq!(
        world.log.iter().map(|record| kind(record)).collect::<Vec<_>>(),
        ["PartitionOpened", "HoldMade"]
    );
    let opened = opened(&world)[0];
    assert_eq!((opened.partition.as_str(), opened.segments), (SECOND, 2));
    assert_eq!(opened.layout, coaches(&["05", "06"]));
    assert_eq!(opened.run, Some(run("stop", 3, LAST_STOP)));
    // A newer timetable does not change what is open.
    world.catalogue = Rc::new(Table::default().refuses(SECOND));
    assert_eq!(available(&mut world, SECOND, Some((1, 2))), "available 12");
    assert_eq!(hold_in(&mut world, SECOND, "i", 12, Some((1, 2))), "Held");
    check::replay(&world);
}

#[test]
fn what_the_timetable_does_not_sell_is_not_found() {
    let mut world = World::new(table());
    let key = "G1|2026-02-11|sleeper";
    assert_eq!(hold_in(&mut world, key, "h", 1, None), "!PartitionNotFound");
    assert_eq!(available(&mut world, key, None), "!PartitionNotFound");
    assert!(world.log.is_empty());
}

#[test]
fn an_ad_hoc_partition_has_the_shape_that_its_first_caller_gives() {
    let mut world = World::new(table());
    let key = "anything at all";
    assert_eq!(available(&mut world, key, None), "!PartitionNotFound");
    assert_eq!(hold_in(&mut world, key, "h", 10, None), "!InsufficientStock");
    assert_eq!(hold_in(&mut world, key, "h", 1, Some((0, 6))), "!InvalidSpan");
    assert!(world.log.is_empty());
    assert_eq!(hold_in(&mut world, key, "h", 1, Some((4, 5))), "Held");
    let other = SeatRequest { ad_hoc: AdHoc { capacity: 100, segments: 1 }, ..try_hold(key, "i", 1, None) };
    let reply = world.run(Command::TryHold(other));
    assert_eq!(partition_of(&reply).capacity, 9);
    let opened = opened(&world);
    assert_eq!(opened.len(), 1);
    assert_eq!((&opened[0].layout, opened[0].segments), (&Layout::AdHoc { seats: 9 }, 5));
    assert_eq!(opened[0].run, None);
}

#[test]
fn shapes_that_no_ad_hoc_partition_has_are_refused() {
    for (capacity, segments, expected) in [
        (1, 1, "Held"),
        (100_000, 64, "Held"),
        (0, 1, "!InvalidCapacity"),
        (100_001, 1, "!InvalidCapacity"),
        (u32::MAX, 1, "!InvalidCapacity"),
        (1, 0, "!InvalidCapacity"),
        (1, 65, "!InvalidCapacity"),
        (1, u16::MAX, "!InvalidCapacity"),
    ] {
        let mut world = World::new(table());
        let wanted = SeatRequest { ad_hoc: AdHoc { capacity, segments }, ..try_hold("x", "h", 1, None) };
        let reply = world.run(Command::TryHold(wanted));
        assert_eq!(word(&reply), expected, "{capacity} seats, {segments} segments");
        assert_eq!(world.log.is_empty(), expected != "Held");
    }
}

#[test]
fn the_first_open_class_fixes_the_stops_of_its_run() {
    let mut world = World::new(table());
    assert_eq!(hold_in(&mut world, SECOND, "h", 1, None), "Held");
    // A newer feed: another stop, an earlier end, more seats in first class.
    let newer = run("newer", 4, START.plus(HOUR_MS));
    world.catalogue = Rc::new(Table::default().sells(FIRST, coaches(&["01", "02"]), newer.clone()));
    assert_eq!(available(&mut world, FIRST, Some((2, 3))), "!InvalidSpan");
    assert_eq!(hold_in(&mut world, FIRST, "h", 1, Some((2, 3))), "!InvalidSpan");
    assert_eq!(hold_in(&mut world, FIRST, "h", 1, None), "Held");
    let opened = opened(&world);
    assert_eq!(opened[1].run, opened[0].run);
    assert_eq!((opened[1].segments, &opened[1].layout), (2, &coaches(&["01", "02"])));

    // Another run of the same train is another run.
    let other = "G1|2026-02-12|1st";
    world.catalogue = Rc::new(Table::default().sells(other, coaches(&["01"]), newer.clone()));
    assert_eq!(hold_in(&mut world, other, "h", 1, Some((2, 3))), "Held");
    check::replay(&world);
    world.reload();
    let view = run_view(&mut world, "G1", None);
    assert_eq!(*view.run, run("stop", 3, LAST_STOP));
}

fn rows(view: &RunView) -> Vec<(&str, u32, u32)> {
    view.classes.iter().map(|class| (class.partition.as_str(), class.capacity, class.available)).collect()
}

/// Opened or not: what is open says what it has left, the others have all their seats.
#[test]
fn all_classes_of_a_run() {
    let mut world = World::new(table());
    let view = run_view(&mut world, "G1", None);
    assert_eq!(rows(&view), [(FIRST, 6, 6), (SECOND, 12, 12)]);
    assert_eq!(*view.run, run("stop", 3, LAST_STOP));
    assert_eq!(view.classes[1].coaches, [(Text::from("05"), 6), (Text::from("06"), 6)]);
    assert!(world.log.is_empty());
    for key in [SECOND, "G1|2026-02-12|2nd", "G11|2026-02-11|2nd", "G1|2026-02-11x", "G1|2026-02-11"] {
        assert_eq!(hold_in(&mut world, key, "h", 2, Some((0, 1))), "Held");
    }
    let view = run_view(&mut world, "G1", Some((0, 1)));
    assert_eq!(rows(&view), [(FIRST, 6, 6), (SECOND, 12, 10)]);
    assert_eq!(*view.run, run("stop", 3, LAST_STOP));
    assert_eq!(rows(&run_view(&mut world, "G1", Some((1, 2)))), [(FIRST, 6, 6), (SECOND, 12, 12)]);
    // A span beyond the stops offers nothing.
    assert_eq!(rows(&run_view(&mut world, "G1", Some((1, 3)))), [(FIRST, 6, 0), (SECOND, 12, 0)]);
    // What is due ends first.
    world.wait(120_000);
    assert_eq!(rows(&run_view(&mut world, "G1", None)), [(FIRST, 6, 6), (SECOND, 12, 12)]);
    check::always(&world);
}

/// A class that was sold before a timetable had its train: it has the seats that it was opened with as long as somebody has some.
#[test]
fn a_class_sold_ad_hoc_is_shown_as_it_was_opened() {
    const DINING: &str = "G1|2026-02-11|dining car";
    let mut world = World::new(Table::default());
    for (key, on) in [(SECOND, (0, 1)), (DINING, (0, 1))] {
        assert_eq!(hold_in(&mut world, key, "h", 2, Some(on)), "Held");
    }
    let query =
        |span| Command::Run(RunQuery { train: Text::from("G1"), date: Text::from("2026-02-11"), span });
    // Nobody knows its stops.
    assert_eq!(word(&world.run(query(None))), "!RunNotFound");
    world.catalogue = Rc::new(table());
    let view = run_view(&mut world, "G1", Some((0, 1)));
    assert_eq!(rows(&view), [(FIRST, 6, 6), (SECOND, 9, 7), (DINING, 9, 7)]);
    assert_eq!(*view.run, run("stop", 3, LAST_STOP));
    world.wait(120_000);
    assert_eq!(rows(&run_view(&mut world, "G1", None)), [(FIRST, 6, 6), (SECOND, 12, 12), (DINING, 9, 9)]);
    check::always(&world);
}

#[test]
fn a_run_that_nobody_knows_is_not_found() {
    let mut world = World::new(table());
    for (train, date) in [("G1", "2026-02-13"), ("G9", "2026-02-11"), ("G1", ""), ("", "")] {
        let query = RunQuery { train: Text::from(train), date: Text::from(date), span: None };
        assert_eq!(word(&world.run(Command::Run(query))), "!RunNotFound", "{train} on {date}");
    }
    // One that was sold outlives its timetable, with the classes that are open.
    assert_eq!(hold_in(&mut world, SECOND, "h", 2, None), "Held");
    world.catalogue = Rc::new(Table::default());
    assert_eq!(rows(&run_view(&mut world, "G1", None)), [(SECOND, 12, 10)]);
}

#[test]
fn nothing_is_sold_ad_hoc_beside_an_open_run() {
    let mut world = World::new(table());
    assert_eq!(hold_in(&mut world, SECOND, "h", 1, None), "Held");
    // A feed without the train.
    world.catalogue = Rc::new(Table::default());
    assert_eq!(hold_in(&mut world, FIRST, "h", 1, None), "!PartitionNotFound");
    assert_eq!(hold_in(&mut world, "G1|2026-02-12|1st", "h", 1, None), "Held");
    assert_eq!(hold_in(&mut world, SECOND, "other", 1, None), "Held");
    check::always(&world);
}

#[test]
fn a_runs_classes_share_a_slot_and_ad_hoc_keys_do_not_follow_them() {
    let world = World::new(table());
    let slot = |key: &str| world.hash().partition(&partition(key));
    assert_eq!(slot(SECOND), slot(FIRST));
    assert_eq!(slot(SECOND), world.hash().run("G1|2026-02-11"));
    assert_ne!(slot(SECOND), slot("G1|2026-02-12|2nd"));
    assert_ne!(slot("G1|someday|2nd"), slot("G1|someday|1st"));
}

// The end of a run.

#[test]
fn a_departed_run_is_forgotten_after_three_days() {
    let mut world = World::new(table());
    world.policy.sale_closes_ms = UNTIL_IT_IS_FORGOTTEN;
    assert_eq!(hold_in(&mut world, SECOND, "sold", 1, None), "Held");
    let sold = HoldRef { partition: partition(SECOND), hold: hold("sold") };
    world.run(Command::ConfirmHold(sold.clone())).unwrap();
    world.later(24 * HOUR_MS + 72 * HOUR_MS - 1);
    assert_eq!(available(&mut world, SECOND, None), "available 11");
    let before = world.log.len();
    world.later(1);
    assert_eq!(
        world.log[before..].iter().map(|record| kind(record)).collect::<Vec<_>>(),
        ["PartitionForgotten"]
    );
    // It is gone and does not come back, although the timetable still has it; nor does another class of it.
    for key in [SECOND, FIRST] {
        assert_eq!(available(&mut world, key, None), "!PartitionNotFound");
        assert_eq!(hold_in(&mut world, key, "h", 1, None), "!PartitionNotFound");
    }
    assert_eq!(rows(&run_view(&mut world, "G1", None)), [(FIRST, 6, 0), (SECOND, 12, 0)]);
    assert_eq!(word(&world.run(Command::ConfirmHold(sold))), "!HoldNotFound");
    assert_eq!(world.log.len(), before + 1);
    check::replay(&world);
}

#[test]
fn a_run_is_not_forgotten_while_a_hold_of_it_is_alive() {
    let mut world = World::new(table());
    world.policy.sale_closes_ms = UNTIL_IT_IS_FORGOTTEN;
    world.wait(24 * HOUR_MS + 72 * HOUR_MS - 1);
    assert_eq!(hold_in(&mut world, SECOND, "late", 1, None), "Held");
    world.later(1);
    assert_eq!(available(&mut world, SECOND, None), "available 11");
    world.later(120_000 - 1);
    let kinds: Vec<_> = world.log.iter().map(|record| kind(record)).collect();
    assert_eq!(kinds, ["PartitionOpened", "HoldMade", "HoldsExpired", "PartitionForgotten"]);
    check::replay(&world);
}

#[test]
fn classes_of_a_run_are_forgotten_together_and_others_stay() {
    let later = RunDefinition { ends_at: LAST_STOP.plus(1), ..run("stop", 3, LAST_STOP) };
    let other = "G2|2026-02-11|2nd";
    let mut world = World::new(table().sells(other, coaches(&["05"]), later));
    for key in [SECOND, FIRST, other, "ad hoc"] {
        assert_eq!(hold_in(&mut world, key, "h", 1, None), "Held");
    }
    let in_ad_hoc = HoldRef { partition: partition("ad hoc"), hold: hold("h") };
    world.run(Command::ConfirmHold(in_ad_hoc)).unwrap();
    world.later(96 * HOUR_MS);
    let open = |world: &World| -> Vec<String> {
        let keys = world.slots().flat_map(|slot| slot.partitions().iter());
        let mut keys: Vec<_> = keys.map(|(key, _)| key.to_string()).collect();
        keys.sort();
        keys
    };
    assert_eq!(open(&world), [other, "ad hoc"]);
    world.later(1);
    assert_eq!(open(&world), ["ad hoc"]);
    check::replay(&world);
}

/// Classes of a run share one definition in memory; one whose record says another run keeps what it says, live and read back.
#[test]
fn a_partition_has_the_run_that_its_record_says() {
    let other = "G1|2026-02-12|2nd";
    let keys = [SECOND, FIRST, "G1|2026-02-11|sleeper", other];
    let runs = ["stop", "stop", "elsewhere", "stop"].map(|name| run(name, 3, LAST_STOP));
    let slot_id = SlotId::new(1);
    let mut slot = Slot::new(slot_id);
    for (key, run) in keys.iter().zip(&runs) {
        let (partition, run) = (partition(key), Some(run.clone()));
        let opened = PartitionOpened { partition, layout: coaches(&["01"]), segments: 2, run, seq: 0 };
        let (seq, trace) = (slot.seq() + 1, Text::from(""));
        let body = Body::PartitionOpened(opened);
        slot.apply(&Record { slot: slot_id, seq, time: START, trace, body }, &mut Vec::new());
    }
    let mut image = Vec::new();
    slot.encode(&mut image);
    for slot in [slot, Slot::decode(&image).unwrap()] {
        let found = keys.map(|key| slot.partitions().get(&partition(key)).unwrap().run().unwrap());
        for (found, run) in found.iter().zip(&runs) {
            assert_eq!(***found, *run);
        }
        // Of equal ones, those of the same date.
        assert!(Arc::ptr_eq(found[0], found[1]));
        assert!(!Arc::ptr_eq(found[0], found[3]));
    }
}
