//! The only code that changes state. Infallible: a record says what happened, and live and recovery share it.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use core::fmt::Debug;

use super::check::{self, Check};
use super::{Partition, Slot};
use crate::answer::HoldStatus;
use crate::ids::PartitionKey;
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
                    if let Some(tell) = self.outbox.remove(tell) {
                        self.count_untold(&tell.fact, |untold| untold.saturating_sub(1));
                    }
                }
            }
        }
    }

    /// Whether `apply` can take the record. Asked of records that are read back: live ones were decided on this very state.
    ///
    /// # Errors
    /// What contradicts the state, or itself.
    pub fn check(&self, record: &Record) -> Check {
        match &record.body {
            Body::PartitionOpened(opened) if self.partitions.get(&opened.partition).is_some() => {
                Err(format!("partition {} is open already", opened.partition))
            }
            Body::PartitionOpened(opened) => check::opened(opened),
            Body::PartitionForgotten { partition } => self.open_partition(partition).map(drop),
            Body::HoldMade(row) => {
                let p = self.partition_before(row, 1)?;
                if p.hold(&row.hold).is_some() {
                    return Err(format!("hold {} is there already", row.hold));
                }
                check::hold(row, p)
            }
            Body::HoldAdopted(row) | Body::HoldConfirmed(row) | Body::HoldReleased(row) => {
                self.live_hold(row, 1)
            }
            Body::HoldsExpired(rows) => {
                distinct(rows.iter().map(|row| &row.hold))?;
                rows.iter().zip(1..).try_for_each(|(row, change)| self.live_hold(row, change))
            }
            Body::HoldsForgotten { partition, holds } => {
                let p = self.open_partition(partition)?;
                distinct(holds.iter())?;
                holds.iter().try_for_each(|id| match p.hold(id) {
                    Some(hold) if matches!(hold.status, HoldStatus::Released | HoldStatus::Expired) => Ok(()),
                    _ => Err(format!("hold {id} has its seats or is not there, and is forgotten")),
                })
            }
            Body::OrderCreated(row)
            | Body::OrderReserved(row)
            | Body::OrderPaid(row)
            | Body::OrderTicketed(row)
            | Body::OrderCancelled(row) => check::order(row, self.id, &self.orders),
            Body::TxnClaimed { txn, .. } => match self.claim(txn) {
                Some(order) => Err(format!("transaction id {txn} is order {order}'s")),
                None => check::claim(txn),
            },
            Body::RefundOwed(row) | Body::RefundSettled(row) => check::refund(row, &self.refunds),
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

    fn live_hold(&self, row: &HoldRow, change: u64) -> Check {
        let p = self.partition_before(row, change)?;
        match p.hold(&row.hold) {
            Some(hold) if hold.status == HoldStatus::Held => {
                check::same_seats(row, hold, p)?;
                check::payment(row)
            }
            _ => Err(format!("hold {} has ended or is not there, and changes", row.hold)),
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
        self.put_tell(Tell { id, since: record.time, fact });
    }
}

fn distinct<T: Ord + Copy + Debug>(mut ids: impl Iterator<Item = T>) -> Check {
    let mut seen = BTreeSet::new();
    ids.find(|id| !seen.insert(*id)).map_or(Ok(()), |id| Err(format!("{id:?} comes twice")))
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
