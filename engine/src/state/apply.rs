//! The only code that changes state, live and in recovery. A record says what has happened, so `apply` decides nothing.
//! Returns no error; panics on a record out of sequence.

use alloc::vec::Vec;

use super::{Partition, Slot};
use crate::effect::Effect;
use crate::ids::Time;
use crate::message::{Fact, HoldIdentity, Tell};
use crate::record::{Body, ExpiredHold, HoldRow, PurchaseRow, Record, Reservation, TellId};
use crate::status::ReleaseReason;

impl Slot {
    /// Changes the state as the record says, and pushes what is to be done outside it.
    ///
    /// # Panics
    /// When the record is not this slot's next: then what follows would not be the state that was acknowledged.
    pub fn apply(&mut self, record: &Record, effects: &mut Vec<Effect>) {
        assert_eq!(record.slot, self.id, "a record changes its own slot");
        assert_eq!(record.seq, self.seq + 1, "records of a slot follow one another");
        self.seq = record.seq;
        self.time = record.time;
        match &record.body {
            Body::PartitionOpened(opened) => self.partitions.open(opened, record.time),
            Body::PartitionForgotten { partition } => self.forget_partition(partition),
            Body::HoldMade(row) => {
                self.change_hold(record, row, Partition::insert);
                self.tell(record, self.hold_made(row), effects);
            }
            Body::HoldAdopted(row) => {
                self.change_hold(record, row, Partition::update);
                self.tell(record, self.hold_made(row), effects);
            }
            Body::HoldConfirmed(row) => {
                self.change_hold(record, row, Partition::update);
                self.tell(record, hold_confirmed(row), effects);
            }
            Body::HoldReleased(row) => {
                self.change_hold(record, row, Partition::update);
                self.tell(record, hold_released(row), effects);
            }
            Body::HoldsExpired(rows) => {
                for ExpiredHold { hold, purchase } in rows {
                    self.change_hold(record, hold, Partition::update);
                    match purchase {
                        Some(order) => self.put_order(order, record.time),
                        None => self.tell(record, hold_expired(hold), effects),
                    }
                }
            }
            Body::HoldsForgotten { partition, holds } => self.partitions.change(partition, |p| {
                p.seq += 1;
                for hold in holds {
                    p.forget(hold);
                }
            }),
            Body::OrderCreated(row) | Body::OrderReserved(row) | Body::OrderCancelled(row) => {
                self.put_order(row, record.time);
            }
            Body::OrdersAbandoned(rows) => rows.iter().for_each(|row| self.put_order(row, record.time)),
            Body::PurchaseMade(row) => self.change_purchase(record, row, Partition::insert),
            Body::PurchasePaid(row) => {
                self.change_purchase(record, row, Partition::update);
                effects.push(Effect::Paid(row.order.order));
            }
            Body::PurchaseCancelled(row) => self.change_purchase(record, row, Partition::update),
            Body::OrderKept { order, kept } => self.orders.kept(*order, *kept),
            Body::OrderLeaving { order, txns } => {
                self.orders.leaves(*order, record.time);
                for txn in txns {
                    self.tell(record, Some(Fact::OrderLeaves { order: *order, txn: txn.clone() }), effects);
                }
            }
            Body::OrdersForgotten { orders } => orders.iter().for_each(|order| self.forget_order(*order)),
            Body::OrderPaid(row) => {
                self.put_order(row, record.time);
                effects.push(Effect::Paid(row.order));
            }
            Body::OrderTicketed(row) => {
                self.put_order(row, record.time);
                effects.push(Effect::Ticketed(row.order));
            }
            Body::TxnClaimed { txn, order, goes_back } => {
                self.put_claim(txn.clone(), *order);
                let fact = Fact::TxnClaimed { order: *order, txn: txn.clone(), goes_back: *goes_back };
                self.tell(record, Some(fact), effects);
            }
            Body::ClaimForgotten { txn, tell, .. } => {
                self.remove_claim(txn);
                tell.iter().for_each(|tell| self.remove_tell(*tell));
            }
            Body::RefundOwed(row) | Body::RefundSettled(row) => self.put_refund(row),
            Body::RefundsForgotten { numbers } => {
                self.left += numbers.len() as u64;
                numbers.iter().for_each(|number| self.refunds.forget_alone(*number));
            }
            Body::TellsAcked { tells } => {
                for tell in tells {
                    self.remove_tell(*tell);
                }
            }
        }
    }

    fn change_hold(&mut self, record: &Record, row: &HoldRow, change: impl FnOnce(&mut Partition, &HoldRow)) {
        self.partitions.change(&row.partition, |p| {
            p.seq += 1;
            assert_eq!(p.seq, row.partition_seq, "changes of a partition follow one another");
            p.changed_at = record.time;
            change(p, row);
        });
    }

    /// Nobody has to be told: the order is here.
    fn change_purchase(
        &mut self,
        record: &Record,
        row: &PurchaseRow,
        change: impl FnOnce(&mut Partition, &HoldRow),
    ) {
        self.change_hold(record, &row.hold, change);
        self.put_order(&row.order, record.time);
    }

    fn hold_made(&self, row: &HoldRow) -> Option<Fact> {
        let order = row.owner?;
        let ends_at = self.partitions.get(&row.partition).and_then(Partition::ends_at);
        Some(Fact::HoldMade { order, reservation: Reservation::of(row, ends_at) })
    }

    fn tell(&mut self, record: &Record, fact: Option<Fact>, effects: &mut Vec<Effect>) {
        let Some(fact) = fact else { return };
        let id = self.next_tell;
        self.next_tell = TellId(id.0 + 1);
        let tell = Tell { id, since: record.time, fact };
        effects.push(Effect::Tell(tell.clone()));
        self.put_tell(tell);
    }
}

// What the order that owns a hold must learn of its change.

fn hold_confirmed(row: &HoldRow) -> Option<Fact> {
    let (partition, hold) = (row.partition.clone(), row.hold.clone());
    Some(Fact::HoldConfirmed { order: row.owner?, partition, hold, made: row.made, txn: row.txn.clone()? })
}

/// `None` where the order declined the hold: it knows that the hold is gone.
fn hold_released(row: &HoldRow) -> Option<Fact> {
    let order = row.owner.filter(|_| row.release_reason == Some(ReleaseReason::Requested))?;
    let (partition, hold) = (row.partition.clone(), row.hold.clone());
    Some(Fact::HoldReleased { order, partition, hold, made: row.made })
}

fn hold_expired(row: &HoldRow) -> Option<Fact> {
    let (partition, hold) = (row.partition.clone(), row.hold.clone());
    Some(Fact::HoldExpired { order: row.owner?, partition, hold, made: row.made })
}

impl Reservation {
    /// The seats of a hold in a partition whose run ends then.
    pub(crate) fn of(row: &HoldRow, ends_at: Option<Time>) -> Reservation {
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

    pub(crate) fn identity(&self) -> HoldIdentity {
        HoldIdentity { made: self.made, deadline: self.deadline }
    }
}
