//! Validates records and slot images that are read back: the preconditions of `apply`, and that encode(decode(x)) = x.
//!
//! Each part is checked before it is taken over, against the state as it is then. Nothing here changes anything.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use core::fmt::Debug;

use allocator::{SEGMENTS_MAX, SeatNo, Span};

use super::{Hold, Order, Orders, Partition, Refunds, Slot};
use crate::ids::{
    HoldId, IdError, IdempotencyKey, OrderId, OrderKey, OrderName, PartitionKey, Reference, SlotId, TxnId,
};
use crate::message::Fact;
use crate::record::{
    Body, ExpiredHold, HoldRow, OrderRow, PartitionOpened, Record, RefundRow, Reservation, TellId,
};
use crate::status::{HoldStatus, OrderStatus};

pub(super) type Check = Result<(), String>;

impl Slot {
    /// Validates a record that is read back against the state that it is to change. Live records need none: they were decided
    /// on this very state.
    ///
    /// # Errors
    /// The contradiction, to the state or within the record.
    pub fn check(&self, record: &Record) -> Check {
        match &record.body {
            Body::PartitionOpened(row) if self.partitions.get(&row.partition).is_some() => {
                Err(format!("partition {} is open already", row.partition))
            }
            Body::PartitionOpened(row) => opened(row),
            Body::PartitionForgotten { partition } => match self.open_partition(partition)?.is_settled() {
                true => Ok(()),
                false => Err(format!("partition {partition} has a live hold, and is forgotten")),
            },
            Body::HoldMade(row) => self.new_hold(row),
            Body::HoldAdopted(row) | Body::HoldConfirmed(row) | Body::HoldReleased(row) => {
                self.live_hold(row, 1)
            }
            Body::HoldsExpired(rows) => {
                distinct(rows.iter().map(|row| &row.hold.hold))?;
                rows.iter().zip(1..).try_for_each(|(row, change)| self.expired_hold(row, change))
            }
            Body::HoldsForgotten { partition, holds } => {
                let p = self.open_partition(partition)?;
                distinct(holds.iter())?;
                holds.iter().try_for_each(|id| match p.hold(id) {
                    Some(hold) if matches!(hold.status, HoldStatus::Released | HoldStatus::Expired) => Ok(()),
                    _ => Err(format!("hold {id} has its seats or is not there, and is forgotten")),
                })
            }
            Body::PurchaseMade(row) => {
                if self.orders.get(row.order.order).is_some() {
                    return Err(format!("order {} is there already", row.order.order));
                }
                self.new_hold(&row.hold)?;
                self.purchase(&row.order, &row.hold)
            }
            Body::PurchasePaid(row) | Body::PurchaseCancelled(row) => {
                self.live_hold(&row.hold, 1)?;
                self.live_purchase(&row.order, &row.hold)
            }
            Body::OrderCreated(row)
            | Body::OrderReserved(row)
            | Body::OrderPaid(row)
            | Body::OrderTicketed(row)
            | Body::OrderCancelled(row) => order(row, self.id, &self.orders),
            Body::OrdersAbandoned(rows) => {
                distinct(rows.iter().map(|row| row.order))?;
                rows.iter().try_for_each(|row| self.init_order(row))
            }
            Body::OrderKept { order, .. } => match self.orders.get(*order) {
                Some(Order { row: OrderRow { reservation: Some(_), .. }, .. }) => Ok(()),
                _ => Err(format!("order {order} has no seats or is not there, and they are kept")),
            },
            Body::OrderLeaving { order, txns } => self.leaving(*order, txns),
            Body::OrdersForgotten { orders } => {
                distinct(orders.iter())?;
                orders.iter().try_for_each(|order| self.has_left(*order))
            }
            Body::TxnClaimed { txn, .. } => match self.claim(txn) {
                Some(order) => Err(format!("transaction id {txn} is order {order}'s")),
                None => claim(txn),
            },
            Body::ClaimForgotten { txn, order, tell } => self.claim_forgotten(txn, *order, *tell),
            Body::RefundOwed(row) | Body::RefundSettled(row) => refund(row, &self.refunds),
            Body::RefundsForgotten { numbers } => {
                distinct(numbers.iter())?;
                numbers.iter().try_for_each(|number| self.refund_forgotten(*number))
            }
            Body::TellsAcked { tells } => {
                distinct(tells.iter())?;
                match tells.iter().find(|tell| !self.outbox.contains_key(tell)) {
                    Some(tell) => Err(format!("tell {} is acknowledged and not there", tell.0)),
                    None => Ok(()),
                }
            }
        }
    }

    fn open_partition(&self, key: &PartitionKey) -> Result<&Partition, String> {
        self.partitions.get(key).ok_or_else(|| format!("partition {key} is not open"))
    }

    /// The partition of the record's hold, of which this is change number `change`.
    fn partition_before(&self, row: &HoldRow, change: u64) -> Result<&Partition, String> {
        let p = self.open_partition(&row.partition)?;
        if p.seq.checked_add(change) == Some(row.partition_seq) {
            Ok(p)
        } else {
            Err(format!("change {} of partition {} follows {}", row.partition_seq, row.partition, p.seq))
        }
    }

    fn init_order(&self, row: &OrderRow) -> Check {
        order(row, self.id, &self.orders)?;
        match self.orders.get(row.order) {
            Some(order) if order.row.status == OrderStatus::Init => Ok(()),
            _ => Err(format!("order {} has had a hold or is not there, and is given up", row.order)),
        }
    }

    /// An order that has ended, with nothing owed for it.
    fn ended_order(&self, id: OrderId) -> Result<&Order, String> {
        let order = self.orders.get(id).filter(|order| order.is_over());
        order.ok_or_else(|| format!("order {id} has not ended or is not there, and leaves"))
    }

    fn leaving(&self, id: OrderId, txns: &[TxnId]) -> Check {
        let order = self.ended_order(id)?;
        if order.is_leaving() {
            return Err(format!("order {id} leaves twice"));
        }
        let own = self.txns_of(order);
        if own == txns { Ok(()) } else { Err(format!("order {id} leaves with {txns:?}, and has {own:?}")) }
    }

    fn has_left(&self, id: OrderId) -> Check {
        let order = self.ended_order(id)?;
        if order.has_left_all() || self.txns_of(order).is_empty() {
            Ok(())
        } else {
            Err(format!("order {id} is forgotten, and somebody has still to be told that it leaves"))
        }
    }

    fn claim_forgotten(&self, txn: &TxnId, order: OrderId, tell: Option<TellId>) -> Check {
        if self.claim(txn) != Some(order) {
            return Err(format!("transaction id {txn} is not order {order}'s, and is forgotten"));
        }
        let Some(tell) = tell else { return Ok(()) };
        let is_of_claim = |told: &crate::message::Tell| matches!(&told.fact, Fact::TxnClaimed { order: of, txn: id, .. } if *of == order && id == txn);
        match self.outbox.get(&tell) {
            Some(told) if is_of_claim(told) => Ok(()),
            _ => Err(format!("tell {} is not of the claim of {txn}, and goes with it", tell.0)),
        }
    }

    fn refund_forgotten(&self, number: u64) -> Check {
        match self.refunds.after(number.saturating_sub(1)).next().filter(|row| row.number == number) {
            Some(row) if row.settled.is_some() && self.order_of(row).is_none() => Ok(()),
            _ => Err(format!(
                "refund {number} is owed, of an order that is here, or not there, and is forgotten"
            )),
        }
    }

    fn new_hold(&self, row: &HoldRow) -> Check {
        let p = self.partition_before(row, 1)?;
        if p.hold(&row.hold).is_some() {
            return Err(format!("hold {} is there already", row.hold));
        }
        hold(row, p)
    }

    fn expired_hold(&self, row: &ExpiredHold, change: u64) -> Check {
        self.live_hold(&row.hold, change)?;
        row.purchase.as_ref().map_or(Ok(()), |order| self.live_purchase(order, &row.hold))
    }

    fn live_purchase(&self, of: &OrderRow, hold: &HoldRow) -> Check {
        match self.orders.get(of.order) {
            Some(order) if order.row.status == OrderStatus::Reserved => self.purchase(of, hold),
            _ => Err(format!("order {} has ended or is not there, and changes", of.order)),
        }
    }

    /// They are of one another.
    fn purchase(&self, of: &OrderRow, hold: &HoldRow) -> Check {
        let is_of_hold = of.reservation.as_ref().is_some_and(|own| {
            (&own.partition, &own.hold, own.made) == (&hold.partition, &hold.hold, hold.made)
        });
        if !of.is_purchase() || hold.owner != Some(of.order) || !is_of_hold {
            return Err(format!("order {} has not hold {}", of.order, hold.hold));
        }
        order(of, self.id, &self.orders)
    }

    fn live_hold(&self, row: &HoldRow, change: u64) -> Check {
        let p = self.partition_before(row, change)?;
        match p.hold(&row.hold) {
            Some(hold) if hold.status == HoldStatus::Held => {
                same_seats(row, hold, p)?;
                payment(row)
            }
            _ => Err(format!("hold {} has ended or is not there, and changes", row.hold)),
        }
    }
}

pub(super) fn opened(opened: &PartitionOpened) -> Check {
    text("partition", opened.partition.as_str(), PartitionKey::parse)?;
    number("sequence", opened.seq)?;
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
    let has_ended = matches!(row.status, HoldStatus::Released | HoldStatus::Expired);
    let seats = if has_ended { 0 } else { row.quantity as usize };
    let whole = (row.seats.len(), row.segments, row.capacity);
    if whole != (seats, inventory.segments(), inventory.seats()) {
        return wrong(format!("{} of {} seats on {} segments", row.quantity, row.capacity, row.segments));
    }
    let span = Span::new(row.from, row.to).filter(|span| span.to() <= inventory.segments());
    let Some(span) = span else {
        let segments = inventory.segments();
        return wrong(format!("from {} to {} of {segments} segments", row.from, row.to));
    };
    if row.quantity == 0 {
        return wrong(String::from("no seats"));
    }
    if row.made > partition.seq.max(row.partition_seq) {
        return wrong(format!("made by change {} of {}", row.made, partition.seq));
    }
    if let Some(seat) = row.seats.iter().find(|seat| **seat >= inventory.seats()) {
        return wrong(format!("seat {seat} of {}", inventory.seats()));
    }
    let mut seats = row.seats.clone();
    seats.sort_unstable();
    ascending("seats", seats.iter()).or_else(wrong)?;
    if let Some(seat) = seats.iter().find(|seat| !inventory.is_free(SeatNo(**seat), span)) {
        return wrong(format!("seat {seat} is taken by another hold"));
    }
    Ok(())
}

/// A hold that changes stays where it is.
pub(super) fn same_seats(row: &HoldRow, hold: &Hold, partition: &Partition) -> Check {
    let before = partition.row(&row.partition, &row.hold, hold);
    let place =
        |row: &HoldRow| (row.made, row.quantity, row.from, row.to, row.segments, row.capacity, row.deadline);
    if place(row) == place(&before) && row.seats == before.seats && row.labels == before.labels {
        Ok(())
    } else {
        Err(format!("hold {} is another one than before", row.hold))
    }
}

/// The parts of a hold that a change can bring into it.
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
    text("key", row.key.name().as_str(), IdempotencyKey::parse).or_else(wrong)?;
    optional_text("transaction id", row.txn.as_ref(), TxnId::as_str, TxnId::parse).or_else(wrong)?;
    if row.order.slot() != slot {
        return wrong(format!("it lives in slot {}", row.order.slot().get()));
    }
    if let Some(other) = orders.by_key(&row.key).filter(|other| other.row.order != row.order) {
        return wrong(format!("order {} has its key", other.row.order));
    }
    if let Some(before) = orders.get(row.order).filter(|before| before.row.key != row.key) {
        return wrong(format!("its key was {:?}", before.row.key));
    }
    if let OrderKey::OfRun { run, .. } = &row.key
        && row.reservation.as_ref().is_none_or(|own| own.partition.run_or_self() != run.as_str())
    {
        return wrong(format!("a purchase for {}, with other seats", run.as_str()));
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
    if before.is_some_and(|before| before.settled.is_some() && row.settled.is_none()) {
        return wrong(String::from("it was settled"));
    }
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
        Fact::TxnClaimed { txn, .. } | Fact::OrderLeaves { txn, .. } => {
            text("transaction id", txn.as_str(), TxnId::parse)
        }
        Fact::SeatsKept { order, .. } => Err(format!("order {order} is told what is only an answer")),
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

/// The first of the items that an image goes on with comes after the last that is there.
pub(super) fn follows<T: PartialOrd>(what: &str, last: Option<T>, first: Option<T>) -> Check {
    match (last, first) {
        (Some(last), Some(first)) if first <= last => Err(format!("{what} that come twice or out of order")),
        _ => Ok(()),
    }
}

fn distinct<T: Ord + Copy + Debug>(mut ids: impl Iterator<Item = T>) -> Check {
    let mut seen = BTreeSet::new();
    ids.find(|id| !seen.insert(*id)).map_or(Ok(()), |id| Err(format!("{id:?} comes twice")))
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
