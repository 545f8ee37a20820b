//! `perf sinks`: the orders a second that MySQL, Redis and Kafka take, each alone beside a sale at a steady pace.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use drill::Session;
use drill::services::{Place, SINKS, Services};
use drill::session::Port;
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
struct SinksReport {
    command: String,
    machine: String,
    orders_offered_per_second: f64,
    windows: Vec<Window>,
}

#[derive(Debug, Serialize)]
struct Window {
    sink: &'static str,
    /// Paid orders, from the beginning of the load until the sink had everything of them.
    orders_taken_per_second: f64,
    /// At the end of the load, and the time that the sink took for them.
    backlog_records: u64,
    drained_after_s: f64,
    figures: Figures,
}

/// # Errors
/// If the server does not start, or the report cannot be written.
pub fn run(setting: &Setting, connections: usize, orders: u32, rounds: u32) -> io::Result<PathBuf> {
    let sale = setting.sale()?;
    let services = Services::shared("mysql");
    SINKS.iter().for_each(|service| services.up(service));
    let workload = crate::workloads::Choice::by_name("orders").expect("it is one of them");
    println!("{HEAD}");
    let mut windows = Vec::new();
    for _ in 0..rounds {
        for sink in SINKS {
            let place = Place::new(Services::shared("mysql"));
            let mut start = setting.start.clone();
            start.env = place.settings(&[sink]);
            let target = Target::interlock(&start)?;
            let plan = setting.load.plan(&target, connections, Pace::Open(f64::from(orders)));
            let (before, started) = (paid(&target), Instant::now());
            let figures = measure(&target, &plan, &sale, workload, None)?.figures;
            let (backlog_records, loaded) = (backlog(&target), Instant::now());
            catch_up(&target)?;
            let taken = (paid(&target) - before) as f64 / started.elapsed().as_secs_f64();
            println!(
                "{} {sink}: {} orders a second, {backlog_records} records behind",
                line(&figures),
                number(taken.round())
            );
            windows.push(Window {
                sink,
                orders_taken_per_second: taken,
                backlog_records,
                drained_after_s: loaded.elapsed().as_secs_f64(),
                figures,
            });
        }
    }
    let report = SinksReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        orders_offered_per_second: f64::from(orders),
        windows,
    };
    let out = Report::new(&setting.out)?;
    out.json(&report)?;
    let mut page = Page::new("MySQL, Redis and Kafka beside a sale", &report.machine, &report.command);
    for text in said(&report) {
        println!("{text}");
        page.text(&text);
    }
    for window in report.windows.iter().filter_map(|window| window.figures.invalid.as_ref()) {
        page.warning(window);
    }
    out.page(&page)
}

fn said(report: &SinksReport) -> Vec<String> {
    let of_sink = |sink: &&str| {
        let windows = || report.windows.iter().filter(|window| window.sink == *sink);
        let taken: Vec<f64> = windows().map(|window| window.orders_taken_per_second).collect();
        let drained: Vec<f64> = windows().map(|window| window.drained_after_s).collect();
        let behind: Vec<f64> = windows().map(|window| window.backlog_records as f64).collect();
        format!(
            "{sink}: {} orders a second of {} offered, from the first to when everything was there; {} records were behind when the load ended, for {:.1} s",
            number(median(&taken).round()),
            number(report.orders_offered_per_second),
            number(median(&behind)),
            median(&drained)
        )
    };
    SINKS.iter().map(of_sink).collect()
}

/// Orders that were paid since the server started.
fn paid(target: &Target) -> u64 {
    let metrics = Session::new([target.address; 5], None).by_gateway().get(Port::Gateway, "/metrics").text();
    let name = "interlock_orders_total{status=\"PAID\"} ";
    metrics.lines().find_map(|line| line.strip_prefix(name)).and_then(|text| text.parse().ok()).unwrap_or(0)
}
