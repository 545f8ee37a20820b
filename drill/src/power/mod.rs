//! Power cuts: a crash that takes the page cache with it, and with it everything that was not synced.
//!
//! The data lies on a file system of the drill's own, mounted by FUSE. It keeps what was synced, and any part of the
//! rest, sector by sector and name by name; it fails writes and syncs on demand; and it can be full.
//!
//! What it cannot show: the kernel does not pass `syncfs` on to FUSE, by which a start makes durable what a killed
//! process left in the page cache. So on this disk every crash is a cut, and no start finds unsynced bytes; those of
//! the real disk do.

pub mod dir;
pub mod file;
pub mod fs;
pub mod ground;
pub mod luck;
pub mod store;

pub use fs::Disk;
pub use ground::{Faults, PowerCuts, why_not};
