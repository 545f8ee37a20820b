//! The metrics that dashboards and alerts stand on: `docs/metrics.md` is the whole list.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::session::{list, text};
use crate::support::{Launch, Port, Session, until};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Metric, kind and whether it is stable, as the page lists them.
fn listed() -> Vec<(String, String, bool)> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let name = cells.next()?.strip_suffix('`')?.to_owned();
        Some((name, cells.next()?.to_owned(), line.ends_with(" yes |")))
    };
    read("docs/metrics.md").lines().filter_map(row).collect()
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
    let listed = listed().into_iter().map(|(name, kind, _)| (name, kind)).collect();
    assert_eq!(shown, listed);
    server.stop();
}

/// The metrics that expressions ask for and that the page does not promise.
fn unpromised(expressions: &[String]) -> Vec<String> {
    let words = expressions.iter().flat_map(|e| e.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let is_metric = |word: &&str| {
        ["interlock_", "http_", "process_", "grpc_server_"].iter().any(|own| word.starts_with(own))
    };
    let asked: BTreeSet<&str> =
        words.filter(is_metric).map(|word| word.strip_suffix("_bucket").unwrap_or(word)).collect();
    assert!(asked.len() > 10, "{asked:?}");
    let stable: Vec<String> =
        listed().into_iter().filter(|(.., is_stable)| *is_stable).map(|(name, ..)| name).collect();
    asked.into_iter().filter(|name| !stable.iter().any(|other| other == name)).map(str::to_owned).collect()
}

/// Catches: an alert on a metric that is not there, or not promised; one that nobody says what to do about.
#[test]
fn alerts_stand_on_what_is_stable() {
    let alerts = read("compose/prometheus/alerts.yml");
    let expressions = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let expressions: Vec<String> = expressions.map(str::to_owned).collect();
    assert_eq!(unpromised(&expressions), [""; 0]);
    let operations = read("docs/operations.md");
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(operations.contains(&format!("\n### {alert}\n")), "nobody says what to do about {alert}");
    }
}

/// Catches: a panel that stays empty because its metric is not there, or may go.
#[test]
fn dashboards_stand_on_what_is_stable() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/grafana/dashboards");
    let mut expressions = Vec::new();
    for file in std::fs::read_dir(dir).expect("dashboards") {
        let path = file.expect("a dashboard").path();
        let json = std::fs::read_to_string(&path).expect("a dashboard");
        let dashboard: Value =
            serde_json::from_str(&json).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for panel in list(&dashboard, "panels") {
            expressions.extend(list(panel, "targets").iter().map(|target| text(target, "expr").to_owned()));
        }
    }
    assert_eq!(unpromised(&expressions), [""; 0]);
}

/// Catches: money that is owed and that nobody sees; an alert that never clears.
#[test]
fn what_is_owed_back_is_a_metric() {
    let server = Launch::new().start();
    let mut session = server.session();
    let order = session.new_order("owed");
    session.cancel(&order).ok();
    session.pay(&order, "owed-txn").refused(409, "");
    let gauge = |session: &mut Session, name: &str| -> Option<u64> {
        let scrape = session.get(Port::Gateway, "/metrics").text();
        scrape.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
    };
    let mut until_owed = |count: u64| {
        until("the refunds to be counted", || {
            (gauge(&mut session, "interlock_refunds_owed") == Some(count)).then_some(())
        });
        gauge(&mut session, "interlock_refund_oldest_seconds")
    };
    assert!(until_owed(1).is_some_and(|age| age < 600));
    server.session().settle(&order, "owed-txn", "paid back").ok();
    assert_eq!(until_owed(0), Some(0));
    server.stop();
}
