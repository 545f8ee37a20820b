//! When and where a train is sold: until its boarding stop's departure, and where it lets passengers on and off.

use serde_json::{Value, json};

use crate::support::feed::{DAY, Feed};
use crate::support::session::{list, number, text};
use crate::support::time::{days_after, tomorrow};
use crate::support::{Launch, Port, Session};

const CLOSED: &str = "the sale is closed: the train departs";
const FORBIDDEN: &str = "the span boards or leaves where the train does not allow it";

fn launch(feed: &Feed, closes_secs: &str) -> Launch {
    let launch = Launch::new();
    let feed = feed.write(launch.home()).display().to_string();
    launch.args(&["--timetable", &feed]).env("INTERLOCK_SALE_CLOSES_SECS", closes_secs)
}

fn key(date: &str) -> String {
    format!("{DAY}|{date}|2nd")
}

fn want(key: &str, hold: &str, from: u16, to: u16) -> Value {
    json!({"partition_key": key, "hold_id": hold, "qty": 1, "from_index": from, "to_index": to})
}

/// The search's entry of the day train.
fn found(session: &mut Session, date: &str) -> Value {
    let found = session.get(Port::Gateway, &format!("/v1/trains?from=AAA&to=DDD&date={date}")).ok();
    list(&found, "trains").iter().find(|train| text(train, "train") == DAY).expect("the train").clone()
}

fn available(entry: &Value) -> i64 {
    list(entry, "classes").iter().map(|class| number(class, "available")).sum()
}

/// Catches: a train sold after it has left, or offered unmarked; a hold from before that cannot go on.
#[test]
fn a_train_that_has_left_is_sold_no_more() {
    // It left yesterday in the morning at the latest.
    let date = days_after(&tomorrow(), -2);
    let key = key(&date);
    let server = launch(&Feed::new(), "-259200").start();
    let mut session = server.session();
    for hold in ["repeat", "confirm", "release", "adopt"] {
        session.try_hold(&want(&key, hold, 0, 3)).ok();
    }
    assert_eq!(found(&mut session, &date)["departed"], Value::Null, "it is sold for three days more");
    let server = server.stop().env("INTERLOCK_SALE_CLOSES_SECS", "0").start();
    let mut session = server.session();
    for (from, to) in [(0, 1), (0, 3), (2, 3)] {
        session.try_hold(&want(&key, "new", from, to)).refused(409, CLOSED);
        assert_eq!(session.available_on(&key, from.into(), to.into()), 0);
    }
    let answer = session.try_hold(&want(&key, "new", 0, 3));
    assert_eq!(answer.json()["code"], "sale_closed");
    assert_eq!(session.available(&key), 0);
    let entry = found(&mut session, &date);
    assert_eq!((&entry["departed"], available(&entry)), (&json!(true), 0));
    let order = session.new_order("too late");
    let reserve = |hold: &str| json!({"order_id": order, "partition_key": key, "hold_id": hold, "qty": 1, "from_index": 0, "to_index": 3});
    session.reserve(&reserve("new")).refused(409, CLOSED);
    // What was held before goes on.
    let held = session.try_hold(&want(&key, "repeat", 0, 3)).ok();
    assert_eq!(number(&held, "available"), 0);
    session.confirm(&key, "confirm").ok();
    session.release(&key, "release").ok();
    assert_eq!(session.reserve(&reserve("adopt")).ok()["Status"], "RESERVED");
    assert_eq!(session.pay(&order, "txn").status, 200);
    session.until_ticketed(&order);
    // Tomorrow's is sold.
    session.try_hold(&want(&self::key(&tomorrow()), "tomorrow", 0, 3)).ok();
    assert_eq!(found(&mut session, &tomorrow())["departed"], Value::Null);
}

/// Catches: a sale that cannot be closed before the departure.
#[test]
fn a_sale_closes_as_long_before_as_is_set() {
    let server = launch(&Feed::new(), "604800").start();
    let mut session = server.session();
    for (days, status) in [(0, 409), (4, 409), (7, 200), (20, 200)] {
        let date = days_after(&tomorrow(), days);
        assert_eq!(session.try_hold(&want(&key(&date), "h", 0, 3)).status, status, "{date}");
    }
}

/// Catches: a hold by index that boards or leaves where the feed forbids it, and seats shown for it.
#[test]
fn a_hold_boards_and_leaves_where_the_train_allows_it() {
    let forbidden_at = |stop: &'static str| move |line: &str| if line.contains(stop) { "1" } else { "" };
    let feed = Feed::new()
        .with_column("stop_times.txt", "pickup_type", forbidden_at("trip-1,09:00:00"))
        .with_column("stop_times.txt", "drop_off_type", forbidden_at("trip-1,,,CCC"));
    let server = launch(&feed, "0").start();
    let mut session = server.session();
    let key = key(&tomorrow());
    let order = session.new_order("by index");
    for opened in [false, true] {
        if opened {
            session.try_hold(&want(&key, "opens", 0, 3)).ok();
        }
        for (from, to, allowed) in [(0, 1, true), (0, 2, false), (1, 3, false), (1, 2, false), (2, 3, true)] {
            let free = session.available_on(&key, from.into(), to.into());
            assert_eq!(free > 0, allowed, "{from} to {to}: {free}");
            if !allowed {
                let answer = session.try_hold(&want(&key, "h", from, to));
                answer.refused(400, FORBIDDEN);
                assert_eq!(answer.json()["code"], "boarding_not_allowed");
                let body = json!({"order_id": order, "partition_key": key, "qty": 1, "from_index": from, "to_index": to});
                session.reserve(&body).refused(400, FORBIDDEN);
            }
        }
    }
    assert_eq!(session.order(&order)["Status"], "INIT");
}
