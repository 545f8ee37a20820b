//! Checks: what has to be true of each record and each answer (`model`, `answers`), of every state (here), of everything that
//! clients were ever told (`promises`), and of the order in which it can all have happened (`linear`).

pub(crate) mod answers;
pub(crate) mod leap;
pub(crate) mod linear;
pub(crate) mod logs;
pub(crate) mod model;
mod promises;

use std::collections::{BTreeMap, BTreeSet};

use engine::answer::{HoldStatus, OrderStatus};
use engine::ids::{HoldId, OrderId, PartitionKey};
use engine::record::OrderRow;
use engine::state::{Hold, Order, Partition, Slot};

use crate::world::World;
use model::leave::{LOOKED_UP_MS, TXNS_MAX};

pub(crate) use promises::Promises;

fn slots(world: &World) -> impl Iterator<Item = &Slot> {
    world.process.cores.iter().flat_map(|core| core.shard().slots()).filter(|slot| !slot.is_blank())
}

/// In every state, whatever is under way: no seat twice, nothing free that somebody has, no money twice.
///
/// # Panics
/// When it is not so.
pub(crate) fn always(world: &World) {
    for slot in slots(world) {
        for (key, p) in slot.partitions().iter() {
            seats(key, p);
        }
        for refund in slot.refunds().after(0) {
            let order = OrderId::parse(refund.order.as_str()).and_then(|id| slot.orders().get(id));
            let paid = order.and_then(|order| order.row.txn.as_ref());
            assert_ne!(paid, Some(&refund.txn), "money that paid an order is owed back: {refund:?}");
        }
    }
}

fn seats(key: &PartitionKey, p: &Partition) {
    let inventory = p.inventory();
    let (seats, segments) = (inventory.seats() as usize, usize::from(inventory.segments()));
    let mut taken = vec![vec![false; seats]; segments];
    for (id, hold) in p.holds() {
        if !matches!(hold.status, HoldStatus::Held | HoldStatus::Confirmed) {
            assert!(hold.seats.is_empty(), "{key}: hold {id} has ended and keeps its seats: {hold:?}");
            continue;
        }
        for seat in &hold.seats {
            for segment in hold.span.segments() {
                let place = &mut taken[segment][seat.0 as usize];
                assert!(!*place, "{key}: seat {} has two holders on segment {segment}, one is {id}", seat.0);
                *place = true;
            }
        }
    }
    for (segment, seats) in taken.iter().enumerate() {
        let span = allocator::Span::new(segment as u16, segment as u16 + 1).expect("one segment");
        let free = seats.iter().filter(|taken| !**taken).count() as u32;
        assert_eq!(inventory.available(span), free, "{key}: free on segment {segment}");
    }
}

/// When everything has come to its end: nothing waits, nothing is overdue, orders and holds agree, and every payment that
/// was claimed has paid its order or is owed back.
///
/// # Panics
/// When it is not so.
pub(crate) fn at_rest(world: &World) {
    always(world);
    for slot in slots(world) {
        assert!(slot.outbox().is_empty(), "slot {} is never heard: {:?}", slot.id().get(), slot.outbox());
    }
    for core in &world.process.cores {
        assert_eq!(core.shard().operations_waiting(), 0, "an operation never ends");
        assert_eq!(core.open_calls(), 0, "a call keeps its place though it is over");
    }
    let orders: BTreeMap<OrderId, &Order> =
        slots(world).flat_map(|slot| slot.orders().iter()).map(|order| (order.row.order, order)).collect();
    for order in orders.values() {
        let stuck = matches!(order.row.status, OrderStatus::Reserved | OrderStatus::Paid);
        assert!(!stuck, "an order is stuck: {:?}", order.row);
    }
    agree(world, &orders);
    money(world, &orders);
}

fn agree(world: &World, orders: &BTreeMap<OrderId, &Order>) {
    let mut sold = BTreeSet::new();
    for (key, p) in slots(world).flat_map(|slot| slot.partitions().iter()) {
        for (id, hold) in p.holds() {
            assert_ne!(hold.status, HoldStatus::Held, "{key}: hold {id} is past its deadline: {hold:?}");
            if let Some(owner) = hold.owner {
                let left = world.model.left(owner);
                let row = orders.get(&owner).map(|order| &order.row).or(left.as_ref().map(|left| &left.row));
                let row = row.unwrap_or_else(|| panic!("{hold:?} is nobody's"));
                agrees(key, id, hold, row, &mut sold);
            }
        }
    }
    let forgotten = world.has_let_go();
    for order in orders.values() {
        let ticketed = order.row.status == OrderStatus::Ticketed;
        let has_seat = sold.contains(&order.row.order);
        // What is forgotten takes its holds along.
        assert!(ticketed == has_seat || (ticketed && forgotten), "no seat is sold to {:?}", order.row);
    }
}

fn agrees(key: &PartitionKey, id: &HoldId, hold: &Hold, row: &OrderRow, sold: &mut BTreeSet<OrderId>) {
    let is_its =
        row.reservation.as_ref().is_some_and(|r| (&r.partition, &r.hold, r.made) == (key, id, hold.made));
    let ticketed = row.status == OrderStatus::Ticketed;
    if hold.status == HoldStatus::Confirmed {
        assert!(ticketed && is_its && row.txn == hold.txn, "{hold:?} is sold to {row:?}");
        assert!(sold.insert(row.order), "two holds are sold to {row:?}");
    } else {
        assert!(!(ticketed && is_its), "{row:?} has a ticket, and its hold is {hold:?}");
    }
}

/// With a read model that has everything, and time enough: whatever may leave has left.
///
/// # Panics
/// When it has not.
pub(crate) fn has_left(world: &World) {
    let policy = &world.plan.policy;
    let calendar = world.calendar();
    for (_, slot) in world.model.latest() {
        for order in slot.orders.values() {
            let has_come = order.leaves_at(policy).is_some_and(|at| at <= calendar);
            let stays = !slot.is_over(order) || slot.txns_of(order).len() > TXNS_MAX;
            // Where the wall clock was set back it waits for that.
            let leaves = if order.is_leaving { slot.time <= calendar } else { has_come };
            let found = world.process.slot(order.row.order.slot()).orders().get(order.row.order);
            assert!(stays || !leaves, "it does not leave: {found:?}");
            let asks_at = order.asks_at(policy);
            assert!(
                stays || asks_at.is_none_or(|at| at > calendar),
                "it does not ask its partition: {order:?}"
            );
        }
        for row in slot.refunds.values() {
            let Some(settled) = &row.settled else { continue };
            let end = settled.at.plus(policy.order_retention_ms.max(LOOKED_UP_MS));
            let order = OrderId::parse(row.order.as_str()).filter(|id| slot.orders.contains_key(id));
            assert!(order.is_some() || end > calendar, "it does not leave: {row:?}");
        }
    }
}

fn money(world: &World, orders: &BTreeMap<OrderId, &Order>) {
    for (_, slot) in world.model.latest() {
        for (txn, id) in &slot.claims {
            // Who has left has no claims.
            let order = orders.get(id).unwrap_or_else(|| panic!("{txn} is claimed for nobody: {id}"));
            let paid = order.row.txn.as_ref() == Some(txn);
            let owed = world.process.slot(id.slot()).refunds().get(&id.name(), txn).is_some();
            assert!(paid != owed, "{txn} of {id}: paid {paid}, owed back {owed}");
        }
    }
}
