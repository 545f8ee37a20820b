//! The timetable: trains, the dates on which they run, their stops and their seats.
//!
//! A [`Timetable`] is read from a GTFS feed (a directory or a zip file) and a file of formations. What of a feed cannot be sold is left out, and
//! a [`Report`] says what; where nothing can be, or the load is strict, it is refused by file and line. It never changes after that, so that
//! all cores share one. It knows nothing of sales.
//!
//! | file | subject |
//! |---|---|
//! | `source.rs`, `table.rs` | a feed's files; the records of one table with their lines |
//! | `trips.rs`, `stops.rs`, `calendar.rs`, `stop_times.rs` | the tables of GTFS |
//! | `report.rs` | what of a feed is not loaded as it stands |
//! | `formations.rs` | kinds of train with their coaches and classes |
//! | `catalogue.rs` | the whole feed, indexed |
//! | `folded.rs` | train numbers without case, blanks and width |
//! | `search.rs`, `station.rs`, `run.rs` | queries |
//!
//! Choices that GTFS leaves open:
//!
//! - A run is named by its train and its date. The train's number is `trip_short_name`, or the trip's id where it has
//!   none. One number may have several trips as long as no two of them run on the same day: the later one then goes by its id.
//! - Times count from twelve hours before noon of the run's date in the agency's time zone, and go past 24:00:00.
//! - A stop without times gets some, evenly between the timed stops on either side.
//! - A platform is its parent station. A train may call at a station more than once.
//! - A journey begins where passengers may board and ends where they may alight (`pickup_type`, `drop_off_type` are not 1). The
//!   stops of a run say so too. Where a train calls more than once, [`journey_stops`] decides.
//! - Trips by frequency (`frequencies.txt`) have no single run on a date, and are left out.

#![forbid(unsafe_code)]

mod built_in;
mod calendar;
mod catalogue;
mod days;
mod error;
mod folded;
mod formations;
pub mod limits;
mod pattern;
mod report;
mod run;
mod search;
mod source;
mod station;
mod stop_times;
mod stops;
mod table;
mod time;
mod trips;

use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

pub use jiff::civil::Date;

use catalogue::Catalogue;
use formations::Formations;
use source::Source;

pub use days::DateWindow;
pub use error::LoadError;
pub use formations::Class;
pub use report::{Found, Kind, Report};
pub use run::{Run, Stop};
pub use search::{Journey, journey_stops};
pub use station::{Station, StationId};
pub use time::LocalTime;

/// The trains of a feed and the dates on which they are on sale.
#[derive(Clone)]
pub struct Timetable {
    catalogue: Arc<Catalogue>,
    window: DateWindow,
    has_own_formations: bool,
}

/// The size of a timetable, for a log line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Summary {
    pub stations: usize,
    /// Train numbers, whether or not they run within the window.
    pub trains: usize,
    /// Trips of the feed: a train has several where its stops differ between dates.
    pub trips: usize,
    /// Runs within the window: trains times the dates on which they run.
    pub runs: u64,
}

/// The formations file beside a feed's tables.
const FORMATIONS_FILE: &str = "formations.toml";

impl Timetable {
    /// Reads of a feed what can be sold, and reports the rest. Formations come from the file that is named, else from `formations.toml`
    /// beside the feed's tables, else they are the built-in ones.
    ///
    /// # Errors
    /// A file or a column without which nothing can be sold is missing, one cannot be read, a limit of the whole feed is passed, the formations are
    /// not in order, or nothing of it can be sold: then with the report.
    pub fn load(
        feed: &Path,
        formations: Option<&Path>,
        window: DateWindow,
    ) -> Result<(Timetable, Report), LoadError> {
        let mut report = Report::lenient();
        let timetable = Timetable::read(feed, formations, window, &mut report)?;
        if timetable.catalogue.trip_count() == 0 {
            let what = format!("nothing of it can be sold\n{report}");
            return Err(LoadError::whole(feed.display().to_string(), what.trim_end()));
        }
        Ok((timetable, report))
    }

    /// The same, where every row that is not in order is an error.
    ///
    /// # Errors
    /// With the first one's file and line.
    pub fn load_strict(
        feed: &Path,
        formations: Option<&Path>,
        window: DateWindow,
    ) -> Result<Timetable, LoadError> {
        Timetable::read(feed, formations, window, &mut Report::strict())
    }

    fn read(
        feed: &Path,
        formations: Option<&Path>,
        window: DateWindow,
        report: &mut Report,
    ) -> Result<Timetable, LoadError> {
        let mut source = Source::open(feed)?;
        let own = read_formations(&mut source, formations)?;
        let has_own_formations = own.is_some();
        let formations = own.unwrap_or_else(Formations::built_in);
        let catalogue = Arc::new(Catalogue::read(&mut source, formations, report)?);
        Ok(Timetable { catalogue, window, has_own_formations })
    }

    /// The project's own small feed, which has trains on every day from 2020 to 2099.
    #[must_use]
    pub fn built_in(window: DateWindow) -> Timetable {
        let mut source = Source::Embedded(built_in::FEED);
        let own = read_formations(&mut source, None).expect("the built-in formations are in order");
        let formations = own.unwrap_or_else(Formations::built_in);
        let catalogue = Catalogue::read(&mut source, formations, &mut Report::strict())
            .expect("the built-in feed is in order");
        Timetable { catalogue: Arc::new(catalogue), window, has_own_formations: true }
    }

    /// The same trains with other dates on sale. Shares what was read.
    #[must_use]
    pub fn with_window(&self, window: DateWindow) -> Timetable {
        Timetable { catalogue: Arc::clone(&self.catalogue), window, ..*self }
    }

    /// True if the feed has a train of this number on any date, on sale or not.
    #[must_use]
    pub fn has_train(&self, train: &str) -> bool {
        self.catalogue.has_train(train)
    }

    /// True if a partition key begins with what could be meant for the number of a train of the feed: the same but for case,
    /// blanks and width, those of the bar included.
    #[must_use]
    pub fn has_train_like(&self, key: &str) -> bool {
        self.train_like(key).is_some()
    }

    /// The number of the train that could be meant by the beginning of a partition key: the same but for case, blanks and width.
    #[must_use]
    pub fn train_like(&self, key: &str) -> Option<&str> {
        self.catalogue.train_like(key)
    }

    /// The run of a train on a date that is on sale.
    #[must_use]
    pub fn run(&self, train: &str, date: Date) -> Option<Run<'_>> {
        let day = days::day_of(date);
        if !self.window.has(day) {
            return None;
        }
        let trip = self.catalogue.find(train, day)?;
        Some(Run { catalogue: &self.catalogue, trip, date })
    }

    /// All runs of a date that is on sale, in the order of their trains' numbers.
    pub fn runs(&self, date: Date) -> impl Iterator<Item = Run<'_>> {
        let day = days::day_of(date);
        let trips = if self.window.has(day) { self.catalogue.trip_count() as u32 } else { 0 };
        let catalogue = &*self.catalogue;
        (0..trips).filter(move |trip| catalogue.runs(*trip, day)).map(move |trip| Run {
            catalogue,
            trip,
            date,
        })
    }

    /// Stations whose code starts with the query or whose name has it somewhere, in whatever case, in the order of their
    /// codes; all of them where it is empty. A page goes on `after` the last code of the page before.
    #[must_use]
    pub fn stations(&self, query: &str, after: Option<&str>, limit: usize) -> Vec<&Station> {
        self.catalogue.stations.search(query, after, limit)
    }

    /// The station of a code, else of a whole name that only one station has.
    #[must_use]
    pub fn find_station(&self, code_or_name: &str) -> Option<StationId> {
        self.catalogue.stations.find(code_or_name)
    }

    /// # Panics
    ///
    /// If the id is of another timetable, which has more stations.
    #[must_use]
    pub fn station(&self, id: StationId) -> &Station {
        self.catalogue.stations.get(id)
    }

    /// The runs on sale that take a passenger from one station to another, by departure.
    ///
    /// `date` is the date on which the passenger boards, on the calendar of the station. Whoever boards after midnight
    /// gives the new date, and finds the run under the date before: [`Run::date`] is the one of the partition key.
    #[must_use]
    pub fn journeys(&self, from: StationId, to: StationId, date: Date) -> Vec<Journey<'_>> {
        search::journeys(&self.catalogue, self.window, from, to, date)
    }

    /// The first and the last date on sale on which a train runs.
    #[must_use]
    pub fn dates(&self) -> Option<(Date, Date)> {
        let (_, days) = self.catalogue.count_runs(self.window);
        days.map(|(first, last)| (days::date_of(first), days::date_of(last)))
    }

    /// False where the feed came without formations, and has the built-in ones.
    #[must_use]
    pub fn has_own_formations(&self) -> bool {
        self.has_own_formations
    }

    /// The kinds of train that the feed's trips have, each with the number of its trips.
    pub fn kinds(&self) -> impl Iterator<Item = (&str, usize)> {
        self.catalogue.kinds()
    }

    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            stations: self.catalogue.stations.len(),
            trains: self.catalogue.train_count(),
            trips: self.catalogue.trip_count(),
            runs: self.catalogue.count_runs(self.window).0,
        }
    }
}

impl fmt::Debug for Timetable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timetable").field("window", &self.window).finish_non_exhaustive()
    }
}

/// `None` where no file has any.
fn read_formations(source: &mut Source, path: Option<&Path>) -> Result<Option<Formations>, LoadError> {
    let shown = path.map_or_else(|| source.shown(FORMATIONS_FILE), |path| path.display().to_string());
    let unreadable = |e: std::io::Error| LoadError::whole(&shown, format!("cannot be read: {e}"));
    let input: Option<Box<dyn Read + '_>> = match path {
        Some(path) => Some(Box::new(std::fs::File::open(path).map_err(unreadable)?)),
        None => source.read(FORMATIONS_FILE)?,
    };
    let Some(input) = input else { return Ok(None) };
    let mut text = String::new();
    input.take(limits::FORMATIONS_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    Formations::parse(&text, &shown).map(Some)
}
