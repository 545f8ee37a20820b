//! Version 2 of slot images, the one that is written.
//!
//! A changed type is a new version: it goes into a file of the next number, and stays here as it was.

use alloc::vec::Vec;

use allocator::Layout;

use crate::catalogue::RunDefinition;
use crate::ids::{HoldId, OrderId, PartitionKey, SlotId, Time, TxnId};
use crate::message::Tell;
use crate::record::{OrderRow, RefundRow, TellId};
use crate::status::{HoldStatus, ReleaseReason};

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct SlotImage {
    pub(super) id: SlotId,
    pub(super) seq: u64,
    pub(super) time: Time,
    pub(super) partitions: Vec<PartitionImage>,
    pub(super) orders: Vec<OrderImage>,
    pub(super) claims: Vec<ClaimImage>,
    pub(super) refunds: Vec<RefundRow>,
    pub(super) outbox: Vec<Tell>,
    pub(super) next_tell: TellId,
    /// The highest sequence of any partition that was forgotten.
    pub(super) forgotten_seq: u64,
    /// The number of the next refund.
    pub(super) next_refund: u64,
    /// Orders and refunds that have left.
    pub(super) left: u64,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct PartitionImage {
    pub(super) key: PartitionKey,
    pub(super) layout: Layout,
    pub(super) segments: u16,
    pub(super) run: Option<RunDefinition>,
    pub(super) seq: u64,
    pub(super) changed_at: Time,
    pub(super) holds: Vec<HoldImage>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct HoldImage {
    pub(super) hold: HoldId,
    pub(super) made: u64,
    pub(super) status: HoldStatus,
    pub(super) owner: Option<OrderId>,
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) quantity: u32,
    /// None where it has ended.
    pub(super) seats: Vec<u32>,
    pub(super) deadline: Time,
    pub(super) txn: Option<TxnId>,
    pub(super) release_reason: Option<ReleaseReason>,
    pub(super) keep_until: Time,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(in crate::state) struct OrderImage {
    pub(in crate::state) row: OrderRow,
    pub(in crate::state) updated_at: Time,
    /// It asks then how long its partition is kept.
    pub(in crate::state) ask_at: Option<Time>,
    /// It leaves since then.
    pub(in crate::state) leaving: Option<Time>,
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub(super) struct ClaimImage {
    pub(super) txn: TxnId,
    pub(super) order: OrderId,
}
