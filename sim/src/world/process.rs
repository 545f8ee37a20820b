//! The process while it lives: a node for each core, driven as the server drives it, and the rings between them.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::answer::Reply;
use engine::ids::{SlotId, Time};
use engine::slots::{SlotHash, core_of, place_of};
use engine::state::Slot;
use shard::{CallId, Caller, Calls, Clocks, Departure, Node, Posted, Routed, Shard, Shutdown, Wake};
use wal::disk::Lane;
use wal::files::MemoryFiles;
use wal::follow::Reach;
use wal::{DiskError, Lsn, SinkRegistry};

use super::disk::RecordingDisk;
use super::rings::{Rings, SimPeers};

/// The tick of a simulated core; the server's is 5 ms.
pub(crate) const TICK_MS: u64 = 1;

/// One core: its node, and what the server's tasks keep beside it.
#[derive(Debug)]
pub(crate) struct Core {
    pub node: Node<RecordingDisk, SimPeers>,
    calls: Calls<()>,
    posted: Vec<Posted>,
    posted_batches: Vec<(u16, Vec<(CallId, Routed)>)>,
    /// The node's wish at the end of its last turn, and its time then.
    wake: Wake,
    turned_at: Time,
    edge_is_closed: bool,
    /// When a client last asked anything.
    pub asked_at: Time,
    /// Its disk completes nothing before this step.
    pub stalled_until: u64,
}

impl Core {
    #[must_use]
    pub(crate) fn new(node: Node<RecordingDisk, SimPeers>) -> Core {
        Core {
            node,
            calls: Calls::default(),
            posted: Vec::new(),
            posted_batches: Vec::new(),
            wake: Wake::Now,
            turned_at: Time(0),
            edge_is_closed: false,
            asked_at: Time(0),
            stalled_until: 0,
        }
    }

    #[must_use]
    pub(crate) fn shard(&self) -> &Shard<RecordingDisk> {
        self.node.shard()
    }

    /// Calls that keep a place at this core's edge.
    #[must_use]
    pub(crate) fn open_calls(&self) -> usize {
        self.calls.open_count()
    }

    #[must_use]
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.node.departure(), Departure::Left { .. })
    }

    #[must_use]
    pub(crate) fn is_waiting(&self, lane: Lane) -> bool {
        self.shard().log().disk().is_waiting(lane)
    }
}

#[derive(Debug)]
pub(crate) struct Process {
    pub cores: Vec<Core>,
    pub rings: Rc<RefCell<Rings>>,
    pub hash: SlotHash,
    pub shutdown: Arc<Shutdown>,
    /// By core: a signal has come that the node has not had a turn for yet.
    pub signals: Arc<[AtomicBool]>,
    pub registry: SinkRegistry<MemoryFiles>,
    /// By core: the first record that some sink needs, as the keeper last said.
    pub needed_from: Vec<Lsn>,
    /// By core: the last record that the read model is relied on for, as the keeper last said.
    pub relied: Vec<Option<Lsn>>,
}

impl Process {
    /// The slot as its shard has it.
    #[must_use]
    pub(crate) fn slot(&self, slot: SlotId) -> &Slot {
        let cores = self.cores.len() as u16;
        let shard = self.cores[usize::from(core_of(slot, cores))].shard();
        shard.slots().nth(place_of(slot, cores)).expect("a shard has all slots of its core")
    }

    /// The time on the core that owns a slot, when a client last asked anything.
    #[must_use]
    pub(crate) fn time_at(&self, slot: SlotId) -> Time {
        self.cores[usize::from(core_of(slot, self.cores.len() as u16))].asked_at
    }

    /// A client at `edge` asks.
    pub(crate) fn call(&mut self, edge: u16, owner: u16, routed: Routed) -> Caller {
        let core = &mut self.cores[usize::from(edge)];
        let call = core.calls.open();
        core.posted.push(Posted { call, owner, routed });
        self.signal(edge);
        Caller { core: edge, call }
    }

    /// A client at `edge` asks several things of one core, as one parcel.
    pub(crate) fn call_batch(&mut self, edge: u16, owner: u16, batch: Vec<Routed>) -> Vec<Caller> {
        let core = &mut self.cores[usize::from(edge)];
        let batch: Vec<_> = batch.into_iter().map(|routed| (core.calls.open(), routed)).collect();
        let callers = batch.iter().map(|(call, _)| Caller { core: edge, call: *call }).collect();
        core.posted_batches.push((owner, batch));
        self.signal(edge);
        callers
    }

    /// The client goes away.
    pub(crate) fn abandon(&mut self, caller: Caller) {
        self.cores[usize::from(caller.core)].calls.abandon(caller.call);
    }

    pub(crate) fn signal(&self, core: u16) {
        self.signals[usize::from(core)].store(true, Ordering::Relaxed);
    }

    /// A core's loop, once around.
    ///
    /// # Errors
    /// The log cannot be written: the process has to end.
    pub(crate) fn turn(&mut self, core: u16, clocks: Clocks) -> Result<(), DiskError> {
        self.signals[usize::from(core)].store(false, Ordering::Relaxed);
        let Core { node, posted, posted_batches, wake, turned_at, .. } = &mut self.cores[usize::from(core)];
        posted.drain(..).for_each(|posted| node.post(posted));
        posted_batches.drain(..).for_each(|(owner, batch)| node.post_batch(owner, batch));
        node.log_mut().keep_from(self.needed_from[usize::from(core)]);
        node.read_model_has(self.relied[usize::from(core)]);
        node.turn(|| clocks)?;
        (*wake, *turned_at) = (node.wake(), node.shard().now());
        Ok(())
    }

    /// The reach of each core's log: how far it is durable.
    pub(crate) fn reach(&self) -> Vec<Reach> {
        self.cores.iter().map(|core| core.shard().log().reach()).collect()
    }

    /// A reply that has reached the edge where its client is, or was.
    pub(crate) fn poll_reply(&mut self, core: u16) -> Option<(Caller, Reply)> {
        let Core { node, calls, .. } = &mut self.cores[usize::from(core)];
        let (call, reply) = node.poll_reply()?;
        calls.reply(call, reply.clone());
        Some((Caller { core, call }, reply))
    }

    /// The client takes its reply.
    pub(crate) fn take_reply(&mut self, caller: Caller) -> Option<Reply> {
        self.cores[usize::from(caller.core)].calls.take_reply(caller.call)
    }

    /// True where the server would give the core a turn at this time: it was signalled, or it has asked for one. What lies
    /// in a ring is no reason by itself, so that a wake-up that is missed is missed here as well.
    #[must_use]
    pub(crate) fn wants_turn(&self, core: u16, now: Time) -> bool {
        let signalled = self.signals[usize::from(core)].load(Ordering::Relaxed);
        let asks = self.next_wake(core).is_some_and(|at| at <= now);
        !self.cores[usize::from(core)].has_left() && (signalled || asks)
    }

    /// When the core has its next turn unless it is signalled before. What should have been already is at the next tick.
    #[must_use]
    pub(crate) fn next_wake(&self, core: u16) -> Option<Time> {
        let Core { wake, turned_at, .. } = &self.cores[usize::from(core)];
        match wake {
            Wake::Now => Some(*turned_at),
            Wake::At(at) => Some((*at).max(turned_at.plus(TICK_MS))),
            Wake::OnSignal => None,
        }
    }

    /// A core has asked for a turn at the next tick.
    #[must_use]
    pub(crate) fn wants_tick(&self) -> bool {
        let is_late = |core: &Core| matches!(core.wake, Wake::At(at) if at <= core.turned_at);
        self.cores.iter().any(|core| !core.has_left() && is_late(core))
    }

    /// Closes the edge of a core that is to stop, once nobody waits there any more.
    pub(crate) fn close_edge(&mut self, core: u16, somebody_waits: bool) {
        let Core { node, edge_is_closed, .. } = &mut self.cores[usize::from(core)];
        if node.departure() == Departure::Closing && !*edge_is_closed && !somebody_waits {
            *edge_is_closed = true;
            self.shutdown.edge_closed();
        }
    }

    /// By core: how far it is on its way out.
    pub(crate) fn departures(&self) -> impl Iterator<Item = Departure> {
        self.cores.iter().map(|core| core.node.departure())
    }
}
