//! The commands, one file each.

pub mod batch;
pub mod compare;
pub mod engine;
pub mod floor;
pub mod grpc;
pub mod http;
pub mod index;
pub mod outage;
pub mod pipeline;
pub mod read_model;
pub mod recovery;
pub mod sinks;
pub mod steady;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use timetable::{Date, DateWindow, Timetable};

use crate::demand::Demand;
use crate::figures::Load;
use crate::target::{Start, Target};
use crate::workloads::{Choice, Sale};

/// Arguments that all commands which load a server have in common.
#[derive(Clone)]
pub struct Setting {
    pub start: Start,
    pub feed: String,
    pub load: Load,
    pub workload: &'static Choice,
    /// Directory of reports.
    pub out: PathBuf,
    /// As it was typed.
    pub command: String,
}

/// Dates on sale in a measurement, from the first one of the feed on that is after tomorrow.
const DATES: i64 = 28;

impl Setting {
    /// Reads the timetable that the server has as well, and what is wanted of it.
    ///
    /// # Errors
    /// If the feed cannot be read.
    pub fn sale(&self) -> io::Result<Sale> {
        Ok(Sale::new(demand(self.start.feed.as_deref(), DATES)?))
    }

    /// # Errors
    /// If the server does not start.
    pub fn interlock(&self) -> io::Result<Target> {
        Target::interlock(&self.start)
    }

    #[must_use]
    pub fn measured(&self) -> Duration {
        self.load.measured
    }
}

/// The demand for a feed on so many dates.
///
/// # Errors
/// If the feed cannot be read, or has no train in the time to come.
pub fn demand(feed: Option<&std::path::Path>, count: i64) -> io::Result<Demand> {
    let timetable = match feed {
        Some(feed) => Timetable::load_strict(feed, None, DateWindow::WHOLE).map_err(io::Error::other)?,
        None => Timetable::built_in(DateWindow::WHOLE),
    };
    let dates = dates(&timetable, jiff::Zoned::now().date(), count)?;
    Ok(Demand::new(&timetable, &dates))
}

fn dates(timetable: &Timetable, today: Date, count: i64) -> io::Result<Vec<Date>> {
    let (first, last) = timetable.dates().ok_or_else(|| io::Error::other("the feed has no dates"))?;
    let day = |n: i64| today.checked_add(jiff::Span::new().days(n)).map_err(io::Error::other);
    let first = first.max(day(2)?);
    let dates: Vec<Date> = first
        .series(jiff::Span::new().days(1))
        .take(count as usize)
        .take_while(|date| *date <= last)
        .filter(|date| timetable.runs(*date).next().is_some())
        .collect();
    if dates.is_empty() {
        return Err(io::Error::other(format!("the feed ends on {last}: nothing of it is on sale")));
    }
    Ok(dates)
}
