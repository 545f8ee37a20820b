//! Time limits and load limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use net::{Limits, Service};

use crate::common::client::{Client, post};
use crate::common::{Played, PlayedRead, Server, samples};

const HOLD: &str = r#"{"partition_key":"p","hold_id":"h","qty":1}"#;

/// A limit that strikes at once.
const SHORT_MS: u64 = 30;

fn limits() -> Limits {
    Limits { sweep_ms: 5, stop_ms: SHORT_MS, ..Limits::default() }
}

#[test]
fn a_head_that_never_ends_is_a_timeout() {
    let server = Server::with_limits(Limits { header_ms: SHORT_MS, ..limits() });
    for beginning in ["G", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nhost: a\r\nx: "] {
        let mut client = Client::connect(&server, Service::Gateway);
        let reply = client.send(beginning).read();
        assert_eq!(reply.error(), "408 request timeout", "{beginning:?}");
        assert_eq!(reply.code(), "request_timeout");
        assert!(client.is_closed(), "{beginning:?}");
    }
}

#[test]
fn a_second_head_has_its_own_time() {
    let server = Server::with_limits(Limits { header_ms: SHORT_MS, ..limits() });
    let mut client = Client::connect(&server, Service::Gateway);
    client.send("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /hea");
    assert_eq!(client.read().status, 200);
    assert_eq!(client.read().status, 408);
    assert!(client.is_closed());
}

#[test]
fn a_body_that_never_comes_is_a_timeout() {
    let server = Server::with_limits(Limits { body_ms: SHORT_MS, ..limits() });
    for beginning in [
        "POST /inventory/try-hold HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n",
        "POST /inventory/try-hold HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{",
        "POST /inventory/try-hold HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
        "GET /healthz HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n",
    ] {
        let mut client = Client::connect(&server, Service::Gateway);
        let reply = client.send(beginning).read();
        assert_eq!(reply.error(), "408 request timeout", "{beginning:?}");
        assert_eq!(reply.header("connection"), Some("close"));
        assert!(client.is_closed(), "{beginning:?}");
    }
    assert!(server.script.asked().is_empty());
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let server = Server::with_limits(Limits { idle_ms: SHORT_MS, ..limits() });
    let mut fresh = Client::connect(&server, Service::Gateway);
    assert!(fresh.is_closed());
    let mut used = Client::connect(&server, Service::Gateway);
    assert_eq!(used.get("/healthz").status, 200);
    assert!(used.is_closed());
}

#[test]
fn a_write_that_is_not_answered_in_time_has_an_unknown_outcome() {
    let server = Server::with_limits(Limits { request_ms: SHORT_MS, ..limits() });
    server.script.hang();
    let mut client = Client::connect(&server, Service::Gateway);
    let reply = client.post("/inventory/try-hold", HOLD);
    assert_eq!((reply.status, &*reply.code()), (504, "outcome_unknown"));
    server.script.reply(Ok(samples::held()));
    assert_eq!(client.post("/inventory/try-hold", HOLD).status, 200, "it can be repeated on the connection");
}

#[test]
fn a_read_that_is_not_answered_in_time_is_a_timeout() {
    let server = Server::with_limits(Limits { request_ms: SHORT_MS, ..limits() });
    server.script.hang();
    let mut client = Client::connect(&server, Service::Gateway);
    server.script.play_read(|_| PlayedRead::Hang);
    for path in [
        "/inventory/availability?partition_key=p",
        "/v1/refunds",
        "/v1/trains/G101/2026-02-11",
        "/v1/orders",
        "/v1/orders/export",
        "/v1/trains/G101/2026-02-11/history",
    ] {
        let reply = client.get(path);
        assert_eq!((reply.status, &*reply.code()), (504, "timeout"), "{path}");
    }
    server.script.wait_for_hanging(0);
}

#[test]
fn more_requests_than_a_core_takes_are_told_to_come_later() {
    let server = Server::with_limits(Limits { in_flight_max: 2, ..limits() });
    let gate = Arc::new(AtomicBool::new(false));
    let opened = gate.clone();
    server.script.play(move |_| Played::After(opened.clone(), Ok(samples::held())));
    let mut busy: Vec<Client> = (0..2).map(|_| Client::connect(&server, Service::Inventory)).collect();
    for client in &mut busy {
        client.send(post("/inventory/try-hold", HOLD));
    }
    server.script.wait_for_hanging(2);
    let mut late = Client::connect(&server, Service::Inventory);
    let reply = late.post("/inventory/try-hold", HOLD);
    assert_eq!((reply.status, &*reply.code(), reply.header("retry-after")), (503, "busy", Some("1")));
    assert_eq!(late.get("/healthz").status, 200, "health is answered all the same, on the same connection");
    gate.store(true, Ordering::SeqCst);
    assert!(busy.iter_mut().all(|client| client.read().status == 200));
    assert_eq!(late.post("/inventory/try-hold", HOLD).status, 200);
}
