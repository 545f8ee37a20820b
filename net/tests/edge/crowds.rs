//! More connections than there are descriptors for: the reserve, and the share of one address.

use std::net::Ipv4Addr;

use net::metrics::Registry;
use net::runtime::{DriverChoice, Runtime};
use net::{ConnectionLimits, Limits, Service};

use crate::common::client::Client;
use crate::common::{Server, config, samples};

const PATH: &str = "/inventory/try-hold";
const HOLD: &str = r#"{"partition_key":"p","hold_id":"h","qty":1}"#;
const RESERVE: usize = 3;

fn server(driver: DriverChoice, max: usize, per_address_max: usize) -> Server {
    let connections = ConnectionLimits { max, per_address_max, reserve_max: RESERVE };
    let limits = Limits { sweep_ms: 5, ..Limits::default() };
    let server = Server::budgeted(driver, config(limits, None), Registry::new(1), connections);
    server.script.reply(Ok(samples::held()));
    server
}

/// On every driver that the machine has.
fn check(max: usize, per_address_max: usize, test: impl Fn(&Server)) {
    for driver in [DriverChoice::Epoll, DriverChoice::Uring] {
        if Runtime::new(driver).is_ok() {
            test(&server(driver, max, per_address_max));
        }
    }
}

/// Connections within the budget, known to be accepted.
fn members(server: &Server, count: usize) -> Vec<Client> {
    let mut members: Vec<Client> = (0..count).map(|_| Client::connect(server, Service::Gateway)).collect();
    for member in &mut members {
        assert_eq!(member.get("/healthz").status, 200);
    }
    members
}

/// Both limits are of the same kind to a client.
fn check_reserve(server: &Server) {
    for path in ["/healthz", "/readyz", "/metrics"] {
        let mut late = Client::connect(server, Service::Inventory);
        let reply = late.get(path);
        assert_eq!((reply.status, reply.header("connection")), (200, Some("close")), "{path}");
        assert!(late.is_closed(), "{path}");
    }
    let mut late = Client::connect(server, Service::Inventory);
    let reply = late.post(PATH, HOLD);
    assert_eq!((&*reply.error(), &*reply.code()), ("503 too many connections", "busy"));
    assert_eq!((reply.header("retry-after"), reply.header("connection")), (Some("1"), Some("close")));
    assert!(late.is_closed());
    assert!(server.script.asked().is_empty(), "nothing was done");
}

#[test]
fn beyond_the_budget_only_health_is_answered() {
    check(2, 2, |server| {
        let mut members = members(server, 2);
        check_reserve(server);
        assert_eq!(members[0].post(PATH, HOLD).status, 200, "the others do not notice");
        server.script.asked();
        drop(members);
    });
}

#[test]
fn one_address_does_not_take_everybodys_connections() {
    check(4, 2, |server| {
        let _members = members(server, 2);
        check_reserve(server);
        let mut elsewhere = Client::connect_from(Ipv4Addr::new(127, 0, 0, 9), server, Service::Gateway);
        assert_eq!(elsewhere.post(PATH, HOLD).status, 200);
        assert_eq!(elsewhere.post(PATH, HOLD).status, 200, "and goes on");
        server.script.asked();
    });
}

#[test]
fn a_place_that_becomes_free_is_taken_again() {
    check(1, 1, |server| {
        for _ in 0..20 {
            let mut member = members(server, 1).remove(0);
            assert_eq!(member.post(PATH, HOLD).status, 200);
            drop(member);
            // The server may hear of the end later than its client.
            while Client::connect(server, Service::Gateway).post(PATH, HOLD).status == 503 {}
        }
    });
}

#[test]
fn whoever_says_nothing_in_the_reserve_has_to_go() {
    check(1, 1, |server| {
        let _members = members(server, 1);
        let mut silent = Client::connect(server, Service::Gateway);
        let mut begun = Client::connect(server, Service::Gateway);
        begun.send(format!("POST {PATH} HTTP/1.1\r\nhost: a\r\n"));
        assert!(silent.is_closed() && begun.is_closed());
    });
}

/// The oldest: whoever comes last is always let in.
#[test]
fn a_full_reserve_lets_the_oldest_go() {
    check(1, 1, |server| {
        let _members = members(server, 1);
        let mut silent: Vec<Client> =
            (0..10 * RESERVE).map(|_| Client::connect(server, Service::Gateway)).collect();
        let mut late = Client::connect(server, Service::Gateway);
        assert_eq!(late.get("/healthz").status, 200);
        assert!(silent.iter_mut().all(Client::is_closed));
    });
}

#[test]
fn the_budget_and_its_use_are_shown() {
    let server = server(DriverChoice::Auto, 3, 2);
    let mut members = members(&server, 2);
    let _silent = Client::connect(&server, Service::Gateway);
    let mut late = Client::connect(&server, Service::Gateway);
    assert_eq!(late.get("/healthz").status, 200);
    let scrape = members[0].get("/metrics").body;
    for line in
        ["interlock_connections 2", "interlock_connections_max 3", "interlock_connections_per_address_max 2"]
    {
        assert!(scrape.contains(&format!("\n{line}\n")), "{line} is missing from {scrape}");
    }
    assert!(scrape.contains("\ninterlock_connections_reserved "), "{scrape}");
}
