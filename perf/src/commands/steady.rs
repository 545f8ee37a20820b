//! `perf steady`: a load that goes on for long enough to meet what comes round: expiry, forgetting, segments, snapshots.
//!
//! Windows follow one another on one server; between two of them the load pauses for some milliseconds, while connections are
//! opened.

use std::io;
use std::path::PathBuf;

use serde::Serialize;

use super::Setting;
use crate::figures::{Figures, HEAD, line, measure};
use crate::load::{Kind, Pace};
use crate::machine;
use crate::report::{Chart, Page, Point, Report, Scale, Series, number};
use crate::statistics::median;

#[derive(Debug, Serialize)]
struct SteadyReport {
    command: String,
    machine: String,
    workload: &'static str,
    connections: usize,
    ceiling_per_second: f64,
    load_percent: f64,
    /// Memory in the median window of the last third over that of the middle third.
    memory_growth_percent: f64,
    /// p99 of new holds in the worst window over that of the median one.
    worst_p99_times_median: f64,
    windows: Vec<Figures>,
}

/// # Errors
/// If the server does not start, or the report cannot be written.
pub fn run(
    setting: &Setting,
    connections: usize,
    percent: f64,
    windows: u32,
    trains: usize,
) -> io::Result<PathBuf> {
    let sale = setting.sale()?.of_trains(trains);
    let target = setting.interlock()?;
    println!("{HEAD}  resident MB");
    let run = |pace, percent| -> io::Result<Figures> {
        let plan = setting.load.plan(&target, connections, pace);
        let figures = measure(&target, &plan, &sale, setting.workload, percent)?.figures;
        println!("{}  {:.0}", line(&figures), figures.server_resident_bytes.unwrap_or(0) as f64 / 1e6);
        Ok(figures)
    };
    let ceiling = run(Pace::Closed, None)?.achieved_per_second;
    if ceiling == 0.0 {
        return Err(io::Error::other("nothing was answered"));
    }
    let pace = Pace::Open(ceiling * percent / 100.0);
    let measured = (0..windows).map(|_| run(pace, Some(percent))).collect::<io::Result<Vec<_>>>()?;
    let report = SteadyReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        workload: setting.workload.name,
        connections,
        ceiling_per_second: ceiling,
        load_percent: percent,
        memory_growth_percent: growth_percent(&measured.iter().map(memory).collect::<Vec<_>>()),
        worst_p99_times_median: worst_over_median(&measured.iter().map(p99_ms).collect::<Vec<_>>()),
        windows: measured,
    };
    println!("memory from the middle third to the last: {:+.1}%", report.memory_growth_percent);
    println!("p99 of the worst window: {:.1} times the median one's", report.worst_p99_times_median);
    let out = Report::new(&setting.out)?;
    out.json(&report)?;
    out.page(&page(&report))
}

fn memory(figures: &Figures) -> f64 {
    figures.server_resident_bytes.unwrap_or(0) as f64
}

fn p99_ms(figures: &Figures) -> f64 {
    figures.latency.get(Kind::NewHold.name()).map_or(figures.all_answers.p99_us, |latency| latency.p99_us)
        / 1e3
}

/// From the median of the middle third to that of the last; the first third fills up.
fn growth_percent(values: &[f64]) -> f64 {
    let third = values.len() / 3;
    if third == 0 {
        return 0.0;
    }
    let (middle, last) = (&values[third..values.len() - third], &values[values.len() - third..]);
    100.0 * (median(last) / median(middle).max(1.0) - 1.0)
}

fn worst_over_median(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max) / median(values).max(1e-9)
}

fn page(report: &SteadyReport) -> Page {
    let meta = format!("{} · {} · {} connections", report.machine, report.workload, report.connections);
    let mut page = Page::new("A steady load by windows", &meta, &report.command);
    page.text(&format!(
        "{:.0}% of a ceiling of {} arrivals a second. Memory from the middle third to the last: {:+.1}%. The p99 of the worst window is \
         {:.1} times the median one's.",
        report.load_percent,
        number(report.ceiling_per_second.round()),
        report.memory_growth_percent,
        report.worst_p99_times_median
    ));
    let chart = |title: &str, y_label: &str, y: fn(&Figures) -> f64| {
        let mut at = 0.0;
        let points = report.windows.iter().map(|window| {
            at += window.seconds;
            Point { x: at, y: y(window), valid: window.invalid.is_none() }
        });
        Chart {
            title: title.to_owned(),
            x_label: "seconds".to_owned(),
            y_label: y_label.to_owned(),
            y_scale: Scale::Linear,
            series: vec![Series { name: y_label.to_owned(), points: points.collect(), dashed: false }],
        }
        .svg()
    };
    page.plots(&[
        chart("Throughput", "new holds a second", |window| window.new_holds_per_second),
        chart("p99 of new holds", "milliseconds", p99_ms),
        chart("Memory of the server", "MB", |window| memory(window) / 1e6),
    ]);
    for window in report.windows.iter().filter_map(|window| window.invalid.as_ref()) {
        page.warning(window);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::{growth_percent, worst_over_median};

    #[test]
    fn growth_is_from_the_middle_third_to_the_last() {
        assert_eq!(growth_percent(&[1.0, 50.0, 100.0, 100.0, 110.0, 110.0]), 10.000000000000009);
        assert_eq!(growth_percent(&[1.0, 2.0]), 0.0, "too few windows to say");
        assert!((worst_over_median(&[1.0, 2.0, 2.0, 9.0]) - 4.5).abs() < 1e-9);
    }
}
