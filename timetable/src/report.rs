//! The report of a load: what a feed has that cannot be sold, or was read otherwise than it stands there, by kind and with the first places.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::LoadError;
use crate::limits::REPORTED_PLACES_MAX;

/// A kind of row that is not loaded as it stands, and what becomes of it. In the order of a report.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    FrequencyTrip,
    TooFewStops,
    TooManyStops,
    WrongTimes,
    UnknownService,
    NoNumber,
    NumberTaken,
    TripNumber,
    FlexRow,
    UnknownTrip,
    UnknownStop,
    BoardingType,
    UnknownRoute,
    StopCode,
    StationName,
    UnknownParent,
    LongService,
    Calendar,
    DoubleRow,
    WrongField,
    MoreFields,
    Quotes,
    NotUtf8,
}

impl Kind {
    /// In the plural, with what becomes of them.
    #[must_use]
    pub const fn what(self) -> &'static str {
        match self {
            Kind::FrequencyTrip => {
                "trips by frequency, which have no single run on a date to sell a seat on: left out"
            }
            Kind::TooFewStops => "trips with no stop or one: left out",
            Kind::TooManyStops => "trips with more stops than a run may have: left out",
            Kind::WrongTimes => "trips whose stops or times contradict each other, or are none: left out",
            Kind::UnknownService => "trips of a service that is not there: left out",
            Kind::NoNumber => "trips that neither their number nor their id can name: left out",
            Kind::NumberTaken => {
                "trips whose number another one has on the same date: they go by their trip_id"
            }
            Kind::TripNumber => "trips whose number cannot be part of a key: they go by their trip_id",
            Kind::FlexRow => "stop times on demand, without a stop: left out",
            Kind::UnknownTrip => "stop times of a trip that is not there: left out",
            Kind::UnknownStop => "stop times at a stop that is not there, or is none: left out",
            Kind::BoardingType => {
                "stop times whose pickup_type or drop_off_type is none of 0 to 3: taken as not allowed"
            }
            Kind::UnknownRoute => {
                "trips of a route that is not there or has no type: no rule by route type fits them"
            }
            Kind::StopCode => {
                "stations whose stop_code others have too, or that is too long: they go by their stop_id"
            }
            Kind::StationName => "stations whose name is missing, too long or has control characters: mended",
            Kind::UnknownParent => "stops whose parent_station is none: each is a station of its own",
            Kind::LongService => "services that end later than can be counted: cut off",
            Kind::Calendar => {
                "rows of a calendar that cannot be read: left out with the trips of their service"
            }
            Kind::DoubleRow => "rows whose id is there already: left out",
            Kind::WrongField => "rows with a field that must say something and does not: left out",
            Kind::MoreFields => {
                "rows with more fields than the header, so that nobody knows which is which: left out"
            }
            Kind::Quotes => "fields with quotes out of place: taken as they stand",
            Kind::NotUtf8 => "rows that are not UTF-8: read as Latin-1",
        }
    }
}

/// The rows of one kind.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Found {
    pub count: u64,
    /// The first of them.
    pub places: Vec<LoadError>,
}

/// What a load has found.
#[derive(Clone, Debug)]
pub struct Report {
    is_strict: bool,
    found: BTreeMap<Kind, Found>,
}

impl Report {
    pub(crate) fn lenient() -> Report {
        Report { is_strict: false, found: BTreeMap::new() }
    }

    /// Every row that is not in order is the end of the load.
    pub(crate) fn strict() -> Report {
        Report { is_strict: true, found: BTreeMap::new() }
    }

    pub(crate) fn is_strict(&self) -> bool {
        self.is_strict
    }

    /// Notes a row that is not loaded as it stands.
    ///
    /// # Errors
    /// With `why`, where the load is strict.
    pub(crate) fn note(&mut self, kind: Kind, why: impl FnOnce() -> LoadError) -> Result<(), LoadError> {
        if self.is_strict {
            return Err(why());
        }
        let found = self.found.entry(kind).or_default();
        found.count += 1;
        if found.places.len() < REPORTED_PLACES_MAX {
            found.places.push(why());
        }
        Ok(())
    }

    /// The feed is loaded whole, as it stands.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub fn found(&self) -> impl Iterator<Item = (Kind, &Found)> {
        self.found.iter().map(|(kind, found)| (*kind, found))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, found) in self.found() {
            writeln!(f, "{} {}", found.count, kind.what())?;
            for place in &found.places {
                writeln!(f, "    {place}")?;
            }
            let more = found.count - found.places.len() as u64;
            if more > 0 {
                writeln!(f, "    and {more} more")?;
            }
        }
        Ok(())
    }
}
