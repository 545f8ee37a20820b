//! One core's shard: its slots, its log, and the turn that moves them on.

use std::collections::VecDeque;
use std::sync::Arc;

use engine::answer::{Rejection, Reply};
use engine::catalogue::Catalogue;
use engine::command::{Request, Route};
use engine::decide::{Context, Policy};
use engine::effect::Effect;
use engine::ids::{OrderId, SlotId, Time};
use engine::limits::SLOTS;
use engine::record::{Body, Record, TellId};
use engine::slots::{SlotHash, core_of};
use engine::state::Slot;
use engine::text::Text;
use hashbrown::{HashMap, HashSet};
use wal::disk::Disk;
use wal::{DiskError, Log, Lsn, Millis, Space};

use crate::agenda::{Agenda, move_on};
use crate::gate::Gate;
use crate::heard::Heard;
use crate::limits::{
    COMMANDS_ONE_IN, DELIVERED_MAX, GROUP_BYTES_MAX, INBOX_MAX, SWEEP_MS, TAKEN_PER_TURN_MAX,
};
use crate::message::{Envelope, Message, OpId};
use crate::operations::Operations;
use crate::recovery::Recovery;
use crate::stats::Stats;

/// The driver's name for a caller that waits for a reply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Token(pub u64);

/// What a shard is told once.
#[derive(Clone)]
pub struct Config {
    pub core: u16,
    pub cores: u16,
    pub hash: SlotHash,
    pub policy: Policy,
    /// Bytes that the state of this core may take, as estimated, before it takes no new sale.
    pub state_bytes_max: u64,
    pub catalogue: Arc<dyn Catalogue + Send + Sync>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config").field("core", &self.core).field("cores", &self.cores).finish_non_exhaustive()
    }
}

/// What leaves a shard; each only when all that it shows is durable.
#[derive(Debug)]
pub enum Output {
    Reply {
        token: Token,
        reply: Reply,
    },
    Send {
        core: u16,
        envelope: Envelope,
    },
    /// An order was paid, or is found paid and without a ticket at the start.
    Paid {
        order: OrderId,
        lsn: Lsn,
    },
}

/// A slot, the last record that changed it, and where it stands on the agendas.
#[derive(Debug)]
pub(crate) struct Owned {
    pub(crate) slot: Box<Slot>,
    pub(crate) last: Lsn,
    due: Option<Time>,
    deadline: Option<Time>,
}

/// See the crate. Methods are of three kinds: `submit` and `deliver` put something in, `turn` moves everything on,
/// `pop_output` takes something out.
#[derive(Debug)]
pub struct Shard<D: Disk> {
    pub(crate) config: Config,
    pub(crate) log: Log<D>,
    owned: Vec<Owned>,
    pub(crate) now: Time,
    pub(crate) outputs: Gate<Output>,
    pub(crate) operations: Operations,
    inbox: VecDeque<(Token, Route, Box<Request>)>,
    delivered: VecDeque<Envelope>,
    /// Asks sent to each other core, and those that came from it.
    asked: Vec<u64>,
    heard: Vec<Heard>,
    /// Operations to go on with.
    pub(crate) runnable: VecDeque<OpId>,
    /// Which slots fall due when.
    pub(crate) agenda: Agenda,
    /// Which slots have an order whose deadline passes when.
    pub(crate) deadlines: Agenda,
    /// Tells that were sent, oldest first: looked at again when they should have been answered.
    pub(crate) sent: VecDeque<(Time, SlotId, TellId)>,
    /// Acknowledgements of this turn, by the slot that told.
    pub(crate) acks: HashMap<SlotId, Vec<TellId>>,
    pub(crate) next_sweep: Time,
    /// Orders that a sweep has asked after, and that were not answered for yet.
    pub(crate) swept: HashSet<OrderId>,
    /// The next slot that the open snapshot takes.
    pub(crate) snapshot_next: Option<usize>,
    pub(crate) stopping: bool,
    pub(crate) stats: Stats,
    /// Bytes that the state takes, as estimated.
    state_bytes: u64,
    scratch: Vec<u8>,
    effects: Vec<Effect>,
    group_bytes: usize,
}

impl<D: Disk> Shard<D> {
    /// A shard that goes on where `recovered` ended; `log` as well.
    #[must_use]
    pub fn new(config: Config, recovered: Recovery, log: Log<D>, now: Time) -> Shard<D> {
        let now = now.max(recovered.last_time());
        let owned = recovered
            .into_slots()
            .into_iter()
            .map(|slot| Owned { slot, last: Lsn(0), due: None, deadline: None })
            .collect();
        let mut shard = Shard {
            log,
            owned,
            now,
            outputs: Gate::new(),
            operations: Operations::default(),
            inbox: VecDeque::new(),
            delivered: VecDeque::new(),
            asked: vec![0; usize::from(config.cores)],
            heard: (0..config.cores).map(|_| Heard::default()).collect(),
            runnable: VecDeque::new(),
            agenda: Agenda::new(),
            deadlines: Agenda::new(),
            sent: VecDeque::new(),
            acks: HashMap::new(),
            next_sweep: now,
            swept: HashSet::new(),
            snapshot_next: None,
            stopping: false,
            stats: Stats::default(),
            state_bytes: 0,
            scratch: Vec::new(),
            effects: Vec::new(),
            group_bytes: 0,
            config,
        };
        shard.take_up();
        shard
    }

    /// What the state says is still to be done: tells not answered, tickets not issued, deadlines.
    fn take_up(&mut self) {
        for index in 0..self.owned.len() {
            let owned = &self.owned[index];
            self.state_bytes += owned.slot.memory_estimate() as u64;
            let slot = owned.slot.id();
            let tells: Vec<_> = owned.slot.outbox().values().cloned().collect();
            let paid: Vec<_> = owned.slot.orders().unticketed().iter().map(|(_, order)| *order).collect();
            for tell in tells {
                self.send_tell(slot, tell, Text::from(""));
            }
            for order in paid {
                self.outputs.push(Lsn(0), self.log.durable(), Output::Paid { order, lsn: Lsn(0) });
            }
            self.note_due(index);
        }
    }

    /// A client's command, or another part's of this process. Its reply carries `token`.
    ///
    /// # Errors
    /// It was refused at once; no reply follows.
    pub fn submit(&mut self, token: Token, request: impl Into<Box<Request>>) -> Result<(), Rejection> {
        let request = request.into();
        let route = request.command.route(&self.config.hash);
        self.submit_routed(token, route, request)
    }

    /// As [`Shard::submit`], by a caller who has asked for the command's route already.
    ///
    /// # Errors
    /// As there.
    pub fn submit_routed(
        &mut self,
        token: Token,
        route: Route,
        request: Box<Request>,
    ) -> Result<(), Rejection> {
        debug_assert_eq!(route, request.command.route(&self.config.hash));
        if self.stopping {
            return Err(Rejection::Stopping);
        }
        if self.inbox.len() >= INBOX_MAX {
            return Err(Rejection::Busy);
        }
        self.inbox.push_back((token, route, request));
        Ok(())
    }

    /// A message from another core. A second copy of an ask is dropped.
    pub fn deliver(&mut self, envelope: Envelope) {
        assert_eq!(core_of(envelope.to, self.config.cores), self.config.core);
        let from = usize::from(core_of(envelope.from, self.config.cores));
        if let Message::Ask { number, .. } = &envelope.message
            && !self.heard[from].is_first(*number)
        {
            self.stats.asks_repeated += 1;
            return;
        }
        self.delivered.push_back(envelope);
    }

    /// A message that was taken and has to wait its turn again.
    pub(crate) fn put_back(&mut self, envelope: Envelope) {
        self.delivered.push_back(envelope);
    }

    /// The number of the next ask to a slot's core.
    pub(crate) fn number_ask(&mut self, to: SlotId) -> u64 {
        let core = core_of(to, self.config.cores);
        if core == self.config.core {
            return 0;
        }
        let asked = &mut self.asked[usize::from(core)];
        *asked += 1;
        *asked
    }

    /// A whole turn: [`Shard::gather`], then [`Shard::commit`].
    ///
    /// # Errors
    /// As there.
    pub fn turn(&mut self, now: Time) -> Result<(), DiskError> {
        self.gather(now)?;
        self.commit()
    }

    /// Takes what is waiting, decides and applies it. Outputs are then ready to be popped. Whoever does not commit what was
    /// gathered comes back for it: [`Shard::next_wake`] does not ask for that.
    ///
    /// # Errors
    /// The log could not be written. The shard must not be used any more, and nothing it holds back may be sent.
    pub fn gather(&mut self, now: Time) -> Result<(), DiskError> {
        self.now = self.now.max(now);
        // What is durable leaves first; the next write starts at the commit, with all that this turn appends.
        self.log.complete(Millis(self.now.0))?;
        self.outputs.open(self.log.durable());
        self.take_work();
        self.do_due();
        self.sweep_overdue();
        self.resend();
        self.take_work();
        self.note_acks();
        self.end_group();
        self.feed_snapshot();
        Ok(())
    }

    /// Starts the next write, unless one is under way.
    ///
    /// # Errors
    /// As [`Shard::gather`].
    pub fn commit(&mut self) -> Result<(), DiskError> {
        self.log.poll(Millis(self.now.0))?;
        self.outputs.open(self.log.durable());
        Ok(())
    }

    /// A write could start, and could take more with it if it started later.
    #[must_use]
    pub fn may_gather_more(&self) -> bool {
        self.log.is_writable() && !self.is_backed_up() && !self.stopping
    }

    /// More messages wait than are worth taking: leave the rest with those who sent them.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.delivered.len() >= DELIVERED_MAX
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
            // Only the disk helps now, and it has a wake-up of its own.
            return log;
        }
        if self.has_work() || self.feeds_snapshot() {
            return Some(self.now);
        }
        if self.stopping {
            return log;
        }
        let due = self.agenda.first().map(|(at, _)| *at);
        let retry = self.now.plus(SWEEP_MS);
        let due = if self.room(false).is_ok() { due } else { due.map(|at| at.max(retry)) };
        let resend = self.sent.front().map(|(at, _, _)| *at);
        let sweep = self.deadlines.first().map(|(at, _)| at.plus(SWEEP_MS).max(self.next_sweep));
        log.into_iter().chain(due).chain(resend).chain(sweep).min()
    }

    /// From here on commands are refused; what was accepted goes on.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Nothing is under way, everything that may leave has left, and the log says so itself.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        !self.has_work() && self.operations.len() == 0 && self.outputs.is_empty() && self.log.is_quiet()
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        let log = self.log.stats();
        Stats { log_frames: log.frames, log_bytes: log.bytes, ..self.stats }
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

    /// Bytes that the state takes, as estimated.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        self.state_bytes
    }

    /// Operations that wait for another slot.
    #[must_use]
    pub fn operations_waiting(&self) -> usize {
        self.operations.len()
    }

    /// Commands that wait for their turn.
    #[must_use]
    pub fn inbox_len(&self) -> usize {
        self.inbox.len()
    }

    /// The slots of this core, for whoever checks them.
    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.owned.iter().map(|owned| &*owned.slot)
    }

    fn has_work(&self) -> bool {
        !self.inbox.is_empty() || !self.delivered.is_empty() || !self.runnable.is_empty()
    }

    /// Messages first: they finish what was begun.
    fn take_work(&mut self) {
        for taken in 0..TAKEN_PER_TURN_MAX {
            if self.is_backed_up() {
                return;
            }
            // Messages finish what was begun, so they go first; but not so that nothing begins any more.
            let command_first = taken % COMMANDS_ONE_IN == COMMANDS_ONE_IN - 1;
            if command_first && let Some((token, route, request)) = self.inbox.pop_front() {
                self.begin(token, route, request);
            } else if let Some(id) = self.runnable.pop_front() {
                self.resume(id);
            } else if let Some(envelope) = self.delivered.pop_front() {
                self.now = self.now.max(envelope.time);
                self.handle(envelope);
            } else if let Some((token, route, request)) = self.inbox.pop_front() {
                self.begin(token, route, request);
            } else {
                return;
            }
            self.end_group();
        }
    }

    /// More is appended than the disk has taken: what is not begun yet waits.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.log.backlog_bytes() >= wal::limits::BACKLOG_BYTES_MAX
    }

    /// Whether there is room in memory and in the log for a record of this kind of work.
    pub(crate) fn room(&self, is_new_sale: bool) -> Result<(), Rejection> {
        if is_new_sale && self.state_bytes >= self.config.state_bytes_max {
            return Err(Rejection::LimitReached);
        }
        match self.log.space() {
            Space::Plenty => Ok(()),
            Space::Reserve if !is_new_sale => Ok(()),
            Space::Reserve | Space::Exhausted => Err(Rejection::LogFull),
        }
    }

    pub(crate) fn context(&self) -> Context<'_> {
        Context { now: self.now, catalogue: &*self.config.catalogue, policy: &self.config.policy }
    }

    pub(crate) fn index(&self, slot: SlotId) -> usize {
        assert_eq!(core_of(slot, self.config.cores), self.config.core, "a slot has one owner");
        usize::from(slot.get() / self.config.cores)
    }

    pub(crate) fn owned(&self, slot: SlotId) -> &Owned {
        &self.owned[self.index(slot)]
    }

    pub(crate) fn all_owned(&self) -> &[Owned] {
        &self.owned
    }

    /// Logs and applies one record, and does what follows from it outside the state.
    pub(crate) fn append(&mut self, slot: SlotId, body: Body, trace: &Text) {
        let index = self.index(slot);
        let owned = &self.owned[index];
        let time = self.now.max(owned.slot.time());
        let record = Record { slot, seq: owned.slot.seq() + 1, time, trace: trace.clone(), body };
        self.scratch.clear();
        record.encode(&mut self.scratch);
        if self.group_bytes + self.scratch.len() > GROUP_BYTES_MAX {
            self.end_group();
        }
        let lsn = self.log.append(&self.scratch);
        let owned = &mut self.owned[index];
        self.group_bytes += self.scratch.len();
        let memory_estimate = owned.slot.memory_estimate() as u64;
        let mut effects = std::mem::take(&mut self.effects);
        owned.slot.apply(&record, &mut effects);
        self.state_bytes = self.state_bytes - memory_estimate + owned.slot.memory_estimate() as u64;
        owned.last = lsn;
        self.stats.tally.count(&record.body);
        for effect in effects.drain(..) {
            match effect {
                Effect::Tell(tell) => self.send_tell(slot, tell, trace.clone()),
                Effect::Paid(order) => {
                    self.outputs.push(lsn, self.log.durable(), Output::Paid { order, lsn });
                }
                Effect::Ticketed(_) => {}
            }
        }
        self.effects = effects;
        self.note_due(index);
    }

    fn end_group(&mut self) {
        if self.group_bytes > 0 {
            self.log.end_command();
            self.group_bytes = 0;
        }
    }

    fn note_due(&mut self, index: usize) {
        let owned = &mut self.owned[index];
        let slot = owned.slot.id();
        let due = owned.slot.next_due(&self.config.policy);
        move_on(&mut self.agenda, slot, &mut owned.due, due);
        let deadline = owned.slot.orders().next_deadline();
        move_on(&mut self.deadlines, slot, &mut owned.deadline, deadline);
    }

    /// To a slot of this core at once, in the order of the log; to another's when what it shows is durable.
    pub(crate) fn send(&mut self, envelope: Envelope, gate: Lsn) {
        let core = core_of(envelope.to, self.config.cores);
        if core == self.config.core {
            self.delivered.push_back(envelope);
            return;
        }
        self.stats.messages_sent += 1;
        self.outputs.push(gate, self.log.durable(), Output::Send { core, envelope });
    }

    pub(crate) fn envelope(&self, from: SlotId, to: SlotId, trace: Text, message: Message) -> Envelope {
        Envelope { from, to, time: self.now, trace, message }
    }
}

/// The slots that a core owns, in order.
pub(crate) fn slots_of(core: u16, cores: u16) -> impl Iterator<Item = SlotId> {
    (0..SLOTS).map(SlotId::new).filter(move |slot| core_of(*slot, cores) == core)
}
