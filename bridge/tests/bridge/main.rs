//! The bridge by its public interface, with real SQLite files and real servers.

mod events;
mod kafka;
mod left;
mod listings;
mod mysql;
mod opening;
// The operations of the engine's own random histories.
#[path = "../../../engine/tests/engine/model/ops.rs"]
#[allow(dead_code, reason = "the read model's tests use a part of them")]
mod ops;
mod page;
mod redis;
mod rows;
mod runner;
mod samples;
mod support;
mod tidy;
mod views;
