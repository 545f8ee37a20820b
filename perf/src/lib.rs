//! Measurements of Interlock that can be repeated.
//!
//! | file | subject |
//! |---|---|
//! | `load/`, `arrivals.rs` | the load generator: open and closed loop |
//! | `workloads/`, `demand.rs`, `feed.rs` | what is asked for: workloads, the spread of demand, the national timetable |
//! | `commands/` | the measurements, one file each |
//! | `target.rs`, `figures.rs`, `statistics.rs`, `report/` | the server that is measured, what a run gives, spread and differences, JSON and pages |
//! | `scrape.rs` | what the server itself counts |
//! | `machine.rs` | processors, stolen time, CPU time and memory of a process |
//!
//! Nothing of it is in the product, and no time that it measures decides a test. Instructions do (`perf/instructions.toml`).

pub mod arrivals;
pub mod commands;
pub mod demand;
pub mod figures;
pub mod json;
pub mod limits;
pub mod load;
pub mod machine;
pub mod report;
pub mod scrape;
pub mod statistics;
pub mod target;
pub mod workloads;
