//! One core's shard: its slots and log, and what is under way about them.

use std::sync::Arc;

use engine::answer::{Rejection, Reply};
use engine::catalogue::Catalogue;
use engine::decide::{Context, Policy};
use engine::effect::Effect;
use engine::ids::{SlotId, Time};
use engine::record::{Body, Record};
use engine::slots::{SlotHash, core_of};
use engine::state::Slot;
use engine::text::Text;
use wal::disk::Disk;
use wal::{DiskError, Log, Lsn, Millis, Space};

use crate::batches::{Answered, BatchId, Batches};
use crate::durability_gate::DurabilityGate;
use crate::limits::{
    BATCHED_BACKLOG_BYTES_MAX, BATCHED_PER_TURN_MAX, GROUP_BYTES_MAX, SWEEP_MS, TAKEN_PER_TURN_MAX,
};
use crate::message::{Called, Caller, Envelope, Message, Routed};
use crate::operations::Operations;
use crate::reclaim_pause::ReclaimPause;
use crate::recovery::Recovery;
use crate::replay_window::AskNumbers;
use crate::retention::{ReadModelReach, RetentionSweep};
use crate::retransmission::Retransmission;
use crate::slots::{OwnedSlot, OwnedSlots};
use crate::snapshot_feeder::SnapshotFeeder;
use crate::stats::Stats;
use crate::sweep::OverdueSweep;
use crate::tickets::{TicketBacklog, TicketStatus};
use crate::timers::{SlotTimers, TimerTable};
use crate::work_queue::{Work, WorkQueue};

/// The configuration that all cores of a process have in common.
#[derive(Clone, Debug)]
pub struct Setup {
    pub cores: u16,
    pub policy: Policy,
    pub catalogue: Arc<dyn Catalogue + Send + Sync>,
    /// Bytes that the state of each core may take, as estimated, before it takes no new sale.
    pub state_bytes_max: u64,
    /// Bytes of slot images that one turn gives to a snapshot: [`IMAGE_BYTES_PER_TURN`](crate::limits::IMAGE_BYTES_PER_TURN), less where
    /// many pieces are wanted.
    pub image_bytes_per_turn: usize,
}

/// A shard's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub core: u16,
    pub hash: SlotHash,
    pub process: Setup,
}

/// An item that leaves a shard, once all that it shows is durable.
#[derive(Debug)]
pub enum Output {
    Reply {
        caller: Caller,
        reply: Reply,
    },
    /// Of a batch, to the one core that they all came from.
    Replies {
        core: u16,
        replies: Vec<(Caller, Reply)>,
    },
    Send {
        core: u16,
        envelope: Envelope,
    },
}

/// A batch that was not taken.
#[derive(Debug)]
pub struct Refused {
    pub batch: Vec<Called>,
    pub rejection: Rejection,
}

/// The slots of one core with their log, and the operations on them. [`Node`](crate::Node) drives it:
///
/// 1. [`submit`](Shard::submit) commands and [`deliver`](Shard::deliver) messages, as they come.
/// 2. [`process`](Shard::process): what has become durable is let go; what waits is decided and applied.
/// 3. [`pop_output`](Shard::pop_output) until it gives nothing more.
/// 4. [`commit`](Shard::commit), unless [`can_delay_commit`](Shard::can_delay_commit) and more records are worth waiting for:
///    whoever does not commit comes back, [`next_wake`](Shard::next_wake) does not ask for that.
///
/// An error of `process` or `commit` is final: the shard must not be used any more, and nothing it holds back may be sent.
#[derive(Debug)]
pub struct Shard<D: Disk> {
    config: Config,
    pub(crate) log: Log<D>,
    pub(crate) slots: OwnedSlots,
    pub(crate) now: Time,
    /// The earlier of engine time and wall clock.
    pub(crate) calendar: Time,
    outputs: DurabilityGate<Output>,
    pub(crate) operations: Operations,
    pub(crate) work: WorkQueue,
    batches: Batches,
    pub(crate) ask_numbers: AskNumbers,
    pub(crate) retransmission: Retransmission,
    /// The time at which `decide_due` has something to do in each slot.
    pub(crate) due: SlotTimers,
    /// The time by the calendar at which each slot has a partition to forget.
    pub(crate) departures: SlotTimers,
    /// The first deadline of an order in each slot.
    pub(crate) deadlines: SlotTimers,
    /// The time by the calendar at which something may leave in each slot.
    pub(crate) leaves: SlotTimers,
    pub(crate) read_model: ReadModelReach,
    pub(crate) retention: RetentionSweep,
    pub(crate) sweep: OverdueSweep,
    pub(crate) reclaim_pause: ReclaimPause,
    snapshots: SnapshotFeeder,
    tickets: TicketBacklog,
    stopping: bool,
    pub(crate) stats: Stats,
    /// Kept for their memory; empty between records.
    effects: Vec<Effect>,
    encoded: Vec<u8>,
    /// Bytes of records that have to stay in one frame.
    group_bytes: usize,
}

impl<D: Disk> Shard<D> {
    /// A shard that goes on where `recovered` ended; `log` as well.
    #[must_use]
    pub fn new(config: Config, recovered: Recovery, log: Log<D>, now: Time) -> Shard<D> {
        let now = now.max(recovered.last_time());
        let slots = recovered.into_slots();
        let timers = || SlotTimers::new(slots.len());
        let (due, departures, deadlines, leaves) = (timers(), timers(), timers(), timers());
        let read_model = ReadModelReach::new(log.durable(), slots.len());
        let mut outputs = DurabilityGate::new();
        outputs.open(log.durable());
        let mut shard = Shard {
            log,
            slots: OwnedSlots::new(config.core, config.process.cores, slots),
            now,
            // Until the first turn says what the wall clock shows, nothing goes by the calendar.
            calendar: Time(0),
            outputs,
            operations: Operations::default(),
            work: WorkQueue::default(),
            batches: Batches::default(),
            ask_numbers: AskNumbers::new(config.core, config.process.cores),
            retransmission: Retransmission::default(),
            due,
            departures,
            deadlines,
            leaves,
            read_model,
            retention: RetentionSweep::default(),
            sweep: OverdueSweep::new(now),
            reclaim_pause: ReclaimPause::default(),
            snapshots: SnapshotFeeder::new(config.process.image_bytes_per_turn),
            tickets: TicketBacklog::default(),
            stopping: false,
            stats: Stats::default(),
            effects: Vec::new(),
            encoded: Vec::new(),
            group_bytes: 0,
            config,
        };
        shard.resume_unfinished_work();
        shard
    }

    /// Takes up what the state says is still to be done: tells without an acknowledgement, orders without a ticket, deadlines.
    fn resume_unfinished_work(&mut self) {
        let mut tells = Vec::new();
        let ids: Vec<SlotId> = self.slots.iter().map(Slot::id).collect();
        ids.into_iter().for_each(|slot| self.set_timers(slot));
        for slot in self.slots.iter() {
            tells.extend(slot.outbox().values().map(|tell| (slot.id(), tell.clone())));
            for (paid_at, order) in slot.orders().unticketed().iter() {
                self.tickets.paid(*order, Lsn(0), paid_at);
            }
        }
        for (slot, tell) in tells {
            self.send_tell(slot, tell, Text::from(""));
        }
    }

    /// A command for a slot of this core. Its reply carries `caller`.
    ///
    /// # Errors
    /// It was refused at once; no reply follows.
    pub fn submit(&mut self, caller: Caller, routed: Routed) -> Result<(), Rejection> {
        debug_assert_eq!(routed.route, routed.request.command.route(&self.config.hash));
        if self.stopping {
            return Err(Rejection::Stopping);
        }
        if self.work.is_full() {
            return Err(Rejection::Busy);
        }
        self.work.push_command(caller, routed);
        Ok(())
    }

    /// Commands for slots of this core, from callers at one core; they are begun in their order. Their replies come together.
    ///
    /// # Errors
    /// All were refused at once; no reply follows.
    pub fn submit_batch(&mut self, batch: Vec<Called>) -> Result<(), Refused> {
        if self.stopping {
            return Err(Refused { batch, rejection: Rejection::Stopping });
        }
        if self.batches.is_full() {
            return Err(Refused { batch, rejection: Rejection::Busy });
        }
        self.stats.batches += 1;
        self.batches.push(batch);
        Ok(())
    }

    /// A message from another core. A second copy of an ask is dropped.
    pub fn deliver(&mut self, envelope: Envelope) {
        assert_eq!(core_of(envelope.to, self.config.process.cores), self.config.core);
        if let Message::Ask { number, .. } = &envelope.message
            && !self.ask_numbers.is_first(envelope.from, *number)
        {
            self.stats.asks_repeated += 1;
            return;
        }
        self.work.push_message(envelope);
    }

    /// Lets go of what has become durable, then takes what is waiting, decides and applies it. Outputs are then ready to be
    /// popped. `now` is engine time, `wall` what the wall clock shows.
    ///
    /// # Errors
    /// The log could not be written.
    pub fn process(&mut self, now: Time, wall: Time) -> Result<(), DiskError> {
        self.now = self.now.max(now);
        self.calendar = self.now.min(wall);
        // What is durable leaves first; the next write starts at the commit, with all that this turn appends.
        self.log.complete(Millis(self.now.0))?;
        self.outputs.open(self.log.durable());
        self.tickets.durable(self.log.durable());
        self.take_work();
        self.take_batches();
        if !self.stopping {
            self.do_due();
            self.sweep_overdue();
            self.let_leave();
            self.resend();
            self.take_work();
        }
        self.record_acks();
        self.end_group();
        self.snapshots.feed(&mut self.log, &mut self.slots, &mut self.stats);
        Ok(())
    }

    /// Starts the next write, unless one is under way.
    ///
    /// # Errors
    /// The log could not be written.
    pub fn commit(&mut self) -> Result<(), DiskError> {
        self.log.poll(Millis(self.now.0))?;
        self.outputs.open(self.log.durable());
        Ok(())
    }

    /// A write could start, and could carry more records if it started later.
    #[must_use]
    pub fn can_delay_commit(&self) -> bool {
        self.log.is_writable() && !self.is_backed_up() && !self.stopping
    }

    /// More messages wait than are worth taking: leave the rest with those who sent them.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.work.is_flooded()
    }

    pub fn pop_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// When the next turn is due even if nothing comes in.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        if self.outputs.has_ready() {
            return Some(self.now);
        }
        let log = self.log.next_wake().map(|ms| Time(ms.0));
        if self.is_backed_up() {
            // Only the disk helps now, and it has a signal of its own.
            return log;
        }
        if !self.work.is_empty()
            || self.batches.is_waiting() && self.takes_batches()
            || self.log.snapshot_awaits_slot()
        {
            return Some(self.now);
        }
        if self.stopping {
            return log;
        }
        // A timer by the calendar fires later by as much as engine time is ahead of it.
        let lead = self.now.0 - self.calendar.0;
        let departure = self.departures.first().map(|(at, _)| at.plus(lead));
        let due = self.due.first().map(|(at, _)| at).into_iter().chain(departure).min();
        let leaves = self.leaves.first().filter(|_| self.read_model.is_known());
        let leave = self.retention.next(leaves.map(|(at, _)| at.plus(lead)));
        // Without room nothing can be recorded: it is tried again after a while.
        let earliest = if self.check_capacity(false).is_ok() { Time(0) } else { self.now.plus(SWEEP_MS) };
        let timers = TimerTable {
            log,
            due: due.map(|at| at.max(earliest)),
            resend: self.retransmission.next(),
            leave: leave.map(|at| if self.may_leave() { at } else { at.max(self.now.plus(SWEEP_MS)) }),
            sweep: self.sweep.next(self.deadlines.first().map(|(at, _)| at)),
        };
        timers.next()
    }

    /// From here on commands are refused and nothing begins by itself; what was accepted goes on.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Nothing is under way, everything that may leave has left, and the log says so itself.
    #[must_use]
    pub fn is_quiesced(&self) -> bool {
        self.work.is_empty()
            && self.batches.is_empty()
            && self.operations.len() == 0
            && self.outputs.is_empty()
            && self.log.is_quiet()
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        let log = self.log.stats();
        Stats { log_frames: log.frames, log_bytes: log.bytes, ..self.stats }
    }

    /// Orders that wait for a ticket.
    #[must_use]
    pub fn tickets(&self) -> TicketStatus {
        self.tickets.status(self.log.durable(), self.check_capacity(false))
    }

    #[must_use]
    pub fn core(&self) -> u16 {
        self.config.core
    }

    #[must_use]
    pub fn log(&self) -> &Log<D> {
        &self.log
    }

    /// For whoever plays the disk.
    pub fn log_mut(&mut self) -> &mut Log<D> {
        &mut self.log
    }

    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// Milliseconds by which engine time is ahead of the wall clock.
    #[must_use]
    pub fn time_lead_ms(&self) -> u64 {
        self.now.0 - self.calendar.0
    }

    /// Bytes that the state takes, as estimated.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.slots.state_bytes()
    }

    /// Operations that wait for another slot.
    #[must_use]
    pub fn operations_waiting(&self) -> usize {
        self.operations.len()
    }

    /// The slots of this core, for whoever checks them.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter()
    }

    fn take_work(&mut self) {
        for taken in 0..TAKEN_PER_TURN_MAX {
            if self.is_backed_up() {
                return;
            }
            match self.work.pop(taken) {
                Some(Work::Command { caller, routed }) => self.start(caller, routed),
                Some(Work::Resume(id)) => self.resume(id),
                Some(Work::Message(envelope)) => {
                    self.now = self.now.max(envelope.time);
                    self.handle(envelope);
                }
                None => return,
            }
            self.end_group();
        }
    }

    /// Begins commands of batches, in their order: one that follows another in its batch does not overtake it.
    fn take_batches(&mut self) {
        for _ in 0..BATCHED_PER_TURN_MAX {
            // What an earlier one of a batch has still to do comes first as well, where the log is backed up.
            if !self.takes_batches() {
                return;
            }
            let Some((batch, called)) = self.batches.pop() else { return };
            self.start_batched(batch, called);
            self.end_group();
        }
    }

    /// A command of a batch may begin: not much waits for the disk.
    fn takes_batches(&self) -> bool {
        self.log.backlog_bytes() < BATCHED_BACKLOG_BYTES_MAX
    }

    /// More is appended than the disk has taken: what is not begun yet waits.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.log.backlog_bytes() >= wal::limits::BACKLOG_BYTES_MAX
    }

    /// Checks that the log has room for a record of this kind of work.
    pub(crate) fn check_capacity(&self, is_new_sale: bool) -> Result<(), Rejection> {
        match self.log.space() {
            Space::Plenty => Ok(()),
            Space::Reserve if !is_new_sale => Ok(()),
            Space::Reserve | Space::Exhausted => Err(Rejection::LogFull),
        }
    }

    /// There is no memory for a new sale.
    pub(crate) fn is_state_full(&self) -> bool {
        self.slots.state_bytes() >= self.state_bytes_max()
    }

    pub(crate) fn state_bytes_max(&self) -> u64 {
        self.config.process.state_bytes_max
    }

    pub(crate) fn context(&self) -> Context<'_> {
        let Setup { policy, catalogue, .. } = &self.config.process;
        Context { now: self.now, calendar: self.calendar, catalogue: &**catalogue, policy }
    }

    pub(crate) fn hash(&self) -> &SlotHash {
        &self.config.hash
    }

    pub(crate) fn is_own(&self, slot: SlotId) -> bool {
        core_of(slot, self.config.process.cores) == self.config.core
    }

    pub(crate) fn owned(&self, slot: SlotId) -> &OwnedSlot {
        self.slots.get(slot)
    }

    /// Logs and applies one record, and does what its effects ask for.
    pub(crate) fn append(&mut self, slot: SlotId, body: Body, trace: &Text) {
        let state = &self.owned(slot).slot;
        let time = self.now.max(state.time());
        let record = Record { slot, seq: state.seq() + 1, time, trace: trace.clone(), body };
        self.encoded.clear();
        record.encode(&mut self.encoded);
        if self.group_bytes + self.encoded.len() > GROUP_BYTES_MAX {
            self.end_group();
        }
        let lsn = self.log.append(&self.encoded);
        self.group_bytes += self.encoded.len();
        let mut effects = std::mem::take(&mut self.effects);
        self.slots.apply(&record, lsn, &mut effects);
        self.stats.tally.count(&record.body);
        self.reclaim_pause.recorded(&record.body);
        for effect in effects.drain(..) {
            match effect {
                Effect::Tell(tell) => self.send_tell(slot, tell, trace.clone()),
                Effect::Paid(order) => self.tickets.paid(order, lsn, record.time),
                Effect::Ticketed(order) => self.tickets.ticketed(order, lsn),
            }
        }
        self.effects = effects;
        self.set_timers(slot);
    }

    fn set_timers(&mut self, slot: SlotId) {
        let place = self.slots.place(slot);
        let state = &self.slots.get(slot).slot;
        let policy = &self.config.process.policy;
        let departure = state.next_departure(policy).map(|(at, _)| at);
        let leave = state.next_leave(policy);
        self.due.set(place, slot, state.next_due(policy));
        self.departures.set(place, slot, departure);
        self.deadlines.set(place, slot, state.orders().next_deadline());
        self.leaves.set(place, slot, leave);
    }

    fn end_group(&mut self) {
        if self.group_bytes > 0 {
            self.log.end_group();
            self.group_bytes = 0;
        }
    }

    /// To a slot of this core at once, in the order of the log; to another's when the log is durable up to `visible_at`.
    pub(crate) fn send(&mut self, envelope: Envelope, visible_at: Lsn) {
        if self.is_own(envelope.to) {
            return self.work.push_message(envelope);
        }
        self.stats.messages_sent += 1;
        let core = core_of(envelope.to, self.config.process.cores);
        self.outputs.push(visible_at, Output::Send { core, envelope });
    }

    pub(crate) fn reply(&mut self, caller: Caller, reply: Reply, visible_at: Lsn) {
        self.stats.commands_refused += u64::from(reply.is_err());
        self.outputs.push(visible_at, Output::Reply { caller, reply });
    }

    pub(crate) fn reply_batched(&mut self, batch: BatchId, caller: Caller, reply: Reply, visible_at: Lsn) {
        self.stats.commands_refused += u64::from(reply.is_err());
        if let Some(Answered { replies, visible_at }) = self.batches.replied(batch, caller, reply, visible_at)
        {
            self.outputs.push(visible_at, Output::Replies { core: caller.core, replies });
        }
    }

    pub(crate) fn envelope(&self, from: SlotId, to: SlotId, trace: Text, message: Message) -> Envelope {
        Envelope { from, to, time: self.now, trace, message }
    }
}
