//! `perf http`: the ceiling by a closed loop, then latency by load, from a tenth of the ceiling to beyond it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::Setting;
use crate::figures::{Figures, HEAD, Measured, line, measure};
use crate::load::{Kind, Pace};
use crate::machine;
use crate::report::{Chart, Page, Point, Report, Scale, Series, number};
use crate::target::Target;
use crate::workloads::Sale;

#[derive(Debug, Serialize)]
pub struct HttpReport {
    command: String,
    machine: String,
    workload: &'static str,
    feed: String,
    seed: u64,
    sweeps: Vec<Sweep>,
}

#[derive(Debug, Serialize)]
pub struct Sweep {
    pub connections: usize,
    /// Arrivals a second in a closed loop.
    pub ceiling_per_second: f64,
    pub closed: Figures,
    pub open: Vec<Figures>,
}

type Named = (String, Duration, Histogram<u64>);

/// Runs it, writes the report and gives the path of its page. `address`: a server that runs already, and its process id.
///
/// # Errors
/// If the server does not start, a connection fails to open, or a report cannot be written.
pub fn run(
    setting: &Setting,
    address: Option<(std::net::SocketAddr, Option<u32>)>,
    connections: &[usize],
    percents: &[f64],
) -> io::Result<PathBuf> {
    let sale = setting.sale()?;
    let target = match address {
        Some((address, pid)) => Target::foreign(address, pid),
        None => setting.interlock()?,
    };
    let mut histograms = Vec::new();
    let mut sweeps = Vec::new();
    println!("{}: {}\n{HEAD}", setting.workload.name, setting.workload.about);
    for &count in connections {
        sweeps.push(sweep(setting, &target, &sale, count, percents, &mut histograms)?);
    }
    let report = HttpReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        workload: setting.workload.name,
        feed: setting.feed.clone(),
        seed: setting.load.seed,
        sweeps,
    };
    let out = Report::new(&setting.out)?;
    out.json(&report)?;
    out.histograms(
        histograms.iter().map(|(name, duration, histogram)| (name.clone(), *duration, histogram)),
    )?;
    out.page(&page(&report, setting))
}

fn sweep(
    setting: &Setting,
    target: &Target,
    sale: &Sale,
    connections: usize,
    percents: &[f64],
    histograms: &mut Vec<Named>,
) -> io::Result<Sweep> {
    let mut run = |pace, percent: Option<f64>| -> io::Result<Figures> {
        let plan = setting.load.plan(target, connections, pace);
        let Measured { figures, tally } = measure(target, &plan, sale, setting.workload, percent)?;
        println!("{}", line(&figures));
        for kind in Kind::ALL.into_iter().filter(|kind| percent.is_some() && !tally.of(*kind).is_empty()) {
            let name =
                format!("{connections}_connections_{:.0}_percent_{}", percent.unwrap_or(0.0), kind.name());
            histograms.push((name, setting.measured(), tally.of(kind).clone()));
        }
        Ok(figures)
    };
    let closed = run(Pace::Closed, None)?;
    let ceiling = closed.achieved_per_second;
    if ceiling == 0.0 {
        return Err(io::Error::other(format!("nothing was answered: {:?}", closed.errors)));
    }
    let open = percents.iter().map(|&percent| run(Pace::Open(ceiling * percent / 100.0), Some(percent)));
    let open = open.collect::<io::Result<Vec<_>>>()?;
    Ok(Sweep { connections, ceiling_per_second: ceiling, closed, open })
}

fn page(report: &HttpReport, setting: &Setting) -> Page {
    let title = format!("Latency by load: {}", report.workload);
    let meta = format!("{} · {} timetable · seed {}", report.machine, report.feed, report.seed);
    let mut page = Page::new(&title, &meta, &report.command);
    page.text(&format!("Workload: {}.", setting.workload.about));
    page.text(
        "Arrivals are Poisson and do not wait for answers; latency counts from the time at which a request was meant to be sent. \
         Loads are shares of the ceiling, which a closed loop found. Headlines are about new durable holds; refusals and repeats \
         stand apart. Hollow points and grey rows are runs in which the generator itself was late: they count for nothing.",
    );
    for sweep in &report.sweeps {
        let holds = sweep.closed.new_holds_per_second;
        page.heading(&format!("{} connections", sweep.connections));
        page.text(&format!(
            "Ceiling: {} arrivals and {} new holds a second{}.",
            number(sweep.ceiling_per_second.round()),
            number(holds.round()),
            sweep.closed.server_cpu_us_per_request.map_or(String::new(), |us| format!(
                ", at {us:.1} us of the server's CPU time for each request"
            ))
        ));
        for run in &sweep.open {
            if let Some(why) = &run.invalid {
                page.warning(&format!("{:.0}%: {why}", run.load_percent.unwrap_or(0.0)));
            }
        }
        page.plots(&[latency_chart(sweep).svg(), rate_chart(sweep).svg()]);
        table(&mut page, sweep);
    }
    page
}

/// The kind that the latency of a sweep is shown of: new holds, or whatever there is most of.
fn latency_chart(sweep: &Sweep) -> Chart {
    let series = |name: &str, at: fn(&crate::figures::Percentiles) -> f64| Series {
        name: name.to_owned(),
        dashed: false,
        points: sweep
            .open
            .iter()
            .filter_map(|run| {
                let latency = run.latency.get(Kind::NewHold.name())?;
                Some(Point { x: run.offered_per_second, y: at(latency) / 1e3, valid: run.invalid.is_none() })
            })
            .collect(),
    };
    Chart {
        title: "Latency of new holds".to_owned(),
        x_label: "offered arrivals a second".to_owned(),
        y_label: "milliseconds".to_owned(),
        y_scale: Scale::Log,
        series: vec![
            series("p50", |p| p.p50_us),
            series("p90", |p| p.p90_us),
            series("p99", |p| p.p99_us),
            series("p99.9", |p| p.p999_us),
        ],
    }
}

fn rate_chart(sweep: &Sweep) -> Chart {
    let series = |name: &str, dashed: bool, y: fn(&Figures) -> f64| Series {
        name: name.to_owned(),
        dashed,
        points: sweep
            .open
            .iter()
            .map(|run| Point { x: run.offered_per_second, y: y(run), valid: run.invalid.is_none() })
            .collect(),
    };
    Chart {
        title: "Offered and achieved".to_owned(),
        x_label: "offered arrivals a second".to_owned(),
        y_label: "a second".to_owned(),
        y_scale: Scale::Linear,
        series: vec![
            series("achieved", false, |run| run.achieved_per_second),
            series("new holds", false, |run| run.new_holds_per_second),
            series("as offered", true, |run| run.offered_per_second),
        ],
    }
}

fn table(page: &mut Page, sweep: &Sweep) {
    let head = [
        "load",
        "offered /s",
        "achieved /s",
        "new holds /s",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "max ms",
        "refused",
        "repeats",
        "errors",
        "CPU us/req.",
        "waited for conn.",
        "gen. late p99 us",
        "gen. busy",
        "stolen ticks",
    ];
    let count = |run: &Figures, kind: Kind| run.latency.get(kind.name()).map_or(0, |latency| latency.count);
    let rows: Vec<_> = std::iter::once(&sweep.closed)
        .chain(&sweep.open)
        .map(|run| {
            let latency = run.latency.get(Kind::NewHold.name()).filter(|_| run.load_percent.is_some());
            let ms = |at: fn(&crate::figures::Percentiles) -> f64| {
                latency.map_or("-".to_owned(), |latency| format!("{:.3}", at(latency) / 1e3))
            };
            let errors: Vec<String> =
                run.errors.iter().map(|(what, count)| format!("{count} {what}")).collect();
            let cells = vec![
                run.load_percent.map_or("closed loop".to_owned(), |percent| format!("{percent:.0}%")),
                number(run.offered_per_second.round()),
                number(run.achieved_per_second.round()),
                number(run.new_holds_per_second.round()),
                ms(|p| p.p50_us),
                ms(|p| p.p99_us),
                ms(|p| p.p999_us),
                ms(|p| p.max_us),
                count(run, Kind::Refusal).to_string(),
                count(run, Kind::Repeat).to_string(),
                if errors.is_empty() { "0".to_owned() } else { errors.join(", ") },
                run.server_cpu_us_per_request.map_or("-".to_owned(), |us| format!("{us:.2}")),
                run.waited_for_a_connection.count.to_string(),
                if run.load_percent.is_some() {
                    format!("{:.1}", run.generator_lag.p99_us)
                } else {
                    "-".to_owned()
                },
                format!("{:.0}%", run.generator_busy_percent),
                run.stolen_ticks.to_string(),
            ];
            (run.invalid.is_none(), cells)
        })
        .collect();
    page.table(&head, &rows);
}
