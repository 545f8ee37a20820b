//! The keeper of the log, played: relies on what sinks have durably, and only then lets go what none of them needs. Its writes fail, are
//! cut short by the end of the process, or come with an old report.

use wal::files::Trouble;
use wal::{DataDir, Lsn};

use super::Standing;
use super::place::Place;
use super::sink::Sink;
use crate::counters::Covered;
use crate::world::World;
use crate::world::disk::{EIO, ENOSPC};

/// Changing operations in which a word of the keeper is written, and a finished epoch of a few cores removed.
const STEPS: usize = 12;

/// Relies on every sink that has something. `dies`: the process ends at some point of it. Whether it did.
///
/// # Panics
/// When the registry says something else than it was told.
pub(super) fn look(world: &mut World, dies: bool) -> bool {
    for index in 0..world.sinks.sinks.len() {
        let sink = &world.sinks.sinks[index];
        if sink.standing != Standing::Registered || sink.durable().is_none() {
            continue;
        }
        let percent = world.plan.sinks.trouble_percent;
        let rng = &mut world.sinks.rng;
        let trouble = rng.percent(percent);
        let files = world.machine.files.clone();
        let step = files.steps() + rng.below(STEPS) as u64;
        if dies {
            files.stop_at(step);
        } else if trouble {
            files.trouble(Trouble { step, errno: *rng.pick(&[EIO, ENOSPC]) });
        }
        let relied = rely(world, index);
        files.forgive();
        if dies && (!relied || world.sinks.rng.percent(30)) {
            world.coverage.count(Covered::KilledInKeeper);
            return true;
        }
        world.coverage.add(Covered::KeeperFails, u64::from(trouble && !relied));
        if !relied {
            return false;
        }
    }
    world.sinks.set_floors(&mut world.process);
    if world.sinks.rng.percent(5) {
        is_on_the_disk(world);
    }
    false
}

/// Relies on one sink; `false` where that cannot be written down.
fn rely(world: &mut World, index: usize) -> bool {
    let World { sinks, process, plan, .. } = world;
    let newest = process.registry.beginning();
    let old_report = sinks.rng.percent(plan.sinks.old_reports_percent);
    let sink = &mut sinks.sinks[index];
    let durable = sink.durable().expect("seen a moment ago").clone();
    if let Some(before) = sink.before.as_ref().filter(|_| old_report) {
        let told = process.registry.rely(sink.name, &before.cursor(&newest));
        assert!(told.is_ok(), "an old report of {} needs no write: {told:?}", sink.name);
        assert_eq!(kept(world, index), world.sinks.sinks[index].relied, "an old report moves the registry");
        return true;
    }
    let told = process.registry.rely(sink.name, &durable.cursor(&newest)).is_ok();
    sink.told.push(durable.clone());
    let kept = kept(world, index);
    let sink = &mut world.sinks.sinks[index];
    if told {
        sink.told.clear();
        assert_eq!(kept.as_ref(), Some(&durable), "{} was relied on up to another place", sink.name);
    } else {
        let is_one = kept == sink.relied || kept.as_ref() == Some(&durable);
        assert!(is_one, "{} is relied on up to {kept:?}, told {durable:?}", sink.name);
    }
    if kept != sink.relied {
        sink.before = std::mem::replace(&mut sink.relied, kept);
    }
    told
}

/// The place up to which the registry relies on a sink.
fn kept(world: &World, index: usize) -> Option<Place> {
    let sink: &Sink = &world.sinks.sinks[index];
    let kept = world.process.registry.sinks().get(sink.name);
    kept.unwrap_or_else(|| panic!("{} is registered no more", sink.name)).relied.as_ref().map(Place::of)
}

/// Checks that what the registry says is on the disk, whatever a power cut takes.
fn is_on_the_disk(world: &World) {
    let after = world.machine.files.fork().crash(|| false);
    let dir = DataDir::open_on(after, &world.plan.options).expect("sound files");
    let (found, said) = (dir.sink_registry(), world.process.registry.sinks());
    assert_eq!(found.problem(), None);
    assert_eq!(found.sinks(), said, "the registry says what is not on the disk");
}

/// For each core, the first record that some of these sinks needs.
pub(super) fn floors(sinks: &[Sink], epoch: u32, cores: u16) -> Vec<Lsn> {
    let registered = sinks.iter().filter(|sink| sink.standing == Standing::Registered);
    let floor = |core: u16| {
        let of = |sink: &Sink| match &sink.relied {
            Some(relied) if relied.epoch == epoch => relied.cores[usize::from(core)],
            _ => 0,
        };
        registered.clone().map(of).min().map_or(Lsn::MAX, Lsn)
    };
    (0..cores).map(floor).collect()
}
