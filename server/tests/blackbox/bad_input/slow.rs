//! Clients that take their time: they are told to go, and others do not wait for them.

use std::io::ErrorKind;
use std::process::Command;
use std::time::Instant;

use super::Victim;
use crate::support::session::text;
use crate::support::{Conn, DEADLINE, Launch, Port};

/// Idle connections that others have to get along with.
const IDLE: usize = 1_000;

/// Reads until the server answers or closes; true where it has done so. What it answers is a refusal.
fn has_ended(conn: &mut Conn) -> bool {
    match conn.answer() {
        Ok(answer) => {
            assert!([400, 408].contains(&answer.status), "{answer:?}");
            true
        }
        Err(e) => matches!(e.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
    }
}

/// Catches: headers that never end or a body that never comes holding a connection for ever, or being done; other
/// callers waiting for them.
#[test]
fn what_never_comes_is_not_waited_for() {
    let mut victim = Victim::new();
    let post = "POST /orders HTTP/1.1\r\nHost: localhost\r\n";
    let beginnings = [
        "P".to_owned(),
        format!("{post}X: y\r\n"),
        format!("{post}Content-Length: 50\r\n\r\n"),
        format!("{post}Content-Length: 50\r\n\r\n{{\"idempotency_key\":\"slow\""),
        format!("{post}Transfer-Encoding: chunked\r\n\r\n5\r\n"),
    ];
    let conns: Vec<Conn> = beginnings
        .iter()
        .map(|bytes| {
            let mut conn = victim.server.conn(Port::Gateway);
            conn.send(bytes.as_bytes()).expect("sent");
            conn
        })
        .collect();
    victim.assert_unchanged("requests that have only begun");
    std::thread::scope(|scope| {
        for (mut conn, bytes) in conns.into_iter().zip(&beginnings) {
            scope.spawn(move || assert!(has_ended(&mut conn), "still waited for: {bytes:?}"));
        }
        // One that sends a little now and then is as slow as one that sends nothing.
        let mut trickle = victim.server.conn(Port::Gateway);
        scope.spawn(move || {
            let started = Instant::now();
            trickle.send(b"GET /healthz HTTP/1.1\r\n").expect("sent");
            while trickle.send(b"X: y\r\n").is_ok() {
                assert!(
                    started.elapsed() < 2 * DEADLINE,
                    "a header line now and then keeps a connection for ever"
                );
                std::thread::sleep(std::time::Duration::from_millis(200));
            }
        });
    });
    victim.assert_unchanged("requests that never ended");
    victim.assert_never_ordered("slow");
}

/// Catches: idle connections that keep others from being accepted or answered.
#[test]
fn a_thousand_idle_connections_are_in_nobodys_way() {
    // Where the limit cannot be raised and is too low, opening the connections says so.
    let pid = std::process::id().to_string();
    let _ = Command::new("prlimit").args(["--nofile=8192:", "--pid", &pid]).status();
    let server = Launch::new().cores(2).start();
    let idle: Vec<Conn> = (0..IDLE)
        .map(|i| {
            let port = Port::ALL[i % Port::ALL.len()];
            Conn::open(server.addr(port)).unwrap_or_else(|e| panic!("idle connection {i} (ulimit -n?): {e}"))
        })
        .collect();
    for (mut session, key) in [(server.session(), "idle-services"), (server.gateway(), "idle-gateway")] {
        let id = text(&session.reserved(key, "idle", 1), "OrderID").to_owned();
        session.pay(&id, key).ok();
        session.until_ticketed(&id);
        let other = text(&session.reserved(&format!("{key}-cancelled"), "idle", 1), "OrderID").to_owned();
        session.cancel(&other).ok();
    }
    assert_eq!(server.session().available("idle"), 498);
    // They were really accepted, and are still good for a request.
    for (i, mut conn) in idle.into_iter().enumerate().step_by(97) {
        let answer =
            conn.call("GET", "/healthz", &[], None).unwrap_or_else(|e| panic!("idle connection {i}: {e}"));
        answer.ok();
    }
}
