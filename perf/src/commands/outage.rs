//! `perf outage`: what a sale notices while MySQL, Redis and Kafka all stand still, and while what they missed drains. How much a second they take
//! beside it.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use drill::services::{Place, SINKS, Services};
use rustix::process::Signal;
use serde::Serialize;

use super::Setting;
use crate::figures::{Figures, HEAD, line, measure};
use crate::load::Pace;
use crate::machine;
use crate::report::{Page, Report, number};
use crate::scrape::{backlog, catch_up};
use crate::statistics::median;
use crate::target::Target;

#[derive(Debug, Serialize)]
struct OutageReport {
    command: String,
    machine: String,
    orders_offered_per_second: f64,
    /// At the end of each window in which they stood still: records that each sink had not got.
    backlog_records: Vec<u64>,
    /// Seconds until they had everything, from the end of the outage on.
    drained_after_s: Vec<f64>,
    /// By the server's own histogram, over that of the windows before.
    p99_down_times: f64,
    p99_draining_times: f64,
    /// The same as the generator saw it.
    seen_p99_down_times: f64,
    seen_p99_draining_times: f64,
    errors: u64,
    windows: Vec<(&'static str, Figures)>,
}

/// # Errors
/// If the server does not start, or the report cannot be written.
pub fn run(setting: &Setting, connections: usize, orders: u32, rounds: u32) -> io::Result<PathBuf> {
    let sale = setting.sale()?;
    let services = Services::shared("mysql");
    SINKS.iter().for_each(|service| services.up(service));
    let place = Place::new(services);
    let mut start = setting.start.clone();
    start.env = place.settings(&SINKS);
    let target = Target::interlock(&start)?;
    let workload = crate::workloads::Choice::by_name("orders").expect("it is one of them");
    println!("{HEAD}");
    let load = || -> io::Result<Figures> {
        let plan = setting.load.plan(&target, connections, Pace::Open(f64::from(orders)));
        let figures = measure(&target, &plan, &sale, workload, None)?.figures;
        println!("{}", line(&figures));
        Ok(figures)
    };
    let all = |signal: Signal| SINKS.iter().for_each(|service| place.services.signal(service, signal));
    let (mut windows, mut backlog_records, mut drained_after_s) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        windows.push(("before", load()?));
        catch_up(&target)?;
        all(Signal::STOP);
        let down = load();
        backlog_records.push(backlog(&target));
        all(Signal::CONT);
        let since = Instant::now();
        windows.push(("down", down?));
        windows.push(("draining", load()?));
        catch_up(&target)?;
        drained_after_s.push(since.elapsed().as_secs_f64());
    }
    let times = |name: &str, p99: fn(&Figures) -> f64| {
        let of = |name| {
            let of = windows.iter().filter(|(window, _)| *window == name);
            median(&of.map(|(_, figures)| p99(figures)).collect::<Vec<_>>())
        };
        of(name) / of("before").max(1e-9)
    };
    let report = OutageReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        orders_offered_per_second: f64::from(orders),
        backlog_records,
        drained_after_s,
        p99_down_times: times("down", Figures::server_p99),
        p99_draining_times: times("draining", Figures::server_p99),
        seen_p99_down_times: times("down", Figures::seen_p99),
        seen_p99_draining_times: times("draining", Figures::seen_p99),
        errors: windows.iter().map(|(_, figures)| figures.errors.values().sum::<u64>()).sum(),
        windows,
    };
    let out = Report::new(&setting.out)?;
    out.json(&report)?;
    let said = said(&report);
    let mut page = Page::new("An outage of MySQL, Redis and Kafka", &report.machine, &report.command);
    for text in &said {
        println!("{text}");
        page.text(text);
    }
    for window in report.windows.iter().filter_map(|(_, figures)| figures.invalid.as_ref()) {
        page.warning(window);
    }
    out.page(&page)
}

fn said(report: &OutageReport) -> [String; 2] {
    let seconds: Vec<String> = report.drained_after_s.iter().map(|s| format!("{s:.0} s")).collect();
    [
        format!(
            "{} orders a second; all three stood still: p99 {:.2} times that before by the server's histogram, {:.2} times as it was seen; {} errors in all",
            number(report.orders_offered_per_second),
            report.p99_down_times,
            report.seen_p99_down_times,
            report.errors
        ),
        format!(
            "while up to {} records drained: {:.2} and {:.2} times; drained after {}",
            report.backlog_records.iter().max().copied().unwrap_or(0),
            report.p99_draining_times,
            report.seen_p99_draining_times,
            seconds.join(", ")
        ),
    ]
}
