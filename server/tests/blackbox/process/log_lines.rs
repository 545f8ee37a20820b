//! Log lines: nobody waits for whoever reads them.

use crate::crowds::metric;
use crate::support::session::text;
use crate::support::{Launch, Port, until};

/// Catches: cores that write log lines, and wait for ever where standard error is a pipe that is full; a stop that waits for it.
#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let mut server = Launch::new().cores(2).env("INTERLOCK_LOG_LEVEL", "trace").spawn_unread();
    server.until_ready();
    let mut conns: Vec<_> = (0..8).map(|_| server.conn(Port::Gateway)).collect();
    until("lines to be dropped", || {
        for conn in &mut conns {
            (0..50).for_each(|_| {
                conn.call("GET", "/v1/stations?limit=1", &[], None).expect("an answer").ok();
            });
        }
        (metric(&server, "interlock_log_lines_dropped_total") > 0.0).then_some(())
    });
    for port in Port::ALL {
        server.conn(port).call("GET", "/healthz", &[], None).expect("health").ok();
    }
    let mut session = server.session();
    let id = text(&session.reserved("unread", "unread", 1), "OrderID").to_owned();
    session.cancel(&id).ok();
    server.terminate();
    assert_eq!(server.wait_end(), Some(0));
}

/// Catches: last lines that are lost because the process ended before they were written.
#[test]
fn the_last_lines_are_written_before_the_end() {
    let server = Launch::new().start();
    let launch = server.stop();
    let log = std::fs::read_to_string(launch.home().join("server.log")).expect("the log");
    let last = log.lines().last().expect("lines");
    assert!(last.contains("stopped: every accepted request was answered"), "{last}");
    let server = launch.start();
    let second = server.launch().clone().other_ports();
    let refused = second.serve_to_end();
    assert!(
        refused.stderr.lines().last().is_some_and(|last| last.starts_with("interlock: ")),
        "{}",
        refused.stderr
    );
}
