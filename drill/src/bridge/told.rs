//! What clients were told of each order: the furthest that any answer showed, and the furthest that a listing showed.
//!
//! Each answer is held against what was known when its request was sent: no order ever goes back. A listing may be behind the engine,
//! so it is held against earlier listings alone.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;

use super::RETENTION_SECS;
use super::caller::Needs;
use crate::crash::rules::follows;
use crate::session::text;
use crate::time::{now_ms, rfc3339_ms};
use crate::{Rng, chance};

#[derive(Debug, Default)]
pub struct Told(Mutex<Orders>);

#[derive(Debug, Default)]
struct Orders {
    by_id: HashMap<String, Known>,
    /// For choosing one.
    ids: Vec<String>,
}

/// An order as answers showed it.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Null before the first answer.
    pub told: Value,
    /// Null before a listing had it.
    pub listed: Value,
}

impl Known {
    /// The part that a question about it needs: an order that was cancelled, perhaps unseen, leaves the engine after its retention.
    pub fn needs(&self) -> Needs {
        let may_leave = match self.told["Status"].as_str() {
            Some("PAID" | "TICKETED") => false,
            Some(_) => {
                // It may leave while the question is on its way.
                let kept_ms = 1_000 * (RETENTION_SECS - 1);
                rfc3339_ms(text(&self.told, "UpdatedAt")) + kept_ms as i64 <= now_ms() as i64
            }
            None => false,
        };
        if may_leave { Needs::ReadModel } else { Needs::Engine }
    }
}

impl Told {
    /// What is known of an order; nothing where it is a new one.
    pub fn of(&self, order: &str) -> Known {
        self.lock().by_id.get(order).cloned().unwrap_or_default()
    }

    /// Any order, and its key.
    pub fn any(&self, rng: &mut Rng) -> Option<(String, String)> {
        let orders = self.lock();
        (!orders.ids.is_empty()).then(|| {
            let id = chance::pick(rng, &orders.ids);
            (id.clone(), text(&orders.by_id[id].told, "IdempotencyKey").to_owned())
        })
    }

    /// Takes in an order that an answer showed; `before` is what was known when its request was sent.
    pub fn tell(&self, before: &Known, now: &Value) {
        check("an order that was told", &before.told, now);
        let mut orders = self.lock();
        let id = text(now, "OrderID");
        if !orders.by_id.contains_key(id) {
            orders.ids.push(id.to_owned());
        }
        let known = orders.by_id.entry(id.to_owned()).or_default();
        advance(&mut known.told, now);
    }

    /// The same for an order of a listing.
    pub fn list(&self, before: &Known, now: &Value) {
        check("an order that was listed", &before.listed, now);
        let mut orders = self.lock();
        let known = orders.by_id.entry(text(now, "OrderID").to_owned()).or_default();
        advance(&mut known.listed, now);
    }

    /// All that is known, by order.
    #[must_use]
    pub fn take_all(&self) -> HashMap<String, Known> {
        std::mem::take(&mut *self.lock()).by_id
    }

    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().expect("no client has failed")
    }
}

fn check(what: &str, before: &Value, now: &Value) {
    if !before.is_null() {
        follows(before, now).unwrap_or_else(|contradiction| panic!("{what}: {contradiction}"));
    }
}

/// Two answers that cross each other may come in any order: the further one stays.
fn advance(known: &mut Value, now: &Value) {
    if known.is_null() || follows(known, now).is_ok() {
        known.clone_from(now);
    } else {
        check("two answers that cross each other", now, known);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn order(status: &str) -> Value {
        json!({"OrderID": "o", "IdempotencyKey": "k", "Status": status, "CreatedAt": "2026-01-01T00:00:00.000Z"})
    }

    /// Takes in `first`, and then `second`, of which the request was sent before or after the first answer.
    fn is_found(first: &str, second: &str, crossed: bool, take: fn(&Told, &Known, &Value)) -> bool {
        std::panic::catch_unwind(|| {
            let told = Told::default();
            take(&told, &Known::default(), &order(first));
            let before = if crossed { Known::default() } else { told.of("o") };
            take(&told, &before, &order(second));
        })
        .is_err()
    }

    #[test]
    fn an_order_that_goes_back_is_found() {
        let ways: [fn(&Told, &Known, &Value); 2] = [Told::tell, Told::list];
        for take in ways {
            assert!(!is_found("INIT", "TICKETED", false, take));
            assert!(is_found("TICKETED", "PAID", false, take));
            assert!(!is_found("TICKETED", "PAID", true, take), "answers that cross each other");
            assert!(is_found("TICKETED", "CANCELLED", true, take), "they contradict each other all the same");
        }
    }

    #[test]
    fn the_furthest_answer_stays() {
        let told = Told::default();
        told.tell(&Known::default(), &order("PAID"));
        told.tell(&Known::default(), &order("RESERVED"));
        assert_eq!(told.of("o").told["Status"], "PAID");
        assert!(told.of("o").listed.is_null());
    }
}
