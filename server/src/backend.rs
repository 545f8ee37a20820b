//! Backend: the engine as the edge of one core sees it. A command goes to the core that owns its slot.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;

use engine::answer::{Answer, RefundView, Reply};
use engine::command::{Command, ListRefunds, Request, Route};
use engine::ids::Time;
use engine::limits::REFUNDS_PAGE_MAX;
use engine::read_model::{Question, Reading, Unavailable};
use engine::slots::core_of;
use net::{Backend, Dependency, Service, SinkStatus, WorkerStatus};
use shard::Routed;
use timetable::Timetable;

use crate::mailbox::Mailbox;
use crate::process::ProcessHandles;
use crate::sinks::{CoreReads, READ_MODEL};

pub(crate) struct CoreBackend {
    pub(crate) mailbox: Rc<Mailbox>,
    pub(crate) reads: Rc<CoreReads>,
    pub(crate) process: ProcessHandles,
    /// Engine time as of the core's last turn.
    pub(crate) now: Rc<Cell<Time>>,
}

impl Backend for CoreBackend {
    fn call(&self, request: Box<Request>) -> impl Future<Output = Reply> {
        let routed = Routed::new(request, &self.process.hash);
        let one = match routed.route {
            Route::Slot(slot) => Ok(self.mailbox.call(core_of(slot, self.process.cores), routed)),
            Route::Every => Err(routed.request),
        };
        async move {
            match one {
                Ok(call) => call.await,
                Err(request) => self.call_every(request).await,
            }
        }
    }

    fn call_batch(&self, requests: Vec<Box<Request>>) -> Vec<impl Future<Output = Reply>> {
        let owned = |request| {
            let routed = Routed::new(request, &self.process.hash);
            let Route::Slot(slot) = routed.route else { unreachable!("listings are never batched") };
            (core_of(slot, self.process.cores), routed)
        };
        self.mailbox.call_batch(requests.into_iter().map(owned).collect(), self.process.cores)
    }

    fn read(&self, question: Question) -> impl Future<Output = Result<Reading, Unavailable>> {
        self.reads.ask(question)
    }

    fn read_model_lag_ms(&self) -> u64 {
        let read_model = self.process.sinks.sink(READ_MODEL);
        read_model.map_or(0, |sink| sink.health.report().lag_ms(self.now.get()))
    }

    fn fresh_entropy(&self) -> u128 {
        let mut bytes = [0; 16];
        let read = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        assert_eq!(read, Ok(bytes.len()), "the system has random bits once it has started");
        u128::from_ne_bytes(bytes)
    }

    fn timetable(&self) -> Timetable {
        self.process.on_sale.timetable.clone()
    }

    fn ready(&self, service: Service) -> Result<(), Dependency> {
        let process = &self.process;
        if !process.is_ready() {
            return Err(Dependency::Wal);
        }
        if service != Service::Gateway {
            return Ok(());
        }
        match process.sinks.first_down() {
            Some(sink) => Err(Dependency::Sink(sink)),
            // One that nobody runs takes the room of the log.
            None if process.sinks.fills_log().is_some() => Err(Dependency::Wal),
            None => Ok(()),
        }
    }

    fn worker(&self) -> WorkerStatus {
        self.process.tickets.status(self.now.get())
    }

    fn sinks(&self) -> Vec<SinkStatus> {
        self.process.sinks.statuses()
    }
}

impl CoreBackend {
    /// Asks every core for its part of a listing, and merges.
    async fn call_every(&self, request: Box<Request>) -> Reply {
        let call = |core| {
            let routed = Routed { route: Route::Every, request: request.clone() };
            self.mailbox.call(core, routed)
        };
        let calls: Vec<_> = (0..self.process.cores).map(call).collect();
        let mut refunds = Vec::new();
        for call in calls {
            match call.await? {
                Answer::Refunds(part) => refunds.extend(part),
                other => unreachable!("only refunds are listed over all cores, not {other:?}"),
            }
        }
        let Command::ListRefunds(ListRefunds { limit, .. }) = request.command else {
            unreachable!("only refunds are listed over all cores");
        };
        refunds.sort_unstable_by_key(|refund: &RefundView| refund.cursor);
        refunds.truncate(limit.min(REFUNDS_PAGE_MAX));
        Ok(Answer::Refunds(refunds))
    }
}
