//! The loop of one core, without a runtime: commands, parcels of other cores, disk completions and time go in; disk writes,
//! replies and parcels come out. It batches, holds replies back until they are durable, resends, expires, issues tickets,
//! takes snapshots, and stops in good order.
//!
//! Never blocks, never awaits, never reads a clock by itself. [`Node`] is the whole loop and says how it is driven; [`start()`]
//! makes one for each core of a data directory. The server and the simulator drive the same nodes.

#![forbid(unsafe_code)]

mod across;
mod batches;
mod calls;
mod clock;
mod commit_delay;
mod durability_gate;
mod housekeeping;
pub mod limits;
mod message;
mod node;
mod operations;
mod peers;
mod protocol;
mod reclaim;
mod reclaim_pause;
mod recovery;
mod replay_window;
mod retention;
mod retransmission;
mod shard;
mod shutdown;
mod slots;
mod snapshot_feeder;
mod start;
mod stats;
mod sweep;
mod tickets;
mod timers;
mod work_queue;

pub use across::{Across, Counts};
pub use calls::Calls;
pub use clock::{Clock, Clocks};
pub use message::{CallId, Called, Caller, Envelope, Message, OpId, Parcel, Posted, Routed};
pub use node::{Departure, Node, Wake};
pub use peers::Peers;
pub use recovery::Recovery;
pub use shard::{Config, Output, Setup, Shard};
pub use shutdown::Shutdown;
pub use start::{ClockGap, RecoveredCore, read_core, recover, start};
pub use stats::Stats;
pub use tickets::TicketStatus;
