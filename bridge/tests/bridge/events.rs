//! The envelopes of one record of each kind, byte by byte.

use bridge::events::of_record;
use engine::ids::OrderId;
use engine::record::{Body, ExpiredHold, HoldRow, OrderRow, PurchaseRow, RefundRow, TellId};
use engine::status::{HoldStatus, OrderStatus, RefundReason, ReleaseReason};

use crate::samples::{ORIGIN, OTHER, expired_hold, hold_row, order, order_row, record, refund};
use crate::support::names::txn;

/// Made with Python's `uuid.uuid5`: of the names `fedcba9876543210/7/12/0` and `.../1`.
const IDS: [&str; 2] = ["20ffeffe-bbb6-5391-b9f5-9fe4ee263f38", "e8a3048a-9f6b-52d0-b173-42f2e8ac69dd"];

/// Each expected event: its topic, its place in the record, and the rest of its envelope.
#[track_caller]
fn check(body: Body, expected: &[(&str, usize, &str)]) {
    let record = record(body);
    let events = of_record(ORIGIN, &record);
    let lines: Vec<String> =
        events.iter().map(|event| format!("{} {}", event.topic.wire_name(), event.to_json())).collect();
    let expected = expected.iter().map(|(topic, index, rest)| {
        let id = IDS[*index];
        format!("{topic} {{\"event_id\":\"{id}\",{rest}}}")
    });
    assert_eq!(lines, expected.collect::<Vec<_>>());
    assert_eq!(of_record(ORIGIN, &record.clone()), events);
}

#[test]
fn orders() {
    use OrderStatus::{Cancelled, Init, Paid, Reserved, Ticketed};
    let topic = "order.events";
    check(
        Body::OrderCreated(order_row(Init)),
        &[(
            topic,
            0,
            r#""aggregate_id":"00712345-0000-8000-8000-000000000001","event_type":"OrderCreated","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"order_id":"00712345-0000-8000-8000-000000000001","idempotency_key":"k","status":"INIT","amount_cents":100}"#,
        )],
    );
    check(
        Body::OrderReserved(order_row(Reserved)),
        &[(
            topic,
            0,
            r#""aggregate_id":"00712345-0000-8000-8000-000000000001","event_type":"OrderReserved","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"order_id":"00712345-0000-8000-8000-000000000001","status":"RESERVED","partition_key":"G1|2026-02-11|2nd","hold_id":"h","hold_qty":2}"#,
        )],
    );
    check(
        Body::OrderPaid(order_row(Paid)),
        &[(
            topic,
            0,
            r#""aggregate_id":"00712345-0000-8000-8000-000000000001","event_type":"OrderPaid","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"order_id":"00712345-0000-8000-8000-000000000001","provider_txn_id":"p-1","partition_key":"G1|2026-02-11|2nd","hold_id":"h","status":"PAID"}"#,
        )],
    );
    check(
        Body::OrderCancelled(order_row(Cancelled)),
        &[(
            topic,
            0,
            r#""aggregate_id":"00712345-0000-8000-8000-000000000001","event_type":"OrderCancelled","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"order_id":"00712345-0000-8000-8000-000000000001","partition_key":"G1|2026-02-11|2nd","hold_id":"h","status":"CANCELLED"}"#,
        )],
    );
    check(
        Body::OrderTicketed(order_row(Ticketed)),
        &[(
            "ticket.events",
            0,
            r#""aggregate_id":"00712345-0000-8000-8000-000000000001","event_type":"TicketIssued","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"order_id":"00712345-0000-8000-8000-000000000001","seat_no":"05-1A,05-1C","seats":["05-1A","05-1C"]}"#,
        )],
    );
    let dropped = OrderRow { reservation: None, ..order_row(Cancelled) };
    let other = OrderRow { order: OrderId::parse(OTHER).unwrap(), ..dropped.clone() };
    check(
        Body::OrdersAbandoned(vec![dropped, other]),
        &[
            (
                topic,
                0,
                r#""aggregate_id":"00712345-0000-8000-8000-000000000001","event_type":"OrderCancelled","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"order_id":"00712345-0000-8000-8000-000000000001","status":"CANCELLED"}"#,
            ),
            (
                topic,
                1,
                r#""aggregate_id":"00712345-0000-8000-8000-000000000002","event_type":"OrderCancelled","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"order_id":"00712345-0000-8000-8000-000000000002","status":"CANCELLED"}"#,
            ),
        ],
    );
}

#[test]
fn refunds() {
    let stranger = "an \"odd\" id";
    check(
        Body::RefundOwed(refund(crate::samples::ID, RefundReason::AlreadyPaid, false)),
        &[(
            "order.events",
            0,
            r#""aggregate_id":"00712345-0000-8000-8000-000000000001","event_type":"OrderRefundRequired","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"order_id":"00712345-0000-8000-8000-000000000001","provider_txn_id":"p-2","amount_cents":100,"reason":"already_paid"}"#,
        )],
    );
    check(
        Body::RefundOwed(RefundRow { amount: None, ..refund(stranger, RefundReason::Unmatched, false) }),
        &[(
            "order.events",
            0,
            r#""aggregate_id":"an \"odd\" id","event_type":"OrderRefundRequired","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"order_id":"an \"odd\" id","provider_txn_id":"p-2","reason":"unmatched"}"#,
        )],
    );
}

/// Every hold has them, owned or not.
#[test]
fn holds() {
    use HoldStatus::{Confirmed, Held, Released};
    let topic = "inventory.events";
    for owner in [None, Some(order())] {
        check(
            Body::HoldMade(hold_row(Held, owner)),
            &[(
                topic,
                0,
                r#""aggregate_id":"G1|2026-02-11|2nd","event_type":"hold_created","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"hold_id":"h","qty":2,"capacity":6,"partition_key":"G1|2026-02-11|2nd","seq":2,"seats":["05-1A","05-1C"],"from_index":0,"to_index":3}"#,
            )],
        );
        check(
            Body::HoldConfirmed(hold_row(Confirmed, owner)),
            &[(
                topic,
                0,
                r#""aggregate_id":"G1|2026-02-11|2nd","event_type":"hold_confirmed","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"hold_id":"h","qty":2,"partition_key":"G1|2026-02-11|2nd","seq":2,"seats":["05-1A","05-1C"],"from_index":0,"to_index":3}"#,
            )],
        );
        let released = hold_row(Released, owner);
        let declined = HoldRow { release_reason: Some(ReleaseReason::Declined), ..released.clone() };
        for (row, reason) in [(released, "requested"), (declined, "declined")] {
            let rest = r#""aggregate_id":"G1|2026-02-11|2nd","event_type":"hold_released","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"hold_id":"h","qty":2,"partition_key":"G1|2026-02-11|2nd","seq":2,"seats":["05-1A","05-1C"],"from_index":0,"to_index":3,"reason":"REASON"}"#;
            check(Body::HoldReleased(row), &[(topic, 0, &rest.replace("REASON", reason))]);
        }
    }
    let expired = r#""aggregate_id":"G1|2026-02-11|2nd","event_type":"hold_released","occurred_at":"1970-01-01T00:00:05.000Z","payload":{"hold_id":"h","qty":2,"partition_key":"G1|2026-02-11|2nd","seq":2,"seats":["05-1A","05-1C"],"from_index":0,"to_index":3,"reason":"expired"}"#;
    let rows = vec![expired_hold(None), expired_hold(Some(order()))];
    check(Body::HoldsExpired(rows), &[(topic, 0, expired), (topic, 1, expired)]);
}

/// The events of a hold and of an order, which are those of two records else.
#[test]
fn purchases() {
    let of = |status, order_status| {
        let hold = HoldRow { txn: Some(txn("p-1")), ..hold_row(status, Some(order())) };
        Box::new(PurchaseRow { order: order_row(order_status), hold })
    };
    let types = |body: Body| -> Vec<(String, String, String)> {
        let record = record(body);
        let events = of_record(ORIGIN, &record);
        let ids: std::collections::BTreeSet<_> = events.iter().map(|event| event.event_id.clone()).collect();
        assert_eq!(ids.len(), events.len(), "each its own id");
        let said = |event: &serde_json::Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        let json = events.iter().map(|event| serde_json::to_value(event).unwrap());
        json.map(|event| {
            let status = said(&event["payload"], "status");
            (said(&event, "event_type"), said(&event, "aggregate_id"), status)
        })
        .collect()
    };
    let event = |kind: &str, of: &str, status: &str| (kind.to_owned(), of.to_owned(), status.to_owned());
    let (run, id) = ("G1|2026-02-11|2nd", crate::samples::ID);
    assert_eq!(
        types(Body::PurchaseMade(of(HoldStatus::Held, OrderStatus::Reserved))),
        [
            event("hold_created", run, ""),
            event("OrderCreated", id, "INIT"),
            event("OrderReserved", id, "RESERVED"),
        ]
    );
    assert_eq!(
        types(Body::PurchasePaid(of(HoldStatus::Confirmed, OrderStatus::Paid))),
        [event("hold_confirmed", run, ""), event("OrderPaid", id, "PAID")]
    );
    assert_eq!(
        types(Body::PurchaseCancelled(of(HoldStatus::Released, OrderStatus::Cancelled))),
        [event("hold_released", run, ""), event("OrderCancelled", id, "CANCELLED")]
    );
    let expired = |purchase| ExpiredHold { hold: hold_row(HoldStatus::Expired, Some(order())), purchase };
    let cancelled = Box::new(order_row(OrderStatus::Cancelled));
    assert_eq!(
        types(Body::HoldsExpired(vec![expired(None), expired(Some(cancelled)), expired(None)])),
        [
            event("hold_released", run, ""),
            event("hold_released", run, ""),
            event("OrderCancelled", id, "CANCELLED"),
            event("hold_released", run, ""),
        ]
    );
}

#[test]
fn what_has_no_event() {
    check(Body::HoldAdopted(hold_row(HoldStatus::Held, Some(order()))), &[]);
    check(Body::RefundSettled(refund("o", RefundReason::AlreadyPaid, true)), &[]);
    check(Body::TxnClaimed { txn: txn("p-1"), order: order(), goes_back: None }, &[]);
    check(Body::TellsAcked { tells: vec![TellId(1)] }, &[]);
}
