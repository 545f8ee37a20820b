//! The log of one core: frames, segments, snapshots, recovery, and the data directory that holds them.
//!
//! Records and slot images are bytes here. This crate never looks inside of them, never reads a clock (time is an argument
//! of [`Log::poll`]), and after start it never blocks the thread that drives it: whatever may take long is submitted to a
//! [`disk::Disk`] and taken back when it is complete.
//!
//! The way through: [`DataDir::open`], then [`DataDir::recover`] and [`DataDir::log`] for each core, then one [`Log`] per
//! core thread. What the files look like and which crash leads where is told by `docs/wal-format.md`.

mod buffer;
mod bytes;
mod core_dir;
mod dir;
pub mod disk;
mod error;
pub mod files;
mod frame;
pub mod inspect;
pub mod limits;
mod log;
mod names;
mod options;
mod recover;
mod replay;
mod snapshot;
mod superblock;
mod types;

pub use buffer::Buffer;
pub use core_dir::CoreDir;
pub use dir::{DataDir, SnapshotSink};
pub use error::{DiskError, OpenError};
pub use log::{Log, SlotWriter, SnapshotState, Space, Stats};
pub use options::Options;
pub use recover::{Cut, Recovered};
pub use replay::Recover;
pub use snapshot::SnapshotInfo;
pub use types::{Lsn, Millis};
