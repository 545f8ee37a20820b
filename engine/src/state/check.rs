//! What images and records that are read back must say to be a slot's: what `apply` relies on, and that an equal slot is
//! written as it was read. Each part is looked at before it is taken over; nothing here changes anything.

use alloc::format;
use alloc::string::String;

use allocator::{SEGMENTS_MAX, SeatNo, Span};

use crate::answer::HoldStatus;
use crate::ids::{HoldId, IdError, IdempotencyKey, OrderName, PartitionKey, Reference, SlotId, TxnId};
use crate::message::Fact;
use crate::record::{HoldRow, OrderRow, PartitionOpened, RefundRow, Reservation};
use crate::state::{Hold, Orders, Partition, Refunds};

pub(super) type Check = Result<(), String>;

pub(super) fn opened(opened: &PartitionOpened) -> Check {
    text("partition", opened.partition.as_str(), PartitionKey::parse)?;
    let wrong = |reason: String| Err(format!("partition {}: {reason}", opened.partition));
    if let Err(error) = opened.layout.validate() {
        return wrong(format!("{error}"));
    }
    if opened.segments == 0 || opened.segments > SEGMENTS_MAX {
        return wrong(format!("{} segments", opened.segments));
    }
    match &opened.run {
        Some(run) if run.stops.len() != usize::from(opened.segments) + 1 => {
            wrong(format!("{} segments between {} stops", opened.segments, run.stops.len()))
        }
        _ => Ok(()),
    }
}

/// Against the partition as it is with the holds before this one.
pub(super) fn hold(row: &HoldRow, partition: &Partition) -> Check {
    text("hold", row.hold.as_str(), HoldId::parse)?;
    payment(row)?;
    let wrong = |reason: String| Err(format!("hold {}: {reason}", row.hold));
    let inventory = partition.inventory();
    let whole = (row.quantity as usize, row.segments, row.capacity);
    if whole != (row.seats.len(), inventory.segments(), inventory.seats()) {
        return wrong(format!("{} of {} seats on {} segments", row.quantity, row.capacity, row.segments));
    }
    let span = Span::new(row.from, row.to).filter(|span| span.to() <= inventory.segments());
    let Some(span) = span else {
        let segments = inventory.segments();
        return wrong(format!("from {} to {} of {segments} segments", row.from, row.to));
    };
    if row.seats.is_empty() {
        return wrong(String::from("no seats"));
    }
    if let Some(seat) = row.seats.iter().find(|seat| **seat >= inventory.seats()) {
        return wrong(format!("seat {seat} of {}", inventory.seats()));
    }
    let mut seats = row.seats.clone();
    seats.sort_unstable();
    ascending("seats", seats.iter()).or_else(wrong)?;
    let live = matches!(row.status, HoldStatus::Held | HoldStatus::Confirmed);
    if let Some(seat) = seats.iter().find(|seat| live && !inventory.is_free(SeatNo(**seat), span)) {
        return wrong(format!("seat {seat} is taken by another hold"));
    }
    Ok(())
}

/// A hold that changes stays where it is.
pub(super) fn same_seats(row: &HoldRow, hold: &Hold, partition: &Partition) -> Check {
    let before = partition.row(&row.partition, &row.hold, hold);
    let place = |row: &HoldRow| (row.quantity, row.from, row.to, row.segments, row.capacity, row.deadline);
    if place(row) == place(&before) && row.seats == before.seats && row.labels == before.labels {
        Ok(())
    } else {
        Err(format!("hold {} is another one than before", row.hold))
    }
}

/// What a hold that changes can bring into it.
pub(super) fn payment(row: &HoldRow) -> Check {
    optional_text("transaction id", row.txn.as_ref(), TxnId::as_str, TxnId::parse)?;
    if row.owner.is_some() && row.status == HoldStatus::Confirmed && row.txn.is_none() {
        return Err(format!("hold {}: it is confirmed for an order without a payment", row.hold));
    }
    Ok(())
}

/// Against the orders before this one.
pub(super) fn order(row: &OrderRow, slot: SlotId, orders: &Orders) -> Check {
    let wrong = |reason: String| Err(format!("order {}: {reason}", row.order));
    text("key", row.key.as_str(), IdempotencyKey::parse).or_else(wrong)?;
    optional_text("transaction id", row.txn.as_ref(), TxnId::as_str, TxnId::parse).or_else(wrong)?;
    if row.order.slot() != slot {
        return wrong(format!("it lives in slot {}", row.order.slot().get()));
    }
    if let Some(other) = orders.by_key(&row.key).filter(|other| other.row.order != row.order) {
        return wrong(format!("order {} has its key", other.row.order));
    }
    if let Some(before) = orders.get(row.order).filter(|before| before.row.key != row.key) {
        return wrong(format!("its key was {}", before.row.key));
    }
    row.reservation.as_ref().map_or(Ok(()), reservation).or_else(wrong)
}

pub(super) fn claim(txn: &TxnId) -> Check {
    text("transaction id", txn.as_str(), TxnId::parse)
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
    if let Some(other) = refunds.get(&row.order, &row.txn).filter(|other| other.number != row.number) {
        return wrong(format!("refund {} is for the same payment", other.number));
    }
    let before = refunds.after(row.number - 1).next().filter(|before| before.number == row.number);
    match before.filter(|before| (&before.order, &before.txn) != (&row.order, &row.txn)) {
        Some(before) => wrong(format!("it was for payment {} of order {}", before.txn, before.order)),
        None => Ok(()),
    }
}

pub(super) fn fact(fact: &Fact) -> Check {
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
pub(super) fn number(what: &str, number: u64) -> Check {
    if number == u64::MAX { Err(format!("{what} {number}")) } else { Ok(()) }
}

pub(super) fn ascending<T: PartialOrd>(what: &str, items: impl Iterator<Item = T> + Clone) -> Check {
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
