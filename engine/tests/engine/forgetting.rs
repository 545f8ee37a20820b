//! What is forgotten and when: ended holds, ad hoc partitions, and, where memory is short, more of them and earlier. And what
//! tells a hold from a later one of the same id.

use std::rc::Rc;

use engine::answer::HoldStatus;
use engine::command::{Command, HoldRef, SeatRequest};
use engine::decide::{Context, Reclaim, decide_reclaim};
use engine::ids::{SlotId, Time};
use engine::limits::{ABANDONED_AGE_MIN_MS, AD_HOC_KEPT_PAST_DATE_MS};
use engine::message::Fact;
use engine::record::Body;
use engine::state::Partition;

use crate::support::catalogue::{Table, coaches, run};
use crate::support::check;
use crate::support::names::{APART, Names, hold, partition};
use crate::support::world::{START, World};
use crate::support::{said, since, word};

const DAY_MS: u64 = 86_400_000;
const KEY: &str = "T1|2027-01-15|2nd";

fn try_hold(key: &str, id: &str, quantity: u32) -> Command {
    let ad_hoc = engine::command::AdHoc { capacity: 4, segments: 1 };
    let (partition, hold) = (partition(key), hold(id));
    Command::TryHold(SeatRequest { partition, hold, quantity, span: None, ad_hoc })
}

fn hold_ref(key: &str, id: &str) -> HoldRef {
    HoldRef { partition: partition(key), hold: hold(id) }
}

fn release(key: &str, id: &str) -> Command {
    Command::ReleaseHold(hold_ref(key, id))
}

fn confirm(key: &str, id: &str) -> Command {
    Command::ConfirmHold(hold_ref(key, id))
}

fn available(world: &mut World, key: &str) -> String {
    word(&world.run(Command::Availability { partition: partition(key), span: None }))
}

fn opened<'a>(world: &'a World, key: &str) -> Option<&'a Partition> {
    world.slot(world.hash().partition(&partition(key)))?.partitions().get(&partition(key))
}

fn seq(world: &World, key: &str) -> u64 {
    opened(world, key).expect("it is open").seq()
}

// Ended holds.

/// What it had is gone at once; what a repeat is compared with stays.
#[test]
fn an_ended_hold_keeps_its_quantity_and_no_seats() {
    let mut world = World::new(Table::default());
    world.run(try_hold("p", "other", 1)).unwrap();
    for (id, end) in [("released", true), ("expired", false)] {
        world.run(try_hold("p", id, 3)).unwrap();
        if end {
            world.run(release("p", id)).unwrap();
        } else {
            world.wait(world.policy.hold_ttl_ms);
            available(&mut world, "p");
        }
        let hold = opened(&world, "p").unwrap().hold(&hold(id)).unwrap();
        assert_eq!((hold.quantity, hold.seats.len()), (3, 0), "{id}");
    }
    world.reload();
    assert_eq!(word(&world.run(release("p", "released"))), "Released");
    assert_eq!(word(&world.run(try_hold("p", "expired", 3))), "!HoldExpired");
    check::replay(&world);
}

#[test]
fn a_cancelled_order_keeps_its_quantity_and_no_labels() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    world.run(names.reserve(0)).unwrap();
    world.run(names.cancel(0)).unwrap();
    let order = world.slot(SlotId::new(7)).unwrap().orders().get(names.order(0)).unwrap();
    let reservation = order.row.reservation.as_ref().unwrap();
    assert!(reservation.quantity > 0 && reservation.labels.is_empty(), "{reservation:?}");
    check::settled(&world);
}

/// Remembered for a while, then its id is free for a new hold.
#[test]
fn the_id_of_an_ended_hold_is_free_after_the_memory_of_it() {
    let mut world = World::new(Table::default());
    world.run(try_hold("p", "stays", 1)).unwrap();
    world.run(confirm("p", "stays")).unwrap();
    world.run(try_hold("p", "h", 1)).unwrap();
    world.run(release("p", "h")).unwrap();
    world.later(world.policy.hold_memory_ms - 1);
    assert_eq!(word(&world.run(try_hold("p", "h", 1))), "!HoldReleased");
    world.later(1);
    assert_eq!(word(&world.run(release("p", "h"))), "!HoldNotFound");
    assert_eq!(word(&world.run(try_hold("p", "h", 2))), "Held");
    check::replay(&world);
}

/// The end of a first hold that is told late says nothing about a second one of the same id, for the same order, however alike.
#[test]
fn a_late_end_is_of_the_hold_that_ended() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    world.run(names.reserve(0)).unwrap();
    let slot = world.slot(SlotId::new(7)).unwrap();
    let reservation = slot.orders().get(names.order(0)).unwrap().row.reservation.clone().unwrap();
    let ends = |made| Fact::HoldExpired {
        order: names.order(0),
        partition: reservation.partition.clone(),
        hold: reservation.hold.clone(),
        made,
    };
    for (made, settles) in [(0, true), (reservation.made + 1, true), (reservation.made, false)] {
        let step = engine::decide::decide_fact(world.slot(SlotId::new(7)).unwrap(), &ends(made));
        assert_eq!(matches!(step, engine::decide::FactStep::Settled { .. }), settles, "{made}: {step:?}");
    }
}

// Ad hoc partitions.

/// With its last hold's memory it goes, by a record; a second one of its key goes on from its sequence.
#[test]
fn an_ad_hoc_partition_without_seats_is_forgotten_and_its_sequence_is_not() {
    let mut world = World::new(Table::default());
    world.run(try_hold(KEY, "a", 1)).unwrap();
    world.run(release(KEY, "a")).unwrap();
    let before = world.log.len();
    world.later(world.policy.hold_memory_ms - 1);
    assert_eq!(available(&mut world, KEY), "available 4");
    world.later(1);
    assert_eq!(since(&world, before), ["HoldsForgotten", "PartitionForgotten"]);
    assert_eq!(available(&mut world, KEY), "!PartitionNotFound");
    world.reload();
    world.run(try_hold(KEY, "a", 1)).unwrap();
    let a = opened(&world, KEY).unwrap().hold(&hold("a")).unwrap();
    // Made, released, forgotten; and made again.
    assert_eq!((seq(&world, KEY), a.made), (4, 4));
    check::replay(&world);
}

/// One record expires many: a partition goes on by its own sequence, not by that of its slot's records.
#[test]
fn a_partition_opened_again_never_goes_back() {
    let mut world = World::new(Table::default());
    for i in 0..64 {
        world.run(try_hold_of_64(i)).unwrap();
    }
    let mut last = 0;
    for _ in 0..3 {
        world.later(world.policy.hold_ttl_ms + world.policy.hold_memory_ms);
        world.later(world.policy.hold_memory_ms);
        assert!(opened(&world, KEY).is_none());
        world.run(try_hold_of_64(0)).unwrap();
        assert!(seq(&world, KEY) > last.max(128), "{} after {last}", seq(&world, KEY));
        last = seq(&world, KEY);
    }
    check::replay(&world);
}

fn try_hold_of_64(nth: u64) -> Command {
    let Command::TryHold(seats) = try_hold(KEY, &format!("{nth}"), 1) else { unreachable!("that is a hold") };
    let ad_hoc = engine::command::AdHoc { capacity: 64, segments: 1 };
    Command::TryHold(SeatRequest { ad_hoc, ..seats })
}

fn table() -> Table {
    let definition = run("stop", 3, START.plus(30 * DAY_MS));
    Table::default().sells(KEY, coaches(&["05"]), definition)
}

/// Sold ad hoc before the timetable had its train: nobody has seats of it, so the timetable's is sold from the first look on.
#[test]
fn an_ad_hoc_partition_without_seats_gives_way_to_the_timetable() {
    let looks: [(&str, Command, &str); 5] = [
        ("hold", try_hold(KEY, "new", 5), "Held PartitionForgotten PartitionOpened HoldMade"),
        (
            "availability",
            Command::Availability { partition: partition(KEY), span: None },
            "available 6 PartitionForgotten",
        ),
        ("run", run_query(), "1 classes PartitionForgotten"),
        ("release", release(KEY, "h"), "!HoldNotFound PartitionForgotten"),
        ("confirm", confirm(KEY, "h"), "!HoldNotFound PartitionForgotten"),
    ];
    for (name, look, expected) in looks {
        let mut world = World::new(Table::default());
        world.run(try_hold(KEY, "h", 1)).unwrap();
        world.run(release(KEY, "h")).unwrap();
        world.catalogue = Rc::new(table());
        assert_eq!(said(&mut world, &look), expected, "{name}");
        assert_eq!(available(&mut world, KEY), if name == "hold" { "available 1" } else { "available 6" });
        check::replay(&world);
    }
}

fn run_query() -> Command {
    let (train, date) = (engine::text::Text::from("T1"), engine::text::Text::from("2027-01-15"));
    Command::Run(engine::command::RunQuery { train, date, span: None })
}

/// One that somebody has seats of, or an order has still to hear of, stays as it is.
#[test]
fn an_ad_hoc_partition_with_seats_stays_beside_the_timetable() {
    let names = Names::new(APART);
    for with in ["held", "sold", "untold"] {
        let mut world = World::new(Table::default());
        match with {
            "held" => drop(world.run(try_hold(KEY, "h", 1)).unwrap()),
            "sold" => {
                world.run(try_hold(KEY, "h", 1)).unwrap();
                world.run(confirm(KEY, "h")).unwrap();
            }
            _ => {
                world.run(names.create(0)).unwrap();
                world.run(names.reserve_with(0, |seats| seats.partition = partition(KEY))).unwrap();
                world.wait(world.policy.hold_ttl_ms);
                world.submit(Command::Availability { partition: partition(KEY), span: None });
                world.mail.clear();
            }
        }
        world.catalogue = Rc::new(table());
        let before = world.log.len();
        assert_ne!(available(&mut world, KEY), "available 6", "{with}");
        assert_eq!(since(&world, before), [""; 0], "{with}");
        if with == "untold" {
            world.resend();
            world.quiet();
            assert_eq!(available(&mut world, KEY), "available 6");
        }
        check::replay(&world);
    }
}

/// Ad hoc sale may be off by now: what has seats sells what it has until it is empty, and then nothing.
#[test]
fn what_was_opened_ad_hoc_sells_until_it_is_empty() {
    let mut world = World::new(Table::default());
    world.run(try_hold(KEY, "a", 1)).unwrap();
    world.catalogue = Rc::new(Table::default().refuses(KEY));
    world.run(try_hold(KEY, "b", 1)).unwrap();
    for id in ["a", "b"] {
        world.run(release(KEY, id)).unwrap();
    }
    // A repeat is a repeat; nothing new is sold.
    assert_eq!(word(&world.run(release(KEY, "b"))), "Released");
    assert_eq!(word(&world.run(try_hold(KEY, "b", 1))), "!HoldReleased");
    assert_eq!(word(&world.run(try_hold(KEY, "c", 1))), "!PartitionNotFound");
    world.later(world.policy.hold_memory_ms);
    assert_eq!(available(&mut world, KEY), "!PartitionNotFound");
    check::replay(&world);
}

/// Sold seats keep an ad hoc partition for the time that is set after its last change, and three days past its date.
#[test]
fn an_ad_hoc_partition_with_sold_seats_is_kept() {
    // START is the 15th of January 2027 at eight in the morning.
    let date = Time(1_800_000_000_000 - 8 * 3_600_000);
    assert_eq!(partition(KEY).date_start(), Some(date));
    let past_date = date.plus(AD_HOC_KEPT_PAST_DATE_MS).0 - START.0;
    for (key, keep_ms, forgotten_after) in [
        ("no date", 400 * DAY_MS, 400 * DAY_MS),
        ("no date", DAY_MS, DAY_MS),
        (KEY, 400 * DAY_MS, 400 * DAY_MS),
        (KEY, DAY_MS, past_date),
        ("T1|2027-02-30|2nd", DAY_MS, past_date + 46 * DAY_MS),
        ("T1|2027-99-99|2nd", DAY_MS, DAY_MS),
    ] {
        let mut world = World::new(Table::default());
        world.policy.ad_hoc_keep_ms = keep_ms;
        world.run(try_hold(key, "h", 1)).unwrap();
        world.run(confirm(key, "h")).unwrap();
        world.reload();
        world.later(forgotten_after - 1);
        assert_eq!(available(&mut world, key), "available 3", "{key} {keep_ms}");
        world.later(1);
        assert_eq!(available(&mut world, key), "!PartitionNotFound", "{key} {keep_ms}");
        check::replay(&world);
    }
}

/// One whose date is far away does not keep others of its slot.
#[test]
fn each_ad_hoc_partition_is_kept_for_itself() {
    let mut world = World::new(Table::default());
    world.policy.ad_hoc_keep_ms = DAY_MS;
    let far = "T1|2999-01-01|2nd";
    let slot = world.hash().partition(&partition(far));
    let near = (0..100_000).map(|i| format!("no date {i}"));
    let near = near.filter(|key| world.hash().partition(&partition(key)) == slot).take(2);
    for key in [far.to_owned()].into_iter().chain(near.collect::<Vec<_>>()) {
        world.run(try_hold(&key, "h", 1)).unwrap();
        world.run(confirm(&key, "h")).unwrap();
        world.wait(10);
    }
    assert_eq!(world.slot(slot).unwrap().partitions().len(), 3);
    world.later(DAY_MS);
    assert_eq!(world.slot(slot).unwrap().partitions().len(), 1);
    assert_eq!(available(&mut world, far), "available 3");
}

// Where memory is short.

fn reclaim(world: &mut World, slot: SlotId, kind: Reclaim) -> Option<Body> {
    let catalogue = world.catalogue.clone();
    let policy = world.policy.clone();
    let cx = Context { now: world.now, calendar: world.now, catalogue: &*catalogue, policy: &policy };
    let body = decide_reclaim(world.slot(slot)?, &cx, kind, world.now, |_| true)?;
    world.append(slot, body.clone());
    Some(body)
}

/// The holds that ended first go first, before their time; the partition with the last of them.
#[test]
fn ended_holds_go_early_where_memory_is_short() {
    let mut world = World::new(Table::default());
    for id in ["a", "b", "live"] {
        world.run(try_hold("p", id, 1)).unwrap();
    }
    let slot = world.hash().partition(&partition("p"));
    assert_eq!(reclaim(&mut world, slot, Reclaim::Ended), None);
    for id in ["b", "a"] {
        world.run(release("p", id)).unwrap();
        world.wait(1);
    }
    let Some(Body::HoldsForgotten { holds, .. }) = reclaim(&mut world, slot, Reclaim::Ended) else {
        panic!()
    };
    assert_eq!(holds, [hold("b"), hold("a")]);
    world.run(release("p", "live")).unwrap();
    let forgotten = reclaim(&mut world, slot, Reclaim::Ended);
    assert_eq!(forgotten, Some(Body::PartitionForgotten { partition: partition("p") }));
    assert_eq!(reclaim(&mut world, slot, Reclaim::Ended), None);
    check::replay(&world);
}

/// An order that has not heard of its hold's end keeps it, and what it is in.
#[test]
fn what_an_order_has_not_heard_of_stays() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    world.run(names.reserve(0)).unwrap();
    world.wait(world.policy.hold_ttl_ms);
    world.submit(Command::Availability { partition: names.partition.clone(), span: None });
    world.mail.clear();
    let slot = world.hash().partition(&names.partition);
    assert_eq!(reclaim(&mut world, slot, Reclaim::Ended), None);
    world.resend();
    world.quiet();
    assert!(reclaim(&mut world, slot, Reclaim::Ended).is_some());
    check::settled(&world);
}

/// Orders that never had a hold or money are given up, no younger than ten minutes, and go once the read model has that; their keys are
/// then free.
#[test]
fn orders_without_a_hold_go_where_memory_is_short() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    for nth in 0..3 {
        world.run(names.create(nth)).unwrap();
    }
    world.run(names.reserve(1)).unwrap();
    // Money that an order was not waiting for is owed back: it stays.
    assert_eq!(word(&world.run(names.pay(2, 0))), "!InvalidTransition");
    let slot = names.order(0).slot();
    world.wait(ABANDONED_AGE_MIN_MS - 1);
    assert_eq!(reclaim(&mut world, slot, Reclaim::Unreserved), None);
    world.wait(1);
    let Some(Body::OrdersAbandoned(rows)) = reclaim(&mut world, slot, Reclaim::Unreserved) else { panic!() };
    assert_eq!(rows.iter().map(|row| row.order).collect::<Vec<_>>(), [names.order(0)]);
    assert_eq!(reclaim(&mut world, slot, Reclaim::Unreserved), None);
    assert_eq!(word(&world.run(names.get(0))), "Cancelled(Abandoned)");
    // The read model does not have it yet.
    assert_eq!(reclaim(&mut world, slot, Reclaim::Abandoned), None);
    world.wait(1);
    let forgotten = Some(Body::OrdersForgotten { orders: vec![names.order(0)] });
    assert_eq!(reclaim(&mut world, slot, Reclaim::Abandoned), forgotten);
    assert_eq!(reclaim(&mut world, slot, Reclaim::Abandoned), None);
    assert_eq!(word(&world.run(names.get(0))), "!OrderNotFound");
    assert_eq!(word(&world.run(names.create(0))), "Init");
    check::replay(&world);
}

/// A hold that is asked for again after its partition was forgotten is another hold.
#[test]
fn a_late_request_of_an_order_acts_on_no_hold_of_a_later_partition() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    world.run(names.reserve(0)).unwrap();
    let slot = world.slot(SlotId::new(7)).unwrap();
    let first = slot.orders().get(names.order(0)).unwrap().row.reservation.clone().unwrap();
    world.run(names.cancel(0)).unwrap();
    world.later(world.policy.hold_memory_ms);
    assert!(world.slots().all(|slot| slot.partitions().is_empty()));
    // Somebody else's hold of the same id, made with the same deadline.
    world.policy.hold_ttl_ms = 1;
    let Command::Reserve(seats) = names.reserve(0) else { unreachable!("that is a reservation") };
    world.run(Command::TryHold(seats.seats)).unwrap();
    let home = world.hash().partition(&names.partition);
    let second = world.slot(home).unwrap().partitions().get(&names.partition).unwrap();
    let second = second.hold(&first.hold).unwrap();
    assert_eq!(second.status, HoldStatus::Held);
    assert!(second.made > first.made, "{} after {}", second.made, first.made);
}
