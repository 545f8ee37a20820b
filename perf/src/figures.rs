//! Figures of a run, with their units in their names: what JSON and pages show.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::{self, Kind, Pace, Plan, Tally, why_invalid};
use crate::machine;
use crate::scrape::Scrape;
use crate::target::Target;
use crate::workloads::{Choice, Sale};

#[derive(Clone, Debug, Serialize)]
pub struct Percentiles {
    pub count: u64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl Percentiles {
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Percentiles {
        let at = |percent| histogram.value_at_percentile(percent) as f64 / 1e3;
        Percentiles {
            count: histogram.len(),
            p50_us: at(50.0),
            p90_us: at(90.0),
            p99_us: at(99.0),
            p999_us: at(99.9),
            max_us: histogram.max() as f64 / 1e3,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    pub connections: usize,
    /// Of the ceiling; absent in a closed loop.
    pub load_percent: Option<f64>,
    pub seconds: f64,
    /// Arrivals that were to be sent, and those that were answered to their end, in the same time.
    pub offered_per_second: f64,
    pub achieved_per_second: f64,
    pub new_holds_per_second: f64,
    pub requests_per_second: f64,
    /// By kind of answer; from the intended send time. In a closed loop they say nothing about users.
    pub latency: BTreeMap<&'static str, Percentiles>,
    pub all_answers: Percentiles,
    /// By the server's own histogram, from the end of a request to its answer.
    pub server_p99_us: Option<f64>,
    /// From arrival to the answer of its last request.
    pub arrival: Percentiles,
    /// By which the generator itself was late.
    pub generator_lag: Percentiles,
    /// Arrivals that found all connections in use.
    pub waited_for_a_connection: Percentiles,
    pub generator_busy_percent: f64,
    pub errors: BTreeMap<String, u64>,
    pub connections_reopened: u64,
    pub server_cpu_us_per_request: Option<f64>,
    pub server_cpu_percent: Option<f64>,
    pub server_resident_bytes: Option<u64>,
    /// Hundredths of a second, of all processors.
    pub stolen_ticks: u64,
    /// Why this run counts for nothing.
    pub invalid: Option<String>,
}

impl Figures {
    /// The p99 of all answers by the server's own histogram, in microseconds; as it was seen where there is none.
    #[must_use]
    pub fn server_p99(&self) -> f64 {
        self.server_p99_us.unwrap_or(self.all_answers.p99_us)
    }

    /// The p99 of all answers as the generator saw it, in microseconds.
    #[must_use]
    pub fn seen_p99(&self) -> f64 {
        self.all_answers.p99_us
    }
}

/// Result of one run.
#[derive(Debug)]
pub struct Measured {
    pub figures: Figures,
    pub tally: Tally,
}

/// Loads a target once. `percent` is for the record.
///
/// # Errors
/// If the connections cannot be opened.
pub fn measure(
    target: &Target,
    plan: &Plan,
    sale: &Sale,
    choice: &Choice,
    percent: Option<f64>,
) -> io::Result<Measured> {
    let mut marks = Vec::new();
    let tally = load::run(plan, sale.workloads(choice, plan.seed), || {
        marks.push((target.cpu_ns(), machine::steal_ticks(), Scrape::of(target)));
    })?;
    let (cpu_ns, stolen) = (marks[1].0 - marks[0].0, marks[1].1 - marks[0].1);
    let scrapes = (marks[0].2.as_ref(), marks[1].2.as_ref());
    let seconds = plan.measured.as_secs_f64();
    let rate = |count: u64| count as f64 / seconds;
    let all = tally.all();
    let is_open = matches!(plan.pace, Pace::Open(_));
    let latency = Kind::ALL.into_iter().filter(|kind| !tally.of(*kind).is_empty());
    let figures = Figures {
        connections: plan.connections,
        load_percent: percent,
        seconds,
        offered_per_second: if is_open { rate(tally.offered) } else { rate(tally.achieved) },
        achieved_per_second: rate(tally.achieved),
        new_holds_per_second: rate(tally.new_holds_achieved),
        requests_per_second: rate(tally.requests),
        latency: latency.map(|kind| (kind.name(), Percentiles::of(tally.of(kind)))).collect(),
        all_answers: Percentiles::of(&all),
        server_p99_us: scrapes.0.zip(scrapes.1).map(|(before, after)| after.p99_us_since(before)),
        arrival: Percentiles::of(&tally.arrival),
        generator_lag: Percentiles::of(&tally.lag),
        waited_for_a_connection: Percentiles::of(&tally.held_back),
        generator_busy_percent: 100.0 * tally.busy_ns as f64 / tally.total_ns.max(1) as f64,
        errors: tally.errors.clone(),
        connections_reopened: tally.reopened,
        server_cpu_us_per_request: target
            .pid
            .filter(|_| tally.requests > 0)
            .map(|_| cpu_ns as f64 / 1e3 / tally.requests as f64),
        server_cpu_percent: target.pid.map(|_| cpu_ns as f64 / 1e7 / seconds),
        server_resident_bytes: target.pid.map(machine::resident_bytes),
        stolen_ticks: stolen,
        invalid: if is_open {
            why_invalid(tally.lag.value_at_percentile(99.0), all.value_at_percentile(99.0))
        } else {
            None
        },
    };
    Ok(Measured { figures, tally })
}

/// Of a kind, where it was answered at all.
#[must_use]
pub fn p99_ms(figures: &Figures, kind: Kind) -> Option<f64> {
    figures.latency.get(kind.name()).map(|latency| latency.p99_us / 1e3)
}

/// One line for the terminal.
#[must_use]
pub fn line(figures: &Figures) -> String {
    let load = figures.load_percent.map_or("closed".to_owned(), |percent| format!("{percent:.0}%"));
    let latency = figures.latency.get(Kind::NewHold.name()).unwrap_or(&figures.all_answers);
    let errors: u64 = figures.errors.values().sum();
    let mut line = format!(
        "{:>6}  {load:>6}  {:>10.0}  {:>10.0}  {:>10.0}  {:>9.3}  {:>9.3}  {:>9.3}  {:>8.2}  {:>6}  {:>6}  {:>4.0}%",
        figures.connections,
        figures.offered_per_second,
        figures.achieved_per_second,
        figures.new_holds_per_second,
        latency.p50_us / 1e3,
        latency.p99_us / 1e3,
        latency.p999_us / 1e3,
        figures.server_cpu_us_per_request.unwrap_or(f64::NAN),
        errors,
        figures.stolen_ticks,
        figures.generator_busy_percent,
    );
    if errors > 0 {
        line.push_str(&format!("  {:?}", figures.errors));
    }
    if let Some(why) = &figures.invalid {
        line.push_str("\n        ");
        line.push_str(why);
    }
    line
}

/// The head of the lines.
pub const HEAD: &str = "\
 conns    load   offered/s  achieved/s  newholds/s     p50 ms     p99 ms   p99.9 ms  CPU us/r  errors  stolen  busy";

/// A plan without its pace and connections.
#[derive(Clone, Debug)]
pub struct Load {
    pub threads: Vec<Option<usize>>,
    pub warm_up: Duration,
    pub measured: Duration,
    pub seed: u64,
}

impl Load {
    #[must_use]
    pub fn plan(&self, target: &Target, connections: usize, pace: Pace) -> Plan {
        Plan {
            address: target.address,
            connections: connections.max(self.threads.len()),
            threads: self.threads.clone(),
            pace,
            warm_up: self.warm_up,
            measured: self.measured,
            seed: self.seed,
        }
    }
}
