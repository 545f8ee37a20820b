//! The same order asked for from several connections at the same moment: one outcome, whoever came first.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::shared;
use crate::support::session::{text, texts};
use crate::support::together;

/// Callers at the same moment.
const CALLERS: usize = 12;

/// Times that a race with two outcomes is run.
const ROUNDS: usize = 12;

/// Catches: two orders for one key; a repeat that overtakes the first one and is refused or does its work again.
#[test]
fn the_same_write_at_the_same_moment_is_done_once() {
    let server = shared();
    let created = together(CALLERS, |_| server.session().create("race-same", 10_000));
    let ids: BTreeSet<&str> = created.iter().map(|o| text(o, "OrderID")).collect();
    assert_eq!(ids.len(), 1, "one order for one key");
    let id = text(&created[0], "OrderID");

    let body = json!({"order_id": id, "partition_key": "race-same", "qty": 3});
    let reserved = together(CALLERS, |_| server.session().reserve(&body).ok());
    for order in &reserved {
        assert_eq!(order, &reserved[0], "one reservation");
    }
    assert_eq!(server.session().available("race-same"), 497);

    for order in together(CALLERS, |_| server.session().pay(id, "race-same").ok()) {
        assert_eq!(texts(&order, "Seats"), texts(&reserved[0], "Seats"));
        assert_eq!(order["ProviderTxnID"], "race-same");
    }
    assert_eq!(server.session().refunds_of(id, "race-same"), [] as [Value; 0]);
    server.session().until_ticketed(id);
}

/// Catches: an order paid twice; a payment that neither pays nor is owed back; one that does both.
#[test]
fn of_several_payments_one_pays_and_the_rest_are_owed_back() {
    let server = shared();
    let mut session = server.session();
    let id = text(&session.reserved("race-pay", "race-pay", 1), "OrderID").to_owned();
    let answers = together(CALLERS, |i| server.session().pay(&id, &format!("race-pay-{i}")));
    let paid: Vec<usize> = (0..CALLERS).filter(|&i| answers[i].status == 200).collect();
    assert_eq!(paid.len(), 1, "one payment pays");
    let order = session.until_ticketed(&id);
    assert_eq!(order["ProviderTxnID"], format!("race-pay-{}", paid[0]));
    for (i, answer) in answers.iter().enumerate() {
        let owed = session.refunds_of(&id, &format!("race-pay-{i}")).len();
        if paid.contains(&i) {
            assert_eq!(owed, 0, "the payment that paid is not owed back");
        } else {
            answer.refused(409, "already paid");
            assert_eq!(owed, 1, "payment {i} is owed back once");
        }
    }
}

/// Catches: one transaction that pays two orders, or none.
#[test]
fn one_transaction_pays_one_order() {
    let server = shared();
    let ids: Vec<String> = (0..CALLERS)
        .map(|i| {
            text(&server.session().reserved(&format!("race-txn-{i}"), "race-txn", 1), "OrderID").to_owned()
        })
        .collect();
    let answers = together(CALLERS, |i| server.session().pay(&ids[i], "race-txn"));
    let mut session = server.session();
    let mut paid = 0;
    for (id, answer) in ids.iter().zip(&answers) {
        if answer.status == 200 {
            paid += 1;
            session.until_ticketed(id);
        } else {
            answer.refused(409, "transaction id already used");
            assert_eq!(session.order(id)["Status"], "RESERVED");
        }
        assert_eq!(session.refunds_of(id, "race-txn"), [] as [Value; 0]);
    }
    assert_eq!(paid, 1);
}

/// Catches: an order cancelled and its seat sold, or paid and its seat free; money that is lost between the two.
#[test]
fn pay_and_cancel_have_one_outcome() {
    let server = shared();
    let mut session = server.session();
    let mut sold = 0;
    for round in 0..ROUNDS {
        let key = format!("race-cancel-{round}");
        let id = text(&session.reserved(&key, "race-cancel", 1), "OrderID").to_owned();
        let answers = together(2, |i| {
            let mut session = server.session();
            if i == 0 { session.pay(&id, &key) } else { session.cancel(&id) }
        });
        let owed = session.refunds_of(&id, &key).len();
        if answers[0].status == 200 {
            answers[1].refused(409, "invalid state transition");
            session.until_ticketed(&id);
            assert_eq!(owed, 0, "{key}: paid");
            sold += 1;
        } else {
            answers[0].refused(409, "invalid state transition");
            assert_eq!(answers[1].ok()["Status"], "CANCELLED", "{key}");
            assert_eq!(session.order(&id)["Status"], "CANCELLED", "{key}");
            assert_eq!(owed, 1, "{key}: cancelled, so the money is owed back");
        }
    }
    assert_eq!(session.available("race-cancel"), 500 - sold);
}

/// Catches: a free hold that two orders adopt, or that is adopted and released.
#[test]
fn a_free_hold_has_one_fate() {
    let server = shared();
    let mut session = server.session();
    let mut held = 0;
    for round in 0..ROUNDS {
        let hold = format!("fate-{round}");
        session.held("fate", &hold, 2, 500);
        let ids: Vec<String> = (0..2).map(|i| session.new_order(&format!("fate-{round}-{i}"))).collect();
        let answers = together(3, |i| {
            let mut session = server.session();
            match ids.get(i) {
                Some(id) => session.reserve(&json!({
                    "order_id": id, "partition_key": "fate", "hold_id": hold, "qty": 2
                })),
                None => session.release("fate", &hold),
            }
        });
        let fates: Vec<usize> = (0..3).filter(|&i| answers[i].status == 200).collect();
        assert_eq!(fates.len(), 1, "{hold}: {answers:?}");
        for (i, id) in ids.iter().enumerate() {
            let expected = if fates == [i] { "RESERVED" } else { "INIT" };
            assert_eq!(session.order(id)["Status"], expected, "{hold}");
        }
        held += if fates == [2] { 0 } else { 2 };
        assert_eq!(session.available("fate"), 500 - held, "{hold}");
    }
}
