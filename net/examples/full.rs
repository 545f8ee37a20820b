//! The full edge over a backend that does nothing: what reading, checking and writing a request costs.
//!
//! `full <offset> [uring|epoll]` serves the five services on their ports plus `offset`, on one core.

use std::future::Future;
use std::net::Ipv4Addr;
use std::rc::Rc;

use engine::answer::{Answer, HoldStatus, HoldView, PartitionView, Rejection, Reply};
use engine::command::{Command, Request};
use engine::ids::{PartitionKey, Time};
use engine::text::Text;
use net::metrics::{Metrics, Registry};
use net::runtime::{DriverChoice, Runtime, Switch};
use net::{Addresses, Backend, Config, Defaults, Dependency, Edge, Limits, Service, WorkerStatus};
use timetable::{DateWindow, Timetable};

struct Nothing {
    timetable: Timetable,
}

impl Backend for Nothing {
    fn call(&self, request: Box<Request>) -> impl Future<Output = Reply> {
        std::future::ready(match request.command {
            Command::TryHold(hold) => Ok(Answer::Partition(Box::new(PartitionView {
                partition: hold.partition,
                capacity: 1_000,
                available: 999,
                confirmed: 0,
                last_seq: 12_345,
                hold: HoldView {
                    hold: hold.hold,
                    quantity: hold.quantity,
                    status: HoldStatus::Held,
                    seats: vec![Text::from("05-12A")],
                    expires_at: Time(1_770_797_406_007),
                },
            }))),
            _ => Err(Rejection::OrderNotFound),
        })
    }

    fn fresh_entropy(&self) -> u128 {
        0
    }

    fn timetable(&self) -> Timetable {
        self.timetable.clone()
    }

    fn ready(&self, _: Service) -> Result<(), Dependency> {
        Ok(())
    }

    fn worker(&self) -> WorkerStatus {
        WorkerStatus::default()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let offset =
        arguments.next().and_then(|port| port.parse().ok()).expect("usage: full <offset> [uring|epoll]");
    let choice = match arguments.next().as_deref() {
        Some("uring") => DriverChoice::Uring,
        Some("epoll") => DriverChoice::Epoll,
        _ => DriverChoice::Auto,
    };
    let addresses = Addresses { ip: Ipv4Addr::LOCALHOST.into(), offset };
    net::claim_ports(&addresses)?;
    let partition = PartitionKey::parse("G123|2026-02-11|2nd").expect("a good key");
    let config = Config {
        env: "example".to_owned(),
        version: "0".to_owned(),
        sign_key: None,
        defaults: Defaults::new(partition),
        limits: Limits::default(),
    };
    let metrics = Metrics::new(1, Registry::new(1));
    let mut runtime = Runtime::new(choice)?;
    runtime.block_on(async {
        let backend = Nothing { timetable: Timetable::built_in(DateWindow::WHOLE) };
        let edge = Edge::new(0, backend, config.into(), metrics);
        edge.serve(net::core_listeners(&addresses)?, Rc::new(Switch::new())).await?;
        Ok(())
    })
}
