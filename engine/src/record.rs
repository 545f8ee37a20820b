//! What is logged: outcomes, never intentions. Each record changes one slot and is enough by itself for whoever
//! follows the log: keys, seats, labels, amounts, deadlines and reasons are all in it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use allocator::Layout;
use rkyv::rancor;

use crate::catalogue::RunDefinition;
use crate::ids::{Cents, HoldId, IdempotencyKey, OrderId, OrderName, PartitionKey, SlotId, Time, TxnId};
pub use crate::status::ReleaseReason;
use crate::status::{CancelReason, HoldStatus, OrderStatus, RefundReason, Settlement};
use crate::text::Text;

/// The first byte of every encoded record. A change of any archived type needs a new one.
pub const RECORD_VERSION: u8 = 1;

#[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Record {
    pub slot: SlotId,
    /// 1 for the slot's first record; never skips.
    pub seq: u64,
    pub time: Time,
    /// The trace of the request that caused it; empty where none did.
    pub trace: Text,
    pub body: Body,
}

#[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Body {
    PartitionOpened(PartitionOpened),
    PartitionForgotten {
        partition: PartitionKey,
    },
    HoldMade(HoldRow),
    /// A hold that nobody owned now belongs to an order.
    HoldAdopted(HoldRow),
    HoldConfirmed(HoldRow),
    HoldReleased(HoldRow),
    HoldsExpired(Vec<HoldRow>),
    HoldsForgotten {
        partition: PartitionKey,
        holds: Vec<HoldId>,
    },
    OrderCreated(OrderRow),
    OrderReserved(OrderRow),
    OrderPaid(OrderRow),
    OrderTicketed(OrderRow),
    OrderCancelled(OrderRow),
    TxnClaimed {
        txn: TxnId,
        order: OrderId,
    },
    RefundOwed(RefundRow),
    RefundSettled(RefundRow),
    /// Tells of this slot that their receivers have recorded.
    TellsAcked {
        tells: Vec<TellId>,
    },
}

impl Body {
    /// The kind of record, as the log's dump and events name it.
    #[must_use]
    pub const fn wire_name(&self) -> &'static str {
        match self {
            Body::PartitionOpened(_) => "partition_opened",
            Body::PartitionForgotten { .. } => "partition_forgotten",
            Body::HoldMade(_) => "hold_made",
            Body::HoldAdopted(_) => "hold_adopted",
            Body::HoldConfirmed(_) => "hold_confirmed",
            Body::HoldReleased(_) => "hold_released",
            Body::HoldsExpired(_) => "holds_expired",
            Body::HoldsForgotten { .. } => "holds_forgotten",
            Body::OrderCreated(_) => "order_created",
            Body::OrderReserved(_) => "order_reserved",
            Body::OrderPaid(_) => "order_paid",
            Body::OrderTicketed(_) => "order_ticketed",
            Body::OrderCancelled(_) => "order_cancelled",
            Body::TxnClaimed { .. } => "txn_claimed",
            Body::RefundOwed(_) => "refund_owed",
            Body::RefundSettled(_) => "refund_settled",
            Body::TellsAcked { .. } => "tells_acked",
        }
    }
}

#[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct PartitionOpened {
    pub partition: PartitionKey,
    pub layout: Layout,
    pub segments: u16,
    /// The run's stops; absent for an ad hoc partition.
    pub run: Option<RunDefinition>,
}

/// A hold as it is after the record.
#[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct HoldRow {
    pub partition: PartitionKey,
    pub hold: HoldId,
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
    /// When an ended hold may be forgotten.
    pub keep_until: Time,
}

/// An order as it is after the record; the record's time is its `updated_at`.
#[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct OrderRow {
    pub order: OrderId,
    pub key: IdempotencyKey,
    pub status: OrderStatus,
    pub amount: Cents,
    pub created_at: Time,
    /// When an order that is still INIT is given up.
    pub abandon_at: Time,
    pub reservation: Option<Reservation>,
    pub cancel_reason: Option<CancelReason>,
    pub txn: Option<TxnId>,
}

/// What an order holds or held.
#[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub struct Reservation {
    pub partition: PartitionKey,
    pub hold: HoldId,
    pub quantity: u32,
    pub from: u16,
    pub to: u16,
    pub segments: u16,
    pub capacity: u32,
    pub labels: Vec<Text>,
    pub deadline: Time,
}

#[derive(Clone, PartialEq, Debug, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
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
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Debug,
    rkyv::Archive,
    rkyv::Serialize,
    rkyv::Deserialize,
)]
pub struct TellId(pub u64);

/// Bytes that are no record of this version.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodeError(pub String);

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for DecodeError {}

impl Record {
    /// The version byte, then the rkyv archive; appended to `out`.
    ///
    /// # Panics
    /// Never in practice: an archive of owned data fails only when memory does.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_versioned::<_>(RECORD_VERSION, self, out);
    }

    /// The archive is validated, so that no bytes lead out of it. That they are the bytes that were written is what the
    /// checksum of the log says; that they can follow, [`Slot::check`](crate::state::Slot::check).
    ///
    /// # Errors
    /// The bytes are of another version or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
        let archive = versioned(RECORD_VERSION, "record", bytes)?;
        rkyv::from_bytes::<Record, rancor::Error>(archive).map_err(|e| DecodeError(e.to_string()))
    }
}

type Serializer<'a> =
    rkyv::api::high::HighSerializer<Vec<u8>, rkyv::ser::allocator::ArenaHandle<'a>, rancor::Error>;

pub(crate) fn encode_versioned<T>(version: u8, value: &T, out: &mut Vec<u8>)
where
    T: for<'a> rkyv::Serialize<Serializer<'a>>,
{
    let mut buffer = core::mem::take(out);
    buffer.push(version);
    // The archive is unaligned with relative pointers: it may start anywhere.
    *out = rkyv::api::high::to_bytes_in::<_, rancor::Error>(value, buffer).expect("an archive in memory");
}

pub(crate) fn versioned<'a>(version: u8, what: &str, bytes: &'a [u8]) -> Result<&'a [u8], DecodeError> {
    match bytes.split_first() {
        Some((&found, archive)) if found == version => Ok(archive),
        Some((&found, _)) => Err(DecodeError(alloc::format!("{what} version {found}, expected {version}"))),
        None => Err(DecodeError(alloc::format!("an empty {what}"))),
    }
}
