//! Tests of what SQLite does for a question: it walks the index that is there for it, and sorts and scans nothing.

use engine::ids::{IdempotencyKey, OrderId, SlotId, Time, TxnId};
use engine::read_model::{HistoryPosition, HistoryQuestion, OrderPosition, OrdersQuestion, Subject};
use engine::status::OrderStatus;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::{Keep, Settings, history, open, orders};

/// The plan's steps for the main table, and all others.
fn plan(connection: &Connection, (sql, values): (String, Vec<Value>)) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let steps = statement.query_map(params_from_iter(values), |row| row.get(3)).unwrap();
    steps.map(Result::unwrap).collect()
}

fn empty() -> (tempfile::TempDir, Connection) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("read-model.db");
    let connection =
        open::writer(&Settings { path, directory: [0; 16], create: true, keep: Keep::default() }).unwrap();
    (directory, connection)
}

#[test]
fn listings_walk_an_index() {
    let (_directory, connection) = empty();
    let check = |change: &dyn Fn(&mut OrdersQuestion), expected: &str| {
        let mut question = OrdersQuestion::default();
        change(&mut question);
        let steps = plan(&connection, orders::select(&question, 10));
        assert_eq!(steps[0], expected, "{question:?}");
        assert!(steps.iter().all(|step| !step.contains("TEMP B-TREE")), "{steps:?}");
        assert!(steps[1..].iter().all(|step| !step.contains("SCAN")), "{steps:?}");
    };
    let after = Some(OrderPosition { created_at: Time(5), order: OrderId::new(SlotId::new(1), 1) });
    let by_run = |question: &mut OrdersQuestion| {
        question.train = Some("G1".into());
        question.date = Some("2026-02-11".into());
    };
    check(&|_| (), "SEARCH order_rows USING INDEX orders_by_creation (created_at>?)");
    check(
        &|q| q.status = Some(OrderStatus::Paid),
        "SEARCH order_rows USING INDEX orders_by_creation (created_at>?)",
    );
    check(&|q| q.since = Some(Time(1)), "SEARCH order_rows USING INDEX orders_by_creation (created_at>?)");
    check(&|q| q.until = Some(Time(1)), "SEARCH order_rows USING INDEX orders_by_creation (created_at<?)");
    check(
        &|q| (q.since, q.until) = (Some(Time(1)), Some(Time(9))),
        "SEARCH order_rows USING INDEX orders_by_creation (created_at>? AND created_at<?)",
    );
    check(
        &|q| q.after = after,
        "SEARCH order_rows USING INDEX orders_by_creation ((created_at,order_id)>(?,?))",
    );
    check(
        &|q| (q.after, q.since) = (after, Some(Time(1))),
        "SEARCH order_rows USING INDEX orders_by_creation ((created_at,order_id)>(?,?))",
    );
    check(
        &|q| (q.after, q.since) = (after, Some(Time(9))),
        "SEARCH order_rows USING INDEX orders_by_creation (created_at>?)",
    );
    check(&by_run, "SEARCH order_rows USING INDEX orders_by_run (travel_date=? AND train=?)");
    check(
        &|q| {
            by_run(q);
            q.after = after;
            q.status = Some(OrderStatus::Paid);
        },
        "SEARCH order_rows USING INDEX orders_by_run (travel_date=? AND train=? AND (created_at,order_id)>(?,?))",
    );
    check(
        &|q| {
            by_run(q);
            q.key = Some(IdempotencyKey::parse("k").unwrap());
        },
        "SEARCH order_rows USING INDEX orders_by_key (idempotency_key=?)",
    );
    check(
        &|q| {
            q.txn = Some(TxnId::parse("t").unwrap());
            q.since = Some(Time(1));
        },
        "SEARCH order_rows USING INDEX orders_by_txn (provider_txn_id=? AND created_at>?)",
    );
}

#[test]
fn histories_walk_their_table() {
    let (_directory, connection) = empty();
    let check = |subject: &Subject, is_later: bool, expected: [&str; 2]| {
        let position = HistoryPosition { time: Time(1), slot: SlotId::new(1), seq: 1, index: 0 };
        let after = is_later.then_some(position);
        let question = HistoryQuestion { subject: subject.clone(), after, limit: 1 };
        let steps = plan(&connection, history::select(&question, 10));
        assert_eq!(steps, expected, "{question:?}");
    };
    let order = Subject::Order(OrderId::new(SlotId::new(1), 1));
    let run = Subject::Run { train: "G1".into(), date: "2026-02-11".into() };
    let of_order = [
        "SEARCH o USING COVERING INDEX sqlite_autoindex_order_rows_1 (order_id=?)",
        "SEARCH e USING PRIMARY KEY (order_row=? AND (at,slot,seq,idx)>(?,?,?,?))",
    ];
    check(&order, false, of_order);
    check(&order, true, of_order);
    let of_run = [
        "SEARCH e USING PRIMARY KEY (run=? AND (at,slot,seq,idx)>(?,?,?,?))",
        "SEARCH o USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN",
    ];
    check(&run, false, of_run);
    check(&run, true, of_run);
}
