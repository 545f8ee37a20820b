//! Requests by service, method, route and status.

use std::sync::{Arc, OnceLock};

use hyper::{Method, StatusCode};

use super::cell::{Cell64, Histogram};
use super::encode::{Encoder, HistogramData, Labels, push_label};
use crate::router::{ROUTES, Route};
use crate::service::Service;

/// Upper bounds of the duration buckets, in nanoseconds: finer ones, then the usual ones from 5 ms.
const BOUNDS_NS: [u64; 17] = [
    100_000,
    250_000,
    500_000,
    750_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];
const NS_PER_SEC: f64 = 1e9;

/// Methods that have a label of their own; any other is the last.
const METHODS: [&str; 8] = ["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "OTHER"];
/// Statuses that the edge answers with; any other is the last.
const STATUSES: [&str; 15] = [
    "200", "204", "400", "401", "403", "404", "405", "408", "409", "413", "422", "500", "503", "504", "other",
];

const SERVICES: usize = Service::ALL.len();

/// One core's HTTP counts. Series come into being when they are first counted.
#[derive(Debug)]
pub(crate) struct CoreHttp {
    in_flight: [Cell64; SERVICES],
    receive: [Histogram; SERVICES],
    routes: Box<[OnceLock<Box<RouteSeries>>]>,
}

/// Places by method, then status.
type RouteSeries = [OnceLock<Box<Series>>; METHODS.len() * STATUSES.len()];

#[derive(Debug)]
struct Series {
    duration: Histogram,
}

/// One finished request.
#[derive(Debug)]
pub(crate) struct Sample<'a> {
    pub(crate) service: Service,
    pub(crate) route: Route,
    pub(crate) method: &'a Method,
    pub(crate) status: StatusCode,
    /// From the first byte to the last.
    pub(crate) receive_ns: u64,
    /// From there to the answer.
    pub(crate) duration_ns: u64,
}

impl CoreHttp {
    pub(crate) fn new() -> CoreHttp {
        CoreHttp {
            in_flight: Default::default(),
            receive: std::array::from_fn(|_| Histogram::new(BOUNDS_NS.len())),
            routes: (0..SERVICES * ROUTES.len()).map(|_| OnceLock::new()).collect(),
        }
    }

    pub(crate) fn begin(&self, service: Service) {
        self.in_flight[service.index()].add(1);
    }

    pub(crate) fn end(&self, service: Service) {
        self.in_flight[service.index()].sub(1);
    }

    pub(crate) fn record(&self, sample: &Sample<'_>) {
        let route = &self.routes[sample.service.index() * ROUTES.len() + sample.route.index()];
        let route = route.get_or_init(|| Box::new(std::array::from_fn(|_| OnceLock::new())));
        let series = &route[method_index(sample.method) * STATUSES.len() + status_index(sample.status)];
        let series = series.get_or_init(|| Box::new(Series { duration: Histogram::new(BOUNDS_NS.len()) }));
        series.duration.observe(&BOUNDS_NS, sample.duration_ns);
        self.receive[sample.service.index()].observe(&BOUNDS_NS, sample.receive_ns);
    }

    fn get(&self, service: Service, route: Route, place: usize) -> Option<&Series> {
        Some(self.routes[service.index() * ROUTES.len() + route.index()].get()?[place].get()?)
    }
}

fn method_index(method: &Method) -> usize {
    let name = method.as_str();
    METHODS.iter().position(|known| *known == name).unwrap_or(METHODS.len() - 1)
}

fn status_index(status: StatusCode) -> usize {
    match status.as_u16() {
        200 => 0,
        204 => 1,
        400 => 2,
        401 => 3,
        403 => 4,
        404 => 5,
        405 => 6,
        408 => 7,
        409 => 8,
        413 => 9,
        422 => 10,
        500 => 11,
        503 => 12,
        504 => 13,
        _ => STATUSES.len() - 1,
    }
}

/// Writes one service's series, summed over the cores.
pub(super) fn encode(cores: &[Arc<CoreHttp>], service: Service, encoder: &mut Encoder) {
    let series = collect(cores, service);
    encoder.family("http_requests_total", "counter", "Requests answered.");
    for (labels, buckets, _) in &series {
        encoder.sample("http_requests_total", labels, buckets.iter().sum::<u64>());
    }
    encoder.family(
        "http_request_duration_seconds",
        "histogram",
        "From the end of the request to the answer.",
    );
    for (labels, buckets, sum) in &series {
        let data = HistogramData { bounds: &BOUNDS_NS, buckets, sum: *sum, scale: NS_PER_SEC };
        encoder.histogram("http_request_duration_seconds", labels, &data);
    }
    let in_flight = cores.iter().fold(0u64, |sum, core| sum + core.in_flight[service.index()].get());
    let mut labels = Labels::new();
    push_label(&mut labels, "service", service.name());
    let mut buckets = vec![0; BOUNDS_NS.len() + 1];
    let sum = cores.iter().map(|core| core.receive[service.index()].add_to(&mut buckets)).sum();
    let data = HistogramData { bounds: &BOUNDS_NS, buckets: &buckets, sum, scale: NS_PER_SEC };
    encoder.family(
        "http_request_receive_seconds",
        "histogram",
        "From the first byte of a request to its last; 0 where it came in one piece.",
    );
    encoder.histogram("http_request_receive_seconds", &labels, &data);
    encoder.family("http_in_flight_requests", "gauge", "Requests under way.");
    encoder.sample("http_in_flight_requests", &labels, in_flight);
}

/// Labels, buckets and sum of every series that any core has.
fn collect(cores: &[Arc<CoreHttp>], service: Service) -> Vec<(Labels, Vec<u64>, u64)> {
    let mut all = Vec::new();
    for spec in &ROUTES {
        for place in 0..METHODS.len() * STATUSES.len() {
            let mut found: Option<(Vec<u64>, u64)> = None;
            for series in cores.iter().filter_map(|core| core.get(service, spec.route, place)) {
                let (buckets, sum) = found.get_or_insert_with(|| (vec![0; BOUNDS_NS.len() + 1], 0));
                *sum += series.duration.add_to(buckets);
            }
            if let Some((buckets, sum)) = found {
                let mut labels = Labels::new();
                push_label(&mut labels, "service", service.name());
                push_label(&mut labels, "method", METHODS[place / STATUSES.len()]);
                push_label(&mut labels, "route", spec.pattern);
                push_label(&mut labels, "status", STATUSES[place % STATUSES.len()]);
                all.push((labels, buckets, sum));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(core: &CoreHttp, service: Service, method: &Method, status: u16) {
        let status = StatusCode::from_u16(status).unwrap();
        core.record(&Sample {
            service,
            route: Route::TryHold,
            method,
            status,
            receive_ns: 0,
            duration_ns: 300_000,
        });
    }

    #[test]
    fn a_service_shows_its_own_series_summed_over_cores() {
        let cores = [Arc::new(CoreHttp::new()), Arc::new(CoreHttp::new())];
        record(&cores[0], Service::Inventory, &Method::POST, 200);
        record(&cores[1], Service::Inventory, &Method::POST, 200);
        record(&cores[1], Service::Inventory, &Method::TRACE, 405);
        record(&cores[1], Service::Gateway, &Method::POST, 200);
        cores[0].begin(Service::Inventory);
        let mut encoder = Encoder::new();
        encode(&cores, Service::Inventory, &mut encoder);
        let text = encoder.finish();
        let labels =
            "service=\"inventory-service\",method=\"POST\",route=\"/inventory/try-hold\",status=\"200\"";
        for line in [
            format!("http_requests_total{{{labels}}} 2\n"),
            format!("http_request_duration_seconds_bucket{{{labels},le=\"0.00025\"}} 0\n"),
            format!("http_request_duration_seconds_bucket{{{labels},le=\"0.0005\"}} 2\n"),
            format!("http_request_duration_seconds_sum{{{labels}}} 0.0006\n"),
            "method=\"OTHER\",route=\"/inventory/try-hold\",status=\"405\"} 1\n".to_owned(),
            "http_in_flight_requests{service=\"inventory-service\"} 1\n".to_owned(),
        ] {
            assert!(text.contains(&line), "{line} is missing from {text}");
        }
        assert!(!text.contains("gateway"), "no other service's series are shown");
    }

    #[test]
    fn every_status_has_its_label() {
        for (index, label) in STATUSES.iter().enumerate() {
            if let Ok(status) = label.parse() {
                let place = status_index(StatusCode::from_u16(status).unwrap());
                assert_eq!(place, index, "{label}");
            }
        }
        assert_eq!(STATUSES[status_index(StatusCode::IM_A_TEAPOT)], "other");
    }
}
