//! The simulated world: one machine, one process after another on it, and the model that listens to every log.

pub(crate) mod disk;
pub(crate) mod machine;
pub(crate) mod process;
mod restart;
mod rings;
pub(crate) mod start;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use engine::answer::{Rejection, Reply};
use engine::command::{Command, Request, Route};
use engine::ids::{OrderId, SlotId, Time};
use engine::slots::core_of;
use engine::text::Text;
use shard::{Caller, Clocks, Routed};
use wal::disk::Lane;
use wal::files::Trouble;

use crate::checks::answers::{self, Question, Shown};
use crate::checks::model::{DecisionInputs, Model};
use crate::counters::{Counters, Covered};
use crate::history::History;
use crate::plan::{HOUR_MS, Plan};
use crate::rng::Rng;
use crate::sinks::{self, Sinks};
use crate::timetable::{Edition, FIRST_END_MS};
use disk::{EIO, ENOSPC, Frame};
use machine::{Machine, START_MS};
use process::Process;

pub(crate) use process::TICK_MS;
pub(crate) use restart::End;

/// So much of the time that has passed last counts for nothing that should have happened in it.
const LATE_MS: u64 = 2_500;
/// Log writes that are remembered, for the faults that undo one.
const FRAMES_KEPT: usize = 24;

#[derive(Debug)]
pub(crate) struct World {
    pub plan: Plan,
    pub rng: Rng,
    pub coverage: Counters,
    pub history: History,
    pub machine: Machine,
    pub process: Process,
    pub model: Model,
    pub sinks: Sinks,
    pub edition: Edition,
    pub step: u64,
    /// The latest that the calendar has shown to any core.
    pub calendar_max: Time,
    /// Requests under way, abandoned ones included.
    pub questions: BTreeMap<Caller, Question>,
    /// Of batches under way: the requests of each parcel.
    pub parcels: Vec<BTreeSet<Caller>>,
    /// Log writes that were made durable, the youngest last.
    pub frames: VecDeque<Frame>,
    /// By core: the log write in flight, and whether it is going to fail.
    pub flights: Vec<Option<(Frame, bool)>>,
    /// The number of the process that runs.
    pub process_number: u64,
    /// Answers that have reached their clients beside a turn that was asked for.
    pub late: Vec<(Caller, Reply)>,
    /// The next completion of this lane is a failure.
    pub fails_next: Option<Lane>,
    /// The disk has failed in such a turn.
    pub fatal: Option<wal::DiskError>,
}

impl World {
    /// A world on an empty machine, and its first process.
    ///
    /// # Panics
    /// When that does not start.
    #[must_use]
    pub(crate) fn new(seed: u64, watched: bool) -> World {
        let mut rng = Rng::new(seed);
        let mut plan = Plan::draw(&mut rng);
        let mut sinks_rng = sinks::plan::chances(seed);
        sinks::plan::draw(&mut plan, &mut sinks_rng);
        let mut sinks = Sinks::new(&plan, sinks_rng);
        let machine = Machine::new();
        let edition = Edition { number: rng.number() % 100, start: Time(START_MS) };
        let mut history = History::new(seed, watched);
        history.note(format_args!("{plan:?}"));
        let found = &mut start::Found::default();
        let ring_chances = Rng::new(rng.number());
        let process =
            start::start(&machine, &plan, plan.cores, &edition, ring_chances, &sinks.names(), found);
        let mut process = process.expect("a first start");
        sinks.read(found);
        sinks.started(&mut process, &plan);
        let inputs = DecisionInputs {
            hash: process.hash.clone(),
            policy: plan.policy.clone(),
            edition: edition.clone(),
            is_tight: plan.state_bytes_max.is_some(),
        };
        World {
            model: Model::new(inputs, plan.cores),
            flights: vec![None; usize::from(plan.cores)],
            rng,
            sinks,
            plan,
            coverage: Counters::default(),
            history,
            machine,
            process,
            edition,
            step: 0,
            calendar_max: Time(0),
            questions: BTreeMap::new(),
            parcels: Vec::new(),
            frames: VecDeque::new(),
            process_number: 1,
            late: Vec::new(),
            fails_next: None,
            fatal: None,
        }
    }

    #[must_use]
    pub(crate) fn cores(&self) -> u16 {
        self.process.cores.len() as u16
    }

    /// The latest time on any core.
    #[must_use]
    pub(crate) fn now(&self) -> Time {
        self.process.cores.iter().map(|core| core.shard().now()).max().unwrap_or_default()
    }

    /// True where something that was sold may have been forgotten by now: some run has departed, or an ad hoc partition is
    /// not kept any longer.
    #[must_use]
    pub(crate) fn has_let_go(&self) -> bool {
        let policy = &self.plan.policy;
        let departs = self.edition.start.plus(FIRST_END_MS + policy.departed_ms);
        self.calendar_max >= departs || policy.ad_hoc_keep_ms < HOUR_MS
    }

    /// The earliest that the calendar would show any core, but for what has passed in the last turns.
    #[must_use]
    pub(crate) fn calendar(&self) -> Time {
        let shown = |core: u16| self.time_of(core).0.min(self.clocks_of(core).wall_ms);
        Time((0..self.cores()).map(shown).min().unwrap_or_default().saturating_sub(LATE_MS))
    }

    /// The time that a core would see if it looked now.
    #[must_use]
    pub(crate) fn time_of(&self, core: u16) -> Time {
        let mut clock = self.process.cores[usize::from(core)].node.clock().clone();
        clock.now(self.clocks_of(core))
    }

    /// The clocks as a core reads them: those of two processors may be a little apart.
    fn clocks_of(&self, core: u16) -> Clocks {
        let ahead_ms = self.plan.ahead_ms[usize::from(core)];
        let Clocks { wall_ms, steady_us } = self.machine.clocks();
        Clocks { wall_ms: wall_ms + ahead_ms, steady_us: steady_us + 1_000 * ahead_ms }
    }

    /// The latest time that any core would see now.
    #[must_use]
    pub(crate) fn latest(&self) -> Time {
        (0..self.cores()).map(|core| self.time_of(core)).max().unwrap_or_default()
    }

    /// A client asks, at an edge of its choice. A listing asks every core.
    pub(crate) fn ask(&mut self, command: &Command) -> Vec<Caller> {
        let edge = self.rng.below(usize::from(self.cores())) as u16;
        let owners = match command.route(&self.process.hash) {
            Route::Slot(slot) => vec![core_of(slot, self.cores())],
            Route::Every => (0..self.cores()).collect(),
        };
        self.note_time_asked();
        let ask = |owner: u16| {
            let shown = self.shown(owner, command);
            let request = Request { command: command.clone(), trace: Text::from("sim") };
            let routed = Routed::new(request, &self.process.hash);
            let caller = self.process.call(edge, owner, routed);
            self.history.note(format_args!("{caller:?} asks {owner}: {command:?}"));
            self.questions.insert(caller, Question { command: command.clone(), shown });
            caller
        };
        owners.into_iter().map(ask).collect()
    }

    /// Asks several things as one batch: those of each core are one parcel. None of them goes to every core.
    pub(crate) fn ask_batch(&mut self, commands: &[Command]) -> Vec<Caller> {
        let edge = self.rng.below(usize::from(self.cores())) as u16;
        self.note_time_asked();
        let mut callers = vec![None; commands.len()];
        for owner in 0..self.cores() {
            let (mut places, mut batch, mut questions) = (Vec::new(), Vec::new(), Vec::new());
            for (place, command) in commands.iter().enumerate() {
                let request = Request { command: command.clone(), trace: Text::from("sim") };
                let routed = Routed::new(request, &self.process.hash);
                let Route::Slot(slot) = routed.route else { panic!("{command:?} goes to every core") };
                if core_of(slot, self.cores()) == owner {
                    places.push(place);
                    batch.push(routed);
                    questions.push(Question { command: command.clone(), shown: self.shown(owner, command) });
                }
            }
            if batch.is_empty() {
                continue;
            }
            let asked = self.process.call_batch(edge, owner, batch);
            self.history.note(format_args!("{asked:?} ask {owner} at once"));
            self.coverage.count(Covered::BatchParcel);
            self.parcels.push(asked.iter().copied().collect());
            for ((place, caller), question) in places.into_iter().zip(asked).zip(questions) {
                callers[place] = Some(caller);
                self.questions.insert(caller, question);
            }
        }
        callers.into_iter().map(|caller| caller.expect("each goes to some core")).collect()
    }

    /// Whatever is decided from here on is not decided before this time.
    fn note_time_asked(&mut self) {
        for number in 0..self.cores() {
            let clocks = self.clocks_of(number);
            let core = &mut self.process.cores[usize::from(number)];
            core.asked_at = core.node.clock_mut().now(clocks).max(core.shard().now());
        }
    }

    /// The replies to a parcel reach the edge together.
    ///
    /// # Panics
    /// When only some of them are there.
    fn are_whole(&mut self, replies: &[(Caller, Reply)]) {
        let is_there = |caller: &Caller| replies.iter().any(|(other, _)| other == caller);
        self.parcels.retain(|parcel| {
            let there = parcel.iter().filter(|caller| is_there(caller)).count();
            assert!(there == 0 || there == parcel.len(), "a part of {parcel:?} is answered");
            there == 0
        });
    }

    /// The slots that the answer may show, as they are now.
    fn shown(&self, core: u16, command: &Command) -> Vec<Shown> {
        let hash = &self.process.hash;
        let second = match command {
            Command::Reserve(c) => Some(hash.partition(&c.seats.partition)),
            Command::Pay(c) => Some(hash.txn(&c.txn)),
            _ => None,
        };
        let Route::Slot(first) = command.route(hash) else {
            let core = &self.process.cores[usize::from(core)];
            let slots = core.shard().slots().filter(|slot| !slot.is_blank());
            let shown = |slot: &engine::state::Slot| {
                let (from, time) = (slot.seq() as usize, core.asked_at);
                Shown { slot: slot.id(), from, time, turns: self.model.turns_at(slot.id()) }
            };
            return slots.map(shown).collect();
        };
        let mut shown: Vec<Shown> =
            [Some(first), second].into_iter().flatten().map(|s| self.shows(s)).collect();
        // A repeat joins what is under way, and what that has heard from elsewhere counts for it as well.
        let same = self.questions.values().filter(|question| question.command == *command);
        if let Some(joined) = { same }.find_map(|question| question.shown.get(1)) {
            shown[1] = *joined;
        }
        shown
    }

    fn shows(&self, slot: SlotId) -> Shown {
        Shown {
            slot,
            from: self.process.slot(slot).seq() as usize,
            time: self.process.time_at(slot),
            turns: self.model.turns_at(slot),
        }
    }

    /// One turn of a core that receives so many parcels at most. The replies that have reached clients.
    ///
    /// # Errors
    /// The disk has failed: the process has to end.
    pub(crate) fn turn(&mut self, core: u16, most: usize) -> Result<Vec<(Caller, Reply)>, wal::DiskError> {
        {
            let mut rings = self.process.rings.borrow_mut();
            rings.go_on_to(self.step);
            rings.receivable = most;
        }
        let clocks = self.clocks_of(core);
        let began = self.time_of(core).max(self.process.cores[usize::from(core)].shard().now());
        let calendar = began.min(Time(clocks.wall_ms));
        let turned = self.process.turn(core, clocks);
        let ended = self.process.cores[usize::from(core)].shard().now();
        let relied = self.process.relied[usize::from(core)].map(|lsn| lsn.0);
        self.model.turned(core, calendar, ended, relied);
        self.calendar_max = self.calendar_max.max(calendar);
        self.coverage.add(Covered::TimeAhead, u64::from(began.0 - calendar.0 >= HOUR_MS));
        self.coverage.count(Covered::Turns);
        self.history.number(u64::from(core) << 32 | most as u64);
        self.take_frames(core);
        turned?;
        self.count_turn(core);
        sinks::watch_room(self, core);
        // An answer is checked when it leaves its shard, be it for this edge or for another one.
        let sent = std::mem::take(&mut self.process.rings.borrow_mut().replies);
        for (caller, reply) in sent {
            self.released(caller, &reply);
        }
        let mut replies = Vec::new();
        while let Some((caller, reply)) = self.process.poll_reply(core) {
            if self.questions.contains_key(&caller) {
                self.released(caller, &reply);
            }
            replies.push((caller, reply));
        }
        self.are_whole(&replies);
        self.model.nothing_left_under_way();
        Ok(replies)
    }

    fn take_frames(&mut self, core: u16) {
        let frames =
            std::mem::take(&mut self.process.cores[usize::from(core)].node.log_mut().disk_mut().submitted);
        for frame in frames {
            self.history.bytes(&frame.bytes);
            self.model.written(self.sinks.logs.next(core), &frame.bytes);
            self.sinks.logs.written(core, &frame.path, frame.offset, &frame.bytes);
            self.coverage.count(Covered::Frames);
            self.flights[usize::from(core)] = Some((frame, false));
        }
    }

    fn count_turn(&mut self, core: u16) {
        let node = &self.process.cores[usize::from(core)].node;
        let exhausted = node.shard().log().space() == wal::Space::Exhausted;
        self.coverage.add(Covered::Exhausted, u64::from(exhausted));
        self.coverage.add(Covered::CommitDelayed, u64::from(node.delays_commit()));
        let ahead_ms = self.plan.ahead_ms[usize::from(core)];
        self.coverage.add(Covered::ClocksApart, u64::from(ahead_ms > 0));
        let mut rings = self.process.rings.borrow_mut();
        self.coverage.add(Covered::MessageDoubled, std::mem::take(&mut rings.doubled));
        self.coverage.add(Covered::MessageOvertakes, std::mem::take(&mut rings.overtaken));
        self.coverage.add(Covered::RingFull, std::mem::take(&mut rings.full));
        self.coverage.add(Covered::Jammed, std::mem::take(&mut rings.jammed));
    }

    fn released(&mut self, caller: Caller, reply: &Reply) {
        self.history.note(format_args!("{caller:?} is answered {reply:?}"));
        let question =
            self.questions.remove(&caller).unwrap_or_else(|| panic!("{caller:?} is answered twice"));
        self.coverage.count(Covered::Replies);
        if answers::is_try_again(reply) {
            self.coverage.count(Covered::Refused);
            if let Command::Pay(pay) = &question.command
                && let Some(order) = OrderId::parse(pay.order.as_str())
            {
                self.model.gave_up(order, &pay.txn);
            }
        }
        let refused = match reply {
            Err(Rejection::LogFull) => Some(Covered::LogFull),
            Err(Rejection::LimitReached) => Some(Covered::MemoryShort),
            Err(Rejection::SaleClosed) => Some(Covered::SaleClosed),
            Err(Rejection::KeyReused) => Some(Covered::KeyReused),
            Err(Rejection::BoardingNotAllowed) => Some(Covered::BoardingNotAllowed),
            _ => None,
        };
        if let Some(refused) = refused {
            self.coverage.count(refused);
        }
        answers::check(&self.model, &question, reply);
    }

    /// The disk completes the oldest operation of a lane; `false` if there is none.
    pub(crate) fn finish(&mut self, core: u16, lane: Lane) -> bool {
        let waits = self.process.cores[usize::from(core)].is_waiting(lane);
        let fails = waits && self.fails_next == Some(lane);
        let step = self.machine.files.steps() + if lane == Lane::Jobs { self.rng.below(3) as u64 } else { 0 };
        if fails {
            self.fails_next = None;
            let errno = if lane == Lane::Jobs && self.rng.percent(50) { ENOSPC } else { EIO };
            self.machine.files.trouble(Trouble { step, errno });
        }
        let on_core = &mut self.process.cores[usize::from(core)];
        let other = if lane == Lane::Write { Lane::Jobs } else { Lane::Write };
        let out_of_order = on_core.is_waiting(lane) && on_core.is_waiting(other);
        if !on_core.node.log_mut().disk_mut().finish(lane) {
            return false;
        }
        self.process.signal(core);
        if fails {
            let failed = self.machine.files.steps() > step;
            self.coverage.add(
                if lane == Lane::Write { Covered::WriteFails } else { Covered::SyncFails },
                u64::from(failed),
            );
            self.history.note(format_args!("core {core}: a step of {lane:?} fails: {failed}"));
            self.machine.files.forgive();
        }
        self.coverage.add(Covered::OutOfOrder, u64::from(out_of_order));
        self.history.number(u64::from(core) << 8 | u64::from(lane == Lane::Write) << 1 | u64::from(fails));
        if lane == Lane::Write {
            let (frame, doomed) = self.flights[usize::from(core)].take().expect("a write was in flight");
            if !fails && !doomed {
                self.model.durable(core);
                self.sinks.logs.durable(core);
                self.frames.push_back(frame);
                if self.frames.len() > FRAMES_KEPT {
                    self.frames.pop_front();
                }
            }
        }
        true
    }

    /// Holds every slot that has come equally far against the model.
    pub(crate) fn compare(&self) {
        for core in &self.process.cores {
            for slot in core.shard().slots().filter(|slot| !slot.is_blank()) {
                self.model.compare(slot);
            }
        }
    }
}
