//! A run: one train on one date.

use std::fmt;
use std::sync::Arc;

use allocator::Layout;
use jiff::civil::Date;

use crate::catalogue::Catalogue;
use crate::formations::Class;
use crate::station::Station;
use crate::time::LocalTime;

/// One train on one date, its stops in order and its classes. Cheap to copy; made without allocating.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) trip: u32,
    pub(crate) date: Date,
}

/// One stop of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stop<'a> {
    /// From 0.
    pub index: u16,
    pub station: &'a Station,
    /// At the first stop as in the feed, where it commonly equals the departure.
    pub arrives_at: LocalTime,
    /// At the last stop as in the feed, where it commonly equals the arrival.
    pub departs_at: LocalTime,
    /// Passengers may get on: GTFS `pickup_type` is not 1.
    pub board: bool,
    /// Passengers may get off: GTFS `drop_off_type` is not 1.
    pub alight: bool,
}

impl<'a> Run<'a> {
    /// The train's number.
    #[must_use]
    pub fn train(&self) -> &'a str {
        self.catalogue.number(self.trip)
    }

    /// The date of partition keys. Times past midnight are on the dates after it.
    #[must_use]
    pub fn date(&self) -> Date {
        self.date
    }

    /// The stops in order, two or more.
    pub fn stops(&self) -> impl ExactSizeIterator<Item = Stop<'a>> + use<'a> {
        let catalogue = self.catalogue;
        let day_start = self.day_start();
        catalogue.calls(self.trip).iter().enumerate().map(move |(index, call)| Stop {
            index: index as u16,
            station: catalogue.stations.get(call.station),
            arrives_at: catalogue.zone.local(day_start + i64::from(call.arrives)),
            departs_at: catalogue.zone.local(day_start + i64::from(call.departs)),
            board: call.board,
            alight: call.alight,
        })
    }

    /// The number of segments between its stops: 1 to [`allocator::SEGMENTS_MAX`].
    #[must_use]
    pub fn segments(&self) -> u16 {
        (self.catalogue.calls(self.trip).len() - 1) as u16
    }

    /// The classes in the order in which the coaches have them.
    #[must_use]
    pub fn classes(&self) -> &'a [Class] {
        &self.catalogue.formation(self.trip).classes
    }

    /// The seats of a class.
    #[must_use]
    pub fn class(&self, name: &str) -> Option<&'a Arc<Layout>> {
        self.classes().iter().find(|class| &*class.name == name).map(|class| &class.layout)
    }

    /// The kind of train, as the formations name it.
    #[must_use]
    pub fn kind(&self) -> &'a str {
        &self.catalogue.formation(self.trip).name
    }

    /// Arrival at its last stop, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn ends_ms(&self) -> i64 {
        let calls = self.catalogue.calls(self.trip);
        self.ms(calls[calls.len() - 1].arrives)
    }

    fn ms(&self, time: i32) -> i64 {
        (self.day_start() + i64::from(time)) * 1_000
    }

    fn day_start(&self) -> i64 {
        self.catalogue.zone.service_day_start(self.date)
    }
}

impl PartialEq for Run<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.catalogue, other.catalogue) && self.trip == other.trip && self.date == other.date
    }
}

impl Eq for Run<'_> {}

impl fmt::Debug for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Run({} on {})", self.train(), self.date)
    }
}
