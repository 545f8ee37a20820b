//! The state of one slot. Read by `decide`, changed by `apply` alone.

mod apply;
mod check;
mod holds;
mod image;
mod orders;
mod partition;
mod slot;
mod weight;

pub use image::IMAGE_VERSION;
pub use orders::{Order, Orders, Refunds};
pub use partition::{Hold, Partition, Partitions};
pub use slot::Slot;
