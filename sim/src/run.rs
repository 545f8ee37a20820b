//! One seed, one run: the scheduler picks what happens next, one small step after the other, and at the end lets the world
//! come to rest.

use engine::answer::{Rejection, Reply};
use engine::command::{Command, CreateOrder, Route};
use engine::ids::{Cents, IdempotencyKey};
use shard::{Caller, Departure};
use wal::Space;
use wal::disk::Lane;

use crate::checks;
use crate::checks::model::leave::LOOKED_UP_MS;
use crate::checks::model::state::TEN_MINUTES_MS;
use crate::counters::{Counters, Covered};
use crate::faults;
use crate::plan::NAP_MS;
use crate::sinks;
use crate::workload::{Clients, left};
use crate::world::{End, TICK_MS, World};

/// Steps of one run; far more than any needs.
const STEPS_MAX: u64 = 200_000;
/// From this step on nothing fails any more: a disk that fails at nearly every write would let no run come to its end.
const CALM_FROM_STEP: u64 = 50_000;
/// Steps between two looks at everything.
const LOOK_EVERY: u64 = 32;
/// At most so many things happen between the word to stop and the settling.
const LAST_STEPS_MAX: usize = 12;
/// Sales that are asked for when everything has come to rest.
const PROBES: usize = 6;
/// Rounds in which a world without faults comes to rest.
const ROUNDS_MAX: usize = 50_000;
/// Seconds after which sinks that go on leave room for sales: more than a snapshot that was given up waits.
const CATCH_UP_ROUNDS_MAX: usize = 60;
/// A longer retention is not waited for.
const LEAVING_MS_MAX: u64 = 60_000;
/// More than what has ended is looked for after.
const LEAVING_PAUSE_MS: u64 = 1_100;
/// Nothing more leaves after so many pauses in which nothing did.
const QUIET_ROUNDS: usize = 3;
const LEAVING_ROUNDS_MAX: usize = 500;
/// Orders that have left then, and are paid once more.
const PAID_AFTERWARDS: usize = 3;

/// The outcome of a run.
#[derive(Debug)]
pub struct Summary {
    pub hash: u64,
    pub counters: Counters,
}

/// Options of a run beside its seed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choices {
    /// Say everything that happens.
    pub watched: bool,
}

/// Runs a seed.
///
/// # Panics
/// When something is wrong with what is simulated.
#[must_use]
pub fn run(seed: u64, choices: Choices) -> Summary {
    let mut world = World::new(seed, choices.watched);
    let clients = Clients::new(&mut world.rng);
    Run { promises: checks::Promises::default(), world, clients }.play()
}

struct Run {
    world: World,
    clients: Clients,
    promises: checks::Promises,
}

impl Run {
    fn play(mut self) -> Summary {
        while self.clients.made < self.world.plan.operations {
            assert!(self.world.step < STEPS_MAX, "a run never ends");
            self.step();
        }
        self.come_to_rest();
        self.finish()
    }

    fn step(&mut self) {
        self.world.step += 1;
        if self.world.step == CALM_FROM_STEP {
            self.world.plan.calm();
            self.world.coverage.count(Covered::Calmed);
            self.lift_faults();
        }
        let plan = &self.world.plan;
        let (crash, fault) = (plan.crash_permille, plan.fault_permille);
        let chance = self.world.rng.below(1_000) as u32;
        if chance < crash {
            self.crash();
        } else if chance < crash + fault {
            faults::strike(&mut self.world);
            self.after_fault();
        } else {
            self.ordinary();
        }
        if let Some(end) = sinks::go_on(&mut self.world) {
            self.restart(end);
        }
        if self.world.step.is_multiple_of(LOOK_EVERY) {
            checks::always(&self.world);
            self.world.compare();
        }
    }

    fn crash(&mut self) {
        let end = *self.world.rng.pick(&[End::PowerCut, End::PowerCut, End::Killed, End::Stopped]);
        if end == End::Stopped && !self.stop() {
            return;
        }
        if end == End::PowerCut && self.world.rng.percent(60) {
            // In the middle of writes: every core gives its disk what clients have just asked for.
            let process_number = self.world.process_number;
            for core in 0..self.world.cores() {
                self.finish_if_it_moves(core, Lane::Write);
            }
            for _ in 0..4 {
                self.clients.act(&mut self.world);
            }
            for core in (0..self.world.cores()).chain(0..self.world.cores()) {
                self.turn(core, usize::MAX);
                if process_number != self.world.process_number {
                    return;
                }
            }
        }
        self.restart(end);
    }

    /// The process is told to stop, and does: without faults. Whoever waits is answered before it has left. `false` where a
    /// write that had failed before ends it at once.
    fn stop(&mut self) -> bool {
        self.lift_faults();
        let process_number = self.world.process_number;
        self.world.process.shutdown.request();
        // Edges are open until they have answered: clients go on asking, and cores go on with the work.
        for _ in 0..self.world.rng.below(LAST_STEPS_MAX) {
            if self.world.rng.percent(50) {
                self.clients.act(&mut self.world);
            } else {
                let core = self.world.rng.below(usize::from(self.world.cores())) as u16;
                self.turn(core, usize::MAX);
            }
            if process_number != self.world.process_number {
                return false;
            }
        }
        let is_busy = self.waiting() > 0;
        self.settle();
        if process_number != self.world.process_number {
            return false;
        }
        for departure in self.world.process.departures() {
            assert_eq!(
                departure,
                Departure::Left { quiesced: true },
                "told to stop, and a core has not come to rest"
            );
        }
        assert!(self.world.process.rings.borrow().is_empty(), "a parcel lies between cores that have left");
        assert_eq!(self.waiting(), 0, "the process leaves, and somebody waits for an answer");
        self.world.coverage.add(Covered::StoppedBusy, u64::from(is_busy));
        true
    }

    /// Clients that wait for an answer.
    fn waiting(&self) -> usize {
        self.clients.calls.values().filter(|call| !call.abandoned).count()
    }

    fn restart(&mut self, end: End) {
        self.world.restart(end, false);
        checks::always(&self.world);
        self.promises.check(&self.world);
        self.clients.hung_up(&mut self.world);
    }

    fn after_fault(&mut self) {
        let late = std::mem::take(&mut self.world.late);
        self.deliver(late);
        if self.world.fatal.take().is_some() {
            self.die();
        }
        // Nobody waits long for a core that does not listen.
        if self.rings_are_stopped() && self.world.rng.percent(30) {
            self.restart(End::Killed);
        }
    }

    fn rings_are_stopped(&self) -> bool {
        self.world.process.rings.borrow().stopped.contains(&true)
    }

    /// The disk has failed: what its pages hold by now, nobody knows.
    fn die(&mut self) {
        let end = if self.world.rng.percent(50) { End::PowerCut } else { End::Killed };
        self.restart(end);
    }

    fn ordinary(&mut self) {
        let core = self.world.rng.below(usize::from(self.world.cores())) as u16;
        match self.world.rng.below(100) {
            0..14 => {
                if self.clients.calls.len() < self.world.plan.under_way_max {
                    self.clients.act(&mut self.world);
                }
            }
            14..52 => {
                let most = self.draw_most();
                self.turn(core, most);
            }
            52..82 => self.finish_if_it_moves(core, Lane::Write),
            82..92 => self.finish_if_it_moves(core, Lane::Jobs),
            92..94 if self.rings_are_stopped() => self.restart(End::Killed),
            _ => {
                let nap = (self.world.rng.below(1_000) as u32) < self.world.plan.nap_permille;
                let us = if nap {
                    1_000 * NAP_MS
                } else if self.world.rng.percent(30) {
                    self.world.rng.between(0, 2_000)
                } else {
                    1_000 * self.world.rng.between(0, self.world.plan.step_ms)
                };
                self.world.machine.pass_us(us);
                self.world.history.number(us);
            }
        }
    }

    fn finish_if_it_moves(&mut self, core: u16, lane: Lane) {
        let slow = self.world.plan.slow_disk_percent;
        let stalls = self.world.process.cores[usize::from(core)].stalled_until > self.world.step;
        if !stalls && !self.world.rng.percent(slow) {
            self.world.finish(core, lane);
        }
    }

    /// Parcels that a core receives in one turn; some arrive while it has its turn, and are left for the next.
    fn draw_most(&mut self) -> usize {
        *self.world.rng.pick(&[usize::MAX, usize::MAX, 1, 3])
    }

    fn turn(&mut self, core: u16, most: usize) {
        match self.world.turn(core, most) {
            Ok(replies) => self.deliver(replies),
            Err(error) => {
                self.world.history.note(format_args!("core {core}: {error}"));
                self.die();
            }
        }
    }

    fn deliver(&mut self, replies: Vec<(Caller, Reply)>) {
        for (caller, reply) in replies {
            if let Some(call) = self.clients.calls.get(&caller).filter(|call| !call.abandoned) {
                let refused = reply == Err(Rejection::Stopping);
                assert!(!refused, "{caller:?} still waits, and is refused because the process stops");
                self.promises.learn(&call.command, &reply);
            }
            self.clients.replied(&mut self.world, caller, reply);
        }
    }

    fn lift_faults(&mut self) {
        self.world.machine.files.forgive();
        self.world.fails_next = None;
        self.world.machine.files.set_capacity(None);
        self.world.process.rings.borrow_mut().release_all();
        for core in &mut self.world.process.cores {
            core.stalled_until = 0;
        }
    }

    /// By the rules of the server's loop and without faults, until nothing is under way. Hardly any time passes.
    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut any = false;
            for core in 0..self.world.cores() {
                let now = self.world.time_of(core);
                self.world.process.close_edge(core, self.clients.wait_at(core));
                if self.world.process.wants_turn(core, now) {
                    let process_number = self.world.process_number;
                    let most = self.draw_most();
                    self.turn(core, most);
                    if process_number != self.world.process_number {
                        // A write that had failed before the faults were lifted.
                        self.lift_faults();
                        return self.settle();
                    }
                    any = true;
                }
                any |= self.world.finish(core, Lane::Write);
                any |= self.world.finish(core, Lane::Jobs);
            }
            if !any && self.world.process.wants_tick() {
                self.world.machine.pass(TICK_MS);
                any = true;
            }
            if !any {
                let process = &self.world.process;
                let rings = process.rings.borrow();
                // Only a second copy can lie before a core that has left: it is in no balance.
                let forgotten =
                    |core: &u16| !process.cores[usize::from(*core)].has_left() && rings.has_arrived(*core);
                let forgotten = (0..self.world.cores()).find(forgotten);
                assert_eq!(forgotten, None, "a parcel lies before a core, and nothing wakes it");
                return;
            }
        }
        let why = |core: u16| {
            let shard = self.world.process.cores[usize::from(core)].shard();
            (core, self.world.process.next_wake(core), self.world.time_of(core), shard.now())
        };
        let cores: Vec<_> = (0..self.world.cores()).map(why).collect();
        panic!("without faults, and yet it never comes to rest: {cores:?}");
    }

    /// No more faults and no more requests: every deadline passes, and everything comes to its end.
    fn come_to_rest(&mut self) {
        self.world.history.note(format_args!("coming to rest"));
        self.world.process.rings.borrow_mut().keeps_copies = true;
        self.lift_faults();
        self.world.process.rings.borrow_mut().doubled_percent = 0;
        self.settle_lookups();
        let steady_ms = |world: &World| world.machine.steady_us / 1_000;
        let end = steady_ms(&self.world) + 2 * self.world.plan.policy.hold_ttl_ms + 10_000;
        while steady_ms(&self.world) < end {
            let wait = |core| {
                let at = self.world.process.next_wake(core)?;
                Some(at.0.saturating_sub(self.world.time_of(core).0))
            };
            let waits = (0..self.world.cores()).filter_map(wait).min();
            let left = end - steady_ms(&self.world);
            // Engine time may go a little slower than the clock.
            let wait = waits.map_or(left, |wait| wait.clamp(1, left));
            self.world.machine.pass(wait);
            self.settle();
        }
        assert!(self.clients.calls.is_empty(), "requests are never answered: {:?}", self.clients.calls);
        assert!(self.world.questions.is_empty(), "questions are never answered");
        self.world.compare();
        checks::at_rest(&self.world);
        self.promises.check(&self.world);
        self.catch_up();
        self.leave();
        // By now they are of what has left.
        self.world.process.rings.borrow_mut().hurry_copies();
        self.settle();
        self.world.compare();
        checks::at_rest(&self.world);
        self.promises.check(&self.world);
        if self.world.plan.state_bytes_max.is_some() {
            self.probe();
        }
    }

    /// Sinks get everything, and then sales are refused for them no more.
    fn catch_up(&mut self) {
        if self.world.plan.sinks.names.is_empty() {
            return;
        }
        for _ in 0..CATCH_UP_ROUNDS_MAX {
            let had_all = sinks::catch_up(&mut self.world);
            self.world.machine.pass(1_000);
            self.settle();
            let cores = &self.world.process.cores;
            if had_all && cores.iter().all(|core| core.shard().log().space() == Space::Plenty) {
                return;
            }
        }
        let rooms = self
            .world
            .process
            .cores
            .iter()
            .map(|core| (core.shard().log().space(), core.shard().log().needed_bytes()));
        panic!("sinks have everything, and there is no room for sales: {:?}", rooms.collect::<Vec<_>>());
    }

    /// The read model has everything: what has been kept for its time leaves.
    fn leave(&mut self) {
        let policy = &self.world.plan.policy;
        if !self.world.sinks.has_read_model() || policy.order_retention_ms > LEAVING_MS_MAX {
            return;
        }
        let most = policy.hold_ttl_ms + policy.order_retention_ms.max(LOOKED_UP_MS);
        self.world.machine.pass(most);
        let mut quiet = 0;
        for _ in 0..LEAVING_ROUNDS_MAX {
            if quiet == QUIET_ROUNDS {
                break;
            }
            let before = self.world.model.written_records();
            sinks::catch_up(&mut self.world);
            self.settle();
            self.world.machine.pass(LEAVING_PAUSE_MS);
            self.settle();
            quiet = if before == self.world.model.written_records() { quiet + 1 } else { 0 };
        }
        checks::has_left(&self.world);
        for _ in 0..PAID_AFTERWARDS {
            for command in left::afterwards(&mut self.world) {
                self.clients.ask(&mut self.world, command);
            }
            // What told of their money comes once more, beside the payments.
            self.world.process.rings.borrow_mut().hurry_copies();
            self.settle_lookups();
        }
    }

    fn settle_lookups(&mut self) {
        self.settle();
        while self.clients.looks_up() {
            self.clients.look_up(&mut self.world);
            self.settle();
        }
    }

    /// A sale is refused for memory only when nothing is left that may go for it.
    fn probe(&mut self) {
        self.world.machine.pass(NAP_MS);
        self.settle();
        for number in 0..PROBES {
            let key = IdempotencyKey::parse(&format!("probe-{number}")).expect("a key");
            let entropy = self.world.rng.wide();
            let command = Command::CreateOrder(CreateOrder { key, amount: Cents(1), entropy });
            let Route::Slot(slot) = command.route(&self.world.process.hash) else {
                unreachable!("of one slot")
            };
            while self.is_refused(&command) {
                // What was given up for it leaves as soon as the read model has that.
                let before = self.world.model.written_records();
                sinks::catch_up(&mut self.world);
                self.world.machine.pass(LEAVING_PAUSE_MS);
                self.settle();
                if before == self.world.model.written_records() {
                    let has_read_model = self.world.sinks.has_read_model();
                    let left = self.world.model.reclaimable(slot, self.world.now(), has_read_model);
                    assert_eq!(left, None, "a sale is refused for want of memory");
                    break;
                }
            }
        }
    }

    fn is_refused(&mut self, command: &Command) -> bool {
        self.clients.ask(&mut self.world, command.clone());
        self.settle();
        let told = self.clients.history.last().expect("asked a moment ago");
        told.reply == Some(Err(Rejection::LimitReached))
    }

    /// Once more from the disk, and everything that clients have seen is held against itself.
    fn finish(mut self) -> Summary {
        self.world.restart(End::PowerCut, true);
        checks::always(&self.world);
        self.promises.check(&self.world);
        sinks::audit(&mut self.world);
        sinks::catch_up(&mut self.world);
        sinks::old_epochs_are_gone(&self.world);
        let World { plan, model, coverage, .. } = &mut self.world;
        let has_read_model = !plan.sinks.names.is_empty();
        let early_ms = TEN_MINUTES_MS.min(plan.policy.abandon_ms);
        let leaving = checks::linear::Leaving {
            early_ms: plan.state_bytes_max.filter(|_| has_read_model).map(|_| early_ms),
            retention_ms: has_read_model.then_some(plan.policy.order_retention_ms),
        };
        checks::linear::check(&self.clients.history, &model.memory, leaving, coverage);
        self.world.count_process();
        Summary { hash: self.world.history.hash(), counters: self.world.coverage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Faults;

    /// One client, a slow disk, and hardly a write that does not fail: nothing is ever answered until the faults end.
    #[test]
    fn a_disk_that_always_fails_keeps_no_run_from_its_end() {
        let mut world = World::new(7, false);
        world.plan.faults = Faults { failing_writes: true, ..Faults::all(false) };
        (world.plan.crash_permille, world.plan.fault_permille) = (0, 900);
        (world.plan.slow_disk_percent, world.plan.under_way_max) = (90, 1);
        let clients = Clients::new(&mut world.rng);
        let summary = Run { promises: checks::Promises::default(), world, clients }.play();
        assert_eq!(summary.counters.get(Covered::Calmed), 1);
    }
}
