//! The crash drill: a crash under load, a restart, and an audit of every answer that was given; many times.
//!
//! In each cycle 32 clients create, reserve, pay, cancel, hold and read until enough writes are acknowledged; then the
//! server is killed in the middle of it, at a random moment or at a named one. Holds last a second, so that expiry and
//! restarts meet; segments are as small as they can be, so that they are recycled; orders live in other slots, and on
//! other cores, than the partitions they are for. Before the next cycle some starts are killed as well, to the same
//! number of cores or to another one.
//!
//! **Words.** A *ground* is the disk that an era plays on, and how a crash comes there; an *era*, some tens of cycles on one data
//! directory. A *journey* is what was done about one order or hold, and told of each step; a *tale*, what one client did in
//! a cycle; a *sight*, an order as a read showed it; a *stay*, who had a seat from when to when.
//!
//! **What is audited when.** After each crash: everything that this cycle's clients were told, writes and reads, twice;
//! a sample of the answers of earlier cycles; every refund of the era; seats and availability of what was sold in the
//! cycle and of a sample of the rest. An era is some tens of cycles on one data directory: at its end every answer of
//! it is audited once more, the log is checked, and the directory is given up with all that is known of it. So neither
//! the book nor the server's state grows with the number of cycles, every write is audited at least three times, and every
//! read of an order twice.

pub mod audit;
pub mod book;
pub mod era;
pub mod figures;
pub mod ground;
pub mod ledger;
pub mod load;
pub mod moments;
pub mod places;
pub mod plan;
pub mod pool;
pub mod rules;

use std::time::Instant;

use crate::Launch;
use crate::session::SIGN_KEY;
use era::Era;
use figures::Figures;
use ground::Ground;

/// Progress is told after so many cycles.
const TOLD_EVERY: u64 = 10;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What does the same again when a seed, a first cycle and a number of cycles are added.
    pub command: String,
    pub seed: u64,
    /// The number of the first cycle. A cycle's plan depends on the seed and its number only.
    pub first: u64,
    pub cycles: u64,
    /// Cycles on one data directory.
    pub era: u64,
    /// Numbers of cores to choose from.
    pub cores: Vec<u32>,
    /// Writes that must be acknowledged before a crash.
    pub acknowledged_min: u64,
}

/// How the server is set up for a drill: everything small and soon.
#[must_use]
pub fn small_and_soon(launch: Launch) -> Launch {
    launch
        .env("INVENTORY_HOLD_TTL_SECS", "1")
        .env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY)
        .env("INTERLOCK_SEGMENT_BYTES", "262144")
        .env("INTERLOCK_SNAPSHOT_LOG_BYTES", "524288")
}

/// Says how a run that fails is repeated: from the beginning of its era.
pub(crate) struct Failing<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) era: u64,
    pub(crate) cycle: u64,
}

impl Drop for Failing<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Failing { settings, era, cycle } = self;
            println!("failed in cycle {cycle}");
            let cycles = *cycle - *era + 1;
            println!(
                "repeat with: {} --seed {} --first {era} --cycles {cycles}",
                settings.command, settings.seed
            );
        }
    }
}

/// Runs the drill. `launch` says how the server is started; its data directory is the ground's.
///
/// # Panics
/// With what was found, if anything was.
pub fn run(settings: &Settings, ground: &mut dyn Ground, launch: &Launch) -> Figures {
    let started = Instant::now();
    let mut figures = Figures::default();
    let mut next = settings.first;
    let end = settings.first + settings.cycles;
    while next < end {
        let last = end.min((next / settings.era + 1) * settings.era);
        let launch = launch.clone().cores(settings.cores[0]).data_dir(&ground.fresh(next));
        let mut failing = Failing { settings, era: next, cycle: next };
        let mut era = Era::begin(settings, &launch, next, ground, &mut figures);
        for cycle in next..last {
            failing.cycle = cycle;
            era.cycle(cycle, settings, ground, &mut figures);
            if (cycle + 1).is_multiple_of(TOLD_EVERY) {
                println!(
                    "{} cycles in {:.0?}: {}",
                    cycle + 1 - settings.first,
                    started.elapsed(),
                    figures.line()
                );
            }
        }
        era.end(&mut figures);
        next = last;
    }
    figures
}
