//! Short runs of the crash drill: `kill -9` or a power cut under load and during starts, and an audit of every answer.
//!
//! `INTERLOCK_DRILL_SEED` repeats the choices of a run (not its timing). `make drill CYCLES=1000` is the long one.

use drill::crash::ground::RealDisk;
use drill::crash::moments::Moment;
use drill::crash::{Settings, run, small_and_soon};
use drill::power::{PowerCuts, why_not};

use crate::support::Launch;
use crate::support::time::now_ms;

/// Kills under load.
const CYCLES: u64 = 25;
/// Power cuts under load, with each driver.
const POWER_CUTS: u64 = 4;
/// Writes that must be acknowledged before each.
const ACKNOWLEDGED_MIN: u64 = 500;

/// Catches: see `drill/src/crash/audit.rs`.
#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let seed = seed();
    let settings = settings("kill", seed, CYCLES);
    let launch = small_and_soon(Launch::new());
    let figures = run(&settings, &mut RealDisk::new(launch.home()), &launch);
    println!("{figures}");
    assert!(figures.acknowledged >= CYCLES * ACKNOWLEDGED_MIN);
    assert!(figures.of(Moment::Start) > 0, "starts were killed");
}

/// Catches: what is acknowledged, or relied on, before it is synced; with either disk driver. A machine that lets
/// nobody mount by FUSE (root, or `fusermount3`) skips it.
#[test]
fn nothing_acknowledged_is_lost_by_power_cuts() {
    let seed = seed();
    for driver in ["uring", "plain"] {
        let launch = small_and_soon(Launch::new()).env("INTERLOCK_DISK", driver);
        if let Some(reason) = why_not(launch.home()) {
            eprintln!("SKIPPED: power cuts (no FUSE here: {reason})");
            return;
        }
        let settings = settings(&format!("power --driver {driver}"), seed, POWER_CUTS);
        let mut cuts = PowerCuts::new(launch.home(), seed);
        println!("{}\n{}", run(&settings, &mut cuts, &launch), cuts.line());
    }
}

fn seed() -> u64 {
    let seed = std::env::var("INTERLOCK_DRILL_SEED")
        .map_or_else(|_| now_ms(), |seed| seed.parse().unwrap_or_else(|_| panic!("{seed} is no number")));
    println!("INTERLOCK_DRILL_SEED={seed}");
    seed
}

fn settings(drill: &str, seed: u64, cycles: u64) -> Settings {
    Settings {
        command: format!("cargo run -p drill -- {drill} --era {CYCLES} --binary target/debug/interlock"),
        seed,
        first: 0,
        cycles,
        era: CYCLES,
        cores: vec![2, 2, 2, 1, 3],
        acknowledged_min: ACKNOWLEDGED_MIN,
    }
}
