//! Statuses and reasons, each with its name on the wire: the one that HTTP answers, the log's dump and events carry.
//!
//! Records and slot images archive these types as they are: a change of one is a new version of both.

use crate::ids::{Reference, Time};

#[derive(Clone, Copy, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[repr(u8)]
pub enum HoldStatus {
    Held,
    Confirmed,
    Released,
    Expired,
}

impl HoldStatus {
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            HoldStatus::Held => "held",
            HoldStatus::Confirmed => "confirmed",
            HoldStatus::Released => "released",
            HoldStatus::Expired => "expired",
        }
    }
}

/// Why a hold was released.
#[derive(Clone, Copy, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[repr(u8)]
pub enum ReleaseReason {
    Requested,
    /// Its order was no longer waiting for it.
    Declined,
}

impl ReleaseReason {
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            ReleaseReason::Requested => "requested",
            ReleaseReason::Declined => "declined",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[repr(u8)]
pub enum OrderStatus {
    Init,
    Reserved,
    Paid,
    Ticketed,
    Cancelled,
}

impl OrderStatus {
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            OrderStatus::Init => "INIT",
            OrderStatus::Reserved => "RESERVED",
            OrderStatus::Paid => "PAID",
            OrderStatus::Ticketed => "TICKETED",
            OrderStatus::Cancelled => "CANCELLED",
        }
    }
}

/// Why an order was cancelled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[repr(u8)]
pub enum CancelReason {
    Requested,
    HoldExpired,
    Abandoned,
}

impl CancelReason {
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            CancelReason::Requested => "requested",
            CancelReason::HoldExpired => "hold_expired",
            CancelReason::Abandoned => "abandoned",
        }
    }
}

/// Not archived: a refund is settled where it has a [`Settlement`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RefundStatus {
    Required,
    Settled,
}

impl RefundStatus {
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            RefundStatus::Required => "required",
            RefundStatus::Settled => "settled",
        }
    }
}

/// Why money is owed back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[repr(u8)]
pub enum RefundReason {
    /// The order was paid already, with another transaction.
    AlreadyPaid,
    /// The hold had expired.
    HoldExpired,
    /// The order was not waiting for a payment.
    InvalidState,
    /// No such order is known.
    Unmatched,
    /// No such order is known, and the read model that might have had it was lost: the payment may be one that was kept.
    HistoryLost,
}

impl RefundReason {
    /// The order was not known.
    #[must_use]
    pub const fn is_unmatched(self) -> bool {
        matches!(self, RefundReason::Unmatched | RefundReason::HistoryLost)
    }

    /// More than the reason says; empty where there is nothing more.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            RefundReason::HistoryLost => "history_lost",
            _ => "",
        }
    }

    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            RefundReason::AlreadyPaid => "already_paid",
            RefundReason::HoldExpired => "hold_expired",
            RefundReason::InvalidState => "invalid_state",
            RefundReason::Unmatched | RefundReason::HistoryLost => "unmatched",
        }
    }
}

/// The booking that closed a refund, and when.
#[derive(Clone, PartialEq, Eq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Settlement {
    pub reference: Reference,
    pub at: Time,
}
