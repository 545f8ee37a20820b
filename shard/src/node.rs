//! The whole loop of one core, without a runtime.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::answer::{Rejection, Reply};
use engine::ids::Time;
use wal::disk::Disk;
use wal::{DiskError, Log, Lsn};

use crate::clock::{Clock, Clocks};
use crate::commit_delay::CommitDelay;
use crate::limits::QUIESCE_TIMEOUT_US;
use crate::message::{CallId, Called, Caller, Parcel, Posted, Routed};
use crate::peers::Peers;
use crate::shard::{Output, Refused, Shard};
use crate::shutdown::{Report, Shutdown};

/// When a node wants its next turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// As soon as sockets and disk have been looked at: there is more to do, or a write waits for company.
    Now,
    /// At this engine time, or at the next tick where that is past, unless something comes first.
    At(Time),
    /// When something comes: a command, a parcel, a completion of the disk, or the shutdown.
    OnSignal,
}

/// The state of a node on its way out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Departure {
    Serving,
    /// A shutdown is requested: the edge closes as soon as it has answered what it accepted.
    Closing,
    /// The node has left. `quiesced` is false where work was still under way after the time limit; the next start goes on
    /// with it.
    Left {
        quiesced: bool,
    },
}

/// One core's loop: it receives, stamps time, decides, applies, releases what has become durable, commits or delays the
/// commit, sends, and stops in good order. Never blocks, never awaits, never reads a clock by itself.
///
/// A driver (the server with a runtime, the simulator with virtual time) does this:
///
/// 1. [`post`](Node::post) each command of this core's callers, as they come.
/// 2. [`turn`](Node::turn), whenever [`wake`](Node::wake) asks for it or a signal has come.
/// 3. [`poll_reply`](Node::poll_reply) until it gives nothing more, and hand each reply to the call that waits for it.
/// 4. Look at [`departure`](Node::departure): close the edge, or leave.
///
/// An error of `turn` is final: nothing that the node holds may be sent any more, and recovery decides what has happened.
/// The disk completes in between turns, seen by the next one; a driver waits for the disk's own signal.
#[derive(Debug)]
pub struct Node<D: Disk, P: Peers> {
    core: u16,
    shard: Shard<D>,
    clock: Clock,
    peers: P,
    commit_delay: CommitDelay,
    delays_commit: bool,
    /// The durable position of the log when outputs were last released.
    durable: Lsn,
    /// For calls that wait at this core.
    replies: VecDeque<(CallId, Reply)>,
    shutdown: Arc<Shutdown>,
    /// The steady clock when this node began to quiesce.
    quiescing_since_us: Option<u64>,
    /// This node's report at the end of its last turn.
    reported: Report,
    left: Option<Departure>,
}

impl<D: Disk, P: Peers> Node<D, P> {
    #[must_use]
    pub fn new(shard: Shard<D>, clock: Clock, peers: P, shutdown: Arc<Shutdown>) -> Node<D, P> {
        Node {
            core: shard.core(),
            shard,
            clock,
            peers,
            commit_delay: CommitDelay::default(),
            delays_commit: false,
            durable: Lsn(0),
            replies: VecDeque::new(),
            shutdown,
            quiescing_since_us: None,
            reported: Report::default(),
            left: None,
        }
    }

    /// A command of a call that waits at this core, for the core that owns its slot.
    pub fn post(&mut self, Posted { call, owner, routed }: Posted) {
        let caller = Caller { core: self.core, call };
        if owner == self.core {
            self.submit(caller, routed);
        } else if self.peers.is_jammed(owner) {
            self.replies.push_back((call, Err(Rejection::Busy)));
        } else {
            self.commit_delay.arrived();
            self.peers.send(owner, Parcel::Command { caller, routed });
        }
    }

    /// Commands of calls that wait at this core, all for the core `owner`: as one parcel, begun in their order.
    pub fn post_batch(&mut self, owner: u16, batch: Vec<(CallId, Routed)>) {
        let core = self.core;
        let called = |(call, routed)| Called { caller: Caller { core, call }, routed };
        let batch: Vec<Called> = batch.into_iter().map(called).collect();
        if owner == core {
            self.submit_batch(batch);
        } else if self.peers.is_jammed(owner) {
            self.replies.extend(batch.into_iter().map(|called| (called.caller.call, Err(Rejection::Busy))));
        } else {
            self.commit_delay.arrived();
            self.peers.send(owner, Parcel::Batch(batch));
        }
    }

    /// One pass of the loop. `read_clocks` is asked once, after what the other cores have sent was received: the time that
    /// they stamped is then not later than this core's own, but for how far their clocks are apart.
    ///
    /// # Errors
    /// The log cannot be written.
    pub fn turn(&mut self, read_clocks: impl FnOnce() -> Clocks) -> Result<(), DiskError> {
        if self.quiescing_since_us.is_some() {
            self.shutdown.begin_turn(self.core);
        }
        self.receive();
        let clocks = read_clocks();
        self.shard.process(self.clock.now(clocks), Time(clocks.wall_ms))?;
        self.clock.advance(self.shard.now());
        self.release();
        self.commit_or_delay(clocks.steady_us)?;
        self.peers.flush();
        self.quiesce(clocks.steady_us);
        Ok(())
    }

    /// As [`Shard::read_model_has`].
    pub fn read_model_has(&mut self, durable: Option<Lsn>) {
        self.shard.read_model_has(durable);
    }

    /// The next reply for a call that waits at this core.
    pub fn poll_reply(&mut self) -> Option<(CallId, Reply)> {
        self.replies.pop_front()
    }

    /// When the next turn is wanted, as things stand.
    #[must_use]
    pub fn wake(&self) -> Wake {
        let now = self.shard.now();
        let due = self.shard.next_wake();
        if self.delays_commit || self.peers.has_incoming() || due.is_some_and(|at| at <= now) {
            return Wake::Now;
        }
        if self.peers.has_waiting() || self.quiescing_since_us.is_some() {
            return Wake::At(now);
        }
        due.map_or(Wake::OnSignal, Wake::At)
    }

    #[must_use]
    pub fn departure(&self) -> Departure {
        let closing = self.shutdown.is_requested();
        self.left.unwrap_or(if closing { Departure::Closing } else { Departure::Serving })
    }

    #[must_use]
    pub fn shard(&self) -> &Shard<D> {
        &self.shard
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// For whoever plays the clocks: reading them moves engine time on.
    pub fn clock_mut(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// A commit is held back for company.
    #[must_use]
    pub fn delays_commit(&self) -> bool {
        self.delays_commit
    }

    /// For whoever plays the disk.
    pub fn log_mut(&mut self) -> &mut Log<D> {
        self.shard.log_mut()
    }

    fn receive(&mut self) {
        while !self.shard.is_flooded()
            && let Some(parcel) = self.peers.receive()
        {
            match parcel {
                Parcel::Command { caller, routed } => self.submit(caller, routed),
                Parcel::Reply { caller, reply } => self.replies.push_back((caller.call, reply)),
                Parcel::Batch(batch) => self.submit_batch(batch),
                Parcel::Replies(replies) => self.take_replies(replies),
                Parcel::Message(envelope) => self.shard.deliver(envelope),
            }
        }
    }

    fn submit(&mut self, caller: Caller, routed: Routed) {
        self.commit_delay.arrived();
        if let Err(rejection) = self.shard.submit(caller, routed) {
            self.reply(caller, Err(rejection));
        }
    }

    fn submit_batch(&mut self, batch: Vec<Called>) {
        self.commit_delay.arrived();
        if let Err(Refused { batch, rejection }) = self.shard.submit_batch(batch) {
            let core = batch.first().map_or(self.core, |called| called.caller.core);
            let replies = batch.into_iter().map(|called| (called.caller, Err(rejection))).collect();
            self.reply_all(core, replies);
        }
    }

    fn reply_all(&mut self, core: u16, replies: Vec<(Caller, Reply)>) {
        if core == self.core {
            self.take_replies(replies);
        } else {
            self.peers.send(core, Parcel::Replies(replies));
        }
    }

    fn take_replies(&mut self, replies: Vec<(Caller, Reply)>) {
        self.replies.extend(replies.into_iter().map(|(caller, reply)| (caller.call, reply)));
    }

    fn reply(&mut self, caller: Caller, reply: Reply) {
        if caller.core == self.core {
            self.replies.push_back((caller.call, reply));
        } else {
            self.peers.send(caller.core, Parcel::Reply { caller, reply });
        }
    }

    /// Sends on what the shard lets go.
    fn release(&mut self) {
        let mut answered = 0;
        while let Some(output) = self.shard.pop_output() {
            match output {
                Output::Reply { caller, reply } => {
                    answered += 1;
                    self.reply(caller, reply);
                }
                Output::Replies { core, replies } => {
                    answered += 1;
                    self.reply_all(core, replies);
                }
                Output::Send { core, envelope } => self.peers.send(core, Parcel::Message(envelope)),
            }
        }
        let durable = self.shard.log().durable();
        if durable > self.durable {
            self.durable = durable;
            self.commit_delay.answered(answered);
        }
    }

    fn commit_or_delay(&mut self, steady_us: u64) -> Result<(), DiskError> {
        self.delays_commit = self.shard.can_delay_commit() && self.commit_delay.holds_back(steady_us);
        if !self.delays_commit {
            self.commit_delay.committed();
            self.shard.commit()?;
        }
        Ok(())
    }

    /// On the way out: edges close, then nodes quiesce, then all leave together.
    fn quiesce(&mut self, steady_us: u64) {
        if !self.shutdown.is_requested() || !self.shutdown.edges_are_closed() || self.left.is_some() {
            return;
        }
        let since = *self.quiescing_since_us.get_or_insert(steady_us);
        self.shard.stop();
        let report = Report { quiesced: self.shard.is_quiesced(), parcels: self.peers.balance() };
        let before = std::mem::replace(&mut self.reported, report);
        if self.shutdown.report(self.core, before, report) {
            self.left = Some(Departure::Left { quiesced: true });
        } else if steady_us.saturating_sub(since) > QUIESCE_TIMEOUT_US {
            self.left = Some(Departure::Left { quiesced: false });
        }
    }
}
