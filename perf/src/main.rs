//! Measurements on the command line.

mod cli;

use std::io;
use std::process::ExitCode;

use clap::ArgMatches;
use perf::commands::engine::{self, Operation};
use perf::commands::floor::{self, Floor};
use perf::commands::{
    batch, compare, grpc, http, index, outage, pipeline, read_model, recovery, sinks, steady,
};

/// As the server's, so that memory and instructions are as there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
        "pipeline" => {
            let feed = cli::feed(matches, scratch.path())?;
            let seconds = std::time::Duration::from_secs_f64(cli::get(matches, "seconds"));
            let data = cli::get::<std::path::PathBuf>(matches, "data");
            let plan = pipeline::Plan {
                seconds,
                seed: cli::get(matches, "seed"),
                cores: cli::all(matches, "cores"),
                data,
            };
            pipeline::run(
                feed.as_deref(),
                &plan,
                &cli::typed(),
                &cli::get::<std::path::PathBuf>(matches, "out"),
            )?
        }
        "recovery" => {
            recovery::run(&setting()?, cli::get(matches, "connections"), cli::get(matches, "holds"))?
        }
        "steady" => {
            let (percent, windows) = (cli::get(matches, "percent"), cli::get(matches, "windows"));
            let trains = cli::get(matches, "trains");
            steady::run(&setting()?, cli::get(matches, "connections"), percent, windows, trains)?
        }
        "read-model" => {
            let (orders, rounds) = (cli::get(matches, "orders"), cli::get(matches, "rounds"));
            let cpu = matches.get_one("read-model-cpu").copied();
            let workload = if matches.get_flag("batches") { "batched-orders" } else { "orders" };
            read_model::run(&setting()?, workload, cli::get(matches, "connections"), orders, rounds, cpu)?
        }
        "outage" => {
            let (orders, rounds) = (cli::get(matches, "orders"), cli::get(matches, "rounds"));
            outage::run(&setting()?, cli::get(matches, "connections"), orders, rounds)?
        }
        "sinks" => {
            let (orders, rounds) = (cli::get(matches, "orders"), cli::get(matches, "rounds"));
            sinks::run(&setting()?, cli::get(matches, "connections"), orders, rounds)?
        }
        "grpc" => {
            let (rate, calls) = (cli::get(matches, "rate"), cli::get(matches, "calls"));
            let rounds = cli::get(matches, "rounds");
            grpc::run(&setting()?, cli::get(matches, "connections"), rate, calls, rounds)?
        }
        "batch" => {
            let (operations, rounds) = (cli::get(matches, "operations"), cli::get(matches, "rounds"));
            let pace = cli::get(matches, "pace");
            batch::run(&setting()?, cli::get(matches, "connections"), operations, rounds, pace)?
        }
        "index" => index::run(&cli::get::<std::path::PathBuf>(matches, "out"))?,
        "engine-count" => {
            let operation = Operation::by_name(&cli::get::<String>(matches, "operation"));
            let timetable =
                engine::load(matches.get_one::<std::path::PathBuf>("feed").map(std::path::PathBuf::as_path))?;
            println!("operations: {}", engine::count(operation.expect("clap knows them all"), timetable));
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
    let (page, change) = compare::run(setting, old, new, connections, slices)?;
    println!("report: {}", page.display());
    let Some(&most) = matches.get_one::<f64>("at-most") else { return Ok(ExitCode::SUCCESS) };
    if change.is_difference() && change.median * 100.0 > most {
        println!("dearer by {:.1}%, at most {most}% is allowed", change.median * 100.0);
        return Ok(ExitCode::FAILURE);
    }
    if change.high * 100.0 > most {
        println!(
            "the slices are too few or too noisy to rule out {most}%: it may be up to {:.1}%",
            change.high * 100.0
        );
    }
    Ok(ExitCode::SUCCESS)
}
