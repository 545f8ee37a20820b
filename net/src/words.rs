//! The words of the interfaces for what the engine distinguishes.

use engine::answer::{CancelReason, HoldStatus, OrderStatus, RefundReason, RefundStatus};

#[must_use]
pub const fn order_status(status: OrderStatus) -> &'static str {
    match status {
        OrderStatus::Init => "INIT",
        OrderStatus::Reserved => "RESERVED",
        OrderStatus::Paid => "PAID",
        OrderStatus::Ticketed => "TICKETED",
        OrderStatus::Cancelled => "CANCELLED",
    }
}

#[must_use]
pub const fn hold_status(status: HoldStatus) -> &'static str {
    match status {
        HoldStatus::Held => "held",
        HoldStatus::Confirmed => "confirmed",
        HoldStatus::Released => "released",
        HoldStatus::Expired => "expired",
    }
}

#[must_use]
pub const fn cancel_reason(reason: CancelReason) -> &'static str {
    match reason {
        CancelReason::Requested => "requested",
        CancelReason::HoldExpired => "hold_expired",
        CancelReason::Abandoned => "abandoned",
    }
}

#[must_use]
pub const fn refund_status(status: RefundStatus) -> &'static str {
    match status {
        RefundStatus::Required => "required",
        RefundStatus::Settled => "settled",
    }
}

#[must_use]
pub const fn refund_reason(reason: RefundReason) -> &'static str {
    match reason {
        RefundReason::AlreadyPaid => "already_paid",
        RefundReason::HoldExpired => "hold_expired",
        RefundReason::InvalidState => "invalid_state",
        RefundReason::Unmatched => "unmatched",
    }
}
