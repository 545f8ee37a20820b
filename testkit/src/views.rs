//! Views as the read model shows them, made from records' rows.

use engine::answer::{OrderView, ReservationView};
use engine::ids::Time;
use engine::record::OrderRow;

/// An order that nothing is owed for.
#[must_use]
pub fn order(row: &OrderRow, updated_at: Time) -> OrderView {
    let reservation = row.reservation.as_ref().map(|r| ReservationView {
        partition: r.partition.clone(),
        hold: r.hold.clone(),
        quantity: r.quantity,
        from: r.from,
        to: r.to,
        seats: r.labels.clone(),
        expires_at: r.deadline,
    });
    OrderView {
        order: row.order,
        key: row.key.name().clone(),
        status: row.status,
        amount: row.amount,
        created_at: row.created_at,
        updated_at,
        reservation,
        cancel_reason: row.cancel_reason,
        txn: row.txn.clone(),
        refund: None,
    }
}
