//! The settings of the environment that change what the routes do.

use serde_json::json;

use crate::support::session::{number, text};
use crate::support::time::rfc3339_ms;
use crate::support::{Launch, Port};

/// Catches: a setting that is not read, or read for something else.
#[test]
fn defaults_come_from_the_environment() {
    let server = Launch::new()
        .env("ORDER_INVENTORY_PARTITION_KEY", "the-default")
        .env("ORDER_INVENTORY_DEFAULT_QTY", "3")
        .env("ORDER_INVENTORY_CAPACITY", "9")
        .env("INVENTORY_HOLD_TTL_SECS", "40")
        .start();
    let mut session = server.session();
    let id = session.new_order("settings");
    let order = session.reserve(&json!({"order_id": id})).ok();
    assert_eq!(order["PartitionKey"], "the-default");
    assert_eq!(number(&order, "Qty"), 3);
    assert_eq!(session.available("the-default"), 6);
    let life = rfc3339_ms(text(&order, "ExpiresAt")) - rfc3339_ms(text(&order, "UpdatedAt"));
    assert!((20_000..=41_000).contains(&life), "{life} ms of 40 s");
}

/// Catches: log lines that are no JSON or lack what names their origin; version and environment not passed on.
#[test]
fn log_lines_name_their_origin() {
    let server = Launch::new().env("APP_ENV", "blackbox").env("APP_VERSION", "9.8.7-test").start();
    server.session().new_order("log");
    let launch = server.stop();
    let log = std::fs::read_to_string(launch.home().join("server.log")).expect("the server's log");
    assert!(log.lines().count() > 0, "a server says that it starts");
    for line in log.lines() {
        let value: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("a log line that is no JSON ({e}): {line}"));
        assert!(value["service"].is_string(), "{line}");
        assert_eq!(value["env"], "blackbox", "{line}");
        assert_eq!(value["version"], "9.8.7-test", "{line}");
    }
}

/// Catches: settings of the old system, or of an earlier version, that are refused or dropped in silence.
#[test]
fn a_setting_that_means_nothing_any_more_is_named() {
    let names = [
        "INVENTORY_SHARD_COUNT",
        "INVENTORY_WAL_BUFFER",
        "SEAT_ALLOCATOR_ADDR",
        "SEAT_ALLOCATOR_PORT",
        "INTERLOCK_PREFAULT_BYTES",
    ];
    let launch = names.iter().fold(Launch::new(), |launch, name| launch.env(name, "16"));
    let server = launch.env("APP_ENV", "").args(&["--prefault-bytes", "4096"]).start();
    let log = server.log();
    for name in names.into_iter().chain(["flag --prefault-bytes"]) {
        assert!(log.contains(name), "{name} is not named in: {log}");
    }
}

/// Catches: a service that is not there without the optional dependencies, or says so wrongly.
#[test]
fn every_port_is_healthy_and_ready() {
    let server = Launch::new().start();
    let mut session = server.session();
    for port in Port::ALL {
        assert_eq!(session.get(port, "/healthz").ok(), json!({"status": "ok"}), "{port:?}");
        let ready = session.get(port, "/readyz").ok();
        assert_eq!(ready["status"], "ready", "{port:?}");
        assert_eq!(ready.get("sinks").is_some(), port == Port::Gateway, "the gateway speaks for the whole");
    }
}
