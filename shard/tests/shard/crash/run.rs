//! One run from its seed to its end.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::answer::{OrderStatus, Reply};
use engine::command::{Command, Route};
use engine::ids::Time;
use shard::Token;
use shard::limits::{RESEND_MS, SWEEP_MS};
use wal::disk::Lane;

use super::knowledge::Knowledge;
use super::witness;
use super::workload::{self, ORDERS, Workload};
use crate::support::rng::Rng;
use crate::support::world::is_try_again;
use crate::support::{Setup, World, check};

const HOLD_TTL_MS: u64 = 1_500;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    OneCore,
    TwoCores,
    ChangingCores,
    Snapshots,
}

/// A command that was submitted in this life.
struct Asked {
    command: Command,
    /// How far its slot had come.
    from_seq: u64,
}

/// A command that was answered in this life.
pub(super) struct Answered {
    pub(super) command: Command,
    pub(super) from_seq: u64,
    pub(super) reply: Reply,
}

/// What happened, so that nobody believes in a run in which nothing did.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Seen {
    pub(super) replies: u64,
    pub(super) crashes: u64,
    pub(super) snapshots: u64,
    pub(super) recycled: u64,
    pub(super) resent: u64,
    pub(super) expired: u64,
    pub(super) paid: u64,
    pub(super) refunds: u64,
}

impl Seen {
    pub(super) fn add(&mut self, other: Seen) {
        self.replies += other.replies;
        self.crashes += other.crashes;
        self.snapshots += other.snapshots;
        self.recycled += other.recycled;
        self.resent += other.resent;
        self.expired += other.expired;
        self.paid += other.paid;
        self.refunds += other.refunds;
    }
}

pub(super) struct Run {
    kind: Kind,
    rng: Rng,
    world: World,
    workload: Workload,
    asked: BTreeMap<Token, Asked>,
    answered: Vec<Answered>,
    knowledge: Knowledge,
    steps_left: usize,
    seen: Seen,
}

impl Run {
    pub(super) fn new(kind: Kind, seed: u64) -> Run {
        let mut rng = Rng::new(seed + 1);
        let cores = match kind {
            Kind::OneCore => 1,
            Kind::TwoCores | Kind::Snapshots => 2,
            Kind::ChangingCores => 1 + rng.below(3) as u16,
        };
        let mut setup = Setup::new(cores);
        setup.policy.hold_ttl_ms = HOLD_TTL_MS;
        setup.catalogue = Arc::new(workload::catalogue());
        if kind == Kind::Snapshots {
            setup.options.snapshot_log_bytes = setup.options.segment_bytes;
        }
        let world = World::of(setup);
        let mut core = || rng.below(usize::from(cores)) as u16;
        let names = world.names([core(), core(), core()]);
        let workload = Workload::new(names, if kind == Kind::Snapshots { 12 } else { 0 });
        let steps_left = 150 + rng.below(250);
        Run {
            kind,
            rng,
            world,
            workload,
            asked: BTreeMap::new(),
            answered: Vec::new(),
            knowledge: Knowledge::default(),
            steps_left,
            seen: Seen::default(),
        }
    }

    pub(super) fn finish(mut self) -> Seen {
        self.begin();
        while self.steps_left > 0 {
            self.steps_left -= 1;
            self.step();
        }
        self.come_to_rest();
        // Once more, after everything has been read back.
        self.crash_and_recover();
        self.come_to_rest();
        check::at_rest(&self.world);
        self.knowledge.check_money(&self.world, &self.workload.names);
        self.knowledge.check_repeats(&mut self.world);
        self.seen
    }

    /// Most orders are there; and where snapshots are to be taken, one is nearly due.
    fn begin(&mut self) {
        for nth in (0..ORDERS).filter(|nth| nth % 4 != 3) {
            self.submit(self.workload.names.create(nth));
        }
        if self.kind == Kind::Snapshots {
            for _ in 0..8 {
                let large = self.workload.large();
                self.submit(large);
                self.world.settle();
            }
        }
        self.world.settle();
        self.take_replies();
    }

    fn step(&mut self) {
        let core = self.rng.below(usize::from(self.world.cores())) as u16;
        match self.rng.below(1_000) {
            0..280 => {
                let command = self.workload.next(&mut self.rng);
                self.submit(command);
            }
            280..300 => self.pay_a_reserved_order(),
            300..540 => self.turns(core),
            540..720 => {
                self.world.finish(core, Lane::Write);
            }
            720..780 => {
                self.world.finish(core, Lane::Jobs);
            }
            780..900 => self.deliver_one(),
            900..930 => self.issue_ticket(),
            930..990 => self.world.now = self.world.now.plus(self.rng.below(400) as u64),
            990..993 => self.skew(core),
            _ => self.crash_and_recover(),
        }
    }

    fn submit(&mut self, command: Command) {
        let from_seq = match command.route(&self.world.hash) {
            Route::Slot(slot) => self.world.slot(slot).seq(),
            Route::Every => 0,
        };
        let token = self.world.submit(command.clone());
        self.asked.insert(token, Asked { command, from_seq });
    }

    /// Left to chance this would be rare.
    fn pay_a_reserved_order(&mut self) {
        let n = &self.workload.names;
        let is_reserved = |nth: &usize| {
            let id = n.order(*nth);
            let order = self.world.slot(id.slot()).orders().get(id);
            order.is_some_and(|order| order.row.status == OrderStatus::Reserved)
        };
        let found = (0..ORDERS).find(is_reserved);
        if let Some(nth) = found {
            self.submit(self.workload.names.pay(nth, nth));
        }
    }

    fn turns(&mut self, core: u16) {
        // A snapshot needs many.
        for _ in 0..if self.kind == Kind::Snapshots { 6 } else { 1 } {
            self.world.turn(core);
        }
        self.take_replies();
    }

    fn take_replies(&mut self) {
        for (token, reply) in std::mem::take(&mut self.world.replies) {
            let Asked { command, from_seq } = self.asked.remove(&token).expect("asked in this life");
            if !is_try_again(&reply) {
                self.answered.push(Answered { command, from_seq, reply });
            }
        }
    }

    /// Any message, not the oldest; and perhaps it comes again.
    fn deliver_one(&mut self) {
        if self.world.mail.is_empty() {
            return;
        }
        let mail = self.world.mail.remove(self.rng.below(self.world.mail.len()));
        if self.rng.chance(20) {
            self.world.mail.push(mail.clone());
        }
        self.world.deliver(mail);
    }

    fn issue_ticket(&mut self) {
        if let Some((order, _)) = self.world.paid.pop() {
            self.submit(Command::IssueTicket { order });
        }
    }

    /// The clock of a core goes ahead of the others'.
    fn skew(&mut self, core: u16) {
        self.world.nodes[usize::from(core)].ahead_ms = self.rng.below(300) as u64;
    }

    fn count(&mut self) {
        self.seen.crashes += 1;
        self.seen.replies += self.answered.len() as u64;
        for node in &self.world.nodes {
            let (log, stats) = (node.shard.log().stats(), node.shard.stats());
            self.seen.snapshots += log.snapshots;
            self.seen.recycled += log.segments_recycled;
            self.seen.resent += stats.tells_resent;
            self.seen.expired += stats.tally.holds_expired;
            self.seen.paid += stats.tally.orders_paid;
            self.seen.refunds += stats.tally.refunds_owed;
        }
    }

    fn crash_and_recover(&mut self) {
        self.count();
        let keep = self.rng.pick(&[0, 0, 30, 70, 100]);
        // Time is kept by the log: no core has seen more of it than this.
        let latest = self.world.nodes.iter().map(|node| node.shard.now()).max().unwrap_or(Time(0));
        let rng = &mut self.rng;
        self.world.stop(|| rng.chance(keep));
        self.world.paid.clear();
        self.asked.clear();
        if self.rng.chance(50) {
            self.world.now = self.world.now.max(latest).plus(self.rng.below(3_000) as u64);
        }
        if self.kind == Kind::ChangingCores && self.rng.chance(50) {
            self.world.setup.cores = 1 + self.rng.below(3) as u16;
        }
        while self.rng.chance(30) {
            // Killed while it starts.
            let stop = self.world.files.steps() + self.rng.below(60) as u64;
            self.world.files.stop_at(stop);
            let _ = self.world.start();
            let rng = &mut self.rng;
            self.world.stop(|| rng.chance(keep));
        }
        self.world.start().expect("what a crash leaves can be recovered");
        check::always(&self.world);
        for answered in self.answered.drain(..) {
            witness::check(&self.world, &answered);
            self.knowledge.learn(answered.command, answered.reply);
        }
        self.knowledge.check(&self.world);
    }

    /// Nothing more is asked; deadlines pass, and tickets are issued.
    fn come_to_rest(&mut self) {
        for _ in 0..5 {
            self.world.pass(HOLD_TTL_MS.max(SWEEP_MS).max(RESEND_MS));
            self.take_replies();
            while !self.world.paid.is_empty() {
                self.issue_ticket();
            }
            self.world.settle();
            self.take_replies();
        }
        assert!(self.asked.is_empty(), "commands are never answered");
        check::at_rest(&self.world);
    }
}
