//! Measurements on the command line.

mod cli;

use std::io;
use std::process::ExitCode;

use clap::ArgMatches;
use perf::commands::engine::{self, Operation};
use perf::commands::floor::{self, Floor};
use perf::commands::{compare, http};

fn main() -> ExitCode {
    let matches = cli::command().get_matches();
    let (name, matches) = matches.subcommand().expect("clap requires one");
    match run(name, matches) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("perf {name}: {e}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, matches: &ArgMatches) -> io::Result<ExitCode> {
    let scratch = tempfile::tempdir()?;
    let setting = || cli::setting(matches, scratch.path());
    let page = match name {
        "http" => {
            let address =
                matches.get_one("address").map(|address| (*address, matches.get_one("pid").copied()));
            http::run(&setting()?, address, &cli::all(matches, "connections"), &cli::all(matches, "load"))?
        }
        "floor" => floor::run(&setting()?, cli::get(matches, "connections"))?,
        "compare" => return compare(matches, &setting()?),
        "engine" => {
            let feed = cli::feed(matches, scratch.path())?;
            let (name, out) =
                (cli::get::<String>(matches, "feed"), cli::get::<std::path::PathBuf>(matches, "out"));
            let (holds, seed) = (cli::get(matches, "holds"), cli::get(matches, "seed"));
            engine::run(feed.as_deref(), &name, holds, seed, &cli::typed(), &out)?
        }
        "engine-count" => {
            let operation = Operation::by_name(&cli::get::<String>(matches, "operation"));
            println!("operations: {}", engine::count(operation.expect("clap knows them all")));
            return Ok(ExitCode::SUCCESS);
        }
        _ => {
            let floor = Floor::by_name(&cli::get::<String>(matches, "runtime")).expect("clap knows them all");
            floor::serve(floor, cli::get(matches, "port"), cli::get(matches, "body-bytes"))?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    println!("report: {}", page.display());
    Ok(ExitCode::SUCCESS)
}

fn compare(matches: &ArgMatches, setting: &perf::commands::Setting) -> io::Result<ExitCode> {
    let (old, new) = (cli::get(matches, "old"), cli::get(matches, "new"));
    let (connections, slices) = (cli::get(matches, "connections"), cli::get(matches, "slices"));
    let (page, percent) = compare::run(setting, old, new, connections, slices)?;
    println!("report: {}", page.display());
    match matches.get_one::<f64>("at-most") {
        Some(most) if percent > *most => {
            println!("dearer by {percent:.1}%, at most {most}% is allowed");
            Ok(ExitCode::FAILURE)
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
