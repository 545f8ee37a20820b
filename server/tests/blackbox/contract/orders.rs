//! Orders: fields, defaults, replays, and repeats with other contents.

use serde_json::{Value, json};

use super::shared;
use crate::support::Port;
use crate::support::session::{number, text, texts};
use crate::support::time::{now_ms, rfc3339_ms};

/// Catches: a field renamed, missing or of another type; a time that is none; a field shown before it means anything.
#[test]
fn an_order_has_the_contracts_fields() {
    let server = shared();
    let mut session = server.session();
    let before = now_ms() as i64;
    let order = session.create("fields", 12_345);
    let id = text(&order, "OrderID").to_owned();
    assert!(!id.is_empty() && id.len() <= 64, "{id}");
    assert_eq!(order["IdempotencyKey"], "fields");
    assert_eq!(order["Status"], "INIT");
    assert_eq!(order["AmountCents"], 12_345);
    let created = rfc3339_ms(text(&order, "CreatedAt"));
    assert!((created - before).abs() < 60_000, "created at {created}, asked at {before}");
    assert_eq!(order["UpdatedAt"], order["CreatedAt"]);
    for later in ["PartitionKey", "HoldID", "Seats", "ExpiresAt", "CancelReason", "ProviderTxnID", "Refund"] {
        assert!(order.get(later).is_none(), "{later} means nothing yet: {order}");
    }

    let reserved = session.reserve(&json!({"order_id": id, "partition_key": "fields", "qty": 2})).ok();
    assert_eq!(reserved["CreatedAt"], order["CreatedAt"]);
    assert!(rfc3339_ms(text(&reserved, "UpdatedAt")) >= created);
    assert_eq!((&reserved["PartitionKey"], &reserved["HoldID"]), (&json!("fields"), &json!(id)));
    assert_eq!(
        (&reserved["Qty"], &reserved["FromIndex"], &reserved["ToIndex"]),
        (&json!(2), &json!(0), &json!(1))
    );
    assert_eq!(texts(&reserved, "Seats").len(), 2);
    let life = rfc3339_ms(text(&reserved, "ExpiresAt")) - rfc3339_ms(text(&reserved, "UpdatedAt"));
    assert!((100_000..=121_000).contains(&life), "INVENTORY_HOLD_TTL_SECS is 120 by default, not {life} ms");

    assert_eq!(session.order(&id), reserved, "a read shows what the write answered");
    session.pay(&id, "fields").ok();
    let ticketed = session.until_ticketed(&id);
    assert_eq!(ticketed["ProviderTxnID"], "fields");
    assert_eq!(ticketed["Seats"], reserved["Seats"]);
    assert!(ticketed.get("CancelReason").is_none() && ticketed.get("Refund").is_none(), "{ticketed}");

    let other = text(&session.reserved("fields-cancelled", "fields", 1), "OrderID").to_owned();
    let cancelled = session.cancel(&other).ok();
    assert_eq!(cancelled["Status"], "CANCELLED");
    assert_eq!(cancelled["CancelReason"], "requested");
}

/// Catches: a view without its fields, seats before they are sold, and another shape than the order's.
#[test]
fn the_query_port_shows_orders() {
    let server = shared();
    let mut session = server.session();
    let id = session.new_order("view");
    let view = session.view(&id);
    assert_eq!((&view["order_id"], &view["status"]), (&json!(id), &json!("INIT")));
    assert_eq!(view["amount_cents"], 10_000);
    rfc3339_ms(text(&view, "updated_at"));
    for later in ["provider_txn_id", "seat_no"] {
        assert!(view.get(later).is_none(), "{later} means nothing yet: {view}");
    }
    session.get(Port::Query, "/query/orders?order_id=nobody").refused(404, "order view not found");
    session.get(Port::Query, "/query/orders").refused(400, "");
}

/// Catches: `{"order_id"}` alone not enough to reserve; another default partition, quantity, hold or capacity; a
/// quantity of 0 refused; blanks around ids not trimmed by reserve.
#[test]
fn reserve_fills_in_what_is_absent() {
    let server = shared();
    let mut session = server.session();
    let default = "G123|2026-02-11|2nd";
    let id = session.new_order("defaults");
    let order = session.reserve(&json!({"order_id": id})).ok();
    assert_eq!(order["PartitionKey"], default);
    assert_eq!(order["HoldID"], id.as_str());
    assert_eq!(order["Qty"], 1);
    assert_eq!(session.available(default), 499, "500 seats where orders open the partition");

    let zero = session.new_order("defaults-zero");
    let body = json!({
        "order_id": zero, "partition_key": "zero", "hold_id": null, "qty": 0, "capacity": 0, "unknown": [1]
    });
    assert_eq!(session.reserve(&body).ok()["Qty"], 1);
    assert_eq!(session.available("zero"), 499);

    let blank = session.new_order("defaults-blank");
    let body = json!({"order_id": format!(" {blank}\t"), "partition_key": " blank ", "hold_id": "\nmine "});
    let order = session.reserve(&body).ok();
    assert_eq!((&order["PartitionKey"], &order["HoldID"]), (&json!("blank"), &json!("mine")));

    let named = session.new_order("defaults-capacity");
    session.reserve(&json!({"order_id": named, "partition_key": "seven", "qty": 2, "capacity": 7})).ok();
    assert_eq!(session.available("seven"), 5, "the first caller's capacity");
    let second = session.new_order("defaults-capacity-2");
    session.reserve(&json!({"order_id": second, "partition_key": "seven", "qty": 2, "capacity": 70})).ok();
    assert_eq!(session.available("seven"), 3, "only the first caller's capacity");
}

/// Catches: a repeat that does something, answers otherwise than the first time, or is refused.
#[test]
fn every_write_of_an_order_can_be_repeated() {
    let server = shared();
    for (mut session, name) in [(server.session(), "replay-services"), (server.gateway(), "replay-gateway")] {
        let created = session.create(name, 10_000);
        assert_eq!(session.create(name, 10_000), created);
        let id = text(&created, "OrderID").to_owned();
        let body = json!({"order_id": id, "partition_key": name, "qty": 3});
        let reserved = session.reserve(&body).ok();
        assert_eq!(session.reserve(&body).ok(), reserved);
        assert_eq!(session.create(name, 10_000), reserved, "the order as it is now");
        assert_eq!(session.available(name), 497, "three seats are held once");
        session.pay(&id, name).ok();
        let ticketed = session.until_ticketed(&id);
        assert_eq!(session.pay(&id, name).ok(), ticketed);
        assert_eq!(session.create(name, 10_000), ticketed);
        assert_eq!(session.refunds_of(&id, name), [] as [Value; 0]);

        let other = text(&session.reserved(&format!("{name}-cancel"), name, 4), "OrderID").to_owned();
        let cancelled = session.cancel(&other).ok();
        assert_eq!(session.cancel(&other).ok(), cancelled);
        assert_eq!(session.available(name), 497, "four seats came back once");
    }
}

/// Catches: a repeat with other contents that is taken for the first one, or changes it.
#[test]
fn a_repeat_with_other_contents_is_refused() {
    let server = shared();
    let mut session = server.session();
    let created = session.create("other", 10_000);
    let body = json!({"idempotency_key": "other", "amount_cents": 10_001});
    session.post(Port::Order, "/orders", &body).refused(422, "");
    let id = text(&created, "OrderID").to_owned();
    assert_eq!(session.order(&id), created);

    let same = json!({
        "order_id": id, "partition_key": "other", "hold_id": "other-hold", "qty": 2, "from_index": 0, "to_index": 1
    });
    let reserved = session.reserve(&same).ok();
    let others = [
        ("qty", json!(1)),
        ("partition_key", json!("other-2")),
        ("hold_id", json!("other-hold-2")),
        ("to_index", json!(2)),
    ];
    for (field, value) in others {
        let mut body = same.clone();
        body[field] = value;
        let answer = session.reserve(&body);
        assert!(answer.status == 409 || field == "to_index" && answer.status == 400, "{answer:?}");
        assert_eq!(session.order(&id), reserved, "after a reserve with another {field}");
    }
    assert_eq!(session.reserve(&same).ok(), reserved);
    assert_eq!(session.available("other"), 498);
    let path = "/inventory/availability?partition_key=other-2";
    session.get(Port::Inventory, path).refused(404, "partition not found");
}

/// Catches: an order that takes over another's hold; a free hold that is held a second time instead of adopted;
/// an owned hold that whoever knows its id can end.
#[test]
fn a_free_hold_is_adopted_and_an_owned_one_is_not() {
    let server = shared();
    let mut session = server.session();
    let state = session.held("adopt", "free", 2, 10);
    let seats = texts(&state["holds"]["free"], "seats");
    let id = session.new_order("adopt");
    let body =
        |id: &str, qty: u32| json!({"order_id": id, "partition_key": "adopt", "hold_id": "free", "qty": qty});
    session.reserve(&body(&id, 1)).refused(409, "");
    assert_eq!(session.order(&id)["Status"], "INIT", "a hold with another quantity is not adopted");
    let order = session.reserve(&body(&id, 2)).ok();
    assert_eq!(texts(&order, "Seats"), seats, "the adopted hold's own seats");
    assert_eq!(session.available("adopt"), 8, "adopting holds nothing more");

    let thief = session.new_order("adopt-thief");
    session.reserve(&body(&thief, 2)).refused(409, "");
    assert_eq!(session.order(&thief)["Status"], "INIT");
    session.release("adopt", "free").refused(409, "");
    session.confirm("adopt", "free").refused(409, "");
    assert_eq!(session.order(&id)["Status"], "RESERVED");
    assert_eq!(session.available("adopt"), 8);

    session.cancel(&id).ok();
    assert_eq!(session.available("adopt"), 10, "the adopted hold goes back with its order");

    session.held("adopt", "released", 1, 10);
    session.release("adopt", "released").ok();
    let body = json!({"order_id": thief, "partition_key": "adopt", "hold_id": "released"});
    session.reserve(&body).refused(409, "");
    assert_eq!(session.available("adopt"), 10, "a released hold is not held again");
}

/// Catches: a cancel that does not free the seats, frees sold ones, or follows a name that is not the order's.
#[test]
fn cancel_ends_what_is_not_paid() {
    let server = shared();
    let mut session = server.session();
    let init = session.new_order("cancel-init");
    assert_eq!(session.cancel(&init).ok()["CancelReason"], "requested");
    session
        .reserve(&json!({"order_id": init, "partition_key": "cancel"}))
        .refused(409, "invalid state transition");

    let id = text(&session.reserved("cancel", "cancel", 2), "OrderID").to_owned();
    let sold = text(&session.reserved("cancel-sold", "cancel", 1), "OrderID").to_owned();
    for (field, other) in [("partition_key", "cancel-2"), ("hold_id", sold.as_str())] {
        let mut body = json!({"order_id": id});
        body[field] = other.into();
        session.post(Port::Order, "/orders/cancel", &body).refused(409, "");
        assert_eq!(session.order(&id)["Status"], "RESERVED", "after a cancel that names another {field}");
        assert_eq!(session.order(&sold)["Status"], "RESERVED", "after a cancel that names its {field}");
    }
    let own = json!({"order_id": id, "partition_key": "cancel", "hold_id": id});
    session.post(Port::Order, "/orders/cancel", &own).ok();
    assert_eq!(session.available("cancel"), 499);

    session.pay(&sold, "cancel-sold").ok();
    session.cancel(&sold).refused(409, "invalid state transition");
    session.until_ticketed(&sold);
    session.cancel(&sold).refused(409, "invalid state transition");
    assert_eq!(session.available("cancel"), 499, "sold seats stay sold");
    session.cancel("nobody").refused(404, "order not found");
}

/// Catches: a transition that the order's life does not have, and an unknown order answered otherwise than as unknown.
#[test]
fn orders_go_forward_only() {
    let server = shared();
    let mut session = server.session();
    let id = text(&session.reserved("forward", "forward", 1), "OrderID").to_owned();
    let body = json!({"order_id": id, "partition_key": "forward", "qty": 1});
    session.pay(&id, "forward").ok();
    session.reserve(&body).refused(409, "invalid state transition");
    session.until_ticketed(&id);
    session.reserve(&body).refused(409, "invalid state transition");
    session.reserve(&json!({"order_id": "nobody"})).refused(404, "order not found");
    session.get_order("nobody").refused(404, "query order failed: order not found");
    session.get(Port::Order, "/orders/get").refused(400, "order_id is required");
    let order = session.order(&id);
    assert_eq!(number(&order, "Qty"), 1);
    assert_eq!(session.available("forward"), 499);
}
