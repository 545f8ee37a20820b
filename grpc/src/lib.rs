//! The gRPC port: the seat allocator of the system before, on the engine's inventory.
//!
//! One thread of its own with a runtime of its own: whatever comes in on this port never holds up a core. It asks the engine by its
//! [`Engine`], as a thread that is no core does.

mod allocate;
mod connections;
mod limits;
mod metrics;
mod server;
mod status;

use std::future::Future;

use engine::answer::Reply;
use engine::command::Request;
use engine::read_model::{Question, Reading, Unavailable};

pub use limits::Limits;
pub use metrics::GrpcMetrics;
pub use server::{Server, ServerError};

/// The types of the interface, as made from its `.proto`.
pub mod proto {
    tonic::include_proto!("seatallocator.v1");
}

/// The interface, for whoever asks by reflection.
pub(crate) const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The engine as this port asks it. `None`: the server stops, and nothing is known of what was asked.
pub trait Engine: Send + Sync + 'static {
    fn call(&self, request: Request) -> impl Future<Output = Option<Reply>> + Send;

    /// Asks the read model.
    fn read(&self, question: Question) -> impl Future<Output = Option<Result<Reading, Unavailable>>> + Send;

    /// Sales are taken.
    fn is_ready(&self) -> bool;
}
