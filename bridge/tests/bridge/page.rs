//! docs/read-model.md: its SQL does what it says, and its tables have the columns that it names.

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};

use crate::ops::{HoldName, Op, Place, Who};
use crate::support::{Filled, History, RUN, engine_view};

const PAGE: &str = include_str!("../../../docs/read-model.md");

/// The statement of that name on the page.
fn sql(name: &str) -> &'static str {
    let (_, rest) = PAGE.split_once(&format!("```sql {name}\n")).expect("the page has it");
    rest.split_once("```").expect("it ends").0
}

fn connect(filled: &Filled) -> Connection {
    Connection::open_with_flags(filled.reader.path(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap()
}

fn rows(filled: &Filled, sql: &str) -> Vec<Vec<Value>> {
    let connection = connect(filled);
    let mut statement = connection.prepare(sql).unwrap();
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}

/// Two orders of two seats on the run, the first paid and ticketed, the second reserved; a third is cancelled.
fn history() -> History {
    let mut history = History::new();
    for order in 0..3 {
        let (quantity, hold) = (2, HoldName::Own(order));
        history.step(&Op::Create { order, amount: 250 });
        history.step(&Op::Reserve { order, place: Place::Run, hold, quantity, span: Some((0, 1)) });
    }
    history.step(&Op::Pay { who: Who::Order(0), txn: 0, verified: true, named: None });
    history.step(&Op::Cancel { order: 2, named: None });
    history.world.later(10);
    history
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn what_was_sold_today() {
    let history = history();
    let filled = Filled::of(&history.world.log);
    let at = history.world.now.0 / 1_000;
    let today = sql("sold-today").replace("'now'", &format!("{at}, 'unixepoch'"));
    assert_eq!(rows(&filled, &today), [[text("G1"), 1.into(), 2.into(), Value::Real(2.5)]]);
    // The day after, nothing yet.
    let tomorrow = sql("sold-today").replace("'now'", &format!("{}, 'unixepoch'", at + 86_400));
    assert!(rows(&filled, &tomorrow).is_empty());
}

#[test]
fn who_sits_on_a_run() {
    let history = history();
    let filled = Filled::of(&history.world.log);
    let order = history.orders()[0].to_string();
    let (train, rest) = RUN.split_once('|').unwrap();
    assert!(
        sql("who-sits").contains(train) && sql("who-sits").contains(&rest[..10]),
        "the page's run is the test's"
    );
    let seat = |label: &str| vec![text("2nd"), text(label), 0.into(), 1.into(), text(&order)];
    assert_eq!(rows(&filled, sql("who-sits")), [seat("05-1A"), seat("05-1C")]);
}

#[test]
fn what_became_of_an_order() {
    let mut history = history();
    let filled = Filled::of(&history.world.log);
    let mut kinds = |nth: usize| {
        let order = history.orders()[nth];
        assert!(engine_view(&mut history.world, order).is_some());
        let asked = sql("what-became").replace("ORDER'", &format!("{order}'"));
        let rows = rows(&filled, &asked);
        rows.into_iter().map(|row| row[1].clone()).collect::<Vec<_>>()
    };
    let texts = |kinds: &[&str]| kinds.iter().map(|kind| text(kind)).collect::<Vec<_>>();
    // Within one millisecond they are ordered by slot.
    let mut paid = kinds(0);
    paid.sort_by_key(|kind| format!("{kind:?}"));
    assert_eq!(
        paid,
        texts(&[
            "hold_confirmed",
            "hold_made",
            "order_created",
            "order_paid",
            "order_reserved",
            "order_ticketed"
        ])
    );
    let mut cancelled = kinds(2);
    cancelled.sort_by_key(|kind| format!("{kind:?}"));
    assert_eq!(
        cancelled,
        texts(&["hold_made", "hold_released", "order_cancelled", "order_created", "order_reserved"])
    );
}

/// The three questions stay quick when there are millions of orders.
#[test]
fn questions_walk_an_index() {
    let filled = Filled::new();
    for name in ["sold-today", "who-sits", "what-became"] {
        let plan = rows(&filled, &format!("EXPLAIN QUERY PLAN {}", sql(name)));
        for step in &plan {
            let Value::Text(step) = &step[3] else { panic!("{step:?}") };
            assert!(
                !step.starts_with("SCAN") || step.starts_with("SCAN seat VIRTUAL TABLE"),
                "{name}: {plan:?}"
            );
        }
    }
}

/// Each name with its columns, as the page and the contract have them.
#[test]
fn columns() {
    let filled = Filled::new();
    let connection = connect(&filled);
    let check = |name: &str, expected: &str| {
        let statement = connection.prepare(&format!("SELECT * FROM {name}")).unwrap();
        assert_eq!(statement.column_names().collect::<Vec<_>>().join(" "), expected, "{name}");
        assert!(PAGE.contains(&format!("`{name}")), "the page says what {name} is");
        for column in statement.column_names() {
            assert!(PAGE.contains(column), "the page says what {name}.{column} is");
        }
    };
    check(
        "orders",
        "id order_id idempotency_key status amount_cents created_at updated_at partition_key train travel_date class hold_id qty \
         from_index to_index seats expires_at cancel_reason provider_txn_id life slot seq",
    );
    check("payments", "id payment_id order_id provider_txn_id status created_at updated_at life slot seq");
    check("tickets", "id ticket_id order_id passenger_name seat_no created_at life slot seq");
    check(
        "refunds",
        "order_id provider_txn_id number amount_cents reason detail status reference created_at settled_at life slot seq left_at",
    );
    check("query_order_view", "order_id status amount_cents provider_txn_id seat_no updated_at");
    check(
        "order_history",
        "order_id time slot seq idx kind partition_key hold_id qty seats from_index to_index reason trace_id life",
    );
    check(
        "run_history",
        "run train travel_date class time slot seq idx kind partition_key hold_id order_id qty seats from_index to_index reason \
         trace_id life",
    );
}

/// What the views make of what is kept.
#[test]
fn views() {
    let history = history();
    let filled = Filled::of(&history.world.log);
    let order = text(&history.orders()[0].to_string());
    let seats = || text("05-1A,05-1C");
    let check = |sql: &str, expected: &[&[Value]]| assert_eq!(rows(&filled, sql), expected, "{sql}");
    check(
        "SELECT order_id, status, created_at = updated_at FROM payments",
        &[&[order.clone(), text("SUCCESS"), 1.into()]],
    );
    check("SELECT order_id, passenger_name, seat_no FROM tickets", &[&[order.clone(), seats(), seats()]]);
    check(
        "SELECT status, seat_no FROM query_order_view ORDER BY status",
        &[&[text("CANCELLED"), Value::Null], &[text("RESERVED"), Value::Null], &[text("TICKETED"), seats()]],
    );
    check(
        "SELECT DISTINCT run, train, travel_date, class, partition_key, hold_id = order_id FROM run_history",
        &[&[
            text("G1|2026-02-11"),
            text("G1"),
            text("2026-02-11"),
            text("2nd"),
            text("G1|2026-02-11|2nd"),
            1.into(),
        ]],
    );
    // An order that holds nothing yet has no hold.
    check(
        "SELECT count(*), count(hold_id) FROM order_history WHERE kind = 'order_created'",
        &[&[3.into(), 0.into()]],
    );
    // Histories and rows say one time in the same words.
    check(
        "SELECT count(*) FROM order_history JOIN orders USING (order_id) WHERE kind = 'order_created' AND time = created_at",
        &[&[3.into()]],
    );
}
