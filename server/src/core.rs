//! One core: a pinned thread with its runtime, its edge, and the task that drives its node.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read as _};
use std::rc::Rc;
use std::time::{Duration, Instant};

use engine::ids::Time;
use net::runtime::{self, CoreWaker, Readable, Runtime, Switch};
use net::{Edge, ServiceListener};
use shard::{Departure, Node, Posted, Wake};
use wal::disk::{Disk as _, Driver};
use wal::{DiskError, Space};

use crate::backend::CoreBackend;
use crate::clocks;
use crate::desk::Asked;
use crate::links::Links;
use crate::logging;
use crate::mailbox::{Mailbox, Notify, PostedBatch};
use crate::metrics::CoreGauges;
use crate::process::ProcessHandles;
use crate::sinks::{CoreReads, DurableTime, LogSize};

/// The precision of deadlines on a core that has some and nothing else to do. One that was without may be late by [`IDLE_TICK`].
const TICK: Duration = Duration::from_millis(5);
/// The pause of the tick task on a core without a deadline.
const IDLE_TICK: Duration = Duration::from_millis(50);

/// The parts of a core, before its thread starts.
pub(crate) struct CoreSetup {
    pub(crate) core: u16,
    pub(crate) node: Node<Driver, Links>,
    pub(crate) waker: CoreWaker,
    pub(crate) listeners: Vec<ServiceListener>,
    pub(crate) gauges: CoreGauges,
    pub(crate) process: ProcessHandles,
}

/// Shared by the tasks of one core.
struct CoreHandles {
    notify: Rc<Notify>,
    mailbox: Rc<Mailbox>,
    now: Rc<Cell<Time>>,
    /// The time at which the node wants its next turn unless something comes before.
    wake_at: Cell<Option<Instant>>,
    stop_edge: Rc<Switch>,
    done: Switch,
}

/// Runs a core until it has stopped, on the thread that is its own.
///
/// # Errors
/// The reason why it does not run at all.
pub(crate) fn run(runtime: &mut Runtime, setup: CoreSetup) -> io::Result<()> {
    let CoreSetup { core, node, waker, listeners, gauges, process } = setup;
    runtime.block_on(async {
        let notify = Rc::new(Notify::default());
        let handles = Rc::new(CoreHandles {
            mailbox: Mailbox::new(notify.clone()),
            notify,
            now: Rc::new(Cell::new(node.shard().now())),
            wake_at: Cell::new(None),
            stop_edge: Rc::new(Switch::new()),
            done: Switch::new(),
        });
        let reads = CoreReads::start(process.read_desk.clone(), core)?;
        let backend = CoreBackend {
            mailbox: handles.mailbox.clone(),
            reads: reads.clone(),
            process: process.clone(),
            now: handles.now.clone(),
        };
        let (config, metrics) = (process.edge.clone(), process.metrics.clone());
        let edge = Edge::new(usize::from(core), backend, config, metrics, process.connections.clone());
        watch_disk(&node, &handles)?;
        watch_waker(&waker, &handles)?;
        runtime::spawn(tick(handles.clone()));
        let driver = CoreLoop {
            core,
            node,
            waker,
            gauges,
            process: process.clone(),
            reads,
            space: Space::Plenty,
            durable_time: DurableTime::default(),
            handles: handles.clone(),
            posted: Vec::new(),
        };
        runtime::spawn(driver.run());
        edge.serve(listeners, handles.stop_edge.clone()).await?;
        process.shutdown.edge_closed();
        handles.done.wait().await;
        Ok(())
    })
}

/// The disk completes on a descriptor: that is read, and the loop goes on.
fn watch_disk(node: &Node<Driver, Links>, handles: &Rc<CoreHandles>) -> io::Result<()> {
    let Some(fd) = node.shard().log().disk().wake_fd() else {
        return Err(io::Error::other("the disk driver cannot be waited for"));
    };
    let readable = Readable::new(&fd)?;
    let mut event = File::from(fd.try_clone_to_owned()?);
    let handles = handles.clone();
    runtime::spawn(async move {
        loop {
            if let Err(error) = readable.wait().await {
                fatal("cannot wait for the disk", &error);
            }
            // Whether it was this read or an earlier one that took the count does not matter.
            let _ = event.read(&mut [0; 8]);
            handles.notify.notify();
        }
    });
    Ok(())
}

/// Another core has put something into a ring, or the process is to stop.
fn watch_waker(waker: &CoreWaker, handles: &Rc<CoreHandles>) -> io::Result<()> {
    let waiter = waker.waiter()?;
    let handles = handles.clone();
    runtime::spawn(async move {
        loop {
            if let Err(error) = waiter.wait().await {
                fatal("cannot wait for other cores", &error);
            }
            handles.notify.notify();
        }
    });
    Ok(())
}

/// Deadlines are kept to within a tick: a timer for each would cost more than it gives.
async fn tick(handles: Rc<CoreHandles>) {
    while !handles.done.is_thrown() {
        let pause = match handles.wake_at.get().map(|at| at.saturating_duration_since(Instant::now())) {
            None => IDLE_TICK,
            Some(Duration::ZERO) => {
                handles.notify.notify();
                TICK
            }
            Some(left) => left.min(TICK),
        };
        runtime::sleep(pause).await;
    }
}

/// The task that drives a core's node: turns go in, replies and signals come out.
struct CoreLoop {
    core: u16,
    node: Node<Driver, Links>,
    waker: CoreWaker,
    gauges: CoreGauges,
    process: ProcessHandles,
    reads: Rc<CoreReads>,
    /// The room that the log had when it was last looked at.
    space: Space,
    durable_time: DurableTime,
    handles: Rc<CoreHandles>,
    /// Kept for its memory; empty between turns.
    posted: Vec<Posted>,
}

impl CoreLoop {
    async fn run(mut self) {
        loop {
            self.take_from_desk();
            self.handles.mailbox.take(&mut self.posted);
            self.posted.drain(..).for_each(|posted| self.node.post(posted));
            for PostedBatch { owner, batch } in self.handles.mailbox.take_batches() {
                self.node.post_batch(owner, batch);
            }
            self.node.log_mut().keep_from(self.process.sinks.posts.needed_from(self.core));
            self.node.read_model_has(self.process.sinks.posts.read_model_has(self.core));
            self.node.turn(clocks::read).unwrap_or_else(|error| unwritable(&error));
            self.handles.now.set(self.node.shard().now());
            while let Some((call, reply)) = self.node.poll_reply() {
                self.handles.mailbox.reply(call, reply);
            }
            self.publish();
            match self.node.departure() {
                Departure::Serving => {}
                Departure::Closing => self.handles.stop_edge.throw(),
                Departure::Left { quiesced } => return self.leave(quiesced),
            }
            self.wait().await;
        }
    }

    /// Takes up what threads that are no cores ask: a task for each waits for the answer.
    fn take_from_desk(&self) {
        for asked in self.process.desk.take(self.core) {
            // Whoever has gone away does not need it.
            match asked {
                Asked::Command { routed, answer } => {
                    let call = self.handles.mailbox.call(self.core, routed);
                    runtime::spawn(async move { drop(answer.send(call.await)) });
                }
                Asked::Question { question, answer } => {
                    let asked = self.reads.ask(question);
                    runtime::spawn(async move { drop(answer.send(asked.await)) });
                }
            }
        }
    }

    /// Shows other threads how this core is.
    fn publish(&mut self) {
        let shard = self.node.shard();
        self.gauges.publish(shard);
        self.process.tickets.cells[usize::from(self.core)].publish(&shard.tickets());
        let log = shard.log();
        let size = LogSize {
            needed_bytes: log.needed_bytes(),
            kept_bytes: log.kept_bytes(),
            is_kept_for_sinks: log.is_kept_for_followers(),
        };
        let posts = &self.process.sinks.posts;
        posts.publish(self.core, shard.now(), log.reach(), size);
        let passed = self.durable_time.turn(shard.now(), log.appended(), log.durable());
        posts.pass(self.core, passed, log.snapshot_holds());
        let space = log.space();
        if space != self.space {
            let kept_for = self.process.sinks.fills_log();
            self.process.log_space.change(self.core, self.space, space, kept_for.as_deref());
            self.space = space;
        }
    }

    fn leave(&self, quiesced: bool) {
        if !quiesced {
            tracing::warn!(
                core = u64::from(self.core),
                "stopping while some work is still under way: the next start goes on with it"
            );
        }
        self.process.desk.close(self.core);
        self.handles.done.throw();
    }

    /// Until there is something to do.
    async fn wait(&self) {
        match self.node.wake() {
            // Through the system and back: sockets and disk are looked at in between. A task that just wakes itself would
            // keep the runtime from it, and what they bring makes the next batch.
            Wake::Now => self.waker.wake(),
            Wake::At(at) => {
                let left = at.0.saturating_sub(self.node.shard().now().0);
                self.handles.wake_at.set(Some(Instant::now() + Duration::from_millis(left)));
            }
            Wake::OnSignal => self.handles.wake_at.set(None),
        }
        self.handles.notify.wait().await;
    }
}

fn unwritable(error: &DiskError) -> ! {
    fatal("the log cannot be written: nothing more is acknowledged", error)
}

/// Nothing can be promised any more: the process ends at once, unanswered, and recovery decides.
fn fatal(what: &str, error: &dyn std::error::Error) -> ! {
    logging::exit(crate::EXIT_FATAL, || tracing::error!(%error, "{what}"))
}
