//! A short run of the crash drill: `kill -9` under load and during starts, and an audit of every answer.
//!
//! `INTERLOCK_DRILL_SEED` repeats the choices of a run (not its timing). `make drill CYCLES=1000` is the long one.

use drill::crash::ground::RealDisk;
use drill::crash::moments::Moment;
use drill::crash::{Settings, run, small_and_soon};

use crate::support::Launch;
use crate::support::time::now_ms;

/// Kills under load.
const CYCLES: u64 = 25;
/// Writes that must be acknowledged before each.
const ACKNOWLEDGED_MIN: u64 = 500;

/// Catches: see `drill/src/crash/audit.rs`.
#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let seed = std::env::var("INTERLOCK_DRILL_SEED")
        .map_or_else(|_| now_ms(), |seed| seed.parse().unwrap_or_else(|_| panic!("{seed} is no number")));
    println!("INTERLOCK_DRILL_SEED={seed}");
    let settings = Settings {
        command: format!("cargo run -p drill -- kill --era {CYCLES} --binary target/debug/interlock"),
        seed,
        first: 0,
        cycles: CYCLES,
        era: CYCLES,
        cores: vec![2, 2, 2, 1, 3],
        acknowledged_min: ACKNOWLEDGED_MIN,
    };
    let launch = small_and_soon(Launch::new());
    let figures = run(&settings, &mut RealDisk::new(launch.home()), &launch);
    println!("{figures}");
    assert!(figures.acknowledged >= CYCLES * ACKNOWLEDGED_MIN);
    assert!(figures.of(Moment::Start) > 0, "starts were killed");
}
