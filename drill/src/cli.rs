//! The command line: its options, and what follows from them.

use std::ffi::OsStr;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, value_parser};
use drill::crash::Settings;
use drill::{Launch, time};

use crate::Drill;

pub(crate) const DRIVERS: [&str; 2] = ["uring", "plain"];
/// Writes that must be acknowledged before each crash.
const ACKNOWLEDGED_MIN: u64 = 500;

/// The command with one subcommand for each drill, and `all`.
pub(crate) fn command(drills: &[Drill]) -> Command {
    let subcommand = |drill: &Drill| {
        let command = Command::new(drill.name).about(drill.about).args(options(drill.cycles));
        if drill.has_driver { command.arg(driver_option()) } else { command }
    };
    Command::new("drill")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Starts the built binary, hurts it and audits every answer that it ever gave")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommands(drills.iter().map(subcommand))
        .subcommand(
            Command::new("all")
                .about("Runs every drill, one after the other, with each disk driver")
                .args(options("20")),
        )
}

fn options(cycles: &'static str) -> [Arg; 7] {
    let option = |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help);
    let number = |name, help| option(name, help).value_name("N").value_parser(value_parser!(u64));
    let path = |name, help| option(name, help).value_name("PATH").value_parser(value_parser!(PathBuf));
    [
        number("cycles", "crashes under load").default_value(cycles),
        number("first", "number of the first cycle").default_value("0"),
        number("cycles-per-directory", "cycles on one data directory").alias("era").default_value("50"),
        option("cores", "numbers of cores to choose from")
            .value_name("N")
            .value_parser(value_parser!(u32).range(1..=64))
            .value_delimiter(',')
            .default_value("2,2,2,1,3"),
        path("binary", "the binary to drill").default_value("target/release/interlock"),
        path("data", "where data directories are made: on the disk to drill").default_value("target/drill"),
        number("seed", "repeats the choices of a run, not its timing; a new one without it"),
    ]
}

fn driver_option() -> Arg {
    Arg::new("driver")
        .long("driver")
        .value_name("DRIVER")
        .value_parser(DRIVERS)
        .default_value("uring")
        .help("how the server writes its log")
}

/// The drills that a command runs, each with its disk driver, if it has one.
pub(crate) fn chosen<'a>(
    drills: &'a [Drill],
    name: &str,
    matches: &'a ArgMatches,
) -> Vec<(&'a Drill, Option<&'a str>)> {
    let mut chosen = Vec::new();
    for drill in drills.iter().filter(|drill| name == "all" || drill.name == name) {
        match (drill.has_driver, driver(matches)) {
            (false, _) => chosen.push((drill, None)),
            (true, Some(driver)) => chosen.push((drill, Some(driver))),
            (true, None) => chosen.extend(DRIVERS.map(|driver| (drill, Some(driver)))),
        }
    }
    chosen
}

pub(crate) fn seed(matches: &ArgMatches) -> u64 {
    *matches.get_one::<u64>("seed").unwrap_or(&(time::now_ms() % 1_000_000_000))
}

/// The disk driver, if the subcommand has that option.
pub(crate) fn driver(matches: &ArgMatches) -> Option<&str> {
    matches.try_get_one::<String>("driver").ok().flatten().map(String::as_str)
}

pub(crate) fn launch(matches: &ArgMatches) -> Launch {
    let path = |name: &str| matches.get_one::<PathBuf>(name).expect("it has a default").clone();
    Launch::of(&path("binary"), &path("data"))
}

pub(crate) fn settings(name: &str, driver: Option<&str>, matches: &ArgMatches, seed: u64) -> Settings {
    let number = |name: &str| *matches.get_one::<u64>(name).expect("it has a default");
    Settings {
        command: command_line(name, driver, matches),
        seed,
        first: number("first"),
        cycles: number("cycles"),
        cycles_per_directory: number("cycles-per-directory"),
        cores: matches.get_many::<u32>("cores").expect("it has a default").copied().collect(),
        acknowledged_min: ACKNOWLEDGED_MIN,
    }
}

/// The command of one drill with the options as they were given, but for seed and cycles.
fn command_line(name: &str, driver: Option<&str>, matches: &ArgMatches) -> String {
    let mut line = format!("cargo run -p drill -- {name}");
    if let Some(driver) = driver {
        line.push_str(&format!(" --driver {driver}"));
    }
    for id in ["cycles-per-directory", "cores", "binary", "data"] {
        if matches.value_source(id) == Some(ValueSource::CommandLine) {
            let values: Vec<_> =
                matches.get_raw(id).into_iter().flatten().map(OsStr::to_string_lossy).collect();
            line.push_str(&format!(" --{id} {}", values.join(",")));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DRILLS;

    #[test]
    fn the_command_line_is_consistent() {
        command(&DRILLS).debug_assert();
    }

    #[test]
    fn all_is_every_drill_with_every_driver() {
        let matches = command(&DRILLS).get_matches_from(["drill", "all"]);
        let (name, matches) = matches.subcommand().expect("a drill");
        let chosen = chosen(&DRILLS, name, matches);
        let chosen = chosen.iter().map(|(drill, driver)| format!("{} {}", drill.name, driver.unwrap_or("-")));
        assert_eq!(
            chosen.collect::<Vec<_>>().join(", "),
            "kill -, power uring, power plain, fault uring, fault plain, full uring, full plain, pause -, bridge -, outage -, alerts -, clock -"
        );
    }

    #[test]
    fn a_repeat_names_what_was_given_and_not_the_defaults() {
        let given = ["drill", "power", "--cores", "1,2", "--driver", "plain", "--cycles", "9"];
        let matches = command(&DRILLS).get_matches_from(given);
        let (name, matches) = matches.subcommand().expect("a drill");
        let line = command_line(name, driver(matches), matches);
        assert_eq!(line, "cargo run -p drill -- power --driver plain --cores 1,2");
    }
}
