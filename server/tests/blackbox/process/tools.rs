//! `interlock log check` and `interlock log dump` on a stopped directory.

use serde_json::{Value, json};

use crate::support::feed::{DAY, Feed};
use crate::support::process::assert_untouched;
use crate::support::session::{list, text};
use crate::support::time::tomorrow;
use crate::support::{Launch, Port};

/// Catches: tools that write, that do not see what is there, or that print something else than JSON lines.
#[test]
fn a_stopped_directory_can_be_looked_into() {
    for kill in [false, true] {
        let server = Launch::new().cores(2).start();
        let mut session = server.session();
        let order = session.new_order("a-key-to-be-found-in-the-log");
        session.held("a-partition-to-be-found", "a-hold-to-be-found", 2, 10);
        let launch = if kill { server.kill() } else { server.stop() };
        let dir = launch.dir().display().to_string();
        let files = || {
            let mut files = launch.files();
            // SQLite's own, and made anew whenever the database is read.
            files.retain(|file, _| !file.ends_with("read-model.db-shm"));
            files
        };
        let before = files();

        let check = launch.run(&["log", "check", &dir]);
        assert!(check.status.success(), "{}", check.said());
        assert!(check.stdout.contains("records"), "it says what it holds: {}", check.stdout);
        assert!(check.stdout.contains("read model: sound; it has "), "{}", check.stdout);
        assert_untouched(&before, &files());

        let dump = launch.run(&["log", "dump", &dir]);
        assert!(dump.status.success(), "{}", dump.said());
        assert_untouched(&before, &files());
        let lines: Vec<Value> = dump
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}")))
            .collect();
        let mentions = |what: &str| lines.iter().filter(|line| line.to_string().contains(what)).count();
        for what in ["a-key-to-be-found-in-the-log", &order, "a-partition-to-be-found", "a-hold-to-be-found"]
        {
            assert!(mentions(what) > 0, "{what} is in no line of: {}", dump.stdout);
        }
        assert!(lines.iter().all(Value::is_object), "a record is an object");
    }
}

/// Catches: a health check that says yes to anybody, or asks another address than the server's.
#[test]
fn a_server_is_asked_for_its_health() {
    let launch = Launch::new().cores(1);
    let offset = launch.addr(Port::Gateway).port() - Port::Gateway.number();
    let args = ["health", "--port-offset", &offset.to_string()];
    launch.run(&args).assert_refused(&["does not answer"]);
    let server = launch.env("INTERLOCK_LISTEN", "0.0.0.0").env("PAYMENT_CALLBACK_SIGN_KEY", "k").start();
    let healthy = server.launch().run(&args);
    assert!(healthy.status.success() && healthy.stdout.contains("ready"), "{}", healthy.said());
    server.stop().run(&args).assert_refused(&["does not answer"]);
}

/// Catches: a read model that is damaged, and said to be sound.
#[test]
fn a_damaged_read_model_is_found() {
    let server = Launch::new().cores(1).start();
    let mut session = server.session();
    for nth in 0..200 {
        session.new_order(&format!("key-{nth}"));
    }
    crate::support::until("all orders to be there", || {
        let page = session.get(Port::Gateway, "/v1/orders?limit=1000").ok();
        (list(&page, "orders").len() == 200).then_some(())
    });
    let launch = server.stop();
    let dir = launch.dir().display().to_string();
    let path = launch.dir().join("read-model.db");
    // All of it in one file.
    let database = rusqlite::Connection::open(&path).expect("a database");
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("written back");
    drop(database);
    let mut bytes = std::fs::read(&path).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8_192].fill(0xa5);
    std::fs::write(&path, bytes).expect("written");
    let check = launch.run(&["log", "check", &dir]);
    assert!(!check.status.success(), "{}", check.said());
    assert!(check.said().contains("read-model.db") || check.said().contains("check it"), "{}", check.said());
}

/// Catches: a feed's `pickup_type` and `drop_off_type` that are not in what a run was opened with.
#[test]
fn a_run_is_recorded_with_the_stops_that_may_be_boarded_and_left() {
    let forbidden_at = |stop: &'static str| move |line: &str| if line.contains(stop) { "1" } else { "" };
    let feed = Feed::new()
        .with_column("stop_times.txt", "pickup_type", forbidden_at("trip-1,09:00:00"))
        .with_column("stop_times.txt", "drop_off_type", forbidden_at("trip-1,,,CCC"));
    let launch = Launch::new();
    let feed = feed.write(launch.home()).display().to_string();
    let server = launch.args(&["--timetable", &feed]).start();
    let mut session = server.session();
    let run = session.get(Port::Gateway, &format!("/v1/trains/{DAY}/{}", tomorrow())).ok();
    session.held(text(&list(&run, "classes")[0], "partition_key"), "a-hold", 1, 1);
    let launch = server.stop();
    let dump = launch.run(&["log", "dump", &launch.dir().display().to_string()]);
    let records = dump.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let opened: Vec<Value> = records.filter(|record| record["type"] == "partition_opened").collect();
    let [opened] = &opened[..] else { panic!("one partition is opened: {opened:?}") };
    assert_eq!(opened["body"]["board"], json!([true, false, true, true]), "{opened}");
    assert_eq!(opened["body"]["alight"], json!([true, true, false, true]), "{opened}");
}

/// Catches: tools that make a directory, or take any for an empty one.
#[test]
fn what_is_no_directory_of_ours_is_said_so() {
    let launch = Launch::new();
    for tool in ["check", "dump"] {
        let absent = launch.home().join("absent");
        launch.run(&["log", tool, &absent.display().to_string()]).assert_refused(&["absent"]);
        assert!(!absent.exists());
        let empty = launch.home().join("empty");
        std::fs::create_dir_all(&empty).expect("a directory");
        launch.run(&["log", tool, &empty.display().to_string()]).assert_refused(&["empty"]);
        assert_eq!(std::fs::read_dir(&empty).expect("the directory").count(), 0, "nothing was written");
    }
}
