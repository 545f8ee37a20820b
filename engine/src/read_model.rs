//! Questions to the read model and its answers: the edge types of history. The engine itself knows nothing of it; `net` asks,
//! `bridge` answers.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::answer::{OrderView, RefundView};
use crate::command::{Found, RefundCursor};
use crate::ids::{HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, SlotId, Time, TxnId};
use crate::status::OrderStatus;
use crate::text::Text;

/// A question to the read model.
#[derive(Clone, PartialEq, Debug)]
pub enum Question {
    /// One order, by its id.
    Order(OrderId),
    /// A payment whose order the engine does not have, and what became of it before.
    Payment { order: OrderName, txn: TxnId },
    /// A page of settled refunds, also of those that the engine no longer has.
    Refunds(Box<RefundsQuestion>),
    /// A page of orders, by the time of their creation.
    Orders(Box<OrdersQuestion>),
    /// The history of an order or a run: what was recorded, in order.
    History(HistoryQuestion),
}

/// A page of settled refunds, in the order of the engine's listing.
#[derive(Clone, PartialEq, Debug)]
pub struct RefundsQuestion {
    /// Of this order and transaction alone.
    pub of: Option<(OrderName, TxnId)>,
    /// Only those of orders that nobody knew.
    pub unmatched: bool,
    /// The last refund of the page before.
    pub after: Option<RefundCursor>,
    pub limit: usize,
}

/// A page of orders: those that have everything that is asked for.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OrdersQuestion {
    pub status: Option<OrderStatus>,
    /// The train, date and class of the run that the order is for: the parts of its partition's key.
    pub train: Option<Text>,
    pub date: Option<Text>,
    pub class: Option<Text>,
    pub key: Option<IdempotencyKey>,
    /// The transaction that paid it.
    pub txn: Option<TxnId>,
    /// Created then or later.
    pub since: Option<Time>,
    /// Created before then.
    pub until: Option<Time>,
    /// The last order of the page before.
    pub after: Option<OrderPosition>,
    pub limit: usize,
}

/// The place of an order in a listing: by creation, then by id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct OrderPosition {
    pub created_at: Time,
    pub order: OrderId,
}

/// A page of a history.
#[derive(Clone, PartialEq, Debug)]
pub struct HistoryQuestion {
    pub subject: Subject,
    /// The last event of the page before.
    pub after: Option<HistoryPosition>,
    pub limit: usize,
}

/// Whose history is asked for.
#[derive(Clone, PartialEq, Debug)]
pub enum Subject {
    Order(OrderId),
    /// All classes of a train on a date.
    Run {
        train: Text,
        date: Text,
    },
}

/// The place of an event in a history: the same whenever and however often the read model is filled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HistoryPosition {
    pub time: Time,
    pub slot: SlotId,
    /// The record's sequence in its slot.
    pub seq: u64,
    /// The event's place in its record.
    pub index: u32,
}

/// An answer of the read model.
#[derive(Clone, PartialEq, Debug)]
pub enum Reading {
    /// `None`: it never had the order, or no longer has it.
    Order(Option<Box<OrderView>>),
    Payment(Box<Found>),
    Refunds(Vec<RefundView>),
    Orders(OrdersPage),
    History(HistoryPage),
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct OrdersPage {
    pub orders: Vec<OrderView>,
    /// The cursor of the next page; `None` where there is none.
    pub next: Option<OrderPosition>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct HistoryPage {
    pub events: Vec<HistoryEvent>,
    /// The cursor of the next page; `None` where there is none.
    pub next: Option<HistoryPosition>,
}

/// One event of a history, taken from a record.
#[derive(Clone, PartialEq, Debug)]
pub struct HistoryEvent {
    pub position: HistoryPosition,
    /// The record's kind, as [`Kind::wire_name`](crate::record::Kind::wire_name) says it.
    pub kind: Text,
    pub partition: Option<PartitionKey>,
    pub hold: Option<HoldId>,
    pub order: Option<OrderId>,
    pub quantity: Option<u32>,
    pub seats: Vec<Text>,
    pub from: Option<u16>,
    pub to: Option<u16>,
    pub reason: Option<Text>,
    /// The trace of the request that caused it; empty where none did.
    pub trace: Text,
}

/// The read model cannot answer: it is down, or has still to be filled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unavailable {
    pub reason: String,
}
