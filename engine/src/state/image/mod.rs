//! A slot as a snapshot keeps it. What can be derived (bitmaps, due indexes) is not in it.
//!
//! It is one piece, or several that come one after another: each is an archive like the whole, with some of the contents. One file for
//! each version of the bytes, as for records.

mod pieces;
mod v1;
mod v2;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) use v2::OrderImage;
use v2::{ClaimImage, HoldImage, PartitionImage, SlotImage};

use super::check::{self, Check};
use super::partition::PartitionState;
use super::{Hold, Order, Partition, Slot};
use crate::ids::{HoldId, OrderId, PartitionKey, SlotId, Time, TxnId};
use crate::limits::SLOTS;
use crate::record::{
    DecodeError, HoldRow, PartitionOpened, TellId, encode_versioned, from_archive, unknown_version, versioned,
};

pub(super) use pieces::ImageUnderWay;

/// The first byte of every image that is written. A change of any archived type needs a new one.
pub const IMAGE_VERSION: u8 = 2;

/// The slot itself, beside what it holds.
#[derive(Clone, Copy, PartialEq, Debug)]
struct SlotState {
    seq: u64,
    time: Time,
    next_tell: TellId,
    forgotten_seq: u64,
    next_refund: u64,
    left: u64,
}

impl Slot {
    /// The whole slot as one piece: the version byte, then the rkyv archive; appended to `out`. Equal slots give equal bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut image = SlotImage::of(self.id, self.state());
        image.partitions.extend(self.partitions.iter().map(|(key, p)| {
            let holds = p.holds().map(|(id, hold)| HoldImage::of(id, hold)).collect();
            PartitionImage::of(key, p, p.state(), holds)
        }));
        image.orders.extend(self.orders.iter().map(OrderImage::of));
        image.claims.extend(self.claims.iter().map(|(txn, order)| ClaimImage::of(txn, *order)));
        image.refunds.extend(self.refunds.after(0).cloned());
        image.outbox.extend(self.outbox.values().cloned());
        image.write(out);
    }

    /// A slot of one piece.
    ///
    /// # Errors
    /// The bytes are of an unknown version, damaged, or contradict themselves.
    pub fn decode(bytes: &[u8]) -> Result<Slot, DecodeError> {
        let image = SlotImage::read(bytes)?;
        let mut slot = Slot::new(image.id);
        image.restore(&mut slot).map_err(contradiction)?;
        Ok(slot)
    }

    /// Takes over the next piece of the slot's image. A blank slot waits for its first.
    ///
    /// rkyv's validation makes this memory-safe. What the piece says is validated as well: one that no slot can have is refused by what
    /// is wrong with it, and the slot must not be used any more.
    ///
    /// # Errors
    /// The bytes are of an unknown version, damaged, or contradict themselves or the pieces before.
    pub fn restore_piece(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        SlotImage::read(bytes)?.restore(self).map_err(contradiction)
    }

    fn state(&self) -> SlotState {
        SlotState {
            seq: self.seq,
            time: self.time,
            next_tell: self.next_tell,
            forgotten_seq: self.forgotten_seq,
            next_refund: self.refunds.next_number(),
            left: self.left,
        }
    }
}

fn contradiction(reason: String) -> DecodeError {
    DecodeError(format!("slot image: {reason}"))
}

impl SlotImage {
    /// A piece without contents.
    fn of(id: SlotId, state: SlotState) -> SlotImage {
        SlotImage {
            id,
            seq: state.seq,
            time: state.time,
            partitions: Vec::new(),
            orders: Vec::new(),
            claims: Vec::new(),
            refunds: Vec::new(),
            outbox: Vec::new(),
            next_tell: state.next_tell,
            forgotten_seq: state.forgotten_seq,
            next_refund: state.next_refund,
            left: state.left,
        }
    }

    fn state(&self) -> SlotState {
        SlotState {
            seq: self.seq,
            time: self.time,
            next_tell: self.next_tell,
            forgotten_seq: self.forgotten_seq,
            next_refund: self.next_refund,
            left: self.left,
        }
    }

    /// # Panics
    /// Never in practice: an archive of owned data fails only when memory does.
    fn write(&self, out: &mut Vec<u8>) {
        encode_versioned(IMAGE_VERSION, self, out);
    }

    fn read(bytes: &[u8]) -> Result<SlotImage, DecodeError> {
        match versioned("slot image", bytes)? {
            (1, archive) => Ok(from_archive!(v1::SlotImage, archive)?.into()),
            (IMAGE_VERSION, archive) => from_archive!(SlotImage, archive),
            (version, _) => Err(unknown_version("slot image", version, IMAGE_VERSION)),
        }
    }

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
        check::number("number of the next refund", self.next_refund)?;
        check::number("number of what has left", self.left)?;
        if self.next_refund == 0
            || self.refunds.last().is_some_and(|refund| refund.number >= self.next_refund)
        {
            return Err(format!("the next refund is number {}, and others have it", self.next_refund));
        }
        if self.next_tell.0 == 0 || self.outbox.last().is_some_and(|tell| tell.id >= self.next_tell) {
            return Err(format!("the next tell is number {}, and others have it", self.next_tell.0));
        }
        self.outbox.iter().try_for_each(|tell| check::fact(&tell.fact))
    }

    /// It goes on where the pieces before it ended. A partition alone may be in several, with other holds in each.
    fn check_follows(&self, slot: &Slot) -> Check {
        if self.id != slot.id {
            return Err(format!("it is of slot {}, and stands as slot {}", self.id.get(), slot.id.get()));
        }
        if self.state() != slot.state() {
            return Err(String::from("pieces of different images"));
        }
        let first = self.partitions.first().map(|p| &p.key);
        let first_new = first.filter(|first| Some(*first) != slot.partitions.last_key());
        check::follows("partitions", slot.partitions.last_key(), first_new)?;
        let (orders, refunds) = (&slot.orders.by_id, &slot.refunds.by_number);
        let first = self.orders.first().map(|order| &order.row.order);
        check::follows("orders", orders.last_key_value().map(|(id, _)| id), first)?;
        let first = self.claims.first().map(|claim| &claim.txn);
        check::follows("transaction ids", slot.claims.last_key_value().map(|(txn, _)| txn), first)?;
        let first = self.refunds.first().map(|refund| &refund.number);
        check::follows("refunds", refunds.last_key_value().map(|(number, _)| number), first)?;
        let first = self.outbox.first().map(|tell| &tell.id);
        check::follows("tells", slot.outbox.last_key_value().map(|(id, _)| id), first)
    }

    fn restore(self, slot: &mut Slot) -> Result<(), String> {
        self.check()?;
        if slot.is_blank() {
            slot.seq = self.seq;
            slot.time = self.time;
            slot.next_tell = self.next_tell;
            slot.forgotten_seq = self.forgotten_seq;
            slot.refunds.go_on_from(self.next_refund);
            slot.left = self.left;
        }
        self.check_follows(slot)?;
        for partition in self.partitions {
            partition.restore(slot)?;
        }
        for order in &self.orders {
            check::order(&order.row, self.id, &slot.orders)?;
            slot.orders.restore(order);
        }
        for claim in self.claims {
            check::claim(&claim.txn)?;
            slot.put_claim(claim.txn, claim.order);
        }
        for refund in &self.refunds {
            check::refund(refund, &slot.refunds)?;
            slot.put_refund(refund);
        }
        for tell in self.outbox {
            slot.put_tell(tell);
        }
        Ok(())
    }
}

impl PartitionImage {
    fn of(key: &PartitionKey, p: &Partition, state: PartitionState, holds: Vec<HoldImage>) -> PartitionImage {
        PartitionImage {
            key: key.clone(),
            layout: p.inventory().layout().clone(),
            segments: p.inventory().segments(),
            run: p.run().map(|run| (**run).clone()),
            seq: state.seq,
            changed_at: state.changed_at,
            holds,
        }
    }

    fn restore(self, slot: &mut Slot) -> Result<(), String> {
        let PartitionImage { key, layout, segments, run, seq, changed_at, holds } = self;
        let wrong = |reason: String| format!("partition {key}: {reason}");
        let capacity = layout.seats();
        let opened = PartitionOpened { partition: key.clone(), layout, segments, run, seq };
        check::opened(&opened)?;
        check::number("sequence", seq)
            .and_then(|()| check::ascending("holds", holds.iter().map(|hold| &hold.hold)))
            .map_err(wrong)?;
        match slot.partitions.get(&key) {
            None => slot.partitions.open(&opened, changed_at),
            Some(p) if p.is_opened_as(&opened) && p.changed_at() == changed_at => {
                check::follows("holds", p.last_hold(), holds.first().map(|hold| &hold.hold))
                    .map_err(wrong)?;
            }
            Some(_) => return Err(wrong(String::from("pieces of different images"))),
        }
        let mut result = Ok(());
        slot.partitions.change(&key, |p| {
            for hold in holds {
                let row = hold.row(&key, segments, capacity);
                result = check::hold(&row, p).map_err(wrong);
                if result.is_err() {
                    return;
                }
                p.insert(&row);
            }
        });
        result
    }
}

impl OrderImage {
    fn of(order: &Order) -> OrderImage {
        let Order { row, updated_at, ask_at, leaving, .. } = order;
        OrderImage { row: row.clone(), updated_at: *updated_at, ask_at: *ask_at, leaving: *leaving }
    }
}

impl ClaimImage {
    fn of(txn: &TxnId, order: OrderId) -> ClaimImage {
        ClaimImage { txn: txn.clone(), order }
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
