//! Effects of a record: what [`Slot::apply`](crate::state::Slot::apply) leaves to be done outside the state.
//!
//! They are pushed into a buffer that the caller drains once the record is logged. Recovery ignores them: what is
//! still to be done then stands in the state itself ([`Slot::outbox`](crate::state::Slot::outbox),
//! [`Orders::unticketed`](crate::state::Orders::unticketed)).

use crate::ids::OrderId;
use crate::message::Tell;

#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// A tell joined the outbox: send it to the slot of its fact.
    Tell(Tell),
    /// An order is paid and has no ticket yet.
    Paid(OrderId),
    /// A paid order has its ticket.
    Ticketed(OrderId),
}
