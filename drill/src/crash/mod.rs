//! The crash drill: load, a crash, a restart, and an audit of every answer that was given; many times.
//!
//! In each cycle 32 clients create, reserve, pay, cancel, hold and read until enough writes are acknowledged. Then the
//! server is killed in the middle of it, at a random moment or at a kill point. Holds last a second, so that expiry and
//! restarts meet. Segments are as small as they can be, so that they are recycled. Orders live in other slots, and on
//! other cores, than the partitions they are for. Before the next cycle some starts are killed as well, to the same
//! number of cores or to another one.
//!
//! | file | what it is |
//! |---|---|
//! | [`plan`] | what one cycle does, drawn from the seed and the number of the cycle |
//! | [`partitions`] | what a cycle sells |
//! | [`clients`] | the load: clients that buy, hold, pay and read |
//! | [`history`] | what they asked and what was answered |
//! | [`kill_points`] | moments that are found by watching the data directory |
//! | [`fault_injector`] | how a server is crashed |
//! | [`audit`], [`rules`] | each answer against the restarted server |
//! | [`ledger`] | each seat: sold once, or free |
//! | [`directory_life`] | the cycles on one data directory, and its end |
//!
//! **What is audited when.** After each crash: everything that this cycle's clients were answered, writes and reads,
//! twice; a sample of the answers of earlier cycles; every refund; seats and availability of what was sold in the cycle
//! and of a sample of the rest. At the end of a directory's life every answer that was given on it is audited once more,
//! its log is checked, and it is removed with all that is known of it. So neither the history nor the server's state
//! grows with the number of cycles, every write is audited at least three times, and every read of an order twice.

pub mod audit;
pub mod clients;
pub mod directory_life;
pub mod fault_injector;
pub mod figures;
pub mod history;
pub mod kill_points;
pub mod ledger;
pub mod partitions;
pub mod plan;
pub mod pool;
pub mod rules;

use std::time::Instant;

use crate::session::SIGN_KEY;
use crate::{Launch, chance};
use directory_life::DirectoryLife;
use fault_injector::FaultInjector;
use figures::Figures;

/// The audit repeats what was answered long ago: an ended hold is remembered until then.
pub(crate) const HOLD_MEMORY_SECS: &str = "86400";
/// Cycles between two lines of progress.
const PROGRESS_EVERY: u64 = 10;

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The command that does the same again when a seed, a first cycle and a number of cycles are added.
    pub command: String,
    pub seed: u64,
    /// The number of the first cycle. The plan of a cycle depends on the seed and its number only.
    pub first: u64,
    pub cycles: u64,
    pub cycles_per_directory: u64,
    /// Numbers of cores to choose from.
    pub cores: Vec<u32>,
    /// Writes that must be acknowledged before a crash.
    pub acknowledged_min: u64,
}

/// A server whose holds are short and whose files are small, so that expiry, segment changes and snapshots are frequent.
#[must_use]
pub fn with_small_limits(launch: &Launch) -> Launch {
    launch
        .clone()
        .env("INVENTORY_HOLD_TTL_SECS", "1")
        .env("INTERLOCK_HOLD_MEMORY_SECS", HOLD_MEMORY_SECS)
        .env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY)
        // What nobody needs goes at once: otherwise nothing is recycled for three days, and the size of the log is that of all writes.
        .env("INTERLOCK_LOG_KEEP_HOURS", "0")
        .env("INTERLOCK_SEGMENT_BYTES", "262144")
        .env("INTERLOCK_SNAPSHOT_LOG_BYTES", "524288")
}

/// Prints how to repeat a run, should it panic while this is held: from the first cycle of its directory.
pub(crate) struct RepeatHint<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) first: u64,
    pub(crate) cycle: u64,
}

impl Drop for RepeatHint<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let RepeatHint { settings, first, cycle } = self;
            let Settings { command, seed, .. } = settings;
            println!("failed in cycle {cycle}");
            println!("repeat with: {command} --seed {seed} --first {first} --cycles {}", *cycle - *first + 1);
        }
    }
}

/// Runs the drill. `launch` says how the server is started; its data directory is the injector's.
///
/// # Panics
/// When the audit finds something, with what it found.
pub fn run(settings: &Settings, injector: &mut dyn FaultInjector, launch: &Launch) -> Figures {
    let started = Instant::now();
    let mut figures = Figures::default();
    let mut first = settings.first;
    let end = settings.first + settings.cycles;
    while first < end {
        let last = end.min((first / settings.cycles_per_directory + 1) * settings.cycles_per_directory);
        let directory = injector.new_directory(chance::of_part(!settings.seed, first));
        let launch = launch.clone().cores(settings.cores[0]).data_dir(&directory);
        let mut hint = RepeatHint { settings, first, cycle: first };
        let mut life = DirectoryLife::begin(settings, injector, &mut figures, &launch, first);
        for cycle in first..last {
            hint.cycle = cycle;
            life.run_cycle(cycle);
            if (cycle + 1).is_multiple_of(PROGRESS_EVERY) {
                let done = cycle + 1 - settings.first;
                println!("{done} cycles in {:.0?}: {}", started.elapsed(), life.figures.line());
            }
        }
        life.end();
        first = last;
    }
    figures
}
