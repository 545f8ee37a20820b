//! What a cycle does, drawn from the seed and the cycle's number alone: a cycle can be repeated without those before.

use std::time::Duration;

use super::moments::Moment;
use crate::{Rng, chance};

/// A kill comes at a random moment after up to that many more writes than must be acknowledged.
const ACKNOWLEDGED_MORE: u64 = 400;
/// A kill at a random moment of a start comes within this time.
const START_MS: u64 = 300;
/// A named moment is hit within this time of its beginning.
const MOMENT_US: u64 = 3_000;
/// The same for a redistribution, which takes longer.
const REDISTRIBUTION_US: u64 = 60_000;

/// A start that does not come to its end.
#[derive(Clone, Debug)]
pub struct Start {
    pub cores: u32,
    /// To so many where the directory has the others already, and something is to be dealt out.
    pub other: u32,
    pub moment: Moment,
    /// After the start's begin, or after the moment's.
    pub pause: Duration,
}

#[derive(Clone, Debug)]
pub struct Plan {
    /// Writes that are acknowledged before the kill.
    pub enough: u64,
    pub moment: Moment,
    pub pause: Duration,
    pub starts: Vec<Start>,
    /// Of the start that comes to its end.
    pub cores: u32,
    pub clients: Rng,
    pub audit: Rng,
}

impl Plan {
    /// `cores` are those to choose from.
    #[must_use]
    pub fn new(seed: u64, cycle: u64, acknowledged_min: u64, cores: &[u32]) -> Plan {
        let mut rng = chance::of_part(seed, cycle);
        let enough = acknowledged_min + rng.u64(..ACKNOWLEDGED_MORE);
        let moment = match rng.u64(..100) {
            0..40 => Moment::Random,
            40..55 => Moment::Snapshot,
            55..65 => Moment::SnapshotNamed,
            65..80 => Moment::Segment,
            _ => Moment::Stopping,
        };
        let pause_us_max = match moment {
            Moment::Random => 20_000,
            Moment::Stopping => 30_000,
            _ => MOMENT_US,
        };
        let pause = Duration::from_micros(rng.u64(..pause_us_max));
        let next = *chance::pick(&mut rng, cores);
        let starts = (0..rng.u64(..3))
            .map(|_| {
                let (to, other) = (*chance::pick(&mut rng, cores), *chance::pick(&mut rng, cores));
                let to = if rng.bool() { next } else { to };
                if rng.bool() {
                    let pause = Duration::from_micros(rng.u64(..REDISTRIBUTION_US));
                    Start {
                        cores: to,
                        other: if other == to { to % 3 + 1 } else { other },
                        moment: Moment::Redistribution,
                        pause,
                    }
                } else {
                    let pause = Duration::from_millis(rng.u64(..START_MS));
                    Start { cores: to, other: to, moment: Moment::Start, pause }
                }
            })
            .collect();
        let (clients, audit) = (rng.fork(), rng.fork());
        Plan { enough, moment, pause, starts, cores: next, clients, audit }
    }
}
