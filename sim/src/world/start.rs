//! From a data directory to a running process, in the order in which the server does it.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::ids::SlotId;
use engine::slots::SlotHash;
use shard::{Clock, Config, Recovery, Shard, redistribute};
use wal::files::MemoryFiles;
use wal::{DataDir, OpenError, Recovered};

use super::disk::Tap;
use super::machine::Machine;
use super::process::{Node, Process};
use crate::plan::Plan;
use crate::timetable::Edition;

/// What a start has come across.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Torn tails.
    pub cuts: usize,
    pub redistributed: bool,
}

/// Recovers and starts every core, and deals the slots out where the number of cores is another one.
///
/// # Errors
/// What refuses to be read or written.
pub(crate) fn start(
    machine: &Machine,
    plan: &Plan,
    cores: u16,
    edition: &Edition,
    found: &mut Found,
) -> Result<Process, OpenError> {
    let files = &machine.files;
    let mut dir = DataDir::open_on(files.clone(), &plan.options)?;
    let recovered = recover(&mut dir, cores, found)?;
    let last = recovered.iter().map(|(core, _)| core.last_time()).max().unwrap_or_default();
    let clock = Clock::new(machine.wall_ms, machine.steady_ms, last);
    let hash = SlotHash::new(dir.secret());
    let mut nodes = Vec::new();
    for (core, (slots, at)) in (0..).zip(recovered) {
        let disk = Tap::new(dir.core_dir(core), files.clone(), dir.epoch(), core);
        let log = dir.log(core, at, disk)?;
        let config = Config {
            core,
            cores,
            hash: hash.clone(),
            policy: plan.policy.clone(),
            state_bytes_max: u64::MAX,
            catalogue: Arc::new(edition.clone()),
        };
        let mut clock = clock.clone();
        let now = clock.now(machine.wall_ms, machine.steady_ms);
        nodes.push(Node::new(Shard::new(config, slots, log, now), clock));
    }
    Ok(Process::new(nodes, hash, plan.ring_parcels))
}

fn recover(
    dir: &mut DataDir<MemoryFiles>,
    cores: u16,
    found: &mut Found,
) -> Result<Vec<(Recovery, Recovered)>, OpenError> {
    let read = read_all(dir, found)?;
    if dir.cores() == cores {
        return Ok(read);
    }
    found.redistributed = true;
    redistribute(dir, read.into_iter().map(|(core, _)| core), cores)?;
    read_all(dir, found)
}

fn read_all(dir: &DataDir<MemoryFiles>, found: &mut Found) -> Result<Vec<(Recovery, Recovered)>, OpenError> {
    let read = |core| {
        let mut recovery = Recovery::new(core, dir.cores());
        let recovered = dir.recover(core, &mut recovery)?;
        found.cuts += usize::from(recovered.cut.is_some());
        Ok((recovery, recovered))
    };
    (0..dir.cores()).map(read).collect()
}

/// Slots that have records: how many, and the slot as a snapshot keeps it.
pub(crate) type Images = BTreeMap<SlotId, (u64, Vec<u8>)>;

/// What a start from these files would find, without a log being started: every slot that has records, as a snapshot keeps
/// it; and whether a torn tail was cut.
///
/// # Errors
/// What refuses to be read.
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
