//! A look across slots: whether orders and the holds that they own agree, in a state that a crash or a backup has left.
//!
//! An outbox has what one slot knows and has not told the other yet; whatever else differs is no state that the engine could be in.

use std::collections::{BTreeMap, BTreeSet};

use engine::ids::{HoldId, OrderId, PartitionKey, SlotId};
use engine::message::{Fact, HoldIdentity};
use engine::state::Slot;
use engine::status::{HoldStatus, OrderStatus};

/// The orders and holds of all slots, gathered slot by slot.
#[derive(Debug, Default)]
pub struct Across {
    orders: BTreeMap<OrderId, OrderSeen>,
    /// Each with the last sequence that partitions had which its slot has forgotten, one of the same key perhaps.
    partitions: BTreeMap<PartitionKey, u64>,
    /// Holds that have an owner, by partition and id.
    holds: BTreeMap<(PartitionKey, HoldId), HoldSeen>,
    /// Orders that have still to hear that a hold was made for them, or confirmed.
    untold_made: BTreeSet<OrderId>,
    untold_confirmed: BTreeSet<OrderId>,
    /// Slots that orders have left.
    left: BTreeSet<SlotId>,
    counts: Counts,
}

/// The contents of all slots, counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    pub partitions: usize,
    pub holds: usize,
    pub orders: usize,
    pub refunds: usize,
}

#[derive(Debug)]
struct OrderSeen {
    status: OrderStatus,
    /// The hold that it knows of.
    hold: Option<(PartitionKey, HoldId, HoldIdentity)>,
}

#[derive(Debug)]
struct HoldSeen {
    status: HoldStatus,
    owner: OrderId,
    identity: HoldIdentity,
}

impl Across {
    /// Gathers a slot. Each once.
    pub fn add(&mut self, slot: &Slot) {
        for order in slot.orders().iter() {
            let row = &order.row;
            let hold = row.reservation.as_ref().map(|r| {
                let identity = HoldIdentity { made: r.made, deadline: r.deadline };
                (r.partition.clone(), r.hold.clone(), identity)
            });
            self.orders.insert(row.order, OrderSeen { status: row.status, hold });
        }
        for (key, partition) in slot.partitions().iter() {
            self.partitions.insert(key.clone(), slot.forgotten_seq());
            self.counts.holds += partition.holds_count();
            for (id, hold) in partition.holds() {
                let Some(owner) = hold.owner else { continue };
                let seen = HoldSeen { status: hold.status, owner, identity: hold.identity() };
                self.holds.insert((key.clone(), id.clone()), seen);
            }
        }
        for tell in slot.outbox().values() {
            match &tell.fact {
                Fact::HoldMade { order, .. } => self.untold_made.insert(*order),
                Fact::HoldConfirmed { order, .. } => self.untold_confirmed.insert(*order),
                _ => false,
            };
        }
        if slot.left() > 0 {
            self.left.insert(slot.id());
        }
        self.counts.partitions += slot.partitions().len();
        self.counts.orders += slot.orders().len();
        self.counts.refunds += slot.refunds().len();
    }

    /// Looks at all of it.
    ///
    /// # Errors
    /// The first order without its hold, or hold without its order.
    pub fn check(&self) -> Result<Counts, String> {
        self.orders.iter().try_for_each(|(id, order)| self.check_order(*id, order))?;
        self.holds.iter().try_for_each(|((partition, id), hold)| self.check_hold(partition, id, hold))?;
        Ok(self.counts)
    }

    /// An order that owns seats has its hold, as long as the partition that it was made in is there.
    fn check_order(&self, id: OrderId, order: &OrderSeen) -> Result<(), String> {
        let Some((partition, hold, identity)) = &order.hold else { return Ok(()) };
        let found = self.holds.get(&(partition.clone(), hold.clone()));
        let found = found.filter(|found| found.owner == id && found.identity == *identity);
        let wrong = match (order.status, found.map(|found| found.status)) {
            (OrderStatus::Init | OrderStatus::Cancelled, _) => return Ok(()),
            // Whatever became of it: the order has still to hear.
            (OrderStatus::Reserved, Some(_)) => return Ok(()),
            (OrderStatus::Paid | OrderStatus::Ticketed, Some(HoldStatus::Confirmed)) => return Ok(()),
            (_, None) if self.is_forgotten(partition, *identity) => return Ok(()),
            (_, Some(status)) => format!("is {status:?}"),
            (_, None) => "is not there".to_owned(),
        };
        Err(format!("order {id} is {:?}, and its hold {hold} of {partition} {wrong}", order.status))
    }

    /// The partition in which a hold was made may be gone, whether there is one of its key or not.
    fn is_forgotten(&self, partition: &PartitionKey, hold: HoldIdentity) -> bool {
        self.partitions.get(partition).is_none_or(|forgotten_seq| hold.made <= *forgotten_seq)
    }

    /// A hold that takes seats for an order has that order, which knows of it or has still to hear.
    fn check_hold(&self, partition: &PartitionKey, id: &HoldId, hold: &HoldSeen) -> Result<(), String> {
        let HoldSeen { status, owner, identity } = hold;
        let order = self.orders.get(owner);
        let knows = order.is_some_and(|order| {
            order.hold.as_ref().is_some_and(|(p, h, i)| (p, h, i) == (partition, id, identity))
        });
        let is_right = match (status, order.map(|order| order.status)) {
            (HoldStatus::Held, None) => self.untold_made.contains(owner),
            (HoldStatus::Held, Some(OrderStatus::Reserved)) => knows || self.untold_made.contains(owner),
            (HoldStatus::Held, Some(_)) => self.untold_made.contains(owner),
            (HoldStatus::Confirmed, None) => self.left.contains(&owner.slot()),
            (HoldStatus::Confirmed, Some(OrderStatus::Paid | OrderStatus::Ticketed)) => knows,
            (HoldStatus::Confirmed, Some(_)) => self.untold_confirmed.contains(owner),
            // Its seats are free.
            (HoldStatus::Released | HoldStatus::Expired, _) => true,
        };
        if is_right {
            return Ok(());
        }
        let order = order.map_or("is not there".to_owned(), |order| format!("is {:?}", order.status));
        Err(format!(
            "hold {id} of {partition} is {status:?} for order {owner}, which {order} and does not know of it"
        ))
    }
}
