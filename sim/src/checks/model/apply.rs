//! One record after another: whether it may follow from what is there, and what is there then.

use std::rc::Rc;

use engine::catalogue::{Catalogue, Listing};
use engine::ids::{OrderId, PartitionKey, Time};
use engine::message::Fact;
use engine::record::{Body, PartitionOpened, Record};

use super::state::{Partition, Slot};
use super::{DecisionInputs, Others};

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
    pub abandoned: u64,
    pub declined: u64,
    pub refunds: u64,
    pub tickets: u64,
}

/// The slot after the record.
pub(super) fn apply(
    before: &Slot,
    record: &Record,
    inputs: &DecisionInputs,
    others: &dyn Others,
) -> Result<(Slot, Seen), Wrong> {
    demand!(record.time >= before.time, "time goes backwards from {:?}", before.time);
    let slot = Slot { time: record.time, ..before.clone() };
    let mut applying = Applying { slot, time: record.time, inputs, others, seen: Seen::default() };
    applying.body(&record.body)?;
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
            Body::HoldsExpired(rows) => rows.iter().try_for_each(|row| self.hold_expired(row)),
            Body::HoldsForgotten { partition, holds } => self.holds_forgotten(partition, holds),
            Body::OrderCreated(row) => self.created(row),
            Body::OrderReserved(row) => self.reserved(row),
            Body::OrderPaid(row) => self.paid(row),
            Body::OrderTicketed(row) => self.ticketed(row),
            Body::OrderCancelled(row) => self.cancelled(row),
            Body::TxnClaimed { txn, order } => {
                demand!(!self.slot.claims.contains_key(txn), "the transaction id is claimed already");
                demand!(
                    self.inputs.hash.txn(txn) == self.others.here(),
                    "claimed in another slot than its own"
                );
                self.slot.claims.insert(txn.clone(), *order);
                self.tell(Fact::TxnClaimed { order: *order, txn: txn.clone() });
                Ok(())
            }
            Body::RefundOwed(row) => self.owed(row),
            Body::RefundSettled(row) => self.settled(row),
            Body::TellsAcked { tells } => tells.iter().try_for_each(|tell| self.acked(tell.0)),
        }
    }

    pub(super) fn tell(&mut self, fact: Fact) {
        self.slot.tells += 1;
        self.slot.outbox.insert(self.slot.tells, Rc::new(fact));
    }

    fn opened(&mut self, opened: &PartitionOpened) -> Verdict {
        let key = &opened.partition;
        demand!(!self.slot.partitions.contains_key(key), "{key} is open already");
        demand!(self.inputs.hash.partition(key) == self.others.here(), "{key} is opened in another slot");
        match self.inputs.edition.find(key) {
            Listing::NotSold => return Err(format!("{key} is not sold")),
            Listing::AdHoc => {
                demand!(opened.run.is_none(), "{key} is nobody's run");
                demand!(self.fixed_run(key).is_none(), "{key} is a class of an open run");
                demand!(matches!(opened.layout, allocator::Layout::AdHoc { .. }), "{key} has a layout");
            }
            Listing::Sold(definition) => {
                let run = self.fixed_run(key).unwrap_or(definition.run);
                demand!(opened.run.as_ref() == Some(&run), "{key} has other stops than its run");
                demand!(opened.layout == definition.layout, "{key} has another layout");
                demand!(usize::from(opened.segments) + 1 == run.stops.len(), "{key} has other segments");
                let end = run.ends_at.plus(self.inputs.policy.departed_ms);
                demand!(end > self.time, "{key} has departed");
            }
        }
        let partition = Partition::new(&opened.layout, opened.segments, opened.run.clone());
        self.slot.partitions.insert(key.clone(), Rc::new(partition));
        Ok(())
    }

    /// The stops that the first partition of the same run was opened with.
    fn fixed_run(&self, key: &PartitionKey) -> Option<engine::catalogue::RunDefinition> {
        let (run, _) = key.as_str().rsplit_once('|')?;
        let of_run = |other: &PartitionKey| other.as_str().rsplit_once('|').is_some_and(|(r, _)| r == run);
        self.slot.partitions.iter().filter(|(other, _)| of_run(other)).find_map(|(_, p)| p.run.clone())
    }

    fn partition_forgotten(&mut self, key: &PartitionKey) -> Verdict {
        let Some(p) = self.slot.partitions.get(key) else {
            return Err(format!("{key} is not open"));
        };
        let Some(run) = &p.run else {
            return Err(format!("{key} is nobody's run, and never departs"));
        };
        let end = run.ends_at.plus(self.inputs.policy.departed_ms);
        demand!(end <= self.time, "{key} has not departed");
        demand!(p.holds.values().all(|hold| !hold.is_live()), "{key} has a live hold");
        demand!(self.slot.outbox.is_empty(), "somebody has still to be told of {key}");
        self.slot.partitions.remove(key);
        self.seen.forgotten += 1;
        Ok(())
    }

    /// A tell leaves the outbox only when its receiver has recorded what follows from it.
    fn acked(&mut self, tell: u64) -> Verdict {
        let Some(fact) = self.slot.outbox.remove(&tell) else {
            return Err(format!("tell {tell} is not waiting"));
        };
        let id = fact.order();
        let here = id.slot() == self.others.here();
        let theirs = if here { Rc::new(self.slot.clone()) } else { self.others.slot(id.slot()) };
        let Some(order) = theirs.orders.get(&id) else {
            return Err(format!("{fact:?} is acknowledged by an order that nobody knows"));
        };
        let waits = |partition, hold| {
            order.row.status == engine::answer::OrderStatus::Reserved && order.owns(partition, hold)
        };
        let settled = match &*fact {
            Fact::HoldMade { reservation: r, .. } => {
                let wanted = order.owns(&r.partition, &r.hold);
                let never = order.row.status != engine::answer::OrderStatus::Init;
                wanted || (never && !self.is_live(&r.partition, &r.hold, id))
            }
            Fact::HoldReleased { partition, hold, .. }
            | Fact::HoldExpired { partition, hold, .. }
            | Fact::HoldConfirmed { partition, hold, .. } => !waits(partition, hold),
            Fact::TxnClaimed { txn, .. } => {
                order.row.txn.as_ref() == Some(txn) || theirs.refund(&id.name(), txn).is_some()
            }
        };
        demand!(settled, "{fact:?} is acknowledged, and its order has not recorded it: {:?}", order.row);
        Ok(())
    }

    fn is_live(&self, partition: &PartitionKey, hold: &engine::ids::HoldId, owner: OrderId) -> bool {
        let hold = self.slot.partitions.get(partition).and_then(|p| p.holds.get(hold));
        hold.is_some_and(|hold| hold.is_live() && hold.owner == Some(owner))
    }
}
