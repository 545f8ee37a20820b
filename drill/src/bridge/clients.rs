//! The drill's clients: each buys, holds, pays, cancels, lets expire, settles and reads on a connection of its own, and keeps what it
//! was told. What was cut off is sent again until there is an answer, but for some creations and reservations, whose clients give up.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::HOLD_SECS;
use super::budget::Budget;
use super::caller::{Caller, Needs};
use super::orders::{FreeHold, OrderLog, Payment, Unmatched};
use super::told::Told;
use crate::crash::history::Outcome;
use crate::crash::partitions::{Partition, SeatRequest};
use crate::http::encode;
use crate::session::{list, text};
use crate::time::now_ms;
use crate::{Port, Rng, chance, until};

/// Of so many wishes one is for an ad hoc partition, which are sold out soon.
const AD_HOC_ONE_IN: u64 = 4;
/// Of so many times that a client buys, it buys once by batches.
const BATCH_ONE_IN: u64 = 10;
/// A hold has certainly expired so long after its end; engine time may lag behind the wall clock.
const EXPIRY_SLACK_MS: u64 = 500;

/// The state that the clients of one cycle share.
pub struct Workload<'a> {
    pub cycle: u64,
    pub partitions: Vec<Arc<Partition>>,
    pub budget: Budget,
    pub told: &'a Told,
}

/// The record of what one client did.
#[derive(Debug, Default)]
pub struct ClientLog {
    pub orders: Vec<OrderLog>,
    pub holds: Vec<FreeHold>,
    pub unmatched: Vec<Unmatched>,
    /// Keys of creations whose clients gave up, with the amount: an order of each may be there.
    pub given_up: Vec<(String, i64)>,
}

pub struct Client<'a> {
    pub workload: &'a Workload<'a>,
    pub caller: Caller<'a>,
    pub rng: Rng,
    pub number: usize,
    ids: u64,
    /// Transactions that paid an order of this client.
    spent: Vec<String>,
    /// Orders that are paid too late, and when.
    late: Vec<(usize, u64)>,
    pub(super) log: ClientLog,
}

impl<'a> Client<'a> {
    pub fn new(workload: &'a Workload<'a>, caller: Caller<'a>, rng: Rng, number: usize) -> Client<'a> {
        let (spent, late, log) = (Vec::new(), Vec::new(), ClientLog::default());
        Client { workload, caller, rng, number, ids: 0, spent, late, log }
    }

    /// Works until there are no more orders to create.
    pub fn run(mut self) -> ClientLog {
        while self.workload.budget.take() {
            match self.rng.u64(..BATCH_ONE_IN) {
                0 => self.buy_together(),
                _ => self.buy(),
            }
            match self.rng.u64(..100) {
                0..20 => self.hold(),
                20..22 => self.pay_for_nothing(),
                22..60 => self.read(),
                _ => {}
            }
            self.pay_late(now_ms());
        }
        for (_, due_ms) in self.late.clone() {
            thread::sleep(Duration::from_millis(due_ms.saturating_sub(now_ms())));
            self.pay_late(now_ms());
        }
        self.log
    }

    pub(super) fn new_id(&mut self, kind: &str) -> String {
        self.ids += 1;
        format!("{kind}{}-{}-{}", self.workload.cycle, self.number, self.ids)
    }

    pub(super) fn choose_seats(&mut self) -> SeatRequest {
        let is_ad_hoc = self.rng.u64(..AD_HOC_ONE_IN) == 0;
        let all = self.workload.partitions.iter();
        let partitions: Vec<_> =
            all.filter(|partition| (partition.segments == 1) == is_ad_hoc).cloned().collect();
        let partition = chance::pick(&mut self.rng, &partitions).clone();
        let qty = self.rng.u64(1..=3);
        let mut span = None;
        if partition.segments > 1 && self.rng.u64(..8) > 0 {
            let from = self.rng.usize(..partition.segments);
            span = Some((from, self.rng.usize(from + 1..=partition.segments)));
        }
        SeatRequest { partition, qty, span }
    }

    /// A write about an order, until its outcome is known; the order that it shows is taken in.
    fn write(&mut self, path: &str, order: &str, body: &Value) -> Outcome {
        let before = self.workload.told.of(order);
        let caller = &mut self.caller;
        let outcome = until(&format!("an outcome of {path} {body}"), || {
            caller.write(Port::Order, path, body, before.needs())
        });
        if outcome.is_ok() {
            self.workload.told.tell(&before, &outcome.body);
        }
        outcome
    }

    /// An order from its creation to wherever chance takes it.
    fn buy(&mut self) {
        let key = self.new_id("k");
        let amount = self.rng.i64(1..=1_000_000);
        // Where a purchase finds no seats, its key is still free.
        if self.rng.u64(..3) == 0 && self.purchase(&key, amount) {
            return;
        }
        let create = json!({"idempotency_key": key, "amount_cents": amount});
        let gives_up = self.rng.u64(..3) == 0;
        let Some(created) = self.write_or_give_up("/orders", &create, gives_up) else {
            self.log.given_up.push((key, amount));
            return;
        };
        assert!(created.is_ok(), "{create}: {created:?}");
        let order = text(&created.body, "OrderID").to_owned();
        self.workload.told.tell(&self.workload.told.of(&order), &created.body);
        let mut log = OrderLog::new(order, key, amount, self.choose_seats());
        if self.reserve(&mut log) {
            self.decide(&mut log);
        } else if self.rng.u64(..6) == 0 {
            let txn = log.key.clone();
            self.pay(&mut log, txn);
        }
        self.settle(&mut log);
        self.log.orders.push(log);
    }

    /// An order with its seats at once; false where there are none. Its client never gives up.
    fn purchase(&mut self, key: &str, amount: i64) -> bool {
        let seats = self.choose_seats();
        let mut body = seats.body();
        body["key"] = key.into();
        body["amount_cents"] = amount.into();
        let made = self.caller.write_until_known(Port::Gateway, "/v1/purchases", &body, Needs::Engine);
        if !made.is_ok() {
            assert_eq!((made.status, made.error()), (409, "insufficient stock"), "{body}");
            return false;
        }
        let order = text(&made.body, "OrderID").to_owned();
        self.workload.told.tell(&self.workload.told.of(&order), &made.body);
        let mut log = OrderLog::new(order, key.to_owned(), amount, seats);
        log.is_purchase = true;
        log.reserved = made.body["Seats"].clone();
        self.decide(&mut log);
        self.settle(&mut log);
        self.log.orders.push(log);
        true
    }

    /// `None` where it was cut off and the client gives up then.
    fn write_or_give_up(&mut self, path: &str, body: &Value, gives_up: bool) -> Option<Outcome> {
        match self.caller.write(Port::Order, path, body, Needs::Engine) {
            None if gives_up => None,
            None => Some(self.caller.write_until_known(Port::Order, path, body, Needs::Engine)),
            outcome => outcome,
        }
    }

    /// Reserves: under the order's own hold or a named one, which may have been made before. True where it has seats.
    fn reserve(&mut self, log: &mut OrderLog) -> bool {
        let mut body = log.seats.body();
        body["order_id"] = log.order.clone().into();
        let is_named = self.rng.u64(..4) == 0;
        if is_named {
            log.hold = self.new_id("h");
            body["hold_id"] = log.hold.clone().into();
            if self.rng.bool() {
                let mut held = log.seats.body();
                held["hold_id"] = log.hold.clone().into();
                self.caller.write_until_known(Port::Inventory, "/inventory/try-hold", &held, Needs::Engine);
            }
        }
        let gives_up = self.rng.u64(..3) == 0;
        let before = self.workload.told.of(&log.order);
        let Some(reserved) = self.write_or_give_up("/orders/reserve", &body, gives_up) else {
            log.is_reservation_unknown = true;
            return false;
        };
        if !reserved.is_ok() {
            assert!([400, 409].contains(&reserved.status), "{body}: {reserved:?}");
            return false;
        }
        self.workload.told.tell(&before, &reserved.body);
        log.reserved = reserved.body["Seats"].clone();
        true
    }

    /// What becomes of an order that has seats.
    pub(super) fn decide(&mut self, log: &mut OrderLog) {
        let txn = log.key.clone();
        match self.rng.u64(..100) {
            0..42 => {
                self.pay(log, txn);
            }
            42..50 => {
                self.pay(log, txn.clone());
                self.pay(log, txn);
            }
            50..60 => {
                self.pay(log, txn.clone());
                self.pay(log, format!("{txn}-second"));
            }
            60..64 if !self.spent.is_empty() => {
                let txn = chance::pick(&mut self.rng, &self.spent).clone();
                self.pay(log, txn);
            }
            64..80 => {
                let cancelled = self.write("/orders/cancel", &log.order, &json!({"order_id": log.order}));
                log.is_cancelled = cancelled.is_ok();
                if self.rng.bool() {
                    self.pay(log, txn);
                }
            }
            80..90 => {
                let due_ms = now_ms() + HOLD_SECS * 1_000 + EXPIRY_SLACK_MS;
                self.late.push((self.log.orders.len(), due_ms));
            }
            _ => {}
        }
    }

    fn pay(&mut self, log: &mut OrderLog, txn: String) {
        let body = self.caller.session.payment(&log.order, &txn);
        let outcome = self.write("/payments/callback", &log.order, &body);
        self.keep_payment(log, txn, &outcome);
    }

    pub(super) fn keep_payment(&mut self, log: &mut OrderLog, txn: String, outcome: &Outcome) {
        assert!([200, 409].contains(&outcome.status), "{} by {txn}: {outcome:?}", log.order);
        if outcome.is_ok() && !self.spent.contains(&txn) {
            self.spent.push(txn.clone());
        }
        log.payments.push(Payment { txn, error: outcome.error().to_owned() });
    }

    /// Pays orders whose hold has expired by `now_ms`.
    fn pay_late(&mut self, now_ms: u64) {
        let (due, later) = self.late.iter().partition(|(_, due_ms)| *due_ms <= now_ms);
        self.late = later;
        let due: Vec<(usize, u64)> = due;
        for (i, _) in due {
            let mut log = self.log.orders[i].clone();
            let txn = format!("{}-late", log.key);
            self.pay(&mut log, txn);
            self.settle(&mut log);
            self.log.orders[i] = log;
        }
    }

    /// Pays back half of what is owed; some of it twice, under the same reference.
    pub(super) fn settle(&mut self, log: &mut OrderLog) {
        let owed: Vec<String> = log.owed().map(|(txn, _)| txn.to_owned()).collect();
        for txn in owed {
            if log.settled.contains_key(&txn) || self.rng.bool() {
                continue;
            }
            let reference = format!("bank-{txn}");
            let body = json!({"order_id": log.order, "provider_txn_id": txn, "reference": reference});
            for _ in 0..self.rng.u64(1..=2) {
                let settled = self.caller.write_until_known(
                    Port::Gateway,
                    "/v1/refunds/settle",
                    &body,
                    Needs::ReadModel,
                );
                assert!(settled.is_ok(), "{body}: {settled:?}");
            }
            log.settled.insert(txn, reference);
        }
    }

    /// Money for an order that nobody knows. Whether anybody knows it is asked of the read model.
    fn pay_for_nothing(&mut self) {
        let order = format!("0051{:04x}-0000-8000-8000-{:012x}", self.rng.u16(..), self.rng.u64(..1 << 48));
        let txn = self.new_id("nothing");
        let body = self.caller.session.payment(&order, &txn);
        let refused =
            self.caller.write_until_known(Port::Order, "/payments/callback", &body, Needs::ReadModel);
        assert_eq!((refused.status, refused.error()), (404, "order not found"), "{body}");
        self.log.unmatched.push(Unmatched { order, txn });
    }

    /// A hold without an order: confirmed, released or left to expire.
    fn hold(&mut self) {
        let seats = self.choose_seats();
        let hold = self.new_id("f");
        let mut body = seats.body();
        body["hold_id"] = hold.clone().into();
        let try_hold = "/inventory/try-hold";
        let held = self.caller.write_until_known(Port::Inventory, try_hold, &body, Needs::Engine);
        if !held.is_ok() {
            assert!([400, 409].contains(&held.status), "{body}: {held:?}");
            return;
        }
        let labels = list(&held.body["holds"][&hold], "seats").to_vec();
        let body = json!({"partition_key": seats.partition.key, "hold_id": hold});
        let path = match self.rng.u64(..10) {
            0..5 => "/inventory/confirm-hold",
            5..8 => "/inventory/release-hold",
            _ => return,
        };
        let ended = self.caller.write_until_known(Port::Inventory, path, &body, Needs::Engine);
        if path.ends_with("confirm-hold") && ended.is_ok() {
            self.log.holds.push(FreeHold { seats, hold, labels });
        }
    }

    /// Reads any order from somewhere.
    fn read(&mut self) {
        let Some((order, key)) = self.workload.told.any(&mut self.rng) else { return };
        let before = self.workload.told.of(&order);
        match self.rng.u64(..4) {
            0 => {
                let path = format!("/query/orders?order_id={}", encode(&order));
                self.caller.read(Port::Query, &path, before.needs());
            }
            1 => {
                let path = format!("/orders/get?order_id={}", encode(&order));
                if let Some(seen) = self.caller.read(Port::Order, &path, before.needs()) {
                    self.workload.told.tell(&before, &seen);
                }
            }
            _ => {
                let path = format!("/v1/orders?key={}", encode(&key));
                let Some(page) = self.caller.read(Port::Gateway, &path, Needs::ReadModel) else { return };
                for seen in list(&page, "orders") {
                    assert_eq!(text(seen, "OrderID"), order, "another order with the key {key}");
                    self.workload.told.list(&before, seen);
                }
            }
        }
    }
}
