//! What a client knows of an order, a hold and a payment, and what follows from it.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::crash::partitions::SeatRequest;

/// A payment whose outcome is known.
#[derive(Clone, Debug)]
pub struct Payment {
    pub txn: String,
    /// Empty where it paid.
    pub error: String,
}

/// An order with what its client did. What the client was told is kept elsewhere.
#[derive(Clone, Debug)]
pub struct OrderLog {
    pub order: String,
    pub key: String,
    pub amount: i64,
    pub seats: SeatRequest,
    /// It was made with its seats at once.
    pub is_purchase: bool,
    /// The order's id, unless another one was named.
    pub hold: String,
    /// Its seats, where a reservation was answered with 200; else null.
    pub reserved: Value,
    /// A reservation was cut off and its client gave up.
    pub is_reservation_unknown: bool,
    pub is_cancelled: bool,
    pub payments: Vec<Payment>,
    /// References by transaction.
    pub settled: BTreeMap<String, String>,
}

impl OrderLog {
    pub fn new(order: String, key: String, amount: i64, seats: SeatRequest) -> OrderLog {
        OrderLog {
            hold: order.clone(),
            order,
            key,
            amount,
            seats,
            is_purchase: false,
            reserved: Value::Null,
            is_reservation_unknown: false,
            is_cancelled: false,
            payments: Vec::new(),
            settled: BTreeMap::new(),
        }
    }

    /// The transaction that paid it.
    #[must_use]
    pub fn paid_by(&self) -> Option<&str> {
        self.payments.iter().find(|payment| payment.error.is_empty()).map(|payment| payment.txn.as_str())
    }

    /// The transactions that are owed back, as the payments were answered, and the reason.
    pub fn owed(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let reason = |error: &str| match error {
            "already paid" => Some("already_paid"),
            "hold expired" => Some("hold_expired"),
            "invalid state transition" => Some("invalid_state"),
            _ => None,
        };
        self.payments.iter().filter_map(move |payment| Some((payment.txn.as_str(), reason(&payment.error)?)))
    }
}

/// A hold that no order owns, confirmed.
#[derive(Clone, Debug)]
pub struct FreeHold {
    pub seats: SeatRequest,
    pub hold: String,
    pub labels: Vec<Value>,
}

/// Money for an order that nobody knows.
#[derive(Clone, Debug)]
pub struct Unmatched {
    pub order: String,
    pub txn: String,
}
