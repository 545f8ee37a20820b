//! The common ground of tests: for those of engine and shard names and the commands made of them, a timetable by table, views of orders, and what must
//! hold of any state; the national feed for whoever needs a real timetable. Nothing here is shipped.
//!
//! The simulator has none of it: it would share mistakes with what it checks.

pub mod catalogue;
pub mod check;
pub mod names;
pub mod national_feed;
pub mod views;
