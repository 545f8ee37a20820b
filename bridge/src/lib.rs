//! The bridge: what leaves the log as rows for tables, envelopes for topics, and the sinks that are filled with them.
//!
//! A sink follows the log up to what is durable and keeps its own cursor. It may lag, stop or be filled again; selling goes on.
//! Nothing here decides anything about seats, orders or money, and nothing here reads the log: a [`source::Source`] does.

pub mod events;
pub mod health;
pub mod ids;
pub mod kafka;
pub mod mysql;
pub mod read_model;
pub mod redis;
pub mod rows;
pub mod runner;
pub mod sink;
pub mod source;
mod text;
