//! Facts in the slot of their order. A fact means the same however often it comes.

use super::orders::{cancelled, paid, reserved};
use super::{Context, inventory};
use crate::command::{ExpectedHold, Pay};
use crate::ids::{HoldId, OrderId, PartitionKey, TxnId};
use crate::message::Fact;
use crate::record::{Body, ReleaseReason};
use crate::state::{Order, Slot};
use crate::status::{CancelReason, HoldStatus, OrderStatus};

/// The step that follows from a fact.
#[derive(Clone, PartialEq, Debug)]
pub enum FactStep {
    /// Log and apply this; the fact is then settled.
    Append(Body),
    /// Recorded already, or nothing follows from it. `accepted` is false where the order does not want the hold.
    Settled { accepted: bool },
    /// Money that its order must account for: an operation of its own, with the transaction id claimed.
    Pay(Pay),
    /// The end of a hold whose beginning is still on its way: to be told again.
    Early,
}

#[must_use]
pub fn decide_fact(slot: &Slot, fact: &Fact) -> FactStep {
    match fact {
        Fact::TxnClaimed { order, txn, .. } => return claimed(slot, *order, txn),
        Fact::OrderLeaves { order, txn } => {
            let forgotten = claim_forgotten(slot, *order, txn);
            return forgotten.map_or(FactStep::Settled { accepted: true }, FactStep::Append);
        }
        _ => {}
    }
    let Some(order) = slot.orders().get(fact.order()) else {
        return FactStep::Settled { accepted: false };
    };
    match fact {
        Fact::HoldMade { reservation, .. } => {
            let known = order.row.reservation.as_ref().filter(|known| {
                (&known.partition, &known.hold, known.identity())
                    == (&reservation.partition, &reservation.hold, reservation.identity())
            });
            if known.is_some() {
                FactStep::Settled { accepted: true }
            } else if order.row.status == OrderStatus::Init {
                FactStep::Append(reserved(order, reservation))
            } else {
                FactStep::Settled { accepted: false }
            }
        }
        Fact::HoldReleased { partition, hold, made, .. } => {
            ended(order, partition, hold, *made, || cancelled(order, CancelReason::Requested))
        }
        Fact::HoldExpired { partition, hold, made, .. } => {
            ended(order, partition, hold, *made, || cancelled(order, CancelReason::HoldExpired))
        }
        Fact::HoldConfirmed { partition, hold, made, txn, .. } => {
            ended(order, partition, hold, *made, || paid(order, txn))
        }
        Fact::SeatsKept { kept, .. } => match &order.row.reservation {
            Some(own) if own.ends_at.is_none() && order.row.status == OrderStatus::Ticketed => {
                FactStep::Append(Body::OrderKept { order: order.row.order, kept: *kept })
            }
            _ => FactStep::Settled { accepted: true },
        },
        Fact::TxnClaimed { .. } | Fact::OrderLeaves { .. } => unreachable!("seen to above"),
    }
}

/// In the slot of the transaction id: the claim of an order that leaves, or has left, goes with its tell.
fn claim_forgotten(slot: &Slot, order: OrderId, txn: &TxnId) -> Option<Body> {
    if slot.claim(txn) != Some(order) {
        return None;
    }
    let mut tells = slot.outbox().values();
    let own = tells.find(
        |tell| matches!(&tell.fact, Fact::TxnClaimed { order: of, txn: id, .. } if *of == order && id == txn),
    );
    Some(Body::ClaimForgotten { txn: txn.clone(), order, tell: own.map(|tell| tell.id) })
}

/// Money that came for an order. Where that one has left, and the money is owed back, its claim is wanted no more.
fn claimed(slot: &Slot, id: OrderId, txn: &TxnId) -> FactStep {
    let name = id.name();
    let order = slot.orders().get(id);
    let has_paid = order.is_some_and(|order| order.row.txn.as_ref() == Some(txn));
    if has_paid || slot.refunds().get(&name, txn).is_some() {
        FactStep::Settled { accepted: order.is_some() }
    } else {
        FactStep::Pay(Pay {
            order: name,
            txn: txn.clone(),
            expected: ExpectedHold::default(),
            verified: true,
            looked_up: None,
        })
    }
}

fn owns(order: &Order, partition: &PartitionKey, hold: &HoldId, made: u64) -> bool {
    let own = order.row.reservation.as_ref();
    own.is_some_and(|r| r.partition == *partition && r.hold == *hold && r.made == made)
}

/// The hold of a RESERVED order has come to its end. An INIT order has not yet heard of its beginning: that one stays in the
/// same outbox until it has.
fn ended(
    order: &Order,
    partition: &PartitionKey,
    hold: &HoldId,
    made: u64,
    body: impl FnOnce() -> Body,
) -> FactStep {
    if order.row.status == OrderStatus::Reserved && owns(order, partition, hold, made) {
        FactStep::Append(body())
    } else if order.row.status == OrderStatus::Init {
        FactStep::Early
    } else {
        FactStep::Settled { accepted: true }
    }
}

/// The order does not want what a fact of this slot told it: a hold made for it is given back, the claim of one that has left goes.
#[must_use]
pub fn decide_declined(slot: &Slot, cx: &Context<'_>, fact: &Fact) -> Option<Body> {
    let (order, reservation) = match fact {
        Fact::HoldMade { order, reservation } => (order, reservation),
        Fact::TxnClaimed { order, txn, .. } => return claim_forgotten(slot, *order, txn),
        _ => return None,
    };
    let p = slot.partitions().get(&reservation.partition)?;
    let hold = p.hold(&reservation.hold)?;
    let is_that = hold.owner == Some(*order) && hold.identity() == reservation.identity();
    (hold.status == HoldStatus::Held && is_that).then(|| {
        let row = p.next_row(&reservation.partition, &reservation.hold, hold);
        Body::HoldReleased(inventory::released(cx, row, ReleaseReason::Declined))
    })
}
