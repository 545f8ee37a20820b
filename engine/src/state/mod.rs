//! The state of one slot. Read by `decide`, changed by `apply` alone.

mod apply;
mod check;
mod holds;
mod image;
mod imaged_map;
mod leap;
mod memory_estimate;
mod orders;
mod partition;
mod partitions;
mod slot;

pub use image::IMAGE_VERSION;
pub use leap::Leap;
pub use orders::{Order, Orders, Refunds};
pub use partition::{Hold, Partition};
pub use partitions::Partitions;
pub use slot::Slot;
