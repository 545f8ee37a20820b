//! Orders that leave the engine: HTTP says the same of them as before, their keys are free, and no payment counts twice.

use serde_json::{Value, json};

use crate::support::session::text;
use crate::support::{Launch, Port, Server, Session, until};

const RETENTION_SECS: &str = "1";

fn launch() -> Launch {
    let env = ("INTERLOCK_ORDER_RETENTION_SECS", RETENTION_SECS);
    Launch::new().cores(2).env(env.0, env.1).env("INVENTORY_HOLD_TTL_SECS", "1")
}

/// Orders that have left since the start, over all cores.
fn left(session: &mut Session) -> u64 {
    let metrics = session.get(Port::Gateway, "/metrics").text();
    let lines = metrics.lines().filter_map(|line| line.strip_prefix("interlock_orders_left_total "));
    lines.map(|count| count.parse::<u64>().expect("a number")).sum()
}

fn until_left(session: &mut Session, count: u64) {
    until("orders to leave", || (left(session) >= count).then_some(()));
}

/// An order whose hold has expired.
fn expired(session: &mut Session, key: &str) -> String {
    let id = text(&session.reserved(key, "retention", 1), "OrderID").to_owned();
    session.until_status(&id, "CANCELLED");
    id
}

fn owed(session: &mut Session, order: &str) -> usize {
    session.refunds("required").iter().filter(|refund| refund["order_id"] == order).count()
}

/// Catches: an order that is shown otherwise once it has left, or cannot be found; a key that stays taken; a cancellation that is refused the
/// second time.
#[test]
fn an_order_that_has_left_is_what_it_was() {
    let server = launch().start();
    let mut session = server.session();
    let ids = ["left-a", "left-b"].map(|key| expired(&mut session, key));
    let before: Vec<Value> = ids.iter().map(|id| session.order(id)).collect();
    let view = session.view(&ids[0]);
    until_left(&mut session, 2);
    for (id, before) in ids.iter().zip(&before) {
        assert_eq!(session.order(id), *before);
    }
    assert_eq!(session.view(&ids[0]), view);
    assert_eq!(session.cancel(&ids[0]).ok(), before[0]);
    let again = json!({"order_id": ids[0], "partition_key": "retention"});
    session.reserve(&again).refused(409, "invalid state transition");
    // The key is free, also for another amount; the new order has nothing of the old one.
    let new = session.create("left-a", 7);
    assert_ne!(text(&new, "OrderID"), ids[0]);
    assert_eq!((text(&new, "Status"), &new["AmountCents"]), ("INIT", &json!(7)));
    // And so it is after a crash, with another number of cores.
    let server = server.kill().cores(1).start();
    let mut session = server.session();
    assert_eq!(session.order(&ids[1]), before[1]);
    assert_eq!(session.create("left-a", 7)["OrderID"], new["OrderID"]);
    let history = session.get(Port::Gateway, &format!("/v1/orders/{}/history", ids[0])).ok();
    assert!(!history["events"].as_array().expect("events").is_empty());
    server.stop().check_log();
}

/// Catches: money owed twice, or for a payment that was kept, whether its order is still there, or has left.
#[test]
fn a_payment_counts_once_whatever_has_left() {
    let server = launch().start();
    let mut session = server.session();
    let id = expired(&mut session, "paid-late");
    for txn in ["late-1", "late-2"] {
        session.pay(&id, txn).refused(409, "hold expired");
    }
    assert_eq!(owed(&mut session, &id), 2);
    for txn in ["late-1", "late-2"] {
        session.settle(&id, txn, "booking").ok();
    }
    // With the order still there, and after it has left.
    for round in 0..2 {
        for txn in ["late-1", "late-2"] {
            session.pay(&id, txn).refused(409, "hold expired");
        }
        assert_eq!(owed(&mut session, &id), 0, "round {round}");
        if round == 0 {
            until_left(&mut session, 1);
        }
    }
    // They left with their order, and are listed all the same; settled once more, each is what it was.
    let settled = session.refunds_of(&id, "late-1");
    assert_eq!((settled.len(), text(&settled[0], "status")), (1, "settled"));
    assert_eq!(session.settle(&id, "late-1", "booking").ok(), settled[0]);
    session.settle(&id, "late-1", "another").refused(409, "refund settled under another reference");
    session.settle(&id, "never", "booking").refused(404, "refund not found");
    // A fresh one is owed, once, with the order's amount, and stays as long as it is owed.
    let amount = session.order(&id)["AmountCents"].clone();
    for _ in 0..2 {
        session.pay(&id, "late-3").refused(409, "hold expired");
    }
    let refunds = session.refunds_of(&id, "late-3");
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    assert_eq!((text(&refunds[0], "reason"), &refunds[0]["amount_cents"]), ("hold_expired", &amount));
    // The transaction id of one that has left is free.
    let other = text(&session.reserved("other", "retention", 1), "OrderID").to_owned();
    assert_eq!(text(&session.pay(&other, "late-1").ok(), "ProviderTxnID"), "late-1");
    // A payment that another order has claimed is nobody else's.
    session.pay(&id, "late-1").refused(409, "hold expired");
    let server = server.kill().start();
    let mut session = server.session();
    assert_eq!(owed(&mut session, &id), 1);
    session.pay(&id, "late-3").refused(409, "hold expired");
    assert_eq!(owed(&mut session, &id), 1);
    server.stop().check_log();
}

/// Catches: orders that are let go although nobody else has them, and a payment that is answered although nobody knows what it is.
#[test]
fn without_the_read_model_nothing_leaves_and_nothing_is_guessed() {
    let server = launch().start();
    let mut session = server.session();
    let first = expired(&mut session, "first");
    until_left(&mut session, 1);
    let launch = server.stop();
    let database = launch.dir().join("read-model.db");
    let aside = launch.dir().join("aside.db");
    std::fs::rename(&database, &aside).expect("renamed");
    let server = launch.start();
    let mut session = server.session();
    let second = expired(&mut session, "second");
    for (path, body) in [
        ("/payments/callback", session.payment(&first, "when-down")),
        ("/orders/cancel", json!({"order_id": first})),
        ("/orders/reserve", json!({"order_id": first, "partition_key": "retention"})),
    ] {
        let answer = session.post(Port::Gateway, path, &body);
        answer.refused(503, "");
        assert_eq!(answer.json()["code"], "read_model_unavailable", "{path}");
    }
    assert_eq!(session.refunds("required"), [] as [Value; 0]);
    session.get(Port::Gateway, "/v1/refunds?status=settled").refused(503, "");
    // Longer than its retention, and than the keeper's look: it stays. The end of its own retention is seen by a hold that ends later.
    let third = expired(&mut session, "third");
    let fourth = expired(&mut session, "fourth");
    for id in [&second, &third, &fourth] {
        session.order(id);
    }
    assert_eq!(left(&mut session), 0);
    let launch = server.stop();
    std::fs::rename(&aside, &database).expect("renamed back");
    let server = launch.start();
    let mut session = server.session();
    until_left(&mut session, 3);
    session.pay(&first, "when-down").refused(409, "hold expired");
    assert_eq!(owed(&mut session, &first), 1);
    finish(server);
}

/// Catches: money for what may have been lost that is owed back like any other.
#[test]
fn money_for_what_a_lost_read_model_had_is_marked() {
    let server = launch().env("PAYMENT_CALLBACK_SIGN_KEY", "secret").start();
    let mut session = server.session();
    let lost = expired(&mut session, "lost");
    until_left(&mut session, 1);
    // Another number of cores: the log from before goes as soon as the read model has it, and the state that is written anew has no such order.
    let server = server.stop().cores(1).start();
    let epochs = || {
        let names = std::fs::read_dir(server.launch().dir()).expect("the data directory");
        let names = names.map(|name| name.expect("a name").file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("epoch-")).count()
    };
    until("the epoch before to go", || (epochs() == 1).then_some(()));
    let launch = server.stop();
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(launch.dir().join(format!("read-model.db{suffix}")));
    }
    let server = launch.start();
    let mut session = server.session();
    session.pay(&lost, "after").refused(503, "");
    let dir = server.launch().dir().display().to_string();
    let rebuilt =
        server.launch().run(&["sink", "rebuild", "read-model", "--accept-loss", "--data-dir", &dir]);
    assert!(rebuilt.status.success(), "{}", rebuilt.said());
    session.pay(&lost, "after").refused(404, "order not found");
    let refunds = session.refunds_of(&lost, "after");
    assert_eq!(refunds.len(), 1, "{refunds:?}");
    assert_eq!((text(&refunds[0], "reason"), text(&refunds[0], "detail")), ("unmatched", "history_lost"));
    finish(server);
}

fn finish(server: Server) {
    server.stop().check_log();
}
