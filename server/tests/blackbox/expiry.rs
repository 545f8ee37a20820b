//! Holds end at their deadline: the seats return, the order is cancelled, and money that comes later is owed back.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, Weak};

use serde_json::{Value, json};

use crate::support::session::{SIGN_KEY, number, text, texts};
use crate::support::time::{now_ms, rfc3339_ms};
use crate::support::{Launch, Rng, Server, Session, together, until};

/// What the servers here hold for.
const TTL_MS: i64 = 1_000;

/// A server whose holds live for a second, shared while several tests use it.
fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let launch = Launch::new().cores(2).env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY);
    let server = Arc::new(launch.env("INVENTORY_HOLD_TTL_SECS", "1").start());
    *shared = Arc::downgrade(&server);
    server
}

/// An order whose hold has expired.
fn expired(session: &mut Session, key: &str, partition: &str) -> String {
    let id = text(&session.reserved(key, partition, 2), "OrderID").to_owned();
    session.until_status(&id, "CANCELLED");
    id
}

/// Sells one seat and gives the transaction that paid it. A machine that is busy enough may let a hold of a second
/// expire before it is paid: then it is tried again.
fn sold(session: &mut Session, key: &str, partition: &str) -> String {
    let mut tries = 0..10;
    until("an order to be paid in time", || {
        let key = format!("{key}-{}", tries.next()?);
        let id = text(&session.reserved(&key, partition, 1), "OrderID").to_owned();
        (session.pay(&id, &key).status == 200).then_some(key)
    })
}

/// Catches: seats that never come back; an expired hold that is held, released or confirmed again.
#[test]
fn a_hold_ends_at_its_deadline() {
    let server = shared();
    let mut session = server.session();
    let asked_at = now_ms() as i64;
    let state = session.held("expires", "h", 4, 10);
    let expires_at = rfc3339_ms(text(&state["holds"]["h"], "expires_at"));
    assert!((asked_at + TTL_MS - 100..asked_at + TTL_MS + 60_000).contains(&expires_at), "{expires_at}");
    assert_eq!(number(&state, "available"), 6);
    until("the seats to come back", || (session.available("expires") == 10).then_some(()));
    assert!(now_ms() as i64 + 100 >= expires_at, "the seats came back before the deadline");

    let again = json!({"partition_key": "expires", "hold_id": "h", "qty": 4});
    for refusal in
        [session.try_hold(&again), session.confirm("expires", "h"), session.release("expires", "h")]
    {
        let reason = refusal.refused(409, "");
        assert!(reason.contains("expired"), "the reason is that it expired: {reason}");
    }
    assert_eq!(session.available("expires"), 10);
    session.held("expires", "h2", 10, 10);
    assert_eq!(session.available("expires"), 0, "all of the seats can be held again");
}

/// Catches: an order that stays RESERVED, or whose seats come back without it.
#[test]
fn an_order_ends_with_its_hold() {
    let server = shared();
    let mut session = server.session();
    let id = expired(&mut session, "expires-order", "expires-order");
    let order = session.order(&id);
    assert_eq!(order["CancelReason"], "hold_expired");
    assert_eq!(session.available("expires-order"), 500);
    assert_eq!(session.view(&id)["status"], "CANCELLED");
    assert_eq!(session.cancel(&id).ok(), order, "cancelling what is cancelled is a replay");
    session.reserve(&json!({"order_id": id, "partition_key": "expires-order", "qty": 2})).refused(409, "");
    assert_eq!(session.available("expires-order"), 500);
}

/// Row "CANCELLED by expiry" of the payment table. Catches: payment accepted for a hold that had expired; money for
/// it forgotten, or owed twice.
#[test]
fn money_that_comes_too_late_is_owed_back() {
    let server = shared();
    let mut session = server.session();
    let other_txn = sold(&mut session, "late-other", "late");
    let id = expired(&mut session, "late", "late");
    for txn in ["late-1", "late-1", "late-2"] {
        session.pay(&id, txn).refused(409, "hold expired");
        let refunds = session.refunds_of(&id, txn);
        assert_eq!(refunds.len(), 1, "one refund for {txn}: {refunds:?}");
        assert_eq!(
            (&refunds[0]["status"], &refunds[0]["amount_cents"]),
            (&json!("required"), &json!(10_000))
        );
    }
    session.pay(&id, &other_txn).refused(409, "");
    assert_eq!(session.refunds_of(&id, &other_txn), [] as [Value; 0], "another order's transaction");
    let order = session.order(&id);
    assert_eq!((&order["Status"], &order["Refund"]), (&json!("CANCELLED"), &json!("required")));
    assert_eq!(session.available("late"), 499, "only what was paid in time is sold");
    session.settle(&id, "late-1", "r").ok();
    assert_eq!(session.order(&id)["Refund"], "required", "the second payment is still owed");
    session.settle(&id, "late-2", "r").ok();
    assert_eq!(session.order(&id)["Refund"], "settled");
}

/// Catches: a seat that is held for two at the deadline, or still refused after it. Times are the engine's own: a
/// hold's deadline less the time to live is when it was made.
#[test]
fn the_next_hold_begins_when_the_last_one_ends() {
    let server = shared();
    let mut session = server.session();
    let deadline = |state: &Value, hold: &str| rfc3339_ms(text(&state["holds"][hold], "expires_at"));
    let mut last = deadline(&session.held("baton", "h0", 1, 1), "h0");
    for round in 1..4 {
        let hold = format!("h{round}");
        let body = json!({"partition_key": "baton", "hold_id": hold, "qty": 1});
        let state = until("the seat to be free", || {
            let due = now_ms() as i64;
            let answer = session.try_hold(&body);
            if answer.status == 200 {
                return Some(answer.ok());
            }
            answer.refused(400, "insufficient stock");
            assert!(due < last + TTL_MS, "a second after its deadline the last hold still has the seat");
            None
        });
        let next = deadline(&state, &hold);
        assert!(
            next - TTL_MS >= last,
            "{hold} began {} ms before the one before it ended",
            last - (next - TTL_MS)
        );
        last = next;
    }
}

/// Catches: a payment that counts for an expired hold, or an expiry that takes a paid seat: orders are paid within a
/// few milliseconds of their deadline, and whichever comes first, seats and money agree.
#[test]
fn pay_and_expiry_have_one_outcome() {
    const ORDERS: usize = 48;
    let server = shared();
    let outcomes = together(ORDERS, |i| {
        let mut session = server.session();
        let key = format!("brink-{i}");
        let order = session.reserved(&key, "brink", 1);
        let id = text(&order, "OrderID").to_owned();
        let jitter = Rng::with_seed(i as u64).i64(-20..20);
        let pay_at = rfc3339_ms(text(&order, "ExpiresAt")) + jitter;
        let wait = (pay_at - now_ms() as i64).clamp(0, TTL_MS);
        // Not in place of a condition: the moment is what is tested.
        std::thread::sleep(std::time::Duration::from_millis(wait as u64));
        let paid = session.pay(&id, &key);
        let owed = |session: &mut Session| session.refunds_of(&id, &key).len();
        if paid.status == 200 {
            let ticketed = session.until_ticketed(&id);
            assert_eq!(ticketed["Seats"], order["Seats"]);
            assert_eq!(owed(&mut session), 0, "{key} is paid");
            Some(texts(&ticketed, "Seats").remove(0))
        } else {
            paid.refused(409, "hold expired");
            assert_eq!(session.until_status(&id, "CANCELLED")["CancelReason"], "hold_expired");
            assert_eq!(owed(&mut session), 1, "{key} is owed back");
            None
        }
    });
    let sold: Vec<String> = outcomes.into_iter().flatten().collect();
    assert_eq!(sold.iter().collect::<BTreeSet<_>>().len(), sold.len(), "no seat is sold twice: {sold:?}");
    let mut session = server.session();
    assert_eq!(session.available("brink"), 500 - sold.len() as i64);
}

/// Catches: deadlines that are lost or begin anew with a restart.
#[test]
fn holds_end_across_a_restart() {
    let launch = Launch::new().cores(2).env("INVENTORY_HOLD_TTL_SECS", "1");
    let server = launch.start();
    let mut session = server.session();
    let order = session.reserved("restart", "restart", 3);
    let id = text(&order, "OrderID").to_owned();
    let hold = session.held("restart-hold", "h", 2, 10);
    let server = server.kill().start();
    let mut session = server.session();
    until("the hold to end", || (session.available("restart-hold") == 10).then_some(()));
    let ended = session.until_status(&id, "CANCELLED");
    assert_eq!(ended["CancelReason"], "hold_expired");
    if let Some(expires_at) = ended["ExpiresAt"].as_str() {
        assert_eq!(expires_at, text(&order, "ExpiresAt"), "the deadline is the one that was promised");
    }
    assert_eq!(session.available("restart"), 500);
    session.confirm("restart-hold", "h").refused(409, "");
    assert_eq!(number(&hold, "available"), 8);
}
