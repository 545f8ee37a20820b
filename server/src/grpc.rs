//! The gRPC port of this process: its thread, and the engine as that asks it.

use std::sync::Arc;
use std::thread::JoinHandle;

use ::grpc::{GrpcMetrics, Limits, Server};
use engine::answer::Reply;
use engine::command::Request;
use engine::read_model::{Question, Reading, Unavailable};
use net::{Addresses, PortError};
use tokio::sync::watch;

use crate::logging;
use crate::process::ProcessHandles;
use crate::sinks;

/// The port while it is served.
pub(crate) struct GrpcPort {
    thread: JoinHandle<()>,
}

impl GrpcPort {
    /// Serves the port until `stop` says so. The process does not stop before what it has accepted is answered.
    ///
    /// # Errors
    /// The port or a thread cannot be had.
    pub(crate) fn start(
        addresses: &Addresses,
        process: &ProcessHandles,
        metrics: Arc<GrpcMetrics>,
        stop: watch::Receiver<bool>,
    ) -> Result<GrpcPort, Box<dyn std::error::Error>> {
        let listener = net::grpc_listener(addresses).map_err(|error: PortError| Box::new(error))?;
        let server = Server {
            engine: Arc::new(Engine(process.clone())),
            listener,
            budget: process.connections.clone(),
            metrics,
            limits: Limits::default(),
        };
        let shutdown = process.shutdown.clone();
        shutdown.add_edge();
        let thread = sinks::spawn("grpc", move || {
            if let Err(error) = server.run(stop) {
                logging::exit(
                    crate::EXIT_FATAL,
                    || tracing::error!(%error, "the gRPC port cannot be served"),
                );
            }
            shutdown.edge_closed();
        })?;
        Ok(GrpcPort { thread })
    }

    /// It has stopped with the cores.
    pub(crate) fn join(self) {
        sinks::join([self.thread]);
    }
}

struct Engine(ProcessHandles);

impl ::grpc::Engine for Engine {
    async fn call(&self, request: Request) -> Option<Reply> {
        self.0.desk.call(request).await.ok()
    }

    async fn read(&self, question: Question) -> Option<Result<Reading, Unavailable>> {
        self.0.desk.ask(question).await.ok()
    }

    fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
}
