//! The engine: partitions, holds, orders, payments and tickets of one slot after another; decide and apply.
//!
//! Pure: no clock, no I/O, no randomness, no async. Time, entropy and the timetable are arguments. `no_std`, so that
//! none of them can slip in.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod answer;
pub mod catalogue;
pub mod command;
pub mod decide;
pub mod due_index;
pub mod effect;
pub mod ids;
pub mod limits;
pub mod message;
pub mod read_model;
pub mod record;
pub mod slots;
pub mod state;
pub mod status;
pub mod tally;
pub mod text;

pub use allocator::Span;
