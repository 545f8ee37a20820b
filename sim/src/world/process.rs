//! One life of the process: a shard for each core, its clock and its ticket worker, and the rings between them. Each turn
//! does what the server's loop does, in the same order; but nothing is refused because a ring is jammed.

use std::collections::VecDeque;

use engine::answer::{Rejection, Reply};
use engine::command::Request;
use engine::ids::{SlotId, Time};
use engine::slots::{SlotHash, core_of};
use engine::state::Slot;
use shard::{Clock, Output, Shard, Token};
use wal::DiskError;
use wal::disk::Lane;

use super::disk::{Frame, Tap};
use super::machine::Machine;
use super::rings::{Parcel, Rings};
use super::worker::{self, Worker};

/// Bits of a client's token: the core where the client waits, then a number.
const CORE_SHIFT: u32 = 48;

#[must_use]
pub(crate) fn edge_of(token: Token) -> u16 {
    (token.0 >> CORE_SHIFT) as u16
}

#[must_use]
pub(crate) fn token(edge: u16, number: u64) -> Token {
    Token(u64::from(edge) << CORE_SHIFT | number)
}

/// A command that a client has posted at its edge.
#[derive(Debug)]
struct Posted {
    core: u16,
    token: Token,
    request: Request,
}

/// One core.
#[derive(Debug)]
pub(crate) struct Node {
    pub shard: Shard<Tap>,
    pub clock: Clock,
    worker: Worker,
    posted: VecDeque<Posted>,
    /// Something was put in, or the disk has completed something.
    pub woken: bool,
    /// Its rings are not served any more.
    pub deaf: bool,
    /// When a client last asked anything.
    pub asked_at: Time,
    /// Its disk completes nothing before this step.
    pub stalled_until: u64,
}

impl Node {
    #[must_use]
    pub(crate) fn new(shard: Shard<Tap>, clock: Clock) -> Node {
        Node {
            shard,
            clock,
            worker: Worker::default(),
            posted: VecDeque::new(),
            woken: true,
            deaf: false,
            asked_at: Time(0),
            stalled_until: 0,
        }
    }

    #[must_use]
    pub(crate) fn is_waiting(&self, lane: Lane) -> bool {
        self.shard.log().disk().is_waiting(lane)
    }
}

/// What came out of a turn.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Answers on the way out of their shard, tickets' included.
    pub given: Vec<(Token, Reply)>,
    /// Answers that have reached their clients.
    pub replies: Vec<(Token, Reply)>,
    /// Frames that went to the disk.
    pub frames: Vec<Frame>,
    /// Messages that were doubled on their way in.
    pub doubled: u64,
    /// A write could have started, and waits for more.
    pub gathers: bool,
    pub ring_full: bool,
}

/// How a turn takes what has arrived.
pub(crate) struct Taking<'a> {
    pub step: u64,
    /// Parcels at most.
    pub most: usize,
    /// Whether a write waits for more where it may.
    pub gathers: bool,
    /// Which of several cores is heard first, and after how many steps a message that is doubled comes again.
    pub choose: &'a mut dyn FnMut(&[u16]) -> u16,
    pub doubles: &'a mut dyn FnMut() -> Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Process {
    pub nodes: Vec<Node>,
    pub rings: Rings,
    pub hash: SlotHash,
}

impl Process {
    #[must_use]
    pub(crate) fn new(nodes: Vec<Node>, hash: SlotHash, ring_parcels: usize) -> Process {
        let rings = Rings::new(nodes.len() as u16, ring_parcels);
        Process { nodes, rings, hash }
    }

    #[must_use]
    pub(crate) fn cores(&self) -> u16 {
        self.nodes.len() as u16
    }

    /// The slot as its shard has it.
    #[must_use]
    pub(crate) fn slot(&self, slot: SlotId) -> &Slot {
        let cores = self.cores();
        let shard = &self.nodes[usize::from(core_of(slot, cores))].shard;
        shard.slots().nth(usize::from(slot.get() / cores)).expect("a shard has all slots of its core")
    }

    /// The time on the core that owns a slot, when a client last asked anything.
    #[must_use]
    pub(crate) fn time_at(&self, slot: SlotId) -> Time {
        self.nodes[usize::from(core_of(slot, self.cores()))].asked_at
    }

    /// A client at `edge` asks.
    pub(crate) fn post(&mut self, edge: u16, core: u16, token: Token, request: Request) {
        let node = &mut self.nodes[usize::from(edge)];
        node.posted.push_back(Posted { core, token, request });
        node.woken = true;
    }

    /// One round of a core's loop.
    ///
    /// # Errors
    /// The log cannot be written: the process has to end.
    pub(crate) fn turn(
        &mut self,
        core: u16,
        machine: &Machine,
        taking: &mut Taking<'_>,
        out: &mut Outcome,
    ) -> Result<(), DiskError> {
        self.collect(core, taking, out);
        let node = &mut self.nodes[usize::from(core)];
        let now = node.clock.now(machine.wall_ms, machine.steady_ms);
        node.shard.gather(now)?;
        node.clock.advance(node.shard.now());
        self.distribute(core, out);
        self.issue_tickets(core);
        let node = &mut self.nodes[usize::from(core)];
        out.gathers = taking.gathers && node.shard.may_gather_more();
        // Then it looks again.
        node.woken = out.gathers;
        if !out.gathers {
            let committed = node.shard.commit();
            out.frames.append(&mut node.shard.log_mut().disk_mut().submitted);
            committed?;
        }
        out.ring_full |= self.rings.flush(core);
        Ok(())
    }

    fn collect(&mut self, core: u16, taking: &mut Taking<'_>, out: &mut Outcome) {
        let me = usize::from(core);
        while let Some(Posted { core: owner, token, request }) = self.nodes[me].posted.pop_front() {
            if owner == core {
                self.submit(core, token, request, out);
            } else {
                self.rings.send(core, owner, Parcel::Command { token, request });
            }
        }
        for _ in 0..taking.most {
            let from: Vec<u16> = self.rings.arrived(core, taking.step).collect();
            if from.is_empty() || self.nodes[me].deaf || self.nodes[me].shard.is_flooded() {
                return;
            }
            let from = (taking.choose)(&from);
            match self.rings.receive(from, core, taking.step).expect("something has arrived") {
                Parcel::Command { token, request } => self.submit(core, token, request, out),
                Parcel::Reply { token, reply } => out.replies.push((token, reply)),
                Parcel::Message(envelope) => {
                    if let Some(steps) = (taking.doubles)() {
                        let at = taking.step + steps;
                        self.rings.double(from, core, Parcel::Message(envelope.clone()), at);
                        out.doubled += 1;
                    }
                    self.nodes[me].shard.deliver(envelope);
                }
            }
        }
    }

    fn submit(&mut self, core: u16, token: Token, request: Request, out: &mut Outcome) {
        if let Err(rejection) = self.nodes[usize::from(core)].shard.submit(token, request) {
            self.reply(core, token, Err(rejection), out);
        }
    }

    fn reply(&mut self, core: u16, token: Token, reply: Reply, out: &mut Outcome) {
        out.given.push((token, reply.clone()));
        let node = &mut self.nodes[usize::from(core)];
        if worker::is_worker(token) {
            node.worker.replied(token, &reply, node.shard.now());
        } else if edge_of(token) == core {
            out.replies.push((token, reply));
        } else {
            self.rings.send(core, edge_of(token), Parcel::Reply { token, reply });
        }
    }

    fn distribute(&mut self, core: u16, out: &mut Outcome) {
        while let Some(output) = self.nodes[usize::from(core)].shard.pop_output() {
            match output {
                Output::Reply { token, reply } => self.reply(core, token, reply, out),
                Output::Send { core: to, envelope } => self.rings.send(core, to, Parcel::Message(envelope)),
                Output::Paid { order, .. } => self.nodes[usize::from(core)].worker.paid(order),
            }
        }
    }

    fn issue_tickets(&mut self, core: u16) {
        let node = &mut self.nodes[usize::from(core)];
        while let Some((token, request)) = node.worker.next(node.shard.now()) {
            if node.shard.submit(token, request).is_err() {
                node.worker.replied(token, &Err(Rejection::Busy), node.shard.now());
            }
        }
    }

    /// By the rules of the server's loop: whether the core goes on at this time.
    #[must_use]
    pub(crate) fn wants_turn(&self, core: u16, step: u64, now: Time) -> bool {
        let node = &self.nodes[usize::from(core)];
        let arrived = self.rings.arrived(core, step).next().is_some();
        let more = arrived || !node.posted.is_empty() || self.rings.has_waiting(core);
        node.woken || more || self.next_wake(core).is_some_and(|at| at <= now)
    }

    /// When the core wants its next turn.
    #[must_use]
    pub(crate) fn next_wake(&self, core: u16) -> Option<Time> {
        let node = &self.nodes[usize::from(core)];
        node.shard.next_wake().into_iter().chain(node.worker.next_wake(node.shard.now())).min()
    }
}
