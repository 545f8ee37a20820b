//! The rules by which answers are compared. They need no server; each is tested on histories that are known to be bad.

use serde_json::Value;

use crate::time::rfc3339_ms;

/// The difference between engine time and this process's clock that is put down to the clocks.
pub const CLOCK_SLACK_MS: u64 = 100;

/// The error of a payment whose transaction another order has claimed.
pub const TXN_USED: &str = "transaction id already used";

/// The error of a reservation whose hold expired before it could be answered.
pub const EXPIRED_MEANWHILE: &str = "invalid state transition";

/// Fields of an order that never change once they are shown.
const FIXED: [&str; 11] = [
    "OrderID",
    "IdempotencyKey",
    "AmountCents",
    "CreatedAt",
    "PartitionKey",
    "HoldID",
    "Qty",
    "FromIndex",
    "ToIndex",
    "Seats",
    "ExpiresAt",
];

/// Fields that never change and never go away again.
const STICKY: [&str; 2] = ["ProviderTxnID", "CancelReason"];

/// Compares two views of an order: may one that was seen as `earlier` be seen as `later`?
///
/// # Errors
/// The contradiction.
pub fn follows(earlier: &Value, later: &Value) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{what}: first {earlier}, then {later}"));
    let status = |order: &Value| order["Status"].as_str().unwrap_or_default().to_owned();
    let (from, to) = (status(earlier), status(later));
    let legal = match from.as_str() {
        "INIT" => ["INIT", "RESERVED", "PAID", "TICKETED", "CANCELLED"].contains(&to.as_str()),
        "RESERVED" => ["RESERVED", "PAID", "TICKETED", "CANCELLED"].contains(&to.as_str()),
        "PAID" => ["PAID", "TICKETED"].contains(&to.as_str()),
        "TICKETED" | "CANCELLED" => from == to,
        _ => false,
    };
    if !legal {
        return wrong("an order went back");
    }
    for field in FIXED {
        let (a, b) = (&earlier[field], &later[field]);
        if !a.is_null() && !b.is_null() && a != b {
            return wrong(&format!("{field} changed"));
        }
    }
    for field in STICKY {
        if !earlier[field].is_null() && earlier[field] != later[field] {
            return wrong(&format!("{field} changed"));
        }
    }
    if (from == "PAID" || from == "TICKETED")
        && earlier["Seats"].is_array()
        && later["Seats"].is_null()
        && is_whole(later)
    {
        return wrong("sold seats are no longer shown");
    }
    if from == to && to == "RESERVED" && is_whole(earlier) && is_whole(later) && earlier != later {
        return wrong("a reserved order changed without a step");
    }
    if earlier["Refund"] == "settled" && later["Refund"] != "settled"
        || earlier["Refund"] == "required" && later["Refund"].is_null() && is_whole(later)
    {
        return wrong("a refund was forgotten");
    }
    match (earlier["UpdatedAt"].as_str(), later["UpdatedAt"].as_str()) {
        (Some(a), Some(b)) if rfc3339_ms(a) > rfc3339_ms(b) => wrong("an order's time went back"),
        _ => Ok(()),
    }
}

/// True where all of the order is shown: the query port shows less.
fn is_whole(order: &Value) -> bool {
    !order["CreatedAt"].is_null()
}

/// A time in which a seat certainly was somebody's: from `start_ms` until before `end_ms`; [`Occupancy::SOLD`] is for ever.
#[derive(Clone, Debug)]
pub struct Occupancy {
    pub who: String,
    pub start_ms: u64,
    pub end_ms: u64,
}

impl Occupancy {
    /// The end of a seat that is sold.
    pub const SOLD: u64 = u64::MAX;

    #[must_use]
    pub fn is_sold(&self) -> bool {
        self.end_ms == Occupancy::SOLD
    }
}

/// Two of the occupancies of a seat on one segment that overlap, if there are any.
pub fn overlap(occupancies: &[Occupancy]) -> Option<(Occupancy, Occupancy)> {
    let mut sorted: Vec<&Occupancy> = occupancies.iter().filter(|s| s.start_ms < s.end_ms).collect();
    sorted.sort_by_key(|s| s.start_ms);
    let mut last: Option<&Occupancy> = None;
    for occupancy in sorted {
        if let Some(last) = last
            && occupancy.start_ms < last.end_ms
        {
            return Some((last.clone(), occupancy.clone()));
        }
        if last.is_none_or(|l| l.end_ms < occupancy.end_ms) {
            last = Some(occupancy);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(status: &str, more: Value) -> Value {
        let mut order = json!({
            "OrderID": "o", "AmountCents": 5, "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:01Z",
            "Status": status, "Seats": ["1-1"],
        });
        order.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        order
    }

    #[track_caller]
    fn check(earlier: Value, later: Value, legal: bool) {
        assert_eq!(follows(&earlier, &later).is_ok(), legal, "{earlier} then {later}");
    }

    #[test]
    fn orders_that_go_forward_are_legal() {
        let life = ["INIT", "RESERVED", "PAID", "TICKETED"];
        for (i, from) in life.iter().enumerate() {
            for (j, to) in life.iter().enumerate() {
                check(order(from, json!({})), order(to, json!({})), i <= j);
            }
            check(order(from, json!({})), order("CANCELLED", json!({})), i < 2);
            check(order("CANCELLED", json!({})), order(from, json!({})), false);
        }
    }

    #[test]
    fn bad_histories_are_found() {
        let paid = || order("PAID", json!({"ProviderTxnID": "t"}));
        check(paid(), order("TICKETED", json!({"ProviderTxnID": "t"})), true);
        check(paid(), order("TICKETED", json!({"ProviderTxnID": "u"})), false);
        check(paid(), order("TICKETED", json!({})), false);
        check(paid(), order("TICKETED", json!({"ProviderTxnID": "t", "Seats": ["1-2"]})), false);
        check(paid(), order("TICKETED", json!({"ProviderTxnID": "t", "Seats": null})), false);
        let later = json!({"ExpiresAt": "2026-01-01T00:00:09Z"});
        check(order("RESERVED", json!({})), order("RESERVED", later), false);
        check(order("INIT", json!({})), order("INIT", json!({"AmountCents": 6})), false);
        check(order("INIT", json!({})), order("INIT", json!({"UpdatedAt": "2026-01-01T00:00:00Z"})), false);
        let cancelled =
            |refund: Value| order("CANCELLED", json!({"CancelReason": "hold_expired", "Refund": refund}));
        check(cancelled(Value::Null), cancelled(json!("required")), true);
        check(cancelled(json!("required")), cancelled(json!("settled")), true);
        check(cancelled(json!("required")), cancelled(Value::Null), false);
        check(cancelled(json!("settled")), cancelled(json!("required")), false);
        check(cancelled(Value::Null), order("CANCELLED", json!({"CancelReason": "requested"})), false);
    }

    #[test]
    fn seats_held_twice_are_found() {
        let is_found = |times: &[(u64, u64)]| {
            let occupancy = |&(start_ms, end_ms)| Occupancy { who: String::new(), start_ms, end_ms };
            overlap(&times.iter().map(occupancy).collect::<Vec<_>>()).is_some()
        };
        assert!(!is_found(&[(0, 10), (10, 20), (20, Occupancy::SOLD)]));
        assert!(is_found(&[(9, 20), (0, 10)]));
        assert!(is_found(&[(0, Occupancy::SOLD), (5, 6), (7, 8)]));
        assert!(!is_found(&[(0, Occupancy::SOLD), (6, 6)]), "an occupancy without length");
    }
}
