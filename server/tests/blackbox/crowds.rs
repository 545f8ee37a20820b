//! More connections than the process has descriptors for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::session::text;
use crate::support::{Conn, Launch, Port, Server, skipped, until};

/// Open files of the server.
const DESCRIPTORS: u64 = 4_096;
/// Idle connections: more than there are descriptors.
const IDLE: usize = 4_100;

/// Of log between two snapshots: 64 segments.
const SNAPSHOT_LOG_BYTES: u64 = 16 << 20;
/// What a hold of 2,000 seats, and its release, take of the log at least.
const HOLD_LOG_BYTES: u64 = 32 << 10;

/// The value of a metric of the gateway's port without labels.
pub(crate) fn metric(server: &Server, name: &str) -> f64 {
    let scrape = server.conn(Port::Gateway).call("GET", "/metrics", &[], None).expect("metrics").text();
    let line = scrape.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {scrape}")).parse().expect("a number")
}

/// Catches: connections that use up the descriptors of the log, which ends the process at its next segment; connections of one client
/// that keep everybody else out, monitoring included.
#[test]
fn a_crowd_of_idle_connections_does_not_end_the_server() {
    // This side needs as many.
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|max| max < 2 * DESCRIPTORS) {
        return skipped("a crowd of connections (the limit of open files is too low here)");
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("a raised limit");
    for network in ["uring", "epoll"] {
        let launch = Launch::new().cores(2).open_files(DESCRIPTORS).env("INTERLOCK_SEGMENT_BYTES", "262144");
        let launch = launch.env("INTERLOCK_SNAPSHOT_LOG_BYTES", &SNAPSHOT_LOG_BYTES.to_string());
        let mut server = launch.env("INTERLOCK_NETWORK", network).start();
        let mut session = server.session();
        session.held("before", "before", 1, 10_000);
        let idle: Vec<Conn> = (0..IDLE)
            .map(|i| {
                let port = Port::ALL[i % Port::ALL.len()];
                Conn::open(server.addr(port))
                    .unwrap_or_else(|e| panic!("idle connection {i} (ulimit -n?): {e}"))
            })
            .collect();
        // Enough for a snapshot, after which the log keeps as many spare segments as it may, each of them open.
        for i in 0..SNAPSHOT_LOG_BYTES / HOLD_LOG_BYTES {
            let hold = format!("{i}");
            session.held("crowd", &hold, 2_000, 10_000);
            session.release("crowd", &hold).ok();
        }
        until("a snapshot", || (metric(&server, "interlock_snapshots_total") > 0.0).then_some(()));
        for port in Port::ALL {
            server.conn(port).call("GET", "/healthz", &[], None).expect("health").ok();
        }
        let refused = server.conn(Port::Inventory).call(
            "GET",
            "/inventory/availability?partition_key=crowd",
            &[],
            None,
        );
        let refused = refused.expect("an answer");
        refused.refused(503, "too many connections");
        assert_eq!(refused.header("retry-after"), Some("1"));
        let (open, max) =
            (metric(&server, "interlock_connections"), metric(&server, "interlock_connections_max"));
        let (share, files) =
            (metric(&server, "interlock_connections_per_address_max"), metric(&server, "process_open_fds"));
        assert!(
            max < DESCRIPTORS as f64 && open == share && share == (max * 0.75).floor(),
            "{open} of {share}, {max} in all"
        );
        assert!(
            files < DESCRIPTORS as f64 - max + open,
            "{files} files are open, {open} of them connections"
        );
        assert_eq!(server.ended(), None);
        drop(idle);
        until("the connections to end", || (metric(&server, "interlock_connections") < 100.0).then_some(()));
        let id = text(&server.session().reserved("after", "after", 1), "OrderID").to_owned();
        server.session().cancel(&id).ok();
        server.stop();
    }
}

/// Catches: a server that starts with fewer files than its log needs, and ends when it is sold from.
#[test]
fn too_few_open_files_are_refused_at_the_start() {
    Launch::new().cores(4).open_files(200).serve_to_end().assert_refused(&[
        "200 open files",
        "4 cores",
        "ulimit -n",
    ]);
}
