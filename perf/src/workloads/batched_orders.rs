//! Orders by batches: many are created by one request, reserve their seats by a second one, and are paid by a third one. The generator has little to
//! do for each, so that what the server makes of them can be seen on a small machine.

use std::collections::HashMap;
use std::io::Write as _;

use serde::Deserialize;

use super::{Common, Id, Step, Workload, post};
use crate::demand::Wish;
use crate::load::Kind;

/// Orders of one arrival.
pub(super) const ORDERS: u32 = 32;

const CREATED: u32 = 0;
const RESERVED: u32 = 1;
const PAID: u32 = 2;

pub(super) struct BatchedOrders {
    common: Common,
    /// By the id of the arrival.
    under_way: HashMap<Id, Vec<Order>>,
}

struct Order {
    id: Id,
    wish: Wish,
    /// Empty before its creation was answered.
    order: String,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<OneResult>,
}

#[derive(Deserialize)]
struct OneResult {
    status: u16,
    body: Shown,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(rename = "OrderID")]
    order: Option<String>,
}

impl BatchedOrders {
    pub(super) fn new(common: Common) -> BatchedOrders {
        BatchedOrders { common, under_way: HashMap::new() }
    }
}

impl Workload for BatchedOrders {
    fn begin(&mut self, request: &mut Vec<u8>) -> Step {
        let common = &mut self.common;
        let order = |_| Order { id: common.next_id(), wish: common.wish(), order: String::new() };
        let orders: Vec<Order> = (0..ORDERS).map(order).collect();
        operations(request, &orders, |body, order| {
            let (id, amount) = (order.id.0, order.wish.seats * 55_300);
            write!(body, r#"{{"op":"create","idempotency_key":"k-{id:015x}","amount_cents":{amount}}}"#)
        });
        let first = &orders[0];
        let step = Step::new(Kind::OtherWrite, first.id, first.wish);
        self.under_way.insert(step.id, orders);
        step
    }

    fn answered(&mut self, step: &Step, status: u16, body: &[u8], request: &mut Vec<u8>) -> Option<Step> {
        let mut orders = self.under_way.remove(&step.id)?;
        if status != 200 || step.stage == PAID {
            return None;
        }
        let answer: Answer = serde_json::from_slice(body).ok()?;
        let mut results = answer.results.into_iter();
        // Who gets no seats is left alone.
        orders.retain_mut(|order| match results.next() {
            Some(OneResult { status: 200, body: Shown { order: Some(id) } }) => {
                order.order = id;
                true
            }
            _ => false,
        });
        if orders.is_empty() {
            return None;
        }
        let mut next = Step { stage: step.stage + 1, ..*step };
        if step.stage == CREATED {
            next.kind = Kind::NewHold;
            operations(request, &orders, |body, Order { wish, order, .. }| {
                let partition = self.common.sale.demand.partition(wish);
                let Wish { seats, from, to, .. } = wish;
                write!(
                    body,
                    r#"{{"op":"reserve","order_id":"{order}","partition_key":"{partition}","qty":{seats},"from_index":{from},"to_index":{to}}}"#
                )
            });
        } else {
            debug_assert_eq!(step.stage, RESERVED);
            next.kind = Kind::OtherWrite;
            operations(request, &orders, |body, Order { id, order, .. }| {
                write!(
                    body,
                    r#"{{"op":"pay","order_id":"{order}","provider_txn_id":"t-{:015x}","status":"SUCCESS"}}"#,
                    id.0
                )
            });
        }
        self.under_way.insert(next.id, orders);
        Some(next)
    }
}

fn operations(
    request: &mut Vec<u8>,
    orders: &[Order],
    write: impl Fn(&mut Vec<u8>, &Order) -> std::io::Result<()>,
) {
    post(request, "/v1/batch", |body| {
        body.extend_from_slice(b"{\"operations\":[");
        for (i, order) in orders.iter().enumerate() {
            if i > 0 {
                body.push(b',');
            }
            write(body, order)?;
        }
        body.extend_from_slice(b"]}");
        Ok(())
    });
}
