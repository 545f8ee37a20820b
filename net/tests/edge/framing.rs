//! Requests that are framed badly, oddly, or one behind the other.

use net::{Limits, Service};

use crate::bad_requests;
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

/// A whole request, to be hidden behind another one.
fn hidden() -> String {
    post(PATH, BODY)
}

#[test]
fn lengths_that_two_readers_could_read_differently_are_refused() {
    let server = server();
    for request in bad_requests::ambiguous_lengths(PATH, BODY, &hidden()) {
        check(&server, &request, 400, false);
    }
    assert!(server.script.asked().is_empty(), "nothing that was refused reached the engine");
}

#[test]
fn bodies_that_do_not_add_up_never_reach_the_engine() {
    let server = server();
    for request in bad_requests::broken_bodies(PATH, BODY, &hidden()) {
        let mut client = Client::connect(&server, Service::Inventory);
        assert_eq!(client.send(&request).half_close().read().status, 400, "{request:?}");
        assert!(client.is_closed(), "{request:?}");
    }
    assert!(server.script.asked().is_empty());
}

#[test]
fn what_is_no_http_is_refused() {
    let server = server();
    for (bytes, status) in bad_requests::not_http() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        let mut client = Client::connect(&server, Service::Inventory);
        client.send_lossy(&bytes).half_close();
        if let Some(status) = status {
            assert_eq!(client.read().status, status, "{shown:?}");
        }
        assert!(client.is_closed(), "{shown:?}");
    }
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
fn chunks_are_a_body() {
    let server = server();
    let chunked = |chunks: &str| {
        format!("POST {PATH} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
    };
    let (first, second) = BODY.split_at(10);
    let good =
        format!("{:x}\r\n{first}\r\n{:X};x=y\r\n{second}\r\n0\r\nA: b\r\n\r\n", first.len(), second.len());
    check(&server, &chunked(&good), 200, true);
    assert_eq!(server.script.asked().len(), 1);
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
    // Sent to its end, however long after the answer that is.
    let long = post(PATH, &padded(6 << 20));
    let reply = Client::connect(&server, Service::Inventory).send(long).read();
    assert_eq!(reply.status, 413, "{reply:?}");
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
    let many =
        |count: usize| format!("GET /healthz HTTP/1.1\r\nhost: a\r\n{}\r\n", "a: b\r\n".repeat(count - 1));
    check(&server, &many(100), 200, true);
    check(&server, &many(101), 431, false);
    let long =
        |length: usize| format!("GET /healthz HTTP/1.1\r\nhost: a\r\na: {}\r\n\r\n", "b".repeat(length));
    check(&server, &long(16_000), 200, true);
    check(&server, &long(17_000), 431, false);
    check(&server, &long(200_000), 431, false);
    check(&server, &format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(17_000)), 431, false);
}
