//! The command line of the drills. What fails is printed with one command that repeats it, and its data is kept.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, value_parser};
use drill::clock::Jumps;
use drill::crash::ground::RealDisk;
use drill::crash::{Settings, small_and_soon};
use drill::pause::Pauses;
use drill::power::{Faults, PowerCuts};
use drill::{Launch, crash, full, time};

/// Writes that must be acknowledged before each crash.
const ACKNOWLEDGED_MIN: u64 = 500;
/// What `drill all` runs, and with which driver. The clock is last: from then on times in answers count no more.
const ALL: [(&str, Option<&str>); 9] = [
    ("kill", None),
    ("power", Some("uring")),
    ("power", Some("plain")),
    ("fault", Some("uring")),
    ("fault", Some("plain")),
    ("full", Some("uring")),
    ("full", Some("plain")),
    ("pause", None),
    ("clock", None),
];

fn main() -> ExitCode {
    let matches = command().get_matches();
    let (name, matches) = matches.subcommand().expect("clap requires one");
    let seed = *matches.get_one::<u64>("seed").unwrap_or(&(time::now_ms() % 1_000_000_000));
    let began = Instant::now();
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drill(name, matches, seed)));
    let took = began.elapsed().as_secs_f64();
    match done {
        Ok(()) => {
            println!("drill {name}: passed in {took:.0} s");
            ExitCode::SUCCESS
        }
        Err(_) => {
            eprintln!("drill {name}: FAILED after {took:.0} s");
            ExitCode::FAILURE
        }
    }
}

fn drill(name: &str, matches: &ArgMatches, seed: u64) {
    if name != "all" {
        let driver = matches.try_get_one::<String>("driver").ok().flatten();
        return one(name, driver.map(String::as_str), matches, seed);
    }
    for (name, driver) in ALL {
        one(name, driver, matches, seed);
    }
}

/// One drill; `driver` writes the log, where the drill cares.
fn one(name: &str, driver: Option<&str>, matches: &ArgMatches, seed: u64) {
    let mut launch = launch(matches);
    if let Some(driver) = driver {
        launch = launch.env("INTERLOCK_DISK", driver);
    }
    let settings = settings(name, driver, matches, seed);
    println!("{} --seed {seed} --first {} --cycles {}", settings.command, settings.first, settings.cycles);
    let soon = small_and_soon(launch.clone());
    match name {
        "kill" => println!("{}", crash::run(&settings, &mut RealDisk::new(launch.home()), &soon)),
        "pause" => {
            let mut pauses = Pauses::new(launch.home(), seed);
            println!("{}", crash::run(&settings, &mut pauses, &soon));
            println!("stood still for {:.0?} in all", pauses.stood);
        }
        "power" => {
            let mut cuts = PowerCuts::new(launch.home(), seed);
            println!("{}", crash::run(&settings, &mut cuts, &soon));
            println!("{}", cuts.line());
        }
        "fault" => {
            let mut faults = Faults::new(launch.home(), seed);
            println!("{}", crash::run(&settings, &mut faults, &soon));
            println!("{}", faults.line());
        }
        "full" => println!("{}", full::run(&launch, &settings)),
        "clock" => {
            let (mut jumps, soon) = Jumps::new(soon, launch.home(), seed);
            println!("{}", crash::run(&settings, &mut jumps, &soon));
            println!(
                "{} jumps of the wall clock; {} holds lasted over one as long as they should",
                jumps.jumps, jumps.lasted
            );
        }
        _ => unreachable!("clap knows the names"),
    }
}

fn launch(matches: &ArgMatches) -> Launch {
    let path = |name: &str| matches.get_one::<PathBuf>(name).expect("it has a default").clone();
    Launch::of(&path("binary"), &path("data"))
}

fn settings(name: &str, driver: Option<&str>, matches: &ArgMatches, seed: u64) -> Settings {
    let number = |name: &str| *matches.get_one::<u64>(name).expect("it has a default");
    Settings {
        command: command_of(name, driver, matches),
        seed,
        first: number("first"),
        cycles: number("cycles"),
        era: number("era"),
        cores: matches.get_many::<u32>("cores").expect("it has a default").copied().collect(),
        acknowledged_min: ACKNOWLEDGED_MIN,
    }
}

/// The command of one drill with the options as they were given, but for seed and cycles.
fn command_of(name: &str, driver: Option<&str>, matches: &ArgMatches) -> String {
    let mut line = format!("cargo run -p drill -- {name}");
    if let Some(driver) = driver {
        line.push_str(&format!(" --driver {driver}"));
    }
    for id in ["era", "cores", "binary", "data"] {
        if matches.value_source(id) == Some(ValueSource::CommandLine) {
            let values: Vec<_> =
                matches.get_raw(id).into_iter().flatten().map(OsStr::to_string_lossy).collect();
            line.push_str(&format!(" --{id} {}", values.join(",")));
        }
    }
    line
}

fn command() -> Command {
    let cycles = |default: &'static str| {
        [
            number("cycles", default, "how many crashes under load"),
            number("first", "0", "the number of the first cycle"),
            number("era", "50", "cycles on one data directory"),
            Arg::new("cores")
                .long("cores")
                .value_name("N")
                .value_parser(value_parser!(u32).range(1..=64))
                .value_delimiter(',')
                .default_value("2,2,2,1,3")
                .help("numbers of cores to choose from"),
        ]
    };
    let driver = Arg::new("driver")
        .long("driver")
        .value_name("DRIVER")
        .value_parser(["uring", "plain"])
        .default_value("uring")
        .help("how the log is written");
    let of = |name: &'static str, default: &'static str, about: &'static str| {
        Command::new(name).about(about).args(cycles(default))
    };
    let drills = [
        of("kill", "100", "kill -9 under load and during starts, restart, audit"),
        of("power", "100", "The same with power cuts: what was not synced is lost, or not (needs FUSE)")
            .arg(&driver),
        of("fault", "30", "The same, with a write or a sync that fails before each power cut (needs FUSE)")
            .arg(&driver),
        of(
            "full",
            "20",
            "The disk fills up, is full while the server starts, and has room again; a round for five cycles (needs FUSE)",
        )
        .arg(&driver),
        of("pause", "30", "The server stands still for longer than its holds last, then goes on"),
        of("clock", "30", "The wall clock jumps back and forward (needs libfaketime)"),
        of("all", "20", "All of them, one after the other"),
    ];
    Command::new("drill")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Starts the built binary, hurts it, and holds it to every answer that it ever gave")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(drills.map(with_place))
}

fn with_place(command: Command) -> Command {
    let path = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name)
            .long(name)
            .value_name("PATH")
            .value_parser(value_parser!(PathBuf))
            .default_value(default)
            .help(help)
    };
    command
        .arg(path("binary", "target/release/interlock", "the binary to drill"))
        .arg(path("data", "target/drill", "where data directories are made, on the disk to drill"))
        .arg(
            Arg::new("seed")
                .long("seed")
                .value_name("N")
                .value_parser(value_parser!(u64))
                .help("repeats a run's choices, not its timing; without it a new one"),
        )
}

fn number(name: &'static str, default: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("N")
        .value_parser(value_parser!(u64))
        .default_value(default)
        .help(help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn a_repeat_names_what_was_given_and_not_the_defaults() {
        let given = ["drill", "power", "--cores", "1,2", "--driver", "plain", "--cycles", "9"];
        let matches = command().get_matches_from(given);
        let (name, matches) = matches.subcommand().expect("a drill");
        assert_eq!(
            command_of(name, Some("plain"), matches),
            "cargo run -p drill -- power --driver plain --cores 1,2"
        );
    }
}
