//! Sinks: they follow the logs of each process at moments of their own, some always, some long behind, some not at all for a while; the
//! keeper lets the log go behind them. Everything that they are given is held against the logs as they were written.

mod copy;
mod keeper;
mod place;
pub(crate) mod plan;
mod read_model;
mod sink;

use wal::{Lsn, Space};

use crate::checks::logs::Logs;
use crate::counters::Covered;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::world::disk::EIO;
use crate::world::process::Process;
use crate::world::start::Found;
use crate::world::{End, World};

use place::Place;
use plan::{READ_MODEL, SinksPlan};
use sink::{Sink, Source, Standing};

/// Frames that a sink takes at one look.
const FRAMES_MAX: u64 = 20;
/// Of a hundred starts after a sink was detached so many register it again.
const AGAIN_PERCENT: u32 = 50;
/// Of a hundred starts so many see everything followed that a sink has not been relied on for.
const AUDITED_PERCENT: u32 = 15;
/// Where sales are refused because of sinks that stand still, they go on after about so many steps.
const STANDS_STILL_STEPS: usize = 60;

/// The sinks of a run, and what they are held against.
#[derive(Debug)]
pub(crate) struct Sinks {
    sinks: Vec<Sink>,
    pub logs: Logs,
    rng: Rng,
    /// By core: what is needed of its log has reached the budget.
    over: Vec<bool>,
}

impl Sinks {
    /// The sinks of a plan, before the first start.
    pub(crate) fn new(plan: &Plan, rng: Rng) -> Sinks {
        let first = || Some(Place::beginning(1, usize::from(plan.cores)));
        let sinks = plan.sinks.names.iter().map(|name| Sink::new(name, first())).collect();
        Sinks { sinks, logs: Logs::default(), rng, over: Vec::new() }
    }

    /// A process has ended.
    pub(crate) fn ended(&mut self) {
        self.sinks.iter_mut().for_each(|sink| sink.end(&mut self.rng));
        for sink in &mut self.sinks {
            if sink.standing == Standing::Detached && self.rng.percent(AGAIN_PERCENT) {
                *sink = Sink::new(sink.name, None);
            }
        }
    }

    /// The sinks that the next start is to register.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        let configured = self.sinks.iter().filter(|sink| sink.standing != Standing::Detached);
        configured.map(|sink| sink.name).collect()
    }

    /// A start has read the logs, whatever has become of it then.
    pub(crate) fn read(&mut self, found: &Found) {
        if let Some((epoch, ends)) = &found.ends {
            self.logs.recovered(*epoch, ends);
        }
    }

    /// A process has started. The registry knows every sink, and relies on none for more than it has.
    ///
    /// # Panics
    /// When it is not so.
    pub(crate) fn started(&mut self, process: &mut Process, plan: &Plan) {
        let newest = process.registry.beginning();
        self.logs.begin(newest.epoch, newest.cores.len());
        let sinks = process.registry.sinks();
        assert_eq!(process.registry.problem(), None);
        for sink in self.sinks.iter_mut().filter(|sink| sink.standing != Standing::Detached) {
            let kept = sinks.get(sink.name).unwrap_or_else(|| panic!("{} is not registered", sink.name));
            let relied = kept.relied.as_ref().map(Place::of);
            let is_one =
                relied == sink.relied || relied.as_ref().is_some_and(|place| sink.told.contains(place));
            assert!(is_one, "{} comes back as {relied:?}: {sink:?}", sink.name);
            let has = |place: &Place| sink.durable().is_some_and(|durable| durable.has_all_of(place));
            assert!(
                relied.as_ref().is_none_or(has),
                "{} is relied on for more than it has: {sink:?}",
                sink.name
            );
            sink.standing = Standing::Registered;
            sink.told.clear();
            sink.before = std::mem::replace(&mut sink.relied, relied);
        }
        assert_eq!(sinks.sinks.len(), self.names().len(), "sinks that were detached come back: {sinks:?}");
        self.over = vec![false; newest.cores.len()];
        self.draw_paces(plan);
        self.set_floors(process);
    }

    fn draw_paces(&mut self, plan: &Plan) {
        for sink in &mut self.sinks {
            sink.pace = *self.rng.pick(plan.sinks.paces);
        }
    }

    /// Lets the logs of a process go up to what the registry says.
    ///
    /// # Panics
    /// When it says more than what every sink has.
    fn set_floors(&mut self, process: &mut Process) {
        let newest = process.registry.beginning();
        let floors = process.registry.floors();
        let expected = keeper::floors(&self.sinks, newest.epoch, newest.cores.len() as u16);
        assert_eq!(floors, expected, "what sinks need: {:?}", self.sinks);
        process.needed_from = floors.into_iter().map(Lsn::next).collect();
        process.relied = (0..newest.cores.len()).map(|core| read_model::relied(process, core)).collect();
        let relied: Vec<_> = process.relied.iter().map(|lsn| lsn.map(|lsn| lsn.0)).collect();
        assert_eq!(
            relied,
            self.relied(newest.epoch, newest.cores.len()),
            "what the read model is relied on for"
        );
    }

    /// What every sink has is durable.
    fn commit_all(&mut self) {
        for sink in &mut self.sinks {
            sink.commit();
            sink.sync();
        }
    }

    /// Every sink has everything durably.
    fn has_all(&self) -> bool {
        let epoch = self.logs.epoch();
        let end = Place { epoch, cores: self.logs.ends(epoch) };
        let mut registered = self.sinks.iter().filter(|sink| sink.standing == Standing::Registered);
        registered.all(|sink| sink.durable() == Some(&end))
    }
}

/// After a start: the segments that are there, and sometimes a look at everything that is kept for sinks.
pub(crate) fn look_at_start(world: &mut World) {
    if world.plan.sinks.names.is_empty() {
        return;
    }
    world.sinks.logs.retain_segments(&world.machine.files);
    if world.sinks.rng.percent(AUDITED_PERCENT) {
        audit(world);
    }
}

/// Follows from what is relied on to the end, for every sink: a sink may come back from a copy that is as old.
pub(crate) fn audit(world: &mut World) {
    for index in 0..world.sinks.sinks.len() {
        let sink = &world.sinks.sinks[index];
        let Some(relied) = sink.relied.clone().filter(|_| sink.standing == Standing::Registered) else {
            continue;
        };
        let mut again = Sink::new(sink.name, Some(relied));
        let reach = world.process.reach();
        let newest = world.process.registry.beginning();
        let source =
            Source { files: &world.machine.files, newest: &newest, reach: &reach, logs: &world.sinks.logs };
        let followed = again.follow(&source, u64::MAX, &mut world.sinks.rng);
        if let Err(error) = followed {
            panic!("what is kept for {} cannot be followed: {error}: {sink:?}", sink.name);
        }
        world.coverage.count(Covered::Audited);
    }
}

/// Sinks go on, and the keeper looks, as chance will have it. How the process ends where it does meanwhile.
pub(crate) fn go_on(world: &mut World) -> Option<End> {
    if world.plan.sinks.names.is_empty() {
        return None;
    }
    let dies = some_go_on(world);
    dies.then(|| *world.sinks.rng.pick(&[End::PowerCut, End::Killed]))
}

fn some_go_on(world: &mut World) -> bool {
    let is_over = world.sinks.over.contains(&true);
    if is_over && world.sinks.rng.below(STANDS_STILL_STEPS) == 0 {
        world.sinks.sinks.iter_mut().for_each(|sink| sink.pace = 1_000);
        world.sinks.commit_all();
        return keeper::look(world, false);
    }
    for index in 0..world.sinks.sinks.len() {
        let (sink, rng) = (&world.sinks.sinks[index], &mut world.sinks.rng);
        if sink.standing == Standing::Registered && (rng.below(1_000) as u32) < sink.pace {
            follow(world, index);
        }
    }
    let chance = world.sinks.rng.below(1_000) as u32;
    let SinksPlan { keeper_permille, kill_permille, detach_permille, .. } = world.plan.sinks;
    if chance < detach_permille {
        detach(world);
        false
    } else {
        let dies = chance < detach_permille + kill_permille;
        (dies || chance < detach_permille + keeper_permille) && keeper::look(world, dies)
    }
}

/// A sink follows for a few frames, or copies the state first, and commits perhaps.
fn follow(world: &mut World, index: usize) {
    let fails = world.plan.faults.failing_reads && world.sinks.rng.percent(2);
    let files = world.machine.files.clone();
    if fails {
        files.fail_read(files.reads() + world.sinks.rng.below(4) as u64, EIO);
    }
    let frames_max = world.sinks.rng.between(1, FRAMES_MAX);
    let error = follow_some(world, index, frames_max);
    if fails {
        files.forgive();
    }
    if let Some(error) = error {
        assert!(fails, "{} is refused what it needs: {error}", world.sinks.sinks[index].name);
        world.coverage.count(Covered::FollowerReadFails);
    }
    let Sinks { sinks, rng, .. } = &mut world.sinks;
    if rng.percent(50) {
        sinks[index].commit();
    }
    if rng.percent(50) {
        sinks[index].sync();
    }
}

/// `None`, or why it cannot.
fn follow_some(world: &mut World, index: usize, frames_max: u64) -> Option<String> {
    let reach = world.process.reach();
    let newest = world.process.registry.beginning();
    let World { sinks: Sinks { sinks, logs, rng, .. }, machine, model, coverage, history, .. } = world;
    let sink = &mut sinks[index];
    if sink.place.is_none() {
        match copy::state(&machine.files, &newest, model, logs) {
            Ok(place) => {
                sink.begin_with(place);
                model.history_lost |= sink.name == READ_MODEL;
            }
            Err(error) => return Some(error.to_string()),
        }
        coverage.count(Covered::Copied);
    }
    let source = Source { files: &machine.files, newest: &newest, reach: &reach, logs };
    let followed = match sink.follow(&source, frames_max, rng) {
        Ok(followed) => followed,
        Err(error) => return Some(error.to_string()),
    };
    if followed.records > 0 && std::mem::take(&mut sink.is_restarted) {
        coverage.count(Covered::FollowedOn);
    }
    coverage.add(Covered::Followed, followed.records);
    coverage.add(Covered::FollowedEpochs, followed.epochs);
    history.number(followed.records << 8 | followed.epochs);
    None
}

fn detach(world: &mut World) {
    let World { sinks, process, coverage, history, .. } = world;
    let registered: Vec<usize> =
        (0..sinks.sinks.len()).filter(|index| sinks.sinks[*index].standing == Standing::Registered).collect();
    if registered.is_empty() {
        return;
    }
    let index = *sinks.rng.pick(&registered);
    let sink = &mut sinks.sinks[index];
    let detached = process.registry.detach(sink.name);
    let is_there = process.registry.sinks().get(sink.name).is_some();
    assert_eq!(is_there, detached.is_err(), "{} is detached: {detached:?}", sink.name);
    history.note(format_args!("{} is detached: {}", sink.name, !is_there));
    if !is_there {
        *sink = Sink::new(sink.name, None);
        sink.standing = Standing::Detached;
        sinks.set_floors(process);
        coverage.count(Covered::Detached);
    }
}

/// All sinks follow to the end, without faults, and are relied on for it. True where nothing came behind it meanwhile.
///
/// # Panics
/// When a sink is refused something.
pub(crate) fn catch_up(world: &mut World) -> bool {
    let had_all = world.sinks.has_all();
    for index in 0..world.sinks.sinks.len() {
        if world.sinks.sinks[index].standing != Standing::Registered {
            continue;
        }
        if let Some(error) = follow_some(world, index, u64::MAX) {
            panic!("{} cannot catch up: {error}", world.sinks.sinks[index].name);
        }
    }
    world.sinks.commit_all();
    world.plan.sinks.calm();
    keeper::look(world, false);
    for core in 0..world.cores() {
        world.process.signal(core);
    }
    had_all
}

/// Every sink has finished the epochs that are over: nothing of them is left.
///
/// # Panics
/// When it is not so.
pub(crate) fn old_epochs_are_gone(world: &World) {
    let newest = format!("epoch-{:010}/", world.process.registry.beginning().epoch);
    let is_old = |path: &String| path.starts_with("epoch-") && !path.starts_with(&newest);
    let left = world.machine.files.sizes().into_iter().map(|(path, _)| path).find(is_old);
    assert_eq!(left, None, "every sink has finished the epoch, and it is kept");
}

/// After a turn of a core: what sinks need of its log is kept, and sales are refused for it at the budget and not before.
///
/// # Panics
/// When it is not so.
pub(crate) fn watch_room(world: &mut World, core: u16) {
    if world.plan.sinks.names.is_empty() {
        return;
    }
    let log = world.process.cores[usize::from(core)].shard().log();
    let (plan, files) = (&world.plan, &world.machine.files);
    let floor = world.process.needed_from[usize::from(core)].0 - 1;
    let needed = world.sinks.logs.bytes_behind(core, floor, plan.options.segment_bytes);
    assert!(
        log.needed_bytes() >= needed,
        "{needed} bytes of core {core} are needed for sinks: {}",
        log.needed_bytes()
    );
    let over = &mut world.sinks.over[usize::from(core)];
    let was_over = std::mem::replace(over, log.needed_bytes() >= plan.options.budget_bytes);
    assert!(!*over || log.space() != Space::Plenty, "core {core} sells beyond its budget");
    // Where the commit is delayed the log has not yet let go what it may.
    if *over && !was_over && !world.process.cores[usize::from(core)].node.delays_commit() {
        let newest = world.process.registry.beginning();
        let snapshot = copy::snapshot_begin(files, &newest, core);
        let most = world.sinks.logs.bytes_behind(core, floor.min(snapshot), plan.options.segment_bytes);
        // A segment from before the start may be kept for a record less than it has.
        assert!(
            log.needed_bytes() <= most + plan.options.segment_bytes,
            "core {core} counts {} bytes as needed, and {most} are",
            log.needed_bytes()
        );
    }
    if !*over && log.space() == Space::Reserve {
        let spare_bytes = world.sinks.logs.spare_segments(core, files) * plan.options.segment_bytes;
        let room = spare_bytes.saturating_sub(log.backlog_bytes() as u64);
        assert!(room <= plan.options.reserve(), "core {core} refuses sales with {room} bytes of room");
    }
    world.coverage.add(Covered::BudgetReached, u64::from(*over && !was_over));
    if was_over && !*over {
        world.coverage.count(Covered::BudgetLeft);
        world.sinks.draw_paces(&world.plan);
    }
}
