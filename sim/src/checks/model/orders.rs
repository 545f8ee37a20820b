//! Records of orders and of money: each status has a cause, and each payment one end.

use std::rc::Rc;

use engine::answer::{CancelReason, HoldStatus, OrderStatus, RefundReason};
use engine::ids::{OrderId, Time};
use engine::record::{GoesBack, OrderRow, RefundRow, Reservation};

use super::apply::{Applying, Verdict, Wrong, demand};
use super::state::{Hold, Order, Slot};

impl Applying<'_> {
    /// The order as it was, where only what the status brings has changed.
    pub(super) fn change_order(&self, row: &OrderRow, from: &[OrderStatus]) -> Result<Order, Wrong> {
        let Some(old) = self.slot.orders.get(&row.order) else {
            return Err(format!("there is no order {}", row.order));
        };
        demand!(from.contains(&old.row.status), "the order is {:?}", old.row);
        let same = (&old.row.key, old.row.amount, old.row.created_at, old.row.abandon_at);
        demand!(
            same == (&row.key, row.amount, row.created_at, row.abandon_at),
            "another order: {:?}",
            old.row
        );
        if old.row.status != OrderStatus::Init {
            let mut reservation = old.row.reservation.clone();
            // The seats of one that is cancelled are its no more.
            if let (OrderStatus::Cancelled, Some(r)) = (row.status, &mut reservation) {
                r.labels.clear();
            }
            demand!(reservation == row.reservation, "another reservation than {:?}", old.row);
        }
        Ok((**old).clone())
    }

    pub(super) fn put_order(&mut self, row: &OrderRow) {
        let (updated_at, changed) = (self.time, self.place);
        let order = Order { row: row.clone(), updated_at, changed, ask_at: None, is_leaving: false };
        self.slot.orders.insert(row.order, Rc::new(order));
    }

    /// The states of the hold that the order's slot may have been told of.
    fn hold_of(&self, r: &Reservation) -> Option<Hold> {
        let slot = self.inputs.hash.partition(&r.partition);
        let theirs = self.others.slot(slot);
        let slot: &Slot = if slot == self.others.here() { &self.slot } else { &theirs };
        slot.partitions.get(&r.partition)?.holds.get(&r.hold).map(|hold| (**hold).clone())
    }

    /// The same, where it is the order's. Once that one is forgotten, others can have its id.
    pub(super) fn own_hold_of(&self, order: OrderId, r: &Reservation) -> Option<Hold> {
        self.hold_of(r).filter(|hold| hold.owner == Some(order) && hold.made == r.made)
    }

    /// The end of the run of its partition.
    fn run_of(&self, r: &Reservation) -> Option<Time> {
        let slot = self.known(self.inputs.hash.partition(&r.partition));
        slot.partitions.get(&r.partition)?.run.as_ref().map(|run| run.ends_at)
    }

    pub(super) fn created(&mut self, row: &OrderRow) -> Verdict {
        demand!(!self.slot.keys.contains_key(&row.key), "the key has an order already");
        demand!(!self.slot.orders.contains_key(&row.order), "the order is there already");
        demand!(!self.slot.left.contains_key(&row.order), "its id was another order's");
        demand!(!row.is_purchase(), "a purchase is made with its hold");
        demand!(self.inputs.hash.idempotency_key(row.key.name()) == self.others.here(), "in another slot");
        demand!(row.order.slot() == self.others.here(), "the id carries another slot");
        demand!(row.status == OrderStatus::Init && row.created_at == self.time, "a new order is INIT");
        let abandon_at = self.time.plus(self.inputs.policy.abandon_ms);
        demand!(row.abandon_at == abandon_at, "given up at {:?}", row.abandon_at);
        let bare = row.reservation.is_none() && row.txn.is_none() && row.cancel_reason.is_none();
        demand!(bare, "a new order has nothing: {row:?}");
        self.slot.keys.insert(row.key.clone(), row.order);
        self.put_order(row);
        Ok(())
    }

    pub(super) fn reserved(&mut self, row: &OrderRow) -> Verdict {
        self.change_order(row, &[OrderStatus::Init])?;
        demand!(row.status == OrderStatus::Reserved && row.txn.is_none(), "reserved: {row:?}");
        let Some(r) = &row.reservation else {
            return Err("reserved without a hold".to_owned());
        };
        // The hold may have ended and been forgotten since.
        if let Some(hold) = self.own_hold_of(row.order, r) {
            demand!((hold.from, hold.to) == (r.from, r.to), "its hold is {hold:?}");
            let run = self.run_of(r);
            demand!(r.ends_at == run, "its run ends at {run:?}");
            demand!(
                (hold.quantity, r.labels.len()) == (r.quantity, r.quantity as usize),
                "its hold is {hold:?}"
            );
        } else {
            // A record may wait for its frame, while its partition goes on.
            let now = self.time.max(self.others.slot(self.inputs.hash.partition(&r.partition)).time);
            demand!(r.deadline <= now, "reserved with a hold that is not there");
        }
        self.put_order(row);
        Ok(())
    }

    pub(super) fn paid(&mut self, row: &OrderRow) -> Verdict {
        self.change_order(row, &[OrderStatus::Reserved])?;
        let (Some(txn), Some(r)) = (&row.txn, &row.reservation) else {
            return Err("paid without a transaction id or a hold".to_owned());
        };
        demand!(row.status == OrderStatus::Paid && row.cancel_reason.is_none(), "paid: {row:?}");
        self.claimed(row.order, txn)?;
        // A run that has departed may be forgotten with its holds before its order hears of it, and its key be opened again.
        if let Some(hold) = self.hold_of(r).filter(|hold| hold.made <= r.made) {
            let sold = hold.status == HoldStatus::Confirmed && hold.owner == Some(row.order);
            demand!(sold && hold.txn.as_ref() == Some(txn), "paid, and its hold is {hold:?}");
        }
        demand!(self.slot.any_refund(&row.order.name(), txn).is_none(), "paid with money that is owed back");
        self.put_order(row);
        Ok(())
    }

    pub(super) fn claimed(&self, order: OrderId, txn: &engine::ids::TxnId) -> Verdict {
        let slot = self.inputs.hash.txn(txn);
        let theirs = self.others.slot(slot);
        let slot: &Slot = if slot == self.others.here() { &self.slot } else { &theirs };
        demand!(slot.claims.get(txn) == Some(&order), "{txn} is not claimed for {order}");
        Ok(())
    }

    pub(super) fn ticketed(&mut self, row: &OrderRow) -> Verdict {
        let old = self.change_order(row, &[OrderStatus::Paid])?;
        demand!(row.status == OrderStatus::Ticketed && row.txn == old.row.txn, "ticketed: {row:?}");
        self.put_order(row);
        self.seen.tickets += 1;
        Ok(())
    }

    pub(super) fn cancelled(&mut self, row: &OrderRow) -> Verdict {
        let old = self.change_order(row, &[OrderStatus::Init, OrderStatus::Reserved])?;
        demand!(row.status == OrderStatus::Cancelled && row.txn.is_none(), "cancelled: {row:?}");
        let hold = row.reservation.as_ref().and_then(|r| self.own_hold_of(row.order, r));
        let hold = hold.map(|hold| hold.status);
        match (old.row.status, row.cancel_reason) {
            (OrderStatus::Init, Some(CancelReason::Requested)) => {}
            (OrderStatus::Init, Some(CancelReason::Abandoned)) => {
                demand!(old.row.abandon_at <= self.time, "given up before its time");
                self.seen.abandoned += 1;
            }
            (OrderStatus::Reserved, Some(CancelReason::Requested)) => {
                demand!(matches!(hold, None | Some(HoldStatus::Released)), "its hold is {hold:?}");
            }
            (OrderStatus::Reserved, Some(CancelReason::HoldExpired)) => {
                demand!(matches!(hold, None | Some(HoldStatus::Expired)), "its hold is {hold:?}");
                let deadline = old.row.reservation.as_ref().map(|r| r.deadline);
                demand!(deadline <= Some(self.time), "expired before {deadline:?}");
            }
            other => return Err(format!("cancelled as {other:?}")),
        }
        self.put_order(row);
        Ok(())
    }

    pub(super) fn owed(&mut self, row: &RefundRow) -> Verdict {
        let next = self.slot.last_refund + 1;
        demand!(row.number == next, "the next refund is {next}");
        demand!(self.slot.refund(&row.order, &row.txn).is_none(), "owed already");
        demand!(row.settled.is_none() && row.created_at == self.time, "owed: {row:?}");
        demand!(self.inputs.hash.order_name(&row.order) == self.others.here(), "owed in another slot");
        self.seen.refunds += 1;
        let id = OrderId::parse(row.order.as_str());
        let order = id.and_then(|id| self.slot.orders.get(&id)).map(|order| order.row.clone());
        match order {
            Some(order) => {
                self.owed_for(row, &order)?;
                self.money_keeps(order.order);
            }
            None => self.owed_without_order(row, id)?,
        }
        self.put_refund(row);
        self.slot.last_refund = row.number;
        Ok(())
    }

    fn put_refund(&mut self, row: &RefundRow) {
        self.slot.refunds.insert(row.number, Rc::new(row.clone()));
        self.slot.refund_places.insert(row.number, self.place);
    }

    /// For an order as it is, or was when it left.
    pub(super) fn owed_for(&self, row: &RefundRow, order: &OrderRow) -> Verdict {
        self.claimed(order.order, &row.txn)?;
        demand!(order.txn.as_ref() != Some(&row.txn), "the money has paid the order");
        demand!(order.status != OrderStatus::Reserved, "the order waits for this money");
        demand!((row.reason, row.amount) == (reason(order), Some(order.amount)), "of {order:?}");
        Ok(())
    }

    /// A claim says what goes back of an order that changes no more. One of an order that has left always does.
    pub(super) fn goes_back(&self, order: OrderId, goes_back: Option<GoesBack>) -> Verdict {
        let theirs = self.known(order.slot());
        let left = theirs.left.get(&order);
        let Some(GoesBack { amount, reason: why }) = goes_back else {
            demand!(left.is_none(), "order {order} has left, and its claim does not say what goes back");
            return Ok(());
        };
        let here = theirs.orders.get(&order).map(|order| &order.row);
        let Some(row) = here.or(left.map(|left| &left.row)) else {
            return Err(format!("there is no order {order}"));
        };
        demand!(
            !matches!(row.status, OrderStatus::Init | OrderStatus::Reserved),
            "it may still be paid: {row:?}"
        );
        demand!((why, amount) == (reason(row), row.amount), "claimed for {row:?}");
        Ok(())
    }

    pub(super) fn settled(&mut self, row: &RefundRow) -> Verdict {
        let Some(old) = self.slot.refunds.get(&row.number) else {
            return Err("it was never owed".to_owned());
        };
        demand!(old.settled.is_none(), "settled twice: {old:?}");
        let settled = row.settled.as_ref().is_some_and(|settled| settled.at == self.time);
        let same = RefundRow { settled: None, ..row.clone() } == **old;
        demand!(settled && same, "settled as another refund than {old:?}");
        self.put_refund(row);
        Ok(())
    }
}

/// The reason of a refund: why money that an order does not wait for goes back.
fn reason(order: &OrderRow) -> RefundReason {
    match (order.status, order.cancel_reason) {
        (OrderStatus::Paid | OrderStatus::Ticketed, _) => RefundReason::AlreadyPaid,
        (OrderStatus::Cancelled, Some(CancelReason::HoldExpired)) => RefundReason::HoldExpired,
        _ => RefundReason::InvalidState,
    }
}
