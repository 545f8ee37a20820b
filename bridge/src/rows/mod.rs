//! Rows of tables, made from records and from slots. Pure, and the same for every database.
//!
//! A row that changes says how far it has come ([`RowSeq`]): a writer leaves a newer row alone when an older change comes again, so
//! that any record may be written twice, and a copy of the state may overlap with what is followed. Events of histories are
//! written once each, by their position.

pub(crate) mod gathered;
mod of_record;
mod of_slot;

use engine::ids::{HoldId, OrderId, PartitionKey, Time, TxnId};
use engine::read_model::HistoryPosition;
use engine::record;
use engine::status::OrderStatus;
use engine::text::Text;
use uuid::Uuid;

pub use of_record::of_record;
pub use of_slot::of_slot;

/// A row's own sequence: it only goes forwards within a life. A row of another life is replaced by nothing that follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowSeq {
    pub life: u64,
    pub slot: engine::ids::SlotId,
    /// Of the record in its slot; for a copied row, of the slot.
    pub seq: u64,
}

/// One change of one table.
#[derive(Clone, PartialEq, Debug)]
pub enum Change<'a> {
    /// `orders` and `query_order_view`
    Order(OrderRow<'a>),
    /// `payments`
    Payment(PaymentRow<'a>),
    /// `tickets`
    Ticket(TicketRow<'a>),
    /// `refunds`
    Refund(RefundRow<'a>),
    /// `orders`: the engine does not have it any more.
    OrderLeft(OrderId, LeftRow),
    /// `refunds`, by number: likewise, of an order that had left before or that nobody knew.
    RefundLeft(u64, LeftRow),
    /// `run_history`: the engine does not have the partition any more.
    PartitionLeft(&'a PartitionKey, Time),
    /// `order_history`
    OrderEvent(OrderId, EventRow<'a>),
    /// `run_history`
    RunEvent(&'a PartitionKey, EventRow<'a>),
}

/// An order as it is now.
#[derive(Clone, PartialEq, Debug)]
pub struct OrderRow<'a> {
    pub order: &'a record::OrderRow,
    pub updated_at: Time,
    pub seq: RowSeq,
}

impl OrderRow<'_> {
    /// The labels of its seats once it has a ticket, as `query_order_view` shows them: before, they are only held.
    #[must_use]
    pub fn ticketed_seats(&self) -> Option<&[Text]> {
        let is_ticketed = self.order.status == OrderStatus::Ticketed;
        self.order.reservation.as_ref().filter(|_| is_ticketed).map(|r| r.labels.as_slice())
    }
}

/// A payment that paid its order. It never changes.
#[derive(Clone, PartialEq, Debug)]
pub struct PaymentRow<'a> {
    pub payment: Uuid,
    pub order: OrderId,
    pub txn: &'a TxnId,
    /// For a copied row, the order's last change: the state does not say when it was paid.
    pub created_at: Time,
    pub seq: RowSeq,
}

/// A ticket. It never changes.
#[derive(Clone, PartialEq, Debug)]
pub struct TicketRow<'a> {
    pub ticket: Uuid,
    pub order: OrderId,
    pub seats: &'a [Text],
    pub created_at: Time,
    pub seq: RowSeq,
}

/// A refund as it is now.
#[derive(Clone, PartialEq, Debug)]
pub struct RefundRow<'a> {
    pub refund: &'a record::RefundRow,
    pub seq: RowSeq,
}

/// When something left the engine.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct LeftRow {
    pub at: Time,
    pub seq: RowSeq,
}

/// An event of a history.
#[derive(Clone, PartialEq, Debug)]
pub struct EventRow<'a> {
    pub life: u64,
    pub position: HistoryPosition,
    /// The record's kind.
    pub kind: &'static str,
    pub partition: Option<&'a PartitionKey>,
    pub hold: Option<&'a HoldId>,
    pub order: Option<OrderId>,
    pub quantity: Option<u32>,
    pub seats: &'a [Text],
    pub from: Option<u16>,
    pub to: Option<u16>,
    pub reason: Option<&'static str>,
    pub trace: &'a Text,
}
