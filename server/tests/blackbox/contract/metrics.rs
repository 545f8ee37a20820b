//! The metrics that dashboards and alerts stand on: `docs/metrics.md` is the whole list.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{Launch, Port};

/// Metric and kind, as the page lists them.
fn listed() -> BTreeMap<String, String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?.to_owned();
        Some((name, cells.next()?.to_owned()))
    };
    page.lines().filter_map(row).collect()
}

/// Catches: a metric that nobody can find, or that is promised and not there, or of another kind.
#[test]
fn every_metric_is_on_the_page_and_nothing_else() {
    // Nobody is there: what is asked is their names.
    let server = Launch::new()
        .with_grpc()
        .env("MYSQL_DSN", "u:p@tcp(127.0.0.1:1)/nowhere")
        .env("REDIS_ADDR", "127.0.0.1:1")
        .env("KAFKA_BROKERS", "127.0.0.1:1")
        .env("INTERLOCK_TICKETS", "kafka")
        .start();
    let mut session = server.session();
    let scrape = session.get(Port::Gateway, "/metrics").text();
    let families = scrape.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let shown: BTreeMap<String, String> =
        families.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
    assert_eq!(shown, listed());
    server.stop();
}
