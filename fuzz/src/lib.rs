//! What is fed with any bytes at all: the readers of what comes from outside or from a disk. One function for each, which
//! takes the bytes, holds what the reader makes of them against what must hold whatever they are, and panics if it does
//! not.
//!
//! `tests/corpus.rs` runs each over `corpus/` and over seeded mutations of it, on every test run; `libfuzzer/` (a workspace
//! of its own, for the nightly compiler) runs them with coverage for as long as one likes: `make fuzz SECONDS=60`. It is
//! never part of what is shipped.

mod feed;
mod frames;
mod http;
pub mod mutate;
mod snapshot;

pub use feed::feed;
pub use frames::{example_segment, frames};
pub use http::http;
pub use snapshot::{example_snapshot, snapshot};

/// A function that takes any bytes.
pub type Target = fn(&[u8]);

/// Every target by name; its corpus is in the folder of that name.
pub const TARGETS: [(&str, Target); 4] =
    [("frames", frames), ("snapshot", snapshot), ("http", http), ("feed", feed)];
