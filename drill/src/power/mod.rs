//! Power cuts: a crash that takes the page cache with it, and so everything that was not synced.
//!
//! The data lies on a file system of the drill's own, mounted by FUSE. It keeps what was synced and any part of the
//! rest, sector by sector and name by name. It fails a write or a sync on demand, and it can be full.
//!
//! | file | what it is |
//! |---|---|
//! | `file`, `dir` | one file's bytes and one directory's names: what reads see, what is on the disk, what lies between |
//! | [`store`] | a whole disk of them, with a size and with faults on demand |
//! | [`survival`] | the part of the unsynced that a cut leaves |
//! | [`fs`] | the store as a file system of the kernel, with a power switch |
//! | [`mount`] | where it is mounted, and a whole power cut |
//! | [`faults`] | the two fault injectors: [`PowerCuts`] and [`DiskFaults`] |
//!
//! Limit: the kernel does not pass `syncfs` on to FUSE, by which a start makes durable what a killed process left in the
//! page cache. So on this disk every crash is a power cut, and no start finds unsynced bytes. The kill drill on a real
//! disk has those starts.

pub mod dir;
pub mod faults;
pub mod file;
pub mod fs;
pub mod mount;
pub mod store;
pub mod survival;

pub use faults::{DiskFaults, PowerCuts};
pub use mount::mount_error;
