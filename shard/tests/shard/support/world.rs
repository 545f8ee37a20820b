//! A world of 1 to n shards over files in memory. The test chooses when a disk completes what, when a message arrives,
//! how often and in which order, when time passes for whom, and what a crash keeps.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::answer::Reply;
use engine::command::{AdHoc, Command, Request, Route};
use engine::decide::Policy;
use engine::ids::{SlotId, Time};
use engine::record::Record;
use engine::slots::{SlotHash, core_of, place_of};
use engine::state::Slot;
use engine::text::Text;
use shard::limits::IMAGE_BYTES_PER_TURN;
use shard::{CallId, Called, Caller, Config, Envelope, Message, Output, Recovery, Routed, Shard};
use wal::disk::{Lane, MemoryDisk};
use wal::files::MemoryFiles;
use wal::{DataDir, DiskError, Lsn, OpenError, Options, Recover, limits};

use super::Names;
use super::catalogue::Table;

/// When the worlds begin.
pub(crate) const START: Time = Time(1_800_000_000_000);
/// How long a hold lasts, unless the test says otherwise.
pub(crate) const HOLD_TTL_MS: u64 = 10_000;

/// What a world is made of.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) cores: u16,
    pub(crate) options: Options,
    pub(crate) policy: Policy,
    pub(crate) catalogue: Arc<Table>,
    /// Of each core.
    pub(crate) state_bytes_max: u64,
    pub(crate) image_bytes_per_turn: usize,
}

impl Setup {
    pub(crate) fn new(cores: u16) -> Setup {
        let options = Options {
            cores,
            segment_bytes: limits::SEGMENT_BYTES_MIN,
            spare_segments: 2,
            reserve_bytes: Some(limits::EXHAUSTED_BYTES + 4096),
            snapshot_log_bytes: 1 << 30,
            snapshot_log_bytes_max: 1 << 30,
            entropy: Some(*b"the id of a test, and its secret, a life"),
            ..Options::default()
        };
        let policy = Policy { hold_ttl_ms: HOLD_TTL_MS, ..Policy::default() };
        Setup {
            cores,
            options,
            policy,
            catalogue: Arc::default(),
            state_bytes_max: u64::MAX,
            image_bytes_per_turn: IMAGE_BYTES_PER_TURN,
        }
    }
}

/// A message on its way to another core.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Mail {
    pub(crate) core: u16,
    pub(crate) envelope: Envelope,
}

impl Mail {
    pub(crate) fn is_ask(&self) -> bool {
        matches!(self.envelope.message, Message::Ask { .. })
    }

    /// The same once more, not a second copy of it.
    pub(crate) fn asked_again(mut self) -> Mail {
        let Message::Ask { number, .. } = &mut self.envelope.message else { panic!("no ask: {self:?}") };
        *number += 1;
        self
    }

    pub(crate) fn is_answer(&self) -> bool {
        matches!(self.envelope.message, Message::Answer { .. })
    }

    pub(crate) fn is_tell(&self) -> bool {
        matches!(self.envelope.message, Message::Tell(_))
    }

    pub(crate) fn is_ack(&self) -> bool {
        matches!(self.envelope.message, Message::Ack { .. })
    }
}

pub(crate) struct Node {
    pub(crate) shard: Shard<MemoryDisk>,
    /// Commands that were put in and not refused at once.
    accepted: u64,
    /// How far its clock is ahead of the world's.
    pub(crate) ahead_ms: u64,
    /// Something was put in, or the disk has completed something: it wants a turn.
    woken: bool,
}

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) files: MemoryFiles,
    pub(crate) hash: SlotHash,
    pub(crate) nodes: Vec<Node>,
    /// Engine time.
    pub(crate) now: Time,
    /// How far it is ahead of the wall clock.
    pub(crate) lead_ms: u64,
    /// On its way, oldest first.
    pub(crate) mail: Vec<Mail>,
    pub(crate) replies: BTreeMap<Caller, Reply>,
    /// All records that recovery has read since the world began, by slot; without those that only a snapshot held.
    pub(crate) history: BTreeMap<SlotId, Vec<Record>>,
    /// Records that the last start applied over the snapshots.
    pub(crate) replayed: u64,
    pub(crate) turns: u64,
    /// The read model has everything as soon as it is durable; otherwise nothing is known of it.
    pub(crate) has_read_model: bool,
    next_call: u32,
}

impl World {
    pub(crate) fn new(cores: u16) -> World {
        World::of(Setup::new(cores))
    }

    pub(crate) fn of(setup: Setup) -> World {
        World::on(MemoryFiles::new(), setup, START)
    }

    /// On files that are there.
    pub(crate) fn on(files: MemoryFiles, setup: Setup, now: Time) -> World {
        let mut world = World::stopped(files, setup);
        world.now = now;
        world.start().expect("a world starts");
        world
    }

    /// Not started yet.
    pub(crate) fn stopped(files: MemoryFiles, setup: Setup) -> World {
        World {
            setup,
            files,
            hash: SlotHash::new([0; 16]),
            nodes: Vec::new(),
            now: START,
            lead_ms: 0,
            mail: Vec::new(),
            replies: BTreeMap::new(),
            history: BTreeMap::new(),
            replayed: 0,
            turns: 0,
            has_read_model: false,
            next_call: 0,
        }
    }

    pub(crate) fn cores(&self) -> u16 {
        self.setup.cores
    }

    pub(crate) fn names(&self, on: [u16; 3]) -> Names {
        Names::on_cores(&self.hash, self.cores(), on, AdHoc { capacity: 4, segments: 2 })
    }

    pub(crate) fn shard(&self, core: u16) -> &Shard<MemoryDisk> {
        &self.nodes[usize::from(core)].shard
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.nodes.iter().flat_map(|node| node.shard.slots())
    }

    pub(crate) fn slot(&self, id: SlotId) -> &Slot {
        let cores = self.cores();
        let slot = self.shard(core_of(id, cores)).slots().nth(place_of(id, cores));
        slot.filter(|slot| slot.id() == id).expect("a core's slots are in order")
    }

    /// Every slot that something was recorded in, as a snapshot keeps it.
    pub(crate) fn images(&self) -> BTreeMap<SlotId, Vec<u8>> {
        let image = |slot: &Slot| {
            let mut bytes = Vec::new();
            slot.encode(&mut bytes);
            (slot.id(), bytes)
        };
        self.slots().filter(|slot| !slot.is_blank()).map(image).collect()
    }

    // What clients do.

    /// A command to the core it belongs to; a refusal at once is a reply as well.
    pub(crate) fn submit(&mut self, command: Command) -> Caller {
        let core = match command.route(&self.hash) {
            Route::Slot(slot) => core_of(slot, self.cores()),
            Route::Every => 0,
        };
        self.submit_to(core, command)
    }

    pub(crate) fn submit_to(&mut self, core: u16, command: Command) -> Caller {
        let Called { caller, routed } = self.called(core, command);
        let node = &mut self.nodes[usize::from(core)];
        node.woken = true;
        match node.shard.submit(caller, routed) {
            Ok(()) => node.accepted += 1,
            Err(rejection) => _ = self.replies.insert(caller, Err(rejection)),
        }
        caller
    }

    /// Commands for one core as one parcel; a refusal at once is a reply to each.
    pub(crate) fn submit_batch(
        &mut self,
        core: u16,
        commands: impl IntoIterator<Item = Command>,
    ) -> Vec<Caller> {
        let batch: Vec<Called> = commands.into_iter().map(|command| self.called(core, command)).collect();
        let callers: Vec<Caller> = batch.iter().map(|called| called.caller).collect();
        let node = &mut self.nodes[usize::from(core)];
        node.woken = true;
        match node.shard.submit_batch(batch) {
            Ok(()) => node.accepted += callers.len() as u64,
            Err(refused) => {
                let refusals =
                    refused.batch.into_iter().map(|called| (called.caller, Err(refused.rejection)));
                self.replies.extend(refusals);
            }
        }
        callers
    }

    fn called(&mut self, core: u16, command: Command) -> Called {
        self.next_call += 1;
        let caller = Caller { core, call: CallId { place: self.next_call, generation: 1 } };
        let routed = Routed::new(Request { command, trace: Text::from("trace") }, &self.hash);
        Called { caller, routed }
    }

    /// Commands that wait for their turn.
    pub(crate) fn commands_waiting(&self, core: u16) -> usize {
        let node = &self.nodes[usize::from(core)];
        (node.accepted - node.shard.stats().commands) as usize
    }

    /// The command, until nothing is under way any more.
    #[track_caller]
    pub(crate) fn run(&mut self, command: Command) -> Reply {
        let caller = self.submit(command);
        self.settle();
        self.reply(caller).expect("every command is replied to")
    }

    #[track_caller]
    pub(crate) fn run_all(&mut self, commands: impl IntoIterator<Item = Command>) {
        let callers: Vec<Caller> = commands.into_iter().map(|command| self.submit(command)).collect();
        self.settle();
        for caller in callers {
            self.reply(caller).expect("every command is replied to").expect("preparations succeed");
        }
    }

    pub(crate) fn reply(&mut self, caller: Caller) -> Option<Reply> {
        self.replies.remove(&caller)
    }

    // What the machine does.

    /// One turn of one core, and what leaves it then.
    pub(crate) fn try_turn(&mut self, core: u16) -> Result<(), DiskError> {
        let lead_ms = self.lead_ms;
        self.try_step(core, |shard, now| {
            shard.process(now, Time(now.0 - lead_ms)).and_then(|()| shard.commit())
        })
    }

    /// A turn that starts no write.
    #[track_caller]
    pub(crate) fn process(&mut self, core: u16) {
        let lead_ms = self.lead_ms;
        self.try_step(core, |shard, now| shard.process(now, Time(now.0 - lead_ms)))
            .expect("the disk is well");
    }

    fn try_step(
        &mut self,
        core: u16,
        step: impl FnOnce(&mut Shard<MemoryDisk>, Time) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let now = self.time_of(core);
        let node = &mut self.nodes[usize::from(core)];
        node.woken = false;
        self.turns += 1;
        if self.has_read_model {
            let durable = node.shard.log().durable();
            node.shard.read_model_has(Some(durable));
        }
        let result = step(&mut node.shard, now);
        while let Some(output) = node.shard.pop_output() {
            match output {
                Output::Reply { caller, reply } => {
                    let before = self.replies.insert(caller, reply);
                    assert_eq!(before, None, "a second reply to {caller:?}");
                }
                Output::Replies { core: to, replies } => {
                    for (caller, reply) in replies {
                        assert_eq!(caller.core, to, "a batch has one caller's core");
                        let before = self.replies.insert(caller, reply);
                        assert_eq!(before, None, "a second reply to {caller:?}");
                    }
                }
                Output::Send { core: to, envelope } => {
                    assert_ne!(to, core, "a message to itself leaves");
                    self.mail.push(Mail { core: to, envelope });
                }
            }
        }
        result
    }

    #[track_caller]
    pub(crate) fn turn(&mut self, core: u16) {
        self.try_turn(core).expect("the disk is well");
    }

    pub(crate) fn time_of(&self, core: u16) -> Time {
        self.now.plus(self.nodes[usize::from(core)].ahead_ms)
    }

    pub(crate) fn is_waiting(&self, core: u16, lane: Lane) -> bool {
        self.shard(core).log().disk().is_waiting(lane)
    }

    /// Completes the oldest operation of a lane, if there is one. The core sees it at its next turn.
    pub(crate) fn finish(&mut self, core: u16, lane: Lane) -> bool {
        let node = &mut self.nodes[usize::from(core)];
        let any = node.shard.log_mut().disk_mut().finish(lane);
        node.woken |= any;
        any
    }

    /// Completes the write under way and gives the core its turn.
    #[track_caller]
    pub(crate) fn finish_write(&mut self, core: u16) {
        assert!(self.finish(core, Lane::Write), "a write is under way on core {core}");
        self.turn(core);
    }

    /// Gives the core turns and completes all that it writes, until it writes nothing more.
    #[track_caller]
    pub(crate) fn drain(&mut self, core: u16) {
        for _ in 0..10_000 {
            self.turn(core);
            let (write, job) = (self.finish(core, Lane::Write), self.finish(core, Lane::Jobs));
            if !write && !job && !self.wants_turn(core) {
                return;
            }
        }
        panic!("core {core} never comes to rest");
    }

    pub(crate) fn deliver(&mut self, mail: Mail) {
        let node = &mut self.nodes[usize::from(mail.core)];
        node.woken = true;
        node.shard.deliver(mail.envelope);
    }

    /// Takes the first message out that is so, if there is one.
    pub(crate) fn take_mail(&mut self, is_so: impl Fn(&Mail) -> bool) -> Option<Mail> {
        let index = self.mail.iter().position(is_so)?;
        Some(self.mail.remove(index))
    }

    pub(crate) fn deliver_all(&mut self) -> bool {
        let mail = std::mem::take(&mut self.mail);
        let any = !mail.is_empty();
        mail.into_iter().for_each(|mail| self.deliver(mail));
        any
    }

    /// Something was put in or completed since the last turn, or the shard asked for one at this time.
    pub(crate) fn wants_turn(&self, core: u16) -> bool {
        let node = &self.nodes[usize::from(core)];
        node.woken || node.shard.next_wake().is_some_and(|at| at <= self.time_of(core))
    }

    /// Disks complete, messages arrive, and a core has its turn when something was put in or when it asked for one,
    /// and at no other time, until nothing is under way. No time passes.
    #[track_caller]
    pub(crate) fn settle(&mut self) {
        for _ in 0..20_000 {
            let mut any = self.deliver_all();
            for core in 0..self.cores() {
                if self.wants_turn(core) {
                    self.turn(core);
                    any = true;
                }
                any |= self.finish(core, Lane::Write);
                any |= self.finish(core, Lane::Jobs);
            }
            if !any {
                return;
            }
        }
        panic!("the world never comes to rest");
    }

    /// When a shard wants to be woken next.
    pub(crate) fn next_wake(&self) -> Option<Time> {
        let wake = |node: &Node| node.shard.next_wake().map(|at| Time(at.0.saturating_sub(node.ahead_ms)));
        self.nodes.iter().filter_map(wake).min()
    }

    /// Lets time pass, with a turn whenever a shard asked for one.
    #[track_caller]
    pub(crate) fn pass(&mut self, ms: u64) {
        let end = self.now.plus(ms);
        self.settle();
        while let Some(at) = self.next_wake().filter(|at| *at <= end) {
            assert!(at > self.now, "at rest, and yet a turn is due");
            self.now = at;
            self.settle();
        }
        self.now = end;
        self.settle();
    }

    // What crashes do.

    /// The machine stops. Of each unsynced sector and of each unsynced name `keep` says whether it survives.
    pub(crate) fn crash(&mut self, keep: impl FnMut() -> bool) {
        self.crash_to(self.cores(), keep);
    }

    /// The same, and another number of cores comes up.
    pub(crate) fn crash_to(&mut self, cores: u16, keep: impl FnMut() -> bool) {
        self.stop(keep);
        self.setup.cores = cores;
        self.start().expect("what a crash leaves can be recovered");
    }

    /// The machine stops, and nothing comes up yet.
    pub(crate) fn stop(&mut self, keep: impl FnMut() -> bool) {
        self.nodes.clear();
        self.mail.clear();
        self.files = self.files.crash(keep);
    }

    /// A world of its own, in which the machine stopped now and only what is durable survived.
    pub(crate) fn after_power_cut(&self) -> World {
        let files = self.files.fork().crash(|| false);
        World::on(files, self.setup.clone(), self.now)
    }

    /// Recovers and starts every core.
    pub(crate) fn start(&mut self) -> Result<(), OpenError> {
        let cores = self.setup.cores;
        let mut dir = DataDir::open_on(self.files.clone(), &self.setup.options)?;
        self.hash = SlotHash::new(dir.secret());
        let history = &mut self.history;
        let read_all = |dir: &DataDir<MemoryFiles>| {
            let mut read = |core| {
                let mut recovery = Recovery::new(core, dir.cores());
                let at = dir.recover(core, &mut Historian { recovery: &mut recovery, history })?;
                Ok((recovery, at))
            };
            (0..dir.cores()).map(&mut read).collect()
        };
        let recovered = shard::recover(&mut dir, cores, read_all, |_| Ok::<_, OpenError>(()))?;
        self.nodes.clear();
        self.replayed = recovered.iter().map(|(recovery, _)| recovery.records()).sum();
        for (core, (recovery, at)) in (0..).zip(recovered) {
            let log = dir.log(core, at, MemoryDisk::new(dir.core_dir(core)))?;
            let process = shard::Setup {
                cores,
                state_bytes_max: self.setup.state_bytes_max,
                policy: self.setup.policy.clone(),
                catalogue: self.setup.catalogue.clone(),
                image_bytes_per_turn: self.setup.image_bytes_per_turn,
            };
            let config = Config { core, hash: self.hash.clone(), process };
            let shard = Shard::new(config, recovery, log, self.now);
            self.nodes.push(Node { shard, accepted: 0, ahead_ms: 0, woken: true });
        }
        Ok(())
    }
}

/// Recovers, and notes down what it reads.
struct Historian<'a> {
    recovery: &'a mut Recovery,
    history: &'a mut BTreeMap<SlotId, Vec<Record>>,
}

impl Recover for Historian<'_> {
    fn piece(&mut self, slot: u16, lsn: Lsn, image: &[u8]) -> Result<(), String> {
        self.recovery.piece(slot, lsn, image)
    }

    fn record(&mut self, lsn: Lsn, bytes: &[u8]) -> Result<(), String> {
        let record = Record::decode(bytes).map_err(|error| error.to_string())?;
        let history = self.history.entry(record.slot).or_default();
        match history.get(record.seq as usize - 1) {
            Some(before) => assert_eq!(before, &record, "recovery reads the same record again"),
            None if history.len() as u64 + 1 == record.seq => history.push(record),
            // Only a snapshot held the ones between.
            None => {}
        }
        self.recovery.record(lsn, bytes)
    }
}
