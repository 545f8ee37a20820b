//! Requests that are framed badly, oddly, or one behind the other.

use net::{Limits, Service};

use crate::common::client::{Client, post};
use crate::common::{Server, samples};

const PATH: &str = "/inventory/try-hold";
const BODY: &str = r#"{"partition_key":"p","hold_id":"h","qty":1}"#;

fn server() -> Server {
    let server = Server::start();
    server.script.reply(Ok(samples::held()));
    server
}

/// Sends `request` and expects `status`, then that the server closes or answers the next request.
fn check(server: &Server, request: &str, status: u16, keeps: bool) {
    let mut client = Client::connect(server, Service::Inventory);
    let reply = client.send_lossy(request).read();
    assert_eq!(reply.status, status, "{request:?}: {reply:?}");
    if keeps {
        assert_eq!(client.get("/healthz").status, 200, "{request:?} leaves the connection usable");
    } else {
        assert!(client.is_closed(), "{request:?} closes the connection");
    }
}

#[test]
fn lengths_that_two_readers_could_read_differently_are_refused() {
    let server = server();
    let length = BODY.len();
    for headers in [
        format!("Content-Length: {length}\r\nContent-Length: {length}\r\n"),
        format!("Content-Length: {length}\r\nContent-Length: {}\r\n", length + 1),
        format!("Content-Length: {length}, {length}\r\n"),
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {length}\r\n"),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: identity\r\n".to_owned(),
        "Transfer-Encoding: chunked, gzip\r\n".to_owned(),
        "Content-Length: -1\r\n".to_owned(),
        "Content-Length: +1\r\n".to_owned(),
        "Content-Length: x\r\n".to_owned(),
        "Content-Length: 99999999999999999999\r\n".to_owned(),
        format!("Content-Length : {length}\r\n"),
    ] {
        check(&server, &format!("POST {PATH} HTTP/1.1\r\nHost: a\r\n{headers}\r\n{BODY}"), 400, false);
    }
    assert!(server.script.asked().is_empty(), "nothing that was refused reached the engine");
}

#[test]
fn a_refusal_does_not_wait_for_the_rest_of_a_split_head() {
    let server = server();
    let mut client = Client::connect(&server, Service::Inventory);
    client.send(format!("POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r"));
    client.send("\n\r\n");
    assert_eq!(client.read().status, 400);
    assert!(client.is_closed());
}

#[test]
fn heads_that_are_none_are_refused() {
    let server = server();
    for request in [
        "\0\0\0\0\r\n\r\n",
        "GET\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/9.9\r\n\r\n",
        "GET  /healthz HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /healthz HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
        "GET /healthz HTTP/1.1\r\na: \0\r\n\r\n",
        "GET /health z HTTP/1.1\r\n\r\n",
        "POST /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ] {
        check(&server, request, 400, false);
    }
}

#[test]
fn good_chunks_are_a_body_and_bad_ones_are_not() {
    let server = server();
    let chunked = |chunks: &str| {
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    let (first, second) = BODY.split_at(10);
    let good =
        format!("{:x}\r\n{first}\r\n{:X};x=y\r\n{second}\r\n0\r\nA: b\r\n\r\n", first.len(), second.len());
    check(&server, &chunked(&good), 200, true);
    assert_eq!(server.script.asked().len(), 1);
    for bad in
        ["zz\r\n{}\r\n0\r\n\r\n", "2\r\n{}0\r\n\r\n", "-1\r\n\r\n", "\r\n\r\n", "fffffffffffffffff\r\n{}"]
    {
        check(&server, &chunked(bad), 400, false);
    }
    assert!(server.script.asked().is_empty(), "no bad body reached the engine");
}

#[test]
fn a_body_cut_short_never_reaches_the_engine() {
    let server = server();
    for request in [
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{BODY}"),
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{{"),
    ] {
        let mut client = Client::connect(&server, Service::Inventory);
        client.send(&request).half_close();
        assert_eq!(client.read().status, 400, "{request:?}");
        assert!(client.is_closed(), "{request:?}");
    }
    assert!(server.script.asked().is_empty());
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = server();
    let mut client = Client::connect(&server, Service::Inventory);
    let mut all = String::new();
    for _ in 0..40 {
        all += &post(PATH, BODY);
        all += "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n";
    }
    client.send(&all);
    for _ in 0..40 {
        assert_eq!(client.read().status, 200);
        assert_eq!(client.read().status, 404);
    }
    assert_eq!(server.script.asked().len(), 40);
}

#[test]
fn a_good_request_before_a_bad_one_is_answered() {
    let server = server();
    let mut client = Client::connect(&server, Service::Inventory);
    let bad = "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n";
    client.send(post(PATH, BODY) + bad);
    assert_eq!(client.read().status, 200);
    assert_eq!(client.read().status, 400);
    assert!(client.is_closed());
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = server();
    let mut client = Client::connect(&server, Service::Inventory);
    for byte in post(PATH, BODY).as_bytes() {
        client.send([*byte]);
    }
    assert_eq!(client.read().status, 200);
}

#[test]
fn a_client_that_has_said_all_still_gets_its_answer() {
    let server = server();
    let mut client = Client::connect(&server, Service::Inventory);
    let reply = client.send(post(PATH, BODY)).half_close().read();
    assert_eq!(reply.status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_client_that_expects_it_is_told_to_continue() {
    let server = server();
    let mut client = Client::connect(&server, Service::Inventory);
    let length = BODY.len();
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
    );
    assert_eq!(client.send(&head).read().status, 100);
    assert_eq!(client.send(BODY).read().status, 200);
    assert_eq!(client.get("/healthz").status, 200);

    let head = head.replace(PATH, "/nowhere");
    assert_eq!(client.send(head).read().status, 404, "a body that nobody wants is not asked for");
    assert!(client.is_closed());
}

#[test]
fn old_clients_are_served() {
    let server = server();
    check(&server, "GET /healthz HTTP/1.0\r\n\r\n", 200, false);
    check(&server, "GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, true);
    check(&server, "GET /healthz HTTP/1.1\r\nhost: a\r\nConnection: close\r\n\r\n", 200, false);
}

#[test]
fn every_refusal_that_can_leaves_the_connection_usable() {
    let server = server();
    check(&server, "GET /nowhere HTTP/1.1\r\nhost: a\r\n\r\n", 404, true);
    check(&server, &post("/nowhere", BODY), 404, true);
    check(&server, &post("/healthz", BODY), 405, true);
    check(&server, &format!("GET {PATH} HTTP/1.1\r\nhost: a\r\n\r\n"), 405, true);
    check(&server, &post(PATH, "{"), 400, true);
    check(&server, &post(PATH, ""), 400, true);
    check(&server, &post(PATH, "{}"), 400, true);
}

#[test]
fn what_is_too_large_is_refused_by_its_size() {
    let server = Server::with_limits(Limits { body_bytes_max: 1_000, ..Limits::default() });
    server.script.reply(Ok(samples::held()));
    let padded = |length: usize| format!("{}{BODY}", " ".repeat(length - BODY.len()));
    check(&server, &post(PATH, &padded(1_000)), 200, true);
    check(&server, &post(PATH, &padded(1_001)), 413, false);
    check(&server, &post(PATH, &padded(300_000)), 413, false);
    let claimed = format!("POST {PATH} HTTP/1.1\r\nhost: a\r\nContent-Length: 1000000000000\r\n\r\n");
    check(&server, &claimed, 413, false);
    let chunks = "64\r\n".to_owned() + &" ".repeat(100) + "\r\n";
    let chunked =
        format!("POST {PATH} HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: chunked\r\n\r\n{}", chunks.repeat(11));
    check(&server, &chunked, 413, false);
}

#[test]
fn heads_have_a_size_and_a_number_of_headers() {
    let server = server();
    let many = |count: usize| format!("GET /healthz HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(count));
    check(&server, &many(100), 200, true);
    check(&server, &many(101), 431, false);
    let long = |length: usize| format!("GET /healthz HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(length));
    check(&server, &long(16_000), 200, true);
    check(&server, &long(17_000), 431, false);
    check(&server, &long(200_000), 431, false);
    check(&server, &format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(17_000)), 431, false);
}

#[test]
fn ids_of_ten_thousand_bytes_are_a_bad_request() {
    let server = server();
    let long = "x".repeat(10_000);
    check(&server, &post(PATH, &format!(r#"{{"partition_key":"p","hold_id":"{long}","qty":1}}"#)), 400, true);
    check(&server, &format!("GET /inventory/availability?partition_key={long} HTTP/1.1\r\n\r\n"), 400, true);
    assert!(server.script.asked().is_empty());
}
