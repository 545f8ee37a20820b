//! The timetable as the engine asks for it: which partitions may be opened, and the runs they belong to.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use allocator::{Layout, Span};

use crate::ids::{PartitionKey, Time};

/// A pure look-up: the same for the same key as long as the process lives. What it says is logged with the
/// partition's opening, and never asked again for that partition.
pub trait Catalogue: core::fmt::Debug {
    fn find(&self, key: &PartitionKey) -> Listing;

    /// A run with all its classes. `date` is `YYYY-MM-DD`; `None` where no such train runs on it.
    fn run(&self, train: &str, date: &str) -> Option<RunListing>;
}

#[derive(Debug)]
pub enum Listing {
    /// The timetable sells it.
    Sold(Definition),
    /// The timetable has the train but not this date or class, or it is long gone, or ad hoc partitions are off.
    NotSold,
    /// No timetable defines it: the first caller gives its capacity.
    AdHoc,
}

#[derive(Debug)]
pub struct Definition {
    pub layout: Layout,
    pub run: RunDefinition,
}

/// A run as the timetable sells it.
#[derive(Debug)]
pub struct RunListing {
    pub run: RunDefinition,
    /// In the order in which they are shown.
    pub classes: Vec<ClassListing>,
}

#[derive(Debug)]
pub struct ClassListing {
    pub name: String,
    pub layout: Arc<Layout>,
}

/// The stops of a run, fixed when its first partition opens.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct RunDefinition {
    pub stops: Vec<Stop>,
    /// Arrival at the last stop.
    pub ends_at: Time,
}

impl RunDefinition {
    /// Stretches between its stops.
    #[must_use]
    pub fn segments(&self) -> u16 {
        (self.stops.len() - 1) as u16
    }

    /// Passengers of the span may get on and off where it begins and ends.
    #[must_use]
    pub fn may_board_and_alight(&self, span: Span) -> bool {
        self.stops[usize::from(span.from())].board && self.stops[usize::from(span.to())].alight
    }

    /// The departure of the span's boarding stop, where the timetable gives one.
    #[must_use]
    pub fn departs_at(&self, span: Span) -> Option<Time> {
        let departs_at = self.stops[usize::from(span.from())].departs_at?;
        Some(Time(u64::try_from(departs_at.unix_secs).unwrap_or(0).saturating_mul(1_000)))
    }

    /// The span lies within the run.
    #[must_use]
    pub fn has_span(&self, span: Span) -> bool {
        span.to() <= self.segments()
    }
}

#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Stop {
    pub code: String,
    pub name: String,
    /// Absent where the timetable gives none.
    pub arrives_at: Option<LocalTime>,
    pub departs_at: Option<LocalTime>,
    /// Passengers may get on here (GTFS `pickup_type`).
    pub board: bool,
    /// Passengers may get off here (GTFS `drop_off_type`).
    pub alight: bool,
}

/// A moment with the offset of the place where it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct LocalTime {
    /// Seconds since the Unix epoch.
    pub unix_secs: i64,
    /// Seconds east of UTC.
    pub offset_secs: i32,
}
