//! The read model's database, read by SQL as any user of it would: by the names that docs/read-model.md promises.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};
use serde_json::{Value, json};

/// An event of a history. Two of them are the same where all that is shown is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    pub time: String,
    pub kind: String,
    pub partition: Option<String>,
    pub hold: Option<String>,
    pub order: Option<String>,
    pub qty: Option<i64>,
    pub seats: Vec<String>,
    pub from: Option<i64>,
    pub to: Option<i64>,
    pub reason: Option<String>,
    pub trace: Option<String>,
}

/// Where an event stands: slot, sequence, index. Its time comes before them.
pub type Place = (i64, i64, i64);

/// A row of the view `orders`.
#[derive(Debug)]
pub struct OrderRow {
    pub id: String,
    /// As HTTP shows an order, without its refund.
    pub order: Value,
    /// How far it has come.
    pub slot: i64,
    pub seq: i64,
}

#[derive(Debug)]
pub struct Database(Connection);

impl Database {
    pub fn open(path: &Path) -> Database {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        Database(Connection::open_with_flags(path, flags).expect("the read model opens"))
    }

    /// All rows of a query, each made into something.
    pub fn rows<T>(&self, sql: &str, make: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
        let read = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.0.prepare(sql)?;
            statement.query_map([], make)?.collect()
        };
        read().unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// SQLite's own check of the whole file.
    pub fn check(&self) {
        let found: Vec<String> = self.rows("PRAGMA integrity_check", |row| row.get(0));
        assert_eq!(found, ["ok"], "the database is damaged");
    }

    pub fn orders(&self) -> Vec<OrderRow> {
        let sql = "SELECT order_id, idempotency_key, status, amount_cents, created_at, updated_at, partition_key, hold_id,
                qty, from_index, to_index, seats, expires_at, cancel_reason, provider_txn_id, slot, seq, train, travel_date,
                class
            FROM orders";
        self.rows(sql, order)
    }

    /// The events of all orders, each with its order, in the order of their positions.
    pub fn order_history(&self) -> Vec<(Place, Event)> {
        self.history("order_history", "order_id, time, slot, seq, idx")
    }

    /// The events of all runs, by partition.
    pub fn run_history(&self) -> Vec<(Place, Event)> {
        self.history("run_history", "partition_key, time, slot, seq, idx")
    }

    fn history(&self, view: &str, by: &str) -> Vec<(Place, Event)> {
        let sql = format!(
            "SELECT slot, seq, idx, time, kind, partition_key, hold_id, order_id, qty, seats, from_index, to_index, reason,
                trace_id
            FROM {view} ORDER BY {by}"
        );
        self.rows(&sql, |row| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), event(row)?)))
    }
}

fn order(row: &Row<'_>) -> rusqlite::Result<OrderRow> {
    let status: String = row.get("status")?;
    let key: Option<String> = row.get("partition_key")?;
    let mut order = json!({
        "OrderID": row.get::<_, String>("order_id")?,
        "IdempotencyKey": row.get::<_, String>("idempotency_key")?,
        "Status": status,
        "AmountCents": row.get::<_, i64>("amount_cents")?,
        "CreatedAt": row.get::<_, String>("created_at")?,
        "UpdatedAt": row.get::<_, String>("updated_at")?,
        "PartitionKey": key,
        "HoldID": row.get::<_, Option<String>>("hold_id")?,
        "Qty": row.get::<_, Option<i64>>("qty")?,
        "FromIndex": row.get::<_, Option<i64>>("from_index")?,
        "ToIndex": row.get::<_, Option<i64>>("to_index")?,
        "CancelReason": row.get::<_, Option<String>>("cancel_reason")?,
        "ProviderTxnID": row.get::<_, Option<String>>("provider_txn_id")?,
    });
    let id: String = row.get("order_id")?;
    let seats = seats(row.get("seats")?);
    if status == "CANCELLED" || key.is_none() {
        assert!(seats.is_empty(), "{id} has seats: {seats:?}");
    } else {
        order["Seats"] = json!(seats);
    }
    if status == "RESERVED" {
        order["ExpiresAt"] = row.get::<_, String>("expires_at")?.into();
    }
    order.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    check_parts(&id, key.as_deref(), [row.get("train")?, row.get("travel_date")?, row.get("class")?]);
    Ok(OrderRow { id, order, slot: row.get("slot")?, seq: row.get("seq")? })
}

/// Train, date and class are those of the partition's key, where it has that shape.
fn check_parts(id: &str, key: Option<&str>, parts: [Option<String>; 3]) {
    let of_key: Vec<&str> = key.map(|key| key.split('|').collect()).unwrap_or_default();
    let expected = if of_key.len() == 3 { of_key.into_iter().map(Some).collect() } else { vec![None; 3] };
    assert_eq!(parts.iter().map(Option::as_deref).collect::<Vec<_>>(), expected, "the run of {id}");
}

fn seats(list: Option<String>) -> Vec<String> {
    list.map_or_else(Vec::new, |list| {
        serde_json::from_str(&list).unwrap_or_else(|error| panic!("seats {list:?}: {error}"))
    })
}

fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    Ok(Event {
        time: row.get("time")?,
        kind: row.get("kind")?,
        partition: row.get("partition_key")?,
        hold: row.get("hold_id")?,
        order: row.get("order_id")?,
        qty: row.get("qty")?,
        seats: seats(row.get("seats")?),
        from: row.get("from_index")?,
        to: row.get("to_index")?,
        reason: row.get("reason")?,
        trace: row.get("trace_id")?,
    })
}
