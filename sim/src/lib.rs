//! The simulator: real shards with their logs, on virtual time and a disk in memory, driven by one seed in one thread; with
//! crashes and faults at any step, and everything that comes out held against models that share no code with the engine.
//!
//! One seed is one run. The same seed is the same run, to the last byte of the logs, and [`run::Summary::hash`] says so.
//! Never here: a clock, a thread within a run, a random number that is not the seed's.

#![forbid(unsafe_code)]

mod checks;
pub mod counters;
mod faults;
mod history;
mod plan;
mod rng;
pub mod run;
pub mod seeds;
mod sinks;
pub mod soak;
mod timetable;
mod workload;
mod world;
