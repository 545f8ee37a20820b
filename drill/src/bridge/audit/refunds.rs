//! Refunds: what was announced, what HTTP lists and what the table has.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Evidence;
use super::database::Database;
use crate::Server;
use crate::session::text;

use super::super::figures::Found;

/// By order and transaction.
type Refunds = BTreeMap<(String, String), Value>;

pub fn check(server: &Server, database: &Database, evidence: &Evidence, found: &mut Found) {
    let expected = announced(evidence);
    let listed = by_pair("/v1/refunds", server.session().refunds(""));
    let rows = by_pair("the table refunds", table(database));
    let pairs = |refunds: &Refunds| refunds.keys().cloned().collect::<Vec<_>>();
    assert_eq!(pairs(&listed), pairs(&expected), "/v1/refunds, and what was announced");
    assert_eq!(pairs(&rows), pairs(&expected), "the table refunds, and what was announced");
    for (pair, refund) in &expected {
        assert_eq!(listed[pair], rows[pair], "/v1/refunds, and the table refunds");
        for (field, value) in refund.as_object().expect("an object") {
            assert_eq!(&listed[pair][field], value, "{field} of {}", listed[pair]);
        }
    }
    let count =
        |field: &str, value: &str| expected.values().filter(|refund| refund[field] == value).count() as u64;
    let left = database
        .rows("SELECT count(*) FROM order_rows WHERE left_at IS NOT NULL", |row| row.get::<_, u32>(0));
    found.left += left.into_iter().map(u64::from).sum::<u64>();
    found.refunds += expected.len() as u64;
    found.refunds_settled += count("status", "settled");
    found.refunds_unmatched += count("reason", "unmatched");
}

/// What follows from the answers to payments.
fn announced(evidence: &Evidence) -> Refunds {
    let mut refunds = Refunds::new();
    for log in evidence.orders.values() {
        for (txn, reason) in log.owed() {
            let reference = log.settled.get(txn);
            let refund = json!({
                "amount_cents": log.amount,
                "reason": reason,
                "status": if reference.is_some() { "settled" } else { "required" },
                "reference": reference,
            });
            refunds.insert((log.order.clone(), txn.to_owned()), refund);
        }
    }
    for unmatched in &evidence.unmatched {
        let refund = json!({"amount_cents": null, "reason": "unmatched", "status": "required"});
        refunds.insert((unmatched.order.clone(), unmatched.txn.clone()), refund);
    }
    refunds
}

fn by_pair(what: &str, all: Vec<Value>) -> Refunds {
    let mut refunds = Refunds::new();
    for refund in all {
        let pair = (text(&refund, "order_id").to_owned(), text(&refund, "provider_txn_id").to_owned());
        let twice = refunds.insert(pair, refund);
        assert!(twice.is_none(), "{what} has a refund twice: {twice:?}");
    }
    refunds
}

/// The rows as HTTP shows refunds.
fn table(database: &Database) -> Vec<Value> {
    let sql = "SELECT order_id, provider_txn_id, amount_cents, reason, status, reference, created_at, settled_at FROM refunds";
    database.rows(sql, |row| {
        let mut refund = json!({
            "order_id": row.get::<_, String>(0)?,
            "provider_txn_id": row.get::<_, String>(1)?,
            "amount_cents": row.get::<_, Option<i64>>(2)?,
            "reason": row.get::<_, String>(3)?,
            "status": row.get::<_, String>(4)?.to_lowercase(),
            "reference": row.get::<_, Option<String>>(5)?,
            "created_at": row.get::<_, String>(6)?,
            "settled_at": row.get::<_, Option<String>>(7)?,
        });
        refund.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        Ok(refund)
    })
}
