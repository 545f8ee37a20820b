//! Estimates of the memory that things take. Limits are kept by them, and nothing else is decided.
//!
//! The estimates are from above, maps and shared texts included. An archived slot is always smaller.

use allocator::Inventory;

use super::{Hold, Order};
use crate::ids::{HoldId, OrderKey, OrderName, TxnId};
use crate::record::{RefundRow, Reservation};

const HOLD_BYTES: usize = 256;
const SEAT_BYTES: usize = 4;
pub(super) const ORDER_BYTES: usize = 640;
const LABEL_BYTES: usize = 40;
const PARTITION_BYTES: usize = 1_024;
const CLAIM_BYTES: usize = 160;
const REFUND_BYTES: usize = 512;
/// A tell repeats what its hold or order says.
pub(super) const TELL_BYTES: usize = 512;

pub(super) fn hold(id: &HoldId, hold: &Hold) -> usize {
    let txn = hold.txn.as_ref().map_or(0, |txn| txn.as_str().len());
    HOLD_BYTES + 2 * id.as_str().len() + SEAT_BYTES * hold.seats.len() + txn
}

pub(super) fn order(order: &Order) -> usize {
    let row = &order.row;
    let txn = row.txn.as_ref().map_or(0, |txn| txn.as_str().len());
    ORDER_BYTES + 2 * key(&row.key) + txn + row.reservation.as_ref().map_or(0, reservation)
}

fn key(key: &OrderKey) -> usize {
    match key {
        OrderKey::Plain(name) => name.as_str().len(),
        OrderKey::OfRun { run, key } => run.as_str().len() + key.as_str().len(),
    }
}

fn reservation(reservation: &Reservation) -> usize {
    let ids = reservation.partition.as_str().len() + reservation.hold.as_str().len();
    ids + reservation.labels.iter().map(|label| LABEL_BYTES + label.as_str().len()).sum::<usize>()
}

/// Bitmaps of what is taken and of what is sold, and the definition.
pub(super) fn partition(inventory: &Inventory, stops: usize) -> usize {
    let bitmaps = 2 * usize::from(inventory.segments()) * (inventory.seats() as usize).div_ceil(8);
    bitmaps + definition(inventory, stops)
}

/// Labels and stops.
pub(super) fn definition(inventory: &Inventory, stops: usize) -> usize {
    PARTITION_BYTES + 128 * (stops + inventory.layout().coaches().take(MANY_COACHES).count())
}

/// Ad hoc coaches are counted, not stored.
const MANY_COACHES: usize = 64;

pub(super) fn claim(txn: &TxnId) -> usize {
    CLAIM_BYTES + txn.as_str().len()
}

pub(super) fn refund(order: &OrderName, row: &RefundRow) -> usize {
    REFUND_BYTES + 2 * (order.as_str().len() + row.txn.as_str().len())
}
