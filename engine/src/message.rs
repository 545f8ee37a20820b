//! Messages between slots: asks, facts, and tells that carry facts.
//!
//! An [`Ask`] is a request and is forgotten by a crash, like a client's. A [`Fact`] is the outcome of a record: it
//! stands in the outbox of the slot that recorded it, is told again until the receiver has recorded what follows
//! from it, and means the same however often and in whatever order it arrives.

use crate::command::Reserve;
use crate::ids::{HoldId, OrderId, PartitionKey, SlotId, Time, TxnId};
use crate::record::{GoesBack, Kept, Reservation, TellId};
use crate::slots::SlotHash;

/// A request of an order's slot to another one, for an operation under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ask {
    /// Of the partition: hold these seats for the order.
    Hold(Reserve),
    /// Of the partition: give the order's hold back.
    Release(OrderHold),
    /// Of the partition: the order is paid, unless its hold has expired.
    Confirm { hold: OrderHold, txn: TxnId },
    /// Of the partition: what became of the order's hold, whose deadline has passed?
    Settle(OrderHold),
    /// Of the partition: how long are the order's seats kept?
    Keep(OrderHold),
    /// Of the transaction id: is it this order's? `goes_back`: nothing waits for the money.
    Claim { txn: TxnId, order: OrderId, goes_back: Option<GoesBack> },
    /// Of the transaction id: is it still this order's? It does not become so by that.
    IsClaimed { txn: TxnId, order: OrderId },
}

/// A hold and the order that owns it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderHold {
    pub order: OrderId,
    pub partition: PartitionKey,
    pub hold: HoldId,
    pub identity: HoldIdentity,
}

/// Identity of a hold: it tells it from every other hold of its id, in its partition and in those that had its key before.
///
/// Two are the same where they were made alike; of two that version 1 made, where they end alike.
#[derive(Clone, Copy, Debug)]
pub struct HoldIdentity {
    /// The partition's sequence at its making; 0 where version 1 made it.
    pub made: u64,
    pub deadline: Time,
}

impl PartialEq for HoldIdentity {
    fn eq(&self, other: &HoldIdentity) -> bool {
        self.made == other.made && (self.made != 0 || self.deadline == other.deadline)
    }
}
impl Eq for HoldIdentity {}

impl Ask {
    #[must_use]
    pub fn slot(&self, hash: &SlotHash) -> SlotId {
        match self {
            Ask::Hold(r) => hash.partition(&r.seats.partition),
            Ask::Release(h) | Ask::Settle(h) | Ask::Keep(h) | Ask::Confirm { hold: h, .. } => {
                hash.partition(&h.partition)
            }
            Ask::Claim { txn, .. } | Ask::IsClaimed { txn, .. } => hash.txn(txn),
        }
    }
}

/// The outcome of a record, which an order's slot must learn, or the slot of its transaction id. `made` is the hold's, as in its row.
#[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Fact {
    HoldMade {
        order: OrderId,
        reservation: Reservation,
    },
    HoldReleased {
        order: OrderId,
        partition: PartitionKey,
        hold: HoldId,
        made: u64,
    },
    HoldExpired {
        order: OrderId,
        partition: PartitionKey,
        hold: HoldId,
        made: u64,
    },
    HoldConfirmed {
        order: OrderId,
        partition: PartitionKey,
        hold: HoldId,
        made: u64,
        txn: TxnId,
    },
    /// `goes_back`: what is owed, should its order have left when it hears of this.
    TxnClaimed {
        order: OrderId,
        txn: TxnId,
        goes_back: Option<GoesBack>,
    },
    /// The order leaves: nobody asks for the claim of its transaction id any more.
    OrderLeaves {
        order: OrderId,
        txn: TxnId,
    },
    /// Only an answer, and never told.
    SeatsKept {
        order: OrderId,
        kept: Kept,
    },
}

impl Fact {
    /// The slot that must learn it: its order's, or that of the transaction id.
    #[must_use]
    pub fn slot(&self, hash: &SlotHash) -> SlotId {
        match self {
            Fact::OrderLeaves { txn, .. } => hash.txn(txn),
            _ => self.order().slot(),
        }
    }

    /// The order it is about.
    #[must_use]
    pub const fn order(&self) -> OrderId {
        match self {
            Fact::HoldMade { order, .. }
            | Fact::HoldReleased { order, .. }
            | Fact::HoldExpired { order, .. }
            | Fact::HoldConfirmed { order, .. }
            | Fact::TxnClaimed { order, .. }
            | Fact::OrderLeaves { order, .. }
            | Fact::SeatsKept { order, .. } => *order,
        }
    }

    /// The refund that is owed of the money that it tells of, should its order have left.
    #[must_use]
    pub const fn goes_back(&self) -> Option<GoesBack> {
        match self {
            Fact::TxnClaimed { goes_back, .. } => *goes_back,
            _ => None,
        }
    }

    /// The hold it is about.
    #[must_use]
    pub const fn hold(&self) -> Option<(&PartitionKey, &HoldId)> {
        match self {
            Fact::HoldMade { reservation, .. } => Some((&reservation.partition, &reservation.hold)),
            Fact::HoldReleased { partition, hold, .. }
            | Fact::HoldExpired { partition, hold, .. }
            | Fact::HoldConfirmed { partition, hold, .. } => Some((partition, hold)),
            Fact::TxnClaimed { .. } | Fact::OrderLeaves { .. } | Fact::SeatsKept { .. } => None,
        }
    }
}

/// A fact on its way, from the outbox of the slot that recorded it.
#[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Tell {
    pub id: TellId,
    pub since: Time,
    pub fact: Fact,
}

/// Tells waiting for their receivers, in the order they were recorded.
pub type Outbox = alloc::collections::BTreeMap<TellId, Tell>;
