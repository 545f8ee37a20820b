//! The drills on the command line. What fails is printed with one command that repeats it, and its data is kept.

mod cli;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use clap::ArgMatches;
use drill::clock::ClockJumps;
use drill::crash::fault_injector::{FaultInjector, ProcessKills};
use drill::crash::{Settings, with_small_limits};
use drill::pause::Pauses;
use drill::power::{DiskFaults, PowerCuts};
use drill::{Launch, alerts, bridge, crash, full, outage};

struct Drill {
    name: &'static str,
    /// Crashes under load, where the command line does not say.
    cycles: &'static str,
    /// Runs once for each disk driver in `drill all`.
    has_driver: bool,
    run: fn(&Settings, &Launch),
    about: &'static str,
}

/// In the order of `drill all`. The clock is last: from then on times in answers cannot be compared with ours.
const DRILLS: [Drill; 9] = [
    Drill {
        name: "kill",
        cycles: "100",
        has_driver: false,
        run: |settings, launch| crash_drill(settings, &mut ProcessKills::new(launch.home()), launch),
        about: "Kills the server under load and during starts (kill -9), restarts it and audits every answer",
    },
    Drill {
        name: "power",
        cycles: "100",
        has_driver: true,
        run: |settings, launch| crash_drill(settings, &mut PowerCuts::new(launch.home()), launch),
        about: "The same with power cuts: any part of what was not synced is lost (needs FUSE)",
    },
    Drill {
        name: "fault",
        cycles: "30",
        has_driver: true,
        run: |settings, launch| crash_drill(settings, &mut DiskFaults::new(launch.home()), launch),
        about: "The same, with a write or a sync that fails before each power cut (needs FUSE)",
    },
    Drill {
        name: "full",
        cycles: "20",
        has_driver: true,
        run: |settings, launch| println!("{}", full::run(launch, settings)),
        about: "Fills the disk, restarts the server on it and makes room again; a round counts as five cycles (needs FUSE)",
    },
    Drill {
        name: "pause",
        cycles: "30",
        has_driver: false,
        run: |settings, launch| crash_drill(settings, &mut Pauses::new(launch.home()), launch),
        about: "Stops the process for longer than its holds last, lets it go on and kills it",
    },
    Drill {
        name: "bridge",
        cycles: "100",
        has_driver: false,
        run: |settings, launch| println!("{}", bridge::run(settings, launch)),
        about: "Kills the server, locks and fills its read model while it sells, and compares HTTP, SQLite and what clients were told; a cycle is 1,000 orders (root, to fill a disk)",
    },
    Drill {
        name: "outage",
        cycles: "3",
        has_driver: false,
        run: |settings, launch| {
            let launch = launch.clone().env("PAYMENT_CALLBACK_SIGN_KEY", "the drill's");
            println!("{}", outage::run(&launch, &launch.home().join("services"), settings.cycles));
        },
        about: "Stops MySQL, Redis and Kafka one after the other while orders are paid; everything arrives once (Debian, as root, where they are not installed)",
    },
    Drill {
        name: "alerts",
        cycles: "1",
        has_driver: false,
        run: |_, launch| alerts::run(launch),
        about: "Locks the read model and moves the clock until Prometheus sounds four alerts, and quiets them (needs Prometheus, libfaketime)",
    },
    Drill {
        name: "clock",
        cycles: "30",
        has_driver: false,
        run: |settings, launch| {
            let mut jumps = ClockJumps::new(launch.home());
            let launch = jumps.under_its_clock(launch.clone());
            crash_drill(settings, &mut jumps, &launch);
        },
        about: "Moves the wall clock back and forward under load (needs libfaketime)",
    },
];

fn crash_drill(settings: &Settings, injector: &mut dyn FaultInjector, launch: &Launch) {
    println!("{}", crash::run(settings, injector, &with_small_limits(launch)));
    println!("{}", injector.summary());
}

fn main() -> ExitCode {
    let matches = cli::command(&DRILLS).get_matches();
    let (name, matches) = matches.subcommand().expect("clap requires one");
    let seed = cli::seed(matches);
    let started = Instant::now();
    // A drill panics with what it finds, and has printed it by then.
    let passed = catch_unwind(AssertUnwindSafe(|| {
        for (drill, driver) in cli::chosen(&DRILLS, name, matches) {
            run(drill, driver, matches, seed);
        }
    }))
    .is_ok();
    let took = started.elapsed().as_secs_f64();
    if passed {
        println!("drill {name}: passed in {took:.0} s");
        ExitCode::SUCCESS
    } else {
        eprintln!("drill {name}: FAILED after {took:.0} s");
        ExitCode::FAILURE
    }
}

fn run(drill: &Drill, driver: Option<&str>, matches: &ArgMatches, seed: u64) {
    let mut launch = cli::launch(matches);
    if let Some(driver) = driver {
        launch = launch.env("INTERLOCK_DISK", driver);
    }
    let settings = cli::settings(drill.name, driver, matches, seed);
    println!("{} --seed {seed} --first {} --cycles {}", settings.command, settings.first, settings.cycles);
    // The launch goes last: with it goes the directory on which a disk may be mounted.
    (drill.run)(&settings, &launch);
}
