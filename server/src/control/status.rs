//! The screen of `interlock status`: all of the server at a glance.

use std::fmt::Write as _;
use std::time::Instant;

use net::Service;
use net::metrics::Metrics;

use crate::sinks::SinkHandles;

/// The series that only a server with tickets from Kafka has.
const TICKET_WORKER_UP: &str = "interlock_ticket_worker_up";

/// The sources of the screen.
pub(super) struct Glance<'a> {
    pub(super) started: Instant,
    pub(super) cores: u16,
    pub(super) sinks: &'a SinkHandles,
    pub(super) metrics: &'a Metrics,
}

/// One screen.
pub(super) fn screen(glance: &Glance<'_>) -> String {
    let scrape = glance.metrics.scrape(Service::Gateway);
    let value = |name: &str| value(&scrape, name);
    let holds = |outcome: &str| value(&format!("interlock_holds_total{{outcome=\"{outcome}\"}}"));
    let orders = |status: &str| value(&format!("interlock_orders_total{{status=\"{status}\"}}"));
    let mut text = String::new();
    let up = glance.started.elapsed().as_secs();
    let lines = [
        ("process", format!("{} up {}, {} cores", std::process::id(), duration(up), glance.cores)),
        (
            "connections",
            format!("{} of {}", value("interlock_connections"), value("interlock_connections_max")),
        ),
        (
            "orders",
            format!(
                "{} created, {} paid, {} ticketed, {} cancelled since the start",
                orders("INIT"),
                orders("PAID"),
                orders("TICKETED"),
                orders("CANCELLED")
            ),
        ),
        (
            "holds",
            format!(
                "{} made, {} confirmed, {} released, {} expired since the start",
                holds("made"),
                holds("confirmed"),
                holds("released"),
                holds("expired")
            ),
        ),
        ("state", bytes(value("interlock_state_bytes"))),
        (
            "log",
            format!(
                "{} needed by one core of {} that it may, {} kept by all{}",
                bytes(value("interlock_log_needed_bytes")),
                bytes(value("interlock_log_budget_bytes")),
                bytes(value("interlock_log_kept_bytes")),
                if value("interlock_log_full") > 0 { "; FULL: no new sales" } else { "" }
            ),
        ),
        ("time lead", format!("{} s", value("interlock_time_lead_seconds"))),
    ];
    let mut lines = lines.to_vec();
    if scrape.contains(TICKET_WORKER_UP) {
        let messages =
            |outcome: &str| value(&format!("interlock_ticket_messages_total{{outcome=\"{outcome}\"}}"));
        let is_up = if value(TICKET_WORKER_UP) == 1 { "up" } else { "DOWN" };
        let read =
            format!("{} messages ticketed, {} cannot be read", messages("ticketed"), messages("unreadable"));
        lines.insert(3, ("tickets", format!("from Kafka, {is_up}; {read} since the start")));
    }
    for (name, value) in lines {
        let _ = writeln!(text, "{name:<12} {value}");
    }
    for (core, reach) in glance.sinks.posts.reach().iter().enumerate() {
        let _ = writeln!(text, "{:<12} durable up to record {}", format!("core {core}"), reach.lsn);
    }
    text.push('\n');
    text.push_str(&sinks(glance.sinks));
    text
}

/// A table of the sinks.
pub(super) fn sinks(sinks: &SinkHandles) -> String {
    let sinks = sinks.statuses();
    let mut text = format!("{:<12} {:<15} {:>10} {:>10}  {}\n", "SINK", "STATE", "BACKLOG", "LAG", "ERROR");
    for sink in sinks {
        let lag = format!("{} ms", sink.lag_ms);
        let fills = if sink.fills_log { "FILLS THE LOG: no new sales. " } else { "" };
        let error = sink.last_error.as_deref().unwrap_or("");
        let line =
            format!("{:<12} {:<15} {:>10} {lag:>10}  {fills}{error}", sink.name, sink.state, sink.backlog);
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// The number that a scrape has for a series; 0 where it has none.
fn value(scrape: &str, series: &str) -> u64 {
    let number = scrape.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    number.and_then(|number| number.parse::<f64>().ok()).map_or(0, |number| number as u64)
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} B"),
        1_024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1_024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

fn duration(secs: u64) -> String {
    let (days, hours, minutes) = (secs / 86_400, secs / 3_600 % 24, secs / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{secs} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_their_whole_name() {
        let scrape = "# HELP a x\na_total 3\na_total{b=\"c\"} 4\na 5\nbig 1.5e3\n";
        for (series, expected) in
            [("a_total", 3), ("a_total{b=\"c\"}", 4), ("a", 5), ("a_to", 0), ("big", 1_500)]
        {
            assert_eq!(value(scrape, series), expected, "{series}");
        }
    }

    #[test]
    fn numbers_are_for_people() {
        for (number, expected) in
            [(0, "0 B"), (1_023, "1023 B"), (1_536, "1.5 KiB"), (5 << 20, "5.0 MiB"), (3 << 30, "3.0 GiB")]
        {
            assert_eq!(bytes(number), expected);
        }
        for (secs, expected) in [(59, "59 s"), (61, "1 min"), (3_660, "1 h 1 min"), (90_000, "1 d 1 h")] {
            assert_eq!(duration(secs), expected);
        }
    }
}
