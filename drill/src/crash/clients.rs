//! The drill's clients: each buys, holds, cancels, pays and reads on a connection of its own until the server is gone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use super::history::{Journey, ObservedRead, Op, Outcome, Write, read_order, send_batch};
use super::partitions::{Partition, SeatRequest};
use super::rules::EXPIRED_MEANWHILE;
use crate::http::encode;
use crate::time::now_ms;
use crate::{Port, Rng, Session, chance};

/// Reads in a row of an order that another client is at work on.
const READS_IN_A_ROW: usize = 8;
/// Writes of one batch.
const BATCH_MAX: usize = 20;

/// The state that the clients of one cycle share.
#[derive(Debug)]
pub struct Workload {
    pub cycle: u64,
    pub partitions: Vec<Arc<Partition>>,
    /// Writes that were answered with 200.
    pub acknowledged: AtomicU64,
    /// Set before the server is killed: from here on a broken connection is no defect.
    pub is_ending: AtomicBool,
    /// Orders that any client may read.
    pub known_orders: Mutex<Vec<String>>,
    /// The order that each client is at work on, or was last.
    pub current_orders: Vec<Mutex<String>>,
}

/// The record of what one client did and saw.
#[derive(Debug, Default)]
pub struct ClientLog {
    pub journeys: Vec<Journey>,
    pub reads: Vec<ObservedRead>,
}

/// The connection broke.
struct Disconnected;

struct Client<'a> {
    workload: &'a Workload,
    session: Session,
    rng: Rng,
    number: usize,
    /// Ids made so far.
    ids: u64,
    /// Transactions that paid an order of this client.
    spent_txns: Vec<String>,
    log: ClientLog,
}

/// Works until the server is gone.
pub fn run(workload: &Workload, number: usize, session: Session, rng: Rng) -> ClientLog {
    let mut client =
        Client { workload, session, rng, number, ids: 0, spent_txns: Vec::new(), log: ClientLog::default() };
    loop {
        let done = match client.rng.u64(..100) {
            0..54 => client.buy(),
            54..68 => client.hold(),
            68..72 => client.batch(),
            72..86 => client.read_in_a_row(),
            86..96 => client.read_known_order(),
            _ => client.read_availability(),
        };
        if done.is_err() || client.session.broken() > 0 {
            let is_ending = workload.is_ending.load(Ordering::SeqCst);
            assert!(is_ending, "a connection broke while the server was meant to run");
        }
        if done.is_err() {
            return client.log;
        }
    }
}

impl Client<'_> {
    fn new_id(&mut self) -> String {
        self.ids += 1;
        format!("c{}-{}-{}", self.workload.cycle, self.number, self.ids)
    }

    fn choose_seats(&mut self) -> SeatRequest {
        let partition = chance::pick(&mut self.rng, &self.workload.partitions).clone();
        let qty = self.rng.u64(1..=3);
        let mut span = None;
        if partition.segments > 1 {
            let from = self.rng.usize(..partition.segments);
            span = Some((from, self.rng.usize(from + 1..=partition.segments)));
        }
        SeatRequest { partition, qty, span }
    }

    /// One write of a journey. `Ok(None)` where its outcome is unknown but the server lives.
    fn write(&mut self, journey: &mut Journey, op: Op) -> Result<Option<Outcome>, Disconnected> {
        let outcome = journey.send(&mut self.session, op).map_err(|_| Disconnected)?;
        match &outcome {
            Some(outcome) if outcome.is_ok() => {
                self.workload.acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Some(outcome) => assert!([400, 409].contains(&outcome.status), "{:?}", journey.writes.last()),
            None => {}
        }
        Ok(outcome)
    }

    /// An order from its creation to wherever chance takes it.
    fn buy(&mut self) -> Result<(), Disconnected> {
        let mut journey = Journey::new(self.choose_seats());
        let done = self.order_writes(&mut journey);
        self.log.journeys.push(journey);
        done
    }

    fn order_writes(&mut self, journey: &mut Journey) -> Result<(), Disconnected> {
        let key = self.new_id();
        let amount_cents = self.rng.u64(1..=1_000_000);
        let is_purchase = self.rng.bool();
        let first = match is_purchase {
            true => Op::Purchase { key: key.clone(), amount_cents },
            false => Op::Create { key: key.clone(), amount_cents },
        };
        let Some(created) = self.write(journey, first)? else {
            return Ok(());
        };
        if !created.is_ok() {
            assert!(is_purchase && created.error() == "insufficient stock", "{created:?}");
            return Ok(());
        }
        let order = created.body["OrderID"].as_str().expect("an id").to_owned();
        self.workload.known_orders.lock().expect("no client has failed").push(order.clone());
        self.workload.current_orders[self.number].lock().expect("no client has failed").clone_from(&order);
        let reserved = match is_purchase {
            true => created,
            false => match self.write(journey, Op::Reserve { order: order.clone() })? {
                Some(reserved) => reserved,
                None => return Ok(()),
            },
        };
        let pay = |txn: String| Op::Pay { order: order.clone(), txn };
        if !reserved.is_ok() {
            // It may have expired before its reservation was answered; the audit finds out.
            let expired = reserved.error() == EXPIRED_MEANWHILE;
            assert!(expired || reserved.error() == "insufficient stock", "{reserved:?}");
            if self.rng.u64(..5) == 0 {
                self.write(journey, pay(key))?;
            }
            return Ok(());
        }
        match self.rng.u64(..100) {
            0..50 => {
                self.pay(journey, pay(key.clone()), &key)?;
            }
            50..58 => {
                self.pay(journey, pay(key.clone()), &key)?;
                self.write(journey, pay(key))?;
            }
            58..66 => {
                let is_known = self.pay(journey, pay(key.clone()), &key)?;
                if is_known {
                    self.write(journey, pay(format!("{key}-second")))?;
                }
            }
            66..70 if !self.spent_txns.is_empty() => {
                let txn = chance::pick(&mut self.rng, &self.spent_txns).clone();
                self.write(journey, pay(txn))?;
            }
            70..84 => {
                let cancelled = self.write(journey, Op::Cancel { order: order.clone() })?;
                if cancelled.is_some_and(|outcome| outcome.is_ok()) && self.rng.u64(..4) == 0 {
                    self.write(journey, pay(key))?;
                }
            }
            _ => {}
        }
        if self.rng.u64(..4) == 0 { self.read(&order) } else { Ok(()) }
    }

    /// Pays, and remembers a transaction that paid. True where the outcome is known.
    fn pay(&mut self, journey: &mut Journey, op: Op, txn: &str) -> Result<bool, Disconnected> {
        let outcome = self.write(journey, op)?;
        if outcome.as_ref().is_some_and(Outcome::is_ok) {
            self.spent_txns.push(txn.to_owned());
        }
        Ok(outcome.is_some())
    }

    /// A hold without an order.
    fn hold(&mut self) -> Result<(), Disconnected> {
        let mut journey = Journey::new(self.choose_seats());
        let done = self.hold_writes(&mut journey);
        self.log.journeys.push(journey);
        done
    }

    fn hold_writes(&mut self, journey: &mut Journey) -> Result<(), Disconnected> {
        let hold = self.new_id();
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

    /// The first writes of several journeys, at once. Nothing follows: what they hold expires.
    fn batch(&mut self) -> Result<(), Disconnected> {
        let mut writes = Vec::new();
        for _ in 0..self.rng.usize(2..=BATCH_MAX) {
            let (id, amount_cents) = (self.new_id(), self.rng.u64(1..=1_000_000));
            let op = match self.rng.u64(..5) {
                0 => Op::Create { key: id, amount_cents },
                1 | 2 => Op::Purchase { key: id, amount_cents },
                _ => Op::TryHold { hold: id },
            };
            writes.push((op, self.choose_seats()));
        }
        let sent_ms = now_ms();
        let answer = send_batch(&mut self.session, &writes);
        let done_ms = now_ms();
        let is_connected = answer.is_ok();
        let outcomes = answer.unwrap_or_else(|_| vec![None; writes.len()]);
        for ((op, seats), outcome) in writes.into_iter().zip(outcomes) {
            let mut journey = Journey::new(seats);
            if let Some(outcome) = &outcome {
                let is_refused = ["insufficient stock"].contains(&outcome.error());
                assert!(outcome.is_ok() || is_refused, "{op:?}: {outcome:?}");
                self.workload.acknowledged.fetch_add(u64::from(outcome.is_ok()), Ordering::SeqCst);
            }
            journey.writes.push(Write { op, sent_ms, done_ms, outcome });
            if let Some(order) = journey.order() {
                self.workload.known_orders.lock().expect("no client has failed").push(order.to_owned());
            }
            self.log.journeys.push(journey);
        }
        if is_connected { Ok(()) } else { Err(Disconnected) }
    }

    /// Reads an order of any client.
    fn read_known_order(&mut self) -> Result<(), Disconnected> {
        let order = {
            let known = self.workload.known_orders.lock().expect("no client has failed");
            if known.is_empty() {
                return Ok(());
            }
            chance::pick(&mut self.rng, &known).clone()
        };
        self.read(&order)
    }

    /// Reads an order while another client is at work on it: what is seen may not be durable at that moment.
    fn read_in_a_row(&mut self) -> Result<(), Disconnected> {
        let current = chance::pick(&mut self.rng, &self.workload.current_orders);
        let order = current.lock().expect("no client has failed").clone();
        for _ in 0..READS_IN_A_ROW {
            if !order.is_empty() {
                self.read(&order)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, order: &str) -> Result<(), Disconnected> {
        let is_view = self.rng.u64(..3) == 0;
        let sent_ms = now_ms();
        let seen = read_order(&mut self.session, order, is_view).ok_or(Disconnected)?;
        // The same again says nothing new.
        if self.log.reads.last().is_none_or(|last| last.seen != seen) {
            let order = order.to_owned();
            self.log.reads.push(ObservedRead { order, sent_ms, done_ms: now_ms(), seen, is_view });
        }
        Ok(())
    }

    fn read_availability(&mut self) -> Result<(), Disconnected> {
        let partition = chance::pick(&mut self.rng, &self.workload.partitions).clone();
        let path = format!("/inventory/availability?partition_key={}", encode(&partition.key));
        let answer =
            self.session.try_call(Port::Inventory, "GET", &path, &[], None).map_err(|_| Disconnected)?;
        // Nobody may have opened it yet, or the answer is late.
        if ![404, 503, 504].contains(&answer.status) {
            let available = answer.ok()["available"].as_i64().expect("a number");
            assert!((0..=partition.capacity).contains(&available), "{available} of {}", partition.capacity);
        }
        Ok(())
    }
}
