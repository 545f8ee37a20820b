//! A slot as a snapshot keeps it. What can be derived (bitmaps, due indexes) is not in it.
//!
//! One file for each version of the bytes, as for records.

mod v1;
mod v2;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use v2::{ClaimImage, HoldImage, OrderImage, PartitionImage, SlotImage};

use super::check::{self, Check};
use super::{Hold, Partition, Slot};
use crate::ids::{HoldId, PartitionKey};
use crate::limits::SLOTS;
use crate::record::{
    DecodeError, HoldRow, PartitionOpened, encode_versioned, from_archive, unknown_version, versioned,
};

/// The first byte of every image that is written. A change of any archived type needs a new one.
pub const IMAGE_VERSION: u8 = 2;

impl Slot {
    /// The version byte, then the rkyv archive; appended to `out`. Equal slots give equal bytes.
    ///
    /// # Panics
    /// Never in practice: an archive of owned data fails only when memory does.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut claims: Vec<ClaimImage> =
            self.claims.iter().map(|(txn, order)| ClaimImage { txn: txn.clone(), order: *order }).collect();
        claims.sort_unstable_by(|a, b| a.txn.cmp(&b.txn));
        let image = SlotImage {
            id: self.id,
            seq: self.seq,
            time: self.time,
            partitions: self.partitions.iter().map(|(key, p)| PartitionImage::of(key, p)).collect(),
            orders: self
                .orders
                .iter()
                .map(|order| OrderImage { row: order.row.clone(), updated_at: order.updated_at })
                .collect(),
            claims,
            refunds: self.refunds.after(0).cloned().collect(),
            outbox: self.outbox.values().cloned().collect(),
            next_tell: self.next_tell,
            forgotten_seq: self.forgotten_seq,
        };
        encode_versioned(IMAGE_VERSION, &image, out);
    }

    /// rkyv's validation makes this memory-safe. What the image says is validated as well: one that no slot can have is refused
    /// by what is wrong with it, and never becomes a slot.
    ///
    /// # Errors
    /// The bytes are of an unknown version, damaged, or contradict themselves.
    pub fn decode(bytes: &[u8]) -> Result<Slot, DecodeError> {
        let image: SlotImage = match versioned("slot image", bytes)? {
            (1, archive) => from_archive!(v1::SlotImage, archive)?.into(),
            (IMAGE_VERSION, archive) => from_archive!(SlotImage, archive)?,
            (version, _) => return Err(unknown_version("slot image", version, IMAGE_VERSION)),
        };
        image.restore().map_err(|reason| DecodeError(format!("slot image: {reason}")))
    }
}

impl SlotImage {
    /// The numbers of the slot, and the order of its lists: each strictly ascending, so that nothing comes twice.
    fn check(&self) -> Check {
        if self.id.get() >= SLOTS {
            return Err(format!("slot {} of {SLOTS}", self.id.get()));
        }
        check::number("sequence", self.seq)?;
        check::number("sequence of a forgotten partition", self.forgotten_seq)?;
        check::ascending("partitions", self.partitions.iter().map(|p| &p.key))?;
        check::ascending("orders", self.orders.iter().map(|order| order.row.order))?;
        check::ascending("transaction ids", self.claims.iter().map(|claim| &claim.txn))?;
        check::ascending("refunds", self.refunds.iter().map(|refund| refund.number))?;
        check::ascending("tells", self.outbox.iter().map(|tell| tell.id))?;
        check::number("number of the next tell", self.next_tell.0)?;
        if self.next_tell.0 == 0 || self.outbox.last().is_some_and(|tell| tell.id >= self.next_tell) {
            return Err(format!("the next tell is number {}, and others have it", self.next_tell.0));
        }
        self.outbox.iter().try_for_each(|tell| check::fact(&tell.fact))
    }

    fn restore(self) -> Result<Slot, String> {
        self.check()?;
        let mut slot = Slot::new(self.id);
        slot.seq = self.seq;
        slot.time = self.time;
        for partition in self.partitions {
            partition.restore(&mut slot)?;
        }
        for order in &self.orders {
            check::order(&order.row, self.id, &slot.orders)?;
            slot.orders.put(&order.row, order.updated_at);
        }
        for claim in self.claims {
            check::claim(&claim.txn)?;
            slot.put_claim(claim.txn, claim.order);
        }
        for refund in &self.refunds {
            check::refund(refund, &slot.refunds)?;
            slot.refunds.put(refund);
        }
        for tell in self.outbox {
            slot.put_tell(tell);
        }
        slot.next_tell = self.next_tell;
        slot.forgotten_seq = self.forgotten_seq;
        Ok(slot)
    }
}

impl PartitionImage {
    fn of(key: &PartitionKey, p: &Partition) -> PartitionImage {
        PartitionImage {
            key: key.clone(),
            layout: p.inventory().layout().clone(),
            segments: p.inventory().segments(),
            run: p.run().map(|run| (**run).clone()),
            seq: p.seq(),
            changed_at: p.changed_at(),
            holds: p.holds_sorted().into_iter().map(|(id, hold)| HoldImage::of(id, hold)).collect(),
        }
    }

    fn restore(self, slot: &mut Slot) -> Result<(), String> {
        let PartitionImage { key, layout, segments, run, seq, changed_at, holds } = self;
        let capacity = layout.seats();
        let opened = PartitionOpened { partition: key.clone(), layout, segments, run, seq };
        check::opened(&opened)?;
        check::number("sequence", seq)
            .and_then(|()| check::ascending("holds", holds.iter().map(|hold| &hold.hold)))
            .map_err(|reason| format!("partition {key}: {reason}"))?;
        slot.partitions.open(&opened, changed_at);
        let mut result = Ok(());
        slot.partitions.change(&key, |p| {
            for hold in holds {
                let row = hold.row(&key, segments, capacity);
                result = check::hold(&row, p).map_err(|reason| format!("partition {key}: {reason}"));
                if result.is_err() {
                    return;
                }
                p.insert(&row);
            }
        });
        result
    }
}

impl HoldImage {
    fn of(id: &HoldId, hold: &Hold) -> HoldImage {
        HoldImage {
            hold: id.clone(),
            made: hold.made,
            status: hold.status,
            owner: hold.owner,
            from: hold.span.from(),
            to: hold.span.to(),
            quantity: hold.quantity,
            seats: hold.seats.iter().map(|seat| seat.0).collect(),
            deadline: hold.deadline,
            txn: hold.txn.clone(),
            release_reason: hold.release_reason,
            keep_until: hold.keep_until,
        }
    }

    fn row(self, partition: &PartitionKey, segments: u16, capacity: u32) -> HoldRow {
        HoldRow {
            partition: partition.clone(),
            hold: self.hold,
            made: self.made,
            partition_seq: 0,
            status: self.status,
            owner: self.owner,
            quantity: self.quantity,
            from: self.from,
            to: self.to,
            segments,
            capacity,
            seats: self.seats,
            labels: Vec::new(),
            deadline: self.deadline,
            txn: self.txn,
            release_reason: self.release_reason,
            keep_until: self.keep_until,
        }
    }
}
