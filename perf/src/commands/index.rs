//! `perf index`: one page over the reports of a directory, with the headlines in front.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::machine;
use crate::report::{Page, Report, number};

/// A headline: what it says, the report it is from, and how it reads that.
struct Headline {
    name: &'static str,
    report: &'static str,
    read: fn(&Value) -> Option<String>,
}

const HEADLINES: [Headline; 6] = [
    Headline {
        name: "new durable holds a second, at the ceiling, 64 connections",
        report: "http",
        read: |figures| count(figures.pointer("/sweeps/0/closed/new_holds_per_second")?),
    },
    Headline {
        name: "p99 of a new hold at half of the ceiling, 64 connections (ms)",
        report: "http",
        read: |figures| {
            let runs = figures.pointer("/sweeps/0/open")?.as_array()?;
            let half = runs.iter().find(|run| run["load_percent"] == 50.0)?;
            let invalid = if half["invalid"].is_null() { "" } else { " (invalid: the generator was late)" };
            Some(format!("{:.2}{invalid}", half.pointer("/latency/new_hold/p99_us")?.as_f64()? / 1e3))
        },
    },
    Headline {
        name: "CPU time of the floor (hyper on monoio) for a request, over Interlock's",
        report: "floor",
        read: |figures| Some(format!("{:.2}", figures.pointer("/servers/1/share_of_interlock")?.as_f64()?)),
    },
    Headline {
        name: "operations of the engine a second of one core",
        report: "engine",
        read: |figures| count(figures.get("operations_per_core_second")?),
    },
    Headline {
        name: "seconds of a restart after a kill",
        report: "recovery",
        read: |figures| {
            let seconds = figures.pointer("/restarts/0/seconds")?.as_f64()?;
            Some(format!("{seconds:.2} (after {} holds)", count(figures.get("writes")?)?))
        },
    },
    Headline {
        name: "growth of memory under steady load, from the middle third to the last",
        report: "steady",
        read: |figures| Some(format!("{:+.1}%", figures.get("memory_growth_percent")?.as_f64()?)),
    },
];

fn count(value: &Value) -> Option<String> {
    Some(number(value.as_f64()?.round()))
}

/// # Errors
/// If the page cannot be written.
pub fn run(dir: &Path) -> io::Result<PathBuf> {
    let out = Report::new(dir)?;
    let mut page = Page::new("Interlock, measured", &machine::describe(), "make perf");
    let reports = reports(dir)?;
    let figures =
        |name: &str| reports.iter().find(|report| report.name == name).map(|report| &report.figures);
    let rows = HEADLINES.iter().filter_map(|headline| {
        let value = (headline.read)(figures(headline.report)?)?;
        Some((true, vec![headline.name.to_owned(), value, headline.report.to_owned()]))
    });
    page.table(&["headline", "", "report"], &rows.collect::<Vec<_>>());
    page.heading("Reports");
    for report in &reports {
        let command = report.figures["command"].as_str().unwrap_or_default();
        page.link(&format!("{}/index.html", report.name), &format!("{} ({command})", report.name));
    }
    out.page(&page)
}

struct Found {
    name: String,
    figures: Value,
}

/// Reports that there are, by name. A directory without figures is none.
fn reports(dir: &Path) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)?.flatten() {
        let Ok(text) = fs::read(entry.path().join("figures.json")) else { continue };
        found.push(Found {
            name: entry.file_name().to_string_lossy().into_owned(),
            figures: serde_json::from_slice(&text)?,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::run;

    #[test]
    fn headlines_come_from_the_reports_that_there_are() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, figures: serde_json::Value| {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join("figures.json"), figures.to_string()).unwrap();
        };
        write("engine", json!({"command": "perf engine", "operations_per_core_second": 1234567.0}));
        let half =
            json!({"load_percent": 50.0, "invalid": "late", "latency": {"new_hold": {"p99_us": 4500.0}}});
        write("http", json!({"sweeps": [{"closed": {"new_holds_per_second": 5000.0}, "open": [half]}]}));
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        let page = std::fs::read_to_string(run(dir.path()).unwrap()).unwrap();
        for text in ["1,234,567", "5,000", "4.50 (invalid", "engine/index.html", "perf engine"] {
            assert!(page.contains(text), "{text:?} is not in {page}");
        }
        assert!(!page.contains("steady") && !page.contains("empty"));
    }
}
