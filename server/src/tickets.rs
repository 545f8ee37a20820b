//! Tickets: how far they are, and the worker that reads from Kafka which orders are paid, where it is to.

mod status;

use std::sync::Arc;
use std::thread::JoinHandle;

use bridge::kafka::{Cluster, Issue, Outcome, TicketWorker, TicketWorkerStatus};
use bridge::runner::Stop;
use engine::answer::{Rejection, Reply};
use engine::command::{Command, Request};
use engine::ids::{OrderId, Time};
use engine::text::Text;
use net::WorkerStatus;
use net::metrics::Registry;

use crate::desk::Desk;
use crate::sinks;

pub(crate) use status::TicketCell;

/// The tickets of the process, as others see them.
#[derive(Clone, Debug)]
pub(crate) struct TicketHandles {
    /// One for each core.
    pub(crate) cells: Arc<[TicketCell]>,
    /// Of the worker; `None` where the engine issues tickets by itself.
    worker: Option<Arc<TicketWorkerStatus>>,
}

impl TicketHandles {
    pub(crate) fn status(&self, now: Time) -> WorkerStatus {
        let status = status::of_all(&self.cells, now);
        let last_error = status.last_error.or_else(|| self.worker.as_ref()?.trouble());
        WorkerStatus { last_error, ..status }
    }
}

/// The ticket worker while it runs, if it does.
pub(crate) struct Tickets {
    pub(crate) handles: TicketHandles,
    stop: Arc<Stop>,
    thread: Option<JoinHandle<()>>,
}

impl Tickets {
    /// With a worker that reads from this cluster, or without one.
    ///
    /// # Errors
    /// A thread cannot be had.
    pub(crate) fn start(
        cluster: Option<&Cluster>,
        desk: &Arc<Desk>,
        cores: u16,
        registry: &mut Registry,
    ) -> std::io::Result<Tickets> {
        let stop = Arc::new(Stop::default());
        let worker =
            cluster.map(|cluster| TicketWorker::new(cluster.clone(), Engine(desk.clone()), stop.clone()));
        let status = worker.as_ref().map(TicketWorker::status);
        if let Some(status) = &status {
            register(status, registry);
        }
        let seed = u64::from(std::process::id());
        let thread = worker.map(|worker| sinks::spawn("tickets", move || worker.run(seed))).transpose()?;
        let handles =
            TicketHandles { cells: (0..cores).map(|_| TicketCell::default()).collect(), worker: status };
        register_waiting(&handles, registry);
        Ok(Tickets { handles, stop, thread })
    }

    /// Stops the worker. What it has not dealt with it reads again after the next start.
    pub(crate) fn stop(self) {
        self.stop.set();
        sinks::join(self.thread);
    }
}

fn register_waiting(tickets: &TicketHandles, registry: &mut Registry) {
    let (waiting, lag) = (tickets.clone(), tickets.clone());
    registry.gauge_of(
        "interlock_tickets_waiting",
        "Paid orders that wait for their tickets.",
        &[],
        move || waiting.status(sinks::wall_clock()).backlog,
    );
    registry.gauge_of(
        "interlock_ticket_wait_seconds",
        "How long the oldest of them waits; 0 if none does.",
        &[],
        move || lag.status(sinks::wall_clock()).lag_ms / 1_000,
    );
}

fn register(status: &Arc<TicketWorkerStatus>, registry: &mut Registry) {
    for outcome in Outcome::ALL {
        let status = status.clone();
        registry.counter_of(
            "interlock_ticket_messages_total",
            "Messages of paid orders that the ticket worker has read, by what became of them.",
            &[("outcome", outcome.wire_name())],
            move || status.messages(outcome),
        );
    }
    let status = status.clone();
    registry.gauge_of(
        "interlock_ticket_worker_up",
        "Whether the ticket worker reads from Kafka: 1, or 0 while it is down.",
        &[],
        move || u64::from(status.trouble().is_none()),
    );
}

/// The engine as the worker asks it.
struct Engine(Arc<Desk>);

impl Issue for Engine {
    fn issue(&mut self, orders: &[OrderId]) -> Vec<Result<Outcome, String>> {
        let ask = |order: &OrderId| {
            let command = Command::IssueTicket { order: *order };
            self.0.call(Request { command, trace: Text::from("") })
        };
        // All at once, so that they share the writes of the log.
        let replies: Vec<_> = orders.iter().map(ask).collect();
        replies.into_iter().map(|reply| outcome(reply.blocking_recv())).collect()
    }
}

fn outcome<E>(reply: Result<Reply, E>) -> Result<Outcome, String> {
    match reply {
        Ok(Ok(_)) => Ok(Outcome::Ticketed),
        Ok(Err(Rejection::OrderNotFound)) => Ok(Outcome::Unknown),
        Ok(Err(Rejection::InvalidTransition)) => Ok(Outcome::Refused),
        Ok(Err(rejection)) => Err(format!("{rejection:?}")),
        Err(_) => Err("the server is stopping".to_owned()),
    }
}
