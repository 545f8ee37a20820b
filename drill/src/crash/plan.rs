//! The plan of a cycle, drawn from the seed and the number of the cycle alone: a cycle can be repeated without those
//! before it.

use std::time::Duration;

use super::kill_points::KillPoint;
use crate::{Rng, chance};

/// A kill at a random moment comes after up to so many more writes than must be acknowledged.
const ACKNOWLEDGED_MORE: u64 = 400;
/// A random kill of a start comes within this time of its beginning.
const START_MS: u64 = 300;
/// A kill at a kill point comes within this time of it.
const KILL_POINT_US: u64 = 3_000;
/// The same for a redistribution, which takes longer.
const REDISTRIBUTION_US: u64 = 60_000;

/// A start that is killed on its way.
#[derive(Clone, Debug)]
pub struct KilledStart {
    pub cores: u32,
    /// Instead of `cores` where the directory has those already and slots are to be redistributed.
    pub other_cores: u32,
    pub kill_point: KillPoint,
    /// From the beginning of the start, or from the kill point.
    pub delay: Duration,
}

#[derive(Clone, Debug)]
pub struct CyclePlan {
    /// Writes that are acknowledged before the kill.
    pub acknowledged: u64,
    pub kill_point: KillPoint,
    pub delay: Duration,
    pub killed_starts: Vec<KilledStart>,
    /// Of the start that succeeds.
    pub cores: u32,
    pub clients: Rng,
    pub audit: Rng,
}

impl CyclePlan {
    /// `cores` are those to choose from.
    #[must_use]
    pub fn new(seed: u64, cycle: u64, acknowledged_min: u64, cores: &[u32]) -> CyclePlan {
        let mut rng = chance::of_part(seed, cycle);
        let acknowledged = acknowledged_min + rng.u64(..ACKNOWLEDGED_MORE);
        let kill_point = match rng.u64(..100) {
            0..40 => KillPoint::Random,
            40..55 => KillPoint::Snapshot,
            55..65 => KillPoint::SnapshotNamed,
            65..80 => KillPoint::Segment,
            _ => KillPoint::Stopping,
        };
        let delay_us_max = match kill_point {
            KillPoint::Random => 20_000,
            KillPoint::Stopping => 30_000,
            _ => KILL_POINT_US,
        };
        let delay = Duration::from_micros(rng.u64(..delay_us_max));
        let next_cores = *chance::pick(&mut rng, cores);
        let killed_starts =
            (0..rng.u64(..3)).map(|_| KilledStart::draw(&mut rng, cores, next_cores)).collect();
        let (clients, audit) = (rng.fork(), rng.fork());
        CyclePlan { acknowledged, kill_point, delay, killed_starts, cores: next_cores, clients, audit }
    }
}

impl KilledStart {
    fn draw(rng: &mut Rng, all_cores: &[u32], next_cores: u32) -> KilledStart {
        let cores = if rng.bool() { next_cores } else { *chance::pick(rng, all_cores) };
        if rng.bool() {
            let other = *chance::pick(rng, all_cores);
            KilledStart {
                cores,
                other_cores: if other == cores { cores % 3 + 1 } else { other },
                kill_point: KillPoint::Redistribution,
                delay: Duration::from_micros(rng.u64(..REDISTRIBUTION_US)),
            }
        } else {
            let delay = Duration::from_millis(rng.u64(..START_MS));
            KilledStart { cores, other_cores: cores, kill_point: KillPoint::Start, delay }
        }
    }
}
