//! The rows of a whole slot: the initial copy. What its history was is not known, so there is none.

use engine::state::{Order, Slot};
use engine::status::OrderStatus;

use super::{Change, OrderRow, PaymentRow, RefundRow, RowSeq, TicketRow};
use crate::ids::{OfOrder, Origin, id_of};

/// The rows of everything that the slot has, as of its sequence.
pub fn of_slot(origin: Origin, slot: &Slot) -> impl Iterator<Item = Change<'_>> {
    let seq = RowSeq { life: origin.life, slot: slot.id(), seq: slot.seq() };
    let orders = slot.orders().iter().flat_map(move |order| of_order(origin, seq, order));
    let refunds = slot.refunds().after(0).map(move |refund| Change::Refund(RefundRow { refund, seq }));
    orders.chain(refunds)
}

fn of_order(origin: Origin, seq: RowSeq, order: &Order) -> impl Iterator<Item = Change<'_>> {
    let Order { row, updated_at, .. } = order;
    let id = row.order;
    let payment = row.txn.as_ref().map(|txn| {
        let payment = id_of(origin.directory, OfOrder::Payment, id);
        Change::Payment(PaymentRow { payment, order: id, txn, created_at: *updated_at, seq })
    });
    let ticket = (row.status == OrderStatus::Ticketed).then(|| {
        let seats = row.reservation.as_ref().map_or(&[][..], |r| &r.labels);
        let ticket = id_of(origin.directory, OfOrder::Ticket, id);
        Change::Ticket(TicketRow { ticket, order: id, seats, created_at: *updated_at, seq })
    });
    let row = Change::Order(OrderRow { order: row, updated_at: *updated_at, seq });
    [row].into_iter().chain(payment).chain(ticket)
}
