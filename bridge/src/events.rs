//! Envelopes of events, as the topics carry them and as the log's export writes them: one JSON object each.
//!
//! An envelope is made from its record alone. The same record always makes the same envelopes, ids and all; delivery may repeat them.

use engine::ids::OrderId;
use engine::record::{Body, ExpiredHold, HoldRow, OrderRow, PurchaseRow, Record, RefundRow, Reservation};
use engine::status::{HoldStatus, OrderStatus, ReleaseReason};
use engine::text::Text;
use serde::Serialize;

use crate::ids::{Origin, record_id};
use crate::text::{joined, time};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic {
    Order,
    Inventory,
    Ticket,
}

impl Topic {
    pub const ALL: [Topic; 3] = [Topic::Order, Topic::Inventory, Topic::Ticket];

    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            Topic::Order => "order.events",
            Topic::Inventory => "inventory.events",
            Topic::Ticket => "ticket.events",
        }
    }
}

/// One event. It serializes as its envelope; the topic stands outside it.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Envelope<'a> {
    #[serde(skip)]
    pub topic: Topic,
    /// A UUID ([`record_id`]).
    pub event_id: String,
    /// An order's id or a partition's key: also the key of its message.
    pub aggregate_id: String,
    pub event_type: &'static str,
    /// RFC 3339, UTC, with milliseconds.
    pub occurred_at: String,
    pub payload: Payload<'a>,
}

impl Envelope<'_> {
    /// The envelope as one line of JSON, without its end.
    ///
    /// # Panics
    /// Never: texts and numbers are written to memory.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers are written to memory")
    }
}

/// The payload of an event. Fields that have no value are left out.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum Payload<'a> {
    OrderCreated {
        order_id: String,
        idempotency_key: &'a str,
        status: &'static str,
        amount_cents: i64,
    },
    OrderReserved {
        order_id: String,
        status: &'static str,
        partition_key: &'a str,
        hold_id: &'a str,
        hold_qty: u32,
    },
    OrderPaid {
        order_id: String,
        provider_txn_id: &'a str,
        partition_key: &'a str,
        hold_id: &'a str,
        status: &'static str,
    },
    OrderCancelled {
        order_id: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        partition_key: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hold_id: Option<&'a str>,
        status: &'static str,
    },
    OrderRefundRequired {
        order_id: &'a str,
        provider_txn_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        amount_cents: Option<i64>,
        reason: &'static str,
    },
    Hold {
        hold_id: &'a str,
        qty: u32,
        #[serde(skip_serializing_if = "Option::is_none")]
        capacity: Option<u32>,
        partition_key: &'a str,
        /// The partition's own.
        seq: u64,
        seats: Vec<&'a str>,
        from_index: u16,
        to_index: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'static str>,
    },
    TicketIssued {
        order_id: String,
        seat_no: String,
        seats: Vec<&'a str>,
    },
}

/// The events of a record, in their order in it. Every hold has events, whoever owns it; what only the engine needs has none.
#[must_use]
pub fn of_record(origin: Origin, record: &Record) -> Vec<Envelope<'_>> {
    let from = From { origin, record };
    match &record.body {
        Body::HoldMade(row) => vec![from.hold(0, "hold_created", row)],
        Body::HoldConfirmed(row) => vec![from.hold(0, "hold_confirmed", row)],
        Body::HoldReleased(row) => vec![from.hold(0, "hold_released", row)],
        Body::HoldsExpired(rows) => {
            let mut events = Vec::with_capacity(rows.len());
            for ExpiredHold { hold, purchase } in rows {
                events.push(from.hold(events.len() as u32, "hold_released", hold));
                let order = purchase.as_deref().map(|order| from.cancelled(events.len() as u32, order));
                events.extend(order);
            }
            events
        }
        Body::OrderCreated(row) => vec![from.created(0, row)],
        Body::OrderReserved(row) => from.reserved(0, row).into_iter().collect(),
        Body::OrderPaid(row) => from.paid(0, row).into_iter().collect(),
        Body::PurchaseMade(row) => {
            let PurchaseRow { order, hold } = &**row;
            let made = [from.hold(0, "hold_created", hold), from.created(1, order)];
            made.into_iter().chain(from.reserved(2, order)).collect()
        }
        Body::PurchasePaid(row) => {
            let PurchaseRow { order, hold } = &**row;
            [from.hold(0, "hold_confirmed", hold)].into_iter().chain(from.paid(1, order)).collect()
        }
        Body::PurchaseCancelled(row) => {
            vec![from.hold(0, "hold_released", &row.hold), from.cancelled(1, &row.order)]
        }
        Body::OrderTicketed(row) => vec![from.ticketed(row)],
        Body::OrderCancelled(row) => vec![from.cancelled(0, row)],
        Body::OrdersAbandoned(rows) => {
            (0..).zip(rows).map(|(index, row)| from.cancelled(index, row)).collect()
        }
        Body::RefundOwed(row) => vec![from.refund(row)],
        Body::HoldAdopted(_)
        | Body::RefundSettled(_)
        | Body::RefundsForgotten { .. }
        | Body::OrderKept { .. }
        | Body::OrderLeaving { .. }
        | Body::OrdersForgotten { .. }
        | Body::ClaimForgotten { .. }
        | Body::PartitionOpened(_)
        | Body::PartitionForgotten { .. }
        | Body::HoldsForgotten { .. }
        | Body::TxnClaimed { .. }
        | Body::TellsAcked { .. } => Vec::new(),
    }
}

#[derive(Clone, Copy)]
struct From<'a> {
    origin: Origin,
    record: &'a Record,
}

impl<'a> From<'a> {
    fn envelope(
        self,
        topic: Topic,
        index: u32,
        aggregate: String,
        event_type: &'static str,
        payload: Payload<'a>,
    ) -> Envelope<'a> {
        let Record { slot, seq, time: at, .. } = *self.record;
        Envelope {
            topic,
            event_id: record_id(self.origin, slot, seq, index).hyphenated().to_string(),
            aggregate_id: aggregate,
            event_type,
            occurred_at: time(at),
            payload,
        }
    }

    fn of_order(
        self,
        index: u32,
        order: OrderId,
        event_type: &'static str,
        payload: Payload<'a>,
    ) -> Envelope<'a> {
        self.envelope(Topic::Order, index, order.to_string(), event_type, payload)
    }

    /// A purchase is made of an order that is INIT for no time at all.
    fn created(self, index: u32, row: &'a OrderRow) -> Envelope<'a> {
        let payload = Payload::OrderCreated {
            order_id: row.order.to_string(),
            idempotency_key: row.key.name().as_str(),
            status: OrderStatus::Init.wire_name(),
            amount_cents: row.amount.0,
        };
        self.of_order(index, row.order, "OrderCreated", payload)
    }

    /// A reserved order has a reservation.
    fn reserved(self, index: u32, row: &'a OrderRow) -> Option<Envelope<'a>> {
        let Reservation { partition, hold, quantity, .. } = row.reservation.as_ref()?;
        let payload = Payload::OrderReserved {
            order_id: row.order.to_string(),
            status: row.status.wire_name(),
            partition_key: partition.as_str(),
            hold_id: hold.as_str(),
            hold_qty: *quantity,
        };
        Some(self.of_order(index, row.order, "OrderReserved", payload))
    }

    /// A paid order has a reservation, and the transaction that paid it.
    fn paid(self, index: u32, row: &'a OrderRow) -> Option<Envelope<'a>> {
        let Reservation { partition, hold, .. } = row.reservation.as_ref()?;
        let payload = Payload::OrderPaid {
            order_id: row.order.to_string(),
            provider_txn_id: row.txn.as_ref()?.as_str(),
            partition_key: partition.as_str(),
            hold_id: hold.as_str(),
            status: row.status.wire_name(),
        };
        Some(self.of_order(index, row.order, "OrderPaid", payload))
    }

    fn cancelled(self, index: u32, row: &'a OrderRow) -> Envelope<'a> {
        let reservation = row.reservation.as_ref();
        let payload = Payload::OrderCancelled {
            order_id: row.order.to_string(),
            partition_key: reservation.map(|r| r.partition.as_str()),
            hold_id: reservation.map(|r| r.hold.as_str()),
            status: row.status.wire_name(),
        };
        self.of_order(index, row.order, "OrderCancelled", payload)
    }

    fn refund(self, row: &'a RefundRow) -> Envelope<'a> {
        let payload = Payload::OrderRefundRequired {
            order_id: row.order.as_str(),
            provider_txn_id: row.txn.as_str(),
            amount_cents: row.amount.map(|amount| amount.0),
            reason: row.reason.wire_name(),
        };
        self.envelope(Topic::Order, 0, row.order.to_string(), "OrderRefundRequired", payload)
    }

    fn ticketed(self, row: &'a OrderRow) -> Envelope<'a> {
        let seats = row.reservation.as_ref().map_or(&[][..], |r| &r.labels);
        let payload = Payload::TicketIssued {
            order_id: row.order.to_string(),
            seat_no: joined(seats),
            seats: texts(seats),
        };
        self.envelope(Topic::Ticket, 0, row.order.to_string(), "TicketIssued", payload)
    }

    fn hold(self, index: u32, event_type: &'static str, row: &'a HoldRow) -> Envelope<'a> {
        let reason = match row.status {
            HoldStatus::Expired => Some(HoldStatus::Expired.wire_name()),
            _ => row.release_reason.map(ReleaseReason::wire_name),
        };
        let payload = Payload::Hold {
            hold_id: row.hold.as_str(),
            qty: row.quantity,
            capacity: (row.status == HoldStatus::Held).then_some(row.capacity),
            partition_key: row.partition.as_str(),
            seq: row.partition_seq,
            seats: texts(&row.labels),
            from_index: row.from,
            to_index: row.to,
            reason,
        };
        self.envelope(Topic::Inventory, index, row.partition.to_string(), event_type, payload)
    }
}

fn texts(texts: &[Text]) -> Vec<&str> {
    texts.iter().map(Text::as_str).collect()
}
