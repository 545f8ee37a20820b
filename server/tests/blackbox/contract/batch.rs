//! Batches: many operations in one request, each with its own result.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::shared;
use crate::support::session::{list, sign, text, texts};
use crate::support::{Launch, Port, Session, until};

fn batch(session: &mut Session, operations: &[Value]) -> Vec<Value> {
    let body = session.post(Port::Gateway, "/v1/batch", &json!({"operations": operations})).ok();
    let results = list(&body, "results").to_vec();
    assert_eq!(results.len(), operations.len());
    results
}

fn statuses(results: &[Value]) -> Vec<i64> {
    results.iter().map(|result| result["status"].as_i64().expect("a status")).collect()
}

fn hold(partition: &str, hold: &str, qty: u32) -> Value {
    json!({"op": "hold", "partition_key": partition, "hold_id": hold, "qty": qty, "capacity": 4})
}

fn end(op: &str, partition: &str, hold: &str) -> Value {
    json!({"op": op, "partition_key": partition, "hold_id": hold})
}

/// Catches: an operation that is not known, or answers otherwise than its own route; a result in another place.
#[test]
fn every_operation_answers_as_its_route_does() {
    let server = shared();
    let mut session = server.session();
    let order = session.new_order("batch-reserve");
    let cancelled = session.new_order("batch-cancel");
    let paid = text(&session.reserved("batch-pay", "batch-pay", 1), "OrderID").to_owned();
    let mut payment = session.payment(&paid, "batch-pay");
    payment["op"] = "pay".into();
    let results = batch(
        &mut session,
        &[
            hold("batch", "a", 2),
            hold("batch", "b", 1),
            end("confirm", "batch", "a"),
            end("release", "batch", "b"),
            json!({"op": "create", "idempotency_key": "batch-create", "amount_cents": 5}),
            json!({"op": "reserve", "order_id": order, "partition_key": "batch-reserve", "qty": 3}),
            json!({"op": "cancel", "order_id": cancelled}),
            payment,
            json!({"op": "purchase", "key": "batch", "amount_cents": 7, "partition_key": "batch-purchase", "qty": 2}),
        ],
    );
    assert_eq!(statuses(&results), [200; 9], "{results:#?}");
    let body = |nth: usize| results[nth]["body"].clone();
    assert_eq!(session.held("batch", "a", 2, 4)["holds"]["a"], body(2)["holds"]["a"]);
    assert_eq!(body(2)["holds"]["a"]["status"], "confirmed");
    assert_eq!(body(3)["holds"]["b"]["status"], "released");
    assert_eq!(session.create("batch-create", 5), body(4));
    assert_eq!(session.order(&order), body(5));
    assert_eq!(session.order(&cancelled), body(6));
    assert_eq!(body(6)["Status"], "CANCELLED");
    assert_eq!(session.until_ticketed(&paid)["Seats"], body(7)["Seats"]);
    assert_eq!(session.order(text(&body(8), "OrderID")), body(8));
    assert_eq!(texts(&body(8), "Seats").len(), 2);
}

/// Catches: a bad element that spoils the others; a refusal in other words than the route's; what is refused and done all the same.
#[test]
fn what_is_bad_is_refused_by_itself() {
    let server = shared();
    let mut session = server.session();
    let nobody = "00512345-6789-8bcd-af01-23456789abcd";
    let operations = [
        json!(7),
        json!(null),
        json!([]),
        json!({}),
        json!({"op": "sell"}),
        json!({"op": 7}),
        json!({"op": "hold", "partition_key": "bad", "hold_id": "a", "qty": "1"}),
        json!({"op": "hold", "partition_key": "bad", "hold_id": "", "qty": 1}),
        hold("bad", "all", 5),
        hold("bad", "four", 4),
        hold("bad", "one", 1),
        json!({"op": "reserve", "order_id": nobody, "partition_key": "bad"}),
        json!({"op": "cancel", "order_id": nobody}),
        json!({"op": "pay", "order_id": nobody, "provider_txn_id": "batch-bad", "status": "SUCCESS", "signature": "00"}),
        json!({"op": "pay", "order_id": nobody, "provider_txn_id": "batch-nobody", "status": "SUCCESS",
            "signature": sign(crate::support::session::SIGN_KEY, nobody, "batch-nobody", "SUCCESS")}),
        json!({"op": "purchase", "key": "k", "amount_cents": 0, "partition_key": "bad", "qty": 1}),
    ];
    let results = batch(&mut session, &operations);
    let said: Vec<(i64, &str)> = results
        .iter()
        .map(|result| {
            (result["status"].as_i64().unwrap(), result["body"]["code"].as_str().unwrap_or_default())
        })
        .collect();
    let expected = [
        (400, "invalid_json"),
        (400, "invalid_json"),
        (400, "invalid_json"),
        (400, "missing_field"),
        (400, "invalid_operation"),
        (400, "invalid_json"),
        (400, "invalid_json"),
        (400, "missing_field"),
        (400, "insufficient_stock"),
        (200, ""),
        (400, "insufficient_stock"),
        (404, "order_not_found"),
        (404, "order_not_found"),
        (401, "invalid_signature"),
        (404, "order_not_found"),
        (400, "invalid_amount"),
    ];
    assert_eq!(said, expected);
    let unmatched = session.refunds("unmatched");
    assert!(unmatched.iter().any(|refund| refund["provider_txn_id"] == "batch-nobody"), "{unmatched:?}");
}

/// Catches: an envelope that is wrong and done in part; limits that are not kept.
#[test]
fn a_wrong_envelope_is_refused_whole() {
    let server = shared();
    let mut session = server.session();
    let mut post = |body: &str| session.call(Port::Gateway, "POST", "/v1/batch", Some(body.as_bytes()));
    let one = hold("envelope", "h", 1).to_string();
    for body in [
        "",
        "[]",
        "{\"operations\":{}}",
        &format!("{{\"operations\":[{one},]}}"),
        &format!("{{\"operations\":[{one}]"),
    ] {
        post(body).refused(400, "invalid json");
    }
    post("{}").refused(400, "operations is required");
    let many = vec![one.as_str(); 8_193].join(",");
    let refused = post(&format!("{{\"operations\":[{many}]}}"));
    refused.refused(413, "a batch has at most 8192 operations");
    assert_eq!(post("{\"operations\":[]}").ok(), json!({"results": []}));
    let padding = " ".repeat(4 << 20);
    session
        .call(
            Port::Gateway,
            "POST",
            "/v1/batch",
            Some(format!("{{\"operations\":[{one}]{padding}}}").as_bytes()),
        )
        .refused(413, "body too large");
    session.get(Port::Inventory, "/inventory/availability?partition_key=envelope").refused(404, "");
}

/// Catches: an operation that overtakes another one on its partition or its order, on whichever cores they are.
#[test]
fn operations_take_effect_in_their_order() {
    let server = shared();
    let mut session = server.session();
    for round in 0..8 {
        let name = |what: &str| format!("in-order-{round}-{what}");
        let partition = name("p");
        let orders: Vec<String> = (0..6).map(|nth| session.new_order(&name(&nth.to_string()))).collect();
        let reserve = |order: &str| json!({"op": "reserve", "order_id": order, "partition_key": partition, "qty": 2, "capacity": 4});
        let results = batch(
            &mut session,
            &[
                // Four seats: two for each of the first two, then none, until one gives back.
                reserve(&orders[0]),
                reserve(&orders[1]),
                reserve(&orders[2]),
                hold(&partition, "h", 1),
                json!({"op": "purchase", "key": name("k"), "amount_cents": 1, "partition_key": partition, "qty": 1}),
                json!({"op": "cancel", "order_id": orders[1], "partition_key": partition}),
                hold(&partition, "h", 1),
                json!({"op": "purchase", "key": name("k"), "amount_cents": 1, "partition_key": partition, "qty": 1}),
                reserve(&orders[3]),
                // On one order.
                reserve(&orders[1]),
                json!({"op": "cancel", "order_id": orders[4]}),
                reserve(&orders[4]),
                reserve(&orders[0]),
            ],
        );
        let expected = [200, 200, 409, 400, 409, 200, 200, 200, 409, 409, 200, 409, 200];
        assert_eq!(statuses(&results), expected, "{results:#?}");
    }
}

/// Catches: an operation that does something again where it comes twice in one batch.
#[test]
fn the_second_of_two_equal_operations_answers_as_the_first() {
    let server = shared();
    let mut session = server.session();
    let order = text(&session.reserved("batch-twice-pay", "batch-twice-pay", 1), "OrderID").to_owned();
    let mut payment = session.payment(&order, "batch-twice-pay");
    payment["op"] = "pay".into();
    let given_back = session.new_order("batch-twice-cancel");
    let operations = [
        hold("batch-twice", "a", 2),
        json!({"op": "create", "idempotency_key": "batch-twice", "amount_cents": 5}),
        json!({"op": "purchase", "key": "twice", "amount_cents": 7, "partition_key": "batch-twice", "qty": 1}),
        end("confirm", "batch-twice", "a"),
        payment,
        json!({"op": "cancel", "order_id": given_back}),
    ];
    let twice: Vec<Value> =
        operations.iter().flat_map(|operation| [operation.clone(), operation.clone()]).collect();
    let results = batch(&mut session, &twice);
    for (pair, operation) in results.chunks(2).zip(&operations) {
        assert_eq!(pair[0]["status"], 200, "{operation}: {pair:?}");
        let shown = |result: &Value| {
            let body = &result["body"];
            (result["status"].clone(), body["OrderID"].clone(), body["Seats"].clone(), body["holds"].clone())
        };
        assert_eq!(shown(&pair[0]), shown(&pair[1]), "{operation}");
    }
    let free = session.get(Port::Inventory, "/inventory/availability?partition_key=batch-twice").ok();
    assert_eq!(free["available"], 1, "three of four are sold, once");
    assert!(session.refunds("required").iter().all(|refund| refund["order_id"] != order), "it was paid once");
}

/// Catches: a batch that loses operations, sells a seat twice, is not whole after a crash, or sells again when it is repeated.
#[test]
fn a_full_batch_is_durable_and_repeatable() {
    let server = Launch::new().cores(2).start();
    let mut session = server.session();
    let partitions = 64;
    let of = |nth: usize| format!("full-{}", nth % partitions);
    let operations: Vec<Value> = (0..8_192)
        .map(|nth| match nth % 3 {
            0 => json!({"op": "hold", "partition_key": of(nth), "hold_id": format!("h-{nth}"), "qty": 1, "capacity": 200}),
            1 => json!({"op": "create", "idempotency_key": format!("full-{nth}"), "amount_cents": 5}),
            _ => json!({"op": "purchase", "key": format!("full-{nth}"), "amount_cents": 5, "partition_key": of(nth), "qty": 1}),
        })
        .collect();
    let first = batch(&mut session, &operations);
    assert!(
        first.iter().all(|result| result["status"] == 200),
        "{:?}",
        first.iter().find(|r| r["status"] != 200)
    );
    let seats = |results: &[Value]| -> Vec<(usize, String)> {
        let mut seats = Vec::new();
        for (nth, result) in results.iter().enumerate() {
            let body = &result["body"];
            let hold = body["holds"].as_object().and_then(|holds| holds.values().next()).unwrap_or(body);
            seats.extend(
                hold["seats"]
                    .as_array()
                    .or(hold["Seats"].as_array())
                    .into_iter()
                    .flatten()
                    .map(|seat| (nth % partitions, seat.as_str().expect("a seat").to_owned())),
            );
        }
        seats
    };
    let sold = seats(&first);
    assert_eq!(sold.len(), 2 * 8_192_usize.div_ceil(3) - 1);
    assert_eq!(sold.iter().collect::<BTreeSet<_>>().len(), sold.len(), "no seat twice");
    let server = server.kill().start();
    let mut session = server.session();
    let again = batch(&mut session, &operations);
    for (nth, (before, after)) in first.iter().zip(&again).enumerate() {
        let id = |result: &Value| result["body"]["OrderID"].clone();
        assert_eq!((after["status"].as_i64(), id(after)), (Some(200), id(before)), "{nth}");
    }
    assert_eq!(seats(&again), sold);
    let metrics = session.get(Port::Gateway, "/metrics").text();
    let counted = |name: &str| -> u64 {
        metrics
            .lines()
            .filter_map(|line| line.strip_prefix(name))
            .map(|n| n.trim().parse::<u64>().unwrap())
            .sum()
    };
    assert_eq!(counted("interlock_batched_commands_total "), 8_192);
    assert!(counted("interlock_batch_parcels_total ") >= 2);
}

/// Catches: an order that has left the engine and is told of otherwise by a batch.
#[test]
fn orders_that_have_left_are_looked_up() {
    let env = ("INTERLOCK_ORDER_RETENTION_SECS", "1");
    let server = Launch::new().cores(2).env(env.0, env.1).start();
    let mut session = server.session();
    let order = session.new_order("left");
    let cancelled = session.cancel(&order).ok();
    until("the order to leave", || {
        let metrics = session.get(Port::Gateway, "/metrics").text();
        metrics.lines().any(|line| line == "interlock_orders_left_total 1").then_some(())
    });
    let results = batch(
        &mut session,
        &[
            json!({"op": "cancel", "order_id": order}),
            json!({"op": "reserve", "order_id": order}),
            json!({"op": "pay", "order_id": order, "provider_txn_id": "late", "status": "SUCCESS"}),
        ],
    );
    assert_eq!(statuses(&results), [200, 409, 409], "{results:#?}");
    assert_eq!(results[0]["body"], cancelled);
    assert_eq!(session.refunds("required").len(), 1);
}
