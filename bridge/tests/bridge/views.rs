//! Whatever happens, and however it gets there: the read model says of an order and of histories what the engine has recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use bridge::sink::{Batch, Sink};
use engine::ids::{HoldId, OrderId, PartitionKey, SlotId};
use engine::read_model::{HistoryPosition, HistoryQuestion, OrdersQuestion, Subject};
use engine::record::{self, Body, HoldRow, Record};
use engine::state::Slot;
use engine::status::{HoldStatus, OrderStatus, RefundReason};
use engine::text::Text;
use proptest::prelude::*;
use proptest::test_runner::Config;
use rusqlite::Connection;

use crate::ops::{self, Op};
use crate::samples;
use crate::support::{Filled, History, batch, cursor, engine_view, names};

const PAGE: usize = 3;

proptest! {
    #![proptest_config(Config { cases: 60, failure_persistence: None, ..Config::default() })]

    #[test]
    fn followed_from_the_beginning(
        ops in prop::collection::vec((ops::op(), prop::bool::weighted(0.1)), 1..120),
        batch_size in 1..40usize,
    ) {
        let (mut history, mut filled) = (History::new(), Filled::new());
        for (op, look) in &ops {
            history.step(op);
            if *look {
                assert_same_views(&mut history, &mut filled, batch_size);
            }
        }
        history.world.later(1_000);
        assert_same_views(&mut history, &mut filled, batch_size);
        assert_same_histories(&history, &mut filled);
    }

    /// An order that changes several times in one batch has one statement; in the end nobody sees which batches there were.
    #[test]
    fn batches_of_any_size_write_the_same(
        ops in prop::collection::vec(ops::op(), 1..80),
        batch_size in 2..60usize,
    ) {
        let mut history = History::new();
        ops.iter().for_each(|op| history.step(op));
        history.world.later(1_000);
        let (mut one_by_one, mut together) = (Filled::new(), Filled::new());
        one_by_one.follow(&history.world.log, 1);
        together.follow(&history.world.log, batch_size);
        prop_assert_eq!(together.rows(), one_by_one.rows());
    }

    /// Slots are copied at two moments while the world goes on, and then every record comes from the beginning.
    #[test]
    fn copied_and_repeated(
        before in prop::collection::vec(ops::op(), 1..60),
        between in prop::collection::vec(ops::op(), 0..20),
        after in prop::collection::vec(ops::op(), 0..40),
        batch_size in 1..40usize,
    ) {
        let mut history = History::new();
        let run = |history: &mut History, ops: &[Op]| ops.iter().for_each(|op| history.step(op));
        run(&mut history, &before);
        let (first, at) = (images(&history, |slot| slot.get() % 2 == 0), history.world.log.len());
        run(&mut history, &between);
        let second = images(&history, |slot| slot.get() % 2 == 1);
        run(&mut history, &after);
        history.world.later(50);

        let mut filled = Filled::of(&history.world.log);
        copy(&mut filled, first.iter().chain(&second), at);
        assert_same_views(&mut history, &mut filled, batch_size);

        filled.written = 0;
        assert_same_views(&mut history, &mut filled, batch_size);
        // Every record has come: the copy has taken none of their histories away.
        assert_same_histories(&history, &mut filled);
    }
}

proptest! {
    #![proptest_config(Config { cases: 20, failure_persistence: None, ..Config::default() })]

    /// What was copied never goes back, however much of what came before it is repeated.
    #[test]
    fn older_records_change_nothing(
        ops in prop::collection::vec(ops::op(), 1..60),
        batch_size in 1..10usize,
    ) {
        let mut history = History::new();
        ops.iter().for_each(|op| history.step(op));
        let orders = history.orders();
        // Asking may record something: asked twice, it is all there.
        orders.iter().for_each(|order| drop(engine_view(&mut history.world, *order)));
        let views: Vec<_> = orders.iter().map(|order| engine_view(&mut history.world, *order)).collect();
        let slots = images(&history, |_| true);

        let (mut filled, mut followed) = (Filled::new(), Filled::new());
        copy(&mut filled, slots.iter(), 0);
        followed.follow(&history.world.log, batch_size);
        prop_assert_eq!(ids(&filled), ids(&followed));
        for records in history.world.log.chunks(batch_size) {
            filled.model.write(&batch(records), &cursor(1)).unwrap();
            for (order, view) in orders.iter().zip(&views) {
                prop_assert_eq!(&filled.order(*order), view);
            }
        }
    }
}

/// The orders with the ids of their payments and tickets.
fn ids(filled: &Filled) -> BTreeSet<(String, String)> {
    let connection = Connection::open(filled.reader.path()).unwrap();
    let sql = "SELECT order_id, payment_id FROM payments UNION SELECT order_id, ticket_id FROM tickets";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn images(history: &History, which: impl Fn(SlotId) -> bool) -> Vec<Slot> {
    let slots = history.world.slots().filter(|slot| which(slot.id()));
    let image = |slot: &Slot| {
        let mut bytes = Vec::new();
        slot.encode(&mut bytes);
        Slot::decode(&bytes).unwrap()
    };
    slots.map(image).collect()
}

/// What it had goes; what is in the slots comes, and the log is followed from its record `at` on.
fn copy<'a>(filled: &mut Filled, slots: impl Iterator<Item = &'a Slot>, at: usize) {
    filled.model.begin_copy().unwrap();
    for slot in slots {
        filled.model.copy_slot(slot, crate::support::LIFE).unwrap();
    }
    filled.model.end_copy(&cursor(at as u64)).unwrap();
    filled.written = at;
}

#[track_caller]
fn assert_same_views(history: &mut History, filled: &mut Filled, batch_size: usize) {
    // Asking after an order may find out that its hold has expired, which is then recorded.
    for order in history.orders() {
        engine_view(&mut history.world, order);
    }
    filled.follow(&history.world.log, batch_size);
    let recorded = history.world.log.len();
    for order in history.orders() {
        let expected = engine_view(&mut history.world, order);
        assert_eq!(filled.order(order), expected, "{order:?}");
    }
    assert_eq!(history.world.log.len(), recorded);
}

#[track_caller]
fn assert_same_histories(history: &History, filled: &mut Filled) {
    let log = &history.world.log;
    for order in history.orders() {
        let expected = expected(log, |entry| entry.order == Some(order));
        assert_eq!(read(filled, &Subject::Order(order)), expected, "{order:?}");
    }
    let run = Subject::Run { train: "G1".into(), date: "2026-02-11".into() };
    let expected = expected(log, |entry| {
        entry.run == Some("G1|2026-02-11") && (entry.order.is_some() || entry.kind == "hold_confirmed")
    });
    assert_eq!(read(filled, &run), expected);
}

/// What an event says, as a text.
type Event = (HistoryPosition, String);

/// All pages of a history, in small ones.
fn read(filled: &mut Filled, subject: &Subject) -> Vec<Event> {
    let mut events = Vec::new();
    let mut after = None;
    loop {
        let page = filled.history(HistoryQuestion { subject: subject.clone(), after, limit: PAGE });
        assert!(page.events.len() <= PAGE);
        events.extend(page.events.iter().map(|e| {
            let hold = e.partition.as_ref().zip(e.hold.as_ref());
            (e.position, said(e.kind.as_str(), e.order, hold, e.quantity, &e.seats))
        }));
        match page.next {
            Some(next) => after = Some(next),
            None => return events,
        }
    }
}

fn said(
    kind: &str,
    order: Option<OrderId>,
    hold: Option<(&PartitionKey, &HoldId)>,
    quantity: Option<u32>,
    seats: &[Text],
) -> String {
    format!("{kind} {order:?} {hold:?} {quantity:?} {seats:?}")
}

struct Entry<'a> {
    kind: &'static str,
    order: Option<OrderId>,
    /// Of a record of a partition.
    run: Option<&'a str>,
    said: String,
}

fn expected(log: &[Rc<Record>], wanted: impl Fn(&Entry<'_>) -> bool) -> Vec<Event> {
    let mut events = Vec::new();
    for record in log {
        for (index, entry) in (0..).zip(entries(record)) {
            if wanted(&entry) {
                let Record { time, slot, seq, .. } = **record;
                events.push((HistoryPosition { time, slot, seq, index }, entry.said));
            }
        }
    }
    events.sort();
    events
}

fn entries(record: &Record) -> Vec<Entry<'_>> {
    let kind = record.body.kind().wire_name();
    let of_hold = |row: &HoldRow| {
        said(kind, row.owner, Some((&row.partition, &row.hold)), Some(row.quantity), &row.labels)
    };
    match &record.body {
        Body::HoldMade(row) | Body::HoldAdopted(row) | Body::HoldConfirmed(row) | Body::HoldReleased(row) => {
            vec![Entry { kind, order: row.owner, run: row.partition.run(), said: of_hold(row) }]
        }
        Body::HoldsExpired(rows) => rows
            .iter()
            .map(|row| &row.hold)
            .map(|row| Entry { kind, order: row.owner, run: row.partition.run(), said: of_hold(row) })
            .collect(),
        Body::PurchaseMade(row) | Body::PurchasePaid(row) | Body::PurchaseCancelled(row) => {
            let hold = &row.hold;
            vec![Entry { kind, order: hold.owner, run: hold.partition.run(), said: of_hold(hold) }]
        }
        Body::OrderCreated(row)
        | Body::OrderReserved(row)
        | Body::OrderPaid(row)
        | Body::OrderTicketed(row)
        | Body::OrderCancelled(row) => {
            let order = Some(row.order);
            let said = match &row.reservation {
                Some(r) => said(kind, order, Some((&r.partition, &r.hold)), Some(r.quantity), &r.labels),
                None => said(kind, order, None, None, &[]),
            };
            vec![Entry { kind, order, run: None, said }]
        }
        Body::RefundOwed(row) | Body::RefundSettled(row) if row.reason != RefundReason::Unmatched => {
            let order = OrderId::parse(row.order.as_str());
            vec![Entry { kind, order, run: None, said: said(kind, order, None, None, &[]) }]
        }
        _ => vec![],
    }
}

/// One core's log is read before the other's: the events of a hold may come before the order that owns it. Until then there is no order.
#[test]
fn a_hold_before_its_order() {
    let mut history = History::new();
    let (order, quantity, span) = (0, 2, None);
    history.step(&Op::Create { order, amount: 1 });
    history.step(&Op::Reserve {
        order,
        place: ops::Place::Run,
        hold: ops::HoldName::Own(order),
        quantity,
        span,
    });
    let who = ops::Who::Order(order);
    history.step(&Op::Pay { who, txn: 0, verified: true, named: None });
    history.world.later(10);
    let id = history.orders()[order];
    let log = &history.world.log;
    let (of_order, others): (Vec<_>, Vec<_>) = log.iter().partition(|record| record.slot == id.slot());
    assert!(others.iter().any(|record| matches!(record.body, Body::HoldMade(_))));

    let mut filled = Filled::new();
    filled.model.write(&batch(others), &cursor(1)).unwrap();
    assert_eq!(filled.order(id), None);
    assert_eq!(filled.orders(&OrdersQuestion { limit: 10, ..OrdersQuestion::default() }).orders, []);
    // In two batches, so that the second has to find what the first has added.
    filled.model.write(&batch(of_order[..1].iter().copied()), &cursor(2)).unwrap();
    filled.model.write(&batch(of_order[1..].iter().copied()), &cursor(3)).unwrap();

    let view = engine_view(&mut history.world, id);
    assert_eq!(view.as_ref().map(|view| view.status), Some(OrderStatus::Ticketed));
    assert_eq!(filled.order(id), view);
    assert_same_histories(&history, &mut filled);
}

/// A partition's key that looks like `train|date` is no run.
#[test]
fn a_key_that_looks_like_a_run() {
    let mut filled = Filled::new();
    let mut row = samples::hold_row(HoldStatus::Confirmed, None);
    row.partition = names::partition("G1|2026-02-11");
    let records = vec![samples::record(Body::HoldConfirmed(row))];
    filled.model.write(&Batch { life: crate::support::LIFE, records }, &cursor(1)).unwrap();
    let run = Subject::Run { train: "G1".into(), date: "2026-02-11".into() };
    assert_eq!(read(&mut filled, &run), []);
}

/// A row of another life is left alone by what follows; only a copy replaces it.
#[test]
fn another_life_replaces_nothing() {
    let mut history = History::new();
    history.step(&Op::Create { order: 0, amount: 1 });
    history.step(&Op::Cancel { order: 0, named: None });
    let order = history.orders()[0];
    let mut filled = Filled::of(&history.world.log[..1]);
    let before = filled.order(order);
    assert!(before.is_some());

    let mut other = batch(&history.world.log[1..]);
    other.life = 7;
    filled.model.write(&other, &cursor(2)).unwrap();
    assert_eq!(filled.order(order), before);

    let slots = images(&history, |_| true);
    copy(&mut filled, slots.iter(), 2);
    assert_eq!(filled.order(order), engine_view(&mut history.world, order));
    assert_ne!(filled.order(order), before);
}

/// The histories above do come to everything that has rows: otherwise they would prove little.
#[test]
fn histories_are_rich() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<(&str, bool), usize> = BTreeMap::new();
    for _ in 0..200 {
        let ops = prop::collection::vec(ops::op(), 60..120).new_tree(&mut runner).unwrap().current();
        let mut history = History::new();
        ops.iter().for_each(|op| history.step(op));
        for entry in history.world.log.iter().flat_map(|record| entries(record)) {
            *seen.entry((entry.kind, entry.order.is_some())).or_default() += 1;
        }
    }
    let wanted = [
        "hold_made",
        "hold_adopted",
        "hold_confirmed",
        "hold_released",
        "holds_expired",
        "order_created",
        "order_reserved",
        "order_paid",
        "order_ticketed",
        "order_cancelled",
        "refund_owed",
        "refund_settled",
        "purchase_made",
        "purchase_paid",
        "purchase_cancelled",
    ];
    let missing: Vec<_> =
        wanted.iter().filter(|kind| seen.get(&(**kind, true)).is_none_or(|count| *count < 5)).collect();
    assert!(missing.is_empty(), "{missing:?} of {seen:?}");
    assert!(seen[&("hold_confirmed", false)] > 5 && seen[&("holds_expired", false)] > 5, "{seen:?}");
}

/// A slot with more rows than go into one transaction, which ends between the row of an order and its ticket.
#[test]
fn a_copy_in_several_transactions() {
    const ORDERS: u64 = 7_000;
    let mut slot = Slot::new(SlotId::new(7));
    for nth in 0..ORDERS {
        let of = |status| record::OrderRow {
            order: OrderId::new(SlotId::new(7), u128::from(nth) << 12),
            key: engine::ids::OrderKey::Plain(names::key(&format!("k-{nth}"))),
            txn: (status != OrderStatus::Init).then(|| names::txn(&format!("p-{nth}"))),
            ..samples::order_row(status)
        };
        let bodies =
            [Body::OrderCreated(of(OrderStatus::Init)), Body::OrderTicketed(of(OrderStatus::Ticketed))];
        for body in bodies {
            let seq = slot.seq() + 1;
            slot.apply(&Record { seq, ..samples::record(body) }, &mut Vec::new());
        }
    }
    let mut filled = Filled::new();
    copy(&mut filled, [&slot].into_iter(), 0);
    let connection = Connection::open(filled.reader.path()).unwrap();
    let count = |view: &str| -> i64 {
        connection.query_row(&format!("SELECT count(*) FROM {view}"), [], |row| row.get(0)).unwrap()
    };
    assert_eq!(["orders", "payments", "tickets"].map(count), [ORDERS as i64; 3]);
}
