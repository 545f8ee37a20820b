//! Metrics: counters, gauges and histograms, and their text format for Prometheus.
//!
//! Every core writes cells of its own, with plain loads and stores; a scrape reads all cores' cells and adds them up.
//! Nothing here locks, and nothing is read, modified and written by two threads.

mod cell;
mod encode;
mod http;
mod process;
mod registry;

use std::sync::Arc;

use crate::service::Service;

pub use cell::{Cell64, Cells, CoreCell, CoreHistogram, Histograms};
pub(crate) use http::{CoreHttp, Sample};
pub use registry::Registry;

use encode::Encoder;

/// The content type of the text format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All that a scrape can show; one for the process.
#[derive(Debug)]
pub struct Metrics {
    http: Vec<Arc<CoreHttp>>,
    registry: Registry,
}

impl Metrics {
    /// The metrics of so many cores; `registry` has what is shown on the gateway's port beside HTTP.
    #[must_use]
    pub fn new(cores: usize, registry: Registry) -> Arc<Metrics> {
        let http = (0..cores).map(|_| Arc::new(CoreHttp::new())).collect();
        Arc::new(Metrics { http, registry })
    }

    pub(crate) fn core(&self, core: usize) -> Arc<CoreHttp> {
        self.http[core].clone()
    }

    /// The text of a service's port: its own HTTP series and the process; business and engine on the gateway alone.
    #[must_use]
    pub fn scrape(&self, service: Service) -> String {
        let mut encoder = Encoder::new();
        http::encode(&self.http, service, &mut encoder);
        process::encode(&mut encoder);
        if service == Service::Gateway {
            self.registry.encode(&mut encoder);
        }
        encoder.finish()
    }
}
