//! The only code that changes state. Infallible: a record says what happened, and live and recovery share it.

use super::{Partition, Slot};
use crate::message::{Fact, Tell};
use crate::record::{Body, HoldRow, Record, ReleaseReason, Reservation, TellId};

impl Slot {
    /// # Panics
    /// When the record is not this slot's next: then what follows would not be the state that was acknowledged.
    pub fn apply(&mut self, record: &Record) {
        assert_eq!(record.slot, self.id, "a record changes its own slot");
        assert_eq!(record.seq, self.seq + 1, "records of a slot follow one another");
        self.seq = record.seq;
        self.time = record.time;
        match &record.body {
            Body::PartitionOpened(opened) => self.partitions.open(opened),
            Body::PartitionForgotten { partition } => self.partitions.forget(partition),
            Body::HoldMade(row) => {
                self.change_hold(row, Partition::insert);
                self.tell_hold_made(record, row);
            }
            Body::HoldAdopted(row) => {
                self.change_hold(row, Partition::update);
                self.tell_hold_made(record, row);
            }
            Body::HoldConfirmed(row) => {
                self.change_hold(row, Partition::update);
                self.tell_hold_confirmed(record, row);
            }
            Body::HoldReleased(row) => {
                self.change_hold(row, Partition::update);
                self.tell_hold_released(record, row);
            }
            Body::HoldsExpired(rows) => {
                for row in rows {
                    self.change_hold(row, Partition::update);
                    self.tell_hold_expired(record, row);
                }
            }
            Body::HoldsForgotten { partition, holds } => self.partitions.change(partition, |p| {
                p.seq += 1;
                for hold in holds {
                    p.forget(hold);
                }
            }),
            Body::OrderCreated(row)
            | Body::OrderReserved(row)
            | Body::OrderPaid(row)
            | Body::OrderTicketed(row)
            | Body::OrderCancelled(row) => self.orders.put(row, record.time),
            Body::TxnClaimed { txn, order } => {
                self.put_claim(txn.clone(), *order);
                self.tell(record, Fact::TxnClaimed { order: *order, txn: txn.clone() });
            }
            Body::RefundOwed(row) | Body::RefundSettled(row) => self.refunds.put(row),
            Body::TellsAcked { tells } => {
                for tell in tells {
                    self.outbox.remove(tell);
                }
            }
        }
    }

    fn change_hold(&mut self, row: &HoldRow, change: impl FnOnce(&mut Partition, &HoldRow)) {
        self.partitions.change(&row.partition, |p| {
            p.seq += 1;
            assert_eq!(p.seq, row.partition_seq, "changes of a partition follow one another");
            change(p, row);
        });
    }

    fn tell_hold_made(&mut self, record: &Record, row: &HoldRow) {
        if let Some(order) = row.owner {
            self.tell(record, Fact::HoldMade { order, reservation: Reservation::of(row) });
        }
    }

    fn tell_hold_confirmed(&mut self, record: &Record, row: &HoldRow) {
        if let (Some(order), Some(txn)) = (row.owner, &row.txn) {
            let (partition, hold) = (row.partition.clone(), row.hold.clone());
            self.tell(record, Fact::HoldConfirmed { order, partition, hold, txn: txn.clone() });
        }
    }

    fn tell_hold_released(&mut self, record: &Record, row: &HoldRow) {
        // Who declined a hold knows that it is gone.
        if let (Some(order), Some(ReleaseReason::Requested)) = (row.owner, row.release_reason) {
            let (partition, hold) = (row.partition.clone(), row.hold.clone());
            self.tell(record, Fact::HoldReleased { order, partition, hold });
        }
    }

    fn tell_hold_expired(&mut self, record: &Record, row: &HoldRow) {
        if let Some(order) = row.owner {
            let (partition, hold) = (row.partition.clone(), row.hold.clone());
            self.tell(record, Fact::HoldExpired { order, partition, hold });
        }
    }

    fn tell(&mut self, record: &Record, fact: Fact) {
        let id = self.next_tell;
        self.next_tell = TellId(id.0 + 1);
        self.outbox.insert(id, Tell { id, since: record.time, fact });
    }
}

impl Reservation {
    pub(crate) fn of(row: &HoldRow) -> Reservation {
        Reservation {
            partition: row.partition.clone(),
            hold: row.hold.clone(),
            quantity: row.quantity,
            from: row.from,
            to: row.to,
            segments: row.segments,
            capacity: row.capacity,
            labels: row.labels.clone(),
            deadline: row.deadline,
        }
    }
}
