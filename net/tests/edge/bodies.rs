//! JSON bodies and query strings, good and bad, on every route that takes one.

use engine::command::Command;
use net::Service;

use crate::bad_requests::{self, Names};
use crate::common::client::Client;
use crate::common::{Server, samples};

#[test]
fn bad_calls_are_refused_and_never_reach_the_engine() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let names = Names { order: samples::ORDER, partition: samples::DEFAULT_PARTITION, hold: "h" };
    for call in bad_requests::calls(&names) {
        let body = call.body.as_deref().unwrap_or_default();
        let head = format!("{} {} HTTP/1.1\r\nhost: a\r\n", call.method, call.path);
        let length =
            if call.method == "POST" { format!("content-length: {}\r\n", body.len()) } else { String::new() };
        let reply = client.send([format!("{head}{length}\r\n").as_bytes(), body].concat()).read();
        assert_eq!(reply.status, call.status, "{call:?}: {reply:?}");
        assert!(call.error.is_empty() || reply.json()["error"] == call.error, "{call:?}: {reply:?}");
        assert!(!reply.code().is_empty(), "{call:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{call:?}");
    }
    assert!(server.script.asked().is_empty(), "nothing of it reached the engine");
    assert!(server.script.questions().is_empty(), "nor the read model");
    let reply = client.post("/orders", "not json");
    assert_eq!(reply.body, r#"{"error":"invalid json","code":"invalid_json"}"#);
}

#[test]
fn order_ids_that_no_order_of_ours_has_are_simply_not_found() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    for id in ["x", "00512345-6789-8BCD-af01-23456789abcd", "00512345678998bcdaf0123456789abcd", "订单"] {
        for path in ["/orders/reserve", "/orders/cancel"] {
            let reply = client.post(path, &format!(r#"{{"order_id":"{id}"}}"#));
            assert_eq!(
                (&*reply.error(), &*reply.code()),
                ("404 order not found", "order_not_found"),
                "{path} {id}"
            );
        }
    }
    assert_eq!(client.get("/orders/get?order_id=x").error(), "404 query order failed: order not found");
    assert_eq!(client.get("/query/orders?order_id=x").error(), "404 order view not found");
    assert!(server.script.asked().is_empty(), "none of them was looked for");
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
