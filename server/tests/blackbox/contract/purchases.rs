//! Purchases: an order with its seats at once, its key, and what becomes of it.

use serde_json::{Value, json};

use super::shared;
use crate::support::session::{text, texts};
use crate::support::time::rfc3339_ms;
use crate::support::{Launch, Port, Session, until};

fn purchase(session: &mut Session, body: &Value) -> crate::support::http::Response {
    session.post(Port::Gateway, "/v1/purchases", body)
}

fn basket(key: &str, partition: &str) -> Value {
    json!({"key": key, "amount_cents": 10_000, "partition_key": partition, "qty": 2})
}

/// Catches: another object than an order's; a hold of another name; a purchase that cannot be read, paid or cancelled by the old routes; seats
/// that are not taken, or not free again.
#[test]
fn a_purchase_is_an_order_like_any_other() {
    let server = shared();
    let mut session = server.session();
    let made = purchase(&mut session, &basket("basket-1", "bought")).ok();
    let id = text(&made, "OrderID").to_owned();
    assert_eq!((text(&made, "Status"), text(&made, "IdempotencyKey")), ("RESERVED", "basket-1"));
    assert_eq!((&made["PartitionKey"], &made["HoldID"]), (&json!("bought"), &json!(id)));
    assert_eq!((&made["AmountCents"], &made["Qty"]), (&json!(10_000), &json!(2)));
    assert_eq!(made["CreatedAt"], made["UpdatedAt"]);
    assert_eq!(session.available("bought"), 498, "500 seats where orders open the partition");
    assert_eq!(session.order(&id), made);
    assert_eq!(session.view(&id)["status"], "RESERVED");
    let again = session.reserve(&json!({"order_id": id, "partition_key": "bought", "qty": 2})).ok();
    assert_eq!(again, made, "what it has already");

    session.pay(&id, "bought").ok();
    let ticketed = session.until_ticketed(&id);
    assert_eq!((&ticketed["Seats"], &ticketed["ProviderTxnID"]), (&made["Seats"], &json!("bought")));
    assert_eq!(texts(&ticketed, "Seats").len(), 2);
    session.cancel(&id).refused(409, "invalid state transition");
    session.pay(&id, "bought").ok();
    session.pay(&id, "bought-twice").refused(409, "already paid");

    let other = text(&purchase(&mut session, &basket("basket-2", "bought")).ok(), "OrderID").to_owned();
    assert_eq!(session.available("bought"), 496);
    session.release("bought", &other).refused(409, "hold belongs to an order");
    let cancelled = session.cancel(&other).ok();
    assert_eq!(
        (&cancelled["Status"], &cancelled["CancelReason"]),
        (&json!("CANCELLED"), &json!("requested"))
    );
    assert_eq!(session.available("bought"), 498);
    assert_eq!(
        purchase(&mut session, &basket("basket-2", "bought")).ok(),
        cancelled,
        "a basket that is over"
    );
}

/// Catches: a key that counts for more than its run, or for less; a repeat that buys again; other contents under a key that came before.
#[test]
fn a_key_counts_for_its_run() {
    let server = shared();
    let mut session = server.session();
    let of = |partition: &str| basket("one-basket", partition);
    let mut id = |body: &Value| text(&purchase(&mut session, body).ok(), "OrderID").to_owned();
    let first = id(&of("AH 1|2027-03-04|2nd"));
    assert_eq!(id(&of("AH 1|2027-03-04|2nd")), first, "a repeat is the same purchase");
    let others = [
        id(&of("AH 1|2027-03-05|2nd")),
        id(&of("AH 2|2027-03-04|2nd")),
        id(&of("concert")),
        id(&of("concert|1")),
    ];
    for (i, other) in others.iter().enumerate() {
        assert!(*other != first && !others[..i].contains(other), "{others:?}");
    }
    for (field, value) in
        [("partition_key", json!("AH 1|2027-03-04|1st")), ("amount_cents", json!(10_001)), ("qty", json!(1))]
    {
        let mut changed = of("AH 1|2027-03-04|2nd");
        changed[field] = value;
        let refused = purchase(&mut session, &changed);
        refused.refused(422, "key was used on this run with other contents");
        assert_eq!(refused.json()["code"], "key_reused");
    }
    let mut shorter = of("AH 1|2027-03-04|2nd");
    shorter["ttl_secs"] = json!(5);
    assert_eq!(text(&purchase(&mut session, &shorter).ok(), "OrderID"), first);
    // Keys of orders are their own.
    let order = session.create("one-basket", 7);
    assert_eq!((text(&order, "Status"), &order["AmountCents"]), ("INIT", &json!(7)));
}

/// Catches: a limit that is not kept; a field that is not read, or not checked; an order that stays behind where there are no seats.
#[test]
fn what_cannot_be_bought_is_refused() {
    let server = shared();
    let mut session = server.session();
    for (field, value, status, code) in [
        ("key", json!(""), 400, "missing_field"),
        ("key", json!(" k"), 400, "invalid_id"),
        ("partition_key", Value::Null, 400, "missing_field"),
        ("amount_cents", json!(0), 400, "invalid_amount"),
        ("amount_cents", json!("1"), 400, "invalid_json"),
        ("qty", Value::Null, 400, "invalid_quantity"),
        ("qty", json!(2_001), 400, "invalid_quantity"),
        ("capacity", json!(100_001), 400, "invalid_capacity"),
        ("from_index", json!(0), 400, "invalid_span"),
        ("ttl_secs", json!(0), 400, "invalid_ttl"),
        ("ttl_secs", json!(-1), 400, "invalid_ttl"),
        ("ttl_secs", json!(901), 400, "invalid_ttl"),
        ("qty", json!(501), 409, "insufficient_stock"),
        ("partition_key", json!("G1|2027-02-12|9th"), 404, "partition_not_found"),
    ] {
        let mut body = basket("refused", "refused");
        body[field] = value.clone();
        let refused = purchase(&mut session, &body);
        refused.refused(status, "");
        assert_eq!(refused.json()["code"], code, "{field} = {value}");
    }
    session.get(Port::Inventory, "/inventory/availability?partition_key=refused").refused(404, "");
    purchase(
        &mut session,
        &json!({"key": "all", "amount_cents": 1, "partition_key": "refused", "qty": 3, "capacity": 3}),
    )
    .ok();
    purchase(&mut session, &basket("sold-out", "refused")).refused(409, "insufficient stock");
    session.post(Port::Order, "/v1/purchases", &basket("k", "p")).refused(404, "");
}

/// Catches: a hold that lasts longer or shorter than was asked; seats that stay taken; an order that stays RESERVED; money that comes too late and
/// is kept; any of this lost by a crash.
#[test]
fn a_purchase_expires_with_its_hold() {
    let server = Launch::new().cores(2).env("INTERLOCK_HOLD_TTL_MAX_SECS", "3600").start();
    let mut session = server.session();
    let mut long = basket("long", "lasting");
    long["ttl_secs"] = json!(3_600);
    let long = purchase(&mut session, &long).ok();
    let life = |order: &Value| rfc3339_ms(text(order, "ExpiresAt")) - rfc3339_ms(text(order, "CreatedAt"));
    assert_eq!(life(&long), 3_600_000);
    let mut short = basket("short", "lasting");
    short["ttl_secs"] = json!(1);
    let short = purchase(&mut session, &short).ok();
    assert_eq!(life(&short), 1_000);
    let server = server.kill().start();
    let mut session = server.session();
    let id = text(&short, "OrderID").to_owned();
    let cancelled = session.until_status(&id, "CANCELLED");
    assert_eq!(cancelled["CancelReason"], "hold_expired");
    until("its seats to be free", || (session.available("lasting") == 498).then_some(()));
    session.pay(&id, "late").refused(409, "hold expired");
    session.pay(&id, "late").refused(409, "hold expired");
    assert_eq!(session.refunds("required").len(), 1);
    assert_eq!(purchase(&mut session, &basket("short", "lasting")).ok()["Refund"], "required");
    let long_id = text(&long, "OrderID").to_owned();
    assert_eq!(session.order(&long_id), long);
    session.pay(&long_id, "in time").ok();
    session.until_ticketed(&long_id);
    let kinds: Vec<String> = until("the history to have the ticket", || {
        let history = session.get(Port::Gateway, &format!("/v1/orders/{long_id}/history")).ok();
        let events = history["events"].as_array().expect("events").clone();
        let kinds: Vec<String> = events.iter().map(|event| text(event, "kind").to_owned()).collect();
        (kinds.len() == 3).then_some(kinds)
    });
    assert_eq!(kinds, ["purchase_made", "purchase_paid", "order_ticketed"]);
}
