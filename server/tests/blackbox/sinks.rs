//! The read model beside the sale: what it has, what becomes of the server without it, and the operator's commands.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::process::CommandOutput;
use crate::support::session::{list, text};
use crate::support::{Launch, Port, Session, until};

fn database(launch: &Launch) -> PathBuf {
    launch.dir().join("read-model.db")
}

/// The commands of an operator.
fn interlock(launch: &Launch, args: &[&str]) -> CommandOutput {
    let dir = launch.dir().display().to_string();
    launch.run(&[args, &["--data-dir", &dir]].concat())
}

/// The orders of the listing, once it has so many.
fn listed(session: &mut Session, count: usize) -> Vec<Value> {
    until("all orders to be listed", || {
        let orders = list(&session.get(Port::Gateway, "/v1/orders?limit=1000").ok(), "orders").to_vec();
        (orders.len() == count).then_some(orders)
    })
}

fn kinds(session: &mut Session, path: &str) -> Vec<String> {
    let history = session.get(Port::Gateway, path).ok();
    list(&history, "events").iter().map(|event| text(event, "kind").to_owned()).collect()
}

/// One order of every kind: open, reserved, ticketed, cancelled.
fn sell(session: &mut Session, prefix: &str) -> Vec<String> {
    let open = session.new_order(&format!("{prefix}-open"));
    let mut ids = vec![open];
    for what in ["reserved", "ticketed", "cancelled"] {
        let order = session.reserved(&format!("{prefix}-{what}"), &format!("{prefix}-train"), 2);
        let id = text(&order, "OrderID").to_owned();
        match what {
            "ticketed" => {
                session.pay(&id, &format!("{prefix}-txn")).ok();
                session.until_ticketed(&id);
            }
            "cancelled" => _ = session.cancel(&id).ok(),
            _ => {}
        }
        ids.push(id);
    }
    ids
}

/// Catches: rows that are not what HTTP says; a follower that loses its place in a crash or with another number of cores; an epoch
/// that stays for ever.
#[test]
fn the_read_model_says_what_http_says_through_kills_and_other_cores() {
    let mut launch = Launch::new().cores(1);
    let mut ids = Vec::new();
    for (round, cores) in [1, 2, 3, 1].into_iter().enumerate() {
        let server = launch.cores(cores).start();
        let mut session = server.session();
        ids.extend(sell(&mut session, &format!("round-{round}")));
        if round % 2 == 0 {
            listed(&mut session, ids.len());
        }
        // What is not followed yet is followed by the next server.
        launch = server.kill();
    }
    let server = launch.start();
    let mut session = server.session();
    let orders = listed(&mut session, ids.len());
    for id in &ids {
        let own = session.order(id);
        let row = orders.iter().find(|order| text(order, "OrderID") == id).expect("every order is listed");
        assert_eq!(*row, own);
    }
    for round in 0..4 {
        let ticketed = &ids[round * 4 + 2];
        let mut found = kinds(&mut session, &format!("/v1/orders/{ticketed}/history"));
        found.sort_unstable();
        let expected = [
            "hold_confirmed",
            "hold_made",
            "order_created",
            "order_paid",
            "order_reserved",
            "order_ticketed",
        ];
        assert_eq!(found, expected, "each once");
    }
    let epochs = || {
        let names = std::fs::read_dir(server.launch().dir()).expect("the data directory");
        names
            .filter(|name| name.as_ref().expect("a name").file_name().to_string_lossy().starts_with("epoch-"))
            .count()
    };
    until("the epochs before to go", || (epochs() == 1).then_some(()));
    let launch = server.stop();
    let database = Connection::open(database(&launch)).expect("a database");
    let status: Vec<(String, i64)> = database
        .prepare("SELECT status, count(*) FROM orders GROUP BY status ORDER BY status")
        .and_then(|mut query| query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .expect("rows");
    let of = |status: &str| (status.to_owned(), 4);
    assert_eq!(status, [of("CANCELLED"), of("INIT"), of("RESERVED"), of("TICKETED")]);
}

/// Catches: a read model that is made anew behind the operator's back, ids that are said not to exist, and a sale that stops for it.
#[test]
fn a_read_model_that_is_gone_is_down_by_name_and_comes_back_on_demand() {
    let server = Launch::new().cores(2).start();
    let mut session = server.session();
    let mut ids = sell(&mut session, "before");
    listed(&mut session, ids.len());
    let launch = server.stop();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", database(&launch).display()));
    }
    let server = launch.start();
    let mut session = server.session();
    ids.extend(sell(&mut session, "without"));
    session.order(&ids[0]);
    let unknown = "00000000-0000-8000-8000-000000000000";
    for path in
        ["/v1/orders", &format!("/orders/get?order_id={unknown}"), &format!("/v1/orders/{}/history", ids[0])]
    {
        let answer = session.get(Port::Gateway, path);
        answer.refused(503, "");
        assert_eq!(answer.json()["code"], "read_model_unavailable", "{path}");
        assert!(answer.header("retry-after").is_some());
    }
    let ready = session.get(Port::Gateway, "/readyz");
    assert_eq!((ready.status, &ready.json()["dependency"]), (503, &json!("read-model")));
    assert!(text(&ready.json()["sinks"][0], "last_error").contains("missing"), "{}", ready.text());
    for port in [Port::Order, Port::Inventory, Port::Query, Port::Worker] {
        session.get(port, "/readyz").ok();
    }
    assert!(!database(&launch).exists(), "it is not made anew");

    let refused = interlock(&launch, &["sink", "rebuild", "read-model"]);
    assert!(!refused.status.success() && refused.said().contains("--accept-loss"), "{}", refused.said());
    let rebuilt = interlock(&launch, &["sink", "rebuild", "read-model", "--accept-loss"]);
    assert!(rebuilt.status.success() && rebuilt.stdout.contains("8 orders"), "{}", rebuilt.said());
    session.get(Port::Gateway, "/readyz").ok();
    assert_eq!(listed(&mut session, ids.len()).len(), 8);
    session
        .get(Port::Gateway, &format!("/orders/get?order_id={unknown}"))
        .refused(404, "query order failed: order not found");
    server.stop();
}

/// Catches: a database of another directory that is written over.
#[test]
fn a_read_model_of_another_directory_is_down_by_name() {
    let other = Launch::new().start();
    sell(&mut other.session(), "other");
    let other = other.stop();
    let launch = Launch::new();
    let file = launch.home().join("other.db");
    std::fs::copy(database(&other), &file).expect("a copy");
    let before = std::fs::read(&file).expect("a file");
    let launch = launch.args(&["--read-model", &file.display().to_string()]);
    let server = launch.start();
    let mut session = server.session();
    sell(&mut session, "own");
    let status = session.get(Port::Worker, "/worker/status").ok();
    assert_eq!(status["sinks"][0]["state"], "down");
    assert!(text(&status["sinks"][0], "last_error").contains("another data directory"), "{status}");
    let answer = session.get(Port::Gateway, "/v1/orders");
    answer.refused(503, "");
    server.stop();
    assert_eq!(std::fs::read(&file).expect("a file"), before, "it is not touched");
}

/// Catches: sales that wait for somebody's open `sqlite3`, a log that grows without bound for it, and one that stays full.
#[test]
fn a_locked_read_model_fills_the_log_and_nothing_is_lost() {
    let small =
        ["--segment-bytes", "262144", "--snapshot-log-bytes", "262144", "--log-budget-bytes", "1572864"];
    let launch = Launch::new().cores(1);
    let too_small = [&small[..4], &["--log-budget-bytes", "1572863"]].concat();
    launch.clone().args(&too_small).serve_to_end().assert_refused(&[
        "log_budget_bytes",
        "1572864",
        "segment_bytes",
    ]);
    let server = launch.args(&small).start();
    let mut session = server.session();
    let first = session.new_order("first");
    listed(&mut session, 1);
    let database = Connection::open(database(server.launch())).expect("a database");
    database.execute_batch("BEGIN EXCLUSIVE").expect("a lock");
    let mut sold: i64 = 1;
    let refused = until("the log to be full", || {
        // Payments and the like would go on; a new sale does not.
        let key = format!("an-order-while-it-is-locked-{sold}");
        let answer =
            session.post(Port::Order, "/orders", &json!({"idempotency_key": key, "amount_cents": 1}));
        if answer.status == 200 {
            sold += 1;
            return None;
        }
        Some(answer)
    });
    refused.refused(503, "");
    assert_eq!(refused.json()["code"], "log_full");
    session.cancel(&first).ok();
    let ready = session.get(Port::Gateway, "/readyz");
    assert_eq!(
        (ready.status, &ready.json()["sinks"][0]["fills_log"]),
        (503, &json!(true)),
        "{}",
        ready.text()
    );
    assert!(interlock(server.launch(), &["status"]).stdout.contains("FILLS THE LOG"));
    assert!(server.log().contains("reached its budget, kept for read-model"), "it was warned of");
    database.execute_batch("ROLLBACK").expect("the lock is given up");
    // Nobody writes meanwhile: a core that sleeps lets go as well.
    until("the log to be let go", || {
        let metrics = session.get(Port::Gateway, "/metrics").text();
        let needed = metrics.lines().find_map(|line| line.strip_prefix("interlock_log_needed_bytes "));
        (needed.expect("a metric").parse::<u64>().expect("bytes") < 600_000).then_some(())
    });
    until("sales to go on", || {
        let body = json!({"idempotency_key": "after", "amount_cents": 1});
        (session.post(Port::Order, "/orders", &body).status == 200).then_some(())
    });
    sold += 1;
    until("all of them in the database", || {
        let count: i64 = database.query_row("SELECT count(*) FROM orders", [], |row| row.get(0)).ok()?;
        (count == sold).then_some(())
    });
    session.get(Port::Gateway, "/readyz").ok();
    server.stop();
}

/// Catches: events that differ between a running and a stopped directory, or come again under other ids.
#[test]
fn events_are_printed_running_and_stopped() {
    let server = Launch::new().cores(2).start();
    let id = sell(&mut server.session(), "events").swap_remove(2);
    let dir = server.launch().dir().display().to_string();
    let events = |launch: &Launch| {
        let printed = launch.run(&["log", "events", &dir]);
        assert!(printed.status.success(), "{}", printed.said());
        let mut lines: Vec<String> = printed.stdout.lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    };
    let running = events(server.launch());
    let launch = server.stop();
    let stopped = events(&launch);
    assert_eq!(running, stopped);
    let parsed: Vec<Value> =
        stopped.iter().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let of_order = |kind: &str| {
        parsed
            .iter()
            .filter(|event| event["aggregate_id"] == json!(id) && event["event_type"] == kind)
            .count()
    };
    for kind in ["OrderCreated", "OrderReserved", "OrderPaid", "TicketIssued"] {
        assert_eq!(of_order(kind), 1, "{kind}");
    }
    let mut ids: Vec<_> = parsed.iter().map(|event| text(event, "event_id")).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), parsed.len(), "no two have one id");
}

/// Catches: a socket that others can write to, or that cannot be had because the path is long or a killed server left one.
#[test]
fn a_server_is_asked_through_its_socket() {
    let launch = Launch::new();
    let deep = launch.home().join("a-name-that-makes-the-path-longer-than-a-socket-may-have-it/".repeat(3));
    let launch = launch.data_dir(&deep);
    let nobody = interlock(&launch, &["status"]);
    assert!(!nobody.status.success(), "{}", nobody.said());
    let server = launch.start().kill().start();
    let socket = deep.join("control.sock");
    let mode = std::fs::metadata(&socket).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    server.session().new_order("one");
    let status = until("the read model to follow", || {
        let status = interlock(server.launch(), &["status"]);
        status.stdout.contains("following").then_some(status)
    });
    for said in ["1 created", "read-model", "following", "core 0"] {
        assert!(status.stdout.contains(said), "{said} in {}", status.stdout);
    }
    let unknown = interlock(server.launch(), &["sink", "detach", "nobody"]);
    assert!(!unknown.status.success() && unknown.said().contains("no sink nobody"), "{}", unknown.said());
    let launch = server.stop();
    let stopped = interlock(&launch, &["status"]);
    assert!(!stopped.status.success() && stopped.said().contains("no server"), "{}", stopped.said());
    let listed = interlock(&launch, &["sink", "list"]);
    assert!(listed.stdout.contains("read-model"), "{}", listed.said());
    let detached = interlock(&launch, &["sink", "detach", "read-model"]);
    assert!(detached.status.success(), "{}", detached.said());
    assert!(interlock(&launch, &["sink", "list"]).stdout.contains("no sink"));
}

/// Catches: a damaged database that goes on answering until somebody happens to ask for the damaged place.
#[test]
fn a_damaged_read_model_is_found_and_not_believed() {
    let server = Launch::new().cores(1).start();
    let mut session = server.session();
    let mut sold = 0;
    for round in 0..20 {
        sold += sell(&mut session, &format!("round-{round}")).len();
    }
    listed(&mut session, sold);
    let launch = server.stop();
    let path = database(&launch);
    Connection::open(&path)
        .and_then(|c| c.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)"))
        .expect("all in one file");
    let mut bytes = std::fs::read(&path).expect("a database");
    let last_page = bytes.len() - 4_096;
    bytes[last_page..].fill(0x55);
    std::fs::write(&path, bytes).expect("a database");
    let server = launch.start();
    let mut session = server.session();
    let error = until("the damage to be found", || {
        let status = session.get(Port::Worker, "/worker/status").ok();
        status["sinks"][0]["last_error"].as_str().map(str::to_owned)
    });
    assert!(error.contains("damaged") || error.contains("malformed"), "{error}");
    session.new_order("goes on");
    session.get(Port::Gateway, "/v1/orders").refused(503, "");
    let rebuilt = interlock(&launch, &["sink", "rebuild", "read-model", "--accept-loss"]);
    assert!(rebuilt.status.success(), "{}", rebuilt.said());
    listed(&mut session, sold + 1);
    server.stop();
}
