//! Short runs of the drills: `kill -9`, power cuts and failing writes under load and during starts, a full disk, a process that
//! stands still, a read model that is locked, full or behind; and an audit of every answer.
//!
//! `INTERLOCK_DRILL_SEED` repeats the choices of a run (not its timing). `make drill CYCLES=1000` is the long one.

use std::time::Duration;

use drill::bridge::plan::Fault;
use drill::crash::fault_injector::{FaultInjector, ProcessKills};
use drill::crash::kill_points::KillPoint;
use drill::crash::{Settings, run, with_small_limits};
use drill::pause::Pauses;
use drill::power::{DiskFaults, PowerCuts, mount_error};
use drill::{bridge, full};

use crate::support::time::now_ms;
use crate::support::{Launch, skipped};

/// Kills under load.
const CYCLES: u64 = 25;
/// Power cuts under load, with each driver.
const POWER_CUTS: u64 = 4;
/// Writes and syncs that fail, with each driver.
const FAILURES: u64 = 4;
/// Runs of that until something has failed.
const FAILURE_RUNS_MAX: usize = 5;
/// How often the process stands still.
const PAUSES: u64 = 3;
/// Thousands of orders, each thousand with every fault of the read model.
const THOUSANDS_OF_ORDERS: u64 = 1;
/// Writes that must be acknowledged before each.
const ACKNOWLEDGED_MIN: u64 = 500;

/// Catches: see `drill/src/crash/audit.rs`.
#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let seed = seed();
    let settings = settings("kill", seed, CYCLES);
    let launch = with_small_limits(&Launch::new());
    let figures = run(&settings, &mut ProcessKills::new(launch.home()), &launch);
    println!("{figures}");
    assert!(figures.acknowledged >= CYCLES * ACKNOWLEDGED_MIN);
    assert!(figures.of(KillPoint::Start) > 0, "starts were killed");
}

/// Catches: what is acknowledged, or relied on, before it is synced.
#[test]
fn nothing_acknowledged_is_lost_by_power_cuts() {
    let seed = seed();
    for_each_driver(|driver, launch| {
        let settings = settings(&format!("power --driver {driver}"), seed, POWER_CUTS);
        let mut cuts = PowerCuts::new(launch.home());
        println!("{}\n{}", run(&settings, &mut cuts, &with_small_limits(&launch)), cuts.summary());
    });
}

/// Catches: a process that goes on after a write or a sync of its log has failed.
#[test]
fn nothing_acknowledged_is_lost_by_failing_writes() {
    let seed = seed();
    for_each_driver(|driver, launch| {
        let mut faults = DiskFaults::new(launch.home());
        // So few cycles may have crashes of starts and stops alone.
        for seed in (seed..).take(FAILURE_RUNS_MAX) {
            let settings = settings(&format!("fault --driver {driver}"), seed, FAILURES);
            println!("{}\n{}", run(&settings, &mut faults, &with_small_limits(&launch)), faults.summary());
            if faults.happened.iter().sum::<u64>() > 0 {
                return;
            }
        }
        panic!("no write and no sync has failed");
    });
}

/// Catches: a sale that a full disk swallows; a payment, a cancellation or a start that it prevents.
#[test]
fn a_full_disk_refuses_new_sales_and_nothing_else() {
    let seed = seed();
    for_each_driver(|driver, launch| {
        let figures = full::run(&launch, &settings(&format!("full --driver {driver}"), seed, 1));
        println!("{figures}");
        assert!(figures.refused > 0 && figures.paid_while_full > 0 && figures.cancelled_while_full > 0);
    });
}

/// Catches: a hold that lives on, or money that is taken for it, where the process stood still for longer than holds last.
#[test]
fn what_fell_due_while_it_stood_still_expires() {
    let seed = seed();
    let launch = Launch::new();
    let mut pauses = Pauses::new(launch.home());
    println!("{}", run(&settings("pause", seed, PAUSES), &mut pauses, &with_small_limits(&launch)));
    assert!(pauses.stopped > Duration::ZERO);
}

/// Catches: a row or an event that the read model loses, has twice or takes back, however it was hurt; a sale that waits for it.
#[test]
fn the_read_model_agrees_with_http_whatever_was_hurt() {
    let figures = bridge::run(&settings("bridge", seed(), THOUSANDS_OF_ORDERS), &Launch::new());
    println!("{figures}");
    let met = |fault: Fault| figures.faults.get(&fault).map_or(0, |(count, _)| *count);
    assert!(
        Fault::ALL.into_iter().all(|fault| fault.needs_small_disk() || met(fault) == THOUSANDS_OF_ORDERS)
    );
    assert!(
        figures.noticed.values().all(|count| *count > 0),
        "what was to take it down did not: {:?}",
        figures.noticed
    );
    assert!(figures.acknowledged_meanwhile > 0);
    // All but creations that a fault cut off, whose clients gave them up.
    assert!(figures.found.orders.values().sum::<u64>() >= 900);
    if met(Fault::FullDisk) == 0 {
        skipped("nothing can be mounted here: the disk of the read model was not filled");
    }
}

/// Over the disk that fails on demand. A machine that lets nobody mount by FUSE (root, or `fusermount3`) skips it.
fn for_each_driver(test: impl Fn(&str, Launch)) {
    for driver in ["uring", "plain"] {
        let launch = Launch::new().env("INTERLOCK_DISK", driver);
        if let Some(reason) = mount_error(launch.home()) {
            skipped(&format!("there is no FUSE here: {reason}"));
            return;
        }
        test(driver, launch);
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
        command: format!(
            "cargo run -p drill -- {drill} --cycles-per-directory {CYCLES} --binary target/debug/interlock"
        ),
        seed,
        first: 0,
        cycles,
        cycles_per_directory: CYCLES,
        cores: vec![2, 2, 2, 1, 3],
        acknowledged_min: ACKNOWLEDGED_MIN,
    }
}
