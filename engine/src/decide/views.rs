//! The state as answers show it.

use allocator::{Layout, Span};

use super::{Context, sale};
use crate::answer::{
    ClassView, HoldView, OrderView, PartitionView, RefundStatus, RefundView, ReservationView,
};
use crate::command::RefundCursor;
use crate::ids::{HoldId, PartitionKey};
use crate::record::RefundRow;
use crate::state::{Hold, Order, Partition, Slot};
use crate::text::Text;

pub(super) fn partition(
    key: &PartitionKey,
    p: &Partition,
    cx: &Context<'_>,
    span: Span,
    id: &HoldId,
    hold: &Hold,
) -> PartitionView {
    PartitionView {
        partition: key.clone(),
        capacity: p.inventory().seats(),
        available: sale::available(p, cx, span),
        confirmed: p.inventory().sold(span),
        last_seq: p.seq(),
        hold: HoldView {
            hold: id.clone(),
            quantity: hold.quantity,
            status: hold.status,
            seats: p.labels(&hold.seats),
            expires_at: hold.deadline,
        },
    }
}

pub(super) fn class(partition: PartitionKey, layout: &Layout, available: u32) -> ClassView {
    let coaches = layout.coaches().map(|(number, seats)| (Text::from(number.as_ref()), seats)).collect();
    ClassView { partition, capacity: layout.seats(), available, coaches }
}

pub(super) fn order(slot: &Slot, order: &Order) -> OrderView {
    let row = &order.row;
    OrderView {
        order: row.order,
        key: row.key.name().clone(),
        status: row.status,
        amount: row.amount,
        created_at: row.created_at,
        updated_at: order.updated_at,
        reservation: row.reservation.as_ref().map(|r| ReservationView {
            partition: r.partition.clone(),
            hold: r.hold.clone(),
            quantity: r.quantity,
            from: r.from,
            to: r.to,
            seats: r.labels.clone(),
            expires_at: r.deadline,
        }),
        cancel_reason: row.cancel_reason,
        txn: row.txn.clone(),
        refund: if slot.refunds().is_empty() { None } else { slot.refunds().status(&row.order.name()) },
    }
}

pub(super) fn refund(slot: &Slot, row: &RefundRow) -> RefundView {
    RefundView {
        cursor: RefundCursor { slot: slot.id(), number: row.number },
        order: row.order.clone(),
        txn: row.txn.clone(),
        amount: row.amount,
        reason: row.reason,
        status: if row.settled.is_some() { RefundStatus::Settled } else { RefundStatus::Required },
        created_at: row.created_at,
        settled: row.settled.clone(),
    }
}
