//! The drill's clients: each buys, holds, cancels, pays and reads on a connection of its own until the server is gone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::book::{Journey, Op, Place, Sight, Told, Want};
use super::rules::EXPIRED_MEANWHILE;
use crate::http::encode;
use crate::time::now_ms;
use crate::{Port, Rng, Session, chance, until};

/// Reads in a row of an order that somebody is at work on.
const STARES: usize = 8;

/// What the clients of one cycle share.
#[derive(Debug)]
pub struct Load {
    pub cycle: u64,
    pub places: Vec<Arc<Place>>,
    /// Writes that were answered with 200.
    pub acknowledged: AtomicU64,
    /// Set before the server is killed: from here on a broken connection is no defect.
    pub killing: AtomicBool,
    /// Orders that any client may look at.
    pub known: Mutex<Vec<String>>,
    /// The order that each client is at work on, or was last.
    pub current: Vec<Mutex<String>>,
}

/// What one client has to tell afterwards.
#[derive(Debug, Default)]
pub struct Tale {
    pub journeys: Vec<Journey>,
    pub sights: Vec<Sight>,
}

/// The connection broke.
struct Broken;

struct Client<'a> {
    load: &'a Load,
    session: Session,
    rng: Rng,
    number: usize,
    name: String,
    begun: u64,
    /// Transactions that paid an order of this client.
    spent: Vec<String>,
    tale: Tale,
}

/// Works until the server is gone.
pub fn run(load: &Load, number: usize, session: Session, rng: Rng) -> Tale {
    let name = format!("c{}-{number}", load.cycle);
    let mut client =
        Client { load, session, rng, number, name, begun: 0, spent: Vec::new(), tale: Tale::default() };
    loop {
        let ended = match client.rng.u64(..100) {
            0..54 => client.order(),
            54..72 => client.hold(),
            72..86 => client.stare(),
            86..96 => client.look(),
            _ => client.look_at_seats(),
        };
        if ended.is_err() || client.session.broken() > 0 {
            let meant = load.killing.load(Ordering::SeqCst);
            assert!(meant, "a connection broke while the server was meant to run");
        }
        if ended.is_err() {
            return client.tale;
        }
    }
}

impl Client<'_> {
    fn fresh(&mut self) -> String {
        self.begun += 1;
        format!("{}-{}", self.name, self.begun)
    }

    fn want(&mut self) -> Want {
        let place = chance::pick(&mut self.rng, &self.load.places).clone();
        let qty = self.rng.u64(1..=3);
        let mut span = None;
        if place.segments > 1 {
            let from = self.rng.usize(..place.segments);
            span = Some((from, self.rng.usize(from + 1..=place.segments)));
        }
        Want { place, qty, span }
    }

    /// One write of a journey. `Ok(None)` where its outcome is unknown but the server lives.
    fn write(&mut self, journey: &mut Journey, op: Op) -> Result<Option<Told>, Broken> {
        let told = journey.go(&mut self.session, op).map_err(|_| Broken)?;
        match &told {
            Some(told) if told.is_ok() => {
                self.load.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Some(told) => assert!([400, 409].contains(&told.status), "{:?}", journey.steps.last()),
            None => {}
        }
        Ok(told)
    }

    /// An order from its creation to wherever chance takes it.
    fn order(&mut self) -> Result<(), Broken> {
        let mut journey = Journey::new(self.want());
        let ended = self.order_steps(&mut journey);
        self.tale.journeys.push(journey);
        ended
    }

    fn order_steps(&mut self, journey: &mut Journey) -> Result<(), Broken> {
        let key = self.fresh();
        let amount_cents = self.rng.u64(1..=1_000_000);
        let Some(created) = self.write(journey, Op::Create { key: key.clone(), amount_cents })? else {
            return Ok(());
        };
        assert!(created.is_ok(), "{created:?}");
        let order = created.body["OrderID"].as_str().expect("an id").to_owned();
        self.load.known.lock().expect("no client has failed").push(order.clone());
        self.load.current[self.number].lock().expect("no client has failed").clone_from(&order);
        let Some(reserved) = self.write(journey, Op::Reserve { order: order.clone() })? else {
            return Ok(());
        };
        let pay = |txn: String| Op::Pay { order: order.clone(), txn };
        if !reserved.is_ok() {
            // It may have expired before its reservation was answered; whether it has is seen at the end.
            let expired = reserved.error() == EXPIRED_MEANWHILE;
            assert!(expired || reserved.error() == "insufficient stock", "{reserved:?}");
            if self.rng.u64(..5) == 0 {
                self.write(journey, pay(key))?;
            }
            return Ok(());
        }
        match self.rng.u64(..100) {
            0..50 => {
                self.paid(journey, pay(key.clone()), &key)?;
            }
            50..58 => {
                self.paid(journey, pay(key.clone()), &key)?;
                self.write(journey, pay(key))?;
            }
            58..66 => {
                let known = self.paid(journey, pay(key.clone()), &key)?;
                if known {
                    self.write(journey, pay(format!("{key}-second")))?;
                }
            }
            66..70 if !self.spent.is_empty() => {
                let txn = chance::pick(&mut self.rng, &self.spent).clone();
                self.write(journey, pay(txn))?;
            }
            70..84 => {
                let cancelled = self.write(journey, Op::Cancel { order: order.clone() })?;
                if cancelled.is_some_and(|told| told.is_ok()) && self.rng.u64(..4) == 0 {
                    self.write(journey, pay(key))?;
                }
            }
            _ => {}
        }
        if self.rng.u64(..4) == 0 { self.read(&order) } else { Ok(()) }
    }

    /// Pays, and remembers the transaction that paid. True where the outcome is known.
    fn paid(&mut self, journey: &mut Journey, op: Op, txn: &str) -> Result<bool, Broken> {
        let told = self.write(journey, op)?;
        if told.as_ref().is_some_and(Told::is_ok) {
            self.spent.push(txn.to_owned());
        }
        Ok(told.is_some())
    }

    /// A hold without an order.
    fn hold(&mut self) -> Result<(), Broken> {
        let mut journey = Journey::new(self.want());
        let ended = self.hold_steps(&mut journey);
        self.tale.journeys.push(journey);
        ended
    }

    fn hold_steps(&mut self, journey: &mut Journey) -> Result<(), Broken> {
        let hold = self.fresh();
        let Some(held) = self.write(journey, Op::TryHold { hold: hold.clone() })? else { return Ok(()) };
        if !held.is_ok() {
            assert_eq!(held.error(), "insufficient stock");
            return Ok(());
        }
        match self.rng.u64(..10) {
            0..3 => self.write(journey, Op::Confirm { hold })?,
            3..7 => self.write(journey, Op::Release { hold })?,
            _ => None,
        };
        Ok(())
    }

    /// Reads an order of whichever client.
    fn look(&mut self) -> Result<(), Broken> {
        let order = {
            let known = self.load.known.lock().expect("no client has failed");
            if known.is_empty() {
                return Ok(());
            }
            chance::pick(&mut self.rng, &known).clone()
        };
        self.read(&order)
    }

    /// Reads an order while another client is at work on it: what is seen may not be durable at that moment.
    fn stare(&mut self) -> Result<(), Broken> {
        let of =
            chance::pick(&mut self.rng, &self.load.current).lock().expect("no client has failed").clone();
        for _ in 0..STARES {
            if !of.is_empty() {
                self.read(&of)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, order: &str) -> Result<(), Broken> {
        let is_view = self.rng.u64(..3) == 0;
        let sent_ms = now_ms();
        let seen = read(&mut self.session, order, is_view).ok_or(Broken)?;
        let sight = Sight { order: order.to_owned(), sent_ms, done_ms: now_ms(), seen, is_view };
        // The same sight again says nothing new.
        if self.tale.sights.last().is_none_or(|last| last.seen != sight.seen) {
            self.tale.sights.push(sight);
        }
        Ok(())
    }

    fn look_at_seats(&mut self) -> Result<(), Broken> {
        let place = chance::pick(&mut self.rng, &self.load.places).clone();
        let path = format!("/inventory/availability?partition_key={}", encode(&place.key));
        let answer = self.session.try_call(Port::Inventory, "GET", &path, &[], None).map_err(|_| Broken)?;
        // Nobody may have opened it yet, or it is late.
        if ![404, 503, 504].contains(&answer.status) {
            let available = answer.ok()["available"].as_i64().expect("a number");
            assert!((0..=place.capacity).contains(&available), "{available} of {}", place.capacity);
        }
        Ok(())
    }
}

/// Reads an order by the order or the query port, until there is an answer; a view is written as an order. `None` where
/// the connection broke.
pub fn read(session: &mut Session, order: &str, is_view: bool) -> Option<Value> {
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
