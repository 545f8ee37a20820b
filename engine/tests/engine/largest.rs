//! The largest record of each kind stays below what one write of the log takes.

use std::collections::BTreeMap;

use allocator::{Coach, Layout, RowBlock};
use engine::catalogue::{LocalTime, RunDefinition, Stop};
use engine::command::{AdHoc, Command, ExpectedHold, HoldRef, Pay, Reserve, SeatRequest};
use engine::ids::{OrderName, Reference, Time};
use engine::limits::{
    EXPIRED_PER_RECORD_MAX, FORGOTTEN_PER_RECORD_MAX, KEY_BYTES_MAX, QUANTITY_MAX, TRACE_ID_BYTES_MAX,
    TXN_ID_BYTES_MAX,
};
use engine::record::{Body, Record};
use engine::text::Text;

use crate::support::catalogue::Table;
use crate::support::names::{create, hold, key, partition, txn};
use crate::support::world::World;
use crate::support::{kind, order_of};

const RECORD_BYTES_MAX: usize = 128 * 1_024;
const DAY_MS: u64 = 86_400_000;

/// A text of so many bytes, different for each number.
fn long(nth: usize, bytes: usize) -> String {
    format!("{nth:0>bytes$}")
}

fn long_partition() -> String {
    let date = "|2027-01-15|";
    long(0, 100) + date + &"2".repeat(KEY_BYTES_MAX - 100 - date.len())
}

/// 2,000 seats, each with the longest name that a seat can have, and the longest list of stops.
fn timetable() -> Table {
    let letter = '\u{20000}';
    assert_eq!(letter.len_utf8(), 4);
    let coach = |nth: usize| Coach {
        number: long(nth, allocator::COACH_NUMBER_BYTES_MAX),
        rows: vec![RowBlock { first_row: u16::MAX, rows: 1, plan: letter.to_string() }],
    };
    let layout = Layout::Labelled((0..allocator::LABELLED_SEATS_MAX as usize).map(coach).collect());
    layout.validate().expect("a layout at its limits");
    let at = Some(LocalTime { unix_secs: i64::MAX, offset_secs: i32::MAX });
    // As long as a timetable's codes and names get.
    let stop = |nth| Stop {
        code: long(nth, 64),
        name: long(nth, 255),
        arrives_at: at,
        departs_at: at,
        board: true,
        alight: true,
    };
    let stops = (0..=usize::from(allocator::SEGMENTS_MAX)).map(stop).collect();
    let run = RunDefinition { stops, ends_at: Time(u64::MAX / 2) };
    Table::default().sells(&long_partition(), layout, run)
}

fn try_hold(nth: usize, quantity: u32) -> SeatRequest {
    SeatRequest {
        partition: partition(&long_partition()),
        hold: hold(&long(nth, KEY_BYTES_MAX)),
        quantity,
        span: None,
        ad_hoc: AdHoc { capacity: 1, segments: 1 },
    }
}

/// The largest encoding of each kind of record in the log.
fn sizes(world: &World) -> BTreeMap<&'static str, usize> {
    let mut sizes = BTreeMap::new();
    for record in &world.log {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(Record::decode(&bytes).as_ref(), Ok(&**record));
        let size = sizes.entry(kind(record)).or_insert(0);
        *size = bytes.len().max(*size);
    }
    sizes
}

#[track_caller]
fn check(world: &World, kinds: &[&str]) {
    let sizes = sizes(world);
    for kind in kinds {
        let size = sizes.get(kind).unwrap_or_else(|| panic!("no {kind} was recorded"));
        assert!(*size < RECORD_BYTES_MAX, "{kind} of {size} bytes");
    }
    assert_eq!(sizes.keys().filter(|kind| !kinds.contains(kind)).count(), 0, "{sizes:?}");
}

fn world() -> World {
    let mut world = World::new(timetable());
    world.trace = Text::from(&*long(0, TRACE_ID_BYTES_MAX));
    world
}

fn quantities(world: &World) -> Vec<u32> {
    let rows = world.log.iter().filter_map(|record| match &record.body {
        Body::HoldMade(row) | Body::HoldConfirmed(row) => Some(row.quantity),
        _ => None,
    });
    rows.collect()
}

#[test]
fn an_order_of_a_whole_train() {
    let mut world = world();
    let key = key(&long(0, KEY_BYTES_MAX));
    let reply = world.run(create(key, i64::MAX, 0));
    let order = order_of(&reply).order;
    // It adopts a client's hold, so that this is recorded as well.
    world.run(Command::TryHold(try_hold(0, QUANTITY_MAX))).unwrap();
    world.run(Command::Reserve(Reserve { order, seats: try_hold(0, QUANTITY_MAX) })).unwrap();
    let pay = |order: OrderName, nth| {
        let txn = txn(&long(nth, TXN_ID_BYTES_MAX));
        Command::Pay(Pay { order, txn, expected: ExpectedHold::default(), verified: true, looked_up: None })
    };
    world.run(pay(order.name(), 0)).unwrap();
    world.run(Command::IssueTicket { order }).unwrap();
    // A stranger's order, with the longest of names.
    let stranger = OrderName::parse(&long(0, 64)).unwrap();
    world.run(pay(stranger.clone(), 1)).unwrap_err();
    let reference = Reference::parse(&long(0, 128)).unwrap();
    let txn = txn(&long(1, TXN_ID_BYTES_MAX));
    world.run(Command::SettleRefund { order: stranger, txn, reference }).unwrap();
    assert_eq!(quantities(&world), [QUANTITY_MAX, QUANTITY_MAX]);
    check(
        &world,
        &[
            "PartitionOpened",
            "HoldMade",
            "HoldAdopted",
            "HoldConfirmed",
            "OrderCreated",
            "OrderReserved",
            "OrderPaid",
            "OrderTicketed",
            "TxnClaimed",
            "RefundOwed",
            "RefundSettled",
            "TellsAcked",
        ],
    );
}

#[test]
fn a_whole_train_cancelled() {
    let mut world = world();
    let key = key(&long(0, KEY_BYTES_MAX));
    let reply = world.run(create(key, i64::MAX, 0));
    let order = order_of(&reply).order;
    world.run(Command::Reserve(Reserve { order, seats: try_hold(0, QUANTITY_MAX) })).unwrap();
    world.run(Command::Cancel(engine::command::Cancel { order, expected: ExpectedHold::default() })).unwrap();
    check(
        &world,
        &[
            "PartitionOpened",
            "HoldMade",
            "HoldReleased",
            "OrderCreated",
            "OrderReserved",
            "OrderCancelled",
            "TellsAcked",
        ],
    );
}

/// As many holds as one record ends, with as many seats as it frees, each owned by an order.
#[test]
fn many_holds_expired_and_forgotten() {
    let mut world = world();
    let many = EXPIRED_PER_RECORD_MAX;
    let each = QUANTITY_MAX as usize / many;
    for nth in 0..many {
        let more = if nth == 0 { QUANTITY_MAX as usize - many * each } else { 0 };
        let reply = world.run(create(key(&long(nth, KEY_BYTES_MAX)), i64::MAX, nth));
        let order = order_of(&reply).order;
        world.run(Command::Reserve(Reserve { order, seats: try_hold(nth, (each + more) as u32) })).unwrap();
    }
    world.later(DAY_MS);
    let expired: Vec<(usize, u32)> = world
        .log
        .iter()
        .filter_map(|record| match &record.body {
            Body::HoldsExpired(rows) => Some((rows.len(), rows.iter().map(|row| row.hold.quantity).sum())),
            _ => None,
        })
        .collect();
    assert_eq!(expired, [(EXPIRED_PER_RECORD_MAX, QUANTITY_MAX)], "one record, at both of its limits");

    let count = FORGOTTEN_PER_RECORD_MAX;
    for nth in 1_000..1_000 + count {
        world.run(Command::TryHold(try_hold(nth, 1))).unwrap();
        let reference = HoldRef { partition: partition(&long_partition()), hold: try_hold(nth, 1).hold };
        world.run(Command::ReleaseHold(reference)).unwrap();
    }
    world.later(DAY_MS);
    let forgotten = world.log.iter().filter_map(|record| match &record.body {
        Body::HoldsForgotten { holds, .. } => Some(holds.len()),
        _ => None,
    });
    assert_eq!(forgotten.max(), Some(FORGOTTEN_PER_RECORD_MAX));
    check(
        &world,
        &[
            "PartitionOpened",
            "HoldMade",
            "HoldReleased",
            "HoldsExpired",
            "HoldsForgotten",
            "OrderCreated",
            "OrderReserved",
            "OrderCancelled",
            "TellsAcked",
        ],
    );
}
