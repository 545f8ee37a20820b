//! The changes of one batch, brought together: an order's row is written once, however often it changed.

use std::collections::HashMap;

use engine::ids::{OrderId, PartitionKey, Time};

use super::{Change, EventRow, LeftRow, OrderRow, PaymentRow, RefundRow, TicketRow};

/// All of one life. Orders stand where they were named first, and others name them by their place.
#[derive(Default)]
pub(crate) struct Gathered<'a> {
    pub(crate) orders: Vec<OrderChange<'a>>,
    pub(crate) left: Vec<(OrderId, LeftRow)>,
    pub(crate) refunds: Vec<OfRefund<'a>>,
    pub(crate) partitions_left: Vec<(&'a PartitionKey, Time)>,
    pub(crate) order_events: Vec<(usize, EventRow<'a>)>,
    pub(crate) run_events: Vec<(&'a PartitionKey, Option<usize>, EventRow<'a>)>,
    places: HashMap<OrderId, usize>,
}

/// The last row of an order, and what it has once. Nothing of them: only events name it.
pub(crate) struct OrderChange<'a> {
    pub(crate) id: OrderId,
    pub(crate) row: Option<OrderRow<'a>>,
    pub(crate) payment: Option<PaymentRow<'a>>,
    pub(crate) ticket: Option<TicketRow<'a>>,
}

pub(crate) enum OfRefund<'a> {
    Row(RefundRow<'a>),
    /// By its number.
    Left(u64, LeftRow),
}

impl<'a> Gathered<'a> {
    pub(crate) fn add(&mut self, change: Change<'a>) {
        match change {
            Change::Order(row) => {
                let known = &mut self.order(row.order.order).row;
                if known.as_ref().is_none_or(|known| known.seq.seq < row.seq.seq) {
                    *known = Some(row);
                }
            }
            Change::Payment(row) => _ = self.order(row.order).payment.get_or_insert(row),
            Change::Ticket(row) => _ = self.order(row.order).ticket.get_or_insert(row),
            Change::Refund(row) => self.refunds.push(OfRefund::Row(row)),
            Change::OrderLeft(order, row) => self.left.push((order, row)),
            Change::PartitionLeft(partition, at) => self.partitions_left.push((partition, at)),
            Change::RefundLeft(number, row) => self.refunds.push(OfRefund::Left(number, row)),
            Change::OrderEvent(order, row) => {
                let order = self.place(order);
                self.order_events.push((order, row));
            }
            Change::RunEvent(partition, row) => {
                let order = row.order.map(|order| self.place(order));
                self.run_events.push((partition, order, row));
            }
        }
    }

    fn order(&mut self, id: OrderId) -> &mut OrderChange<'a> {
        let place = self.place(id);
        &mut self.orders[place]
    }

    fn place(&mut self, id: OrderId) -> usize {
        *self.places.entry(id).or_insert_with(|| {
            self.orders.push(OrderChange { id, row: None, payment: None, ticket: None });
            self.orders.len() - 1
        })
    }
}
