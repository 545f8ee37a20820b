//! Images in pieces: the slot goes on changing while its image is taken, and the image is the slot as it was when it began.
//!
//! Maps keep for the image what changes before it was given ([`ImagedMap`](crate::state::imaged_map::ImagedMap)); a partition that is
//! forgotten is kept here whole.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::ControlFlow;

use super::SlotState;
use super::v2::{ClaimImage, HoldImage, OrderImage, PartitionImage, SlotImage};
use crate::ids::PartitionKey;
use crate::state::{Partition, Partitions, Slot, memory_estimate};

/// The image that is being taken of a slot.
#[derive(Debug)]
pub(in crate::state) struct ImageUnderWay {
    state: SlotState,
    /// Partitions that it has still to give, the next one last.
    partitions: Vec<PartitionKey>,
    /// The next one has some of its holds in the pieces before.
    goes_on: bool,
    /// Those of them that were forgotten since.
    forgotten: BTreeMap<PartitionKey, Partition>,
}

/// Bytes that a piece may still take, by the memory estimate: an archive is smaller.
struct Room(usize);

impl Room {
    /// Breaks once it is full.
    fn take(&mut self, bytes: usize) -> ControlFlow<()> {
        self.0 = self.0.saturating_sub(bytes);
        if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Slot {
    /// Begins an image of the slot as it is now. One that was under way is dropped.
    pub fn begin_image(&mut self) {
        self.partitions.iter_for_image().for_each(|(_, p)| p.begin_image());
        self.orders.by_id.begin_image();
        self.claims.begin_image();
        self.refunds.by_number.begin_image();
        self.outbox.begin_image();
        let partitions = self.partitions.iter().map(|(key, _)| key.clone()).rev().collect();
        self.image = Some(Box::new(ImageUnderWay {
            state: self.state(),
            partitions,
            goes_on: false,
            forgotten: BTreeMap::new(),
        }));
    }

    /// Gives up the image under way, if there is one.
    pub fn drop_image(&mut self) {
        if self.image.take().is_some() {
            self.partitions.iter_for_image().for_each(|(_, p)| p.drop_image());
            self.orders.by_id.drop_image();
            self.claims.drop_image();
            self.refunds.by_number.drop_image();
            self.outbox.drop_image();
        }
    }

    /// Appends the next piece of the image to `out`, longer than `bytes` by less than one element and the definition of its
    /// partition. Returns whether it is the last one: then the image is over.
    ///
    /// # Panics
    /// When no image is under way.
    pub fn next_piece(&mut self, bytes: usize, out: &mut Vec<u8>) -> bool {
        let image = self.image.as_mut().expect("an image that has begun");
        let mut piece = SlotImage::of(self.id, image.state);
        let mut room = Room(bytes);
        let is_last = image.give_partitions(&mut self.partitions, &mut room, &mut piece.partitions)
            && self.orders.by_id.give_image(|_, order| {
                piece.orders.push(OrderImage::of(order));
                room.take(memory_estimate::order(order))
            })
            && self.claims.give_image(|txn, order| {
                piece.claims.push(ClaimImage::of(txn, *order));
                room.take(memory_estimate::claim(txn))
            })
            && self.refunds.by_number.give_image(|_, refund| {
                piece.refunds.push(refund.clone());
                room.take(memory_estimate::refund(&refund.order, refund))
            })
            && self.outbox.give_image(|_, tell| {
                piece.outbox.push(tell.clone());
                room.take(memory_estimate::TELL_BYTES)
            });
        piece.write(out);
        if is_last {
            self.image = None;
        }
        is_last
    }
}

impl ImageUnderWay {
    pub(in crate::state) fn keep_forgotten(&mut self, key: PartitionKey, partition: Partition) {
        self.forgotten.insert(key, partition);
    }

    /// Returns whether all are given.
    fn give_partitions(
        &mut self,
        live: &mut Partitions,
        room: &mut Room,
        out: &mut Vec<PartitionImage>,
    ) -> bool {
        while let Some(key) = self.partitions.last() {
            let forgotten = self.forgotten.get_mut(key);
            let partition = forgotten.or_else(|| live.get_for_image(key));
            let partition = partition.expect("a partition is open, or was forgotten and kept");
            // Once for all of its pieces: however large it is, there is room for holds.
            let definition_bytes = if self.goes_on { 0 } else { partition.definition_bytes() };
            let mut is_full = room.take(definition_bytes).is_break();
            let mut holds = Vec::new();
            let (state, is_whole) = partition.give_image(|id, hold| {
                holds.push(HoldImage::of(id, hold));
                let step = room.take(memory_estimate::hold(id, hold));
                is_full |= step.is_break();
                step
            });
            out.push(PartitionImage::of(key, partition, state, holds));
            self.goes_on = !is_whole;
            if is_whole {
                self.forgotten.remove(key);
                self.partitions.pop();
            }
            if is_full {
                return false;
            }
        }
        true
    }
}
