//! What holds on every port: routes, methods, trace headers, metrics, documents, the worker's status.

use std::collections::BTreeMap;

use serde_json::json;

use super::shared;
use crate::support::session::{SIGN_KEY, number};
use crate::support::{Launch, Port, Server, until};

/// The routes of each service's own port.
const ROUTES: [(Port, &str, &str); 11] = [
    (Port::Order, "POST", "/orders"),
    (Port::Order, "POST", "/orders/reserve"),
    (Port::Order, "POST", "/orders/cancel"),
    (Port::Order, "GET", "/orders/get"),
    (Port::Order, "POST", "/payments/callback"),
    (Port::Inventory, "POST", "/inventory/try-hold"),
    (Port::Inventory, "POST", "/inventory/release-hold"),
    (Port::Inventory, "POST", "/inventory/confirm-hold"),
    (Port::Inventory, "GET", "/inventory/availability"),
    (Port::Query, "GET", "/query/orders"),
    (Port::Worker, "GET", "/worker/status"),
];

/// The routes that only the gateway has.
const GATEWAY_ROUTES: [(&str, &str); 3] =
    [("GET", "/v1/stations"), ("GET", "/v1/refunds"), ("POST", "/v1/refunds/settle")];

/// Catches: a route on another service's port, missing on the gateway or on its own; a wrong method taken, or
/// refused without `Allow`.
#[test]
fn each_port_has_its_routes_and_the_gateway_all() {
    let server = shared();
    let mut session = server.session();
    for (own, method, path) in ROUTES {
        for port in Port::ALL {
            let answer = session.call(port, method, path, (method == "POST").then_some(b"{}".as_slice()));
            if own == Port::Worker && port == Port::Gateway {
                continue; // No route of business: the contract leaves it to the gateway.
            }
            if port == own || port == Port::Gateway {
                assert!(answer.status != 404 && answer.status != 405, "{port:?}: {answer:?}");
                for wrong in ["PUT", "DELETE", if method == "GET" { "POST" } else { "GET" }] {
                    let answer =
                        session.call(port, wrong, path, (wrong != "GET").then_some(b"{}".as_slice()));
                    answer.refused(405, "");
                    let allow = answer.header("allow").unwrap_or_else(|| panic!("no Allow: {answer:?}"));
                    assert!(allow.split(',').any(|m| m.trim() == method), "{wrong} {path}: Allow: {allow}");
                    assert!(!allow.split(',').any(|m| m.trim() == wrong), "{wrong} {path}: Allow: {allow}");
                }
            } else {
                answer.refused(404, "");
            }
        }
    }
    for (method, path) in GATEWAY_ROUTES {
        for port in Port::ALL {
            let answer = session.call(port, method, path, (method == "POST").then_some(b"{}".as_slice()));
            assert_eq!(answer.status == 404, port != Port::Gateway, "{port:?}: {answer:?}");
        }
        session.call(Port::Gateway, "DELETE", path, None).refused(405, "");
    }
    for port in Port::ALL {
        for path in ["/", "/nothing", "/orders/", "/orders/reserve/x", "/healthz/", "//orders", "/ORDERS"] {
            session.get(port, path).refused(404, "");
        }
        session.call(port, "POST", "/healthz", Some(b"{}")).refused(405, "");
    }
}

/// Catches: trace ids that are dropped, mixed up between requests of one connection, or not made up where absent.
#[test]
fn trace_ids_go_round() {
    let server = shared();
    for port in Port::ALL {
        let mut conn = server.conn(port);
        let own = [("X-Trace-Id", "trace-of-mine"), ("X-Request-Id", "request-of-mine")];
        let mut call = |path: &str, headers: &[(&str, &str)]| {
            let answer = conn.call("GET", path, headers, None).expect("an answer");
            let header =
                |name| answer.header(name).unwrap_or_else(|| panic!("no {name}: {answer:?}")).to_owned();
            (header("x-trace-id"), header("x-request-id"))
        };
        for path in ["/healthz", "/nothing", "/metrics"] {
            assert_eq!(
                call(path, &own),
                ("trace-of-mine".into(), "request-of-mine".into()),
                "{port:?} {path}"
            );
        }
        let (first, second) = (call("/healthz", &[]), call("/healthz", &[]));
        for id in [&first.0, &first.1, &second.0, &second.1] {
            assert!(is_uuid(id), "{port:?}: {id:?} is no UUID");
        }
        assert_ne!(first.0, second.0, "{port:?}: each request has a fresh trace id");
        assert_ne!(first.1, second.1, "{port:?}: each request has a fresh request id");
        let long = call("/healthz", &[("X-Trace-Id", &"t".repeat(4_096))]).0;
        assert!(!long.is_empty(), "{port:?}: a trace id that is too long is kept or replaced");
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(
            call("/healthz", &[("traceparent", parent)]).0,
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "{port:?}"
        );
    }
}

fn is_uuid(text: &str) -> bool {
    let dashes = |i| matches!(i, 8 | 13 | 18 | 23);
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| if dashes(i) { b == b'-' } else { b.is_ascii_hexdigit() })
}

/// Samples of a metric: its labels and value.
type Samples = Vec<(BTreeMap<String, String>, f64)>;

/// Reads Prometheus text: each sample's labels and value, by metric.
fn metrics(server: &Server, port: Port) -> BTreeMap<String, Samples> {
    let answer = server.session().get(port, "/metrics");
    assert_eq!(answer.status, 200);
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("text/plain") || kind.starts_with("application/openmetrics-text"), "{kind}");
    let mut all: BTreeMap<String, Samples> = BTreeMap::new();
    for line in answer.text().lines().filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        let value = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let labels = labels.strip_suffix('}').unwrap_or_else(|| panic!("no labels: {line}"));
        // No label of ours contains a comma.
        let labels = labels.split(',').filter(|l| !l.is_empty()).map(|label| {
            let (name, value) = label.split_once('=').unwrap_or_else(|| panic!("no label: {line}"));
            (name.trim().to_owned(), value.trim_matches('"').to_owned())
        });
        all.entry(name.to_owned()).or_default().push((labels.collect(), value));
    }
    all
}

/// The value of the one sample of `metric` that has all of `labels`; 0 where there is none.
fn sample(all: &BTreeMap<String, Samples>, metric: &str, labels: &[(&str, &str)]) -> f64 {
    let has = |sample: &BTreeMap<String, String>| {
        labels.iter().all(|(name, value)| sample.get(*name).is_some_and(|v| v == value))
    };
    let found: Vec<f64> = all
        .get(metric)
        .into_iter()
        .flatten()
        .filter(|(labels, _)| has(labels))
        .map(|(_, value)| *value)
        .collect();
    assert!(found.len() <= 1, "{metric} {labels:?} is counted {} times", found.len());
    found.first().copied().unwrap_or(0.0)
}

/// Catches: requests not counted, counted twice or on another port; raw paths as labels; buckets gone.
#[test]
fn each_port_counts_its_own_requests() {
    let server = Launch::new().cores(2).start();
    let mut session = server.session();
    for i in 0..7 {
        session.new_order(&format!("metrics-{i}"));
    }
    session.create("metrics-0", 10_000);
    session
        .post(Port::Order, "/orders", &json!({"idempotency_key": "x", "amount_cents": 0}))
        .refused(400, "");
    session.get(Port::Order, "/some/raw/path").refused(404, "");
    session.get(Port::Query, "/query/orders?order_id=nobody").refused(404, "");
    let mut gateway = server.gateway();
    gateway.new_order("metrics-gateway");

    // A request may be counted a moment after its answer: wrong counts show as waiting in vain.
    let counted = |port: Port, method: &str, route: &str, status: &str, times: f64| {
        let labels = [("service", port.service()), ("method", method), ("route", route), ("status", status)];
        until(&format!("{times} requests {labels:?}"), || {
            (sample(&metrics(&server, port), "http_requests_total", &labels) == times).then_some(())
        });
    };
    counted(Port::Order, "POST", "/orders", "200", 8.0);
    counted(Port::Order, "POST", "/orders", "400", 1.0);
    counted(Port::Order, "GET", "unknown", "404", 1.0);
    counted(Port::Gateway, "POST", "/orders", "200", 1.0);
    counted(Port::Query, "GET", "/query/orders", "404", 1.0);

    for port in Port::ALL {
        session.get(port, "/healthz").ok();
        counted(port, "GET", "/healthz", "200", 1.0);
        let all = metrics(&server, port);
        for name in ["http_requests_total", "http_request_duration_seconds_bucket", "http_in_flight_requests"]
        {
            let samples = all.get(name).unwrap_or_else(|| panic!("{port:?} has no {name}"));
            for (labels, _) in samples {
                assert_eq!(labels["service"], port.service(), "{port:?} shows its own service alone: {name}");
            }
        }
        assert!(all.keys().any(|name| name.starts_with("process_")), "{port:?} has no process_*");
        let raw = all.values().flatten().any(|(labels, _)| labels.values().any(|v| v.contains("raw")));
        assert!(!raw, "{port:?} has a raw path in a label");
    }
    let buckets = &metrics(&server, Port::Order)["http_request_duration_seconds_bucket"];
    for bound in ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"] {
        let is_it = |le: &str| le.parse::<f64>().ok() == bound.parse::<f64>().ok();
        let found = buckets.iter().any(|(labels, _)| labels["route"] == "/orders" && is_it(&labels["le"]));
        assert!(found, "no bucket up to {bound}");
    }
}

/// Catches: a document missing, or one that does not know its service's routes.
#[test]
fn openapi_documents_are_served() {
    let server = shared();
    let mut session = server.session();
    for port in Port::ALL {
        let path = format!("/openapi/{}.yaml", port.service());
        let document = session.get(Port::Gateway, &path);
        assert_eq!(document.status, 200, "{path}");
        let text = document.text();
        assert!(
            text.contains("openapi: 3") || text.contains("openapi: \"3"),
            "{path} is no OpenAPI 3 document"
        );
        for (_, method, route) in ROUTES.iter().filter(|(own, ..)| *own == port) {
            assert!(text.contains(&format!("{route}:")), "{path} lacks {method} {route}");
        }
    }
}

/// Catches: a worker that does not say where it stands, or never gets there.
#[test]
fn the_worker_says_where_it_stands() {
    let server = Launch::new().env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY).start();
    let mut session = server.session();
    let before = session.get(Port::Worker, "/worker/status").ok();
    for field in ["position", "backlog", "last_error"] {
        assert!(before.get(field).is_some(), "no {field} in {before}");
    }
    assert!(before.as_object().is_some_and(|o| o.keys().any(|k| k.starts_with("lag"))), "no lag in {before}");
    let order = session.reserved("worker", "worker", 1);
    let id = order["OrderID"].as_str().expect("an id").to_owned();
    session.pay(&id, "worker").ok();
    session.until_ticketed(&id);
    let after = until("the worker's backlog to be empty", || {
        let status = session.get(Port::Worker, "/worker/status").ok();
        (number(&status, "backlog") == 0).then_some(status)
    });
    assert_ne!(after["position"], before["position"], "the worker has moved on: {after}");
    // Its place is in the log, and a restart does not lose it.
    let server = server.stop().start();
    let again = server.session().get(Port::Worker, "/worker/status").ok();
    assert!(number(&again, "position") >= number(&after, "position"), "{again} after {after}");
}
