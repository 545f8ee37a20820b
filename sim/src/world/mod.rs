//! The simulated world: one machine, one process after another on it, and the model that listens to every log.

pub(crate) mod disk;
pub(crate) mod machine;
pub(crate) mod process;
mod restart;
mod rings;
pub(crate) mod start;
mod worker;

use std::collections::{BTreeMap, VecDeque};

use engine::answer::Reply;
use engine::command::{Command, Request, Route};
use engine::ids::{SlotId, Time};
use engine::slots::core_of;
use engine::text::Text;
use shard::Token;
use wal::disk::Lane;
use wal::files::Trouble;

use crate::checks::answers::{self, Question, Shown};
use crate::checks::model::{Laws, Model};
use crate::counters::{Counters, Met};
use crate::faults::EIO;
use crate::history::History;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::timetable::{Edition, FIRST_END_MS};
use disk::Frame;
use machine::{Machine, START_MS};
use process::{Outcome, Process, Taking};

pub(crate) use restart::End;

const ENOSPC: i32 = 28;
/// One of these is within how many steps the second copy of a message arrives.
const COPY_STEPS: [usize; 4] = [1, 20, 200, 2_000];
/// Log writes that are remembered, for the faults that undo one.
const FRAMES_KEPT: usize = 24;

/// See the module.
#[derive(Debug)]
pub(crate) struct World {
    pub plan: Plan,
    pub rng: Rng,
    pub met: Counters,
    pub history: History,
    pub machine: Machine,
    pub process: Process,
    pub model: Model,
    pub edition: Edition,
    pub step: u64,
    /// Requests under way, abandoned ones included.
    pub questions: BTreeMap<Token, Question>,
    /// Log writes that were made durable, the youngest last.
    pub frames: VecDeque<Frame>,
    /// By core: the log write in flight, and whether it is going to fail.
    pub flights: Vec<Option<(Frame, bool)>>,
    /// The number of the process that runs.
    pub life: u64,
    /// Answers that have reached their clients beside a turn that was asked for.
    pub late: Vec<(Token, Reply)>,
    /// The next completion of this lane is a failure.
    pub fails_next: Option<Lane>,
    /// The disk has failed in such a turn.
    pub fatal: Option<wal::DiskError>,
    tokens: u64,
}

impl World {
    /// A world on an empty machine, and its first process.
    ///
    /// # Panics
    /// When that does not start.
    #[must_use]
    pub(crate) fn new(seed: u64, watched: bool) -> World {
        let mut rng = Rng::new(seed);
        let plan = Plan::draw(&mut rng);
        let machine = Machine::new();
        let edition = Edition { number: rng.number() % 100, start: Time(START_MS) };
        let mut history = History::new(seed, watched);
        history.note(format_args!("{plan:?}"));
        let found = &mut start::Found::default();
        let process = start::start(&machine, &plan, plan.cores, &edition, found).expect("a first start");
        let laws = Laws { hash: process.hash.clone(), policy: plan.policy.clone(), edition: edition.clone() };
        World {
            model: Model::new(laws, plan.cores),
            flights: vec![None; usize::from(plan.cores)],
            rng,
            plan,
            met: Counters::default(),
            history,
            machine,
            process,
            edition,
            step: 0,
            questions: BTreeMap::new(),
            frames: VecDeque::new(),
            life: 1,
            late: Vec::new(),
            fails_next: None,
            fatal: None,
            tokens: 0,
        }
    }

    #[must_use]
    pub(crate) fn cores(&self) -> u16 {
        self.process.cores()
    }

    /// The latest time on any core.
    #[must_use]
    pub(crate) fn now(&self) -> Time {
        self.process.nodes.iter().map(|node| node.shard.now()).max().unwrap_or_default()
    }

    /// Whether some run may have departed by now, and be forgotten with all that was sold of it.
    #[must_use]
    pub(crate) fn departs(&self) -> bool {
        self.now() >= self.edition.start.plus(FIRST_END_MS + self.plan.policy.departed_ms)
    }

    /// The time that a core would see if it looked now.
    #[must_use]
    pub(crate) fn time_of(&self, core: u16) -> Time {
        let mut clock = self.process.nodes[usize::from(core)].clock.clone();
        clock.now(self.machine.wall_ms, self.machine.steady_ms)
    }

    /// The latest time that any core would see now.
    #[must_use]
    pub(crate) fn latest(&self) -> Time {
        (0..self.cores()).map(|core| self.time_of(core)).max().unwrap_or_default()
    }

    /// A client asks, at an edge of his choice. A listing asks every core.
    pub(crate) fn ask(&mut self, command: &Command) -> Vec<Token> {
        let edge = self.rng.below(usize::from(self.cores())) as u16;
        let cores = match command.route(&self.process.hash) {
            Route::Slot(slot) => vec![core_of(slot, self.cores())],
            Route::Every => (0..self.cores()).collect(),
        };
        // Whatever is decided from here on is not decided before this time.
        for core in 0..self.cores() {
            let node = &mut self.process.nodes[usize::from(core)];
            node.asked_at =
                node.clock.now(self.machine.wall_ms, self.machine.steady_ms).max(node.shard.now());
        }
        let ask = |core: u16| {
            self.tokens += 1;
            let token = process::token(edge, self.tokens);
            self.history.note(format_args!("{token:?} at {edge} asks {core}: {command:?}"));
            let shown = self.shown(core, command);
            self.questions.insert(token, Question { command: command.clone(), shown });
            let request = Request { command: command.clone(), trace: Text::from("sim") };
            self.process.post(edge, core, token, request);
            token
        };
        cores.into_iter().map(ask).collect()
    }

    /// What the answer may show, as it is now.
    fn shown(&self, core: u16, command: &Command) -> Vec<Shown> {
        let hash = &self.process.hash;
        let second = match command {
            Command::Reserve(c) => Some(hash.partition(&c.seats.partition)),
            Command::Pay(c) => Some(hash.txn(&c.txn)),
            _ => None,
        };
        let Route::Slot(first) = command.route(hash) else {
            let node = &self.process.nodes[usize::from(core)];
            let slots = node.shard.slots().filter(|slot| !slot.is_blank());
            let shown = |slot: &engine::state::Slot| {
                let (from, time) = (slot.seq() as usize, node.asked_at);
                Shown { slot: slot.id(), from, time }
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
        Shown { slot, from: self.process.slot(slot).seq() as usize, time: self.process.time_at(slot) }
    }

    /// One turn of a core that takes so many parcels at most. What has reached clients; `Err` when the process has to end.
    ///
    /// # Errors
    /// The disk has failed.
    pub(crate) fn turn(&mut self, core: u16, most: usize) -> Result<Vec<(Token, Reply)>, wal::DiskError> {
        let mut out = Outcome::default();
        let percent = self.plan.doubled_percent;
        let gathers = self.plan.gather_percent > 0 && self.rng.percent(self.plan.gather_percent);
        let rng = std::cell::RefCell::new(&mut self.rng);
        let mut taking = Taking {
            step: self.step,
            most,
            gathers,
            choose: &mut |from| *rng.borrow_mut().pick(from),
            doubles: &mut || {
                let mut rng = rng.borrow_mut();
                let doubled = percent > 0 && rng.percent(percent);
                doubled.then(|| {
                    let most = *rng.pick(&COPY_STEPS);
                    rng.below(most) as u64
                })
            },
        };
        let turned = self.process.turn(core, &self.machine, &mut taking, &mut out);
        self.met.met(Met::Turns);
        self.met.add(Met::MessageDoubled, out.doubled);
        self.met.add(Met::Gathered, u64::from(out.gathers));
        self.met.add(Met::RingFull, u64::from(out.ring_full));
        self.history.number(u64::from(core) << 32 | most as u64);
        for frame in out.frames {
            self.history.bytes(&frame.bytes);
            self.model.written(core, &frame.bytes);
            self.met.met(Met::Frames);
            self.flights[usize::from(core)] = Some((frame, false));
        }
        turned?;
        let space = self.process.nodes[usize::from(core)].shard.log().space();
        self.met.add(Met::Exhausted, u64::from(space == wal::Space::Exhausted));
        for (token, reply) in &out.given {
            self.given(*token, reply);
        }
        Ok(out.replies)
    }

    fn given(&mut self, token: Token, reply: &Reply) {
        self.history.note(format_args!("{token:?} is answered {reply:?}"));
        let Some(question) = self.questions.remove(&token) else {
            assert!(worker::is_worker(token), "{token:?} is answered twice");
            return;
        };
        self.met.met(Met::Replies);
        if answers::is_try_again(reply) {
            self.met.met(Met::Refused);
            self.met.add(Met::LogFull, u64::from(*reply == Err(engine::answer::Rejection::LogFull)));
        }
        answers::check(&self.model, &question, reply);
    }

    /// The disk completes the oldest operation of a lane; `false` if there is none.
    pub(crate) fn finish(&mut self, core: u16, lane: Lane) -> bool {
        let waits = self.process.nodes[usize::from(core)].is_waiting(lane);
        let fails = waits && self.fails_next == Some(lane);
        let step = self.machine.files.steps() + if lane == Lane::Jobs { self.rng.below(3) as u64 } else { 0 };
        if fails {
            self.fails_next = None;
            let errno = if lane == Lane::Jobs && self.rng.percent(50) { ENOSPC } else { EIO };
            self.machine.files.trouble(Trouble { step, errno });
        }
        let node = &mut self.process.nodes[usize::from(core)];
        let other = if lane == Lane::Write { Lane::Jobs } else { Lane::Write };
        let out_of_order = node.is_waiting(lane) && node.is_waiting(other);
        if !node.shard.log_mut().disk_mut().finish(lane) {
            return false;
        }
        node.woken = true;
        if fails {
            let failed = self.machine.files.steps() > step;
            self.met
                .add(if lane == Lane::Write { Met::WriteFails } else { Met::SyncFails }, u64::from(failed));
            self.history.note(format_args!("core {core}: a step of {lane:?} fails: {failed}"));
            self.machine.files.forgive();
        }
        self.met.add(Met::OutOfOrder, u64::from(out_of_order));
        self.history.number(u64::from(core) << 8 | u64::from(lane == Lane::Write) << 1 | u64::from(fails));
        if lane == Lane::Write {
            let (frame, doomed) = self.flights[usize::from(core)].take().expect("a write was in flight");
            if !fails && !doomed {
                self.model.durable(core);
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
        for node in &self.process.nodes {
            for slot in node.shard.slots().filter(|slot| !slot.is_blank()) {
                self.model.compare(slot);
            }
        }
    }
}
