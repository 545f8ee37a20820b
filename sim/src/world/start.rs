//! From a data directory to a running process.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::ids::{SlotId, Time};
use engine::slots::SlotHash;
use shard::{RecoveredCore, Setup, Shutdown, read_core};
use wal::files::MemoryFiles;
use wal::{DataDir, Lsn, OpenError};

use super::disk::RecordingDisk;
use super::machine::Machine;
use super::process::{Core, Process};
use super::rings::{Rings, SimPeers};
use crate::checks::leap;
use crate::plan::Plan;
use crate::rng::Rng;
use crate::timetable::Edition;

/// Findings of a start.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Torn tails.
    pub cuts: usize,
    pub redistributed: bool,
    /// The epoch that was read, and the last record of each of its cores.
    pub ends: Option<(u32, Vec<u64>)>,
}

/// Registers these sinks, and recovers and starts every core, as the server does.
///
/// # Errors
/// Damage, read and write errors.
pub(crate) fn start(
    machine: &Machine,
    plan: &Plan,
    cores: u16,
    edition: &Edition,
    rng: Rng,
    sinks: &[&str],
    found: &mut Found,
) -> Result<Process, OpenError> {
    let files = &machine.files;
    let mut dir = DataDir::open_on(files.clone(), &plan.options)?;
    sinks.iter().try_for_each(|name| dir.register_sink(name))?;
    let read = |dir: &DataDir<MemoryFiles>| {
        let read = read_all(dir, found)?;
        let ends = read.iter().map(|(_, recovered)| recovered.last.0).collect();
        found.ends = Some((dir.epoch(), ends));
        found.redistributed |= dir.cores() != cores;
        Ok(read)
    };
    let admit = |cores: &[RecoveredCore]| {
        leap::check(cores, &plan.policy, Time(machine.clocks().wall_ms));
        Ok::<(), OpenError>(())
    };
    let recovered = shard::recover(&mut dir, cores, read, admit)?;
    let setup = Setup {
        cores,
        policy: plan.policy.clone(),
        catalogue: Arc::new(edition.clone()),
        state_bytes_max: plan.state_bytes_max.unwrap_or(u64::MAX),
        image_bytes_per_turn: plan.image_bytes_per_turn,
    };
    let signals: Arc<[AtomicBool]> = (0..cores).map(|_| AtomicBool::new(false)).collect();
    let rings = Rc::new(RefCell::new(Rings::new(signals.clone(), plan, rng)));
    let peers = (0..cores).map(|core| SimPeers::new(core, rings.clone())).collect();
    let signalled = signals.clone();
    let wake_all = move || signalled.iter().for_each(|signal| signal.store(true, Ordering::Relaxed));
    let shutdown = Arc::new(Shutdown::new(cores, wake_all));
    let disk = |core| Ok(RecordingDisk::new(dir.core_dir(core), files.clone(), dir.epoch(), core));
    let nodes = shard::start(&dir, recovered, &setup, || machine.clocks(), disk, peers, &shutdown)?;
    let (cores, hash): (Vec<_>, _) =
        (nodes.into_iter().map(Core::new).collect(), SlotHash::new(dir.secret()));
    let registry = dir.sink_registry();
    let needed_from = registry.floors().into_iter().map(Lsn::next).collect();
    let relied = vec![None; cores.len()];
    Ok(Process { cores, rings, hash, shutdown, signals, registry, needed_from, relied })
}

fn read_all(dir: &DataDir<MemoryFiles>, found: &mut Found) -> Result<Vec<RecoveredCore>, OpenError> {
    let read = |core| {
        let core = read_core(dir, core)?;
        found.cuts += usize::from(core.1.cut.is_some());
        Ok(core)
    };
    (0..dir.cores()).map(read).collect()
}

/// Slots that have records: how many, and the slot as a snapshot keeps it.
pub(crate) type Images = BTreeMap<SlotId, (u64, Vec<u8>)>;

/// Reads as a start from these files would, without a log being started: every slot that has records, as a snapshot keeps
/// it; and whether a torn tail was cut.
///
/// # Errors
/// Damage and read errors.
pub(crate) fn inspect(files: &MemoryFiles, plan: &Plan) -> Result<(Images, bool), OpenError> {
    let dir = DataDir::open_on(files.clone(), &plan.options)?;
    let mut found = Found::default();
    let mut images = BTreeMap::new();
    for (recovery, _) in read_all(&dir, &mut found)? {
        for slot in recovery.into_slots().iter().filter(|slot| !slot.is_blank()) {
            let mut image = Vec::new();
            slot.encode(&mut image);
            images.insert(slot.id(), (slot.seq(), image));
        }
    }
    Ok((images, found.cuts > 0))
}
