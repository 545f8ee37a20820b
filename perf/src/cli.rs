//! The command line.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use perf::commands::Setting;
use perf::commands::engine::Operation;
use perf::commands::floor::Floor;
use perf::figures::Load;
use perf::machine;
use perf::target::{self, Start};
use perf::workloads::{self, Choice};

pub(crate) fn command() -> Command {
    let workloads: Vec<&str> = workloads::ALL.iter().map(|choice| choice.name).collect();
    let about = workloads::ALL.iter().map(|choice| format!("  {}: {}", choice.name, choice.about));
    let about = format!("Workloads:\n{}", about.collect::<Vec<_>>().join("\n"));
    let server = path("server", "the binary to measure").default_value("target/release/interlock");
    let load = move || {
        vec![
            option("workload", "what clients ask for; below")
                .value_parser(workloads.clone())
                .default_value("sale-opening"),
            option("server-cpus", "processors of the server, one core each; default: the first")
                .value_name("N,N")
                .value_delimiter(',')
                .value_parser(value_parser!(usize)),
            option("generator-cpus", "processors of the generator; default: all others")
                .value_name("N,N")
                .value_delimiter(',')
                .value_parser(value_parser!(usize)),
            option("warm-up", "seconds before each measurement")
                .value_parser(value_parser!(f64))
                .default_value("1"),
            option("hold-ttl-secs", "how long a hold lasts")
                .value_parser(value_parser!(u32))
                .default_value("3600"),
            option("state-bytes", "memory that the server may use")
                .value_parser(value_parser!(u64))
                .default_value("17179869184"),
            option("serve", "one more argument of the server; may come again")
                .value_name("ARG")
                .allow_hyphen_values(true)
                .action(ArgAction::Append),
            path("data", "where data directories are made: on the disk to measure")
                .default_value("target/perf/data"),
        ]
    };
    let connections = |default: &'static str| {
        option("connections", "connections to the server")
            .value_name("N")
            .value_delimiter(',')
            .value_parser(value_parser!(usize))
            .default_value(default)
    };
    let seconds = |default: &'static str| {
        option("seconds", "seconds of each measurement")
            .value_parser(value_parser!(f64))
            .default_value(default)
    };
    Command::new("perf")
        .about("Measures Interlock; each command writes figures.json and index.html, http also latency.hlog")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            Command::new("http")
                .about("The ceiling by a closed loop, then latency by load from an open one")
                .after_help(about.clone())
                .args(load())
                .args(common("target/perf/http"))
                .args([
                    server.clone(),
                    connections("64,1000,10000"),
                    seconds("5"),
                    option("load", "shares of the ceiling, in per cent")
                        .value_name("PERCENT")
                        .value_delimiter(',')
                        .value_parser(value_parser!(f64))
                        .default_value("10,20,30,40,50,60,70,80,90,100,110"),
                    option("address", "a server that runs already: its gateway")
                        .value_name("HOST:PORT")
                        .value_parser(value_parser!(SocketAddr)),
                    option("pid", "its process, for CPU time").value_parser(value_parser!(u32)).requires("address"),
                ]),
        )
        .subcommand(
            Command::new("floor")
                .about("The server beside the same HTTP stacks that answer a constant; the generator's own ceiling")
                .after_help(about.clone())
                .args(load())
                .args(common("target/perf/floor"))
                .args([server, connections("64"), seconds("5")]),
        )
        .subcommand(
            Command::new("compare")
                .about("Two binaries beside each other in interleaved slices: CPU time and throughput")
                .after_help(about)
                .args([Arg::new("old").required(true), Arg::new("new").required(true)].map(|arg| arg.value_parser(value_parser!(PathBuf))))
                .args(load())
                .args(common("target/perf/compare"))
                .args([
                    connections("64"),
                    seconds("0.5"),
                    option("slices", "how often each is loaded").value_parser(value_parser!(u32).range(5..)).default_value("40"),
                    option("at-most", "fail if the new one is dearer by more than so many per cent")
                        .value_name("PERCENT")
                        .value_parser(value_parser!(f64)),
                ]),
        )
        .subcommand(
            Command::new("engine")
                .about("Decide and apply alone: a day of a timetable, operations a second of one core, memory")
                .args(common("target/perf/engine"))
                .arg(option("holds", "holds that the day asks for").value_parser(value_parser!(u64).range(100..)).default_value("2000000")),
        )
        .subcommand(
            Command::new("pipeline")
                .about("Engine and log with durable batches, without network: batches from 1 to 8,192")
                .args(common("target/perf/pipeline"))
                .args([
                    seconds("2"),
                    option("cores", "cores at once, each with its own log; default: one, then all")
                        .value_name("N")
                        .value_delimiter(',')
                        .value_parser(value_parser!(u16).range(1..=256)),
                    path("data", "where data directories are made: on the disk to measure").default_value("target/perf/data"),
                ]),
        )
        .subcommand(
            Command::new("recovery")
                .about("Restarts after a kill: time and bytes, with another number of cores as well")
                .args(load())
                .args(common("target/perf/recovery"))
                .args([
                    path("server", "the binary to measure").default_value("target/release/interlock"),
                    connections("64"),
                    seconds("2"),
                    option("holds", "holds before the kill").value_parser(value_parser!(u64)).default_value("1000000"),
                ]),
        )
        .subcommand(
            Command::new("steady")
                .about("One load for long: throughput, p99 and memory by window; give --hold-ttl-secs 1 to meet everything that comes round")
                .args(load())
                .args(common("target/perf/steady"))
                .args([
                    path("server", "the binary to measure").default_value("target/release/interlock"),
                    connections("64"),
                    seconds("10"),
                    option("percent", "share of the ceiling").value_parser(value_parser!(f64)).default_value("70"),
                    option("windows", "how many windows").value_parser(value_parser!(u32).range(1..)).default_value("12"),
                    option("trains", "trains of a sale opening, which go on sale again and again: open partitions are kept, and would grow")
                        .value_parser(clap::builder::RangedU64ValueParser::<usize>::new().range(1..))
                        .default_value("70"),
                ]),
        )
        .subcommand(
            Command::new("read-model")
                .about("Whole orders into the read model: how many, how soon they are seen there, what they cost, and what the sale notices of a read model that is down")
                .args(load())
                .args(common("target/perf/read-model"))
                .args([
                    path("server", "the binary to measure").default_value("target/release/interlock"),
                    connections("64"),
                    seconds("20"),
                    option("orders", "orders a second; half as many where it is not how many that is measured")
                        .value_parser(value_parser!(u32).range(10..))
                        .default_value("5000"),
                    option("batches", "orders by batches: the generator leaves its processor to others").action(ArgAction::SetTrue),
                    option("read-model-cpu", "processor of the thread that fills it; default: those of the server").value_parser(value_parser!(usize)),
                    option("rounds", "how often it is down, and catches up").value_parser(value_parser!(u32).range(1..)).default_value("3"),
                ]),
        )
        .subcommand(
            Command::new("outage")
                .about("What a sale notices while MySQL, Redis and Kafka stand still, and while what they missed drains (services of `scripts/services.sh`)")
                .args(load())
                .args(common("target/perf/outage"))
                .args([
                    path("server", "the binary to measure").default_value("target/release/interlock"),
                    connections("64"),
                    seconds("60"),
                    option("orders", "orders a second").value_parser(value_parser!(u32).range(10..)).default_value("1500"),
                    option("rounds", "how often they stand still").value_parser(value_parser!(u32).range(1..)).default_value("2"),
                ]),
        )
        .subcommand(
            Command::new("sinks")
                .about("Orders a second that MySQL, Redis and Kafka take, each alone beside a sale (services of `scripts/services.sh`)")
                .args(load())
                .args(common("target/perf/sinks"))
                .args([
                    path("server", "the binary to measure").default_value("target/release/interlock"),
                    connections("64"),
                    seconds("20"),
                    option("orders", "orders a second").value_parser(value_parser!(u32).range(10..)).default_value("3500"),
                    option("rounds", "how often each is measured").value_parser(value_parser!(u32).range(1..)).default_value("3"),
                ]),
        )
        .subcommand(
            Command::new("grpc")
                .about("What a sale by HTTP notices of the seat allocator's port, and what a call of it costs")
                .args(load())
                .args(common("target/perf/grpc"))
                .args([
                    path("server", "the binary to measure").default_value("target/release/interlock"),
                    connections("64"),
                    seconds("10"),
                    option("rate", "arrivals by HTTP a second").value_parser(value_parser!(u32).range(1..)).default_value("2000"),
                    option("calls", "calls of gRPC a second").value_parser(value_parser!(u32).range(16..)).default_value("1000"),
                    option("rounds", "how often each is measured").value_parser(value_parser!(u32).range(1..)).default_value("3"),
                ]),
        )
        .subcommand(
            Command::new("batch")
                .about("Batches beside the same operations alone, what others notice of them, and purchases beside orders")
                .args(load())
                .args(common("target/perf/batch"))
                .args([
                    path("server", "the binary to measure").default_value("target/release/interlock"),
                    connections("64"),
                    seconds("3"),
                    option("operations", "operations of a batch")
                        .value_parser(clap::builder::RangedU64ValueParser::<usize>::new().range(1..=8192))
                        .default_value("8192"),
                    option("pace", "single holds a second beside batches").value_parser(value_parser!(f64)).default_value("2000"),
                    option("rounds", "how often").value_parser(value_parser!(u32).range(1..)).default_value("3"),
                ]),
        )
        .subcommand(
            Command::new("index")
                .about("One page over all reports")
                .arg(path("out", "the directory of the reports").default_value("target/perf")),
        )
        .subcommand(
            Command::new("engine-count")
                .about("Runs one operation for callgrind (perf/tests/instructions.rs)")
                .hide(true)
                .arg(Arg::new("operation").required(true).value_parser(Operation::ALL.map(Operation::name)))
                .arg(path("feed", "a GTFS feed in place of the built-in timetable")),
        )
        .subcommand(
            Command::new("floor-server").about("The server of a floor").hide(true).args([
                option("runtime", "").value_parser(Floor::ALL.map(Floor::name)).required(true),
                option("body-bytes", "").value_parser(value_parser!(usize)).required(true),
                option("port", "").value_parser(value_parser!(u16)).required(true),
            ]),
        )
}

fn option(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help)
}

fn path(name: &'static str, help: &'static str) -> Arg {
    option(name, help).value_name("PATH").value_parser(value_parser!(PathBuf))
}

fn common(out: &'static str) -> Vec<Arg> {
    vec![
        option("feed", "timetable: national, built-in, or the path of a GTFS feed")
            .value_name("FEED")
            .default_value("national"),
        option("seed", "of arrivals and wishes").value_parser(value_parser!(u64)).default_value("1"),
        path("out", "where the report goes").default_value(out),
    ]
}

pub(crate) fn get<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> T {
    matches.get_one::<T>(name).expect("it has a default").clone()
}

pub(crate) fn all<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Vec<T> {
    matches.get_many::<T>(name).map(|values| values.cloned().collect()).unwrap_or_default()
}

/// The command line as it was typed, for reports.
pub(crate) fn typed() -> String {
    let args = std::env::args().skip(1);
    std::iter::once("perf".to_owned()).chain(args).collect::<Vec<_>>().join(" ")
}

/// The feed's directory; `None` for the built-in timetable.
pub(crate) fn feed(matches: &ArgMatches, scratch: &Path) -> io::Result<Option<PathBuf>> {
    target::feed(&get::<String>(matches, "feed"), &scratch.join("feed"))
}

/// `scratch` is a directory that outlives the measurement.
pub(crate) fn setting(matches: &ArgMatches, scratch: &Path) -> io::Result<Setting> {
    let (server, generator) =
        processors(&all(matches, "server-cpus"), &all(matches, "generator-cpus"), &machine::cpus());
    let binary = matches.try_get_one::<PathBuf>("server").ok().flatten();
    Ok(Setting {
        start: Start {
            binary: binary.cloned().unwrap_or_default(),
            parent: get(matches, "data"),
            cpus: server,
            feed: feed(matches, scratch)?,
            hold_ttl_secs: get(matches, "hold-ttl-secs"),
            state_bytes: get(matches, "state-bytes"),
            more: all(matches, "serve"),
            has_grpc: false,
            env: Vec::new(),
        },
        feed: get(matches, "feed"),
        load: Load {
            threads: generator.into_iter().map(Some).collect(),
            warm_up: Duration::from_secs_f64(get(matches, "warm-up")),
            measured: Duration::from_secs_f64(get(matches, "seconds")),
            seed: get(matches, "seed"),
        },
        workload: Choice::by_name(&get::<String>(matches, "workload")).expect("clap knows them all"),
        out: get(matches, "out"),
        command: typed(),
    })
}

/// The server has the first processor and the generator all others, where the command line does not say.
fn processors(server: &[usize], generator: &[usize], present: &[usize]) -> (Vec<usize>, Vec<usize>) {
    let first_but =
        |taken: &[usize]| present.iter().copied().find(|cpu| !taken.contains(cpu)).unwrap_or(present[0]);
    let server = if server.is_empty() { vec![first_but(generator)] } else { server.to_vec() };
    let others = || present.iter().copied().filter(|cpu| !server.contains(cpu)).collect::<Vec<_>>();
    let mut generator = if generator.is_empty() { others() } else { generator.to_vec() };
    if generator.is_empty() {
        eprintln!("the generator shares its processors with the server: figures are of little use");
        generator = server.clone();
    }
    (server, generator)
}

#[cfg(test)]
mod tests {
    use super::{command, processors};

    #[test]
    fn the_command_line_is_in_order() {
        command().debug_assert();
    }

    #[test]
    fn server_and_generator_keep_out_of_each_others_way() {
        let all = [0, 1, 2, 3];
        assert_eq!(processors(&[], &[], &all), (vec![0], vec![1, 2, 3]));
        assert_eq!(processors(&[0, 1], &[], &all), (vec![0, 1], vec![2, 3]));
        assert_eq!(processors(&[], &[0], &all), (vec![1], vec![0]));
        assert_eq!(processors(&[2], &[3], &all), (vec![2], vec![3]));
        assert_eq!(processors(&[], &[], &[5]), (vec![5], vec![5]));
    }
}
