//! Records of what leaves: it has ended, its time has come, nothing is owed for it, nobody claims for it any more, and the read model has all of
//! it durably and is relied on for that.

use std::rc::Rc;

use engine::answer::{CancelReason, OrderStatus, RefundReason};
use engine::ids::{OrderId, TxnId};
use engine::message::Fact;
use engine::record::{Kept, OrderRow, RefundRow};

use super::apply::{Applying, Verdict, Wrong, demand};
use super::state::{Left, LeftRefund, Order, RecordPlace, TEN_MINUTES_MS};
use crate::timetable;

/// A lookup counts for so long: a settled refund without its order is kept as long.
pub(crate) const LOOKED_UP_MS: u64 = 30_000;
/// An order with more transaction ids stays.
pub(crate) const TXNS_MAX: usize = 256;

impl Applying<'_> {
    /// The read model has the record durably, and is relied on for it.
    fn is_recorded(&self, place: RecordPlace) -> bool {
        let relied = self.relied.is_some_and(|relied| place.lsn <= relied || place.epoch < self.place.epoch);
        relied && place.epoch <= self.place.epoch
    }

    fn find(&self, id: OrderId) -> Result<Rc<Order>, Wrong> {
        self.slot.orders.get(&id).cloned().ok_or_else(|| format!("there is no order {id}"))
    }

    /// It has ended, with nothing owed, and the read model has it and its refunds.
    fn has_ended(&self, order: &Order) -> Verdict {
        demand!(self.slot.is_over(order), "it has not ended, or money is owed for it: {order:?}");
        let numbers = self.slot.refunds_of(order.row.order);
        let mut places = numbers.iter().map(|number| self.slot.refund_places[number]).chain([order.changed]);
        let missing = places.find(|place| !self.is_recorded(*place));
        demand!(missing.is_none(), "the read model has {:?}, and not {missing:?}: {order:?}", self.relied);
        Ok(())
    }

    fn has_come(&self, order: &Order) -> Verdict {
        let at = order.leaves_at(&self.inputs.policy);
        let has_come = at.is_some_and(|at| self.any_calendar(|calendar| at <= calendar));
        demand!(has_come, "it is kept until {at:?}, and it is {:?}: {order:?}", self.calendars);
        Ok(())
    }

    /// Without a hold or money, where memory is short and the read model will have it.
    pub(super) fn given_up(&mut self, row: &OrderRow) -> Verdict {
        let old = self.change_order(row, &[OrderStatus::Init])?;
        let reason = (row.status, row.cancel_reason);
        demand!(reason == (OrderStatus::Cancelled, Some(CancelReason::Abandoned)), "given up as {reason:?}");
        demand!(row.reservation.is_none() && row.txn.is_none(), "given up: {row:?}");
        demand!(self.inputs.is_tight, "given up where memory is not short");
        demand!(self.relied.is_some(), "given up, and no read model is known");
        demand!(old.row.created_at.plus(TEN_MINUTES_MS) <= self.time, "given up too soon: {:?}", old.row);
        let owed = self.slot.refund_status(&row.order.name());
        demand!(owed.is_none(), "given up with money that is or was owed back");
        self.put_order(row);
        self.seen.given_up += 1;
        Ok(())
    }

    /// Its partition has said how long it is kept. That is nothing that the read model shows.
    pub(super) fn kept(&mut self, id: OrderId, kept: Kept) -> Verdict {
        let mut order = (*self.find(id)?).clone();
        let policy = &self.inputs.policy;
        let asked = order.asks_at(policy).is_some_and(|at| at <= self.latest);
        demand!(asked, "it asks at {:?}, and it is {:?}: {order:?}", order.asks_at(policy), self.latest);
        let Some(r) = &mut order.row.reservation else { return Err("it has no seats".to_owned()) };
        let slot = self.known(self.inputs.hash.partition(&r.partition));
        let p = slot.partitions.get(&r.partition);
        let is_its = |hold: &super::state::Hold| hold.owner == Some(id) && hold.made == r.made;
        let own = p.filter(|p| p.holds.get(&r.hold).is_some_and(|hold| is_its(hold)));
        match kept {
            Kept::PastEnd(at) => {
                match own.map(|p| p.run.as_ref().map(|run| run.ends_at)) {
                    None => demand!(at <= self.latest, "it has gone after all time"),
                    Some(end) => demand!(end == Some(at), "its run ends at {end:?}"),
                }
                r.ends_at = Some(at);
                self.seen.kept_past_end += 1;
            }
            Kept::UntilAtLeast(at) => {
                if let Some(p) = own {
                    let end = timetable::kept_until(policy, &r.partition, p.changed_at);
                    demand!(p.run.is_none() && at <= end, "it is kept until {end:?}");
                }
                order.ask_at = Some(at);
                self.seen.kept += 1;
            }
        }
        self.slot.orders.insert(id, Rc::new(order));
        Ok(())
    }

    /// The slots of its transaction ids are told.
    pub(super) fn leaving(&mut self, id: OrderId, txns: &[TxnId]) -> Verdict {
        let order = self.find(id)?;
        demand!(!order.is_leaving, "it leaves already");
        self.has_ended(&order)?;
        self.has_come(&order)?;
        let own = self.slot.txns_of(&order);
        demand!(!own.is_empty() && own.len() <= TXNS_MAX && own == txns, "its transaction ids are {own:?}");
        self.slot.orders.insert(id, Rc::new(Order { is_leaving: true, ..(*order).clone() }));
        for txn in txns {
            self.tell(Fact::OrderLeaves { order: id, txn: txn.clone() });
        }
        self.seen.leaving += 1;
        Ok(())
    }

    /// A refund of the order was recorded: it does not leave any more.
    pub(super) fn money_keeps(&mut self, id: OrderId) {
        let order = self.slot.orders.get_mut(&id).map(Rc::make_mut);
        if let Some(order) = order.filter(|order| order.is_leaving) {
            order.is_leaving = false;
            self.seen.stayed += 1;
        }
    }

    pub(super) fn left(&mut self, id: OrderId) -> Verdict {
        let order = self.find(id)?;
        self.has_ended(&order)?;
        let told = |fact: &&Rc<Fact>| matches!(&***fact, Fact::OrderLeaves { order, .. } if *order == id);
        let untold = self.slot.outbox.values().find(told);
        demand!(untold.is_none(), "{untold:?} is not acknowledged: {order:?}");
        let txns = self.slot.txns_of(&order);
        if txns.is_empty() {
            let is_given_up = order.row.cancel_reason == Some(CancelReason::Abandoned);
            if let Err(why) = self.has_come(&order) {
                demand!(self.inputs.is_tight && is_given_up, "{why}");
                self.seen.left_early += 1;
            }
        } else {
            demand!(order.is_leaving, "it has transaction ids, and nobody was told: {order:?}");
            self.seen.left_with_money += 1;
        }
        for txn in &txns {
            let claims = self.known(self.inputs.hash.txn(txn));
            demand!(claims.claims.get(txn) != Some(&id), "{txn} is claimed for it still: {order:?}");
        }
        for number in self.slot.refunds_of(id) {
            self.refund_left(number);
        }
        self.slot.orders.remove(&id);
        self.slot.keys.remove(&order.row.key);
        let Order { row, updated_at, changed, .. } = (*order).clone();
        self.slot.left.insert(id, Rc::new(Left { row, updated_at, changed, left: self.place }));
        self.seen.left += 1;
        Ok(())
    }

    fn refund_left(&mut self, number: u64) {
        let row = self.slot.refunds.remove(&number).expect("looked at before");
        let changed = self.slot.refund_places.remove(&number).expect("as its row");
        let pair = (row.order.clone(), row.txn.clone());
        self.slot.left_refunds.insert(pair, Rc::new(LeftRefund { row, changed, left: self.place }));
    }

    pub(super) fn refund_forgotten(&mut self, number: u64) -> Verdict {
        let Some(row) = self.slot.refunds.get(&number) else {
            return Err(format!("there is no refund {number}"));
        };
        let Some(settled) = &row.settled else { return Err(format!("it is owed: {row:?}")) };
        let order = OrderId::parse(row.order.as_str()).filter(|id| self.slot.orders.contains_key(id));
        demand!(order.is_none(), "it goes with its order: {row:?}");
        let end = settled.at.plus(self.inputs.policy.order_retention_ms.max(LOOKED_UP_MS));
        demand!(self.any_calendar(|at| end <= at), "it is kept until {end:?}: {row:?}");
        let place = self.slot.refund_places[&number];
        demand!(self.is_recorded(place), "the read model has {:?}, and not {place:?}: {row:?}", self.relied);
        self.refund_left(number);
        self.seen.left_refunds += 1;
        Ok(())
    }

    /// Nobody waits for what the payment comes to: it has its end, and its order leaves or has left.
    pub(super) fn claim_forgotten(&mut self, txn: &TxnId, order: OrderId, tell: Option<u64>) -> Verdict {
        let owner = self.slot.claims.remove(txn);
        self.slot.explained.remove(txn);
        demand!(owner == Some(order), "{txn} is claimed for {owner:?}");
        let theirs = self.known(order.slot());
        let is_told = |fact: &Rc<Fact>| **fact == Fact::OrderLeaves { order, txn: txn.clone() };
        let leaves = theirs.left.contains_key(&order) || theirs.outbox.values().any(is_told);
        demand!(leaves, "order {order} does not leave, and {txn} is not claimed for it any more");
        demand!(theirs.has_end(order, txn), "{txn} of {order} comes to nothing");
        let is_own = |fact: &Rc<Fact>| matches!(&**fact, Fact::TxnClaimed { order: of, txn: id, .. } if (of, id) == (&order, txn));
        let own = self.slot.outbox.iter().find(|(_, fact)| is_own(fact)).map(|(id, _)| *id);
        demand!(own == tell, "its tell is {own:?}");
        tell.map(|tell| self.slot.outbox.remove(&tell));
        self.seen.claims_forgotten += 1;
        Ok(())
    }

    /// Money for an order that the slot does not have.
    pub(super) fn owed_without_order(&mut self, row: &RefundRow, id: Option<OrderId>) -> Verdict {
        let lost = row.reason == RefundReason::HistoryLost;
        demand!(!lost || self.history_lost, "the read model has all that there ever was");
        let left = id.and_then(|id| self.slot.left.get(&id)).cloned();
        if lost || (left.is_none() && row.reason == RefundReason::Unmatched) {
            demand!(row.amount.is_none(), "no such order: {row:?}");
            let refund = self.slot.any_refund(&row.order, &row.txn);
            demand!(lost || refund.is_none(), "the payment has had its end: {refund:?}");
            self.seen.history_lost += u64::from(lost);
            return Ok(());
        }
        let Some(left) = left else { return Err("there was no such order".to_owned()) };
        let row_left = &left.row;
        demand!(!self.slot.has_end(row_left.order, &row.txn), "the payment has had its end: {row_left:?}");
        if row.reason == RefundReason::Unmatched {
            // Claimed before its order left, which never heard of it.
            self.claimed(row_left.order, &row.txn)?;
            let claims = self.known(self.inputs.hash.txn(&row.txn));
            demand!(!claims.explained.contains(&row.txn), "its claim says what goes back: {row:?}");
            demand!(row.amount.is_none(), "no such order any more: {row:?}");
            self.seen.claims_late += 1;
            return Ok(());
        }
        self.seen.left_paid += 1;
        self.owed_for(row, row_left)
    }
}
