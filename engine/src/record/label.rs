//! The label of a record: what it is about, told by one byte in front of it. Who follows the log passes over what he does not want
//! without decoding it.

use alloc::format;

use super::{Body, DecodeError, HoldRow, RECORD_VERSION, Record, unknown_version, versioned};

/// Set in the byte of a record that is about an order, or about a hold that an order owns.
const OF_ORDER: u8 = 0x80;

/// The kind of a record. Its number is in the log: it never changes, and none is used again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
pub enum Kind {
    PartitionOpened = 1,
    PartitionForgotten = 2,
    HoldMade = 3,
    HoldAdopted = 4,
    HoldConfirmed = 5,
    HoldReleased = 6,
    HoldsExpired = 7,
    HoldsForgotten = 8,
    OrderCreated = 9,
    OrderReserved = 10,
    OrderPaid = 11,
    OrderTicketed = 12,
    OrderCancelled = 13,
    OrdersAbandoned = 14,
    TxnClaimed = 15,
    RefundOwed = 16,
    RefundSettled = 17,
    TellsAcked = 18,
    OrderKept = 19,
    OrderLeaving = 20,
    OrdersForgotten = 21,
    ClaimForgotten = 22,
    RefundsForgotten = 23,
    PurchaseMade = 24,
    PurchasePaid = 25,
    PurchaseCancelled = 26,
}

impl Kind {
    pub const ALL: [Kind; 26] = [
        Kind::PartitionOpened,
        Kind::PartitionForgotten,
        Kind::HoldMade,
        Kind::HoldAdopted,
        Kind::HoldConfirmed,
        Kind::HoldReleased,
        Kind::HoldsExpired,
        Kind::HoldsForgotten,
        Kind::OrderCreated,
        Kind::OrderReserved,
        Kind::OrderPaid,
        Kind::OrderTicketed,
        Kind::OrderCancelled,
        Kind::OrdersAbandoned,
        Kind::TxnClaimed,
        Kind::RefundOwed,
        Kind::RefundSettled,
        Kind::TellsAcked,
        Kind::OrderKept,
        Kind::OrderLeaving,
        Kind::OrdersForgotten,
        Kind::ClaimForgotten,
        Kind::RefundsForgotten,
        Kind::PurchaseMade,
        Kind::PurchasePaid,
        Kind::PurchaseCancelled,
    ];

    /// As the log's dump, histories and metrics name it.
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            Kind::PartitionOpened => "partition_opened",
            Kind::PartitionForgotten => "partition_forgotten",
            Kind::HoldMade => "hold_made",
            Kind::HoldAdopted => "hold_adopted",
            Kind::HoldConfirmed => "hold_confirmed",
            Kind::HoldReleased => "hold_released",
            Kind::HoldsExpired => "holds_expired",
            Kind::HoldsForgotten => "holds_forgotten",
            Kind::OrderCreated => "order_created",
            Kind::OrderReserved => "order_reserved",
            Kind::OrderPaid => "order_paid",
            Kind::OrderTicketed => "order_ticketed",
            Kind::OrderCancelled => "order_cancelled",
            Kind::OrdersAbandoned => "orders_abandoned",
            Kind::TxnClaimed => "txn_claimed",
            Kind::RefundOwed => "refund_owed",
            Kind::RefundSettled => "refund_settled",
            Kind::TellsAcked => "tells_acked",
            Kind::OrderKept => "order_kept",
            Kind::OrderLeaving => "order_leaving",
            Kind::OrdersForgotten => "orders_forgotten",
            Kind::ClaimForgotten => "claim_forgotten",
            Kind::RefundsForgotten => "refunds_forgotten",
            Kind::PurchaseMade => "purchase_made",
            Kind::PurchasePaid => "purchase_paid",
            Kind::PurchaseCancelled => "purchase_cancelled",
        }
    }
}

/// The label of a record: what it is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    pub kind: Kind,
    /// It is about an order, or about a hold that an order owns.
    pub is_of_order: bool,
}

impl Label {
    pub(super) const fn byte(self) -> u8 {
        self.kind as u8 | if self.is_of_order { OF_ORDER } else { 0 }
    }

    /// The label, and the bytes behind it.
    pub(super) fn split(labelled: &[u8]) -> Result<(Label, &[u8]), DecodeError> {
        let Some((byte, rest)) = labelled.split_first() else {
            return Err(DecodeError("a record without a label".into()));
        };
        let number = byte & !OF_ORDER;
        match Kind::ALL.into_iter().find(|kind| *kind as u8 == number) {
            Some(kind) => Ok((Label { kind, is_of_order: byte & OF_ORDER != 0 }, rest)),
            None => Err(DecodeError(format!("a record of kind {number}, which is unknown"))),
        }
    }
}

impl Body {
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Body::PartitionOpened(_) => Kind::PartitionOpened,
            Body::PartitionForgotten { .. } => Kind::PartitionForgotten,
            Body::HoldMade(_) => Kind::HoldMade,
            Body::HoldAdopted(_) => Kind::HoldAdopted,
            Body::HoldConfirmed(_) => Kind::HoldConfirmed,
            Body::HoldReleased(_) => Kind::HoldReleased,
            Body::HoldsExpired(_) => Kind::HoldsExpired,
            Body::HoldsForgotten { .. } => Kind::HoldsForgotten,
            Body::OrderCreated(_) => Kind::OrderCreated,
            Body::OrderReserved(_) => Kind::OrderReserved,
            Body::OrderPaid(_) => Kind::OrderPaid,
            Body::OrderTicketed(_) => Kind::OrderTicketed,
            Body::OrderCancelled(_) => Kind::OrderCancelled,
            Body::OrdersAbandoned(_) => Kind::OrdersAbandoned,
            Body::TxnClaimed { .. } => Kind::TxnClaimed,
            Body::RefundOwed(_) => Kind::RefundOwed,
            Body::RefundSettled(_) => Kind::RefundSettled,
            Body::TellsAcked { .. } => Kind::TellsAcked,
            Body::OrderKept { .. } => Kind::OrderKept,
            Body::OrderLeaving { .. } => Kind::OrderLeaving,
            Body::OrdersForgotten { .. } => Kind::OrdersForgotten,
            Body::ClaimForgotten { .. } => Kind::ClaimForgotten,
            Body::RefundsForgotten { .. } => Kind::RefundsForgotten,
            Body::PurchaseMade(_) => Kind::PurchaseMade,
            Body::PurchasePaid(_) => Kind::PurchasePaid,
            Body::PurchaseCancelled(_) => Kind::PurchaseCancelled,
        }
    }

    #[must_use]
    pub fn label(&self) -> Label {
        let is_owned = |row: &HoldRow| row.owner.is_some();
        let is_of_order = match self {
            Body::HoldMade(row)
            | Body::HoldAdopted(row)
            | Body::HoldConfirmed(row)
            | Body::HoldReleased(row) => is_owned(row),
            Body::HoldsExpired(rows) => rows.iter().any(|row| is_owned(&row.hold)),
            Body::OrderCreated(_)
            | Body::OrderReserved(_)
            | Body::OrderPaid(_)
            | Body::OrderTicketed(_)
            | Body::OrderCancelled(_)
            | Body::OrdersAbandoned(_)
            | Body::PurchaseMade(_)
            | Body::PurchasePaid(_)
            | Body::PurchaseCancelled(_)
            | Body::TxnClaimed { .. }
            | Body::RefundOwed(_)
            | Body::RefundSettled(_)
            | Body::OrderKept { .. }
            | Body::OrderLeaving { .. }
            | Body::OrdersForgotten { .. }
            | Body::ClaimForgotten { .. }
            | Body::RefundsForgotten { .. } => true,
            Body::PartitionOpened(_)
            | Body::PartitionForgotten { .. }
            | Body::HoldsForgotten { .. }
            | Body::TellsAcked { .. } => false,
        };
        Label { kind: self.kind(), is_of_order }
    }
}

impl Record {
    /// The label of a record in the log, without decoding it; one of version 1 has no label and is decoded.
    ///
    /// # Errors
    /// The bytes are of an unknown version or damaged.
    pub fn label_of(bytes: &[u8]) -> Result<Label, DecodeError> {
        match versioned("record", bytes)? {
            (1, _) => Ok(Record::decode(bytes)?.body.label()),
            (RECORD_VERSION, labelled) => Ok(Label::split(labelled)?.0),
            (version, _) => Err(unknown_version("record", version, RECORD_VERSION)),
        }
    }
}
