//! Each service around the engine goes away, an order is paid meanwhile, and the service comes back: nobody who buys notices, the gateway says
//! which one is away, and everything arrives once.

use std::path::Path;

use serde_json::Value;

use crate::services::{OwnServices, Place, SINKS};
use crate::session::text;
use crate::{Launch, Port, Server, Session, until};

/// The partition of all orders.
const PARTITION: &str = "outage|2099-01-01|2nd";

/// The outages of a run.
#[derive(Debug, Default)]
pub struct Report {
    pub outages: u64,
    pub orders: u64,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} outages, {} orders: each arrived once everywhere", self.outages, self.orders)
    }
}

/// Stops each service in turn, `rounds` times. Services of its own live in `dir`.
///
/// # Panics
/// When a buyer notices, or something does not arrive.
pub fn run(launch: &Launch, dir: &Path, rounds: u64) -> Report {
    let services = OwnServices::up(dir);
    let place = Place::new(services.get());
    let server = place.configure(launch.clone().env("ORDER_INVENTORY_CAPACITY", "100000"), &SINKS).start();
    let mut session = server.session();
    let mut report = Report::default();
    until_ready(&mut session);
    for round in 0..rounds {
        for service in SINKS {
            let paid = |session: &mut Session, when: &str| buy(session, &format!("{service}-{round}-{when}"));
            let mut orders = vec![paid(&mut session, "before")];
            place.services.down(service);
            orders.push(paid(&mut session, "meanwhile"));
            until_down(&mut session, service);
            orders.push(paid(&mut session, "later"));
            place.services.up(service);
            until_ready(&mut session);
            orders.push(paid(&mut session, "behind"));
            until_ready(&mut session);
            SINKS.iter().for_each(|sink| place.assert_has_ticketed(sink, &orders));
            report.outages += 1;
            report.orders += orders.len() as u64;
        }
    }
    assert_no_secret(&server, &place);
    server.stop().check_log();
    report
}

/// An order with its ticket, as HTTP says it.
fn buy(session: &mut Session, key: &str) -> Value {
    let order = session.reserved(key, PARTITION, 1);
    let id = text(&order, "OrderID");
    session.pay(id, key).ok();
    session.until_ticketed(id);
    session.order(id)
}

/// The gateway says that a service is away, and the services that sell do not.
fn until_down(session: &mut Session, service: &str) {
    until(&format!("{service} to be said to be away"), || {
        let answer = session.get(Port::Gateway, "/readyz");
        (answer.status == 503 && answer.json()["dependency"] == service).then_some(())
    });
    assert_eq!(session.get(Port::Order, "/readyz").status, 200);
}

/// Every sink has everything.
fn until_ready(session: &mut Session) {
    until("every sink to have everything", || {
        let answer = session.get(Port::Gateway, "/readyz");
        let sinks = answer.json()["sinks"].clone();
        let has_all = |sink: &Value| sink["state"] == "following" && sink["backlog"] == 0;
        let sinks = sinks.as_array().expect("the sinks");
        (answer.status == 200 && sinks.len() == 1 + SINKS.len() && sinks.iter().all(has_all)).then_some(())
    });
}

/// No line of the log, no metric and no status tells a password.
fn assert_no_secret(server: &Server, place: &Place) {
    let mut session = server.session();
    let metrics = session.get(Port::Gateway, "/metrics").text();
    let status =
        server.launch().run(&["status", "--data-dir", &server.launch().dir().display().to_string()]).said();
    let config = server.launch().run(&["config"]).said();
    let password = place.services.setting("REDIS_PASSWORD");
    for said in [server.log(), metrics, status, config] {
        for secret in ["mysql-secret", &password] {
            assert!(!said.contains(secret), "a password is told: {said}");
        }
    }
}
