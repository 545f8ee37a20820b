//! Version 1 of slot images, read only. What it lacks is as in records of version 1; moreover:
//!
//! - An ended hold has its seats: they are dropped.
//! - Nothing says when a partition last changed: not later than its slot.
//! - Nothing says which sequences forgotten partitions had.

use alloc::vec::Vec;

use allocator::Layout;

use super::v2;
use super::v2::ClaimImage;
use crate::ids::{HoldId, OrderId, PartitionKey, SlotId, Time, TxnId};
use crate::message;
use crate::record::{
    OrderRowV1 as OrderRow, RefundRowV1 as RefundRow, ReservationV1 as Reservation,
    RunDefinitionV1 as RunDefinition, TellId,
};
use crate::status::{HoldStatus, ReleaseReason};

#[derive(rkyv::Archive, rkyv::Deserialize)]
pub(super) struct SlotImage {
    id: SlotId,
    seq: u64,
    time: Time,
    partitions: Vec<PartitionImage>,
    orders: Vec<OrderImage>,
    claims: Vec<ClaimImage>,
    refunds: Vec<RefundRow>,
    outbox: Vec<Tell>,
    next_tell: TellId,
}

#[derive(rkyv::Archive, rkyv::Deserialize)]
struct PartitionImage {
    key: PartitionKey,
    layout: Layout,
    segments: u16,
    run: Option<RunDefinition>,
    seq: u64,
    holds: Vec<HoldImage>,
}

#[derive(rkyv::Archive, rkyv::Deserialize)]
struct HoldImage {
    hold: HoldId,
    status: HoldStatus,
    owner: Option<OrderId>,
    from: u16,
    to: u16,
    seats: Vec<u32>,
    deadline: Time,
    txn: Option<TxnId>,
    release_reason: Option<ReleaseReason>,
    keep_until: Time,
}

#[derive(rkyv::Archive, rkyv::Deserialize)]
struct OrderImage {
    row: OrderRow,
    updated_at: Time,
}

#[derive(rkyv::Archive, rkyv::Deserialize)]
struct Tell {
    id: TellId,
    since: Time,
    fact: Fact,
}

#[derive(rkyv::Archive, rkyv::Deserialize)]
enum Fact {
    HoldMade { order: OrderId, reservation: Reservation },
    HoldReleased { order: OrderId, partition: PartitionKey, hold: HoldId },
    HoldExpired { order: OrderId, partition: PartitionKey, hold: HoldId },
    HoldConfirmed { order: OrderId, partition: PartitionKey, hold: HoldId, txn: TxnId },
    TxnClaimed { order: OrderId, txn: TxnId },
}

impl From<SlotImage> for v2::SlotImage {
    fn from(image: SlotImage) -> v2::SlotImage {
        let SlotImage { id, seq, time, partitions, orders, claims, refunds, outbox, next_tell } = image;
        let next_refund = refunds.last().map_or(1, |refund| refund.number.saturating_add(1));
        v2::SlotImage {
            id,
            seq,
            time,
            partitions: partitions.into_iter().map(|partition| partition.changed_by(time)).collect(),
            orders: orders.into_iter().map(OrderImage::into).collect(),
            claims,
            refunds: refunds.into_iter().map(RefundRow::into).collect(),
            outbox: outbox.into_iter().map(Tell::into).collect(),
            next_tell,
            forgotten_seq: 0,
            next_refund,
            left: 0,
        }
    }
}

impl PartitionImage {
    fn changed_by(self, changed_at: Time) -> v2::PartitionImage {
        let PartitionImage { key, layout, segments, run, seq, holds } = self;
        v2::PartitionImage {
            key,
            layout,
            segments,
            run: run.map(RunDefinition::into),
            seq,
            changed_at,
            holds: holds.into_iter().map(HoldImage::into).collect(),
        }
    }
}

impl From<HoldImage> for v2::HoldImage {
    fn from(hold: HoldImage) -> v2::HoldImage {
        let quantity = hold.seats.len() as u32;
        let has_ended = matches!(hold.status, HoldStatus::Released | HoldStatus::Expired);
        v2::HoldImage {
            hold: hold.hold,
            made: 0,
            status: hold.status,
            owner: hold.owner,
            from: hold.from,
            to: hold.to,
            quantity,
            seats: if has_ended { Vec::new() } else { hold.seats },
            deadline: hold.deadline,
            txn: hold.txn,
            release_reason: hold.release_reason,
            keep_until: hold.keep_until,
        }
    }
}

impl From<OrderImage> for v2::OrderImage {
    fn from(OrderImage { row, updated_at }: OrderImage) -> v2::OrderImage {
        v2::OrderImage { row: row.into(), updated_at, ask_at: None, leaving: None }
    }
}

impl From<Tell> for message::Tell {
    fn from(Tell { id, since, fact }: Tell) -> message::Tell {
        message::Tell { id, since, fact: fact.into() }
    }
}

impl From<Fact> for message::Fact {
    fn from(fact: Fact) -> message::Fact {
        match fact {
            Fact::HoldMade { order, reservation } => {
                message::Fact::HoldMade { order, reservation: reservation.into() }
            }
            Fact::HoldReleased { order, partition, hold } => {
                message::Fact::HoldReleased { order, partition, hold, made: 0 }
            }
            Fact::HoldExpired { order, partition, hold } => {
                message::Fact::HoldExpired { order, partition, hold, made: 0 }
            }
            Fact::HoldConfirmed { order, partition, hold, txn } => {
                message::Fact::HoldConfirmed { order, partition, hold, made: 0, txn }
            }
            Fact::TxnClaimed { order, txn } => message::Fact::TxnClaimed { order, txn, goes_back: None },
        }
    }
}
