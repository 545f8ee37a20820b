//! Batches of a client: several orders are made, get their seats and are paid at once, and holds without an order beside them.

use serde_json::{Value, json};

use super::clients::Client;
use super::orders::{FreeHold, OrderLog};
use super::told::Known;
use crate::crash::history::Outcome;
use crate::crash::partitions::SeatRequest;
use crate::session::{list, text};

/// Orders of one batch.
const ORDERS_MAX: u64 = 8;
/// Holds of one batch that no order owns.
const HOLDS_MAX: usize = 4;

/// An operation, and the order that it is about, where that has an id by then.
struct Operation {
    order: Option<String>,
    body: Value,
}

impl Operation {
    fn new(op: &str, mut body: Value) -> Operation {
        body["op"] = op.into();
        Operation { order: None, body }
    }

    fn of_order(op: &str, order: &str, mut body: Value) -> Operation {
        body["order_id"] = order.into();
        Operation { order: Some(order.to_owned()), ..Operation::new(op, body) }
    }
}

/// An order that does not exist yet.
struct Wish {
    key: String,
    amount: i64,
    seats: SeatRequest,
}

impl Wish {
    fn creation(&self) -> Operation {
        Operation::new("create", json!({"idempotency_key": self.key, "amount_cents": self.amount}))
    }

    fn purchase(&self) -> Operation {
        let mut body = self.seats.body();
        body["key"] = self.key.clone().into();
        body["amount_cents"] = self.amount.into();
        Operation::new("purchase", body)
    }

    fn made(self, outcome: &Outcome) -> OrderLog {
        OrderLog::new(text(&outcome.body, "OrderID").to_owned(), self.key, self.amount, self.seats)
    }
}

impl Client<'_> {
    /// One order that is taken from the budget already, and more where there are some, each from its creation to wherever chance takes it.
    pub(super) fn buy_together(&mut self) {
        let more = self.workload.budget.take_at_most(ORDERS_MAX - 1);
        let wishes: Vec<Wish> = (0..=more).map(|_| self.wish()).collect();
        let (purchases, creations): (Vec<Wish>, Vec<Wish>) =
            wishes.into_iter().partition(|_| self.rng.bool());
        let holds: Vec<_> = (0..self.rng.usize(..=HOLDS_MAX)).map(|_| self.free_hold()).collect();

        let mut operations: Vec<Operation> = purchases.iter().map(Wish::purchase).collect();
        operations.extend(creations.iter().map(Wish::creation));
        operations.extend(holds.iter().flat_map(sale_of));
        let mut outcomes = self.batch(operations).into_iter();
        let bought: Vec<_> = outcomes.by_ref().take(purchases.len()).collect();
        let created: Vec<_> = outcomes.by_ref().take(creations.len()).collect();
        self.keep_sold(holds, outcomes);

        let (mut with_seats, mut without, mut again) = (Vec::new(), Vec::new(), Vec::new());
        for (wish, outcome) in purchases.into_iter().zip(bought) {
            if outcome.is_ok() {
                let mut log = wish.made(&outcome);
                log.is_purchase = true;
                log.reserved = outcome.body["Seats"].clone();
                with_seats.push(log);
            } else {
                assert_eq!((outcome.status, outcome.error()), (409, "insufficient stock"));
                again.push(wish);
            }
        }
        // Where a purchase finds no seats, its key is still free.
        let created_again = self.batch(again.iter().map(Wish::creation).collect());
        for (wish, outcome) in
            creations.into_iter().chain(again).zip(created.into_iter().chain(created_again))
        {
            assert!(outcome.is_ok(), "{outcome:?}");
            without.push(wish.made(&outcome));
        }
        let (reserved, without) = self.reserve_together(without);
        with_seats.extend(reserved);
        self.pay_together(with_seats);
        self.log.orders.extend(without);
    }

    fn wish(&mut self) -> Wish {
        Wish { key: self.new_id("k"), amount: self.rng.i64(1..=1_000_000), seats: self.choose_seats() }
    }

    fn free_hold(&mut self) -> FreeHold {
        FreeHold { seats: self.choose_seats(), hold: self.new_id("f"), labels: Vec::new() }
    }

    /// Keeps the holds that were confirmed: `outcomes` are of a hold and its confirmation by turns.
    fn keep_sold(&mut self, holds: Vec<FreeHold>, mut outcomes: impl Iterator<Item = Outcome>) {
        for mut hold in holds {
            let (held, confirmed) = (outcomes.next().expect("a hold"), outcomes.next().expect("its end"));
            assert!([200, 400, 409].contains(&held.status), "{held:?}");
            if confirmed.is_ok() {
                hold.labels = list(&confirmed.body["holds"][&hold.hold], "seats").to_vec();
                self.log.holds.push(hold);
            }
        }
    }

    /// Those that have seats now, and those for which there were none.
    fn reserve_together(&mut self, mut orders: Vec<OrderLog>) -> (Vec<OrderLog>, Vec<OrderLog>) {
        let reserve = |log: &OrderLog| Operation::of_order("reserve", &log.order, log.seats.body());
        let outcomes = self.batch(orders.iter().map(reserve).collect());
        for (log, outcome) in orders.iter_mut().zip(outcomes) {
            assert!([200, 400, 409].contains(&outcome.status), "{outcome:?}");
            if outcome.is_ok() {
                log.reserved = outcome.body["Seats"].clone();
            }
        }
        orders.into_iter().partition(|log| !log.reserved.is_null())
    }

    /// Pays most at once, some of them by two transactions, cancels some in the same batch, and leaves the others to chance.
    fn pay_together(&mut self, orders: Vec<OrderLog>) {
        let (mut operations, mut asked) = (Vec::new(), Vec::new());
        for (i, log) in orders.iter().enumerate() {
            let mut pay = |client: &Client<'_>, txn: String| {
                let body = client.caller.session.payment(&log.order, &txn);
                operations.push(Operation::of_order("pay", &log.order, body));
                asked.push((i, Some(txn)));
            };
            match self.rng.u64(..10) {
                0..5 => pay(self, log.key.clone()),
                5..7 => {
                    pay(self, log.key.clone());
                    pay(self, format!("{}-second", log.key));
                }
                7 => {
                    operations.push(Operation::of_order("cancel", &log.order, json!({})));
                    asked.push((i, None));
                }
                _ => {}
            }
        }
        let outcomes = self.batch(operations);
        let mut orders: Vec<(OrderLog, bool)> = orders.into_iter().map(|log| (log, false)).collect();
        for ((i, txn), outcome) in asked.into_iter().zip(outcomes) {
            let (log, is_decided) = &mut orders[i];
            *is_decided = true;
            match txn {
                Some(txn) => self.keep_payment(log, txn, &outcome),
                None => log.is_cancelled = outcome.is_ok(),
            }
        }
        for (mut log, is_decided) in orders {
            if !is_decided {
                self.decide(&mut log);
            }
            self.settle(&mut log);
            self.log.orders.push(log);
        }
    }

    /// The outcomes of operations in their order; orders that they show are taken in.
    fn batch(&mut self, operations: Vec<Operation>) -> Vec<Outcome> {
        if operations.is_empty() {
            return Vec::new();
        }
        let told = self.workload.told;
        let known = |operation: &Operation| operation.order.as_deref().map(|order| told.of(order));
        let before: Vec<Option<Known>> = operations.iter().map(known).collect();
        let bodies: Vec<Value> = operations.into_iter().map(|operation| operation.body).collect();
        let outcomes = self.caller.batch(&bodies, &before);
        for (before, outcome) in before.into_iter().zip(&outcomes) {
            let order = outcome.body["OrderID"].as_str().filter(|_| outcome.is_ok());
            if let Some(order) = order {
                told.tell(&before.unwrap_or_else(|| told.of(order)), &outcome.body);
            }
        }
        outcomes
    }
}

/// A hold, and at once its confirmation: what is about one partition takes effect in its order.
fn sale_of(hold: &FreeHold) -> [Operation; 2] {
    let mut held = hold.seats.body();
    held["hold_id"] = hold.hold.clone().into();
    let confirmed = json!({"partition_key": hold.seats.partition.key, "hold_id": hold.hold});
    [Operation::new("hold", held), Operation::new("confirm", confirmed)]
}
