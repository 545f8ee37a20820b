//! Stopping, and the drivers that a core can run on.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use net::metrics::Registry;
use net::runtime::{DriverChoice, Runtime};
use net::{Limits, Service};

use crate::common::client::{Client, post};
use crate::common::{Played, Server, samples};

const PATH: &str = "/inventory/try-hold";
const HOLD: &str = r#"{"partition_key":"p","hold_id":"h","qty":1}"#;

#[test]
fn a_stop_lets_requests_under_way_finish() {
    let mut server = Server::start();
    let gate = Arc::new(AtomicBool::new(false));
    let opened = gate.clone();
    server.script.play(move |_| Played::After(opened.clone(), Ok(samples::held())));
    let mut busy = Client::connect(&server, Service::Inventory);
    busy.send(post(PATH, HOLD));
    server.script.wait_for_hanging(1);
    let mut idle = Client::connect(&server, Service::Gateway);
    assert_eq!(idle.get("/healthz").status, 200);

    server.begin_stop();
    assert!(idle.is_closed(), "an idle connection is closed");
    for service in Service::ALL {
        assert!(TcpStream::connect(server.address(service)).is_err(), "{service} takes no more connections");
    }
    gate.store(true, Ordering::SeqCst);
    let reply = busy.read();
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    assert!(busy.is_closed());
    server.join();
}

#[test]
fn a_stop_does_not_wait_for_ever() {
    let mut server = Server::with_limits(Limits { stop_ms: 30, ..Limits::default() });
    server.script.hang();
    let mut stuck = Client::connect(&server, Service::Inventory);
    stuck.send(post(PATH, HOLD));
    server.script.wait_for_hanging(1);
    let mut half = Client::connect(&server, Service::Inventory);
    half.send("POST /orders HTTP/1.1\r\n");
    server.join();
    assert!(stuck.is_closed() && half.is_closed());
}

/// Everything else has time: only what has not arrived whole is refused.
#[test]
fn a_stop_does_not_wait_for_half_a_request() {
    let limits = Limits { stop_receive_ms: 30, stop_ms: 600_000, ..Limits::default() };
    let mut server = Server::with_limits(limits);
    let gate = Arc::new(AtomicBool::new(false));
    let opened = gate.clone();
    server.script.play(move |_| Played::After(opened.clone(), Ok(samples::held())));
    let mut whole = Client::connect(&server, Service::Inventory);
    whole.send(post(PATH, HOLD));
    server.script.wait_for_hanging(1);
    let mut half = Client::connect(&server, Service::Inventory);
    // Leave to go on: from here on the body is waited for.
    half.send(format!(
        "POST {PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n"
    ));
    assert_eq!(half.read().status, 100);
    half.send("{\"a\"");
    let mut begun = Client::connect(&server, Service::Inventory);
    begun.send("POST /orders HTTP/1.1\r\n");
    server.begin_stop();
    let reply = half.read();
    assert_eq!((reply.status, &*reply.code(), reply.header("connection")), (503, "stopping", Some("close")));
    assert!(half.is_closed());
    while !begun.is_closed() {
        assert_eq!(begun.read().status, 408);
    }
    gate.store(true, Ordering::SeqCst);
    assert_eq!(whole.read().status, 200);
    server.join();
}

#[test]
fn what_was_sent_before_a_stop_is_answered() {
    let mut server = Server::start();
    server.script.reply(Ok(samples::held()));
    let mut clients: Vec<Client> = (0..100).map(|_| Client::connect(&server, Service::Inventory)).collect();
    for client in &mut clients {
        client.send(post(PATH, HOLD));
    }
    server.begin_stop();
    for client in &mut clients {
        assert_eq!(client.read().status, 200);
        assert!(client.is_closed());
    }
    server.join();
}

#[test]
fn requests_that_do_not_wait_for_answers_are_answered() {
    const REQUESTS: usize = 300;
    let server = Server::start();
    server.script.reply(Ok(samples::held()));
    let mut clients: Vec<Client> = (0..3).map(|_| Client::connect(&server, Service::Inventory)).collect();
    for client in &mut clients {
        client.send(post(PATH, HOLD).repeat(REQUESTS));
    }
    for client in &mut clients {
        for _ in 0..REQUESTS {
            assert_eq!(client.read().status, 200);
        }
    }
    assert_eq!(server.script.asked().len(), clients.len() * REQUESTS);
}

/// Bytes that a client sends while the engine is asked are there when its answer leaves, and no event may tell of them any more.
#[test]
fn requests_that_come_before_the_last_answer_are_answered() {
    let server = Server::start();
    let gate = Arc::new(AtomicBool::new(false));
    let opened = gate.clone();
    server.script.play(move |_| Played::After(opened.clone(), Ok(samples::held())));
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(&server, Service::Inventory)).collect();
    for client in &mut clients {
        client.send(post(PATH, HOLD));
    }
    server.script.wait_for_hanging(clients.len());
    for client in &mut clients {
        client.send(post(PATH, HOLD));
    }
    gate.store(true, Ordering::SeqCst);
    for client in &mut clients {
        assert_eq!((client.read().status, client.read().status), (200, 200));
    }
}

#[test]
fn every_driver_serves() {
    for choice in [DriverChoice::Epoll, DriverChoice::Uring] {
        if let Err(refused) = Runtime::new(choice) {
            assert_ne!(choice, DriverChoice::Epoll, "epoll is always there: {refused}");
            continue;
        }
        let server = Server::on(choice, Limits::default(), None, Registry::new(1));
        server.script.reply(Ok(samples::held()));
        let mut clients: Vec<Client> =
            (0..50).map(|_| Client::connect(&server, Service::Inventory)).collect();
        for _ in 0..10 {
            for client in &mut clients {
                client.send(post(PATH, HOLD));
            }
            for client in &mut clients {
                assert_eq!(client.read().status, 200, "{choice:?}");
            }
        }
        drop(server);
        assert!(clients.iter_mut().all(Client::is_closed), "{choice:?}");
    }
}
