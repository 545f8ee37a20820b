//! Histories of orders: the events of each give its status, each change once and in order, and HTTP pages say the same as SQLite.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Evidence;
use super::database::{Database, Event, Place};
use super::orders::Truth;
use crate::crash::pool::each;
use crate::http::encode;
use crate::session::{list, text, texts};
use crate::{Port, Server, Session};

use super::super::figures::Found;
use super::super::orders::OrderLog;

/// Events of one page of an order's history: so few that most have more than one.
const ORDER_PAGE: usize = 3;

type Events = Vec<(Place, Event)>;

pub fn check(server: &Server, database: &Database, evidence: &Evidence, truth: &Truth, found: &mut Found) {
    let mut by_order: BTreeMap<String, Events> = BTreeMap::new();
    for (place, event) in database.order_history() {
        let order = event.order.clone().expect("an event of an order names it");
        assert!(truth.contains_key(&order), "an event of an order that no client knows: {event:?}");
        by_order.entry(order).or_default().push((place, event));
        found.order_events += 1;
    }
    let places = last_places(database);
    let mut asked: Vec<(&OrderLog, Events)> =
        evidence.orders.values().map(|log| (log, by_order.remove(&log.order).unwrap_or_default())).collect();
    each(server, &mut asked, |session, (log, events)| {
        let now = &truth[&log.order];
        check_order(log, now, events, places[&log.order])
            .unwrap_or_else(|what| panic!("{what}: {now}\n{log:#?}\n{events:#?}"));
        let path = format!("/v1/orders/{}/history?limit={ORDER_PAGE}", encode(&log.order));
        let pages = pages(session, &path);
        let rows: Vec<Event> = events.iter().map(|(_, event)| event.clone()).collect();
        assert_eq!(pages, rows, "the history by HTTP, and order_history");
    });
    check_times(database);
}

/// Slot and sequence of the record that changed each order last.
fn last_places(database: &Database) -> BTreeMap<String, (i64, i64)> {
    database.orders().into_iter().map(|row| (row.id, (row.slot, row.seq))).collect()
}

/// One order's events, against what it is now.
fn check_order(log: &OrderLog, now: &Value, events: &Events, last: (i64, i64)) -> Result<(), String> {
    let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    check_places(events)?;
    // What happens to the hold of a purchase happens to the order.
    let is_own = |event: &Event| event.kind.starts_with("order_") || log.is_purchase && event.hold.is_some();
    let own: Vec<&(Place, Event)> = events.iter().filter(|(_, event)| is_own(event)).collect();
    let kinds: Vec<&str> = own.iter().map(|(_, event)| event.kind.as_str()).collect();
    let expected: &[&[&str]] = match text(now, "Status") {
        "TICKETED" if log.is_purchase => &[&["purchase_made", "purchase_paid", "order_ticketed"]],
        "CANCELLED" if log.is_purchase => {
            &[&["purchase_made", "purchase_cancelled"], &["purchase_made", "holds_expired"]]
        }
        "INIT" => &[&["order_created"]],
        "TICKETED" => &[&["order_created", "order_reserved", "order_paid", "order_ticketed"]],
        // Its hold may have ended before the reservation was whole.
        "CANCELLED" if log.reserved.is_null() => {
            &[&["order_created", "order_cancelled"], &["order_created", "order_reserved", "order_cancelled"]]
        }
        "CANCELLED" => &[&["order_created", "order_reserved", "order_cancelled"]],
        other => return Err(format!("an order that is {other} in the end")),
    };
    ensure(expected.contains(&kinds.as_slice()), "the events do not give the status")?;
    let ((slot, seq, _), newest) = own.last().expect("it was created");
    ensure((*slot, *seq) == last, "the row is not of the last event")?;
    ensure(own[0].1.time == text(now, "CreatedAt"), "created at another time")?;
    ensure(newest.time == text(now, "UpdatedAt"), "changed at another time")?;
    ensure(newest.reason.as_deref() == now["CancelReason"].as_str(), "cancelled for another reason")?;
    let count = |kind: &str| events.iter().filter(|(_, event)| event.kind == kind).count();
    ensure(count("refund_owed") == log.owed().count_distinct(), "refunds owed")?;
    ensure(count("refund_settled") == log.settled.len(), "refunds settled")?;
    let begun = count("hold_made") + count("hold_adopted") + count("purchase_made");
    let ended = count("hold_released") + count("holds_expired") + count("purchase_cancelled");
    let is_ticketed = now["Status"] == "TICKETED";
    ensure(
        count("hold_confirmed") + count("purchase_paid") == usize::from(is_ticketed),
        "a hold is confirmed where there is a ticket",
    )?;
    ensure(begun == ended + usize::from(is_ticketed), "each hold that began is sold or ended")?;
    ensure(!is_ticketed || begun >= 1, "a ticket without a hold")
}

/// Events stand in the order of their positions, each position once; and within a slot their times do not go back.
fn check_places(events: &Events) -> Result<(), String> {
    for pair in events.windows(2) {
        let [(a, first), (b, second)] = pair else { unreachable!("pairs") };
        if (&first.time, a) >= (&second.time, b) {
            return Err(format!("{a:?} does not come before {b:?}"));
        }
        if a.0 == b.0 && a.1 > b.1 {
            return Err(format!("the times of {a:?} and {b:?} go back"));
        }
    }
    Ok(())
}

/// Payments and tickets have the times of their events.
fn check_times(database: &Database) {
    for (table, kinds) in [("payments", "'order_paid', 'purchase_paid'"), ("tickets", "'order_ticketed'")] {
        let sql = format!(
            "SELECT {table}.order_id FROM {table} LEFT JOIN order_history AS event
                ON event.order_id = {table}.order_id AND event.kind IN ({kinds}) AND event.time = {table}.created_at
            WHERE event.order_id IS NULL"
        );
        let odd: Vec<String> = database.rows(&sql, |row| row.get(0));
        assert!(odd.is_empty(), "{table} with another time than their events: {odd:?}");
    }
}

/// All pages of a history by HTTP. Positions are opaque, and each comes once.
pub fn pages(session: &mut Session, path: &str) -> Vec<Event> {
    let (mut events, mut positions, mut after) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = session.get(Port::Gateway, &format!("{path}{after}")).ok();
        for event in list(&page, "events") {
            positions.push(text(event, "position").to_owned());
            events.push(of_json(event));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", encode(next)),
            None => break,
        }
    }
    let count = positions.len();
    positions.sort_unstable();
    positions.dedup();
    assert_eq!(positions.len(), count, "{path} has a position twice");
    events
}

fn of_json(event: &Value) -> Event {
    let maybe = |field: &str| event[field].as_str().map(str::to_owned);
    Event {
        time: text(event, "time").to_owned(),
        kind: text(event, "kind").to_owned(),
        partition: maybe("partition_key"),
        hold: maybe("hold_id"),
        order: maybe("order_id"),
        qty: event["qty"].as_i64(),
        seats: if event["seats"].is_null() { Vec::new() } else { texts(event, "seats") },
        from: event["from_index"].as_i64(),
        to: event["to_index"].as_i64(),
        reason: maybe("reason"),
        trace: maybe("trace_id"),
    }
}

trait CountDistinct {
    fn count_distinct(self) -> usize;
}

impl<T: Ord, I: Iterator<Item = T>> CountDistinct for I {
    fn count_distinct(self) -> usize {
        self.collect::<std::collections::BTreeSet<T>>().len()
    }
}
