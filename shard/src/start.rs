//! From a data directory to nodes: the start that the server and the simulator share.

use std::sync::Arc;

use engine::decide::Policy;
use engine::ids::Time;
use engine::slots::{SlotHash, core_of};
use engine::state::Leap;
use wal::disk::Disk;
use wal::files::Files;
use wal::{DataDir, Lsn, OpenError, Recovered};

use crate::clock::{Clock, Clocks};
use crate::node::Node;
use crate::peers::Peers;
use crate::recovery::Recovery;
use crate::shard::{Config, Setup, Shard};
use crate::shutdown::Shutdown;

/// The slots of one core, and where its log goes on.
pub type RecoveredCore = (Recovery, Recovered);

/// Reads the snapshot and the log of one core.
///
/// # Errors
/// Damage and read errors, by file and offset.
pub fn read_core<F: Files>(dir: &DataDir<F>, core: u16) -> Result<RecoveredCore, OpenError> {
    let mut recovery = Recovery::new(core, dir.cores());
    let recovered = dir.recover(core, &mut recovery)?;
    Ok((recovery, recovered))
}

/// Reads the directory for `cores` cores. `read_all` is [`read_core`] for every core of the directory, one after another or
/// side by side. Where the number of cores is another one, the slots are dealt out again and written to a new epoch; what was written
/// is read back to see that it is whole, and not decoded again. `admit` looks at what was read before anything is written.
///
/// # Errors
/// Damage, read and write errors, by file and offset; what `admit` refuses.
pub fn recover<F: Files, E: From<OpenError>>(
    dir: &mut DataDir<F>,
    cores: u16,
    read_all: impl FnOnce(&DataDir<F>) -> Result<Vec<RecoveredCore>, OpenError>,
    admit: impl FnOnce(&[RecoveredCore]) -> Result<(), E>,
) -> Result<Vec<RecoveredCore>, E> {
    let read = read_all(dir)?;
    admit(&read)?;
    if dir.cores() == cores {
        return Ok(read);
    }
    let ends: Vec<_> = read.iter().map(|(_, recovered)| recovered.last).collect();
    let dealt = deal_out(read, cores);
    redistribute(dir, &ends, &dealt)?;
    let read_back = (0..).zip(dealt).map(|(core, mut recovery)| {
        let recovered = dir.recover(core, &mut recovery)?;
        Ok((recovery, recovered))
    });
    read_back.collect()
}

/// The slots of each of so many cores.
fn deal_out(read: Vec<RecoveredCore>, cores: u16) -> Vec<Recovery> {
    let mut slots: Vec<_> = read.into_iter().flat_map(|(recovery, _)| recovery.into_slots()).collect();
    slots.sort_unstable_by_key(|slot| slot.id());
    let mut dealt: Vec<_> = (0..cores).map(|core| Recovery::dealt(core, cores)).collect();
    slots.into_iter().for_each(|slot| dealt[usize::from(core_of(slot.id(), cores))].push(slot));
    dealt
}

fn redistribute<F: Files>(dir: &mut DataDir<F>, ends: &[Lsn], dealt: &[Recovery]) -> Result<(), OpenError> {
    let mut image = Vec::new();
    dir.redistribute(dealt.len() as u16, ends, |core, sink| {
        for slot in dealt[usize::from(core)].slots() {
            image.clear();
            if !slot.is_blank() {
                slot.encode(&mut image);
            }
            sink.slot(slot.id().get(), &image)?;
        }
        Ok(())
    })
}

/// A wall clock that is ahead of the last record, and what would end if it were believed.
#[derive(Clone, Copy, Debug)]
pub struct ClockGap {
    pub last_record: Time,
    pub wall: Time,
    pub ends: Leap,
}

impl ClockGap {
    /// None in a directory without a record.
    #[must_use]
    pub fn of(cores: &[RecoveredCore], policy: &Policy, wall: Time) -> Option<ClockGap> {
        let last_record = last_time(cores);
        if last_record == Time(0) {
            return None;
        }
        let mut ends = Leap::default();
        let slots = cores.iter().flat_map(|(recovery, _)| recovery.slots());
        slots.for_each(|slot| ends += slot.leap(policy, last_record, wall));
        Some(ClockGap { last_record, wall, ends })
    }
}

fn last_time(cores: &[RecoveredCore]) -> Time {
    cores.iter().map(|(recovery, _)| recovery.last_time()).max().unwrap_or_default()
}

/// A node for each core, all counting time from the same moment, after everything that was ever logged. `disk` gives each core
/// its disk, `peers` its ends of the rings.
///
/// # Errors
/// A log or a disk that cannot be opened.
pub fn start<F: Files, D: Disk, P: Peers>(
    dir: &DataDir<F>,
    recovered: Vec<RecoveredCore>,
    setup: &Setup,
    read_clocks: impl Fn() -> Clocks,
    mut disk: impl FnMut(u16) -> Result<D, OpenError>,
    peers: Vec<P>,
    shutdown: &Arc<Shutdown>,
) -> Result<Vec<Node<D, P>>, OpenError> {
    let common_clock = Clock::new(read_clocks(), last_time(&recovered));
    let hash = SlotHash::new(dir.secret());
    let mut nodes = Vec::new();
    for ((core, peers), (recovery, at)) in (0..).zip(peers).zip(recovered) {
        let log = dir.log(core, at, disk(core)?)?;
        let config = Config { core, hash: hash.clone(), process: setup.clone() };
        let mut clock = common_clock.clone();
        let now = clock.now(read_clocks());
        nodes.push(Node::new(Shard::new(config, recovery, log, now), clock, peers, shutdown.clone()));
    }
    Ok(nodes)
}
