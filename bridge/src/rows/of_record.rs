//! The rows of one record.

use engine::ids::OrderId;
use engine::read_model::HistoryPosition;
use engine::record::{
    Body, ExpiredHold, HoldRow, OrderRow as Order, Record, RefundRow as Refund, ReleaseReason,
};
use engine::status::{CancelReason, HoldStatus};

use super::{Change, EventRow, LeftRow, OrderRow, PaymentRow, RefundRow, RowSeq, TicketRow};
use crate::ids::{OfOrder, Origin, id_of};

/// The changes of tables by a record; none for records that only the engine needs, and for holds that no order owns.
#[must_use]
pub fn of_record(origin: Origin, record: &Record) -> Vec<Change<'_>> {
    let from = From { origin, record };
    match &record.body {
        Body::HoldMade(hold)
        | Body::HoldAdopted(hold)
        | Body::HoldConfirmed(hold)
        | Body::HoldReleased(hold) => from.hold(0, hold),
        Body::HoldsExpired(rows) => indexed(rows).flat_map(|(index, row)| from.expired(index, row)).collect(),
        Body::OrderCreated(order) | Body::OrderReserved(order) | Body::OrderCancelled(order) => {
            from.order(0, order)
        }
        Body::OrderPaid(order) => from.paid(order),
        Body::OrderTicketed(order) => from.ticketed(order),
        Body::OrdersAbandoned(orders) => {
            indexed(orders).flat_map(|(index, order)| from.order(index, order)).collect()
        }
        Body::PurchaseMade(row) | Body::PurchasePaid(row) | Body::PurchaseCancelled(row) => {
            from.purchase(0, &row.order, &row.hold)
        }
        Body::OrdersForgotten { orders } => {
            orders.iter().map(|order| Change::OrderLeft(*order, from.leaving())).collect()
        }
        Body::RefundOwed(refund) | Body::RefundSettled(refund) => from.refund(refund),
        Body::RefundsForgotten { numbers } => {
            numbers.iter().map(|number| Change::RefundLeft(*number, from.leaving())).collect()
        }
        Body::PartitionForgotten { partition } => vec![Change::PartitionLeft(partition, record.time)],
        Body::PartitionOpened(_)
        | Body::HoldsForgotten { .. }
        | Body::TxnClaimed { .. }
        | Body::ClaimForgotten { .. }
        | Body::OrderKept { .. }
        | Body::OrderLeaving { .. }
        | Body::TellsAcked { .. } => Vec::new(),
    }
}

fn indexed<T>(items: &[T]) -> impl Iterator<Item = (u32, &T)> {
    (0..).zip(items)
}

#[derive(Clone, Copy)]
struct From<'a> {
    origin: Origin,
    record: &'a Record,
}

impl<'a> From<'a> {
    fn seq(self) -> RowSeq {
        RowSeq { life: self.origin.life, slot: self.record.slot, seq: self.record.seq }
    }

    fn leaving(self) -> LeftRow {
        LeftRow { at: self.record.time, seq: self.seq() }
    }

    fn event(self, index: u32) -> EventRow<'a> {
        let Record { slot, seq, time, .. } = *self.record;
        EventRow {
            life: self.origin.life,
            position: HistoryPosition { time, slot, seq, index },
            kind: self.record.body.kind().wire_name(),
            partition: None,
            hold: None,
            order: None,
            quantity: None,
            seats: &[],
            from: None,
            to: None,
            reason: None,
            trace: &self.record.trace,
        }
    }

    /// An owned hold stands in the history of its order and of its run; one that nobody owns counts once it is sold.
    fn hold(self, index: u32, hold: &'a HoldRow) -> Vec<Change<'a>> {
        self.hold_for(index, hold, hold.release_reason.map(ReleaseReason::wire_name))
    }

    fn hold_for(self, index: u32, hold: &'a HoldRow, reason: Option<&'static str>) -> Vec<Change<'a>> {
        if hold.owner.is_none() && hold.status != HoldStatus::Confirmed {
            return Vec::new();
        }
        let event = EventRow {
            partition: Some(&hold.partition),
            hold: Some(&hold.hold),
            order: hold.owner,
            quantity: Some(hold.quantity),
            seats: &hold.labels,
            from: Some(hold.from),
            to: Some(hold.to),
            reason,
            ..self.event(index)
        };
        let of_order = hold.owner.map(|order| Change::OrderEvent(order, event.clone()));
        of_order.into_iter().chain([Change::RunEvent(&hold.partition, event)]).collect()
    }

    fn order(self, index: u32, order: &'a Order) -> Vec<Change<'a>> {
        let reservation = order.reservation.as_ref();
        let event = EventRow {
            partition: reservation.map(|r| &r.partition),
            hold: reservation.map(|r| &r.hold),
            order: Some(order.order),
            quantity: reservation.map(|r| r.quantity),
            seats: reservation.map_or(&[], |r| &r.labels),
            from: reservation.map(|r| r.from),
            to: reservation.map(|r| r.to),
            reason: order.cancel_reason.map(CancelReason::wire_name),
            ..self.event(index)
        };
        vec![self.order_row(order), Change::OrderEvent(order.order, event)]
    }

    fn order_row(self, order: &'a Order) -> Change<'a> {
        Change::Order(OrderRow { order, updated_at: self.record.time, seq: self.seq() })
    }

    fn paid(self, order: &'a Order) -> Vec<Change<'a>> {
        let mut changes = self.order(0, order);
        changes.extend(self.payment(order));
        changes
    }

    fn payment(self, order: &'a Order) -> Option<Change<'a>> {
        let txn = order.txn.as_ref()?;
        Some(Change::Payment(PaymentRow {
            payment: id_of(self.origin.directory, OfOrder::Payment, order.order),
            order: order.order,
            txn,
            created_at: self.record.time,
            seq: self.seq(),
        }))
    }

    /// One event in each history: what happens to the hold happens to the order.
    fn expired(self, index: u32, row: &'a ExpiredHold) -> Vec<Change<'a>> {
        match &row.purchase {
            None => self.hold(index, &row.hold),
            Some(order) => self.purchase(index, order, &row.hold),
        }
    }

    fn purchase(self, index: u32, order: &'a Order, hold: &'a HoldRow) -> Vec<Change<'a>> {
        let mut changes = self.hold_for(index, hold, order.cancel_reason.map(CancelReason::wire_name));
        changes.push(self.order_row(order));
        changes.extend(self.payment(order));
        changes
    }

    fn ticketed(self, order: &'a Order) -> Vec<Change<'a>> {
        let mut changes = self.order(0, order);
        changes.push(Change::Ticket(TicketRow {
            ticket: id_of(self.origin.directory, OfOrder::Ticket, order.order),
            order: order.order,
            seats: order.reservation.as_ref().map_or(&[], |r| &r.labels),
            created_at: self.record.time,
            seq: self.seq(),
        }));
        changes
    }

    /// Money for an order that nobody knows is in no order's history.
    fn refund(self, refund: &'a Refund) -> Vec<Change<'a>> {
        let row = Change::Refund(RefundRow { refund, seq: self.seq() });
        let is_matched = !refund.reason.is_unmatched();
        let order = OrderId::parse(refund.order.as_str()).filter(|_| is_matched);
        let event = order.map(|order| {
            let reason = Some(refund.reason.wire_name());
            Change::OrderEvent(order, EventRow { order: Some(order), reason, ..self.event(0) })
        });
        [row].into_iter().chain(event).collect()
    }
}
