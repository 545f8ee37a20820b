//! Monitoring: health, metrics, ids of requests, methods and paths that are none.

use net::metrics::Registry;
use net::runtime::DriverChoice;
use net::{Dependency, Limits, Service, SinkStatus, WorkerStatus};

use crate::common::client::Client;
use crate::common::{Server, samples};

const HOLD: &str = r#"{"partition_key":"p","hold_id":"h","qty":1}"#;

#[test]
fn every_service_says_how_it_is() {
    let server = Server::start();
    for service in Service::ALL {
        let mut client = Client::connect(&server, service);
        assert_eq!(client.get("/healthz").body, r#"{"status":"ok"}"#);
        assert_eq!(client.get("/readyz").body, r#"{"status":"ready"}"#);
        server.script.set_down(Some(Dependency::Wal));
        let reply = client.get("/readyz");
        assert_eq!((reply.status, &*reply.body), (503, r#"{"status":"not_ready","dependency":"wal"}"#));
        assert_eq!(client.get("/healthz").status, 200, "not ready is alive");
        server.script.set_down(None);
    }
}

#[test]
fn the_worker_says_how_far_it_is() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Worker);
    let expected = r#"{"position":0,"backlog":0,"lag_ms":0,"last_error":null,"sinks":[]}"#;
    assert_eq!(client.get("/worker/status").body, expected);
    let last_error = Some("no \"broker\"".to_owned());
    server.script.set_worker(WorkerStatus { position: 7, backlog: 3, lag_ms: 250, last_error });
    let expected = r#"{"position":7,"backlog":3,"lag_ms":250,"last_error":"no \"broker\"","sinks":[]}"#;
    assert_eq!(client.get("/worker/status").body, expected);
}

/// The services go on without sinks; the gateway says how each of them is, and is not ready while one is down.
#[test]
fn the_sinks_are_shown_where_the_whole_is_asked_for() {
    let server = Server::start();
    let following = SinkStatus {
        name: "read-model".to_owned(),
        state: "following",
        backlog: 12,
        lag_ms: 40,
        last_error: None,
        fills_log: false,
    };
    let last_error = Some("disk full".to_owned());
    let down = SinkStatus { state: "down", last_error, fills_log: true, ..following.clone() };
    server.script.set_sinks(vec![following, down]);
    let sinks = concat!(
        r#""sinks":[{"name":"read-model","state":"following","backlog":12,"lag_ms":40,"last_error":null,"fills_log":false},"#,
        r#"{"name":"read-model","state":"down","backlog":12,"lag_ms":40,"last_error":"disk full","fills_log":true}]"#
    );
    let mut worker = Client::connect(&server, Service::Worker);
    assert!(worker.get("/worker/status").body.ends_with(&format!("{sinks}}}")));
    assert_eq!(worker.get("/readyz").body, r#"{"status":"ready"}"#);
    let mut gateway = Client::connect(&server, Service::Gateway);
    assert_eq!(gateway.get("/readyz").body, format!(r#"{{"status":"ready",{sinks}}}"#));
    server.script.set_down(Some(Dependency::Sink("read-model")));
    let reply = gateway.get("/readyz");
    let expected = format!(r#"{{"status":"not_ready","dependency":"read-model",{sinks}}}"#);
    assert_eq!((reply.status, reply.body), (503, expected));
}

#[test]
fn paths_and_methods_that_are_none_are_json_too() {
    let server = Server::start();
    for (service, request, expected, allow) in [
        (Service::Gateway, "GET /", "404 not found", None),
        (Service::Orders, "GET /worker/status", "404 not found", None),
        (Service::Orders, "GET /v1/trains", "404 not found", None),
        (Service::Query, "POST /orders", "404 not found", None),
        (Service::Orders, "GET /orders", "405 method not allowed", Some("POST")),
        (Service::Orders, "DELETE /orders/get", "405 method not allowed", Some("GET, HEAD")),
        (Service::Inventory, "OPTIONS /inventory/try-hold", "405 method not allowed", Some("POST")),
        (Service::Worker, "PUT /metrics", "405 method not allowed", Some("GET, HEAD")),
        (Service::Worker, "BREW /healthz", "405 method not allowed", Some("GET, HEAD")),
    ] {
        let mut client = Client::connect(&server, service);
        let reply = client.send(format!("{request} HTTP/1.1\r\nhost: a\r\n\r\n")).read();
        assert_eq!(reply.error(), expected, "{request} on {service}");
        assert_eq!(reply.header("allow"), allow, "{request} on {service}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[test]
fn head_is_get_without_the_body() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    for path in ["/healthz", "/orders/get?order_id=x", "/openapi/", "/nowhere"] {
        let get = client.get(path);
        let head = client.send(format!("HEAD {path} HTTP/1.1\r\nhost: a\r\n\r\n")).read_head();
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-length"), get.header("content-length"), "{path}");
    }
    assert_eq!(client.send("HEAD /orders HTTP/1.1\r\nhost: a\r\n\r\n").read_head().status, 405);
}

#[test]
fn requests_are_found_again_by_their_ids() {
    let server = Server::start();
    server.script.reply(Ok(samples::held()));
    let mut client = Client::connect(&server, Service::Inventory);
    let mut ids = |headers: &str| {
        let length = HOLD.len();
        let head = format!("POST /inventory/try-hold HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n");
        let reply = client.send(format!("{head}{headers}\r\n{HOLD}")).read();
        let id = |name| reply.header(name).unwrap().to_owned();
        let kept = server.script.asked().remove(0).trace.as_str().to_owned();
        (id("x-trace-id"), id("x-request-id"), kept)
    };
    let both = ids("X-Trace-Id: my trace\r\nX-Request-Id: r-1\r\n");
    assert_eq!(both, ("my trace".to_owned(), "r-1".to_owned(), "my trace".to_owned()));
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let (shown, _, kept) = ids(&format!("traceparent: 00-{trace}-00f067aa0ba902b7-01\r\n"));
    assert_eq!((&*shown, &*kept), (trace, trace));
    let (first, second) = (ids(""), ids(&format!("X-Trace-Id: {}\r\n", "x".repeat(129))));
    for fresh in [&first.0, &first.1, &second.0, &second.1] {
        assert_eq!(fresh.len(), 36, "{fresh} is a UUID");
    }
    assert_ne!(first.0, second.0);
    assert_ne!(first.0, first.1);
}

#[test]
fn a_refusal_has_ids_too() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let reply = client.send("GET /nowhere HTTP/1.1\r\nhost: a\r\nX-Trace-Id: t-1\r\n\r\n").read();
    assert_eq!(reply.header("x-trace-id"), Some("t-1"));
    assert!(reply.header("x-request-id").is_some());
}

/// A number of a scrape, all series of the name and label together.
fn sum(scrape: &str, name: &str, label: &str) -> f64 {
    let of_it = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(label);
    scrape.lines().filter(of_it).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// A request that is slow to come is its client's doing: it does not look like a slow answer.
#[test]
fn the_time_in_which_a_request_arrives_is_counted_by_itself() {
    let limits = Limits { body_ms: 300, header_ms: 300, sweep_ms: 5, ..Limits::default() };
    let server = Server::with_limits(limits);
    server.script.reply(Ok(samples::held()));
    let mut client = Client::connect(&server, Service::Inventory);
    client.send("POST /inventory/try-hold HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n{");
    assert_eq!(client.read().status, 408);
    let mut client = Client::connect(&server, Service::Inventory);
    let scrape = client.get("/metrics").body;
    let (receive, duration) = ("http_request_receive_seconds", "http_request_duration_seconds");
    assert_eq!(sum(&scrape, &format!("{receive}_count"), "inventory-service"), 1.0);
    let (received, answered) = (
        sum(&scrape, &format!("{receive}_sum"), "inventory-service"),
        sum(&scrape, &format!("{duration}_sum"), "status=\"408\""),
    );
    assert!(received >= 0.25 && answered < received, "{received} s to receive, {answered} s to answer");
    // A head in pieces counts from its first byte.
    client.send("POST /inventory/try-hold HTTP/1.1\r\n");
    let mut other = Client::connect(&server, Service::Gateway);
    while sum(&other.get("/metrics").body, &format!("{receive}_count"), "gateway") < 20.0 {}
    client.send(format!("host: a\r\ncontent-length: {}\r\n\r\n{HOLD}", HOLD.len()));
    assert_eq!(client.read().status, 200);
    let scrape = client.get("/metrics").body;
    assert!(sum(&scrape, &format!("{receive}_sum"), "inventory-service") > received);
}

#[test]
fn each_port_counts_its_own_requests_and_the_gateway_shows_the_engine() {
    let mut registry = Registry::new(1);
    registry.counter("holds_total", "Holds made.", &[("outcome", "held")]).core(0).add(9);
    let server = Server::on(DriverChoice::Auto, Limits::default(), None, registry);
    server.script.reply(Ok(samples::held()));
    let mut inventory = Client::connect(&server, Service::Inventory);
    let mut gateway = Client::connect(&server, Service::Gateway);
    for _ in 0..3 {
        inventory.post("/inventory/try-hold", HOLD);
    }
    gateway.post("/inventory/try-hold", HOLD);
    inventory.get("/secret/path");
    let (own, whole) = (inventory.get("/metrics"), gateway.get("/metrics"));
    assert_eq!(own.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let route = |service: &str| {
        format!("service=\"{service}\",method=\"POST\",route=\"/inventory/try-hold\",status=\"200\"")
    };
    let unknown = "service=\"inventory-service\",method=\"GET\",route=\"unknown\",status=\"404\"";
    for line in [
        format!("http_requests_total{{{}}} 3\n", route("inventory-service")),
        format!("http_requests_total{{{unknown}}} 1\n"),
        format!("http_request_duration_seconds_count{{{}}} 3\n", route("inventory-service")),
        "http_in_flight_requests{service=\"inventory-service\"} 1\n".to_owned(),
        "\nprocess_resident_memory_bytes ".to_owned(),
    ] {
        assert!(own.body.contains(&line), "{line} is missing from {}", own.body);
    }
    assert!(!own.body.contains("holds_total") && !own.body.contains("secret"), "{}", own.body);
    assert!(
        whole.body.contains(&format!("http_requests_total{{{}}} 1\n", route("gateway"))),
        "{}",
        whole.body
    );
    assert!(whole.body.contains("holds_total{outcome=\"held\"} 9\n"), "{}", whole.body);
    assert!(!whole.body.contains("inventory-service"), "{}", whole.body);
}
