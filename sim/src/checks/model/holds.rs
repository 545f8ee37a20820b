//! Records of holds: a seat is taken when it is free, and given back once.

use std::rc::Rc;

use engine::answer::HoldStatus;
use engine::ids::{HoldId, OrderId, PartitionKey, Time};
use engine::message::Fact;
use engine::record::{HoldRow, ReleaseReason, Reservation};

use super::apply::{Applying, Verdict, Wrong, demand};
use super::sale;
use super::state::{Hold, Partition};

impl Applying<'_> {
    /// The partition, for a row that is its next change.
    fn next(&self, row: &HoldRow) -> Result<Partition, Wrong> {
        let Some(p) = self.slot.partitions.get(&row.partition) else {
            return Err(format!("{} is not open", row.partition));
        };
        let mut p = (**p).clone();
        p.seq += 1;
        p.changed_at = self.time;
        demand!(row.partition_seq == p.seq, "{} is at {}", row.partition, p.seq);
        demand!(row.from < row.to && row.to <= p.segments(), "the span leaves the run");
        demand!((row.segments, row.capacity) == (p.segments(), p.capacity()), "another size");
        demand!(row.quantity as usize == row.seats.len(), "{} seats are {:?}", row.quantity, row.seats);
        demand!(row.seats.iter().all(|seat| *seat < p.capacity()), "no such seats: {:?}", row.seats);
        let labels = row.seats.iter().map(|seat| p.labels[*seat as usize].as_str());
        demand!(row.labels.iter().map(|label| label.as_str()).eq(labels), "labels {:?}", row.labels);
        Ok(p)
    }

    /// A live hold that changes; what stays must be as it was.
    fn change(&self, row: &HoldRow) -> Result<(Partition, Hold), Wrong> {
        let mut p = self.next(row)?;
        let Some(old) = p.holds.get(&row.hold).map(|hold| (**hold).clone()) else {
            return Err(format!("there is no hold {}", row.hold));
        };
        demand!(old.is_live(), "the hold has ended: {old:?}");
        let same =
            (old.from, old.to, &old.seats, old.deadline) == (row.from, row.to, &row.seats, row.deadline);
        demand!(same && (old.made, old.quantity) == (row.made, row.quantity), "another hold than {old:?}");
        let mut new = Hold {
            status: row.status,
            owner: row.owner,
            txn: row.txn.clone(),
            reason: row.release_reason,
            keep_until: row.keep_until,
            ..old.clone()
        };
        if !new.has_seats() {
            p.put(&old, false);
            new.seats.clear();
        }
        p.holds.insert(row.hold.clone(), Rc::new(new));
        Ok((p, old))
    }

    /// Whatever is due expires before anything else is decided.
    fn nothing_due(&self, row: &HoldRow) -> Verdict {
        let p = self.slot.partitions.get(&row.partition);
        match p.and_then(|p| p.overdue(self.time)) {
            Some(id) => Err(format!("hold {id} is past its deadline, and something else happens first")),
            None => Ok(()),
        }
    }

    fn put(&mut self, row: &HoldRow, p: Partition) {
        self.slot.partitions.insert(row.partition.clone(), Rc::new(p));
    }

    /// The order knows this hold as its own.
    fn is_its(&self, order: OrderId, row: &HoldRow) -> Verdict {
        let theirs = self.others.slot(order.slot());
        let slot = if order.slot() == self.others.here() { &self.slot } else { &theirs };
        let its =
            slot.orders.get(&order).is_some_and(|order| order.owns(&row.partition, &row.hold, row.made));
        demand!(its, "order {order} has not reserved hold {}", row.hold);
        Ok(())
    }

    /// The order is there, or was when the hold was asked for.
    fn knows(&self, order: OrderId) -> Verdict {
        let theirs = self.others.slot(order.slot());
        let slot = if order.slot() == self.others.here() { &self.slot } else { &theirs };
        let is_known = slot.orders.contains_key(&order) || slot.left.contains_key(&order);
        demand!(is_known, "there is no order {order}");
        Ok(())
    }

    pub(super) fn hold_made(&mut self, row: &HoldRow) -> Verdict {
        let deadline = self.time.plus(self.inputs.policy.hold_ttl_ms);
        demand!(row.deadline == deadline, "deadline {:?}", row.deadline);
        self.made(row)?;
        self.tell_made(row)
    }

    /// A new hold, before anybody is told of it.
    pub(super) fn made(&mut self, row: &HoldRow) -> Verdict {
        self.nothing_due(row)?;
        let mut p = self.next(row)?;
        self.on_sale(row, &p)?;
        demand!(row.made == row.partition_seq, "made by change {}", row.made);
        demand!(!p.holds.contains_key(&row.hold), "the hold is there already");
        demand!(row.status == HoldStatus::Held && row.txn.is_none(), "a new hold is live");
        for (i, seat) in row.seats.iter().enumerate() {
            demand!(!row.seats[..i].contains(seat), "seat {seat} twice in one hold");
            demand!(p.is_free(*seat, row.from, row.to), "seat {seat} is sold twice");
        }
        let hold = Hold {
            made: row.made,
            status: row.status,
            owner: row.owner,
            from: row.from,
            to: row.to,
            quantity: row.quantity,
            seats: row.seats.clone(),
            deadline: row.deadline,
            txn: None,
            reason: row.release_reason,
            keep_until: row.keep_until,
        };
        p.put(&hold, true);
        p.holds.insert(row.hold.clone(), Rc::new(hold));
        self.put(row, p);
        Ok(())
    }

    /// A new hold is of what is on sale at that moment.
    fn on_sale(&self, row: &HoldRow, p: &Partition) -> Verdict {
        let key = &row.partition;
        let is_sold = |at: Time| {
            let is_gone = self.slot.is_vacant(key, p) && !self.slot.is_ad_hoc(self.inputs, key);
            !is_gone && sale::refusal(p.run.as_ref(), self.inputs, at, row.from, row.to).is_none()
        };
        demand!(self.any_calendar(is_sold), "it is not on sale at {:?}", self.calendars);
        Ok(())
    }

    pub(super) fn hold_adopted(&mut self, row: &HoldRow) -> Verdict {
        self.nothing_due(row)?;
        let (p, old) = self.change(row)?;
        demand!(old.owner.is_none() && row.owner.is_some(), "owned already: {old:?}");
        demand!(row.status == HoldStatus::Held, "an adopted hold is live");
        self.put(row, p);
        self.tell_made(row)
    }

    fn tell_made(&mut self, row: &HoldRow) -> Verdict {
        let Some(order) = row.owner else { return Ok(()) };
        self.knows(order)?;
        let reservation = self.reservation(row);
        self.tell(Fact::HoldMade { order, reservation });
        Ok(())
    }

    /// The hold as its order has it.
    pub(super) fn reservation(&self, row: &HoldRow) -> Reservation {
        let run = self.slot.partitions.get(&row.partition).and_then(|p| p.run.as_ref());
        let ends_at = run.map(|run| run.ends_at);
        Reservation {
            partition: row.partition.clone(),
            hold: row.hold.clone(),
            made: row.made,
            quantity: row.quantity,
            from: row.from,
            to: row.to,
            segments: row.segments,
            capacity: row.capacity,
            labels: row.labels.clone(),
            deadline: row.deadline,
            ends_at,
        }
    }

    /// A hold is confirmed, before anybody is told of it.
    pub(super) fn confirmed(&mut self, row: &HoldRow) -> Verdict {
        self.nothing_due(row)?;
        let (p, old) = self.change(row)?;
        demand!(row.status == HoldStatus::Confirmed && row.owner == old.owner, "confirmed from {old:?}");
        self.put(row, p);
        Ok(())
    }

    pub(super) fn hold_confirmed(&mut self, row: &HoldRow) -> Verdict {
        self.is_no_purchase(row)?;
        self.confirmed(row)?;
        match (row.owner, &row.txn) {
            (None, None) => Ok(()),
            (Some(order), Some(txn)) => {
                let claims = self.others.slot(self.inputs.hash.txn(txn));
                demand!(claims.claims.get(txn) == Some(&order), "{txn} is not claimed for {order}");
                self.is_its(order, row)?;
                let (partition, hold) = (row.partition.clone(), row.hold.clone());
                let made = row.made;
                self.tell(Fact::HoldConfirmed { order, partition, hold, made, txn: txn.clone() });
                Ok(())
            }
            _ => Err("an order's hold is confirmed by a payment, and no other".to_owned()),
        }
    }

    /// Nobody is told what becomes of a purchase's hold: its order has to change with it.
    fn is_no_purchase(&self, row: &HoldRow) -> Verdict {
        let owner = row.owner.and_then(|order| self.slot.orders.get(&order));
        demand!(owner.is_none_or(|order| !order.row.is_purchase()), "it is a purchase: {owner:?}");
        Ok(())
    }

    pub(super) fn hold_released(&mut self, row: &HoldRow) -> Verdict {
        self.is_no_purchase(row)?;
        self.released(row)?;
        match (row.release_reason, row.owner) {
            (Some(ReleaseReason::Requested), None) => Ok(()),
            (Some(ReleaseReason::Requested), Some(order)) => {
                self.is_its(order, row)?;
                let (partition, hold) = (row.partition.clone(), row.hold.clone());
                self.tell(Fact::HoldReleased { order, partition, hold, made: row.made });
                Ok(())
            }
            (Some(ReleaseReason::Declined), Some(order)) => {
                demand!(self.is_its(order, row).is_err(), "declined, and the order wants it");
                self.seen.declined += 1;
                Ok(())
            }
            other => Err(format!("released for {other:?}")),
        }
    }

    /// A hold is released, before anybody is told of it.
    pub(super) fn released(&mut self, row: &HoldRow) -> Verdict {
        let declined = row.release_reason == Some(ReleaseReason::Declined);
        if !declined {
            self.nothing_due(row)?;
        }
        let (p, old) = self.change(row)?;
        demand!(row.status == HoldStatus::Released && row.owner == old.owner, "released from {old:?}");
        let keep = self.time.plus(self.inputs.policy.hold_memory_ms);
        demand!(row.keep_until == keep, "kept until {:?}", row.keep_until);
        self.put(row, p);
        Ok(())
    }

    pub(super) fn hold_expired(&mut self, row: &HoldRow) -> Verdict {
        self.is_no_purchase(row)?;
        self.expired(row)?;
        if let Some(order) = row.owner {
            let (partition, hold) = (row.partition.clone(), row.hold.clone());
            self.tell(Fact::HoldExpired { order, partition, hold, made: row.made });
        }
        Ok(())
    }

    /// A hold has expired, before anybody is told of it.
    pub(super) fn expired(&mut self, row: &HoldRow) -> Verdict {
        let (p, old) = self.change(row)?;
        demand!(row.status == HoldStatus::Expired && row.owner == old.owner, "expired from {old:?}");
        demand!(old.deadline <= self.time, "expired before its deadline {:?}", old.deadline);
        let keep = self.time.plus(self.inputs.policy.hold_memory_ms);
        demand!(row.keep_until == keep, "kept until {:?}", row.keep_until);
        self.put(row, p);
        self.seen.expired += 1;
        Ok(())
    }

    pub(super) fn holds_forgotten(&mut self, key: &PartitionKey, holds: &[HoldId]) -> Verdict {
        let Some(p) = self.slot.partitions.get(key) else {
            return Err(format!("{key} is not open"));
        };
        let mut p = (**p).clone();
        p.seq += 1;
        let untold = |id: &HoldId| self.slot.outbox.values().find(|fact| fact.hold() == Some((key, id)));
        let mut last = Time(0);
        for id in holds {
            let Some(hold) = p.holds.remove(id) else {
                return Err(format!("there is no hold {id}"));
            };
            demand!(!hold.has_seats(), "a hold with seats is forgotten: {hold:?}");
            let is_early = hold.keep_until > self.time;
            demand!(!is_early || self.inputs.is_tight, "forgotten before its time: {hold:?}");
            let untold = untold(id);
            demand!(untold.is_none(), "forgotten, and somebody has still to be told {untold:?}");
            last = last.max(hold.keep_until);
            self.seen.forgotten += 1;
            self.seen.forgotten_early += u64::from(is_early);
        }
        let older = |(id, hold): &(&HoldId, &Rc<Hold>)| {
            !hold.has_seats() && hold.keep_until < last && untold(id).is_none()
        };
        let older = p.holds.iter().find(older);
        demand!(older.is_none(), "{older:?} has ended before, and is kept");
        self.slot.partitions.insert(key.clone(), Rc::new(p));
        Ok(())
    }
}
