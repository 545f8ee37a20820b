//! Rows that leave the read model: none that the engine has or owes money for, the oldest first, and histories before their orders.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bridge::read_model::{Keep, ReadModel, Settings};
use bridge::sink::{Sink, Trouble};
use engine::command::{Command, Found};
use engine::ids::{Reference, Time};
use engine::read_model::{Question, Reading};
use engine::record::{Body, Record};
use rusqlite::Connection;

use crate::ops::{HoldName, Op, Place, Who};
use crate::samples;
use crate::support::names::partition;
use crate::support::{Filled, History, RUN, batch, cursor, settings};

const DAY_MS: u64 = 86_400_000;

/// Orders 0 and 1 have left; money for order 2 is owed back, so that it stays; order 3 is open.
fn history() -> History {
    let mut history = History::new();
    for order in 0..3 {
        history.step(&Op::Create { order, amount: 250 });
        let (quantity, hold) = (2, HoldName::Own(order));
        history.step(&Op::Reserve { order, place: Place::Run, hold, quantity, span: None });
        history.world.later(1);
    }
    history.world.later(history.world.policy.hold_ttl_ms);
    for order in 0..3 {
        history.step(&Op::Pay { who: Who::Order(order), txn: order, verified: true, named: None });
    }
    for order in 0..2 {
        let (name, txn) = (history.names.order(order).name(), history.names.txn(order));
        let reference = Reference::parse("booking").unwrap();
        history.world.run(Command::SettleRefund { order: name, txn, reference }).unwrap();
    }
    history.world.later(history.world.policy.order_retention_ms);
    history.world.leave();
    history.step(&Op::Create { order: 3, amount: 250 });
    history
}

/// All of the history, and so long after its end kept as `keep` says.
fn tidied(history: &History, keep: Keep, after_ms: u64) -> (Filled, Connection) {
    tidied_at(history, keep, history.world.now.plus(after_ms))
}

fn tidied_at(history: &History, keep: Keep, now: Time) -> (Filled, Connection) {
    let mut filled = Filled::of(&history.world.log);
    let path = filled.reader.path().to_owned();
    filled.model = ReadModel::new(Settings { keep, ..settings(&path) });
    filled.model.open().unwrap();
    while filled.model.tidy(now).unwrap() {}
    let connection = Connection::open(path).unwrap();
    (filled, connection)
}

fn count(connection: &Connection, what: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

#[test]
fn what_is_old_leaves_unless_the_engine_has_it() {
    let history = history();
    let keep = Keep { rows_ms: Some(10 * DAY_MS), ..Keep::default() };
    let (_filled, early) = tidied(&history, keep.clone(), 8 * DAY_MS);
    assert_eq!((count(&early, "order_rows"), count(&early, "refunds")), (4, 3));
    assert_eq!(count(&early, "lost_history"), 0);
    let (mut filled, late) = tidied(&history, keep, 11 * DAY_MS);
    let left: Vec<String> = (2..4).map(|order| history.names.order(order).to_string()).collect();
    let mut statement = late.prepare("SELECT order_id FROM order_rows ORDER BY id").unwrap();
    let ids: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(ids, left);
    assert_eq!(count(&late, "refunds"), 1, "the one that is owed");
    assert_eq!(count(&late, "order_events WHERE order_row NOT IN (SELECT id FROM order_rows)"), 0);
    // A payment of one that has left may be one that was settled long ago.
    let question = Question::Payment { order: history.names.order(0).name(), txn: history.names.txn(0) };
    let lost = Found::Nothing { refund: None, history_lost: true };
    assert_eq!(filled.reader.answer(&question), Ok(Reading::Payment(Box::new(lost))));
}

/// Somebody's open `sqlite3`: nothing leaves, it is down by name, and goes on where it was.
#[test]
fn locked_by_somebody_else() {
    let history = history();
    let keep = Keep { rows_ms: Some(10 * DAY_MS), ..Keep::default() };
    let mut filled = Filled::of(&history.world.log);
    filled.model = ReadModel::new(Settings { keep, ..settings(filled.reader.path()) });
    let cursor = filled.model.open().unwrap();
    let (other, now) = (Connection::open(filled.reader.path()).unwrap(), history.world.now.plus(11 * DAY_MS));
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(filled.model.tidy(now).unwrap_err().trouble, Trouble::Busy);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(count(&other, "order_rows"), 4);
    assert_eq!(filled.model.open().unwrap(), cursor);
    while filled.model.tidy(now).unwrap() {}
    assert_eq!(count(&other, "order_rows"), 2);
}

#[test]
fn for_ever_is_for_ever() {
    let (_filled, tables) = tidied(&history(), Keep::default(), 10_000 * DAY_MS);
    assert_eq!((count(&tables, "order_rows"), count(&tables, "refunds")), (4, 3));
}

#[test]
fn nothing_leaves_while_the_disk_has_no_room() {
    let history = history();
    let mut filled = Filled::of(&history.world.log);
    let path = filled.reader.path().to_owned();
    let keep = Keep { rows_ms: Some(DAY_MS), ..Keep::default() };
    let has_room = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&has_room);
    let room = move || if asked.load(Ordering::Relaxed) { Ok(()) } else { Err("none".to_owned()) };
    filled.model = ReadModel::new(Settings { keep, ..settings(&path) }).within(Box::new(room));
    filled.model.open().unwrap();
    let now = history.world.now.plus(2 * DAY_MS);
    let connection = Connection::open(path).unwrap();
    assert_eq!((filled.model.tidy(now), count(&connection, "order_rows")), (Ok(false), 4));
    has_room.store(true, Ordering::Relaxed);
    assert_eq!((filled.model.tidy(now), count(&connection, "order_rows")), (Ok(false), 2));
}

/// Whatever has left goes where there is no room for it, and nothing else does.
#[test]
fn the_oldest_leave_early_where_room_is_short() {
    let history = history();
    let (_filled, tables) = tidied(&history, Keep { bytes: Some(1), ..Keep::default() }, 1);
    assert_eq!((count(&tables, "order_rows"), count(&tables, "refunds")), (2, 1));
    let (_filled, tables) = tidied(&history, Keep { bytes: Some(1 << 30), ..Keep::default() }, 1);
    assert_eq!(count(&tables, "order_rows"), 4);
}

/// The newest row stays: the number of one that came next would be its own, and events of runs would be of another order.
#[test]
fn a_number_never_comes_twice() {
    let mut history = History::new();
    history.step(&Op::Create { order: 0, amount: 250 });
    history.step(&Op::Cancel { order: 0, named: None });
    history.world.later(history.world.policy.order_retention_ms);
    history.world.leave();
    let (_filled, tables) = tidied(&history, Keep { bytes: Some(1), ..Keep::default() }, DAY_MS);
    assert_eq!(count(&tables, "order_rows"), 1);
}

/// Thirty days after an order has left its history goes.
#[test]
fn histories_leave_before_their_orders() {
    let history = history();
    let (_filled, early) = tidied(&history, Keep::default(), 29 * DAY_MS);
    let (_filled, late) = tidied(&history, Keep::default(), 31 * DAY_MS);
    assert_eq!(count(&late, "order_rows"), 4);
    let of_others = "order_events WHERE order_row IN (SELECT id FROM order_rows WHERE left_at IS NULL)";
    assert_eq!(count(&late, "order_events"), count(&late, of_others));
    assert!(count(&late, "order_events") < count(&early, "order_events"));
    // The run's partition was forgotten before its last order left.
    assert!(count(&early, "run_events") > 0);
    assert_eq!(count(&late, "run_events"), 0);
}

/// Catches: events of a run that the engine still sells; those of one that was opened again; those of another class.
#[test]
fn the_history_of_a_partition_leaves_thirty_days_after_it() {
    let mut history = History::new();
    let reserve = |history: &mut History, order: usize, place: Place| {
        history.step(&Op::Create { order, amount: 250 });
        let (quantity, hold) = (1, HoldName::Own(order));
        history.step(&Op::Reserve { order, place, hold, quantity, span: None });
        history.world.later(1);
    };
    reserve(&mut history, 0, Place::Run);
    reserve(&mut history, 1, Place::AdHoc);
    history.world.later(10);
    let left_at = history.world.now;
    history.world.later(10);
    reserve(&mut history, 2, Place::Run);

    let mut filled = Filled::of(&history.world.log);
    let tables = Connection::open(filled.reader.path()).unwrap();
    let events = || count(&tables, "run_events");
    let all = events();
    let later = format!("run_events WHERE at > {}", left_at.0);
    let of_ad_hoc = "run_events WHERE run <> 'G1|2026-02-11'";
    let stay = count(&tables, &later) + count(&tables, of_ad_hoc);
    assert!(0 < stay && stay < all, "{stay} of {all}");
    let forgotten = |name: &str| {
        let partition = partition(name);
        Rc::new(Record { time: left_at, ..samples::record(Body::PartitionForgotten { partition }) })
    };
    let records = [forgotten(RUN), forgotten("G1|2026-02-11|1st"), forgotten("never|seen")];
    filled.model.write(&batch(&records), &cursor(1_000)).unwrap();
    assert_eq!(count(&tables, "partitions_left"), 2, "of those that have a history");
    let mut tidy_at = |now: Time| while filled.model.tidy(now).unwrap() {};
    tidy_at(left_at.plus(30 * DAY_MS));
    assert_eq!(events(), all);
    tidy_at(left_at.plus(30 * DAY_MS + 1));
    assert_eq!((events(), count(&tables, "partitions_left")), (stay, 0));
}
