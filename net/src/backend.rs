//! The interface between the edge and the engine; the server implements it for each core.

use std::future::Future;

use engine::answer::Reply;
use engine::command::Request;
use engine::read_model::{Question, Reading, Unavailable};

use crate::service::Service;

/// The engine as one core sees it. Belongs to that core and so do its futures: nothing here is sent anywhere.
pub trait Backend: 'static {
    /// Applies a command where it belongs. Ends when the reply may leave, which is when all it shows is durable.
    ///
    /// The future may be dropped unfinished (the client's time is up, the server stops): the command goes on, its
    /// reply is lost, and repeating the request tells the outcome.
    fn call(&self, request: Box<Request>) -> impl Future<Output = Reply>;

    /// Applies commands, each for one slot, where they belong: those of one core go there as one parcel, are begun in their order and are answered
    /// together. One future for each, in their order, as of [`call`](Backend::call).
    fn call_batch(&self, requests: Vec<Box<Request>>) -> Vec<impl Future<Output = Reply>> {
        requests.into_iter().map(|request| self.call(request)).collect()
    }

    /// Asks the read model, for what the engine no longer knows and for what it never knew: listings and histories. It changes nothing;
    /// the future may be dropped unfinished.
    ///
    /// The answer is of the question's kind, and has no more orders or events than its limit.
    fn read(&self, question: Question) -> impl Future<Output = Result<Reading, Unavailable>>;

    /// The lag of the read model behind the engine.
    fn read_model_lag_ms(&self) -> u64;

    /// Unpredictable bits for a new order's id.
    fn fresh_entropy(&self) -> u128;

    /// The timetable that trains are sold from, as of now.
    fn timetable(&self) -> timetable::Timetable;

    /// Readiness of a service.
    ///
    /// # Errors
    /// The first dependency that is down.
    fn ready(&self, service: Service) -> Result<(), Dependency>;

    /// Tickets issued and awaited, for `/worker/status`.
    fn worker(&self) -> WorkerStatus;

    /// Whoever follows the log, for `/worker/status` and the gateway's `/readyz`.
    fn sinks(&self) -> Vec<SinkStatus>;
}

/// A part that a service cannot do without.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dependency {
    Wal,
    /// By its name.
    Sink(&'static str),
}

impl Dependency {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Dependency::Wal => "wal",
            Dependency::Sink(name) => name,
        }
    }
}

/// A sink: something that follows the log and may lag behind it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SinkStatus {
    pub name: String,
    /// `starting`, `copying`, `following`, `down`, or `not_configured`: the log is kept for it, and nobody fills it.
    pub state: &'static str,
    /// Records that it has not got, as far as is known.
    pub backlog: u64,
    /// The age of the last record that it has; 0 if it has all.
    pub lag_ms: u64,
    /// Its trouble; `None` as soon as nothing is.
    pub last_error: Option<String>,
    /// The log is full of what is kept for it, and new sales are refused.
    pub fills_log: bool,
}

/// Progress of tickets over all cores, whoever issues them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WorkerStatus {
    /// Log records of all cores together up to which every paid order has its ticket.
    pub position: u64,
    /// Paid orders that wait for their tickets.
    pub backlog: u64,
    /// Wait of the oldest of them; 0 if there is none.
    pub lag_ms: u64,
    /// The reason why no ticket can be recorded, or no paid order heard of; `None` as soon as it is otherwise.
    pub last_error: Option<String>,
}
