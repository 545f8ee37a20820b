//! Seeds by the thousand: none fails, each is the same run whenever it is run, and together they meet every fault and every
//! race often enough. `SIM_SEEDS=A..B` picks other seeds.

use std::ops::Range;

use sim::counters::SEEDS_MIN;
use sim::run::Choices;
use sim::seeds::{attempt, processors, run_all};

fn range() -> Range<u64> {
    let text = std::env::var("SIM_SEEDS").unwrap_or_else(|_| format!("0..{SEEDS_MIN}"));
    let ends: Option<(u64, u64)> =
        text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let (from, to) = ends.unwrap_or_else(|| panic!("SIM_SEEDS={text} is not a range A..B"));
    from..to
}

#[test]
fn no_seed_fails_and_every_fault_and_race_is_met() {
    let seeds = range();
    let count = seeds.end - seeds.start;
    let sum = run_all(seeds, processors(), 1, Choices::default());
    if let Some(failure) = sum.failures.first() {
        panic!("{failure}");
    }
    println!("{}", sum.counters);
    let missing: Vec<_> = sum.counters.missing().collect();
    assert!(count < SEEDS_MIN || missing.is_empty(), "met too rarely: {missing:?}");
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    let hash = |seed| attempt(seed, Choices::default()).unwrap_or_else(|failure| panic!("{failure}")).hash;
    let seeds = range().start..range().start + 12;
    let hashes: Vec<u64> = seeds.clone().map(hash).collect();
    // In another thread and in another order, so that nothing of one run can be left for the next.
    let again =
        std::thread::spawn(move || seeds.rev().map(hash).collect::<Vec<u64>>()).join().expect("no panic");
    assert!(hashes.iter().eq(again.iter().rev()), "a seed gave two histories: {hashes:x?} and {again:x?}");
    let mut different = hashes.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), hashes.len(), "two seeds gave one history");
}
