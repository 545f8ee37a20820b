//! The command line of the drills. What fails is printed with one command that repeats it, and its data is kept.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Arg, ArgMatches, Command, value_parser};
use drill::crash::ground::RealDisk;
use drill::crash::{Settings, small_and_soon};
use drill::power::{Faults, PowerCuts};
use drill::{Launch, crash, time};

/// Writes that must be acknowledged before each crash.
const ACKNOWLEDGED_MIN: u64 = 500;

fn main() -> ExitCode {
    let matches = command().get_matches();
    let (name, matches) = matches.subcommand().expect("clap requires one");
    let seed = *matches.get_one::<u64>("seed").unwrap_or(&(time::now_ms() % 1_000_000_000));
    let began = Instant::now();
    let repeat = repeat_with(name, matches, seed);
    println!("{repeat}");
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drill(name, matches, seed)));
    let took = began.elapsed().as_secs_f64();
    match done {
        Ok(()) => {
            println!("drill {name}: passed in {took:.0} s");
            ExitCode::SUCCESS
        }
        Err(_) => {
            eprintln!("drill {name}: FAILED after {took:.0} s; repeat with:\n  {repeat}");
            ExitCode::FAILURE
        }
    }
}

fn drill(name: &str, matches: &ArgMatches, seed: u64) {
    match name {
        "kill" => {
            let launch = small_and_soon(launch(matches));
            let figures = crash::run(&settings(matches, seed), &mut RealDisk::new(launch.home()), &launch);
            println!("{figures}");
        }
        "power" | "fault" => {
            let driver = matches.get_one::<String>("driver").expect("it has a default");
            let launch = small_and_soon(launch(matches)).env("INTERLOCK_DISK", driver);
            if name == "power" {
                let mut cuts = PowerCuts::new(launch.home(), seed);
                println!("{}", crash::run(&settings(matches, seed), &mut cuts, &launch));
                println!("{}", cuts.line());
            } else {
                let mut faults = Faults::new(launch.home(), seed);
                println!("{}", crash::run(&settings(matches, seed), &mut faults, &launch));
                println!("{}", faults.line());
            }
        }
        _ => unreachable!("clap knows the names"),
    }
}

fn launch(matches: &ArgMatches) -> Launch {
    let path = |name: &str| matches.get_one::<PathBuf>(name).expect("it has a default").clone();
    Launch::of(&path("binary"), &path("data"))
}

fn settings(matches: &ArgMatches, seed: u64) -> Settings {
    let number = |name: &str| *matches.get_one::<u64>(name).expect("it has a default");
    Settings {
        seed,
        first: number("first"),
        cycles: number("cycles"),
        era: number("era"),
        cores: matches.get_many::<u32>("cores").expect("it has a default").copied().collect(),
        acknowledged_min: ACKNOWLEDGED_MIN,
    }
}

/// The command that does the same again: every option as given, and the seed.
fn repeat_with(name: &str, matches: &ArgMatches, seed: u64) -> String {
    let mut line = format!("drill {name} --seed {seed}");
    for id in matches.ids().map(clap::Id::as_str).filter(|id| *id != "seed") {
        let given = matches.value_source(id) == Some(clap::parser::ValueSource::CommandLine);
        for value in matches.get_raw(id).filter(|_| given).into_iter().flatten() {
            line.push_str(&format!(" --{id} {}", value.to_string_lossy()));
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
    let kill = Command::new("kill").about("kill -9 under load, restart, audit").args(cycles("100"));
    let driver = Arg::new("driver")
        .long("driver")
        .value_name("DRIVER")
        .value_parser(["uring", "plain"])
        .default_value("uring")
        .help("how the log is written");
    let power = Command::new("power")
        .about("The same, with power cuts: what was not synced is lost, or not (needs FUSE)")
        .args(cycles("100"))
        .arg(&driver);
    let fault = Command::new("fault")
        .about("The same, with a write or a sync that fails before each power cut")
        .args(cycles("30"))
        .arg(&driver);
    Command::new("drill")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Starts the built binary, hurts it, and holds it to every answer that it ever gave")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands([kill, power, fault].map(with_place))
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
