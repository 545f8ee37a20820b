//! The server of the port: a thread with a runtime, the allocator, health and reflection.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use net::ConnectionBudget;
use tokio::runtime::Builder;
use tokio::sync::mpsc;
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

use crate::allocate::Allocator;
use crate::limits::{
    ACCEPTED_WAITING_MAX, CALL_WINDOW_BYTES, CALLS_PER_CONNECTION_MAX, CONNECTION_WINDOW_BYTES,
    FRAME_BYTES_MAX, HEALTH_INTERVAL,
};
use crate::metrics::GrpcMetrics;
use crate::proto::seat_allocator_server::SeatAllocatorServer;
use crate::{DESCRIPTORS, Engine, Limits, connections};

/// The port, ready to be served.
#[derive(Debug)]
pub struct Server<E> {
    pub engine: Arc<E>,
    pub listener: TcpListener,
    pub budget: Arc<ConnectionBudget>,
    pub metrics: Arc<GrpcMetrics>,
    pub limits: Limits,
}

/// The reason why the port is not served.
pub type ServerError = Box<dyn std::error::Error + Send + Sync>;

impl<E: Engine> Server<E> {
    /// Serves until `stop` says so, then answers what is under way. On a thread of its own.
    ///
    /// # Errors
    /// The reason why it does not serve, or no longer.
    pub fn run(self, stop: watch::Receiver<bool>) -> Result<(), ServerError> {
        Builder::new_current_thread().enable_all().build()?.block_on(self.serve(stop))
    }

    async fn serve(self, mut stop: watch::Receiver<bool>) -> Result<(), ServerError> {
        let Server { engine, listener, budget, metrics, limits } = self;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let (admitted, connections) = mpsc::channel::<io::Result<_>>(ACCEPTED_WAITING_MAX);
        tokio::spawn(connections::admit(listener, budget, limits.preface, admitted));

        let (reporter, health) = health_reporter();
        tokio::spawn(report_health(engine.clone(), reporter, stop.clone()));
        let reflection = |file| {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(file)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let allocator = Allocator { engine, metrics, patience: limits.request };
        let allocator =
            SeatAllocatorServer::new(allocator).max_decoding_message_size(limits.message_bytes_max);

        let mut stopped = stop.clone();
        let server = tonic::transport::Server::builder()
            .timeout(limits.call)
            .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
            .initial_stream_window_size(CALL_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX)
            .http2_max_header_list_size(limits.header_bytes_max)
            .http2_keepalive_interval(Some(limits.silence))
            .http2_keepalive_timeout(Some(limits.silence_answer))
            .add_service(allocator)
            .add_service(health)
            .add_service(reflection(DESCRIPTORS).build_v1()?)
            .add_service(reflection(DESCRIPTORS).build_v1alpha()?)
            .serve_with_incoming_shutdown(ReceiverStream::new(connections), async move {
                wait_for(&mut stopped).await;
            });
        let cut_off = async {
            wait_for(&mut stop).await;
            tokio::time::sleep(limits.stop).await;
        };
        tokio::select! {
            served = server => Ok(served?),
            () = cut_off => Ok(()),
        }
    }
}

/// Until it is told to stop, or nobody is there who could say so.
async fn wait_for(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Serving while sales are taken. The name of no service stands for the whole server.
async fn report_health<E: Engine>(engine: Arc<E>, reporter: HealthReporter, stop: watch::Receiver<bool>) {
    loop {
        let is_serving = engine.is_ready() && !*stop.borrow();
        let status = if is_serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in ["", "seatallocator.v1.SeatAllocator"] {
            reporter.set_service_status(name, status).await;
        }
        tokio::time::sleep(HEALTH_INTERVAL).await;
    }
}
