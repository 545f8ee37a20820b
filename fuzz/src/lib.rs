//! Fuzz targets for the readers of what comes from outside or from a disk. Each is a function that takes any bytes, gives
//! them to a reader, and panics where the result breaks what must hold for every input.
//!
//! `tests/corpus.rs` runs each over `corpus/` and over seeded mutations of it, in every test run. `libfuzzer/` (a workspace
//! of its own, for the nightly compiler) runs them guided by coverage for as long as wished: `make fuzz SECONDS=60`.
//! Nothing of this is shipped.

mod feed;
mod frames;
mod grpc;
mod http;
pub mod mutate;
mod snapshot;

pub use feed::feed;
pub use frames::{example_segment, frames};
pub use grpc::grpc;
pub use http::http;
pub use snapshot::{example_snapshot, snapshot};

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target by name; its corpus is in the folder of that name.
pub const TARGETS: [(&str, Target); 5] =
    [("frames", frames), ("snapshot", snapshot), ("http", http), ("grpc", grpc), ("feed", feed)];
