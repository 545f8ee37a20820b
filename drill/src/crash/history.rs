//! The history of a run: what the drill's clients asked and what was answered. The audit holds the server to it.

use std::io;

use serde_json::{Value, json};

use super::partitions::SeatRequest;
use crate::http::encode;
use crate::session::{list, text};
use crate::time::{now_ms, rfc3339_ms};
use crate::{Port, Response, Session, until};

/// A kind of write and what it names.
#[derive(Clone, Debug)]
pub enum Op {
    Create {
        key: String,
        amount_cents: u64,
    },
    /// An order with its seats at once.
    Purchase {
        key: String,
        amount_cents: u64,
    },
    Reserve {
        order: String,
    },
    Pay {
        order: String,
        txn: String,
    },
    Cancel {
        order: String,
    },
    TryHold {
        hold: String,
    },
    Confirm {
        hold: String,
    },
    Release {
        hold: String,
    },
}

impl Op {
    /// Sends it. The error is the connection's.
    pub fn send(&self, session: &mut Session, seats: &SeatRequest) -> io::Result<Response> {
        let (port, path, body) = self.http_request(session, seats);
        session.try_call(port, "POST", path, &[], Some(body.to_string().as_bytes()))
    }

    /// Sends it until there is an outcome.
    pub fn send_until_known(&self, session: &mut Session, seats: &SeatRequest) -> Outcome {
        until(&format!("an outcome of {self:?}"), || {
            Outcome::of(&self.send(session, seats).unwrap_or_else(|e| panic!("{self:?}: {e}")))
        })
    }

    fn http_request(&self, session: &Session, seats: &SeatRequest) -> (Port, &'static str, Value) {
        let with_seats = |name: &str, id: &str| {
            let mut body = seats.body();
            body[name] = id.into();
            body
        };
        let of_hold = |hold: &str| json!({"partition_key": seats.partition.key, "hold_id": hold});
        match self {
            Op::Create { key, amount_cents } => {
                (Port::Order, "/orders", json!({"idempotency_key": key, "amount_cents": amount_cents}))
            }
            Op::Purchase { key, amount_cents } => {
                let mut body = with_seats("key", key);
                body["amount_cents"] = (*amount_cents).into();
                (Port::Gateway, "/v1/purchases", body)
            }
            Op::Reserve { order } => (Port::Order, "/orders/reserve", with_seats("order_id", order)),
            Op::Pay { order, txn } => (Port::Order, "/payments/callback", session.payment(order, txn)),
            Op::Cancel { order } => (Port::Order, "/orders/cancel", json!({"order_id": order})),
            Op::TryHold { hold } => (Port::Inventory, "/inventory/try-hold", with_seats("hold_id", hold)),
            Op::Confirm { hold } => (Port::Inventory, "/inventory/confirm-hold", of_hold(hold)),
            Op::Release { hold } => (Port::Inventory, "/inventory/release-hold", of_hold(hold)),
        }
    }
}

/// Sends several writes as one batch, each about seats of its own. Their outcomes, `None` where that is not known.
pub fn send_batch(session: &mut Session, writes: &[(Op, SeatRequest)]) -> io::Result<Vec<Option<Outcome>>> {
    let operation = |(op, seats): &(Op, SeatRequest)| {
        let (_, path, mut body) = op.http_request(session, seats);
        body["op"] = match path {
            "/inventory/try-hold" => "hold",
            "/orders" => "create",
            "/v1/purchases" => "purchase",
            other => panic!("{other} is not sent in batches"),
        }
        .into();
        body
    };
    let body = json!({"operations": writes.iter().map(operation).collect::<Vec<_>>()});
    let answer =
        session.try_call(Port::Gateway, "POST", "/v1/batch", &[], Some(body.to_string().as_bytes()))?;
    let Some(answer) = Outcome::of(&answer) else { return Ok(vec![None; writes.len()]) };
    assert!(answer.is_ok(), "{answer:?}");
    let results = list(&answer.body, "results");
    assert_eq!(results.len(), writes.len(), "a result for each operation");
    Ok(results.iter().map(|result| Outcome::of_result(result, &body)).collect())
}

/// The answer to a write: done, or refused for good.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub status: u16,
    pub body: Value,
}

impl Outcome {
    /// `None` for 503 and 504: they say that the outcome is not known yet.
    pub fn of(answer: &Response) -> Option<Outcome> {
        if [503, 504].contains(&answer.status) {
            return None;
        }
        assert!(answer.status < 500, "{}: {} {}", answer.asked, answer.status, answer.text());
        Some(Outcome { status: answer.status, body: answer.json() })
    }

    /// Of one result of a batch.
    pub fn of_result(result: &Value, asked: &Value) -> Option<Outcome> {
        let status =
            result["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
        if [503, 504].contains(&status) {
            return None;
        }
        assert!(status < 500, "{result} to one of {asked}");
        Some(Outcome { status, body: result["body"].clone() })
    }

    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    pub fn is_ok(&self) -> bool {
        self.status == 200
    }
}

impl Op {
    /// It gives an order its seats.
    pub fn reserves(&self) -> bool {
        matches!(self, Op::Reserve { .. } | Op::Purchase { .. })
    }
}

/// A write, when it was sent and answered (by the wall clock), and its outcome, if that is known.
#[derive(Clone, Debug)]
pub struct Write {
    pub op: Op,
    pub sent_ms: u64,
    pub done_ms: u64,
    pub outcome: Option<Outcome>,
}

/// The writes about one order or one hold. Each is sent after the answer to the one before.
#[derive(Clone, Debug)]
pub struct Journey {
    pub seats: SeatRequest,
    pub writes: Vec<Write>,
    /// The last write was cut off, and its client does not send it again.
    pub abandoned: bool,
    /// The order once the audit has seen its end; holds have none.
    pub settled: Option<Value>,
}

impl Journey {
    pub fn new(seats: SeatRequest) -> Journey {
        Journey { seats, writes: Vec::new(), abandoned: false, settled: None }
    }

    /// Sends a write and records it with its outcome, `None` where that is not known. The error is the connection's;
    /// the write is recorded all the same.
    pub fn send(&mut self, session: &mut Session, op: Op) -> io::Result<Option<Outcome>> {
        let sent_ms = now_ms();
        let answer = op.send(session, &self.seats);
        let done_ms = now_ms();
        let outcome = answer.as_ref().ok().and_then(Outcome::of);
        self.writes.push(Write { op, sent_ms, done_ms, outcome: outcome.clone() });
        answer.map(|_| outcome)
    }

    /// The order's id, where the journey is an order's and its creation is known.
    pub fn order(&self) -> Option<&str> {
        let first = self.writes.first()?;
        match first.op {
            Op::Create { .. } | Op::Purchase { .. } => first.outcome.as_ref()?.body["OrderID"].as_str(),
            _ => None,
        }
    }

    /// The hold's id, where the journey is a hold's.
    pub fn hold(&self) -> Option<&str> {
        match &self.writes.first()?.op {
            Op::TryHold { hold } => Some(hold),
            _ => None,
        }
    }

    /// The idempotency key, where the journey is an order's.
    pub fn key(&self) -> Option<&str> {
        match &self.writes.first()?.op {
            Op::Create { key, .. } | Op::Purchase { key, .. } => Some(key),
            _ => None,
        }
    }

    /// True for a transaction id that the client made for this order.
    pub fn is_own(&self, txn: &str) -> bool {
        let suffix = self.key().and_then(|key| txn.strip_prefix(key));
        suffix.is_some_and(|suffix| ["", "-second", "-late"].contains(&suffix))
    }

    /// True where the last write about an order was cut off, so that its client may leave it at that.
    pub fn may_be_abandoned(&self) -> bool {
        self.writes.last().is_some_and(|write| match &write.op {
            _ if write.outcome.is_some() => false,
            Op::Reserve { .. } | Op::Cancel { .. } => true,
            Op::Pay { txn, .. } => self.is_own(txn),
            Op::Create { .. }
            | Op::Purchase { .. }
            | Op::TryHold { .. }
            | Op::Confirm { .. }
            | Op::Release { .. } => false,
        })
    }

    /// The outcomes that are a 200.
    pub fn acknowledged(&self) -> impl Iterator<Item = &Outcome> {
        self.writes.iter().filter_map(|write| write.outcome.as_ref()).filter(|outcome| outcome.is_ok())
    }

    /// The first write of a kind that was answered with 200, and the answer.
    pub fn accepted(&self, is_kind: impl Fn(&Op) -> bool) -> Option<(&Write, &Outcome)> {
        self.writes.iter().filter(|write| is_kind(&write.op)).find_map(|write| {
            let outcome = write.outcome.as_ref()?;
            outcome.is_ok().then_some((write, outcome))
        })
    }

    /// When a kind of write was first sent, answered or not.
    pub fn first_sent_ms(&self, is_kind: impl Fn(&Op) -> bool) -> Option<u64> {
        self.writes.iter().find(|write| is_kind(&write.op)).map(|write| write.sent_ms)
    }

    /// The payments whose outcome is known, by transaction id.
    pub fn payments(&self) -> impl Iterator<Item = (&str, &Outcome)> {
        self.writes.iter().filter_map(|write| match (&write.op, &write.outcome) {
            (Op::Pay { txn, .. }, Some(outcome)) => Some((txn.as_str(), outcome)),
            _ => None,
        })
    }

    /// The transactions that are owed back, as the payments were answered.
    pub fn owed(&self) -> impl Iterator<Item = &str> {
        let owed = ["already paid", "hold expired", "invalid state transition"];
        self.payments().filter(move |(_, outcome)| owed.contains(&outcome.error())).map(|(txn, _)| txn)
    }

    /// The journey's hold as an answer shows it.
    pub fn hold_in<'a>(&self, outcome: &'a Outcome) -> &'a Value {
        &outcome.body["holds"][self.hold().expect("a hold's journey")]
    }

    /// The deadline of the hold, as an answer shows it.
    pub fn expires_ms(&self, outcome: &Outcome) -> u64 {
        rfc3339_ms(text(self.hold_in(outcome), "expires_at")) as u64
    }
}

/// An order as one read showed it.
#[derive(Clone, Debug)]
pub struct ObservedRead {
    pub order: String,
    pub sent_ms: u64,
    pub done_ms: u64,
    /// Written as an order, whichever port showed it.
    pub seen: Value,
    /// From the query port, which may show an earlier state than the order port.
    pub is_view: bool,
}

/// Reads an order by the order or the query port until there is an answer; a view is written as an order. `None` where
/// the connection broke.
pub fn read_order(session: &mut Session, order: &str, is_view: bool) -> Option<Value> {
    let (port, path) = if is_view { (Port::Query, "/query/orders") } else { (Port::Order, "/orders/get") };
    let path = format!("{path}?order_id={}", encode(order));
    let answer = until("a read to be answered", || match session.try_call(port, "GET", &path, &[], None) {
        Ok(answer) if [503, 504].contains(&answer.status) => None,
        other => Some(other.ok()),
    })?;
    assert_ne!(answer.status, 404, "an order whose creation was acknowledged is gone: {}", answer.text());
    let seen = answer.ok();
    if !is_view {
        return Some(seen);
    }
    let mut written = json!({});
    let names = [
        ("order_id", "OrderID"),
        ("status", "Status"),
        ("amount_cents", "AmountCents"),
        ("provider_txn_id", "ProviderTxnID"),
    ];
    for (from, to) in names {
        if !seen[from].is_null() {
            written[to] = seen[from].clone();
        }
    }
    Some(written)
}

/// Reads an order of a server that is meant to run.
pub fn read_now(session: &mut Session, order: &str) -> Value {
    read_order(session, order, false).expect("the server answers")
}
