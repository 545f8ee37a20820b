//! `perf recovery`: how long a restart takes after N records, what it reads, and the same with another number of cores.
//!
//! The server is killed under load, as a crash would have it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Setting;
use crate::figures::measure;
use crate::load::Pace;
use crate::machine;
use crate::report::{Page, Report, number};

#[derive(Debug, Serialize)]
struct RecoveryReport {
    command: String,
    machine: String,
    writes: u64,
    directory_bytes: u64,
    restarts: Vec<Restart>,
}

#[derive(Debug, Serialize)]
struct Restart {
    cores: u32,
    /// From the start of the process until it says that it is ready.
    seconds: f64,
    /// From the disk or the page cache.
    read_bytes: u64,
    written_bytes: u64,
    resident_bytes: u64,
}

/// # Errors
/// If the server does not start, or the report cannot be written.
pub fn run(setting: &Setting, connections: usize, writes: u64) -> io::Result<PathBuf> {
    let sale = setting.sale()?;
    let mut target = setting.interlock()?;
    let mut done = 0;
    while done < writes {
        let plan = setting.load.plan(&target, connections, Pace::Closed);
        let tally = measure(&target, &plan, &sale, setting.workload, None)?.tally;
        let new = tally.new_holds_achieved;
        if new == 0 {
            return Err(io::Error::other(format!("no hold was made any more: {:?}", tally.errors)));
        }
        done += new;
        println!("{done} holds of {writes}");
    }
    let mut restarts = Vec::new();
    let cores = setting.start.cpus.len() as u32;
    let mut directory_bytes = 0;
    // The second restart has the same to read as the first; the third another number of cores, the last one what that left.
    for cores in [cores, cores, cores + 1, cores + 1] {
        let (dir, seconds) = target.restart(cores)?;
        if directory_bytes == 0 {
            directory_bytes = bytes_of(&dir);
        }
        let pid = target.pid.unwrap_or(0);
        let restart = Restart {
            cores,
            seconds,
            read_bytes: machine::io_bytes(pid, "rchar"),
            written_bytes: machine::io_bytes(pid, "wchar"),
            resident_bytes: machine::resident_bytes(pid),
        };
        println!("{restart:?}");
        restarts.push(restart);
    }
    let report = RecoveryReport {
        command: setting.command.clone(),
        machine: machine::describe(),
        writes: done,
        directory_bytes,
        restarts,
    };
    write(&report, &setting.out)
}

fn bytes_of(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => bytes_of(&entry.path()),
        Ok(meta) => meta.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

fn write(report: &RecoveryReport, out: &Path) -> io::Result<PathBuf> {
    let mut page = Page::new("Restarts", &report.machine, &report.command);
    page.text(&format!(
        "After {} holds, and a kill; the data directory has {} MB.",
        number(report.writes as f64),
        number((report.directory_bytes as f64 / 1e6).round())
    ));
    let mb = |bytes: u64| number((bytes as f64 / 1e6).round());
    let rows = report.restarts.iter().map(|restart| {
        let cells = vec![
            restart.cores.to_string(),
            format!("{:.2}", restart.seconds),
            mb(restart.read_bytes),
            mb(restart.written_bytes),
            mb(restart.resident_bytes),
        ];
        (true, cells)
    });
    page.table(&["cores", "seconds", "read MB", "written MB", "resident MB"], &rows.collect::<Vec<_>>());
    let out = Report::new(out)?;
    out.json(report)?;
    out.page(&page)
}
