//! Orders: what the engine is asked, and how they are shown.

use engine::Span;
use engine::answer::{Answer, CancelReason, OrderStatus, RefundStatus};
use engine::command::Command;
use engine::ids::TxnId;
use net::Service;

use crate::common::client::Client;
use crate::common::{Server, samples};

fn show(order: engine::answer::OrderView) -> (String, serde_json::Value) {
    let server = Server::start();
    server.script.reply(Ok(Answer::Order(Box::new(order))));
    let mut client = Client::connect(&server, Service::Gateway);
    let order = client.get(&format!("/orders/get?order_id={}", samples::ORDER));
    let view = client.get(&format!("/query/orders?order_id={}", samples::ORDER));
    assert_eq!((order.status, view.status), (200, 200));
    (order.body, view.json())
}

#[test]
fn a_new_order_has_the_fields_of_old() {
    let (order, view) = show(samples::order(OrderStatus::Init));
    let expected = concat!(
        r#"{"OrderID":"00512345-6789-8bcd-af01-23456789abcd","IdempotencyKey":"key","Status":"INIT","#,
        r#""AmountCents":12300,"CreatedAt":"2026-02-11T08:10:06.007Z","UpdatedAt":"2026-02-11T08:10:07.007Z"}"#,
    );
    assert_eq!(order, expected);
    let expected = serde_json::json!({
        "order_id": samples::ORDER,
        "status": "INIT",
        "amount_cents": 12300,
        "updated_at": "2026-02-11T08:10:07.007Z",
    });
    assert_eq!(view, expected);
}

#[test]
fn a_reserved_order_shows_its_reservation_until_when() {
    let (order, view) = show(samples::order(OrderStatus::Reserved));
    let rest = concat!(
        r#""PartitionKey":"G123|2026-02-11|2nd","HoldID":"00512345-6789-8bcd-af01-23456789abcd","Qty":2,"#,
        r#""FromIndex":0,"ToIndex":3,"Seats":["05-12A","05-12B"],"ExpiresAt":"2026-02-11T08:10:06.007Z"}"#,
    );
    assert!(order.contains(r#""Status":"RESERVED""#) && order.ends_with(rest), "{order}");
    assert_eq!(view.get("seat_no"), None, "a held seat is no ticket");
}

#[test]
fn a_ticketed_order_shows_its_seats_in_both_ways() {
    let mut ticketed = samples::order(OrderStatus::Ticketed);
    ticketed.txn = Some(TxnId::parse("t-1").unwrap());
    let (order, view) = show(ticketed);
    assert!(order.ends_with(r#""Seats":["05-12A","05-12B"],"ProviderTxnID":"t-1"}"#), "{order}");
    assert_eq!(view["seat_no"], "05-12A,05-12B");
    assert_eq!(view["seats"], serde_json::json!(["05-12A", "05-12B"]));
    assert_eq!(view["provider_txn_id"], "t-1");
}

#[test]
fn a_cancelled_order_says_why_and_what_is_owed() {
    for (reason, shown) in [
        (CancelReason::Requested, "requested"),
        (CancelReason::HoldExpired, "hold_expired"),
        (CancelReason::Abandoned, "abandoned"),
    ] {
        let mut cancelled = samples::order(OrderStatus::Cancelled);
        cancelled.cancel_reason = Some(reason);
        cancelled.refund = Some(RefundStatus::Required);
        let (order, _) = show(cancelled);
        assert!(order.ends_with(&format!(r#""CancelReason":"{shown}","Refund":"required"}}"#)), "{order}");
    }
}

#[test]
fn orders_are_created_with_fresh_entropy() {
    let server = Server::start();
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Init)))));
    let mut client = Client::connect(&server, Service::Orders);
    let reply = client.post("/orders", r#"{"idempotency_key":"k 1","amount_cents":9223372036854775807}"#);
    assert_eq!(reply.status, 200);
    let Command::CreateOrder(create) = server.script.command() else { panic!("another command") };
    assert_eq!((create.key.as_str(), create.amount.0), ("k 1", i64::MAX));
    assert_ne!(create.entropy, 0);
}

#[test]
fn a_reservation_that_names_nothing_goes_by_the_defaults() {
    let server = Server::start();
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Reserved)))));
    let mut client = Client::connect(&server, Service::Orders);
    let zeros = r#","partition_key":"  ","hold_id":"","qty":0,"capacity":0"#;
    for rest in ["", zeros, r#","qty":-0,"capacity":-0"#, r#","hold_id":null"#] {
        let body = format!(r#"{{"order_id":" {}\t"{rest}}}"#, samples::ORDER);
        assert_eq!(client.post("/orders/reserve", &body).status, 200, "{body}");
        let Command::Reserve(reserve) = server.script.command() else { panic!("another command") };
        assert_eq!(reserve.order, samples::order_id());
        assert_eq!(reserve.seats.partition.as_str(), samples::DEFAULT_PARTITION);
        assert_eq!(reserve.seats.hold.as_str(), samples::ORDER, "the hold is named after its order");
        assert_eq!((reserve.seats.quantity, reserve.seats.span), (1, None));
        assert_eq!((reserve.seats.ad_hoc.capacity, reserve.seats.ad_hoc.segments), (500, 1));
    }
}

#[test]
fn a_reservation_may_name_everything_with_blanks_around_it() {
    let server = Server::start();
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Reserved)))));
    let mut client = Client::connect(&server, Service::Orders);
    let order = samples::ORDER;
    let body = format!(
        r#"{{"order_id":"{order}","partition_key":" p ","hold_id":"\nh","qty":2000,"capacity":7,"from_index":0,"to_index":2}}"#
    );
    assert_eq!(client.post("/orders/reserve", &body).status, 200);
    let Command::Reserve(reserve) = server.script.command() else { panic!("another command") };
    assert_eq!((reserve.seats.partition.as_str(), reserve.seats.hold.as_str()), ("p", "h"));
    assert_eq!(
        (reserve.seats.quantity, reserve.seats.span, reserve.seats.ad_hoc.capacity),
        (2000, Span::new(0, 2), 7)
    );
}

#[test]
fn a_cancellation_may_name_what_it_believes_is_held() {
    let server = Server::start();
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Cancelled)))));
    let mut client = Client::connect(&server, Service::Orders);
    let order = samples::ORDER;
    for (rest, named) in
        [("", (None, None)), (r#","partition_key":"p","hold_id":"h""#, (Some("p"), Some("h")))]
    {
        let body = format!(r#"{{"order_id":"{order}"{rest}}}"#);
        assert_eq!(client.post("/orders/cancel", &body).status, 200);
        let Command::Cancel(cancel) = server.script.command() else { panic!("another command") };
        let partition = cancel.expected.partition.as_ref().map(|key| key.as_str());
        let hold = cancel.expected.hold.as_ref().map(|id| id.as_str());
        assert_eq!((cancel.order, (partition, hold)), (samples::order_id(), named));
    }
}

#[test]
fn a_purchase_names_its_seats_and_may_say_how_long() {
    let server = Server::start();
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Reserved)))));
    let mut client = Client::connect(&server, Service::Gateway);
    let least = r#"{"key":"b 1","amount_cents":5,"partition_key":"p","qty":3"#;
    for (rest, span, capacity, ttl_ms) in [
        ("", None, 500, None),
        (r#","capacity":0,"from_index":null,"ttl_secs":null"#, None, 500, None),
        (r#","capacity":7,"from_index":1,"to_index":2,"ttl_secs":9"#, Span::new(1, 2), 7, Some(9_000)),
        (r#","ttl_secs":9223372036854775807"#, None, 500, Some(u64::MAX)),
    ] {
        assert_eq!(client.post("/v1/purchases", &format!("{least}{rest}}}")).status, 200, "{rest}");
        let Command::Purchase(purchase) = server.script.command() else { panic!("another command") };
        assert_eq!((purchase.key.as_str(), purchase.amount.0), ("b 1", 5));
        assert_eq!((purchase.partition.as_str(), purchase.quantity), ("p", 3));
        assert_eq!((purchase.span, purchase.ttl_ms), (span, ttl_ms));
        assert_eq!((purchase.ad_hoc.capacity, purchase.ad_hoc.segments), (capacity, 1));
        assert_ne!(purchase.entropy, 0);
    }
}
