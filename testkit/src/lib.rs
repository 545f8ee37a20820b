//! The common ground of the tests of engine and shard: names and the commands made of them, a timetable by table, and what must hold
//! of any state. Nothing here is shipped.
//!
//! The simulator has none of it: it would share mistakes with what it checks.

pub mod catalogue;
pub mod check;
pub mod names;
