//! Target: the reader of timetables (GTFS feeds and formations).

use std::path::Path;

use timetable::{Date, DateWindow, Timetable};

/// The separator between the files of a feed in one input: `=== stops.txt`, then the file.
const SEPARATOR: &str = "=== ";

/// Files that a feed may have. No others are written: a name is a path on the disk.
const FILES: [&str; 8] = [
    "agency.txt",
    "stops.txt",
    "routes.txt",
    "trips.txt",
    "stop_times.txt",
    "calendar.txt",
    "calendar_dates.txt",
    "formations.toml",
];

/// The input is a feed in one text, or a zip file.
///
/// # Panics
/// When a feed is accepted and its timetable contradicts itself.
pub fn feed(data: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory for a test");
    let path = if data.starts_with(b"PK") {
        let path = directory.path().join("feed.zip");
        std::fs::write(&path, data).expect("a file for a test");
        path
    } else {
        write(directory.path(), data);
        directory.path().to_owned()
    };
    let strict = Timetable::load_strict(&path, None, DateWindow::WHOLE);
    if let Ok(timetable) = &strict {
        check(timetable);
    }
    match Timetable::load(&path, None, DateWindow::WHOLE) {
        Ok((timetable, report)) => {
            check(&timetable);
            assert!(report.is_empty() || strict.is_err(), "in order, and not: {report}");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

fn write(directory: &Path, data: &[u8]) {
    let mut rest = data;
    while let Some((name, tail)) = next_file(rest) {
        let end =
            (0..tail.len()).find(|at| tail[*at..].starts_with(b"\n=== ")).map_or(tail.len(), |at| at + 1);
        if let Some(file) = FILES.iter().find(|file| file.as_bytes() == name) {
            std::fs::write(directory.join(file), &tail[..end]).expect("a file for a test");
        }
        rest = &tail[end..];
    }
}

/// The name behind the separator that the input begins with, and what follows that line.
fn next_file(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = data.strip_prefix(SEPARATOR.as_bytes())?;
    let end = line.iter().position(|byte| *byte == b'\n')?;
    Some((&line[..end], &line[end + 1..]))
}

/// Asks what the edge asks.
fn check(timetable: &Timetable) {
    let summary = timetable.summary();
    let stations = timetable.stations("", None, usize::MAX);
    assert_eq!(stations.len(), summary.stations);
    let Some((first, last)) = timetable.dates() else { return };
    assert!(first <= last && summary.runs > 0);
    for date in [first, last, Date::constant(2027, 1, 16)] {
        for run in timetable.runs(date) {
            assert!(timetable.has_train(run.train()));
            assert!(timetable.run(run.train(), date).is_some());
        }
        for from in stations.iter().take(4) {
            for to in stations.iter().take(4) {
                let ids = (timetable.find_station(&from.code), timetable.find_station(&to.code));
                if let (Some(from), Some(to)) = ids {
                    let _ = timetable.journeys(from, to, date).len();
                }
            }
        }
    }
}
