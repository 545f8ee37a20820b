//! The payment table, row by row: what each payment answers, and what is owed afterwards. The row of orders that
//! expired is in `expiry.rs`.

use serde_json::{Value, json};

use super::shared;
use crate::support::session::{SIGN_KEY, sign, text};
use crate::support::{Launch, Port, Session};

/// An order that is RESERVED.
fn reserved(session: &mut Session, key: &str) -> String {
    text(&session.reserved(key, "payments", 1), "OrderID").to_owned()
}

/// An order that is TICKETED, paid with `txn`.
fn ticketed(session: &mut Session, key: &str, txn: &str) -> String {
    let id = reserved(session, key);
    session.pay(&id, txn).ok();
    session.until_ticketed(&id);
    id
}

/// Asserts that the payment is owed back exactly once, whole, for `reason`'s order.
#[track_caller]
fn assert_owed(session: &mut Session, order: &str, txn: &str) {
    let refunds = session.refunds_of(order, txn);
    assert_eq!(refunds.len(), 1, "one refund for {order} and {txn}: {refunds:?}");
    assert_eq!(refunds[0]["status"], "required");
    assert_eq!(refunds[0]["amount_cents"], 10_000);
    assert!(!text(&refunds[0], "reason").is_empty());
    assert_eq!(session.order(order)["Refund"], "required");
}

#[track_caller]
fn assert_nothing_owed(session: &mut Session, order: &str, txn: &str) {
    let refunds = session.refunds_of(order, txn);
    assert_eq!(refunds, [] as [Value; 0], "nothing is owed for {order} and {txn}");
}

/// Row "RESERVED, hold alive". Catches: a payment that does not pay, is also owed back, or pays with an id that is
/// another order's.
#[test]
fn a_reserved_order_is_paid() {
    let server = shared();
    let mut session = server.session();
    let first = ticketed(&mut session, "row-reserved-1", "row-reserved");
    assert_nothing_owed(&mut session, &first, "row-reserved");
    let second = reserved(&mut session, "row-reserved-2");
    session.pay(&second, "row-reserved").refused(409, "transaction id already used");
    assert_eq!(session.order(&second)["Status"], "RESERVED");
    assert_nothing_owed(&mut session, &second, "row-reserved");
    let paid = session.pay(&second, "row-reserved-own").ok();
    assert_eq!(paid["ProviderTxnID"], "row-reserved-own");
    assert_nothing_owed(&mut session, &second, "row-reserved-own");
}

/// Catches: a payment that is not read because of a field that nobody reads, or of blanks where the old system took them.
#[test]
fn a_payment_is_read_whatever_stands_beside_it() {
    let server = shared();
    let mut session = server.session();
    let id = reserved(&mut session, "beside-it");
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let signature = sign(SIGN_KEY, &id, "beside-txn", "SUCCESS");
    let body = format!(
        r#"{{"title":"\ud83d","x":1e400,"deep":{deep},"order_id":" {id} ","provider_txn_id":"beside-txn\n","status":"success",
            "hold_id":"","partition_key":"  ","signature":" {signature} "}}"#
    );
    let paid = session.call(Port::Order, "POST", "/payments/callback", Some(body.as_bytes())).ok();
    assert_eq!(paid["ProviderTxnID"], "beside-txn");
    let cancelled = reserved(&mut session, "beside-cancel");
    let named = json!({"order_id": format!(" {cancelled}"), "hold_id": " ", "partition_key": "\tpayments\n"});
    assert_eq!(session.post(Port::Order, "/orders/cancel", &named).ok()["Status"], "CANCELLED");
}

/// Row "PAID, TICKETED". Catches: money taken twice and forgotten, or owed twice for one payment.
#[test]
fn a_paid_order_is_not_paid_again() {
    let server = shared();
    let mut session = server.session();
    let other = ticketed(&mut session, "row-paid-other", "row-paid-other");
    let id = reserved(&mut session, "row-paid");
    session.pay(&id, "row-paid").ok();
    session.pay(&id, "row-paid").ok();
    assert_nothing_owed(&mut session, &id, "row-paid");
    for _ in 0..2 {
        session.pay(&id, "row-paid-second").refused(409, "already paid");
        assert_owed(&mut session, &id, "row-paid-second");
    }
    session.pay(&id, "row-paid-other").refused(409, "");
    assert_nothing_owed(&mut session, &id, "row-paid-other");
    let order = session.until_ticketed(&id);
    assert_eq!(order["ProviderTxnID"], "row-paid", "the payment that paid");
    session.pay(&id, "row-paid-third").refused(409, "already paid");
    assert_owed(&mut session, &id, "row-paid-third");
    assert_eq!(session.order(&other)["Status"], "TICKETED");
}

/// Row "INIT, CANCELLED otherwise". Catches: an order paid that was never reserved or was given up, and money for one
/// that vanishes.
#[test]
fn money_for_an_order_that_waits_for_none_is_owed_back() {
    let server = shared();
    let mut session = server.session();
    ticketed(&mut session, "row-init-other", "row-init-other");
    let init = session.new_order("row-init");
    let cancelled = reserved(&mut session, "row-cancelled");
    session.cancel(&cancelled).ok();
    for (id, status) in [(&init, "INIT"), (&cancelled, "CANCELLED")] {
        let txn = format!("{status}-txn");
        for _ in 0..2 {
            session.pay(id, &txn).refused(409, "invalid state transition");
            assert_owed(&mut session, id, &txn);
        }
        session.pay(id, "row-init-other").refused(409, "");
        assert_nothing_owed(&mut session, id, "row-init-other");
        assert_eq!(session.order(id)["Status"], status);
    }
    // What is owed back cannot pay as well, nor can somebody else's order be paid with it.
    session.reserve(&json!({"order_id": init, "partition_key": "payments"})).ok();
    session.pay(&init, "INIT-txn").refused(409, "");
    assert_eq!(session.order(&init)["Status"], "RESERVED");
    assert_owed(&mut session, &init, "INIT-txn");
    let third = reserved(&mut session, "row-init-third");
    session.pay(&third, "CANCELLED-txn").refused(409, "transaction id already used");
    assert_nothing_owed(&mut session, &third, "CANCELLED-txn");
    session.pay(&init, "INIT-second").ok();
}

/// Row "unknown". Catches: money for an order that nobody knows forgotten, or, unverified, believed.
#[test]
fn money_for_an_unknown_order_is_recorded_where_it_is_verified() {
    let server = shared();
    let mut session = server.session();
    for _ in 0..2 {
        session.pay("row-unknown", "row-unknown").refused(404, "order not found");
        let refunds = session.refunds_of("row-unknown", "row-unknown");
        assert_eq!(refunds.len(), 1, "recorded once: {refunds:?}");
    }
    // The signature is the same as of another order and transaction: that money may be somebody else's.
    let id = reserved(&mut session, "row-bar");
    session.pay(&id, "a|b").ok();
    session.pay(&format!("{id}|a"), "b").refused(404, "order not found");
    assert_eq!(session.refunds_of(&format!("{id}|a"), "b"), [] as [Value; 0]);
    let unmatched = session.refunds("unmatched");
    assert!(unmatched.iter().any(|r| r["order_id"] == "row-unknown"), "listed as unmatched: {unmatched:?}");

    let unsigned = Launch::new().start();
    let mut session = unsigned.session();
    session.pay("row-unknown", "row-unknown").refused(404, "order not found");
    assert_eq!(session.refunds(""), [] as [Value; 0]);
    let log = unsigned.log();
    assert!(log.contains("PAYMENT_CALLBACK_SIGN_KEY"), "a server without the key says so: {log}");
}

/// Catches: a payment believed without its signature, with another's, or refused for the letters' case.
#[test]
fn signatures_are_verified() {
    let server = shared();
    let mut session = server.session();
    let id = reserved(&mut session, "signed");
    let good = sign(SIGN_KEY, &id, "signed", "SUCCESS");
    let bad = [
        Value::Null,
        json!(""),
        json!("00"),
        json!(good[..63]),
        json!(format!("{good}00")),
        json!("é".repeat(32)),
        json!(sign("another key", &id, "signed", "SUCCESS")),
        json!(sign(SIGN_KEY, &id, "signed-2", "SUCCESS")),
        json!(sign(SIGN_KEY, "another-order", "signed", "SUCCESS")),
    ];
    for signature in bad {
        let mut body = session.payment(&id, "signed");
        body["signature"] = signature;
        session.post(Port::Order, "/payments/callback", &body).refused(401, "invalid payment signature");
    }
    assert_eq!(session.order(&id)["Status"], "RESERVED");
    assert_nothing_owed(&mut session, &id, "signed");
    let mut body = session.payment(&id, "signed");
    body["signature"] = format!(" {}\n", good.to_uppercase()).into();
    body["status"] = "success".into();
    let paid = session.post(Port::Order, "/payments/callback", &body).ok();
    assert_eq!(paid["ProviderTxnID"], "signed");
}

/// Catches: a payment that failed taken for one that succeeded.
#[test]
fn only_success_pays() {
    let server = shared();
    let mut session = server.session();
    let id = reserved(&mut session, "status");
    for status in ["FAILED", "", "SUCCES", "SUCCESSFUL", "PENDING"] {
        let body = json!({
            "order_id": id, "provider_txn_id": "status", "status": status,
            "signature": sign(SIGN_KEY, &id, "status", status),
        });
        session.post(Port::Order, "/payments/callback", &body).refused(400, "invalid payment status");
    }
    assert_eq!(session.order(&id)["Status"], "RESERVED");
    assert_nothing_owed(&mut session, &id, "status");
    let mut body = session.payment(&id, "status");
    body["status"] = "SuCcEsS".into();
    session.post(Port::Order, "/payments/callback", &body).ok();
}

/// Catches: a payment that names another hold paying this order, or the other one's owner.
#[test]
fn a_payment_that_names_others_is_refused() {
    let server = shared();
    let mut session = server.session();
    let id = reserved(&mut session, "names");
    let other = reserved(&mut session, "names-other");
    for (field, name) in [("partition_key", "names-2"), ("hold_id", other.as_str())] {
        let mut body = session.payment(&id, &format!("names-{field}"));
        body[field] = name.into();
        session.post(Port::Order, "/payments/callback", &body).refused(409, "");
        assert_eq!(session.order(&id)["Status"], "RESERVED", "after a payment that names another {field}");
        assert_eq!(session.order(&other)["Status"], "RESERVED", "after a payment that names its {field}");
    }
    let mut body = session.payment(&id, "names-own");
    body["partition_key"] = "payments".into();
    body["hold_id"] = id.as_str().into();
    session.post(Port::Order, "/payments/callback", &body).ok();
}

/// Catches: a refund settled twice, settled under two references, never closed, or one that settles what is not owed.
#[test]
fn a_refund_is_settled_once() {
    let server = shared();
    let mut session = server.session();
    let id = session.new_order("settle");
    session.pay(&id, "settle").refused(409, "invalid state transition");
    assert_owed(&mut session, &id, "settle");
    session.settle(&id, "never-paid", "r-1").refused(404, "");
    session.settle("nobody", "settle", "r-1").refused(404, "");
    assert_owed(&mut session, &id, "settle");

    session.settle(&id, "settle", "r-1").ok();
    session.settle(&id, "settle", "r-1").ok();
    session.settle(&id, "settle", "r-2").refused(409, "");
    let refunds = session.refunds_of(&id, "settle");
    assert_eq!(refunds.len(), 1);
    assert_eq!((&refunds[0]["status"], &refunds[0]["reference"]), (&json!("settled"), &json!("r-1")));
    assert_eq!(session.order(&id)["Refund"], "settled");
    let of = |all: Vec<Value>| all.iter().filter(|r| r["order_id"] == id.as_str()).count();
    assert_eq!(of(session.refunds("required")), 0);
    assert_eq!(of(session.refunds("settled")), 1);
    session.pay(&id, "settle").refused(409, "invalid state transition");
    assert_eq!(of(session.refunds("required")), 0, "the same money is not owed again");
}

/// Catches: a page that skips, repeats or never ends.
#[test]
fn refunds_come_in_pages() {
    let server = Launch::new().cores(2).start();
    let mut session = server.session();
    let id = session.new_order("pages");
    let orders: Vec<String> = (0..5).map(|i| session.new_order(&format!("pages-{i}"))).collect();
    let mut owed = Vec::new();
    for (i, order) in orders.iter().chain([&id, &id]).enumerate() {
        session.pay(order, &format!("pages-{i}")).refused(409, "invalid state transition");
        owed.push((order.clone(), format!("pages-{i}")));
    }
    let (mut listed, mut after) = (Vec::new(), String::new());
    for _ in 0..owed.len() {
        let page = session.get(Port::Gateway, &format!("/v1/refunds?limit=2{after}")).ok();
        let refunds = page["refunds"].as_array().unwrap_or_else(|| panic!("no refunds in {page}"));
        assert!(refunds.len() <= 2, "{page}");
        listed.extend(
            refunds.iter().map(|r| (text(r, "order_id").to_owned(), text(r, "provider_txn_id").to_owned())),
        );
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    listed.sort();
    owed.sort();
    assert_eq!(listed, owed);
    session.get(Port::Gateway, "/v1/refunds?status=nonsense").refused(400, "");
    session.get(Port::Gateway, "/v1/refunds?limit=minus").refused(400, "");
}
