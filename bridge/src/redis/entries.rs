//! Entries of Redis: holds that are alive, the queue of their deadlines, and views of orders for a while. Made from records and from slots; pure.

use std::collections::HashMap;

use engine::ids::{HoldId, OrderId, PartitionKey, Time};
use engine::record::{Body, ExpiredHold, HoldRow, OrderRow, Record};
use engine::state::Slot;
use engine::status::{HoldStatus, OrderStatus};
use engine::text::Text;
use serde::Serialize;

use super::limits::VIEW_MS;
use crate::text::{joined, time};

/// Changes of entries, the last one of each. They are written at once, so their order does not matter.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// By member of the queue.
    pub(super) holds: HashMap<String, Option<LiveHold>>,
    pub(super) views: HashMap<OrderId, View>,
}

/// A hold that can still be confirmed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct LiveHold {
    pub(super) json: String,
    pub(super) deadline: Time,
}

/// An order as `/query/orders` shows it.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct View {
    pub(super) json: String,
    /// It goes by itself then.
    pub(super) until: Time,
}

#[derive(Serialize)]
struct HoldJson<'a> {
    partition_key: &'a str,
    hold_id: &'a str,
    qty: u32,
}

#[derive(Serialize)]
struct ViewJson<'a> {
    order_id: &'a str,
    status: &'a str,
    amount_cents: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider_txn_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat_no: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seats: Option<Vec<&'a str>>,
    updated_at: String,
}

impl Entries {
    pub(super) fn len(&self) -> usize {
        self.holds.len() + self.views.len()
    }

    /// Behind all that came before.
    pub(super) fn add_record(&mut self, record: &Record) {
        match &record.body {
            Body::HoldMade(row) => self.add_hold_row(row),
            Body::HoldAdopted(row) => self.adopt(row),
            Body::HoldConfirmed(row) | Body::HoldReleased(row) => self.end(row),
            Body::HoldsExpired(rows) => {
                for ExpiredHold { hold, purchase } in rows {
                    self.end(hold);
                    if let Some(order) = purchase {
                        self.add_order(order, record.time);
                    }
                }
            }
            Body::PurchaseMade(row) => {
                self.add_hold_row(&row.hold);
                self.add_order(&row.order, record.time);
            }
            Body::PurchasePaid(row) | Body::PurchaseCancelled(row) => {
                self.end(&row.hold);
                self.add_order(&row.order, record.time);
            }
            Body::OrderCreated(row)
            | Body::OrderReserved(row)
            | Body::OrderPaid(row)
            | Body::OrderTicketed(row)
            | Body::OrderCancelled(row) => self.add_order(row, record.time),
            Body::OrdersAbandoned(rows) => rows.iter().for_each(|row| self.add_order(row, record.time)),
            Body::PartitionOpened(_)
            | Body::PartitionForgotten { .. }
            | Body::HoldsForgotten { .. }
            | Body::TxnClaimed { .. }
            | Body::ClaimForgotten { .. }
            | Body::RefundOwed(_)
            | Body::RefundSettled(_)
            | Body::RefundsForgotten { .. }
            | Body::TellsAcked { .. }
            | Body::OrderKept { .. }
            | Body::OrderLeaving { .. }
            | Body::OrdersForgotten { .. } => {}
        }
    }

    /// Holds that are alive. Views of orders have mostly gone by themselves.
    pub(super) fn add_slot(&mut self, slot: &Slot) {
        for (partition, state) in slot.partitions().iter() {
            let held = state.holds().filter(|(_, hold)| hold.status == HoldStatus::Held);
            for (id, hold) in held {
                self.add_hold(partition, id, hold.owner, hold.quantity, hold.deadline);
            }
        }
    }

    fn add_hold_row(&mut self, row: &HoldRow) {
        self.add_hold(&row.partition, &row.hold, row.owner, row.quantity, row.deadline);
    }

    fn add_hold(
        &mut self,
        partition: &PartitionKey,
        id: &HoldId,
        owner: Option<OrderId>,
        quantity: u32,
        deadline: Time,
    ) {
        let json = HoldJson { partition_key: partition.as_str(), hold_id: id.as_str(), qty: quantity };
        self.holds.insert(member(partition, id, owner), Some(LiveHold { json: to_json(&json), deadline }));
    }

    /// A hold gets the name of its order's alone once the order owns it.
    fn adopt(&mut self, row: &HoldRow) {
        self.holds.insert(member(&row.partition, &row.hold, None), None);
        self.add_hold_row(row);
    }

    fn end(&mut self, row: &HoldRow) {
        self.holds.insert(member(&row.partition, &row.hold, row.owner), None);
    }

    fn add_order(&mut self, order: &OrderRow, updated_at: Time) {
        let is_ticketed = order.status == OrderStatus::Ticketed;
        let seats = order.reservation.as_ref().filter(|_| is_ticketed).map(|r| r.labels.as_slice());
        let id = order.order.to_string();
        let json = to_json(&ViewJson {
            order_id: &id,
            status: order.status.wire_name(),
            amount_cents: order.amount.0,
            provider_txn_id: order.txn.as_ref().map(|txn| txn.as_str()),
            seat_no: seats.map(joined),
            seats: seats.map(|seats| seats.iter().map(Text::as_str).collect()),
            updated_at: time(updated_at),
        });
        self.views.insert(order.order, View { json, until: updated_at.plus(VIEW_MS) });
    }
}

/// The name of a hold in the queue, and the end of its key: ids are unique in their partition only, so the partition stands before all but those
/// that are named after their order. A bar in the id cannot be taken for the one between the two.
fn member(partition: &PartitionKey, id: &HoldId, owner: Option<OrderId>) -> String {
    if owner.is_some_and(|order| order.to_string() == id.as_str()) {
        return id.as_str().to_owned();
    }
    let id = id.as_str().replace('%', "%25").replace('|', "%7C");
    format!("{}|{id}", partition.as_str())
}

fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("texts and numbers are written to memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_different_holds_differ() {
        let order = OrderId::parse("00710000-0000-8000-8000-000000100000").unwrap();
        let check = |partition: &str, id: &str, owner: Option<OrderId>, expected: &str| {
            let (partition, id) = (PartitionKey::parse(partition).unwrap(), HoldId::parse(id).unwrap());
            assert_eq!(member(&partition, &id, owner), expected);
        };
        let own = order.to_string();
        check("G1|2026-02-11|2nd", &own, Some(order), &own);
        check("G1|2026-02-11|2nd", &own, None, &format!("G1|2026-02-11|2nd|{own}"));
        check("G1|2026-02-11|2nd", "mine", Some(order), "G1|2026-02-11|2nd|mine");
        check("a", "b|c", None, "a|b%7Cc");
        check("a|b", "c", None, "a|b|c");
        check("a", "b%7Cc", None, "a|b%257Cc");
    }
}
