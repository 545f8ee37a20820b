//! Metrics of the gRPC port, under the names that gRPC's own libraries use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use net::metrics::{CoreHistogram, Registry};
use tonic::Code;

const LABELS: [(&str, &str); 3] = [
    ("grpc_type", "unary"),
    ("grpc_service", "seatallocator.v1.SeatAllocator"),
    ("grpc_method", "AllocateSeat"),
];

/// Every code that a call can end with here, and its name. What the client itself cuts off is in none.
const CODES: [(Code, &str); 9] = [
    (Code::Ok, "OK"),
    (Code::InvalidArgument, "InvalidArgument"),
    (Code::NotFound, "NotFound"),
    (Code::ResourceExhausted, "ResourceExhausted"),
    (Code::FailedPrecondition, "FailedPrecondition"),
    (Code::Unavailable, "Unavailable"),
    (Code::DeadlineExceeded, "DeadlineExceeded"),
    (Code::Internal, "Internal"),
    (Code::Unknown, "Unknown"),
];

/// Upper bounds of the time that a call takes, in microseconds.
const BOUNDS_US: &[u64] = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];
const US_PER_SECOND: f64 = 1e6;

/// Calls by their code, and how long they took.
#[derive(Debug)]
pub struct GrpcMetrics {
    handled: [AtomicU64; CODES.len()],
    /// Nobody but this port's thread writes it.
    seconds: CoreHistogram,
}

impl GrpcMetrics {
    #[must_use]
    pub fn register(registry: &mut Registry) -> Arc<GrpcMetrics> {
        let seconds = registry.histogram(
            "grpc_server_handling_seconds",
            "Time that the server took for a call.",
            &LABELS,
            BOUNDS_US,
            US_PER_SECOND,
        );
        let metrics = Arc::new(GrpcMetrics { handled: Default::default(), seconds: seconds.core(0) });
        for (nth, (_, name)) in CODES.iter().enumerate() {
            let labels = [&LABELS[..], &[("grpc_code", *name)]].concat();
            let metrics = metrics.clone();
            registry.counter_of(
                "grpc_server_handled_total",
                "Calls that the server answered, by code.",
                &labels,
                move || metrics.handled[nth].load(Ordering::Relaxed),
            );
        }
        metrics
    }

    pub(crate) fn count(&self, code: Code, took: Duration) {
        let nth = CODES.iter().position(|(other, _)| *other == code).unwrap_or(CODES.len() - 1);
        self.handled[nth].fetch_add(1, Ordering::Relaxed);
        self.seconds.observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}
