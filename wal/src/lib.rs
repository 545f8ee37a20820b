//! The log of one core: frames, segments, snapshots, recovery, and the data directory that holds them.
//!
//! Records and slot images are bytes here. This crate never looks inside them, never reads a clock (time is an argument of
//! [`Log::poll`]), and never blocks the thread that drives a log: slow work is submitted to a [`disk::Disk`] and collected when
//! it is complete.
//!
//! Start with [`DataDir::open`], then [`DataDir::recover`] and [`DataDir::log`] for each core, then one [`Log`] per core thread.
//! `docs/wal-format.md` has the layout of the files and goes through the crashes one by one.

mod buffer;
mod bytes;
mod core_dir;
mod dir;
pub mod disk;
mod error;
pub mod files;
pub mod follow;
mod frame;
pub mod inspect;
pub mod limits;
mod log;
mod names;
mod options;
mod recover;
mod replay;
mod sinks;
mod snapshot;
mod superblock;
mod types;

pub use buffer::Buffer;
pub use core_dir::CoreDir;
pub use dir::backup::{Backup, BackupWriter, Snapshot, Snapshots, restore};
pub use dir::{DataDir, SnapshotSink};
pub use error::{DiskError, OpenError};
pub use log::{Log, SlotWriter, SnapshotState, Space, Stats};
pub use options::Options;
pub use recover::{Cut, Recovered};
pub use replay::Recover;
pub use sinks::{CursorFile, Sink, SinkRegistry, Sinks};
pub use snapshot::SnapshotInfo;
pub use types::{Lsn, Millis};
