//! Version 2 of records, the one that is written: the types of the state's history as they are now.
//!
//! A changed type is a new version: it goes into a file of the next number, and stays here as it was.

use alloc::boxed::Box;
use alloc::vec::Vec;

use allocator::Layout;

use rkyv::{Archive, Deserialize, Serialize};

use crate::catalogue::RunDefinition;
use crate::ids::{Cents, HoldId, OrderId, OrderKey, OrderName, PartitionKey, SlotId, Time, TxnId};
use crate::status::{CancelReason, HoldStatus, OrderStatus, RefundReason, ReleaseReason, Settlement};
use crate::text::Text;

#[derive(Clone, PartialEq, Debug, Archive, Serialize, Deserialize)]
pub struct Record {
    pub slot: SlotId,
    /// 1 for the slot's first record; never skips.
    pub seq: u64,
    pub time: Time,
    /// The trace of the request that caused it; empty where none did.
    pub trace: Text,
    pub body: Body,
}

#[derive(Clone, PartialEq, Debug, Archive, Serialize, Deserialize)]
pub enum Body {
    PartitionOpened(PartitionOpened),
    /// With every hold in it.
    PartitionForgotten {
        partition: PartitionKey,
    },
    HoldMade(HoldRow),
    /// A hold that nobody owned now belongs to an order.
    HoldAdopted(HoldRow),
    HoldConfirmed(HoldRow),
    HoldReleased(HoldRow),
    /// Deadlines that have passed, with the purchases among their holds.
    HoldsExpired(Vec<ExpiredHold>),
    HoldsForgotten {
        partition: PartitionKey,
        holds: Vec<HoldId>,
    },
    OrderCreated(OrderRow),
    OrderReserved(OrderRow),
    OrderPaid(OrderRow),
    OrderTicketed(OrderRow),
    OrderCancelled(OrderRow),
    /// Orders that never had a hold or money, given up before their time: cancelled as abandoned.
    OrdersAbandoned(Vec<OrderRow>),
    /// An order that is made with its hold: both live in the slot of the run, and change together.
    PurchaseMade(Box<PurchaseRow>),
    PurchasePaid(Box<PurchaseRow>),
    PurchaseCancelled(Box<PurchaseRow>),
    /// An order that owns seats has learned how long their partition is kept.
    OrderKept {
        order: OrderId,
        kept: Kept,
    },
    /// An order that has ended begins to leave: the slots of its transaction ids are told, so that their claims go first.
    OrderLeaving {
        order: OrderId,
        txns: Vec<TxnId>,
    },
    /// Orders that have ended leave, with their keys and their settled refunds.
    OrdersForgotten {
        orders: Vec<OrderId>,
    },
    /// `goes_back`: nothing waited for the money when it came.
    TxnClaimed {
        txn: TxnId,
        order: OrderId,
        goes_back: Option<GoesBack>,
    },
    /// A transaction id whose order leaves or has left. `tell` is of its claim, where nobody has acknowledged it: it goes as well.
    ClaimForgotten {
        txn: TxnId,
        order: OrderId,
        tell: Option<TellId>,
    },
    RefundOwed(RefundRow),
    RefundSettled(RefundRow),
    /// Settled refunds of orders that the slot does not have.
    RefundsForgotten {
        numbers: Vec<u64>,
    },
    /// Tells of this slot that their receivers have recorded.
    TellsAcked {
        tells: Vec<TellId>,
    },
}

#[derive(Clone, PartialEq, Debug, Archive, Serialize, Deserialize)]
pub struct PartitionOpened {
    pub partition: PartitionKey,
    pub layout: Layout,
    pub segments: u16,
    /// The run's stops; absent for an ad hoc partition.
    pub run: Option<RunDefinition>,
    /// The sequence that it goes on from: none that an earlier partition of its slot had comes again.
    pub seq: u64,
}

/// A hold as it is after the record; the seats of one that ends are those that it frees.
#[derive(Clone, PartialEq, Debug, Archive, Serialize, Deserialize)]
pub struct HoldRow {
    pub partition: PartitionKey,
    pub hold: HoldId,
    /// The partition's sequence at its making, which tells it from any other hold of its id; 0 where version 1 made it.
    pub made: u64,
    /// The partition's sequence after this change.
    pub partition_seq: u64,
    pub status: HoldStatus,
    pub owner: Option<OrderId>,
    pub quantity: u32,
    pub from: u16,
    pub to: u16,
    /// Segments and seats of the whole partition.
    pub segments: u16,
    pub capacity: u32,
    pub seats: Vec<u32>,
    pub labels: Vec<Text>,
    pub deadline: Time,
    /// The payment that confirmed it.
    pub txn: Option<TxnId>,
    /// Why it was released.
    pub release_reason: Option<ReleaseReason>,
    /// An ended hold may be forgotten from here on.
    pub keep_until: Time,
}

/// An order as it is after the record; the record's time is its `updated_at`.
#[derive(Clone, PartialEq, Debug, Archive, Serialize, Deserialize)]
pub struct OrderRow {
    pub order: OrderId,
    pub key: OrderKey,
    pub status: OrderStatus,
    pub amount: Cents,
    pub created_at: Time,
    /// An order that is still INIT is given up then.
    pub abandon_at: Time,
    pub reservation: Option<Reservation>,
    pub cancel_reason: Option<CancelReason>,
    pub txn: Option<TxnId>,
}

/// A hold that has expired.
#[derive(Clone, PartialEq, Debug, Archive, Serialize, Deserialize)]
pub struct ExpiredHold {
    pub hold: HoldRow,
    /// Its order, where it was a purchase: cancelled with it.
    pub purchase: Option<Box<OrderRow>>,
}

/// A purchase: an order and its hold as they are after the record.
#[derive(Clone, PartialEq, Debug, Archive, Serialize, Deserialize)]
pub struct PurchaseRow {
    pub order: OrderRow,
    pub hold: HoldRow,
}

/// Seats that an order holds or held. A cancelled order's has no labels.
#[derive(Clone, PartialEq, Debug, Archive, Serialize, Deserialize)]
pub struct Reservation {
    pub partition: PartitionKey,
    pub hold: HoldId,
    /// As in the hold's row.
    pub made: u64,
    pub quantity: u32,
    pub from: u16,
    pub to: u16,
    pub segments: u16,
    pub capacity: u32,
    pub labels: Vec<Text>,
    pub deadline: Time,
    /// The end of its run; `None` for an ad hoc partition, and where version 1 made it.
    pub ends_at: Option<Time>,
}

/// The time for which the partition of an order's seats is kept, as it told the order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Archive, Serialize, Deserialize)]
pub enum Kept {
    /// A run that ends then. A partition that is gone has ended when it was asked after.
    PastEnd(Time),
    /// Ad hoc, and kept until then at least.
    UntilAtLeast(Time),
}

/// Money that pays nothing: what goes back, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Archive, Serialize, Deserialize)]
pub struct GoesBack {
    pub amount: Cents,
    pub reason: RefundReason,
}

#[derive(Clone, PartialEq, Debug, Archive, Serialize, Deserialize)]
pub struct RefundRow {
    /// Its place in the slot's listing.
    pub number: u64,
    pub order: OrderName,
    pub txn: TxnId,
    pub amount: Option<Cents>,
    pub reason: RefundReason,
    pub created_at: Time,
    pub settled: Option<Settlement>,
}

/// A tell's number within its slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Archive, Serialize, Deserialize)]
pub struct TellId(pub u64);
