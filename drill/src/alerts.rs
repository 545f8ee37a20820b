//! Four alerts of compose/prometheus/alerts.yml fire and clear by what happens to a real server, which a real Prometheus scrapes: a sink that is
//! down, a log that fills because of it, money that is owed for more than a day, engine time ahead of the clock. That each of the others fires
//! and clears is a test of the rules alone (`scripts/alerts.sh`).
//!
//! The rules are as they are shipped, so the drill waits as long as they do. The days are the server's clock's, moved by libfaketime.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::json;

use crate::clock::with_wrong_clock;
use crate::services::root;
use crate::session::{list, text};
use crate::{Launch, Port, Session, until};

/// The longest that an alert may take: a rule waits for a minute, and the metric must be seen to change before and after.
const ALERT_MAX: Duration = Duration::from_secs(180);
/// More than a day, which is when a refund is old, and less than a start would take for a wrong clock.
const LATER_SECS: i64 = 26 * 3_600;
const PARTITION: &str = "alerts|2099-01-01|2nd";
const BUDGET_BYTES: u64 = 16 << 20;
/// Of the budget; the alert is for four fifths of it, and new sales are refused when it is used up.
const FILLED_SHARE: f64 = 0.87;

/// Runs the drill.
///
/// # Panics
/// When an alert does not come or does not go, or there is no Prometheus or libfaketime.
pub fn run(launch: &Launch) {
    let launch = launch
        .clone()
        .env("INTERLOCK_LOG_KEEP_HOURS", "0")
        .env("INTERLOCK_LOG_BUDGET_BYTES", &BUDGET_BYTES.to_string())
        .env("INTERLOCK_SEGMENT_BYTES", "262144")
        .env("INTERLOCK_SNAPSHOT_LOG_BYTES", "524288");
    let later =
        with_wrong_clock(launch.clone(), LATER_SECS).expect("libfaketime (Debian: apt install libfaketime)");
    let server = launch.start();
    let prometheus = Prometheus::start(launch.home(), server.addr(Port::Gateway));
    let mut session = server.session();

    let lock = Connection::open(launch.dir().join("read-model.db")).expect("the read model");
    lock.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    fill(&mut session);
    prometheus.until(&["LogNearlyFull", "SinkDown"]);
    lock.execute_batch("ROLLBACK").expect("its end");
    prometheus.until(&[]);

    let order = session.reserved("twice", PARTITION, 1);
    let order = text(&order, "OrderID").to_owned();
    session.pay(&order, "first").ok();
    assert_eq!(session.pay(&order, "second").status, 409);
    drop(session);
    server.stop();
    let server = later.start();
    prometheus.until(&["OldRefunds"]);
    let settled = json!({"order_id": order, "provider_txn_id": "second", "reference": "bank-1"});
    server.session().post(Port::Gateway, "/v1/refunds/settle", &settled).ok();
    prometheus.until(&[]);

    server.stop();
    let server = launch.start();
    prometheus.until(&["TimeLead"]);
    server.stop();
    let server = later.start();
    prometheus.until(&[]);
    server.stop().check_log();
}

/// Sells until the log needs almost its budget.
fn fill(session: &mut Session) {
    let needed = |session: &mut Session| {
        let metrics = session.get(Port::Gateway, "/metrics").text();
        let name = "interlock_log_needed_bytes ";
        let needed = metrics.lines().find_map(|line| line.strip_prefix(name)?.parse::<f64>().ok());
        needed.expect("a metric that docs/metrics.md promises")
    };
    for nth in 0.. {
        session.new_order(&format!("filler-{nth}"));
        if nth % 64 == 0 && needed(session) > FILLED_SHARE * BUDGET_BYTES as f64 {
            return;
        }
    }
}

struct Prometheus {
    process: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts the one of Debian's package, with the rules that are shipped.
    fn start(home: &Path, target: SocketAddr) -> Prometheus {
        let dir = home.join("prometheus");
        fs::create_dir_all(&dir).expect("a directory");
        let rules = root().join("compose/prometheus/alerts.yml");
        let config = dir.join("prometheus.yml");
        let text = format!(
            "global: {{scrape_interval: 1s, evaluation_interval: 1s}}\nrule_files: ['{}']\n\
             scrape_configs: [{{job_name: interlock, static_configs: [{{targets: ['{target}']}}]}}]\n",
            rules.display()
        );
        fs::write(&config, text).expect("a configuration");
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let address = free.expect("a free port");
        let log = File::create(dir.join("log")).expect("a file");
        let mut command = Command::new(program());
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", dir.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let prometheus = Prometheus { process, address };
        until("Prometheus to be ready", || prometheus.firing());
        prometheus
    }

    /// Alerts that fire, by name in order; `None` where there is no answer.
    fn firing(&self) -> Option<Vec<String>> {
        let mut session = Session::new([self.address; 5], None);
        let answer = session.try_call(Port::Gateway, "GET", "/api/v1/alerts", &[], None).ok()?;
        let answer = (answer.status == 200).then(|| answer.json())?;
        let alerts = list(&answer["data"], "alerts").iter().filter(|alert| alert["state"] == "firing");
        let mut names: Vec<String> =
            alerts.map(|alert| text(&alert["labels"], "alertname").to_owned()).collect();
        names.sort();
        names.dedup();
        Some(names)
    }

    /// Waits until these fire, and no other.
    fn until(&self, wanted: &[&str]) {
        let started = Instant::now();
        loop {
            let firing = self.firing().expect("Prometheus answers");
            if firing == wanted {
                break;
            }
            let waited = started.elapsed();
            assert!(waited < ALERT_MAX, "after {waited:.0?} {firing:?} fire, and not {wanted:?}");
            std::thread::sleep(Duration::from_millis(200));
        }
        let what = if wanted.is_empty() { "nothing".to_owned() } else { wanted.join(" and ") };
        println!("{what} fires after {:.0?}", started.elapsed());
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The one that `scripts/alerts.sh` has unpacked, or the machine's.
fn program() -> PathBuf {
    let unpacked = root().join("target/prometheus/usr/bin/prometheus");
    if unpacked.is_file() { unpacked } else { "prometheus".into() }
}
