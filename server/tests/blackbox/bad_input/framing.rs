//! Bytes that are no request, or more than one: nothing of them is done, and a second request hidden in a body is
//! never taken for one.

use std::io::{ErrorKind, Read, Write};

use serde_json::json;

use super::{PARTITION, Victim};
use crate::bad_requests;
use crate::support::http::request;
use crate::support::{Conn, Port, Response};

/// What became of raw bytes on a connection of their own.
#[derive(Debug)]
enum Fate {
    Answered(Response),
    /// Closed without a (whole) answer.
    Closed,
}

/// Sends bytes, and nothing more, and sees what comes of it.
fn fate(victim: &Victim, bytes: &[u8]) -> Fate {
    let mut conn = victim.server.conn(Port::Gateway);
    // A server that has refused already may close while bytes are still on their way.
    let _ = conn.send(bytes);
    let _ = conn.finish_sending();
    match conn.answer() {
        Ok(answer) => Fate::Answered(answer),
        Err(e) if matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Fate::Closed,
        Err(e) => panic!("neither answered nor closed ({e}): {:?}", String::from_utf8_lossy(bytes)),
    }
}

/// An order in the body of an attack: it must not come into being.
fn order(key: &str) -> String {
    json!({"idempotency_key": key, "amount_cents": 1}).to_string()
}

/// A whole request for an order, to be hidden behind another one.
fn hidden(key: &str) -> String {
    String::from_utf8(request("POST", "/orders", &[], Some(order(key).as_bytes()))).expect("text")
}

const POST: &str = "POST /orders HTTP/1.1\r\nHost: localhost\r\n";

/// Catches: a request whose length two readers could read differently being done, or the hidden one behind it.
#[test]
fn ambiguous_lengths_are_refused() {
    let requests = bad_requests::ambiguous_lengths("/orders", &order("framing"), &hidden("framing-hidden"));
    check_refused(&requests, &["framing", "framing-hidden"]);
}

/// Catches: chunks that do not add up taken for a body; a body that ends early taken for a whole one.
#[test]
fn broken_bodies_are_not_read_as_whole_ones() {
    let requests = bad_requests::broken_bodies("/orders", &order("broken"), &hidden("broken-hidden"));
    check_refused(&requests, &["broken", "broken-hidden"]);
}

/// Each is answered with 400 and changes nothing, and nothing was ever ordered under the keys.
#[track_caller]
fn check_refused(requests: &[String], keys: &[&str]) {
    let mut victim = Victim::new();
    for request in requests {
        match fate(&victim, request.as_bytes()) {
            Fate::Answered(answer) => assert_eq!(answer.status, 400, "{request:?}: {answer:?}"),
            Fate::Closed => panic!("closed without an answer: {request:?}"),
        }
        victim.assert_unchanged(request);
    }
    keys.iter().for_each(|key| victim.assert_never_ordered(key));
}

/// Catches: bytes that are no HTTP crashing a core, or answered as a request.
#[test]
fn what_is_no_http_is_refused() {
    let mut victim = Victim::new();
    for (bytes, status) in bad_requests::not_http() {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned();
        // Who sends much may be cut off before its answer has come.
        if let Fate::Answered(answer) = fate(&victim, &bytes) {
            assert_eq!(Some(answer.status), status, "{shown:?}: {answer:?}");
        }
        victim.assert_unchanged(&shown);
    }
}

/// Catches: a header section or a body that is stored without an end.
#[test]
fn what_is_too_large_is_refused() {
    let mut victim = Victim::new();
    let padding = "x".repeat(32 << 20);
    let body = json!({"idempotency_key": "large", "amount_cents": 1, "padding": padding}).to_string();
    let whole = request("POST", "/orders", &[], Some(body.as_bytes()));
    let chunks: Vec<u8> = [
        format!("{POST}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n", body.len()).into_bytes(),
        body.into_bytes(),
        b"\r\n0\r\n\r\n".to_vec(),
    ]
    .concat();
    for bytes in [whole, chunks] {
        let answer = answer_while_sending(&victim, &bytes);
        assert!([400, 413].contains(&answer.status), "{answer:?}");
        victim.assert_unchanged("a body of 32 MiB");
    }
    // Headers that never end: the client stops only when the server does.
    let mut conn = victim.server.conn(Port::Gateway);
    let mut sent = 0_usize;
    conn.send(b"GET /healthz HTTP/1.1\r\nX: ").expect("room for the beginning");
    while conn.send(&[b'x'; 4_096]).is_ok() {
        sent += 4_096;
        assert!(sent < 64 << 20, "a header of 64 MiB is still being read");
    }
    victim.assert_unchanged("a header without an end");
    victim.assert_never_ordered("large");
}

/// Sends until the server answers or closes, and reads the answer meanwhile.
fn answer_while_sending(victim: &Victim, bytes: &[u8]) -> Response {
    let mut conn = victim.server.conn(Port::Gateway);
    let mut writer = conn.writer();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for piece in bytes.chunks(16 * 1_024) {
                if writer.write_all(piece).is_err() {
                    return;
                }
            }
        });
        conn.answer().expect("an answer to a body that is too large")
    })
}

/// Catches: requests sent at once answered out of order, or the good ones lost with the bad one.
#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let mut victim = Victim::new();
    let mut conn = victim.server.conn(Port::Gateway);
    let good = order("pipeline");
    let bytes: Vec<u8> = [
        request("GET", "/healthz", &[("X-Trace-Id", "1")], None),
        request("POST", "/orders", &[("X-Trace-Id", "2")], Some(b"{")),
        request("POST", "/orders", &[("X-Trace-Id", "3")], Some(good.as_bytes())),
        request("GET", "/nothing", &[("X-Trace-Id", "4")], None),
        request("POST", "/orders", &[("X-Trace-Id", "5")], Some(good.as_bytes())),
    ]
    .concat();
    conn.send(&bytes).expect("room for five requests");
    for (trace, status) in [("1", 200), ("2", 400), ("3", 200), ("4", 404), ("5", 200)] {
        let answer = conn.answer().expect("an answer");
        assert_eq!((answer.header("x-trace-id"), answer.status), (Some(trace), status), "{answer:?}");
    }
    victim.assert_unchanged("requests sent at once");
}

/// The same means used well: so that what is refused above is refused for its own fault. Catches: chunked bodies, byte
/// by byte sending, `Expect`, HTTP/1.0 and whole URLs not understood.
#[test]
fn unusual_but_good_requests_are_done() {
    let victim = Victim::new();
    let body = order("unusual");
    let half = body.len() / 2;
    let chunked = format!(
        "{POST}Transfer-Encoding: chunked\r\n\r\n{:x};ext=1\r\n{}\r\n{:X}\r\n{}\r\n0\r\nTrailer: x\r\n\r\n",
        half,
        &body[..half],
        body.len() - half,
        &body[half..]
    );
    let mut conn = victim.server.conn(Port::Gateway);
    conn.send(chunked.as_bytes()).expect("sent");
    let first = conn.answer().expect("an answer to a chunked body");
    assert_eq!(first.status, 200, "{first:?}");
    for byte in request("POST", "/orders", &[], Some(body.as_bytes())) {
        conn.send(&[byte]).expect("sent");
    }
    let second = conn.answer().expect("an answer to single bytes");
    assert_eq!((second.status, second.json()), (200, first.json()));
    let head = format!("{POST}Content-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len());
    conn.send(head.as_bytes()).expect("sent");
    let interim = conn.answer().expect("leave to go on");
    assert_eq!(interim.status, 100, "{interim:?}");
    conn.send(body.as_bytes()).expect("sent");
    let third = conn.answer().expect("an answer after going on");
    assert_eq!((third.status, third.json()), (200, first.json()));
    conn.send(b"GET http://localhost/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("sent");
    assert_eq!(conn.answer().expect("an answer to a whole URL").status, 200);
    conn.send(b"GET /healthz HTTP/1.0\r\n\r\n").expect("sent");
    assert_eq!(conn.answer().expect("an answer to HTTP/1.0").status, 200);
}

/// Catches: a client that goes away in the middle taking its core, or somebody's seats, with it.
#[test]
fn clients_that_go_away_leave_nothing_behind() {
    let mut victim = Victim::new();
    let body = json!({"partition_key": PARTITION, "hold_id": "gone", "qty": 1}).to_string();
    let bytes = request("POST", "/inventory/try-hold", &[], Some(body.as_bytes()));
    for cut in (0..bytes.len()).step_by(5) {
        let mut conn = Conn::open(victim.server.addr(Port::Gateway)).expect("a connection");
        conn.send(&bytes[..cut]).expect("sent");
    }
    victim.assert_unchanged("clients that went away in the middle of a request");
    let mut conn = victim.server.conn(Port::Gateway);
    conn.send(&bytes).expect("sent");
    let mut first = [0; 1];
    conn.writer().read_exact(&mut first).expect("an answer has begun");
    drop(conn);
    assert_eq!(victim.session.available(PARTITION), 494, "a whole request is done, whoever reads the answer");
}
