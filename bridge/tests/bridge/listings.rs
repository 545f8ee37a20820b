//! Pages of orders, held against a list that is filtered and sorted the obvious way.

use bridge::read_model::ORDERS_PAGE_MAX;
use engine::answer::OrderView;
use engine::ids::{Cents, OrderId, PartitionKey, SlotId, Time};
use engine::read_model::{OrderPosition, OrdersQuestion};
use engine::record::{Body, OrderRow, Record, Reservation};
use engine::status::OrderStatus;
use engine::text::Text;
use proptest::prelude::*;
use proptest::test_runner::Config;
use testkit::views;

use crate::support::names::{key, partition, txn};
use crate::support::{Filled, LIFE, cursor};
use bridge::sink::{Batch, Sink};

/// Keys of runs, and two that look like them.
const PARTITIONS: [&str; 5] =
    ["G1|2026-02-11|2nd", "G1|2026-02-11|1st", "G1|2026-02-12|2nd", "G2|2026-02-11|2nd", "G1|2026-02-11"];

/// Few of everything, so that much is the same.
#[derive(Clone, Debug)]
struct Made {
    status: usize,
    created: u64,
    place: usize,
    key: usize,
    txn: usize,
}

fn made() -> impl Strategy<Value = Made> {
    (0..5usize, 0..6u64, 0..5usize, 0..3usize, 0..3usize)
        .prop_map(|(status, created, place, key, txn)| Made { status, created, place, key, txn })
}

const STATUSES: [OrderStatus; 5] = [
    OrderStatus::Init,
    OrderStatus::Reserved,
    OrderStatus::Paid,
    OrderStatus::Ticketed,
    OrderStatus::Cancelled,
];

fn row(nth: usize, made: &Made) -> OrderRow {
    let status = STATUSES[made.status];
    OrderRow {
        // The ids' order is not that of their making.
        order: OrderId::new(SlotId::new((nth as u16).wrapping_mul(1_031) % 4_096), (nth as u128) << 40),
        key: engine::ids::OrderKey::Plain(key(&format!("key-{}", made.key))),
        status,
        amount: Cents(nth as i64),
        created_at: Time(1_000 * made.created),
        abandon_at: Time(0),
        reservation: (status != OrderStatus::Init).then(|| Reservation {
            partition: partition(PARTITIONS[made.place]),
            hold: crate::support::names::hold("h"),
            made: 1,
            quantity: 1,
            from: 0,
            to: 2,
            segments: 2,
            capacity: 4,
            labels: vec![Text::from("1-1")],
            deadline: Time(7_000),
            ends_at: None,
        }),
        cancel_reason: None,
        txn: matches!(status, OrderStatus::Paid | OrderStatus::Ticketed)
            .then(|| txn(&format!("txn-{}", made.txn))),
    }
}

fn fill(rows: &[OrderRow]) -> Filled {
    let mut filled = Filled::new();
    let record = |(seq, row): (u64, &OrderRow)| Record {
        slot: row.order.slot(),
        seq,
        time: Time(50_000),
        trace: Text::from(""),
        body: Body::OrderReserved(row.clone()),
    };
    let records = (1..).zip(rows).map(record).collect();
    filled.model.write(&Batch { life: LIFE, records }, &cursor(1)).unwrap();
    filled
}

fn question() -> impl Strategy<Value = OrdersQuestion> {
    let train = prop::option::weighted(0.4, prop_oneof![3 => Just("G1"), 1 => Just("G2")]);
    let date = prop::option::weighted(0.4, prop_oneof![3 => Just("2026-02-11"), 1 => Just("2026-02-12")]);
    let class = prop::option::weighted(0.2, prop_oneof![Just("2nd"), Just("1st")]);
    let bound = || prop::option::weighted(0.3, (0..6_500u64).prop_map(Time));
    let few = || prop::option::weighted(0.2, 0..3usize);
    (
        (prop::option::weighted(0.3, 0..5usize), train, date, class),
        (few(), few(), bound(), bound()),
        1..5usize,
    )
        .prop_map(|((status, train, date, class), (key_of, txn_of, since, until), limit)| {
            OrdersQuestion {
                status: status.map(|status| STATUSES[status]),
                train: train.map(Text::from),
                date: date.map(Text::from),
                class: class.map(Text::from),
                key: key_of.map(|nth| key(&format!("key-{nth}"))),
                txn: txn_of.map(|nth| txn(&format!("txn-{nth}"))),
                since,
                until,
                after: None,
                limit,
            }
        })
}

fn is_wanted(view: &OrderView, question: &OrdersQuestion) -> bool {
    let parts = view.reservation.as_ref().and_then(|r| PartitionKey::parts(&r.partition));
    let is_part = |wanted: &Option<Text>, part: Option<&str>| {
        wanted.as_ref().is_none_or(|wanted| part == Some(wanted.as_str()))
    };
    is_part(&question.train, parts.map(|p| p.0))
        && is_part(&question.date, parts.map(|p| p.1))
        && is_part(&question.class, parts.map(|p| p.2))
        && question.status.is_none_or(|status| status == view.status)
        && question.key.as_ref().is_none_or(|key| *key == view.key)
        && question.txn.as_ref().is_none_or(|txn| view.txn.as_ref() == Some(txn))
        && question.since.is_none_or(|since| since <= view.created_at)
        && question.until.is_none_or(|until| view.created_at < until)
}

fn position(view: &OrderView) -> OrderPosition {
    OrderPosition { created_at: view.created_at, order: view.order }
}

proptest! {
    #![proptest_config(Config { cases: 40, failure_persistence: None, ..Config::default() })]

    #[test]
    fn pages(
        orders in prop::collection::vec(made(), 0..40),
        questions in prop::collection::vec(question(), 20),
    ) {
        let rows: Vec<OrderRow> = orders.iter().enumerate().map(|(nth, made)| row(nth, made)).collect();
        let mut filled = fill(&rows);
        for mut question in questions {
            let mut expected: Vec<OrderView> = rows.iter().map(|row| views::order(row, Time(50_000))).collect();
            expected.retain(|view| is_wanted(view, &question));
            expected.sort_by_key(position);

            let mut found = Vec::new();
            loop {
                let page = filled.orders(&question);
                prop_assert!(page.orders.len() <= question.limit);
                prop_assert_eq!(page.next.is_some(), found.len() + page.orders.len() < expected.len());
                found.extend(page.orders);
                if page.next.is_none() {
                    break;
                }
                question.after = page.next;
            }
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn limits_are_clamped() {
    let made = Made { status: 1, created: 1, place: 0, key: 0, txn: 0 };
    let rows: Vec<OrderRow> = (0..ORDERS_PAGE_MAX + 5).map(|nth| row(nth, &made)).collect();
    let mut filled = fill(&rows);
    let mut check = |limit, expected| {
        let page = filled.orders(&OrdersQuestion { limit, ..OrdersQuestion::default() });
        assert_eq!(page.orders.len(), expected, "{limit}");
        assert!(page.next.is_some());
    };
    check(0, 1);
    check(7, 7);
    check(usize::MAX, ORDERS_PAGE_MAX);
}
