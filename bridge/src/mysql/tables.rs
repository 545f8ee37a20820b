//! The tables and their rows, as values of MySQL.

use std::borrow::Cow;

use engine::answer::{OrderView, ReservationView};
use engine::ids::Time;
use engine::record::{OrderRow as Order, Reservation};
use engine::status::{CancelReason, OrderStatus, RefundReason, Settlement};
use engine::text::Text;
use mysql_async::Value;

use crate::read_model::stored::{StoredOrder, StoredRefund};
use crate::rows::gathered::{Gathered, OfRefund, OrderChange};
use crate::rows::{OrderRow, RowSeq};
use crate::text::{civil_time, joined, write_list};

/// A table that is filled. The first columns are its row's own id; the last are how far the row has come, `life` behind all others.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) id_columns: usize,
    pub(super) columns: &'static [&'static str],
    /// A row never changes within a life.
    pub(super) is_fixed: bool,
}

pub(super) static ORDERS: Table = Table {
    name: "orders",
    id_columns: 1,
    columns: &[
        "order_id",
        "idempotency_key",
        "status",
        "amount_cents",
        "created_at",
        "updated_at",
        "partition_key",
        "hold_id",
        "qty",
        "from_index",
        "to_index",
        "seats",
        "expires_at",
        "cancel_reason",
        "provider_txn_id",
        "slot",
        "seq",
        "life",
    ],
    is_fixed: false,
};

pub(super) static ORDER_VIEW: Table = Table {
    name: "query_order_view",
    id_columns: 1,
    columns: &[
        "order_id",
        "status",
        "amount_cents",
        "provider_txn_id",
        "seat_no",
        "updated_at",
        "slot",
        "seq",
        "life",
    ],
    is_fixed: false,
};

pub(super) static PAYMENTS: Table = Table {
    name: "payments",
    id_columns: 1,
    columns: &[
        "payment_id",
        "order_id",
        "provider_txn_id",
        "status",
        "created_at",
        "updated_at",
        "slot",
        "seq",
        "life",
    ],
    is_fixed: true,
};

pub(super) static TICKETS: Table = Table {
    name: "tickets",
    id_columns: 1,
    columns: &["ticket_id", "order_id", "passenger_name", "seat_no", "created_at", "slot", "seq", "life"],
    is_fixed: true,
};

pub(super) static REFUNDS: Table = Table {
    name: "refunds",
    id_columns: 2,
    columns: &[
        "order_id",
        "provider_txn_id",
        "amount_cents",
        "reason",
        "detail",
        "status",
        "reference",
        "created_at",
        "settled_at",
        "slot",
        "seq",
        "life",
    ],
    is_fixed: false,
};

/// The values of a row, in the order of its table's columns.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Its id, for the order of rows and for whoever looks for it.
    pub(super) id: String,
    pub(super) values: Vec<Value>,
}

/// Rows for all tables.
#[derive(Debug, Default)]
pub(super) struct Rows {
    orders: Vec<Row>,
    order_view: Vec<Row>,
    payments: Vec<Row>,
    tickets: Vec<Row>,
    refunds: Vec<Row>,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        self.tables().map(|(_, rows)| rows.len()).sum()
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = (&'static Table, &[Row])> {
        [
            (&ORDERS, &self.orders[..]),
            (&ORDER_VIEW, &self.order_view),
            (&PAYMENTS, &self.payments),
            (&TICKETS, &self.tickets),
            (&REFUNDS, &self.refunds),
        ]
        .into_iter()
    }

    /// In the order of their ids: transactions that meet lock them in the same order. Changes of one row stay in theirs.
    pub(super) fn sort(&mut self) {
        let Rows { orders, order_view, payments, tickets, refunds } = self;
        for rows in [orders, order_view, payments, tickets, refunds] {
            rows.sort_by(|a, b| a.id.cmp(&b.id));
        }
    }

    /// Adds the rows of a batch. An order that leaves the engine stays in the tables, and histories are not kept in them.
    pub(super) fn add(&mut self, gathered: &Gathered<'_>) {
        for OrderChange { row, payment, ticket, .. } in &gathered.orders {
            if let Some(row) = row {
                self.add_order(&row.into());
            }
            if let Some(payment) = payment {
                let (id, order) = (payment.payment.hyphenated().to_string(), payment.order.to_string());
                self.add_payment(id, &order, payment.txn.as_str(), payment.created_at, payment.seq);
            }
            if let Some(ticket) = ticket {
                let (id, order) = (ticket.ticket.hyphenated().to_string(), ticket.order.to_string());
                self.add_ticket(id, &order, ticket.seats, ticket.created_at, ticket.seq);
            }
        }
        for refund in &gathered.refunds {
            if let OfRefund::Row(row) = refund {
                let refund = row.refund;
                self.add_refund(&RefundFields {
                    order: refund.order.as_str(),
                    txn: refund.txn.as_str(),
                    amount: refund.amount.map(|amount| amount.0),
                    reason: refund.reason,
                    created_at: refund.created_at,
                    settled: refund.settled.as_ref(),
                    seq: row.seq,
                });
            }
        }
    }

    pub(super) fn add_stored_order(&mut self, stored: &StoredOrder) {
        let StoredOrder { order, seq, payment, ticket, .. } = stored;
        self.add_order(&stored.into());
        let id = order.order.to_string();
        if let (Some((payment, at)), Some(txn)) = (payment, &order.txn) {
            self.add_payment(payment.clone(), &id, txn.as_str(), *at, *seq);
        }
        if let Some((ticket, at)) = ticket {
            let seats = order.reservation.as_ref().map_or(&[][..], |reservation| &reservation.seats);
            self.add_ticket(ticket.clone(), &id, seats, *at, *seq);
        }
    }

    pub(super) fn add_stored_refund(&mut self, stored: &StoredRefund) {
        self.add_refund(&RefundFields {
            order: stored.order.as_str(),
            txn: stored.txn.as_str(),
            amount: stored.amount.map(|amount| amount.0),
            reason: stored.reason,
            created_at: stored.created_at,
            settled: stored.settled.as_ref(),
            seq: stored.seq,
        });
    }

    fn add_order(&mut self, order: &OrderFields<'_>) {
        let OrderFields { id, status, amount, updated_at, reservation, txn, seq, .. } = order;
        let is_ticketed = *status == OrderStatus::Ticketed;
        let seat_no = reservation.as_ref().filter(|_| is_ticketed).map(|r| joined(r.seats));
        let reservation = reservation.as_ref();
        let mut values = vec![
            text(id),
            text(order.key),
            text(status.wire_name()),
            Value::Int(*amount),
            time(order.created_at),
            time(*updated_at),
            maybe(reservation, |r| text(r.partition)),
            maybe(reservation, |r| text(r.hold)),
            maybe(reservation, |r| Value::UInt(r.quantity.into())),
            maybe(reservation, |r| Value::UInt(r.from.into())),
            maybe(reservation, |r| Value::UInt(r.to.into())),
            maybe(reservation, |r| list(r.seats)),
            maybe(reservation, |r| time(r.deadline)),
            maybe(order.cancel_reason, |reason| text(reason.wire_name())),
            maybe(*txn, text),
        ];
        values.extend(come_to(*seq));
        self.orders.push(Row { id: id.to_string(), values });
        let mut values = vec![
            text(id),
            text(status.wire_name()),
            Value::Int(*amount),
            maybe(*txn, text),
            maybe(seat_no.as_deref(), text),
            time(*updated_at),
        ];
        values.extend(come_to(*seq));
        self.order_view.push(Row { id: id.to_string(), values });
    }

    fn add_payment(&mut self, id: String, order: &str, txn: &str, at: Time, seq: RowSeq) {
        let mut values = vec![text(&id), text(order), text(txn), text("SUCCESS"), time(at), time(at)];
        values.extend(come_to(seq));
        self.payments.push(Row { id, values });
    }

    /// The seats are in the old system's column as well.
    fn add_ticket(&mut self, id: String, order: &str, seats: &[Text], at: Time, seq: RowSeq) {
        let seats = joined(seats);
        let mut values = vec![text(&id), text(order), text(&seats), text(&seats), time(at)];
        values.extend(come_to(seq));
        self.tickets.push(Row { id, values });
    }

    fn add_refund(&mut self, refund: &RefundFields<'_>) {
        let RefundFields { order, txn, amount, reason, created_at, settled, seq } = refund;
        let mut values = vec![
            text(order),
            text(txn),
            maybe(*amount, Value::Int),
            text(reason.wire_name()),
            maybe(Some(reason.detail()).filter(|detail| !detail.is_empty()), text),
            text(if settled.is_some() { "SETTLED" } else { "REQUIRED" }),
            maybe(*settled, |settled| text(settled.reference.as_str())),
            time(*created_at),
            maybe(*settled, |settled| time(settled.at)),
        ];
        values.extend(come_to(*seq));
        self.refunds.push(Row { id: format!("{order} {txn}"), values });
    }
}

/// An order, wherever it comes from.
struct OrderFields<'a> {
    id: Cow<'a, str>,
    key: &'a str,
    status: OrderStatus,
    amount: i64,
    created_at: Time,
    updated_at: Time,
    reservation: Option<ReservationFields<'a>>,
    cancel_reason: Option<CancelReason>,
    txn: Option<&'a str>,
    seq: RowSeq,
}

struct ReservationFields<'a> {
    partition: &'a str,
    hold: &'a str,
    quantity: u32,
    from: u16,
    to: u16,
    seats: &'a [Text],
    deadline: Time,
}

struct RefundFields<'a> {
    order: &'a str,
    txn: &'a str,
    amount: Option<i64>,
    reason: RefundReason,
    created_at: Time,
    settled: Option<&'a Settlement>,
    seq: RowSeq,
}

impl<'a> From<&'a OrderRow<'a>> for OrderFields<'a> {
    fn from(row: &'a OrderRow<'a>) -> OrderFields<'a> {
        let Order { order, key, status, amount, created_at, reservation, cancel_reason, txn, .. } = row.order;
        OrderFields {
            id: order.to_string().into(),
            key: key.name().as_str(),
            status: *status,
            amount: amount.0,
            created_at: *created_at,
            updated_at: row.updated_at,
            reservation: reservation.as_ref().map(|reservation| {
                let Reservation { partition, hold, quantity, from, to, labels, deadline, .. } = reservation;
                ReservationFields {
                    partition: partition.as_str(),
                    hold: hold.as_str(),
                    quantity: *quantity,
                    from: *from,
                    to: *to,
                    seats: labels,
                    deadline: *deadline,
                }
            }),
            cancel_reason: *cancel_reason,
            txn: txn.as_ref().map(|txn| txn.as_str()),
            seq: row.seq,
        }
    }
}

impl<'a> From<&'a StoredOrder> for OrderFields<'a> {
    fn from(stored: &'a StoredOrder) -> OrderFields<'a> {
        let OrderView { order, key, status, amount, created_at, updated_at, .. } = &stored.order;
        OrderFields {
            id: order.to_string().into(),
            key: key.as_str(),
            status: *status,
            amount: amount.0,
            created_at: *created_at,
            updated_at: *updated_at,
            reservation: stored.order.reservation.as_ref().map(|reservation| {
                let ReservationView { partition, hold, quantity, from, to, seats, expires_at } = reservation;
                ReservationFields {
                    partition: partition.as_str(),
                    hold: hold.as_str(),
                    quantity: *quantity,
                    from: *from,
                    to: *to,
                    seats,
                    deadline: *expires_at,
                }
            }),
            cancel_reason: stored.order.cancel_reason,
            txn: stored.order.txn.as_ref().map(|txn| txn.as_str()),
            seq: stored.seq,
        }
    }
}

fn come_to(RowSeq { life, slot, seq }: RowSeq) -> [Value; 3] {
    [Value::UInt(slot.get().into()), Value::UInt(seq), Value::UInt(life)]
}

pub(super) fn text(text: &str) -> Value {
    Value::Bytes(text.as_bytes().to_vec())
}

fn maybe<T>(value: Option<T>, as_value: impl FnOnce(T) -> Value) -> Value {
    value.map_or(Value::NULL, as_value)
}

fn list(texts: &[Text]) -> Value {
    let mut out = String::new();
    write_list(&mut out, texts);
    Value::Bytes(out.into_bytes())
}

/// UTC, with milliseconds.
fn time(at: Time) -> Value {
    let at = civil_time(at);
    let micros = at.subsec_nanosecond().unsigned_abs() / 1_000;
    let [month, day, hour, minute, second] =
        [at.month(), at.day(), at.hour(), at.minute(), at.second()].map(i8::unsigned_abs);
    Value::Date(at.year().unsigned_abs(), month, day, hour, minute, second, micros)
}
