//! One core: a pinned thread with its runtime, its edge, its shard, and the loop that drives the shard.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read as _};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::answer::{Rejection, Reply};
use engine::command::{Request, Route};
use engine::ids::Time;
use engine::slots::SlotHash;
use net::metrics::Metrics;
use net::runtime::{self, CoreWaker, Readable, Runtime, Switch};
use net::{Edge, ServiceListener};
use shard::{Clock, Output, Shard, Token};
use wal::disk::{Disk as _, Driver};
use wal::{DiskError, Lsn, Space};

use crate::backend::CoreBackend;
use crate::catalogue::OnSale;
use crate::clocks;
use crate::gathering::Gathering;
use crate::links::{Links, Parcel};
use crate::mailbox::{self, Mailbox, Notify, Posted};
use crate::metrics::CoreGauges;
use crate::room::Rooms;
use crate::stop::Stop;
use crate::worker::{self, Worker, WorkerCell};

/// How exactly deadlines are kept while nothing else happens.
const TICK: Duration = Duration::from_millis(5);
/// How often an idle core looks whether it has a deadline at all.
const IDLE_TICK: Duration = Duration::from_millis(50);
/// For shards to come to rest once every edge has answered.
const REST_MAX: Duration = Duration::from_secs(5);

/// What a core is made of, before its thread starts.
pub(crate) struct Parts {
    pub(crate) core: u16,
    pub(crate) cores: u16,
    pub(crate) shard: Shard<Driver>,
    pub(crate) clock: Clock,
    pub(crate) links: Links,
    pub(crate) bell: CoreWaker,
    pub(crate) stop: Arc<Stop>,
    pub(crate) hash: SlotHash,
    pub(crate) on_sale: Arc<OnSale>,
    pub(crate) workers: Arc<[WorkerCell]>,
    pub(crate) listeners: Vec<ServiceListener>,
    pub(crate) edge: Arc<net::Config>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) gauges: CoreGauges,
    pub(crate) rooms: Arc<Rooms>,
}

/// What the tasks of a core share.
struct Shared {
    notify: Rc<Notify>,
    mailbox: Rc<Mailbox>,
    now: Rc<Cell<Time>>,
    /// When the shard wants its next turn.
    wake: Cell<Option<Instant>>,
    stop_edge: Rc<Switch>,
    done: Switch,
}

/// Runs a core until it has stopped, on the thread that is its own.
///
/// # Errors
/// What kept it from running at all.
pub(crate) fn run(runtime: &mut Runtime, parts: Parts) -> io::Result<()> {
    runtime.block_on(async {
        let notify = Rc::new(Notify::default());
        let shared = Rc::new(Shared {
            mailbox: Mailbox::new(parts.core, notify.clone()),
            notify,
            now: Rc::new(Cell::new(parts.shard.now())),
            wake: Cell::new(None),
            stop_edge: Rc::new(Switch::new()),
            done: Switch::new(),
        });
        let backend = CoreBackend {
            mailbox: shared.mailbox.clone(),
            hash: parts.hash,
            cores: parts.cores,
            on_sale: parts.on_sale,
            workers: parts.workers.clone(),
            stop: parts.stop.clone(),
            rooms: parts.rooms.clone(),
            now: shared.now.clone(),
        };
        let edge = Edge::new(usize::from(parts.core), backend, parts.edge, parts.metrics);
        watch_disk(&parts.shard, &shared)?;
        watch_bell(&parts.bell, &shared)?;
        runtime::spawn(tick(shared.clone()));
        let driver = Driving {
            shard: parts.shard,
            clock: parts.clock,
            links: parts.links,
            bell: parts.bell,
            worker: Worker::new(parts.core, parts.workers),
            core: parts.core,
            stop: parts.stop.clone(),
            gauges: parts.gauges,
            rooms: parts.rooms,
            space: Space::Plenty,
            gathering: Gathering::default(),
            durable: Lsn(0),
            shared: shared.clone(),
            posted: Vec::new(),
            resting_since: None,
        };
        runtime::spawn(driver.run());
        edge.serve(parts.listeners, shared.stop_edge.clone()).await?;
        parts.stop.edge_closed();
        shared.done.wait().await;
        Ok(())
    })
}

/// The disk completes on a descriptor: that is read, and the loop goes on.
fn watch_disk(shard: &Shard<Driver>, shared: &Rc<Shared>) -> io::Result<()> {
    let Some(fd) = shard.log().disk().wake_fd() else {
        return Err(io::Error::other("the disk driver cannot be waited for"));
    };
    let readable = Readable::new(&fd)?;
    let mut event = File::from(fd.try_clone_to_owned()?);
    let shared = shared.clone();
    runtime::spawn(async move {
        loop {
            if let Err(error) = readable.wait().await {
                fatal("cannot wait for the disk", &error);
            }
            // Whether it was this read or an earlier one that took the count does not matter.
            let _ = event.read(&mut [0; 8]);
            shared.notify.notify();
        }
    });
    Ok(())
}

/// Another core has put something into a ring, or the process is to stop.
fn watch_bell(bell: &CoreWaker, shared: &Rc<Shared>) -> io::Result<()> {
    let waiter = bell.waiter()?;
    let shared = shared.clone();
    runtime::spawn(async move {
        loop {
            if let Err(error) = waiter.wait().await {
                fatal("cannot wait for other cores", &error);
            }
            shared.notify.notify();
        }
    });
    Ok(())
}

/// Deadlines are kept to within a tick: a timer for each would cost more than it gives.
async fn tick(shared: Rc<Shared>) {
    while !shared.done.is_thrown() {
        let pause = match shared.wake.get().map(|at| at.saturating_duration_since(Instant::now())) {
            None => IDLE_TICK,
            Some(Duration::ZERO) => {
                shared.notify.notify();
                TICK
            }
            Some(left) => left.min(TICK),
        };
        runtime::sleep(pause).await;
    }
}

/// The shard of this core and everything that its loop moves.
struct Driving {
    shard: Shard<Driver>,
    clock: Clock,
    links: Links,
    bell: CoreWaker,
    worker: Worker,
    core: u16,
    stop: Arc<Stop>,
    gauges: CoreGauges,
    rooms: Arc<Rooms>,
    /// What room the log had when it was last looked at.
    space: Space,
    gathering: Gathering,
    /// How far the log was durable when answers last went out.
    durable: Lsn,
    shared: Rc<Shared>,
    /// Kept for its memory; empty between turns.
    posted: Vec<Posted>,
    resting_since: Option<Instant>,
}

impl Driving {
    async fn run(mut self) {
        loop {
            // In this order: what others have sent is then not later than the own clock.
            self.collect();
            let now = self.clock.now(clocks::wall_ms(), clocks::steady_ms());
            self.shard.gather(now).unwrap_or_else(|error| unwritable(&error));
            self.clock.advance(self.shard.now());
            self.shared.now.set(self.shard.now());
            let replies = self.distribute();
            if self.shard.log().durable() > self.durable {
                self.durable = self.shard.log().durable();
                self.gathering.answered(replies);
            }
            self.issue_tickets();
            let gathers = self.shard.may_gather_more() && self.gathering.goes_on(Instant::now());
            if !gathers {
                self.gathering.ended();
                self.shard.commit().unwrap_or_else(|error| unwritable(&error));
            }
            self.links.flush();
            self.gauges.publish(&self.shard);
            self.worker.publish(self.shard.log().durable());
            self.watch_room();
            if self.has_stopped() {
                self.shared.done.throw();
                return;
            }
            self.wait(gathers).await;
        }
    }

    fn watch_room(&mut self) {
        let space = self.shard.log().space();
        if space != self.space {
            self.rooms.change(self.core, self.space, space);
            self.space = space;
        }
    }

    /// What came from this core's requests and from other cores.
    fn collect(&mut self) {
        let mut posted = std::mem::take(&mut self.posted);
        self.shared.mailbox.take(&mut posted);
        self.gathering.arrived(posted.len());
        for Posted { core, token, route, request } in posted.drain(..) {
            if core == self.core {
                self.submit(token, route, request);
            } else if self.links.is_jammed(core) {
                self.reply(token, Err(Rejection::Busy));
            } else {
                self.links.send(core, Parcel::Command { token, route, request });
            }
        }
        self.posted = posted;
        while !self.shard.is_flooded()
            && let Some(parcel) = self.links.receive()
        {
            match parcel {
                Parcel::Command { token, route, request } => {
                    self.gathering.arrived(1);
                    self.submit(token, route, request);
                }
                Parcel::Reply { token, reply } => self.shared.mailbox.reply(token, reply),
                Parcel::Message(envelope) => self.shard.deliver(envelope),
            }
        }
    }

    fn submit(&mut self, token: Token, route: Route, request: Box<Request>) {
        if let Err(rejection) = self.shard.submit_routed(token, route, request) {
            self.reply(token, Err(rejection));
        }
    }

    /// What the shard lets go, to where it belongs. Returns how many clients were answered.
    fn distribute(&mut self) -> usize {
        let mut replies = 0;
        while let Some(output) = self.shard.pop_output() {
            match output {
                Output::Reply { token, reply } => {
                    replies += usize::from(!worker::is_worker(token));
                    self.reply(token, reply);
                }
                Output::Send { core, envelope } => self.links.send(core, Parcel::Message(envelope)),
                Output::Paid { order, lsn } => self.worker.paid(order, lsn, self.shard.now()),
            }
        }
        replies
    }

    fn reply(&mut self, token: Token, reply: Reply) {
        if worker::is_worker(token) {
            self.worker.replied(token, &reply, self.shard.now());
        } else if mailbox::core_of(token) == self.core {
            self.shared.mailbox.reply(token, reply);
        } else {
            self.links.send(mailbox::core_of(token), Parcel::Reply { token, reply });
        }
    }

    fn issue_tickets(&mut self) {
        while let Some((token, request)) = self.worker.next(self.shard.now()) {
            if self.shard.submit(token, request).is_err() {
                self.worker.refused(token, self.shard.now());
            }
        }
    }

    /// Until there is something to do, or at least a look at what the system has.
    async fn wait(&self, gathers: bool) {
        let now = self.shard.now();
        let wake = self.shard.next_wake().into_iter().chain(self.worker.next_wake(now)).min();
        let more = gathers || self.links.has_incoming() || self.shared.mailbox.has_posted();
        if more || wake.is_some_and(|at| at <= now) {
            // Through the system and back: sockets and disk are looked at in between. A task that just wakes itself would
            // keep the runtime from it, and what they bring makes the next batch.
            self.bell.wake();
            self.shared.notify.wait().await;
            return;
        }
        let stopping = self.resting_since.map(|_| now);
        let waiting = self.links.has_waiting().then_some(now);
        let wake = wake.into_iter().chain(stopping).chain(waiting).min();
        self.shared
            .wake
            .set(wake.map(|at| Instant::now() + Duration::from_millis(at.0.saturating_sub(now.0))));
        self.shared.notify.wait().await;
    }

    /// On the way out: edges close, then shards come to rest, then all cores leave together.
    fn has_stopped(&mut self) -> bool {
        if !self.stop.is_asked() {
            return false;
        }
        self.shared.stop_edge.throw();
        if !self.stop.edges_are_closed() {
            return false;
        }
        let since = *self.resting_since.get_or_insert_with(Instant::now);
        self.shard.stop();
        let rests = self.shard.is_quiet() && !self.links.has_waiting() && !self.links.has_incoming();
        let all_rest = self.stop.rest(self.core, rests);
        if !all_rest && since.elapsed() > REST_MAX {
            tracing::warn!(
                core = u64::from(self.core),
                "stopping before all is at rest: the next start goes on with it"
            );
            return true;
        }
        all_rest
    }
}

fn unwritable(error: &DiskError) -> ! {
    fatal("the log cannot be written: nothing more is acknowledged", error)
}

/// Nothing can be promised any more: the process ends at once, unanswered, and recovery decides.
fn fatal(what: &str, error: &dyn std::error::Error) -> ! {
    tracing::error!(%error, "{what}");
    std::process::exit(crate::EXIT_FATAL)
}
