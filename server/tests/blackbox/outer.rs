//! MySQL, Redis and Kafka beside the sale.

use drill::outage;
use drill::services::{Message, Place, SINKS, Services};
use serde_json::{Value, json};

use crate::support::process::CommandOutput;
use crate::support::session::{list, text};
use crate::support::{Launch, Port, Server, Session, until};

const SIGN_KEY: &str = "the sinks'";

/// On the services that all tests share.
fn place() -> Place {
    SINKS.iter().for_each(|service| drop(Services::shared(service)));
    Place::new(Services::shared("mysql"))
}

fn operator(server: &Server, args: &[&str]) -> CommandOutput {
    let dir = server.launch().dir().display().to_string();
    server.launch().run(&[args, &["--data-dir", &dir]].concat())
}

fn until_all_have_all(session: &mut Session) {
    until("every sink to have everything", || {
        let answer = session.get(Port::Gateway, "/readyz").json();
        let has_all = |sink: &Value| sink["state"] == "following" && sink["backlog"] == 0;
        list(&answer, "sinks").iter().all(has_all).then_some(())
    });
}

/// The flow of the old system's end-to-end test, by the services' own ports.
fn buy(session: &mut Session, key: &str) -> Value {
    let order = session.reserved(key, &format!("{key}|2099-01-01|2nd"), 2);
    let id = text(&order, "OrderID");
    session.pay(id, &format!("txn-{key}")).ok();
    session.until_ticketed(id);
    session.order(id)
}

/// Catches: a sink that works only beside another one; a start that waits for what is not configured.
#[test]
fn the_old_flow_runs_with_each_combination_of_sinks() {
    let place = place();
    for combination in 0..1_u32 << SINKS.len() {
        let chosen: Vec<&str> =
            (0..).zip(SINKS).filter(|(bit, _)| combination & 1 << bit != 0).map(|(_, sink)| sink).collect();
        // Another directory each time: what the one before filled is this one's by a rebuild.
        let launch = Launch::new().env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY);
        let server = place.configure(launch, &chosen).start();
        let mut session = server.session();
        for sink in chosen.iter().filter(|sink| **sink != "kafka") {
            let rebuilt = operator(&server, &["sink", "rebuild", sink]);
            assert!(rebuilt.status.success(), "{}", rebuilt.said());
        }
        let order = buy(&mut session, &format!("with-{}", chosen.join("-")));
        until_all_have_all(&mut session);
        let status = session.get(Port::Gateway, "/readyz").json();
        let names: Vec<&str> = list(&status, "sinks").iter().map(|sink| text(sink, "name")).collect();
        assert_eq!(names, [&["read-model"], &chosen[..]].concat());
        chosen.iter().for_each(|sink| place.assert_has_ticketed(sink, std::slice::from_ref(&order)));
        server.stop();
    }
}

/// Catches: a sink that goes on into another life as if nothing had been lost; a report that does not say what was; a row of before the backup
/// that counts as lost.
#[test]
fn what_a_backup_does_not_have_is_moved_aside_and_told() {
    let place = place();
    let launch = place.configure(Launch::new().env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY), &SINKS);
    let server = launch.start();
    let mut session = server.session();
    let before = buy(&mut session, "before-the-backup");
    let open = session.reserved("open-at-the-backup", "restored|train", 1);
    let open = text(&open, "OrderID");
    session.pay(text(&before, "OrderID"), "txn-owed-at-the-backup").refused(409, "");
    until_all_have_all(&mut session);
    let backup = server.launch().home().join("backup");
    let done = operator(&server, &["backup", &backup.display().to_string()]);
    assert!(done.status.success(), "{}", done.said());
    let after = buy(&mut session, "after-the-backup");
    session.pay(open, "txn-after-the-backup-too").ok();
    session.until_ticketed(open);
    session.settle(text(&before, "OrderID"), "txn-owed-at-the-backup", "paid-back").ok();
    until_all_have_all(&mut session);
    let launch = server.stop();

    // An order that only MySQL still has: the read model has let it go.
    let (after_id, columns) =
        (text(&after, "OrderID"), "idempotency_key, status, amount_cents, life, slot, seq");
    let _ = place.rows(&format!(
        "INSERT INTO orders (order_id, created_at, updated_at, {columns})
         SELECT 'long-ago', '2020-01-01', '2020-01-01', {columns} FROM orders WHERE order_id = '{after_id}'"
    ));

    let dir = launch.home().join("restored");
    let to = dir.display().to_string();
    let done = launch.run(&["restore", &backup.display().to_string(), "--data-dir", &to]);
    assert!(done.status.success(), "{}", done.said());
    let launch = launch.data_dir(&dir);
    let server = launch.start();
    let mut session = server.session();
    for sink in SINKS {
        let error = until("the sink to be down", || {
            let ready = session.get(Port::Gateway, "/readyz").json();
            let of_name = list(&ready, "sinks").iter().find(|of| of["name"] == sink).cloned()?;
            (of_name["state"] == "down").then(|| text(&of_name, "last_error").to_owned())
        });
        assert!(error.contains("another life"), "{sink}: {error}");
    }
    // Sold to somebody else meanwhile.
    let again = buy(&mut session, "after-the-restore");
    let said: Vec<String> = SINKS
        .iter()
        .map(|sink| {
            let rebuilt = operator(&server, &["sink", "rebuild", sink]);
            assert!(rebuilt.status.success(), "{}", rebuilt.said());
            rebuilt.stdout
        })
        .collect();
    let mysql = SINKS.iter().position(|sink| *sink == "mysql").expect("one of them");
    for moved in [
        "2 rows to orders_lost",
        "2 rows to payments_lost",
        "2 rows to tickets_lost",
        "1 rows to refunds_lost",
    ] {
        assert!(said[mysql].contains(moved), "{moved} in {}", said[mysql]);
    }
    until_all_have_all(&mut session);
    let ids = |sql: &str| -> Vec<String> {
        let mut ids: Vec<String> =
            place.rows(sql).into_iter().map(|row| row[0].clone().expect("an id")).collect();
        ids.sort_unstable();
        ids
    };
    let sorted = |orders: &[&str]| {
        let mut ids: Vec<String> = orders.iter().map(|id| (*id).to_owned()).collect();
        ids.sort_unstable();
        ids
    };
    let (before_id, again_id) = (text(&before, "OrderID"), text(&again, "OrderID"));
    assert_eq!(ids("SELECT order_id FROM orders"), sorted(&[before_id, open, again_id, "long-ago"]));
    assert_eq!(ids("SELECT order_id FROM orders WHERE status = 'RESERVED'"), [open]);
    // As they were: what was sold after the backup, and what had been settled.
    assert_eq!(ids("SELECT order_id FROM orders_lost WHERE status = 'TICKETED'"), sorted(&[after_id, open]));
    let refund = "SELECT CONCAT(status, ' ', IFNULL(reference, '')) FROM";
    assert_eq!(ids(&format!("{refund} refunds_lost")), ["SETTLED paid-back"]);
    assert_eq!(ids(&format!("{refund} refunds")), ["REQUIRED "]);
    assert_eq!(ids("SELECT order_id FROM payments"), sorted(&[before_id, again_id]));
    assert_eq!(ids("SELECT order_id FROM tickets_lost"), sorted(&[after_id, open]));
    assert_eq!(session.order(open)["Status"], "RESERVED");
    for sink in ["mysql", "redis"] {
        place.assert_has_ticketed(sink, &[before.clone(), again.clone()]);
    }
    // An event of each effect, under one id; the one that was lost is told as well.
    let mut effects = std::collections::BTreeMap::new();
    for message in place.topic("order.events") {
        let event = message.value;
        let effect = (event["event_type"].to_string(), event["aggregate_id"].to_string());
        let known = effects.entry(text(&event, "event_id").to_owned()).or_insert(effect.clone());
        assert_eq!(*known, effect, "an id stands for two effects");
    }
    let paid =
        |id: &str| effects.values().filter(|(kind, of)| kind == "\"OrderPaid\"" && of.contains(id)).count();
    assert_eq!([before_id, after_id, again_id].map(paid), [1, 1, 1]);

    // And goes on.
    let next = buy(&mut session, "goes-on");
    until_all_have_all(&mut session);
    for sink in ["mysql", "redis"] {
        place.assert_has_ticketed(sink, std::slice::from_ref(&next));
    }
    server.stop();
}

/// Catches: entries that are not what HTTP says; ones that stay when a hold has ended.
#[test]
fn redis_has_what_http_says() {
    let place = place();
    let server = place.configure(Launch::new(), &["redis"]).start();
    let mut session = server.session();
    let redis = |words: &[&str]| place.services.redis(place.redis_db, words);
    let held = session.held("redis|train", "a|b%c", 3, 100);
    let order = session.reserved("redis-order", "redis|train", 2);
    let id = text(&order, "OrderID");
    until_all_have_all(&mut session);

    let free = "redis|train|a%7Cb%25c";
    let entry = |member: &str| {
        let entry = redis(&["GET", &format!("inventory:hold:{member}")]);
        serde_json::from_str::<Value>(entry.as_str().expect("an entry")).expect("JSON")
    };
    assert_eq!(entry(free), json!({"partition_key": "redis|train", "hold_id": "a|b%c", "qty": 3}));
    assert_eq!(entry(id), json!({"partition_key": "redis|train", "hold_id": id, "qty": 2}));
    let expires_at = text(&held["holds"]["a|b%c"], "expires_at");
    let expires_ms = crate::support::time::rfc3339_ms(expires_at);
    assert_eq!(redis(&["PEXPIRETIME", &format!("inventory:hold:{free}")]), expires_ms);
    let score = redis(&["ZSCORE", "inventory:holds:delay_queue", free]);
    assert_eq!(score.as_f64(), Some((expires_ms / 1_000) as f64));
    let view = redis(&["GET", &format!("query:order:{id}")]);
    let view: Value = serde_json::from_str(view.as_str().expect("a view")).expect("JSON");
    assert_eq!(view, session.view(id));

    // It is flushed, and filled again before the next change is there.
    redis(&["FLUSHALL"]);
    let other = session.reserved("redis-other", "redis|train", 1);
    until("Redis to be filled again", || {
        (redis(&["ZCARD", "inventory:holds:delay_queue"]) == 3).then_some(())
    });
    assert_eq!(entry(free)["qty"], 3);
    assert_eq!(entry(text(&other, "OrderID"))["qty"], 1);

    session.confirm("redis|train", "a|b%c");
    session.cancel(id).ok();
    session.cancel(text(&other, "OrderID")).ok();
    until_all_have_all(&mut session);
    assert_eq!(redis(&["KEYS", "inventory:*"]), json!([]));
    let view = redis(&["GET", &format!("query:order:{id}")]);
    let view: Value = serde_json::from_str(view.as_str().expect("a view")).expect("JSON");
    assert_eq!(view, session.view(id));
    server.stop();
}

/// Catches: a buyer who notices that something is away; an order that does not arrive, or twice; a password that is told.
#[test]
fn what_was_away_gets_everything_once() {
    let launch = Launch::new().env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY);
    let report = outage::run(&launch, &launch.home().join("services"), 1);
    assert_eq!((report.outages, report.orders), (3, 12));
}

/// Catches: tables that only a start can make; a password in an answer.
#[test]
fn migrations_run_by_themselves() {
    let place = place();
    let launch = place.configure(Launch::new(), &["mysql"]);
    let first = launch.run(&["migrate"]);
    assert!(first.status.success() && first.said().contains("0002_interlock"), "{}", first.said());
    let second = launch.run(&["migrate"]);
    assert!(second.said().contains("is up to date"), "{}", second.said());
    assert!(!(first.said() + &second.said()).contains("mysql-secret"));
    Launch::new().run(&["migrate"]).assert_refused(&["MYSQL_DSN"]);
    Launch::new()
        .env("MYSQL_DSN", "u:hush@nowhere")
        .run(&["migrate"])
        .assert_refused(&["mysql_dsn", "(hidden)"]);
}

/// Catches: a topic that is not sent again what the log has, or under other ids; a rebuild that does not say what is missing.
#[test]
fn a_topic_is_sent_again_what_is_still_in_the_log() {
    let place = place();
    let server = place.configure(Launch::new(), &["kafka"]).start();
    let mut session = server.session();
    let order = buy(&mut session, "again");
    until_all_have_all(&mut session);
    let before = place.topic("order.events");
    let rebuilt = operator(&server, &["sink", "rebuild", "kafka"]);
    assert!(rebuilt.status.success(), "{}", rebuilt.said());
    assert_eq!(rebuilt.stdout, "kafka was sent again what is still in the log.\n", "the log has everything");
    let after = place.topic("order.events");
    let events =
        |messages: &[Message]| messages.iter().map(|message| message.value.clone()).collect::<Vec<_>>();
    assert_eq!(events(&after), [events(&before), events(&before)].concat());
    place.assert_has_ticketed("kafka", std::slice::from_ref(&order));

    // On a stopped directory nobody can.
    let launch = server.stop();
    let dir = launch.dir().display().to_string();
    launch.run(&["sink", "rebuild", "kafka", "--data-dir", &dir]).assert_refused(&["running server"]);
}

/// Catches: a copy of a directory that sells beside the original, and both fill the same tables.
#[test]
fn a_copy_of_the_directory_is_stopped_by_the_cursor() {
    let place = place();
    let launch = place.configure(Launch::new(), &["mysql", "redis"]);
    let server = launch.start();
    let mut session = server.session();
    buy(&mut session, "before");
    until_all_have_all(&mut session);
    let launch = server.stop();
    let copy = launch.home().join("copy");
    let copied = std::process::Command::new("cp").arg("-r").arg(launch.dir()).arg(&copy).status();
    assert!(copied.expect("cp").success());

    let (original, other) = (launch.start(), launch.clone().other_ports().data_dir(&copy).start());
    let (mut session, mut of_copy) = (original.session(), other.session());
    // Both have opened them before one of them writes.
    until_all_have_all(&mut session);
    until_all_have_all(&mut of_copy);
    let order = buy(&mut session, "original");
    until_all_have_all(&mut session);
    buy(&mut of_copy, "copy");
    until("the copy's sinks to be stopped", || {
        let answer = of_copy.get(Port::Gateway, "/readyz").json();
        let is_stopped = |sink: &Value| {
            let said = sink["last_error"].as_str().unwrap_or_default();
            sink["state"] == "down"
                && (said.contains("a copy of this data directory") || said.contains("more than the log"))
        };
        let outer = list(&answer, "sinks").iter().filter(|sink| sink["name"] != "read-model");
        (outer.filter(|sink| is_stopped(sink)).count() == 2).then_some(())
    });
    buy(&mut session, "later");
    until_all_have_all(&mut session);
    place.assert_has_ticketed("mysql", std::slice::from_ref(&order));
    assert_eq!(
        place.rows("SELECT COUNT(*) FROM orders WHERE idempotency_key = 'copy'"),
        [[Some("0".to_owned())]]
    );
}

/// Catches: a ticket that nobody's message brings; a message that is not read, or read by halves; a worker that nobody sees.
#[test]
fn tickets_come_from_kafka_where_they_are_to() {
    let place = place();
    let launch = Launch::new().env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY).env("INTERLOCK_TICKETS", "kafka");
    launch.run(&["serve"]).assert_refused(&["tickets", "kafka_brokers"]);
    // Nobody else issues one in the time of this test.
    let launch = place.configure(launch, &["kafka"]).env("INTERLOCK_TICKET_SWEEP_SECS", "86400");
    let server = launch.start();
    let mut session = server.session();
    let orders = ["first", "second"].map(|key| buy(&mut session, key));
    until_all_have_all(&mut session);
    place.assert_has_ticketed("kafka", &orders);
    let scrape = session.get(Port::Gateway, "/metrics").text();
    for series in ["interlock_ticket_messages_total{outcome=\"ticketed\"} 2", "interlock_ticket_worker_up 1"]
    {
        assert!(scrape.lines().any(|line| line == series), "{series}");
    }
    let status = operator(&server, &["status"]);
    assert!(status.stdout.contains("from Kafka, up; 2 messages ticketed"), "{}", status.stdout);
    let worker = session.get(Port::Worker, "/worker/status").json();
    assert_eq!((&worker["backlog"], &worker["last_error"]), (&json!(0), &Value::Null), "{worker}");

    // Paid and not ticketed: the next start reads it.
    let order = session.reserved("third", "third|2099-01-01|2nd", 1);
    let id = text(&order, "OrderID");
    session.pay(id, "txn-third").ok();
    let launch = server.kill();
    let server = launch.start();
    let mut session = server.session();
    session.until_ticketed(id);
    server.stop();
}

/// Catches: an order without a ticket for as long as Kafka is away.
#[test]
fn an_order_that_no_message_comes_for_gets_its_ticket_after_a_while() {
    let launch = Launch::new()
        .env("INTERLOCK_TICKETS", "kafka")
        .env("KAFKA_BROKERS", "127.0.0.1:1")
        .env("INTERLOCK_TICKET_SWEEP_SECS", "1");
    let server = launch.start();
    let mut session = server.session();
    let order = buy(&mut session, "swept");
    let trouble = until("the worker to say that it is down", || {
        let worker = session.get(Port::Worker, "/worker/status").json();
        worker["last_error"].as_str().map(str::to_owned)
    });
    assert!(trouble.contains("the cluster does not answer"), "{trouble}");
    assert_eq!(text(&order, "Status"), "TICKETED");
    server.stop();
}
