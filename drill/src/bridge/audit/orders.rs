//! Orders: by id, in the listing, in both exports, in each table of SQLite, as clients were told, and as they follow from what was done.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::database::Database;
use super::{Evidence, files};
use crate::crash::history::read_now;
use crate::crash::partitions::{Partition, SeatRequest};
use crate::crash::pool::each;
use crate::crash::rules::follows;
use crate::http::encode;
use crate::session::{list, text, texts};
use crate::{Port, Server, Session};

use super::super::orders::OrderLog;

/// Orders of one page of the listing: not the largest one, so that there are many.
const PAGE: usize = 173;

/// Orders as HTTP says by id.
pub type Truth = BTreeMap<String, Value>;

/// Takes in the orders of creations that were given up, and refuses any other order that no client knows. Gives how many.
pub fn adopt_given_up(server: &Server, database: &Database, evidence: &mut Evidence) -> u64 {
    let sql = "SELECT order_id, idempotency_key, amount_cents FROM orders";
    let rows = database.rows(sql, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    let mut session = server.session();
    let nowhere = Partition::ad_hoc("nowhere".to_owned(), 1);
    let mut count = 0;
    for (id, key, amount) in rows {
        let (id, key, amount): (String, String, i64) = (id, key, amount);
        if evidence.orders.contains_key(&id) {
            continue;
        }
        let expected = evidence.given_up.remove(&key);
        assert_eq!(expected, Some(amount), "{id} with the key {key}: no client caused this order");
        assert_eq!(session.create(&key, amount)["OrderID"], id.as_str(), "the order with the key {key}");
        evidence.orders.insert(id.clone(), OrderLog::new(id, key, amount, SeatRequest::one(&nowhere)));
        count += 1;
    }
    count
}

/// Compares everything that says something of an order. Gives what HTTP says by id.
pub fn check(server: &Server, database: &Database, evidence: &Evidence) -> Truth {
    let mut asked: Vec<_> = evidence.orders.values().map(|log| (log, Value::Null)).collect();
    each(server, &mut asked, |session, (log, order)| {
        *order = read_now(session, &log.order);
        let path = format!("/query/orders?order_id={}", encode(&log.order));
        assert_eq!(session.get(Port::Query, &path).ok(), view_of(order), "/query/orders and /orders/get");
        check_told(log, evidence, order);
        check_done(log, order).unwrap_or_else(|what| panic!("{what}: {order}\n{log:#?}"));
    });
    let truth: Truth = asked.into_iter().map(|(log, order)| (log.order.clone(), order)).collect();
    let mut session = server.session();
    compare("the listing", listing(&mut session), &truth);
    let export = |session: &mut Session, format: &str| {
        let answer = session.get(Port::Gateway, &format!("/v1/orders/export?format={format}"));
        assert_eq!(answer.status, 200, "{}", answer.asked);
        answer.text()
    };
    compare("the export as CSV", files::csv(&export(&mut session, "csv")), &truth);
    compare("the export as JSON lines", files::jsonl(&export(&mut session, "jsonl")), &truth);
    check_tables(database, &truth);
    truth
}

/// What clients were told, and what they saw listed, came before what is now.
fn check_told(log: &OrderLog, evidence: &Evidence, now: &Value) {
    let Some(known) = evidence.told.get(&log.order) else { return };
    for earlier in [&known.told, &known.listed].into_iter().filter(|earlier| !earlier.is_null()) {
        follows(earlier, now)
            .unwrap_or_else(|what| panic!("an order is not what its client was told: {what}"));
    }
}

/// What the client did gives what the order is.
fn check_done(log: &OrderLog, now: &Value) -> Result<(), String> {
    let ensure = |holds: bool, what: &str| if holds { Ok(()) } else { Err(what.to_owned()) };
    let status = text(now, "Status");
    ensure(now["IdempotencyKey"] == log.key.as_str(), "another key")?;
    ensure(now["AmountCents"] == log.amount, "another amount")?;
    ensure((status == "TICKETED") == log.paid_by().is_some(), "ticketed if and only if a payment was taken")?;
    ensure(now["ProviderTxnID"].as_str() == log.paid_by(), "paid by another transaction")?;
    ensure(!log.is_cancelled || status == "CANCELLED", "an acknowledged cancel is gone")?;
    let is_reserved = !log.reserved.is_null();
    ensure(!is_reserved || status != "INIT", "an acknowledged reservation is gone")?;
    if status == "TICKETED" && !log.is_reservation_unknown {
        ensure(now["Seats"] == log.reserved, "ticketed with other seats")?;
    }
    if !now["PartitionKey"].is_null() {
        let SeatRequest { partition, qty, .. } = &log.seats;
        let (from, to) = log.seats.ends();
        let expected = json!([partition.key, log.hold, qty, from, to]);
        let fields = ["PartitionKey", "HoldID", "Qty", "FromIndex", "ToIndex"];
        let is = Value::Array(fields.iter().map(|field| now[*field].clone()).collect());
        ensure(is == expected, "reserved otherwise than asked for")?;
    }
    let is_owed = log.owed().any(|(txn, _)| !log.settled.contains_key(txn));
    let refund = match (is_owed, log.settled.is_empty()) {
        (true, _) => json!("required"),
        (false, false) => json!("settled"),
        (false, true) => Value::Null,
    };
    ensure(now["Refund"] == refund, "another refund")
}

/// All pages of the listing.
fn listing(session: &mut Session) -> Vec<Value> {
    let (mut orders, mut after) = (Vec::new(), String::new());
    loop {
        let page = session.get(Port::Gateway, &format!("/v1/orders?limit={PAGE}{after}")).ok();
        orders.extend(list(&page, "orders").iter().cloned());
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", encode(next)),
            None => return orders,
        }
    }
}

/// The same orders, each once and the same in every field, by the time of their creation.
fn compare(what: &str, orders: Vec<Value>, truth: &Truth) {
    let mut missing: BTreeSet<&str> = truth.keys().map(String::as_str).collect();
    let mut last = (String::new(), String::new());
    for order in &orders {
        let id = text(order, "OrderID");
        assert!(truth.contains_key(id), "{what} has an order that no client knows: {order}");
        assert!(missing.remove(id), "{what} has an order twice: {order}");
        assert_eq!(order, &truth[id], "{what}, and /orders/get");
        let at = (text(order, "CreatedAt").to_owned(), id.to_owned());
        assert!(at > last, "{what} is not in order: {at:?} behind {last:?}");
        last = at;
    }
    assert!(missing.is_empty(), "{what} has not all orders: {} are missing: {missing:?}", missing.len());
}

/// The views of SQLite have the same rows.
fn check_tables(database: &Database, truth: &Truth) {
    let mut missing: BTreeSet<&str> = truth.keys().map(String::as_str).collect();
    for row in database.orders() {
        assert!(missing.remove(row.id.as_str()), "orders: {} is unknown, or there twice", row.id);
        let mut expected = truth[&row.id].clone();
        expected.as_object_mut().expect("an object").remove("Refund");
        assert_eq!(row.order, expected, "the table orders, and /orders/get");
    }
    assert!(missing.is_empty(), "orders: {} rows are missing: {missing:?}", missing.len());
    check_payments(database, truth);
    check_tickets(database, truth);
    check_views(database, truth);
}

fn check_payments(database: &Database, truth: &Truth) {
    let sql = "SELECT order_id, provider_txn_id, status, payment_id, created_at, updated_at FROM payments";
    let rows = database.rows(sql, |row| -> rusqlite::Result<[String; 6]> {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?])
    });
    let paid = truth.values().filter(|order| !order["ProviderTxnID"].is_null());
    let expected: BTreeSet<(&str, &str)> =
        paid.map(|order| (text(order, "OrderID"), text(order, "ProviderTxnID"))).collect();
    let is: BTreeSet<(&str, &str)> =
        rows.iter().map(|[order, txn, ..]| (order.as_str(), txn.as_str())).collect();
    assert_eq!(is, expected, "payments");
    assert_eq!(rows.len(), expected.len(), "each payment once");
    for row in &rows {
        let order = &truth[&row[0]];
        assert_eq!((row[2].as_str(), &row[4]), ("SUCCESS", &row[5]), "a payment: {row:?}");
        let is_within =
            text(order, "CreatedAt") <= row[4].as_str() && row[4].as_str() <= text(order, "UpdatedAt");
        assert!(is_within, "a payment at another time than its order's: {row:?} {order}");
    }
    check_ids("payments", rows.iter().map(|row| &row[3]));
}

fn check_tickets(database: &Database, truth: &Truth) {
    let sql = "SELECT order_id, ticket_id, seat_no, passenger_name, created_at FROM tickets";
    let rows = database.rows(sql, |row| -> rusqlite::Result<[String; 5]> {
        Ok([row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?])
    });
    let mut missing: BTreeSet<&str> = with_status(truth, "TICKETED").collect();
    for row in &rows {
        assert!(missing.remove(row[0].as_str()), "a ticket of no ticketed order, or a second one: {row:?}");
        let order = &truth[&row[0]];
        let seats = texts(order, "Seats").join(",");
        let expected = [&seats, &seats, text(order, "UpdatedAt")];
        assert_eq!([&row[2], &row[3], row[4].as_str()], expected, "the ticket of {order}");
    }
    assert!(missing.is_empty(), "tickets are missing: {missing:?}");
    check_ids("tickets", rows.iter().map(|row| &row[1]));
}

fn with_status<'a>(truth: &'a Truth, status: &str) -> impl Iterator<Item = &'a str> {
    let orders = truth.iter().filter(move |(_, order)| order["Status"] == status);
    orders.map(|(id, _)| id.as_str())
}

/// UUIDs of version 5, each once.
fn check_ids<'a>(table: &str, ids: impl Iterator<Item = &'a String>) {
    let mut seen = BTreeSet::new();
    for id in ids {
        assert!(id.len() == 36 && id.as_bytes()[14] == b'5', "{table}: {id} is no UUID of version 5");
        assert!(seen.insert(id), "{table}: {id} twice");
    }
}

fn check_views(database: &Database, truth: &Truth) {
    let sql =
        "SELECT order_id, status, amount_cents, provider_txn_id, seat_no, updated_at FROM query_order_view";
    let rows: HashMap<String, Value> = database
        .rows(sql, |row| {
            let view = json!({
                "order_id": row.get::<_, String>(0)?,
                "status": row.get::<_, String>(1)?,
                "amount_cents": row.get::<_, i64>(2)?,
                "provider_txn_id": row.get::<_, Option<String>>(3)?,
                "seat_no": row.get::<_, Option<String>>(4)?,
                "updated_at": row.get::<_, String>(5)?,
            });
            Ok((row.get(0)?, without_nulls(view)))
        })
        .into_iter()
        .collect();
    assert_eq!(rows.len(), truth.len(), "as many rows of query_order_view as orders");
    for (id, order) in truth {
        let mut expected = view_of(order);
        expected.as_object_mut().expect("an object").remove("seats");
        assert_eq!(rows.get(id), Some(&expected), "the table query_order_view, and /query/orders");
    }
}

/// What `/query/orders` says of an order.
fn view_of(order: &Value) -> Value {
    let seats = (order["Status"] == "TICKETED").then(|| texts(order, "Seats"));
    without_nulls(json!({
        "order_id": order["OrderID"],
        "status": order["Status"],
        "amount_cents": order["AmountCents"],
        "provider_txn_id": order["ProviderTxnID"],
        "seat_no": seats.as_ref().map(|seats| seats.join(",")),
        "seats": seats,
        "updated_at": order["UpdatedAt"],
    }))
}

fn without_nulls(mut value: Value) -> Value {
    value.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    value
}
