//! `perf compare OLD NEW`: two binaries beside each other.
//!
//! Both servers run from the beginning to the end, on the same processors. In each slice both are loaded once, in turns which comes
//! first, so that whatever the machine does meanwhile happens to both alike; the ratio of each slice counts, not the figures of one
//! server. CPU time is that of all threads of a server, and includes what the host stole; no slice is dropped for it.

use std::io;
use std::path::PathBuf;

use serde::Serialize;

use super::Setting;
use crate::figures::{Figures, measure};
use crate::load::Pace;
use crate::machine;
use crate::report::{Chart, Page, Point, Report, Scale, Series, number};
use crate::statistics::{Change, Spread};
use crate::target::{Start, Target};
use crate::workloads::Sale;

#[derive(Debug, Serialize)]
struct CompareReport {
    command: String,
    machine: String,
    workload: &'static str,
    connections: usize,
    rule: &'static str,
    cpu: Comparison,
    throughput: Comparison,
    errors: u64,
    slices: Vec<Slice>,
}

#[derive(Debug, Serialize)]
struct Comparison {
    unit: &'static str,
    verdict: String,
    old: Spread,
    new: Spread,
    change: Change,
}

#[derive(Debug, Serialize)]
struct Slice {
    old: Figures,
    new: Figures,
}

const RULE: &str = "The change is the median of the slices' ratios, new over old. It is called a difference where the interval of 99% \
    of that median (bootstrap over the slices) does not contain zero and it is at least 1%; otherwise no difference.";

/// Gives the page, and the change of CPU time.
///
/// # Errors
/// If a server does not start, or the report cannot be written.
pub fn run(
    setting: &Setting,
    old: PathBuf,
    new: PathBuf,
    connections: usize,
    slices: u32,
) -> io::Result<(PathBuf, Change)> {
    let start = |binary| Target::interlock(&Start { binary, ..setting.start.clone() });
    let servers = [(start(old)?, setting.sale()?), (start(new)?, setting.sale()?)];
    let load = |(target, sale): &(Target, Sale)| -> io::Result<Figures> {
        let plan = setting.load.plan(target, connections, Pace::Closed);
        let figures = measure(target, &plan, sale, setting.workload, None)?.figures;
        if figures.requests_per_second == 0.0 {
            return Err(io::Error::other(format!("nothing was answered: {:?}", figures.errors)));
        }
        Ok(figures)
    };
    let mut measured = Vec::new();
    println!("slice   old us/request   new us/request      old /s      new /s  stolen");
    // The first slice warms both up and counts for nothing.
    for slice in 0..=slices {
        let (old, new) = if slice % 2 == 0 {
            let old = load(&servers[0])?;
            (old, load(&servers[1])?)
        } else {
            let new = load(&servers[1])?;
            (load(&servers[0])?, new)
        };
        if slice == 0 {
            continue;
        }
        println!(
            "{slice:>5}  {:>15.3}  {:>15.3}  {:>10.0}  {:>10.0}  {:>6}",
            cpu(&old),
            cpu(&new),
            old.requests_per_second,
            new.requests_per_second,
            old.stolen_ticks + new.stolen_ticks
        );
        measured.push(Slice { old, new });
    }
    write(setting, connections, measured)
}

fn cpu(figures: &Figures) -> f64 {
    figures.server_cpu_us_per_request.unwrap_or(f64::NAN)
}

fn comparison(
    slices: &[Slice],
    of: fn(&Figures) -> f64,
    unit: &'static str,
    words: (&str, &str),
) -> Comparison {
    let pairs: Vec<(f64, f64)> = slices.iter().map(|slice| (of(&slice.old), of(&slice.new))).collect();
    let change = Change::of(&pairs, 1);
    Comparison {
        unit,
        verdict: change.words(words.0, words.1),
        old: Spread::of(&pairs.iter().map(|pair| pair.0).collect::<Vec<_>>()),
        new: Spread::of(&pairs.iter().map(|pair| pair.1).collect::<Vec<_>>()),
        change,
    }
}

fn write(setting: &Setting, connections: usize, slices: Vec<Slice>) -> io::Result<(PathBuf, Change)> {
    let report = CompareReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        workload: setting.workload.name,
        connections,
        rule: RULE,
        cpu: comparison(&slices, cpu, "CPU time of a request, us", ("dearer", "cheaper")),
        throughput: comparison(&slices, |f| f.requests_per_second, "Requests a second", ("faster", "slower")),
        errors: slices.iter().flat_map(|s| [&s.old, &s.new]).flat_map(|f| f.errors.values()).sum(),
        slices,
    };
    println!("CPU time: {}\nthroughput: {}", report.cpu.verdict, report.throughput.verdict);
    if report.errors > 0 {
        println!("requests that failed: {}", report.errors);
    }
    let out = Report::new(&setting.out)?;
    out.json(&report)?;
    Ok((out.page(&page(&report))?, report.cpu.change))
}

fn page(report: &CompareReport) -> Page {
    let meta =
        format!("{} · {} · {} connections, closed loop", report.machine, report.workload, report.connections);
    let mut page = Page::new("Two binaries beside each other", &meta, &report.command);
    page.text(&format!("CPU time: {}. Throughput: {}.", report.cpu.verdict, report.throughput.verdict));
    page.text(RULE);
    if report.errors > 0 {
        page.warning(&format!("{} requests failed.", report.errors));
    }
    let row = |name: &str, spread: &Spread| {
        let values = [spread.median, spread.quarter, spread.three_quarters, spread.least, spread.most];
        let cells = std::iter::once(name.to_owned()).chain(values.map(number));
        (true, cells.collect())
    };
    for part in [&report.cpu, &report.throughput] {
        page.heading(part.unit);
        page.table(
            &["", "median", "25%", "75%", "least", "most"],
            &[row("old", &part.old), row("new", &part.new)],
        );
    }
    let series = |name: &str, of: &dyn Fn(&Slice) -> f64| Series {
        name: name.to_owned(),
        dashed: false,
        points: report
            .slices
            .iter()
            .enumerate()
            .map(|(i, slice)| Point { x: (i + 1) as f64, y: of(slice), valid: true })
            .collect(),
    };
    let chart = |title: &str, y_label: &str, series: Vec<Series>| Chart {
        title: title.to_owned(),
        x_label: "slice".to_owned(),
        y_label: y_label.to_owned(),
        y_scale: Scale::Linear,
        series,
    };
    page.plots(&[
        chart(
            "CPU time of a request",
            "microseconds",
            vec![series("old", &|slice| cpu(&slice.old)), series("new", &|slice| cpu(&slice.new))],
        )
        .svg(),
        chart(
            "Throughput",
            "requests a second",
            vec![
                series("old", &|slice| slice.old.requests_per_second),
                series("new", &|slice| slice.new.requests_per_second),
            ],
        )
        .svg(),
    ]);
    page
}
