//! The timetable of a start, and `interlock timetable check`: what is loaded of a feed, and what is not.

use std::fmt::Write as _;
use std::path::Path;

use jiff::civil::Date;
use timetable::{DateWindow, Report, Timetable};

use crate::config::Config;
use crate::log_tools::say;

type Error = Box<dyn std::error::Error>;

/// A feed that ends within so many days is warned of.
const ENDS_SOON_DAYS: i64 = 7;
const GUESSED: &str = "the feed has no formations.toml: its trains are sold as Chinese high-speed sets of eight coaches, which is \
    hardly what runs. docs/timetables.md says how to write one; a file with the line `default = \"8-car\"` says that it is meant";

/// The timetable of a start. Says what it has, and what of its feed is not loaded as it stands.
///
/// # Errors
/// The feed is refused, by file and line.
pub(crate) fn load(config: &Config) -> Result<Timetable, Error> {
    let (timetable, report) = match (&config.timetable, config.timetable_strict) {
        (Some(feed), true) => {
            (Timetable::load_strict(feed, config.formations.as_deref(), DateWindow::WHOLE)?, None)
        }
        (Some(feed), false) => {
            let (timetable, report) = Timetable::load(feed, config.formations.as_deref(), DateWindow::WHOLE)?;
            (timetable, Some(report))
        }
        (None, _) => (Timetable::built_in(DateWindow::WHOLE), None),
    };
    let summary = timetable.summary();
    let source = config.timetable.as_deref().map_or("built in".into(), Path::to_string_lossy);
    let dates = timetable.dates();
    let (first, last) =
        dates.map_or_else(Default::default, |(first, last)| (first.to_string(), last.to_string()));
    tracing::info!(
        source = %source,
        stations = summary.stations as u64,
        trains = summary.trains as u64,
        trips = summary.trips as u64,
        runs = summary.runs,
        first,
        last,
        formations = formations(&timetable),
        ad_hoc = config.ad_hoc_word(),
        "timetable"
    );
    for (kind, found) in report.iter().flat_map(Report::found) {
        let first = found.places.first().map(ToString::to_string).unwrap_or_default();
        tracing::warn!(count = found.count, first, "timetable: {}", kind.what());
    }
    if config.timetable.is_some() && !timetable.has_own_formations() {
        tracing::warn!("{GUESSED}");
    }
    if let Some(warning) = end_of(dates, jiff::Zoned::now().date()) {
        tracing::warn!("{warning}");
    }
    Ok(timetable)
}

/// Prints what is loaded of a feed.
///
/// # Errors
/// The feed is refused, or something of it is not loaded as it stands.
pub(crate) fn check(feed: &Path, own_formations: Option<&Path>) -> Result<(), Error> {
    let (timetable, report) = Timetable::load(feed, own_formations, DateWindow::WHOLE)?;
    let summary = timetable.summary();
    let dates = timetable.dates();
    let mut said = String::new();
    let when =
        dates.map_or_else(|| "on no date".to_owned(), |(first, last)| format!("from {first} to {last}"));
    writeln!(
        said,
        "{}: {} trips of {} trains, {} runs {when}, {} stations",
        feed.display(),
        summary.trips,
        summary.trains,
        summary.runs,
        summary.stations
    )?;
    writeln!(said, "formations: {}", formations(&timetable))?;
    if !timetable.has_own_formations() {
        writeln!(said, "{GUESSED}")?;
    }
    if let Some(warning) = end_of(dates, jiff::Zoned::now().date()) {
        writeln!(said, "{warning}")?;
    }
    write!(said, "{report}")?;
    say(&said)?;
    if report.is_empty() { Ok(()) } else { Err("not everything is loaded as it stands".into()) }
}

/// The kinds of train with the trips that have them.
fn formations(timetable: &Timetable) -> String {
    let kinds = timetable.kinds().map(|(kind, trips)| format!("{kind} ({trips} trips)"));
    kinds.collect::<Vec<_>>().join(", ")
}

/// A warning where there is nothing to sell, or soon will be.
fn end_of(dates: Option<(Date, Date)>, today: Date) -> Option<String> {
    let Some((_, last)) = dates else {
        return Some("the timetable has no runs: none of its trains can be sold".to_owned());
    };
    if last < today {
        return Some(format!("the timetable ended on {last}: none of its trains can be sold any more"));
    }
    let soon = today.checked_add(jiff::Span::new().days(ENDS_SOON_DAYS)).is_ok_and(|soon| last <= soon);
    soon.then(|| format!("the timetable ends on {last}: a newer feed is needed"))
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_feed_that_ends_is_warned_of() {
        let today = date(2027, 1, 10);
        let warned = |last: Date| end_of(Some((date(2026, 1, 1), last)), today).unwrap_or_default();
        assert!(warned(date(2027, 1, 9)).contains("ended on 2027-01-09"));
        assert!(warned(date(2027, 1, 10)).contains("ends on 2027-01-10"));
        assert!(warned(date(2027, 1, 17)).contains("ends on 2027-01-17"));
        assert_eq!(warned(date(2027, 1, 18)), "");
        assert!(end_of(None, today).expect("a warning").contains("no runs"));
    }
}
