//! Measurements of Interlock that can be repeated.
//!
//! | file | subject |
//! |---|---|
//! | `load/`, `arrivals.rs` | the load generator: open and closed loop |
//! | `workloads/`, `demand.rs`, `feed.rs` | what is asked for: workloads, the spread of demand, the national timetable |
//! | `machine.rs` | processors, stolen time, CPU time and memory of a process |
//!
//! Nothing here decides whether a test of the product passes, and nothing of it is in the product.

pub mod arrivals;
pub mod demand;
pub mod feed;
pub mod json;
pub mod limits;
pub mod load;
pub mod machine;
pub mod workloads;
