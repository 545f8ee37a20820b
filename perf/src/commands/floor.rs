//! `perf floor`: Interlock beside servers that read the same bodies and answer a constant of the same size.
//!
//! CPU time beyond the floor is what Interlock's own work costs. The floor also shows the generator's own ceiling.

mod server;

use std::io;
use std::path::PathBuf;

use serde::Serialize;

use super::Setting;
use crate::figures::{Figures, HEAD, line, measure};
use crate::limits::HEADROOM_MIN;
use crate::load::Pace;
use crate::machine;
use crate::report::{Page, Report};
use crate::target::Target;
use crate::workloads::{Choice, Sale};

pub use server::{Floor, serve};

#[derive(Debug, Serialize)]
struct FloorReport {
    command: String,
    machine: String,
    connections: usize,
    answer_bytes: usize,
    servers: Vec<Row>,
    /// Requests that the generator can send on its cores, over those that Interlock answers on its own.
    generator_headroom: f64,
    generator_cores: usize,
    /// Why the generator is too small for this server.
    too_small: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    figures: Figures,
    /// Its CPU time for a request over that of Interlock.
    share_of_interlock: Option<f64>,
}

/// # Errors
/// If a server does not start, or the report cannot be written.
pub fn run(setting: &Setting, connections: usize) -> io::Result<PathBuf> {
    let sale = setting.sale()?;
    println!("{HEAD}");
    let (interlock, answer_bytes) = {
        let target = setting.interlock()?;
        let bytes = answer_bytes(&target, &sale, setting.workload)?;
        (one("interlock", setting, &target, &sale, connections)?, bytes)
    };
    let mut rows = vec![interlock];
    for floor in Floor::ALL {
        let target = Target::floor(floor.name(), answer_bytes, &setting.start.cpus)?;
        rows.push(one(floor.name(), setting, &target, &sale, connections)?);
    }
    let cpu = |row: &Row| row.figures.server_cpu_us_per_request;
    let interlock_cpu = cpu(&rows[0]);
    for row in &mut rows {
        row.share_of_interlock = cpu(row).zip(interlock_cpu).map(|(floor, interlock)| floor / interlock);
    }
    let cores = setting.load.threads.len();
    let headroom = headroom(&rows);
    let report = FloorReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        connections,
        answer_bytes,
        too_small: too_small(headroom, cores, setting.start.cpus.len()),
        servers: rows,
        generator_headroom: headroom,
        generator_cores: cores,
    };
    write(&report, setting)
}

fn one(name: &str, setting: &Setting, target: &Target, sale: &Sale, connections: usize) -> io::Result<Row> {
    let plan = setting.load.plan(target, connections, Pace::Closed);
    let figures = measure(target, &plan, sale, setting.workload, None)?.figures;
    println!("{}  {name}", line(&figures));
    Ok(Row { name: name.to_owned(), figures, share_of_interlock: None })
}

/// The generator's requests a second if it were busy all the time, over those that Interlock answers if it were.
fn headroom(rows: &[Row]) -> f64 {
    // The fastest server tells most about the generator: least of its time is spent on waiting.
    let generator = rows
        .iter()
        .map(|row| row.figures.requests_per_second * 100.0 / row.figures.generator_busy_percent.max(1.0))
        .fold(0.0, f64::max);
    let interlock = &rows[0].figures;
    let busy = interlock.server_cpu_percent.unwrap_or(100.0).max(1.0);
    generator / (interlock.requests_per_second * 100.0 / busy)
}

fn too_small(headroom: f64, generator_cores: usize, server_cores: usize) -> Option<String> {
    (headroom < HEADROOM_MIN).then(|| {
        let needed = (generator_cores as f64 * HEADROOM_MIN / headroom).ceil();
        format!(
            "The generator's {generator_cores} core(s) can send {headroom:.2} times what Interlock answers on {server_cores}; \
             {HEADROOM_MIN} is needed: give it {needed:.0} cores with --generator-cpus"
        )
    })
}

/// The length of the body with which Interlock answers the workload's first request.
fn answer_bytes(target: &Target, sale: &Sale, choice: &'static Choice) -> io::Result<usize> {
    use std::io::{Read as _, Write as _};
    let mut request = Vec::new();
    sale.workloads(choice, 0)(0).begin(&mut request);
    let mut stream = std::net::TcpStream::connect(target.address)?;
    stream.write_all(&request)?;
    let mut answer = vec![0; crate::limits::ANSWER_BYTES_MAX];
    let mut length = 0;
    loop {
        let count = stream.read(&mut answer[length..])?;
        length += count;
        let text = String::from_utf8_lossy(&answer[..length]);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body.len());
        if let Some(bytes) = body.filter(|_| text.ends_with('\n')) {
            return Ok(bytes);
        }
        if count == 0 {
            return Err(io::Error::other(format!("no answer to the first request: {text}")));
        }
    }
}

fn write(report: &FloorReport, setting: &Setting) -> io::Result<PathBuf> {
    let meta = format!("{} · {} connections, closed loop", report.machine, report.connections);
    let mut page = Page::new("Interlock beside the floor", &meta, &report.command);
    page.text(&format!(
        "The floors run the same HTTP library, read each body and answer {} bytes that never change. What Interlock takes \
         beyond that is its own work: JSON, the engine, the log.",
        report.answer_bytes
    ));
    let rows: Vec<_> = report
        .servers
        .iter()
        .map(|row| {
            let us = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
            let figures = &row.figures;
            let cells = vec![
                row.name.clone(),
                us(figures.server_cpu_us_per_request),
                us(row.share_of_interlock),
                format!("{:.0}", figures.requests_per_second),
                format!("{:.0}%", figures.server_cpu_percent.unwrap_or(0.0)),
                format!("{:.0}%", figures.generator_busy_percent),
                figures.errors.values().sum::<u64>().to_string(),
                figures.stolen_ticks.to_string(),
            ];
            (true, cells)
        })
        .collect();
    page.table(
        &[
            "server",
            "CPU us/request",
            "of Interlock's",
            "requests /s",
            "server CPU",
            "generator busy",
            "errors",
            "stolen ticks",
        ],
        &rows,
    );
    page.text(&format!(
        "The generator can send {:.2} times what Interlock answers ({} generator core(s)).",
        report.generator_headroom, report.generator_cores
    ));
    if let Some(why) = &report.too_small {
        page.warning(why);
        println!("{why}");
    }
    for row in &report.servers[1..] {
        println!(
            "{} takes {:.2} of Interlock's CPU time",
            row.name,
            row.share_of_interlock.unwrap_or(f64::NAN)
        );
    }
    println!("the generator can send {:.2} times what Interlock answers", report.generator_headroom);
    let out = Report::new(&setting.out)?;
    out.json(report)?;
    out.page(&page)
}

#[cfg(test)]
mod tests {
    use super::too_small;

    #[test]
    fn a_generator_without_headroom_asks_for_cores() {
        assert_eq!(too_small(1.3, 1, 1), None);
        let why = too_small(0.9, 1, 1).unwrap();
        assert!(why.contains("--generator-cpus") && why.contains("2 cores"), "{why}");
    }
}
