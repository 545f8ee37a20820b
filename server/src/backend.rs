//! What the edge of one core calls: commands go to the core that owns their slot, wherever that is.

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;

use engine::answer::{Answer, RefundView, Reply};
use engine::command::{Command, ListRefunds, Request, Route};
use engine::ids::Time;
use engine::limits::REFUNDS_PAGE_MAX;
use engine::slots::{SlotHash, core_of};
use net::{Backend, Dependency, Service, WorkerStatus};
use timetable::Timetable;

use crate::catalogue::OnSale;
use crate::mailbox::Mailbox;
use crate::room::Rooms;
use crate::stop::Stop;
use crate::worker::{self, WorkerCell};

#[derive(Debug)]
pub(crate) struct CoreBackend {
    pub(crate) mailbox: Rc<Mailbox>,
    pub(crate) hash: SlotHash,
    pub(crate) cores: u16,
    pub(crate) on_sale: Arc<OnSale>,
    pub(crate) workers: Arc<[WorkerCell]>,
    pub(crate) stop: Arc<Stop>,
    pub(crate) rooms: Arc<Rooms>,
    /// How often a write of the log has let several answers go.
    pub(crate) bursts: Rc<Cell<u64>>,
    /// Engine time as of the core's last turn.
    pub(crate) now: Rc<Cell<Time>>,
}

impl Backend for CoreBackend {
    fn call(&self, request: Box<Request>) -> impl Future<Output = Reply> {
        let route = request.command.route(&self.hash);
        let one = match route {
            Route::Slot(slot) => Ok(self.mailbox.call(core_of(slot, self.cores), route, request)),
            Route::Every => Err(request),
        };
        async move {
            match one {
                Ok(call) => call.await,
                Err(request) => self.call_every(request).await,
            }
        }
    }

    fn bursts(&self) -> u64 {
        self.bursts.get()
    }

    fn fresh_entropy(&self) -> u128 {
        let mut bytes = [0; 16];
        let read = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
        assert_eq!(read, Ok(bytes.len()), "the system has random bits once it has started");
        u128::from_ne_bytes(bytes)
    }

    fn timetable(&self) -> Timetable {
        self.on_sale.timetable.clone()
    }

    fn ready(&self, _service: Service) -> Result<(), Dependency> {
        // A log that is full but for its reserve still takes payments and cancellations, which must find their way here.
        if self.stop.is_asked() || self.rooms.is_any_exhausted() { Err(Dependency::Wal) } else { Ok(()) }
    }

    fn worker(&self) -> WorkerStatus {
        worker::status(&self.workers, self.now.get())
    }
}

impl CoreBackend {
    /// Asks every core for its part of a listing, and merges.
    async fn call_every(&self, request: Box<Request>) -> Reply {
        let calls: Vec<_> =
            (0..self.cores).map(|core| self.mailbox.call(core, Route::Every, request.clone())).collect();
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
