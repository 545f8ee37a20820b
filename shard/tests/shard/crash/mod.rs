//! Random clients on one to three cores, a machine that is slow in every way, and crashes at random steps that keep a
//! random part of what was not durable. What any client was ever shown must still be true.
//!
//! `SHARD_SEED=n` runs that seed alone; `SHARD_SEEDS=n` runs so many of each kind.

mod knowledge;
mod run;
mod witness;
mod workload;

use run::{Kind, Run, Seen};

/// Of each kind; those with large holds take longer.
const SEEDS: u64 = 80;
const SEEDS_OF_SNAPSHOTS: u64 = 25;

/// Says which seed it was that failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("again: SHARD_SEED={} cargo test -p shard --test shard crash", self.0);
        }
    }
}

fn run_all(kind: Kind) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    if let Some(seed) = number("SHARD_SEED") {
        Run::new(kind, seed).finish();
        return;
    }
    let usual = if kind == Kind::Snapshots { SEEDS_OF_SNAPSHOTS } else { SEEDS };
    let seeds = number("SHARD_SEEDS").unwrap_or(usual);
    let mut all = Seen::default();
    for seed in 0..seeds {
        let _guard = Seed(seed);
        all.add(Run::new(kind, seed).finish());
    }
    assert!(all.replies > 20 * seeds && all.crashes > 2 * seeds, "{all:?}");
    assert!(all.paid > seeds / 2 && all.refunds > seeds && all.expired > seeds, "{all:?}");
    assert!(kind == Kind::OneCore || all.resent > seeds / 4, "{all:?}");
    assert!(kind != Kind::Snapshots || (all.snapshots > seeds / 4 && all.recycled > 0), "{all:?}");
}

#[test]
fn one_core() {
    run_all(Kind::OneCore);
}

#[test]
fn two_cores() {
    run_all(Kind::TwoCores);
}

#[test]
fn a_changing_number_of_cores() {
    run_all(Kind::ChangingCores);
}

/// Large holds fill segments, so that snapshots are taken and segments recycled.
#[test]
fn with_snapshots() {
    run_all(Kind::Snapshots);
}
