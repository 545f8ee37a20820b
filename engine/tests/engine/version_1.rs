//! Sales that version 1 began go on in this one: with the hold in an image or in the log, and with facts about it that nobody has told.
//!
//! The files are `tests/golden/v1_sales/`, written by the code of version 1 (commit 2c25241): of each sale the images of its slots,
//! and the records that made them. Each is the number of items, then each item with its length before it (32 bits, little endian).

use std::collections::BTreeMap;
use std::path::PathBuf;

use engine::answer::{HoldStatus, OrderStatus};
use engine::command::Command;
use engine::ids::SlotId;
use engine::record::{Body, Record, Reservation};
use engine::state::{Hold, Slot};

use crate::support::catalogue::Table;
use crate::support::check;
use crate::support::names::{APART, Names};
use crate::support::word;
use crate::support::world::World;

fn items(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1_sales");
    let bytes = std::fs::read(folder.join(format!("{name}.bin"))).unwrap();
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 4;
    let items = (0..number(0)).map(|_| {
        let item = bytes[at + 4..at + 4 + number(at)].to_vec();
        at += 4 + number(at);
        assert_eq!(item[0], 1, "it is of version 1");
        item
    });
    items.collect()
}

/// The sale as images hold it, and as the log's tail makes it.
fn worlds(name: &str) -> [World; 2] {
    let images = items(&format!("{name}_images")).into_iter().map(|image| Slot::decode(&image).unwrap());
    let mut slots: BTreeMap<SlotId, Slot> = BTreeMap::new();
    for bytes in items(&format!("{name}_records")) {
        let record = Record::decode(&bytes).unwrap();
        let slot = slots.entry(record.slot).or_insert_with(|| Slot::new(record.slot));
        assert_eq!(slot.check(&record), Ok(()), "{record:?}");
        slot.apply(&record, &mut Vec::new());
    }
    [World::of(Table::default(), images), World::of(Table::default(), slots.into_values())]
}

fn reservation(world: &World, names: &Names) -> Reservation {
    let order = world.slot(names.order(0).slot()).unwrap().orders().get(names.order(0)).unwrap();
    order.row.reservation.clone().expect("it is reserved")
}

fn hold(world: &World, names: &Names) -> Option<Hold> {
    let slot = world.slot(world.hash().partition(&names.partition))?;
    slot.partitions().get(&names.partition)?.hold(&names.order(0).hold_id()).cloned()
}

/// What is written about such a hold keeps saying that version 1 made it.
#[track_caller]
fn nothing_is_made_up(world: &World, names: &Names) {
    for record in &world.log {
        match &record.body {
            Body::HoldConfirmed(row) | Body::HoldReleased(row) => assert_eq!(row.made, 0, "{record:?}"),
            Body::HoldsExpired(rows) => assert!(rows.iter().all(|row| row.hold.made == 0), "{record:?}"),
            Body::OrderReserved(row) | Body::OrderPaid(row) | Body::OrderCancelled(row) => {
                let made = row.reservation.as_ref().map(|reservation| reservation.made);
                assert_eq!(made, Some(0), "{record:?}");
            }
            _ => {}
        }
    }
    assert_eq!(reservation(world, names).made, 0);
}

#[test]
fn a_reservation_is_paid_cancelled_expired_and_repeated() {
    let names = Names::new(APART);
    let ends: [(&str, OrderStatus, Option<HoldStatus>); 4] = [
        ("pay", OrderStatus::Ticketed, Some(HoldStatus::Confirmed)),
        ("cancel", OrderStatus::Cancelled, Some(HoldStatus::Released)),
        ("expire", OrderStatus::Cancelled, Some(HoldStatus::Expired)),
        ("repeat", OrderStatus::Reserved, Some(HoldStatus::Held)),
    ];
    for (end, status, hold_status) in ends {
        for mut world in worlds("reserved") {
            assert_eq!(word(&world.run(names.get(0))), "Reserved");
            match end {
                "pay" => assert_eq!(word(&world.run(names.pay(0, 0))), "Paid"),
                "cancel" => assert_eq!(word(&world.run(names.cancel(0))), "Cancelled(Requested)"),
                "expire" => world.later(world.policy.hold_ttl_ms),
                _ => assert_eq!(word(&world.run(names.reserve(0))), "Reserved"),
            }
            world.later(0);
            let order = world.slot(names.order(0).slot()).unwrap().orders().get(names.order(0)).unwrap();
            assert_eq!(order.row.status, status, "{end}");
            let hold = hold(&world, &names);
            assert_eq!(hold.map(|hold| hold.status), hold_status, "{end}");
            let reserves = world.log.iter().any(|record| matches!(record.body, Body::OrderReserved(_)));
            assert!(!reserves, "{end}: nothing is reserved anew");
            nothing_is_made_up(&world, &names);
            check::settled(&world);
        }
    }
}

/// Facts that version 1 recorded and did not tell are told, and mean what they meant.
#[test]
fn facts_in_an_outbox_are_told() {
    let names = Names::new(APART);
    for (sale, expected) in [
        ("made_untold", "Reserved"),
        ("expired_untold", "Cancelled(HoldExpired)"),
        ("released_untold", "Cancelled(Requested)"),
        ("confirmed_untold", "Ticketed"),
    ] {
        for mut world in worlds(sale) {
            assert!(!world.mail.is_empty(), "{sale}: somebody has still to be told");
            world.quiet();
            world.later(0);
            assert_eq!(word(&world.run(names.get(0))), expected, "{sale}");
            nothing_is_made_up(&world, &names);
            check::settled(&world);
        }
    }
}

/// One that was made and not told of is cancelled, paid and expires, as the order then has it.
#[test]
fn a_hold_whose_making_was_not_told_ends_like_any_other() {
    let names = Names::new(APART);
    for end in ["pay", "cancel", "expire"] {
        for mut world in worlds("made_untold") {
            match end {
                // The order has not heard of it, and waits for nothing.
                "pay" => assert_eq!(word(&world.run(names.reserve(0))), "Reserved"),
                "cancel" => assert_eq!(word(&world.run(names.cancel(0))), "Cancelled(Requested)"),
                _ => world.later(world.policy.hold_ttl_ms),
            }
            if end == "pay" {
                assert_eq!(word(&world.run(names.pay(0, 0))), "Paid");
            }
            world.later(0);
            check::settled(&world);
        }
    }
}

/// A cancelled order has no labels; its hold's id is free once the hold is forgotten, and names another hold then.
#[test]
fn the_id_of_an_ended_hold_names_a_new_one_in_the_end() {
    let names = Names::new(APART);
    for mut world in worlds("cancelled") {
        assert_eq!(reservation(&world, &names).labels, []);
        let ended = hold(&world, &names).expect("it is remembered for the day that version 1 set");
        assert_eq!((ended.quantity, ended.seats.len(), ended.made), (1, 0, 0));
        let Command::Reserve(again) = names.reserve(0) else { unreachable!("that is a reservation") };
        assert_eq!(word(&world.run(Command::TryHold(again.seats.clone()))), "!HoldReleased");
        world.later(86_400_000);
        assert_eq!(word(&world.run(Command::TryHold(again.seats))), "Held");
        let new = hold(&world, &names).expect("it is there");
        assert!(new.made > 0);
        assert_eq!(word(&world.run(names.get(0))), "Cancelled(Requested)");
        check::settled(&world);
    }
}
