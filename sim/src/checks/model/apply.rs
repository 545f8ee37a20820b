//! One record after another: whether it may follow from what is there, and what is there then.

use std::rc::Rc;

use allocator::Layout;
use engine::answer::OrderStatus;
use engine::ids::{HoldId, PartitionKey, SlotId, Time};
use engine::message::Fact;
use engine::record::{Body, PartitionOpened};

use super::sale::Offer;
use super::state::{Partition, RecordPlace, Slot};
use super::{DecisionInputs, Others};
use crate::timetable;

/// Why a record may not stand where it stands.
pub(super) type Wrong = String;
pub(super) type Verdict = Result<(), Wrong>;

/// `Err` with what was asked for, unless it is so.
macro_rules! demand {
    ($so:expr, $($what:tt)*) => {
        if !$so {
            return Err(format!($($what)*));
        }
    };
}
pub(super) use demand;

/// A record on its way into the model.
pub(super) struct Applying<'a> {
    pub(super) slot: Slot,
    pub(super) time: Time,
    /// Times that the calendar may have shown to the record's author.
    pub(super) calendars: &'a [Time],
    /// The latest that any calendar may have shown so far.
    pub(super) latest: Time,
    /// The place of the record itself.
    pub(super) place: RecordPlace,
    /// The furthest record of this core's log that the read model may have been relied on for; `None`: for none.
    pub(super) relied: Option<u64>,
    /// The read model has not all that there ever was.
    pub(super) history_lost: bool,
    pub(super) inputs: &'a DecisionInputs,
    /// The other slots that the record's author may have known of.
    pub(super) others: &'a dyn Others,
    /// Counts made on the way.
    pub(super) seen: Seen,
}

/// Counts of what records show.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Seen {
    pub expired: u64,
    pub forgotten: u64,
    pub forgotten_early: u64,
    pub departed: u64,
    pub kept_over: u64,
    pub gave_way: u64,
    pub abandoned: u64,
    pub given_up: u64,
    pub left: u64,
    pub left_early: u64,
    pub left_with_money: u64,
    pub leaving: u64,
    pub stayed: u64,
    pub kept: u64,
    pub kept_past_end: u64,
    pub claims_forgotten: u64,
    pub claims_late: u64,
    pub left_paid: u64,
    pub left_refunds: u64,
    pub history_lost: u64,
    pub declined: u64,
    pub refunds: u64,
    pub tickets: u64,
    pub purchases: u64,
    pub purchases_paid: u64,
    pub purchases_cancelled: u64,
    pub purchases_expired: u64,
}

/// The slot after the record. `applying` has the slot before it.
pub(super) fn apply(mut applying: Applying<'_>, body: &Body) -> Result<(Slot, Seen), Wrong> {
    let before = std::mem::replace(&mut applying.slot.time, applying.time);
    demand!(applying.time >= before, "time goes backwards from {before:?}");
    applying.body(body)?;
    Ok((applying.slot, applying.seen))
}

impl Applying<'_> {
    fn body(&mut self, body: &Body) -> Verdict {
        match body {
            Body::PartitionOpened(opened) => self.opened(opened),
            Body::PartitionForgotten { partition } => self.partition_forgotten(partition),
            Body::HoldMade(row) => self.hold_made(row),
            Body::HoldAdopted(row) => self.hold_adopted(row),
            Body::HoldConfirmed(row) => self.hold_confirmed(row),
            Body::HoldReleased(row) => self.hold_released(row),
            Body::HoldsExpired(rows) => rows.iter().try_for_each(|row| match &row.purchase {
                None => self.hold_expired(&row.hold),
                Some(order) => self.purchase_expired(order, &row.hold),
            }),
            Body::HoldsForgotten { partition, holds } => self.holds_forgotten(partition, holds),
            Body::OrderCreated(row) => self.created(row),
            Body::OrderReserved(row) => self.reserved(row),
            Body::OrderPaid(row) => {
                demand!(!row.is_purchase(), "a purchase changes with its hold");
                self.paid(row)
            }
            Body::OrderTicketed(row) => self.ticketed(row),
            Body::OrderCancelled(row) => {
                demand!(!row.is_purchase(), "a purchase changes with its hold");
                self.cancelled(row)
            }
            Body::PurchaseMade(row) => self.purchased(row),
            Body::PurchasePaid(row) => self.purchase_paid(row),
            Body::PurchaseCancelled(row) => self.purchase_cancelled(row),
            Body::OrdersAbandoned(rows) => rows.iter().try_for_each(|row| self.given_up(row)),
            Body::OrderKept { order, kept } => self.kept(*order, *kept),
            Body::OrderLeaving { order, txns } => self.leaving(*order, txns),
            Body::OrdersForgotten { orders } => orders.iter().try_for_each(|order| self.left(*order)),
            Body::ClaimForgotten { txn, order, tell } => {
                self.claim_forgotten(txn, *order, tell.map(|tell| tell.0))
            }
            Body::RefundsForgotten { numbers } => {
                numbers.iter().try_for_each(|number| self.refund_forgotten(*number))
            }
            Body::TxnClaimed { txn, order, goes_back } => {
                demand!(!self.slot.claims.contains_key(txn), "the transaction id is claimed already");
                demand!(
                    self.inputs.hash.txn(txn) == self.others.here(),
                    "claimed in another slot than its own"
                );
                self.goes_back(*order, *goes_back)?;
                self.slot.claims.insert(txn.clone(), *order);
                if goes_back.is_some() {
                    self.slot.explained.insert(txn.clone());
                }
                self.tell(Fact::TxnClaimed { order: *order, txn: txn.clone(), goes_back: *goes_back });
                Ok(())
            }
            Body::RefundOwed(row) => self.owed(row),
            Body::RefundSettled(row) => self.settled(row),
            Body::TellsAcked { tells } => tells.iter().try_for_each(|tell| self.acked(tell.0)),
        }
    }

    /// Another slot as the author of the record may know it, or this one.
    pub(super) fn known(&self, slot: SlotId) -> Rc<Slot> {
        if slot == self.others.here() { Rc::new(self.slot.clone()) } else { self.others.slot(slot) }
    }

    pub(super) fn tell(&mut self, fact: Fact) {
        self.slot.tells += 1;
        self.slot.outbox.insert(self.slot.tells, Rc::new(fact));
    }

    fn opened(&mut self, opened: &PartitionOpened) -> Verdict {
        let key = &opened.partition;
        demand!(!self.slot.partitions.contains_key(key), "{key} is open already");
        demand!(self.inputs.hash.partition(key) == self.others.here(), "{key} is opened in another slot");
        demand!(opened.seq == self.slot.forgotten_seq, "it goes on from {}", self.slot.forgotten_seq);
        // Whether a run has departed is all that the calendar says about it.
        let offers = self.calendars.iter().map(|at| self.slot.offer(self.inputs, *at, key));
        let offers: Vec<Offer> = offers.collect();
        let fits = |offer: &Offer| match offer {
            Offer::NotSold => false,
            Offer::AdHoc => opened.run.is_none() && matches!(opened.layout, Layout::AdHoc { .. }),
            Offer::Sold(definition) => {
                opened.run.as_ref() == Some(&definition.run)
                    && opened.layout == definition.layout
                    && usize::from(opened.segments) + 1 == definition.run.stops.len()
            }
        };
        demand!(offers.iter().any(fits), "{key} is offered as {offers:?}");
        self.slot.partitions.insert(key.clone(), Rc::new(Partition::new(opened, self.time)));
        Ok(())
    }

    pub(super) fn any_calendar(&self, is_so: impl Fn(Time) -> bool) -> bool {
        self.calendars.iter().any(|at| is_so(*at))
    }

    fn partition_forgotten(&mut self, key: &PartitionKey) -> Verdict {
        let Some(p) = self.slot.partitions.get(key) else {
            return Err(format!("{key} is not open"));
        };
        demand!(p.holds.values().all(|hold| !hold.is_live()), "{key} has a live hold");
        let untold = self.slot.outbox.values().find(|fact| fact.hold().is_some_and(|(of, _)| of == key));
        demand!(untold.is_none(), "{key} is forgotten, and somebody has still to be told {untold:?}");
        let policy = &self.inputs.policy;
        if let Some(run) = &p.run {
            let end = run.ends_at.plus(policy.departed_ms);
            demand!(self.any_calendar(|at| end <= at), "{key} has not departed at {:?}", self.calendars);
            demand!(self.slot.outbox.is_empty(), "somebody has still to be told of {key}");
            self.seen.departed += 1;
        } else if p.has_sold() {
            let end = timetable::kept_until(policy, key, p.changed_at);
            demand!(self.any_calendar(|at| end <= at), "{key} is kept until {end:?}: {:?}", self.calendars);
            demand!(self.slot.outbox.is_empty(), "somebody has still to be told of {key}");
            self.seen.kept_over += 1;
        } else if !p.holds.is_empty() {
            let gives_way = self.any_calendar(|at| self.slot.gives_way(self.inputs, at, key));
            demand!(gives_way || self.inputs.is_tight, "{key} remembers holds, and is forgotten");
            self.seen.gave_way += u64::from(gives_way);
            self.seen.forgotten_early += p.holds.len() as u64;
        }
        let seq = p.seq;
        self.slot.partitions.remove(key);
        self.slot.forgotten_seq = self.slot.forgotten_seq.max(seq);
        self.seen.forgotten += 1;
        Ok(())
    }

    /// A tell leaves the outbox only when its receiver has recorded what follows from it.
    fn acked(&mut self, tell: u64) -> Verdict {
        let Some(fact) = self.slot.outbox.remove(&tell) else {
            return Err(format!("tell {tell} is not waiting"));
        };
        let id = fact.order();
        if let Fact::OrderLeaves { order, txn } = &*fact {
            let theirs = self.known(self.inputs.hash.txn(txn));
            let is_claimed = theirs.claims.get(txn) == Some(order);
            demand!(!is_claimed, "{fact:?} is acknowledged, and it is claimed for the order still");
            return Ok(());
        }
        let theirs = self.known(id.slot());
        // One that has left wants no hold, and money for it is owed back.
        let order = theirs.orders.get(&id);
        demand!(
            order.is_some() || theirs.left.contains_key(&id),
            "{fact:?} is acknowledged by an order that nobody knows"
        );
        let row = order.map(|order| &order.row);
        let owns = |partition, hold, made| order.is_some_and(|order| order.owns(partition, hold, made));
        let waits = |partition, hold, made| {
            row.is_some_and(|row| row.status == OrderStatus::Reserved) && owns(partition, hold, made)
        };
        let settled = match &*fact {
            Fact::HoldMade { reservation: r, .. } => {
                let wanted = owns(&r.partition, &r.hold, r.made);
                let never = row.is_none_or(|row| row.status != OrderStatus::Init);
                wanted || (never && !self.is_live(&r.partition, &r.hold, r.made))
            }
            Fact::HoldReleased { partition, hold, made, .. }
            | Fact::HoldExpired { partition, hold, made, .. }
            | Fact::HoldConfirmed { partition, hold, made, .. } => !waits(partition, hold, *made),
            Fact::TxnClaimed { txn, .. } => theirs.has_end(id, txn),
            Fact::OrderLeaves { .. } | Fact::SeatsKept { .. } => {
                return Err(format!("{fact:?} is never told"));
            }
        };
        demand!(settled, "{fact:?} is acknowledged, and its order has not recorded it: {row:?}");
        Ok(())
    }

    fn is_live(&self, partition: &PartitionKey, hold: &HoldId, made: u64) -> bool {
        let hold = self.slot.partitions.get(partition).and_then(|p| p.holds.get(hold));
        hold.is_some_and(|hold| hold.is_live() && hold.made == made)
    }
}
