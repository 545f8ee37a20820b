//! Rows of the tables: those of the read model, however they got there.

use bridge::mysql::MySql;
use bridge::sink::{Sink, Trouble};
use proptest::prelude::*;
use proptest::test_runner::Config;
use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::database::{Database, begin, follow};
use crate::ops;
use crate::support::{Filled, History, LIFE, cursor, some_history};

/// The same rows of the same tables, of SQLite and of MySQL. Times are texts of the same form.
const TABLES: [(&str, &str, &str); 5] = [
    (
        "orders",
        "order_id, idempotency_key, status, amount_cents, created_at, updated_at, partition_key, hold_id, qty, from_index, to_index, seats,
            expires_at, cancel_reason, provider_txn_id, life, slot, seq",
        "order_id, idempotency_key, status, amount_cents, {created_at}, {updated_at}, partition_key, hold_id, qty, from_index, to_index,
            REPLACE(CAST(seats AS CHAR), '\", \"', '\",\"'), {expires_at}, cancel_reason, provider_txn_id, CAST(life AS SIGNED), slot, seq",
    ),
    (
        "query_order_view",
        "order_id, status, amount_cents, provider_txn_id, seat_no, updated_at",
        "order_id, status, amount_cents, provider_txn_id, seat_no, {updated_at}",
    ),
    (
        "payments",
        "payment_id, order_id, provider_txn_id, status, created_at, updated_at",
        "payment_id, order_id, provider_txn_id, status, {created_at}, {updated_at}",
    ),
    (
        "tickets",
        "ticket_id, order_id, passenger_name, seat_no, created_at",
        "ticket_id, order_id, passenger_name, seat_no, {created_at}",
    ),
    (
        "refunds",
        "order_id, provider_txn_id, amount_cents, reason, detail, status, reference, created_at, settled_at, life, slot, seq",
        "order_id, provider_txn_id, amount_cents, reason, detail, status, reference, {created_at}, {settled_at}, CAST(life AS SIGNED), slot, seq",
    ),
];

fn of_sqlite(filled: &Filled, table: &str, columns: &str) -> Vec<Vec<Option<String>>> {
    let connection = Connection::open(filled.reader.path()).unwrap();
    let mut statement = connection.prepare(&format!("SELECT {columns} FROM {table}")).unwrap();
    let count = statement.column_count();
    let text = |value: Value| match value {
        Value::Null => None,
        Value::Text(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    };
    let row = |row: &Row<'_>| (0..count).map(|column| row.get(column).map(text)).collect();
    let mut rows: Vec<_> = statement.query_map([], row).unwrap().map(Result::unwrap).collect();
    rows.sort();
    rows
}

/// `{column}` as a text like the read model's.
fn with_times(columns: &str) -> String {
    let mut sql = columns.to_owned();
    for column in ["created_at", "updated_at", "expires_at", "settled_at"] {
        let text = format!("CONCAT(REPLACE(CAST({column} AS CHAR(23)), ' ', 'T'), 'Z')");
        sql = sql.replace(&format!("{{{column}}}"), &text);
    }
    sql
}

#[track_caller]
pub(super) fn assert_same_rows(filled: &Filled, database: &mut Database) {
    for (table, of_read_model, of_mysql) in TABLES {
        let sql = format!("SELECT {} FROM {table}", with_times(of_mysql));
        assert_eq!(database.texts(&sql), of_sqlite(filled, table, of_read_model), "{table}");
    }
}

proptest! {
    #![proptest_config(Config { cases: 12, failure_persistence: None, ..Config::default() })]

    #[test]
    fn followed_from_the_beginning(
        ops in prop::collection::vec(ops::op(), 1..120),
        batch_size in 1..200usize,
    ) {
        let mut history = History::new();
        ops.iter().for_each(|op| history.step(op));
        history.world.later(1_000);
        let filled = Filled::of(&history.world.log);
        let mut database = Database::new();
        let mut sink = database.sink(&filled);
        begin(&mut sink);
        follow(&mut sink, &history.world.log, 0, batch_size);
        assert_same_rows(&filled, &mut database);
        prop_assert_eq!(sink.open().unwrap(), Some(cursor(history.world.log.len() as u64)));

        // All of it again, and some of it alone: nothing goes back.
        follow(&mut sink, &history.world.log, 0, 7);
        assert_same_rows(&filled, &mut database);
        follow(&mut sink, &history.world.log[..ops.len().min(history.world.log.len())], 0, batch_size);
        assert_same_rows(&filled, &mut database);
    }

    /// The state of some moment is copied and what came before is repeated.
    #[test]
    fn copied_and_repeated(
        before in prop::collection::vec(ops::op(), 1..60),
        after in prop::collection::vec(ops::op(), 0..30),
        repeated in 0..40usize,
    ) {
        let mut history = History::new();
        before.iter().for_each(|op| history.step(op));
        let at = history.world.log.len();
        // A read model that was copied at the same moment knows as little of the times.
        let (mut filled, database) = (Filled::new(), Database::new());
        let mut sink = database.sink(&filled);
        assert_eq!(sink.open().unwrap(), None);
        filled.model.begin_copy().unwrap();
        sink.begin_copy().unwrap();
        for slot in history.world.slots() {
            filled.model.copy_slot(slot, LIFE).unwrap();
            sink.copy_slot(slot, LIFE).unwrap();
        }
        filled.model.end_copy(&cursor(at as u64)).unwrap();
        sink.end_copy(&cursor(at as u64)).unwrap();
        let mut database = database;
        assert_same_rows(&filled, &mut database);

        after.iter().for_each(|op| history.step(op));
        history.world.later(1_000);
        let from = at.saturating_sub(repeated);
        filled.written = from;
        filled.follow(&history.world.log, 10);
        follow(&mut sink, &history.world.log, from, 10);
        assert_same_rows(&filled, &mut database);
    }
}

/// Catches: a copy that lacks what the engine has let go.
#[test]
fn a_copy_has_what_only_the_read_model_has() {
    let history = some_history();
    let filled = Filled::of(&history.world.log);
    let mut database = Database::new();
    let mut sink = database.sink(&filled);
    // The engine has nothing any more.
    begin(&mut sink);
    assert_same_rows(&filled, &mut database);
}

/// Catches: a copy that counts as whole without what only the read model has.
#[test]
fn a_copy_waits_for_the_read_model() {
    let history = some_history();
    let filled = Filled::of(&history.world.log);
    let mut database = Database::new();
    let mut sink = database.sink(&filled);
    let path = filled.reader.path().to_owned();
    let away = path.with_extension("away");
    std::fs::rename(&path, &away).unwrap();
    assert_eq!(sink.open().unwrap(), None);
    sink.begin_copy().unwrap();
    let error = sink.end_copy(&cursor(0)).expect_err("it is away");
    assert_eq!(error.trouble, Trouble::Source, "{error}");
    assert_eq!(sink.open().unwrap(), None, "it is not whole");
    std::fs::rename(&away, &path).unwrap();
    sink.begin_copy().unwrap();
    sink.end_copy(&cursor(0)).unwrap();
    assert_same_rows(&filled, &mut database);
}

/// Catches: a rebuild that removes what nobody else has; a copy that is not whole and counts.
#[test]
fn a_rebuild_keeps_rows_and_replaces_those_of_another_life() {
    let history = some_history();
    let filled = Filled::of(&history.world.log);
    let mut database = Database::new();
    let mut sink = database.sink(&filled);
    begin(&mut sink);
    database.run("UPDATE orders SET life = life - 1, seq = seq + 1000, amount_cents = 1");
    database.run("UPDATE payments SET life = life - 1, provider_txn_id = 'another'");
    database.run(
        "INSERT INTO orders (order_id, idempotency_key, status, amount_cents, created_at, updated_at) VALUES ('old', 'k', 'PAID', 5, NOW(), NOW())",
    );
    // What follows replaces no row of another life.
    follow(&mut sink, &history.world.log, 0, 10);
    assert_eq!(database.select::<i64>("SELECT COUNT(*) FROM orders WHERE amount_cents = 1"), [3]);

    sink.discard().unwrap();
    assert_eq!(sink.open().unwrap(), None);
    sink.begin_copy().unwrap();
    assert_eq!(sink.open().unwrap(), None, "a copy that is not whole is none");
    sink.begin_copy().unwrap();
    sink.end_copy(&cursor(9)).unwrap();
    assert_eq!(database.select::<i64>("SELECT amount_cents FROM orders WHERE order_id = 'old'"), [5]);
    database.run("DELETE FROM orders WHERE order_id = 'old'");
    assert_same_rows(&filled, &mut database);
}

/// Catches: a collation that takes two ids for one.
#[test]
fn ids_that_look_alike_stay_apart() {
    let mut database = Database::new();
    let filled = Filled::new();
    let mut sink: MySql = database.sink(&filled);
    begin(&mut sink);
    for (nth, id) in ["a", "A", "á", "a|b", "a%7Cb"].iter().enumerate() {
        for (table, columns, values) in [
            (
                "refunds",
                "order_id, provider_txn_id, reason, status, created_at, life, slot, seq",
                format!("'o', '{id}', 'r', 's', NOW(), 0, 0, 0"),
            ),
            (
                "payments",
                "payment_id, order_id, provider_txn_id, status, created_at, updated_at",
                format!("'p{nth}', 'o', '{id}', 's', NOW(), NOW()"),
            ),
            (
                "orders",
                "order_id, idempotency_key, status, amount_cents, created_at, updated_at",
                format!("'{id}', '{id}', 's', 1, NOW(), NOW()"),
            ),
        ] {
            database.run(&format!("INSERT INTO {table} ({columns}) VALUES ({values})"));
        }
    }
    let found = "SELECT COUNT(*) FROM orders WHERE idempotency_key = 'a'";
    assert_eq!(database.select::<i64>(found), [1]);
}

/// Catches: stations that are lost, or never renamed.
#[test]
fn stations_are_added_and_renamed() {
    let mut database = Database::new();
    let filled = Filled::new();
    begin(&mut database.sink(&filled));
    database.run("UPDATE stations SET station_name = 'before' WHERE station_code = 'BJS'");
    database.run("INSERT INTO stations VALUES ('OLD', 'closed')");
    database.sink(&filled).open().unwrap();
    let rows =
        database.select::<(String, String)>("SELECT station_code, station_name FROM stations ORDER BY 1");
    let expected = [("BJS", "北京"), ("OLD", "closed"), ("SHH", "Shanghai")];
    assert_eq!(rows, expected.map(|(code, name)| (code.to_owned(), name.to_owned())));
}
