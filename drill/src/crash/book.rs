//! What the drill's clients asked and what they were told: the record that the audit holds the server to.

use std::io;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::session::text;
use crate::time::{now_ms, rfc3339_ms};
use crate::{Port, Response, Session, until};

/// A partition that the drill sells.
#[derive(Debug)]
pub struct Place {
    pub key: String,
    pub capacity: i64,
    pub segments: usize,
}

/// What is asked for: seats of a place on a span. `None` is the whole run.
#[derive(Clone, Debug)]
pub struct Want {
    pub place: Arc<Place>,
    pub qty: u64,
    pub span: Option<(usize, usize)>,
}

impl Want {
    /// The span with its ends.
    pub fn ends(&self) -> (usize, usize) {
        self.span.unwrap_or((0, self.place.segments))
    }

    fn body(&self) -> Value {
        let mut body =
            json!({"partition_key": self.place.key, "qty": self.qty, "capacity": self.place.capacity});
        if let Some((from, to)) = self.span {
            body["from_index"] = from.into();
            body["to_index"] = to.into();
        }
        body
    }
}

/// One write.
#[derive(Clone, Debug)]
pub enum Op {
    Create { key: String, amount_cents: u64 },
    Reserve { order: String },
    Pay { order: String, txn: String },
    Cancel { order: String },
    TryHold { hold: String },
    Confirm { hold: String },
    Release { hold: String },
}

impl Op {
    /// Sends it. The error is the connection's.
    pub fn send(&self, session: &mut Session, want: &Want) -> io::Result<Response> {
        let (port, path, body) = self.request(session, want);
        session.try_call(port, "POST", path, &[], Some(body.to_string().as_bytes()))
    }

    /// Sends it until it is answered with an outcome: 503 and 504 say that there is none yet.
    pub fn send_until_known(&self, session: &mut Session, want: &Want) -> Response {
        until(&format!("an outcome of {self:?}"), || {
            let answer = self.send(session, want).unwrap_or_else(|e| panic!("{self:?}: {e}"));
            (answer.status != 503 && answer.status != 504).then_some(answer)
        })
    }

    fn request(&self, session: &Session, want: &Want) -> (Port, &'static str, Value) {
        let of_hold = |hold: &str| json!({"partition_key": want.place.key, "hold_id": hold});
        match self {
            Op::Create { key, amount_cents } => {
                (Port::Order, "/orders", json!({"idempotency_key": key, "amount_cents": amount_cents}))
            }
            Op::Reserve { order } => {
                let mut body = want.body();
                body["order_id"] = order.as_str().into();
                (Port::Order, "/orders/reserve", body)
            }
            Op::Pay { order, txn } => (Port::Order, "/payments/callback", session.payment(order, txn)),
            Op::Cancel { order } => (Port::Order, "/orders/cancel", json!({"order_id": order})),
            Op::TryHold { hold } => {
                let mut body = want.body();
                body["hold_id"] = hold.as_str().into();
                (Port::Inventory, "/inventory/try-hold", body)
            }
            Op::Confirm { hold } => (Port::Inventory, "/inventory/confirm-hold", of_hold(hold)),
            Op::Release { hold } => (Port::Inventory, "/inventory/release-hold", of_hold(hold)),
        }
    }
}

/// An answer: status and body.
#[derive(Clone, Debug)]
pub struct Told {
    pub status: u16,
    pub body: Value,
}

impl Told {
    pub fn of(answer: &Response) -> Told {
        assert!(answer.status < 500, "{}: {} {}", answer.asked, answer.status, answer.text());
        Told { status: answer.status, body: answer.json() }
    }

    pub fn error(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    pub fn is_ok(&self) -> bool {
        self.status == 200
    }
}

/// A write, when it was sent and answered (by the wall clock), and the answer; `None` where the connection broke or
/// the server said that it does not know.
#[derive(Clone, Debug)]
pub struct Step {
    pub op: Op,
    pub sent_ms: u64,
    pub done_ms: u64,
    pub told: Option<Told>,
}

/// The writes about one order or one hold, in the order in which they were sent: each after the answer to the one
/// before.
#[derive(Clone, Debug)]
pub struct Journey {
    pub want: Want,
    pub steps: Vec<Step>,
    /// The last write was cut off, and its client will not ask again.
    pub abandoned: bool,
    /// The order as it was when the audit had settled it; holds have none.
    pub settled: Option<Value>,
}

impl Journey {
    pub fn new(want: Want) -> Journey {
        Journey { want, steps: Vec::new(), abandoned: false, settled: None }
    }

    /// Sends a write and records what was told. `None` where the server says that it does not know; the error is the
    /// connection's, and the write is recorded all the same.
    pub fn go(&mut self, session: &mut Session, op: Op) -> io::Result<Option<Told>> {
        let sent_ms = now_ms();
        let answer = op.send(session, &self.want);
        let done_ms = now_ms();
        let known = answer.as_ref().ok().filter(|a| a.status != 503 && a.status != 504);
        let told = known.map(Told::of);
        self.steps.push(Step { op, sent_ms, done_ms, told: told.clone() });
        answer.map(|_| told)
    }

    /// The order's id, where the journey is an order's and its creation is known.
    pub fn order(&self) -> Option<&str> {
        let first = self.steps.first()?;
        match first.op {
            Op::Create { .. } => first.told.as_ref()?.body["OrderID"].as_str(),
            _ => None,
        }
    }

    /// The hold's id, where the journey is a hold's.
    pub fn hold(&self) -> Option<&str> {
        match &self.steps.first()?.op {
            Op::TryHold { hold } => Some(hold),
            _ => None,
        }
    }

    /// Whether the client made the transaction up for this order.
    pub fn is_own(&self, txn: &str) -> bool {
        let Some(Op::Create { key, .. }) = self.steps.first().map(|step| &step.op) else { return false };
        txn.strip_prefix(key.as_str()).is_some_and(|rest| ["", "-second", "-late"].contains(&rest))
    }

    /// Whether an order's last write was cut off, so that its client may leave it at that.
    pub fn may_be_abandoned(&self) -> bool {
        self.steps.last().is_some_and(|step| match &step.op {
            _ if step.told.is_some() => false,
            Op::Reserve { .. } | Op::Cancel { .. } => true,
            Op::Pay { txn, .. } => self.is_own(txn),
            Op::Create { .. } | Op::TryHold { .. } | Op::Confirm { .. } | Op::Release { .. } => false,
        })
    }

    pub fn is_order(&self) -> bool {
        matches!(self.steps.first().map(|s| &s.op), Some(Op::Create { .. }))
    }

    /// The first answered 200 to a kind of write.
    pub fn accepted(&self, is_it: impl Fn(&Op) -> bool) -> Option<&Step> {
        self.steps.iter().find(|s| is_it(&s.op) && s.told.as_ref().is_some_and(Told::is_ok))
    }

    /// When a kind of write was first sent, answered or not.
    pub fn first_sent_ms(&self, is_it: impl Fn(&Op) -> bool) -> Option<u64> {
        self.steps.iter().find(|s| is_it(&s.op)).map(|s| s.sent_ms)
    }

    /// The payments that were answered: transaction and answer.
    pub fn payments(&self) -> impl Iterator<Item = (&str, &Told)> {
        self.steps.iter().filter_map(|step| match (&step.op, &step.told) {
            (Op::Pay { txn, .. }, Some(told)) => Some((txn.as_str(), told)),
            _ => None,
        })
    }

    /// Transactions that are owed back, by what the payments were told.
    pub fn owed(&self) -> impl Iterator<Item = &str> {
        let is_owed = |told: &Told| {
            ["already paid", "hold expired", "invalid state transition"].contains(&told.error())
        };
        self.payments().filter(move |(_, told)| is_owed(told)).map(|(txn, _)| txn)
    }

    /// When the hold ends, as an answer about it says.
    pub fn expires_ms(&self, told: &Told) -> u64 {
        rfc3339_ms(text(self.hold_in(told), "expires_at")) as u64
    }

    /// The journey's hold as an answer shows it.
    pub fn hold_in<'a>(&self, told: &'a Told) -> &'a Value {
        &told.body["holds"][self.hold().expect("a hold's journey")]
    }
}

/// An order that somebody read: when, and what was seen.
#[derive(Clone, Debug)]
pub struct Sight {
    pub order: String,
    pub sent_ms: u64,
    pub done_ms: u64,
    /// Written as an order, whichever port showed it.
    pub seen: Value,
    /// From the query port, which may show an earlier moment than the order port.
    pub is_view: bool,
}
