//! Seat allocation: the free seats of one class of a train run, by segment.
//!
//! An [`Inventory`] holds one bitmap of seats for each segment, a segment being the stretch between two consecutive
//! stops. A seat is free on a [`Span`] if its bit is clear on every segment of it. The bitmaps are the only truth: every number
//! here is counted from them. [`Inventory::find`] only reads and chooses; [`Inventory::take`], [`Inventory::release`] and
//! [`Inventory::sell`] only do as they are told. So a log of the seats taken can be replayed under any later choice rule.
//!
//! Never here: clocks, randomness, input or output, threads, holds and who owns them. Misuse (a seat taken twice, a span
//! beyond the run) is a bug of the caller and panics, in release builds too.
//!
//! Reading order: `span`, `layout` (and `validate`), `bitmap`, `inventory`, `gaps`, `find`.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod bitmap;
mod find;
mod gaps;
mod inventory;
mod layout;
mod span;
mod validate;

pub use find::{Found, Together};
pub use inventory::Inventory;
pub use layout::{ArchivedCoach, ArchivedLayout, ArchivedRowBlock, ArchivedSeatNo};
pub use layout::{Coach, Layout, RowBlock, Seat, SeatNo};
pub use span::Span;
pub use validate::LayoutError;

/// Most seats of a [`Layout::Labelled`].
pub const LABELLED_SEATS_MAX: u32 = 2_000;
/// Most segments of a run, so that the gap beside a span always fits in the bits counted for it.
pub const SEGMENTS_MAX: u16 = 64;
/// Most seats of a [`Layout::AdHoc`].
pub const AD_HOC_SEATS_MAX: u32 = 100_000;
/// Seats in each coach of a [`Layout::AdHoc`] but the last, which has the rest.
pub const AD_HOC_SEATS_PER_COACH: u32 = 50;
/// Most seats in a row of a [`Layout::Labelled`].
pub const ROW_SEATS_MAX: u32 = 50;
/// Longest coach number of a [`Layout::Labelled`], in bytes.
pub const COACH_NUMBER_BYTES_MAX: usize = 16;

// A row is looked at in one word. An ad hoc coach counts as a row.
const _: () = assert!(ROW_SEATS_MAX <= u64::BITS);
const _: () = assert!(AD_HOC_SEATS_PER_COACH <= u64::BITS);
