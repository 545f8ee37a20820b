//! Hosts and origins: who is served, and what browsers are told.

use net::metrics::Registry;
use net::runtime::DriverChoice;
use net::{AllowedOrigin, Callers, Config, HostName, Limits, Service};

use crate::common::client::{Client, Reply};
use crate::common::{Server, config, samples};

const SHOP: &str = "https://shop.example:8443";
const HOLD: &str = r#"{"partition_key":"p","hold_id":"h","qty":1}"#;

fn server(callers: Callers) -> Server {
    let config = Config { callers, ..config(Limits::default(), None) };
    let server = Server::configured(DriverChoice::Auto, config, Registry::new(1));
    server.script.reply(Ok(samples::held()));
    server
}

fn shop() -> Vec<AllowedOrigin> {
    vec![AllowedOrigin::parse(SHOP).unwrap()]
}

/// As where payments are not signed, on loopback.
fn guarded() -> Server {
    server(Callers::of_this_machine(vec![HostName::parse("proxy.example").unwrap()], shop()))
}

fn hold(server: &Server, headers: &str) -> Reply {
    let length = HOLD.len();
    let head = format!("POST /inventory/try-hold HTTP/1.1\r\n{headers}content-length: {length}\r\n\r\n");
    Client::connect(server, Service::Gateway).send(head).send(HOLD).read()
}

fn get(server: &Server, target: &str, headers: &str) -> Reply {
    let request = format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
    Client::connect(server, Service::Gateway).send(request).read()
}

#[test]
fn a_request_that_does_not_say_whom_it_calls_is_bad() {
    for server in [guarded(), server(Callers::default())] {
        for headers in [
            "",
            "host: localhost\r\nhost: localhost\r\n",
            "host: \r\n",
            "host: a b\r\n",
            "host: u@localhost\r\n",
        ] {
            let reply = hold(&server, headers);
            assert_eq!(
                (&*reply.error(), &*reply.code()),
                ("400 invalid host", "invalid_host"),
                "{headers:?}"
            );
            assert_eq!(get(&server, "/healthz", headers).code(), "invalid_host", "{headers:?}");
        }
        assert!(server.script.asked().is_empty(), "nothing was done");
        let mut old = Client::connect(&server, Service::Gateway);
        assert_eq!(old.send("GET /healthz HTTP/1.0\r\n\r\n").read().status, 200, "once there was no Host");
        assert_eq!(get(&server, "http://localhost/healthz", "host: localhost\r\n").status, 200);
        assert_eq!(get(&server, "http://u@localhost/healthz", "host: localhost\r\n").status, 400);
    }
}

#[test]
fn a_refused_request_with_its_body_leaves_the_connection_to_the_next() {
    let server = guarded();
    let mut client = Client::connect(&server, Service::Gateway);
    let body = format!(
        "POST /inventory/try-hold HTTP/1.1\r\nhost: evil.example\r\ncontent-length: {}\r\n\r\n{HOLD}",
        HOLD.len()
    );
    assert_eq!(client.send(body).read().status, 403);
    assert_eq!(client.send("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").read().status, 200);
}

#[test]
fn foreign_names_and_pages_do_nothing() {
    let server = guarded();
    for headers in [
        "host: evil.example\r\n",
        "host: localhost\r\norigin: https://evil.example\r\n",
        "host: localhost\r\norigin: null\r\n",
        "host: evil.example\r\norigin: http://evil.example\r\n",
    ] {
        let reply = hold(&server, headers);
        assert_eq!((reply.status, &*reply.code()), (403, "foreign_origin"), "{headers:?}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{headers:?}");
        for path in ["/v1/stations", "/metrics", "/nowhere", "/openapi/"] {
            assert_eq!(get(&server, path, headers).code(), "foreign_origin", "{path} {headers:?}");
        }
        for path in ["/healthz", "/readyz"] {
            assert_eq!(get(&server, path, headers).status, 200, "{path} {headers:?}");
        }
    }
    assert!(server.script.asked().is_empty(), "nothing was done");
    for headers in [
        "host: localhost:8080\r\n",
        "host: [::1]\r\norigin: http://127.0.0.1:3000\r\n",
        "host: proxy.example\r\n",
        "host: shop.example\r\norigin: https://shop.example:8443\r\n",
    ] {
        assert_eq!(hold(&server, headers).status, 200, "{headers:?}");
    }
}

#[test]
fn where_names_do_not_matter_every_page_is_served_and_none_but_the_allowed_may_read() {
    let server = server(Callers::any(shop()));
    for origin in ["https://evil.example", "null"] {
        let reply = hold(&server, &format!("host: anybody.example\r\norigin: {origin}\r\n"));
        assert_eq!(reply.status, 200, "{origin}");
        assert_eq!(reply.header("access-control-allow-origin"), None, "{origin}");
        assert_eq!(reply.header("vary"), Some("origin"));
    }
    let preflight =
        "OPTIONS /orders HTTP/1.1\r\nhost: a\r\norigin: null\r\naccess-control-request-method: POST\r\n\r\n";
    assert_eq!(Client::connect(&server, Service::Gateway).send(preflight).read().status, 405);
}

#[test]
fn an_allowed_page_may_ask_and_read() {
    for server in [guarded(), server(Callers::any(shop()))] {
        let from_shop = format!("host: localhost\r\norigin: {SHOP}\r\n");
        for reply in [hold(&server, &from_shop), get(&server, "/nowhere", &from_shop)] {
            assert_eq!(reply.header("access-control-allow-origin"), Some(SHOP));
            assert_eq!(reply.header("vary"), Some("origin"));
            assert_eq!(
                reply.header("access-control-expose-headers"),
                Some("x-trace-id, x-request-id, retry-after, x-read-model-lag-ms, content-disposition")
            );
        }
        let ask = |path: &str, more: &str| {
            let request = format!("OPTIONS {path} HTTP/1.1\r\n{from_shop}{more}\r\n");
            Client::connect(&server, Service::Gateway).send(request).read_head()
        };
        let reply = ask(
            "/orders",
            "access-control-request-method: POST\r\naccess-control-request-headers: content-type\r\n",
        );
        assert_eq!((reply.status, reply.header("content-type")), (204, None));
        assert_eq!(reply.header("access-control-allow-origin"), Some(SHOP));
        assert_eq!(reply.header("access-control-allow-methods"), Some("POST"));
        assert_eq!(reply.header("access-control-max-age"), Some("600"));
        let headers = reply.header("access-control-allow-headers").unwrap();
        for name in ["content-type", "authorization", "x-trace-id", "x-request-id", "traceparent"] {
            assert!(headers.split(", ").any(|allowed| allowed == name), "{name} is not in {headers}");
        }
        assert_eq!(ask("/nowhere", "access-control-request-method: POST\r\n").status, 404);
        assert_eq!(ask("/orders", "").status, 405, "no browser asks this");
    }
}
