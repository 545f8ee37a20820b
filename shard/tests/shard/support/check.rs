//! What must hold in a world: always, and once nothing is under way.

use std::collections::{BTreeMap, BTreeSet};

use allocator::Span;
use engine::answer::{HoldStatus, OrderStatus};
use engine::ids::{OrderId, PartitionKey};
use engine::state::{Hold, Order, Partition};

use super::World;

/// In every state, whatever is under way.
#[track_caller]
pub(crate) fn always(world: &World) {
    for slot in world.slots() {
        for (key, p) in slot.partitions().iter() {
            seats(key, p);
        }
        let mut pairs = BTreeSet::new();
        for refund in slot.refunds().after(0) {
            assert!(pairs.insert((&refund.order, &refund.txn)), "two refunds of one payment: {refund:?}");
            let order = OrderId::parse(refund.order.as_str()).and_then(|id| slot.orders().get(id));
            let paid = order.and_then(|order| order.row.txn.as_ref());
            assert_ne!(paid, Some(&refund.txn), "money that paid an order is owed back: {refund:?}");
        }
    }
    for (_, _, hold) in owned_holds(world).filter(|(_, _, hold)| hold.status == HoldStatus::Confirmed) {
        let txn = hold.txn.as_ref().expect("an order's hold is confirmed by a payment");
        let claim = world.slot(world.hash.txn(txn)).claim(txn);
        assert_eq!(claim, hold.owner, "sold under a transaction id that is not the order's");
    }
}

/// No seat twice on a segment, and what is available is what is free.
#[track_caller]
fn seats(key: &PartitionKey, p: &Partition) {
    let segments = usize::from(p.inventory().segments());
    let mut taken = BTreeSet::new();
    let mut free = vec![p.inventory().seats(); segments];
    let live = p.holds_sorted().into_iter();
    for (id, hold) in live.filter(|(_, h)| matches!(h.status, HoldStatus::Held | HoldStatus::Confirmed)) {
        for (seat, segment) in hold.seats.iter().flat_map(|s| hold.span.segments().map(move |g| (s, g))) {
            assert!(taken.insert((*seat, segment)), "{key}: {seat:?} twice on {segment}, by {id}");
            free[segment] -= 1;
        }
    }
    for (segment, free) in free.into_iter().enumerate() {
        let span = Span::new(segment as u16, segment as u16 + 1).unwrap();
        assert_eq!(p.inventory().available(span), free, "{key}: free on segment {segment}");
    }
}

/// Every outbox is empty and no operation is under way.
#[track_caller]
pub(crate) fn no_message_waits(world: &World) {
    for slot in world.slots() {
        assert!(slot.outbox().is_empty(), "slot {}: {:?}", slot.id().get(), slot.outbox());
    }
    for node in &world.nodes {
        assert_eq!(node.shard.operations_waiting(), 0, "an operation never ends");
    }
}

/// When nothing is under way and every deadline is past: orders and holds agree.
#[track_caller]
pub(crate) fn at_rest(world: &World) {
    always(world);
    no_message_waits(world);
    let orders: BTreeMap<OrderId, &Order> =
        world.slots().flat_map(|slot| slot.orders().iter()).map(|order| (order.row.order, order)).collect();
    for order in orders.values() {
        if order.row.status == OrderStatus::Reserved {
            panic!("an order is RESERVED past its deadline: {:?}", order.row);
        }
    }
    let mut sold = BTreeSet::new();
    for (key, p) in world.slots().flat_map(|slot| slot.partitions().iter()) {
        assert!(p.is_settled(), "{key}: a hold is past its deadline");
    }
    for (key, id, hold) in owned_holds(world) {
        let order = &orders[&hold.owner.expect("owned")].row;
        let is_its = order.reservation.as_ref().is_some_and(|r| r.partition == *key && r.hold == *id);
        let is_paid = matches!(order.status, OrderStatus::Paid | OrderStatus::Ticketed);
        if hold.status == HoldStatus::Confirmed {
            assert!(is_paid && is_its && order.txn == hold.txn, "{hold:?} is sold to {order:?}");
            let seats: Vec<String> = hold.seats.iter().map(|seat| p_label(world, key, *seat)).collect();
            let shown = order.reservation.iter().flat_map(|r| &r.labels);
            assert!(seats.iter().map(String::as_str).eq(shown.map(|label| label.as_str())));
            assert!(sold.insert(order.order));
        } else {
            assert!(!(is_paid && is_its), "{order:?} is paid, and its hold is {hold:?}");
        }
    }
    for order in orders.values() {
        let is_paid = matches!(order.row.status, OrderStatus::Paid | OrderStatus::Ticketed);
        assert_eq!(is_paid, sold.contains(&order.row.order), "{:?}", order.row);
    }
}

fn p_label(world: &World, key: &PartitionKey, seat: allocator::SeatNo) -> String {
    let slot = world.slot(world.hash.partition(key));
    slot.partitions().get(key).expect("it is open").inventory().layout().label(seat)
}

fn owned_holds(world: &World) -> impl Iterator<Item = (&PartitionKey, &engine::ids::HoldId, &Hold)> {
    let partitions = world.slots().flat_map(|slot| slot.partitions().iter());
    let holds = partitions.flat_map(|(key, p)| p.holds_sorted().into_iter().map(move |(id, h)| (key, id, h)));
    holds.filter(|(_, _, hold)| hold.owner.is_some())
}
