//! What an image must say to be one of a slot: what `apply` relies on, and that an equal slot is written as it was read. Each
//! part is looked at before it is taken over; nothing here changes anything.

use alloc::format;
use alloc::string::String;

use allocator::{SEGMENTS_MAX, SeatNo, Span};

use super::{ClaimImage, HoldImage, OrderImage, PartitionImage, SlotImage};
use crate::answer::HoldStatus;
use crate::ids::{HoldId, IdError, IdempotencyKey, OrderName, PartitionKey, Reference, SlotId, TxnId};
use crate::limits::SLOTS;
use crate::message::Fact;
use crate::record::{RefundRow, Reservation};
use crate::state::{Orders, Partition, Refunds};

type Check = Result<(), String>;

/// The numbers of the slot, and the order of its lists: each strictly ascending, so that nothing comes twice.
pub(super) fn slot(image: &SlotImage) -> Check {
    if image.id.get() >= SLOTS {
        return Err(format!("slot {} of {SLOTS}", image.id.get()));
    }
    number("sequence", image.seq)?;
    ascending("partitions", image.partitions.iter().map(|p| &p.key))?;
    ascending("orders", image.orders.iter().map(|order| order.row.order))?;
    ascending("transaction ids", image.claims.iter().map(|claim| &claim.txn))?;
    ascending("refunds", image.refunds.iter().map(|refund| refund.number))?;
    ascending("tells", image.outbox.iter().map(|tell| tell.id))?;
    number("number of the next tell", image.next_tell.0)?;
    if image.next_tell.0 == 0 || image.outbox.last().is_some_and(|tell| tell.id >= image.next_tell) {
        return Err(format!("the next tell is number {}, and others have it", image.next_tell.0));
    }
    image.outbox.iter().try_for_each(|tell| fact(&tell.fact))
}

pub(super) fn partition(image: &PartitionImage) -> Check {
    text("partition", image.key.as_str(), PartitionKey::parse)?;
    let wrong = |reason: String| Err(format!("partition {}: {reason}", image.key));
    if let Err(error) = image.layout.validate() {
        return wrong(format!("{error}"));
    }
    if image.segments == 0 || image.segments > SEGMENTS_MAX {
        return wrong(format!("{} segments", image.segments));
    }
    if let Some(run) = &image.run
        && run.stops.len() != usize::from(image.segments) + 1
    {
        return wrong(format!("{} segments between {} stops", image.segments, run.stops.len()));
    }
    number("sequence", image.seq).or_else(wrong)?;
    ascending("holds", image.holds.iter().map(|hold| &hold.hold)).or_else(wrong)
}

/// Against the partition as it is with the holds before this one.
pub(super) fn hold(image: &HoldImage, partition: &Partition) -> Check {
    text("hold", image.hold.as_str(), HoldId::parse)?;
    optional_text("transaction id", image.txn.as_ref(), TxnId::as_str, TxnId::parse)?;
    let wrong = |reason: String| Err(format!("hold {}: {reason}", image.hold));
    let inventory = partition.inventory();
    let span = Span::new(image.from, image.to).filter(|span| span.to() <= inventory.segments());
    let Some(span) = span else {
        let segments = inventory.segments();
        return wrong(format!("from {} to {} of {segments} segments", image.from, image.to));
    };
    if image.seats.is_empty() {
        return wrong(String::from("no seats"));
    }
    if let Some(seat) = image.seats.iter().find(|seat| **seat >= inventory.seats()) {
        return wrong(format!("seat {seat} of {}", inventory.seats()));
    }
    let mut seats = image.seats.clone();
    seats.sort_unstable();
    ascending("seats", seats.iter()).or_else(wrong)?;
    let live = matches!(image.status, HoldStatus::Held | HoldStatus::Confirmed);
    if let Some(seat) = seats.iter().find(|seat| live && !inventory.is_free(SeatNo(**seat), span)) {
        return wrong(format!("seat {seat} is taken by another hold"));
    }
    if image.owner.is_some() && image.status == HoldStatus::Confirmed && image.txn.is_none() {
        return wrong(String::from("it is confirmed for an order without a payment"));
    }
    Ok(())
}

/// Against the orders before this one.
pub(super) fn order(image: &OrderImage, slot: SlotId, orders: &Orders) -> Check {
    let row = &image.row;
    let wrong = |reason: String| Err(format!("order {}: {reason}", row.order));
    text("key", row.key.as_str(), IdempotencyKey::parse).or_else(wrong)?;
    optional_text("transaction id", row.txn.as_ref(), TxnId::as_str, TxnId::parse).or_else(wrong)?;
    if row.order.slot() != slot {
        return wrong(format!("it lives in slot {}", row.order.slot().get()));
    }
    if let Some(other) = orders.by_key(&row.key) {
        return wrong(format!("order {} has its key", other.row.order));
    }
    row.reservation.as_ref().map_or(Ok(()), reservation).or_else(wrong)
}

pub(super) fn claim(image: &ClaimImage) -> Check {
    text("transaction id", image.txn.as_str(), TxnId::parse)
}

/// Against the refunds before this one.
pub(super) fn refund(row: &RefundRow, refunds: &Refunds) -> Check {
    let wrong = |reason: String| Err(format!("refund {}: {reason}", row.number));
    text("order", row.order.as_str(), OrderName::parse).or_else(wrong)?;
    text("transaction id", row.txn.as_str(), TxnId::parse).or_else(wrong)?;
    let reference = row.settled.as_ref().map(|settled| &settled.reference);
    optional_text("reference", reference, Reference::as_str, Reference::parse).or_else(wrong)?;
    if row.number == 0 {
        return wrong(String::from("numbers begin with 1"));
    }
    number("number", row.number)?;
    match refunds.get(&row.order, &row.txn) {
        Some(other) => wrong(format!("refund {} is for the same payment", other.number)),
        None => Ok(()),
    }
}

fn fact(fact: &Fact) -> Check {
    let ids = |partition: &PartitionKey, hold: &HoldId| {
        text("partition", partition.as_str(), PartitionKey::parse)?;
        text("hold", hold.as_str(), HoldId::parse)
    };
    match fact {
        Fact::HoldMade { reservation: of, .. } => reservation(of),
        Fact::HoldReleased { partition, hold, .. } | Fact::HoldExpired { partition, hold, .. } => {
            ids(partition, hold)
        }
        Fact::HoldConfirmed { partition, hold, txn, .. } => {
            ids(partition, hold)?;
            text("transaction id", txn.as_str(), TxnId::parse)
        }
        Fact::TxnClaimed { txn, .. } => text("transaction id", txn.as_str(), TxnId::parse),
    }
}

fn reservation(of: &Reservation) -> Check {
    text("partition", of.partition.as_str(), PartitionKey::parse)?;
    text("hold", of.hold.as_str(), HoldId::parse)?;
    if of.from >= of.to || of.to > of.segments {
        return Err(format!("reserved from {} to {} of {} segments", of.from, of.to, of.segments));
    }
    Ok(())
}

/// There must be a next one.
fn number(what: &str, number: u64) -> Check {
    if number == u64::MAX { Err(format!("{what} {number}")) } else { Ok(()) }
}

fn ascending<T: PartialOrd>(what: &str, items: impl Iterator<Item = T> + Clone) -> Check {
    let rises = items.clone().zip(items.skip(1)).all(|(one, next)| one < next);
    if rises { Ok(()) } else { Err(format!("{what} that come twice or out of order")) }
}

fn text<T>(what: &str, text: &str, parse: impl Fn(&str) -> Result<T, IdError>) -> Check {
    parse(text).map(drop).map_err(|error| format!("{what} {text:?} {error}"))
}

fn optional_text<T>(
    what: &str,
    value: Option<&T>,
    as_str: impl Fn(&T) -> &str,
    parse: impl Fn(&str) -> Result<T, IdError>,
) -> Check {
    value.map_or(Ok(()), |value| text(what, as_str(value), parse))
}
