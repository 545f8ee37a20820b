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
mod refunds;
mod slot;

pub use image::IMAGE_VERSION;
pub use leap::Leap;
pub use orders::{Order, Orders};
pub use partition::{Hold, Partition};
pub use partitions::Partitions;
pub use refunds::Refunds;
pub use slot::Slot;
pub(crate) use slot::kept_until;
