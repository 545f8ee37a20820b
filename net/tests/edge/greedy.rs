//! A client that never stops asking.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use net::{Limits, Service};

use crate::common::client::{Client, post};
use crate::common::{Server, samples};

/// With a body as well: handing it over wakes the connection's own task, which the runtime would run before any other.
#[test]
fn a_client_that_never_stops_asking_does_not_starve_the_others() {
    check("GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n");
    check(&post("/inventory/try-hold", r#"{"partition_key":"p","hold_id":"h","qty":1}"#));
}

/// One client sends `request` without end; others come and are answered.
fn check(request: &str) {
    let server = Server::start();
    server.script.reply(Ok(samples::held()));
    let mut greedy = TcpStream::connect(server.address(Service::Gateway)).unwrap();
    let mut reader = greedy.try_clone().unwrap();
    let enough = Arc::new(AtomicBool::new(false));
    let (requests, stop) = (request.repeat(1_000), enough.clone());
    let writing = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) && greedy.write_all(requests.as_bytes()).is_ok() {}
        let _ = greedy.shutdown(std::net::Shutdown::Both);
    });
    let reading = std::thread::spawn(move || {
        let mut answers = [0; 1 << 16];
        while reader.read(&mut answers).is_ok_and(|count| count > 0) {}
    });
    for _ in 0..50 {
        let mut client = Client::connect(&server, Service::Gateway);
        for _ in 0..20 {
            assert_eq!(client.get("/healthz").status, 200);
        }
    }
    enough.store(true, Ordering::Relaxed);
    writing.join().unwrap();
    reading.join().unwrap();
}

/// Its answers fill the socket; the core waits for room there and for nothing else, so that its clock goes on.
#[test]
fn a_client_that_takes_no_answers_is_closed_in_time() {
    let server =
        Server::with_limits(Limits { idle_ms: 200, header_ms: 200, sweep_ms: 20, ..Limits::default() });
    let mut deaf = TcpStream::connect(server.address(Service::Gateway)).unwrap();
    deaf.set_write_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut other = Client::connect(&server, Service::Gateway);
    let requests = "GET /openapi/gateway.yaml HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1_000);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        assert!(Instant::now() < deadline, "it is never closed");
        match deaf.write(requests.as_bytes()) {
            Ok(_) => {}
            Err(full) if full.kind() == ErrorKind::WouldBlock => {
                assert_eq!(other.get("/healthz").status, 200);
            }
            Err(_closed) => return,
        }
    }
}
