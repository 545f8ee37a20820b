//! The Redis sink on a real server.

mod database;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::SystemTime;

use bridge::redis::{Place, Redis};
use bridge::sink::{Sink, Trouble};
use engine::record::{Body, Record};
use engine::status::HoldStatus;
use proptest::prelude::*;
use proptest::test_runner::Config;
use serde_json::json;

use crate::ops::{self, HoldName, Op, Who};
use crate::support::{DIRECTORY, History, LIFE, batch, cursor};
use database::{Database, begin};

/// A hold in the queue, by its member: the second of its deadline; what is under its key, and until when.
type Holds = BTreeMap<String, (u64, Option<(serde_json::Value, u64)>)>;

/// Holds that the engine can still confirm, with their deadlines so much later.
fn expected(history: &History, later_ms: u64) -> Holds {
    let now_ms = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
    let mut holds = Holds::new();
    for (key, partition) in history.world.slots().flat_map(|slot| slot.partitions().iter()) {
        for (id, hold) in partition.holds().filter(|(_, hold)| hold.status == HoldStatus::Held) {
            let is_own = hold.owner.is_some_and(|order| order.hold_id() == *id);
            let member = if is_own { id.to_string() } else { format!("{key}|{id}") };
            let until = hold.deadline.0 + later_ms;
            let json = json!({ "partition_key": key.as_str(), "hold_id": id.as_str(), "qty": hold.quantity });
            // A key whose time is over is gone, and nobody has to take it away.
            holds.insert(member, (until / 1_000, (until > now_ms).then_some((json, until))));
        }
    }
    holds
}

fn found(database: &mut Database) -> Holds {
    let queue: Vec<(String, u64)> =
        database.ask(&["ZRANGE", "inventory:holds:delay_queue", "0", "-1", "WITHSCORES"]);
    let members: BTreeSet<String> = queue.iter().map(|(member, _)| member.clone()).collect();
    for key in database.ask::<Vec<String>>(&["KEYS", "inventory:hold:*"]) {
        let member = key.strip_prefix("inventory:hold:").unwrap();
        assert!(members.contains(member), "{key} is in the queue");
    }
    let hold = |(member, score): (String, u64)| {
        let key = format!("inventory:hold:{member}");
        let json: Option<String> = database.ask(&["GET", &key]);
        let until: i64 = database.ask(&["PEXPIRETIME", &key]);
        let entry = json.map(|json| (serde_json::from_str(&json).unwrap(), until as u64));
        (member, (score, entry))
    };
    queue.into_iter().map(hold).collect()
}

/// The time of the test's worlds stands still while that of the server does not: a record of so much later.
fn later(record: &Record, ms: u64) -> Rc<Record> {
    let mut record = record.clone();
    record.time = record.time.plus(ms);
    match &mut record.body {
        Body::HoldMade(row) | Body::HoldAdopted(row) => row.deadline = row.deadline.plus(ms),
        Body::PurchaseMade(row) => row.hold.deadline = row.hold.deadline.plus(ms),
        _ => {}
    }
    Rc::new(record)
}

/// A hundred years: all of it is to come.
const LATER_MS: u64 = 100 * 365 * 86_400_000;

proptest! {
    #![proptest_config(Config { cases: 20, failure_persistence: None, ..Config::default() })]

    #[test]
    fn holds_that_are_alive_are_there_and_no_others(
        ops in prop::collection::vec(ops::op(), 1..100),
        batch_size in 1..60usize,
        repeated in 0..30usize,
    ) {
        let mut history = History::new();
        ops.iter().for_each(|op| history.step(op));
        let log: Vec<Rc<Record>> = history.world.log.iter().map(|record| later(record, LATER_MS)).collect();
        let mut database = Database::new();
        let mut sink = database.sink();
        begin(&mut sink);
        let mut at = 0;
        for records in log.chunks(batch_size) {
            at += records.len();
            sink.write(&batch(records), &cursor(at as u64)).unwrap();
        }
        prop_assert_eq!(found(&mut database), expected(&history, LATER_MS));
        prop_assert_eq!(sink.open().unwrap(), Some(cursor(log.len() as u64)));

        // What comes again leaves everything as it was in the end.
        let from = log.len().saturating_sub(repeated);
        sink.write(&batch(&log[from..]), &cursor(log.len() as u64)).unwrap();
        prop_assert_eq!(found(&mut database), expected(&history, LATER_MS));
    }

    #[test]
    fn a_copy_has_the_holds_that_are_alive(ops in prop::collection::vec(ops::op(), 1..100)) {
        let mut history = History::new();
        ops.iter().for_each(|op| history.step(op));
        let mut database = Database::new();
        let _: () = database.ask(&["SET", "inventory:hold:stale", "{}"]);
        let _: () = database.ask(&["ZADD", "inventory:holds:delay_queue", "1", "stale"]);
        let mut sink = database.sink();
        prop_assert_eq!(sink.open().unwrap(), None);
        sink.begin_copy().unwrap();
        prop_assert_eq!(sink.open().unwrap(), None, "a copy that is not whole is none");
        sink.begin_copy().unwrap();
        for slot in history.world.slots() {
            sink.copy_slot(slot, LIFE).unwrap();
        }
        sink.end_copy(&cursor(5)).unwrap();
        prop_assert_eq!(found(&mut database), expected(&history, 0));
        prop_assert_eq!(sink.open().unwrap(), Some(cursor(5)));
    }
}

/// Catches: views that stay, or go back.
#[test]
fn a_view_of_an_order_stays_for_half_a_minute() {
    let mut history = History::new();
    history.step(&Op::Create { order: 0, amount: 250 });
    let hold = HoldName::Own(0);
    history.step(&Op::Reserve { order: 0, place: ops::Place::Run, hold, quantity: 1, span: None });
    history.step(&Op::Pay { who: Who::Order(0), txn: 0, verified: true, named: None });
    history.step(&Op::Ticket { order: 0 });
    let log: Vec<Rc<Record>> = history.world.log.iter().map(|record| later(record, LATER_MS)).collect();
    let mut database = Database::new();
    let mut sink = database.sink();
    begin(&mut sink);
    sink.write(&batch(&log), &cursor(log.len() as u64)).unwrap();
    let order = history.names.order(0).to_string();
    let key = format!("query:order:{order}");
    let view: String = database.ask(&["GET", &key]);
    let view: serde_json::Value = serde_json::from_str(&view).unwrap();
    assert_eq!(
        (&view["order_id"], &view["status"], &view["amount_cents"]),
        (&json!(order), &json!("TICKETED"), &json!(250))
    );
    assert_eq!(view["seats"].as_array().unwrap().len(), 1);
    assert_eq!(view["seat_no"], view["seats"][0]);
    let changed = log.iter().rev().find(|record| matches!(record.body, Body::OrderTicketed(_))).unwrap();
    let until: u64 = database.ask(&["PEXPIRETIME", &key]);
    assert_eq!(until, changed.time.0 + 30_000);

    // Of long ago: nobody sees it.
    let mut database = Database::new();
    let mut sink = database.sink();
    begin(&mut sink);
    let past: Vec<Rc<Record>> = history
        .world
        .log
        .iter()
        .map(|record| {
            let mut record = (**record).clone();
            record.time = engine::ids::Time(1_000);
            Rc::new(record)
        })
        .collect();
    sink.write(&batch(&past), &cursor(9)).unwrap();
    assert_eq!(database.ask::<Option<String>>(&["GET", &key]), None);
}

/// Catches: a server that lost everything and is written to as if it had not.
#[test]
fn a_flushed_server_is_noticed() {
    let mut database = Database::new();
    let mut sink = database.sink();
    begin(&mut sink);
    sink.check().unwrap();
    let _: () = database.ask(&["FLUSHDB"]);
    assert_eq!(sink.check().expect_err("it is noticed").trouble, Trouble::Missing);
    assert_eq!(sink.open().unwrap(), None);
    assert!(sink.is_refilled());

    begin(&mut sink);
    let _: () = database.ask(&["FLUSHDB"]);
    let error = sink.write(&batch(&[]), &cursor(1)).expect_err("it is noticed");
    assert_eq!(error.trouble, Trouble::Missing);
    assert_eq!(database.ask::<Vec<String>>(&["KEYS", "*"]), [""; 0]);
}

/// Catches: two directories in one database, a copy of a directory that writes beside the original.
#[test]
fn others_are_refused_and_stopped() {
    let database = Database::new();
    let (mut one, mut other) = (database.sink(), database.sink());
    begin(&mut one);
    let error = database.sink_of([7; 16]).open().expect_err("it is refused");
    assert_eq!(error.trouble, Trouble::AnotherDirectory);
    assert!(error.text.contains("09090909090909090909090909090909"), "{error}");

    assert_eq!(other.open().unwrap(), Some(cursor(0)));
    one.write(&batch(&[]), &cursor(1)).unwrap();
    let error = other.write(&batch(&[]), &cursor(2)).expect_err("it is stopped");
    assert_eq!(error.trouble, Trouble::AnotherWriter);
    assert_eq!(other.open().expect_err("it stays stopped"), error);
    one.write(&batch(&[]), &cursor(3)).unwrap();

    other.discard().unwrap();
    begin(&mut other);
    assert_eq!(one.check().expect_err("now it is the other's").trouble, Trouble::AnotherWriter);
}

/// Catches: a server that nobody vouches for and that is believed.
#[test]
fn tls_is_verified_unless_told_otherwise() {
    let database = Database::new();
    let (address, password) = database.tls();
    let sink = |address: &str| {
        let place = Place::new(address, Some(&password), database.number).unwrap();
        Redis::new(place, DIRECTORY)
    };
    begin(&mut sink(&format!("rediss://{address}/#insecure")));
    let error = sink(&format!("rediss://{address}")).open().expect_err("it is not verified");
    assert!(error.text.contains("certificate"), "{error}");
}

/// Catches: a connection that is lost and never opened again.
#[test]
fn a_connection_that_is_lost_is_opened_again() {
    let mut database = Database::new();
    let mut sink = database.sink();
    begin(&mut sink);
    database.drop_others();
    let error = sink.write(&batch(&[]), &cursor(1)).expect_err("it is gone");
    assert_eq!(error.trouble, Trouble::Failed, "{error}");
    assert_eq!(sink.open().unwrap(), Some(cursor(0)));
    sink.write(&batch(&[]), &cursor(1)).unwrap();
}
