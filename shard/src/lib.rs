//! The loop of one core, without a runtime: commands, messages, disk completions and time go in; disk writes, replies
//! and messages come out. It batches, holds replies back until they are durable, resends, expires and snapshots.
//!
//! Never blocks, never awaits, never reads a clock. Whoever drives it ([`Shard::turn`]) gives it the time.

#![forbid(unsafe_code)]

mod agenda;
mod clock;
mod drive;
mod gate;
mod heard;
mod housekeeping;
pub mod limits;
mod message;
mod operations;
mod recovery;
mod shard;
mod stats;

pub use clock::Clock;
pub use message::{Envelope, Message, OpId};
pub use recovery::{Recovery, redistribute};
pub use shard::{Config, Output, Shard, Token};
pub use stats::Stats;
