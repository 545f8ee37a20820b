//! What the engine asks of a timetable when a partition is asked for that is not open yet.

use alloc::string::String;
use alloc::vec::Vec;

use allocator::Layout;

use crate::ids::{PartitionKey, Time};

/// A pure look-up: the same for the same key as long as the process lives. What it says is logged with the
/// partition's opening, and never asked again for that partition.
pub trait Catalogue {
    fn find(&self, key: &PartitionKey) -> Listing;
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

/// The stops of a run, fixed when its first partition opens.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct RunDefinition {
    pub stops: Vec<Stop>,
    /// When the run has arrived at its last stop.
    pub ends_at: Time,
}

#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Stop {
    pub code: String,
    pub name: String,
    /// Absent where the timetable gives none.
    pub arrives_at: Option<LocalTime>,
    pub departs_at: Option<LocalTime>,
}

/// A moment with the offset of the place where it is read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct LocalTime {
    /// Seconds since the Unix epoch.
    pub unix_secs: i64,
    /// Seconds east of UTC.
    pub offset_secs: i32,
}
