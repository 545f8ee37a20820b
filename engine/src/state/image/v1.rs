//! Version 1 of slot images, read only: stops do not say whether they may be boarded and left, so all may.

use alloc::vec::Vec;

use allocator::Layout;

use super::v2;
use super::v2::{ClaimImage, HoldImage, OrderImage};
use crate::ids::{PartitionKey, SlotId, Time};
use crate::message::Tell;
use crate::record::{RefundRow, RunDefinitionV1 as RunDefinition, TellId};

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

impl From<SlotImage> for v2::SlotImage {
    fn from(image: SlotImage) -> v2::SlotImage {
        let SlotImage { id, seq, time, partitions, orders, claims, refunds, outbox, next_tell } = image;
        let partitions = partitions.into_iter().map(PartitionImage::into).collect();
        v2::SlotImage { id, seq, time, partitions, orders, claims, refunds, outbox, next_tell }
    }
}

impl From<PartitionImage> for v2::PartitionImage {
    fn from(image: PartitionImage) -> v2::PartitionImage {
        let PartitionImage { key, layout, segments, run, seq, holds } = image;
        v2::PartitionImage { key, layout, segments, run: run.map(RunDefinition::into), seq, holds }
    }
}
