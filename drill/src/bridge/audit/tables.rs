//! MySQL has the rows that SQLite has, which were held against HTTP and the clients.

use std::collections::BTreeSet;

use rusqlite::types::Value as Cell;

use super::database::Database;
use super::orders::Truth;
use crate::services::Place;

/// A table, its columns in SQLite and in MySQL. Times are texts of the same form; lists are of the same form but for blanks, which MySQL may add.
const TABLES: [(&str, &str); 5] = [
    (
        "orders",
        "order_id idempotency_key status amount_cents @created_at @updated_at partition_key hold_id qty from_index to_index #seats
            @expires_at cancel_reason provider_txn_id slot seq",
    ),
    ("query_order_view", "order_id status amount_cents provider_txn_id seat_no @updated_at"),
    ("payments", "payment_id order_id provider_txn_id status @created_at @updated_at"),
    ("tickets", "ticket_id order_id passenger_name seat_no @created_at"),
    (
        "refunds",
        "order_id provider_txn_id amount_cents reason detail status reference @created_at @settled_at slot seq",
    ),
];

type Rows = BTreeSet<Vec<Option<String>>>;

pub fn check(place: &Place, database: &Database, truth: &Truth) {
    for (table, columns) in TABLES {
        let (expected, found) = (of_sqlite(database, table, columns), of_mysql(place, table, columns));
        let missing: Vec<_> = expected.difference(&found).take(5).collect();
        let too_many: Vec<_> = found.difference(&expected).take(5).collect();
        assert!(
            missing.is_empty() && too_many.is_empty(),
            "the table {table} of MySQL: {missing:#?} are missing, {too_many:#?} are there instead"
        );
        let count = place.rows(&format!("SELECT COUNT(*) FROM {table}"));
        assert_eq!(count, [[Some(found.len().to_string())]], "each row of {table} once");
    }
    let orders = place.rows("SELECT COUNT(*) FROM orders");
    assert_eq!(orders, [[Some(truth.len().to_string())]], "orders of MySQL, and of HTTP");
}

fn of_sqlite(database: &Database, table: &str, columns: &str) -> Rows {
    let names: Vec<&str> =
        columns.split_whitespace().map(|name| name.trim_start_matches(['@', '#'])).collect();
    let sql = format!("SELECT {} FROM {table}", names.join(", "));
    let text = |cell: Cell| match cell {
        Cell::Null => None,
        Cell::Text(text) => Some(text),
        Cell::Integer(number) => Some(number.to_string()),
        other => panic!("{table}: {other:?}"),
    };
    let rows = database.rows(&sql, |row| (0..names.len()).map(|column| row.get(column).map(text)).collect());
    rows.into_iter().collect()
}

fn of_mysql(place: &Place, table: &str, columns: &str) -> Rows {
    let column = |name: &str| match name.split_at(1) {
        ("@", name) => format!("CONCAT(REPLACE(CAST({name} AS CHAR(23)), ' ', 'T'), 'Z')"),
        ("#", name) => format!("REPLACE(CAST({name} AS CHAR), '\", \"', '\",\"')"),
        _ => name.to_owned(),
    };
    let columns: Vec<String> = columns.split_whitespace().map(column).collect();
    place.rows(&format!("SELECT {} FROM {table}", columns.join(", "))).into_iter().collect()
}
