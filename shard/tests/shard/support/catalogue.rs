//! A timetable by table.

use engine::catalogue::RunDefinition;
use engine::ids::Time;
pub(crate) use testkit::catalogue::{Table, coach};

/// A run with so many stops.
pub(crate) fn run(stops: usize, ends_at: Time) -> RunDefinition {
    testkit::catalogue::run("S", stops, ends_at)
}
