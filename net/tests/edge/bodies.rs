//! JSON bodies and query strings, good and bad, on every route that takes one.

use engine::command::Command;
use net::Service;

use crate::common::client::Client;
use crate::common::{Server, samples};

const POSTS: [&str; 8] = [
    "/orders",
    "/orders/reserve",
    "/orders/cancel",
    "/payments/callback",
    "/inventory/try-hold",
    "/inventory/release-hold",
    "/inventory/confirm-hold",
    "/v1/refunds/settle",
];

/// Posts to the gateway and expects `status text` as the error.
fn check(client: &mut Client, path: &str, body: &str, expected: &str) {
    let reply = client.post(path, body);
    assert_eq!(reply.error(), expected, "{path} {body:?}");
    assert!(!reply.code().is_empty(), "{path} {body:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"), "{path} {body:?}");
}

#[test]
fn what_is_no_json_object_is_the_same_error_everywhere() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    for path in POSTS {
        for body in
            ["", "null", "[]", "\"x\"", "{", "{} {}", "{}x", "{\"order_id\":1,\"partition_key\":1}", &deep]
        {
            if body.contains("order_id") && matches!(path, "/orders") {
                continue;
            }
            check(&mut client, path, body, "400 invalid json");
        }
        let reply = client.post(path, "not json");
        assert_eq!(reply.body, r#"{"error":"invalid json","code":"invalid_json"}"#, "{path}");
    }
    assert!(server.script.asked().is_empty(), "nothing of it reached the engine");
}

#[test]
fn numbers_that_do_not_fit_are_no_json_and_those_that_make_no_sense_are_named() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let hold = |field: &str, value: &str| {
        let mut fields =
            vec![("partition_key", "\"p\""), ("hold_id", "\"h\""), ("qty", "1"), ("capacity", "1")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    for (field, value, expected) in [
        ("qty", "9223372036854775808", "400 invalid json"),
        ("qty", "1.0", "400 invalid json"),
        ("qty", "\"1\"", "400 invalid json"),
        ("qty", "9223372036854775807", "400 invalid quantity"),
        ("qty", "2001", "400 invalid quantity"),
        ("qty", "0", "400 invalid quantity"),
        ("qty", "-1", "400 invalid quantity"),
        ("qty", "null", "400 invalid quantity"),
        ("capacity", "100001", "400 invalid capacity"),
        ("capacity", "-1", "400 invalid capacity"),
        ("capacity", "9223372036854775807", "400 invalid capacity"),
        ("capacity", "99999999999999999999", "400 invalid json"),
        ("from_index", "1", "400 from_index and to_index are given both or not at all"),
        ("to_index", "1", "400 from_index and to_index are given both or not at all"),
        ("from_index", "1e3", "400 invalid json"),
    ] {
        check(&mut client, "/inventory/try-hold", &hold(field, value), expected);
    }
    for (from, to) in [(1, 1), (2, 1), (-1, 1), (0, 65_536), (i64::MIN, i64::MAX)] {
        let span = format!("{},\"to_index\":{to}", from);
        check(&mut client, "/inventory/try-hold", &hold("from_index", &span), "400 invalid span");
    }
    for (amount, expected) in [
        ("0", "400 invalid amount"),
        ("-5", "400 invalid amount"),
        ("null", "400 invalid amount"),
        ("1.5", "400 invalid json"),
        ("\"5\"", "400 invalid json"),
    ] {
        let body = format!(r#"{{"idempotency_key":"k","amount_cents":{amount}}}"#);
        check(&mut client, "/orders", &body, expected);
    }
    assert!(server.script.asked().is_empty());
}

#[test]
fn ids_are_checked_and_what_is_wrong_is_said() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let (order, long) = (samples::ORDER, "x".repeat(129));
    for (path, body, expected) in [
        ("/inventory/try-hold", r#"{"qty":1}"#, "400 partition_key and hold_id are required"),
        (
            "/inventory/try-hold",
            r#"{"partition_key":"p","qty":1}"#,
            "400 partition_key and hold_id are required",
        ),
        (
            "/inventory/try-hold",
            r#"{"partition_key":"","hold_id":"h","qty":0}"#,
            "400 partition_key and hold_id are required",
        ),
        (
            "/inventory/try-hold",
            r#"{"partition_key":" p","hold_id":"","qty":1}"#,
            "400 partition_key and hold_id are required",
        ),
        (
            "/inventory/try-hold",
            r#"{"partition_key":" p","hold_id":"h","qty":1}"#,
            "400 partition_key begins or ends with a blank",
        ),
        (
            "/inventory/try-hold",
            r#"{"partition_key":"p","hold_id":"h\u0000i","qty":1}"#,
            "400 hold_id contains a control character",
        ),
        ("/inventory/release-hold", r#"{"partition_key":"p"}"#, "400 partition_key and hold_id are required"),
        (
            "/inventory/confirm-hold",
            r#"{"partition_key":"p","hold_id":"h "}"#,
            "400 hold_id begins or ends with a blank",
        ),
        ("/orders", r#"{"amount_cents":1}"#, "400 idempotency_key is required"),
        ("/orders", r#"{"idempotency_key":"","amount_cents":1}"#, "400 idempotency_key is required"),
        (
            "/orders",
            r#"{"idempotency_key":"k\n","amount_cents":1}"#,
            "400 idempotency_key begins or ends with a blank",
        ),
        (
            "/orders",
            &format!(r#"{{"idempotency_key":"{long}","amount_cents":1}}"#),
            "400 idempotency_key is too long",
        ),
        ("/orders/reserve", "{}", "400 order_id is required"),
        ("/orders/reserve", r#"{"order_id":"  "}"#, "400 order_id is required"),
        (
            "/orders/reserve",
            &format!(r#"{{"order_id":"{order}","hold_id":"{long}"}}"#),
            "400 hold_id is too long",
        ),
        ("/orders/reserve", &format!(r#"{{"order_id":"{order}","qty":-1}}"#), "400 invalid quantity"),
        ("/orders/cancel", r#"{"order_id":null}"#, "400 order_id is required"),
        ("/orders/cancel", &format!(r#"{{"order_id":"{order}","hold_id":""}}"#), "400 hold_id is empty"),
        (
            "/orders/cancel",
            &format!(r#"{{"order_id":" {order}"}}"#),
            "400 order_id begins or ends with a blank",
        ),
        ("/v1/refunds/settle", r#"{"order_id":"o","provider_txn_id":"t"}"#, "400 reference is required"),
    ] {
        check(&mut client, path, body, expected);
    }
    assert!(server.script.asked().is_empty());
}

#[test]
fn order_ids_that_no_order_of_ours_has_are_simply_not_found() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    for id in ["x", "00512345-6789-8BCD-af01-23456789abcd", "00512345678998bcdaf0123456789abcd", "订单"] {
        for path in ["/orders/reserve", "/orders/cancel"] {
            check(&mut client, path, &format!(r#"{{"order_id":"{id}"}}"#), "404 order not found");
        }
    }
    assert_eq!(client.get("/orders/get?order_id=x").error(), "404 query order failed: order not found");
    assert_eq!(client.get("/query/orders?order_id=x").error(), "404 order view not found");
    let too_long = format!(r#"{{"order_id":"{}"}}"#, "x".repeat(65));
    check(&mut client, "/orders/cancel", &too_long, "400 order_id is too long");
    assert!(server.script.asked().is_empty(), "none of them was looked for");
}

#[test]
fn queries_are_checked() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    for (path, expected) in [
        ("/orders/get", "400 order_id is required"),
        ("/orders/get?order_id=", "400 order_id is required"),
        ("/orders/get?order_id=%zz", "400 invalid query string"),
        ("/orders/get?order_id=%00", "400 order_id contains a control character"),
        ("/query/orders", "400 order_id is required"),
        ("/inventory/availability", "400 partition_key is required"),
        ("/inventory/availability?partition_key=%20p", "400 partition_key begins or ends with a blank"),
        (
            "/inventory/availability?partition_key=p&from_index=0",
            "400 from_index and to_index are given both or not at all",
        ),
        ("/inventory/availability?partition_key=p&from_index=x&to_index=1", "400 invalid span"),
        ("/inventory/availability?partition_key=p&from_index=3&to_index=1", "400 invalid span"),
        ("/v1/refunds?status=lost", "400 invalid status"),
        ("/v1/refunds?after=zzz", "400 invalid cursor"),
        ("/v1/refunds?limit=0", "400 invalid limit"),
        ("/v1/refunds?limit=-1", "400 invalid limit"),
        ("/v1/stations?limit=x", "400 invalid limit"),
    ] {
        let reply = client.get(path);
        assert_eq!(reply.error(), expected, "{path}");
    }
    assert!(server.script.asked().is_empty());
}

#[test]
fn unknown_fields_and_nulls_do_not_disturb_and_other_cases_are_refused() {
    let server = Server::start();
    server.script.reply(Ok(samples::held()));
    let mut client = Client::connect(&server, Service::Gateway);
    let other_case = r#"{"Qty":7,"hold_id":"h","partition_key":"p|q"}"#;
    assert_eq!(client.post("/inventory/try-hold", other_case).error(), "400 invalid json");
    let body = r#"{"QTY2":7,"x":[{"qty":9}],"hold_id":"h","partition_key":"p|q","qty":2,"capacity":null,"from_index":null,"to_index":null,"qty2":3}"#;
    assert_eq!(client.post("/inventory/try-hold", body).status, 200);
    let Command::TryHold(hold) = server.script.command() else { panic!("another command") };
    assert_eq!((hold.partition.as_str(), hold.hold.as_str(), hold.quantity), ("p|q", "h", 2));
    assert_eq!((hold.span, hold.ad_hoc.capacity, hold.ad_hoc.segments), (None, 100, 1));
}
