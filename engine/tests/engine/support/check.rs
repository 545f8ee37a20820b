//! What must hold in a world: always, and once nothing is under way.

use std::collections::{BTreeMap, BTreeSet};

use allocator::{SeatNo, Span};
use engine::answer::{HoldStatus, OrderStatus};
use engine::ids::{OrderId, PartitionKey, SlotId};
use engine::record::{Body, Record};
use engine::state::{Hold, Order, Partition, Slot};

use super::world::World;

/// In every state, whatever is under way.
pub(crate) fn always(world: &World) {
    let due = world.due_slots();
    for slot in world.slots() {
        let says_so = slot.next_due(&world.policy).is_some_and(|at| at <= world.now);
        assert_eq!(says_so, due.contains(&slot.id()), "{:?} says when it is due", slot.id());
        for (key, p) in slot.partitions().iter() {
            seats(key, p);
            for (_, hold) in p.holds_sorted() {
                sold_to_a_claim(world, hold);
            }
        }
        for order in slot.orders().iter() {
            fields(order);
        }
        let mut pairs = BTreeSet::new();
        for refund in slot.refunds().after(0) {
            assert!(pairs.insert((&refund.order, &refund.txn)), "two refunds of one payment: {refund:?}");
            let paid = OrderId::parse(refund.order.as_str()).and_then(|id| slot.orders().get(id));
            let paid = paid.and_then(|order| order.row.txn.as_ref());
            assert_ne!(paid, Some(&refund.txn), "money that paid an order is owed back: {refund:?}");
        }
    }
}

/// No seat twice on a segment, and the bitmaps say what the holds say.
fn seats(key: &PartitionKey, p: &Partition) {
    let inventory = p.inventory();
    let (seats, segments) = (inventory.seats() as usize, usize::from(inventory.segments()));
    let mut taken = vec![vec![false; segments]; seats];
    let mut sold = taken.clone();
    for (id, hold) in p.holds_sorted() {
        if !matches!(hold.status, HoldStatus::Held | HoldStatus::Confirmed) {
            continue;
        }
        for seat in &hold.seats {
            for segment in hold.span.segments() {
                let cell = &mut taken[seat.0 as usize][segment];
                assert!(!*cell, "{key}: seat {} twice on segment {segment}, by {id}", seat.0);
                *cell = true;
                sold[seat.0 as usize][segment] = hold.status == HoldStatus::Confirmed;
            }
        }
    }
    for segment in 0..segments {
        let span = Span::new(segment as u16, segment as u16 + 1).unwrap();
        let free = taken.iter().filter(|row| !row[segment]).count();
        assert_eq!(inventory.available(span) as usize, free, "{key}: free on segment {segment}");
        let gone = sold.iter().filter(|row| row[segment]).count();
        assert_eq!(inventory.sold(span) as usize, gone, "{key}: sold on segment {segment}");
        for (seat, row) in taken.iter().enumerate() {
            assert_eq!(inventory.is_free(SeatNo(seat as u32), span), !row[segment], "{key}: seat {seat}");
        }
    }
}

fn sold_to_a_claim(world: &World, hold: &Hold) {
    if hold.status != HoldStatus::Confirmed {
        return;
    }
    match (&hold.owner, &hold.txn) {
        (None, None) => {}
        (Some(owner), Some(txn)) => {
            let claim = world.slot(world.hash().txn(txn)).and_then(|slot| slot.claim(txn));
            assert_eq!(claim, Some(*owner), "sold under a transaction id that is not the order's");
        }
        (owner, txn) => panic!("sold to {owner:?} by {txn:?}"),
    }
}

fn fields(order: &Order) {
    let row = &order.row;
    let is_paid = matches!(row.status, OrderStatus::Paid | OrderStatus::Ticketed);
    assert_eq!(row.txn.is_some(), is_paid, "{row:?}");
    assert_eq!(row.cancel_reason.is_some(), row.status == OrderStatus::Cancelled, "{row:?}");
    match row.status {
        OrderStatus::Init => assert_eq!(row.reservation, None, "{row:?}"),
        OrderStatus::Cancelled => {}
        _ => assert!(row.reservation.is_some(), "{row:?}"),
    }
    assert!(row.created_at <= order.updated_at);
}

/// Once nothing is under way: outboxes are empty, and orders and holds agree.
pub(crate) fn settled(world: &World) {
    always(world);
    assert!(world.is_idle(), "something is still under way");
    for slot in world.slots() {
        assert!(slot.outbox().is_empty(), "told and never acknowledged: {:?}", slot.outbox());
        for order in slot.orders().iter() {
            agrees(world, order);
        }
        for (key, p) in slot.partitions().iter() {
            for (id, hold) in p.holds_sorted() {
                let Some(owner) = hold.owner else { continue };
                let order = world.slot(owner.slot()).and_then(|slot| slot.orders().get(owner));
                let order = order.unwrap_or_else(|| panic!("{id} is owned by nobody"));
                let reservation = order.row.reservation.as_ref();
                let wants = reservation.is_some_and(|r| r.partition == *key && r.hold == *id);
                let is_live = matches!(hold.status, HoldStatus::Held | HoldStatus::Confirmed);
                assert!(
                    wants || !is_live,
                    "{id} is {:?} for an order that has it not: {order:?}",
                    hold.status
                );
            }
        }
    }
}

fn agrees(world: &World, order: &Order) {
    let Some(reservation) = &order.row.reservation else { return };
    let partition = world.slot(world.hash().partition(&reservation.partition));
    let partition = partition.and_then(|slot| slot.partitions().get(&reservation.partition));
    // Once an ended hold is forgotten, its id is anybody's again.
    let hold = partition.and_then(|p| p.hold(&reservation.hold));
    let hold = hold.filter(|hold| hold.owner == Some(order.row.order));
    let status = hold.map(|hold| hold.status);
    let what = format!("{:?} {:?}, its hold {status:?}", order.row.order, order.row.status);
    match order.row.status {
        OrderStatus::Init => panic!("{what}"),
        OrderStatus::Reserved => {
            assert_eq!(status, Some(HoldStatus::Held), "{what}");
            assert!(!order.is_due(world.now), "stuck: {what}");
        }
        // A run that has long departed is gone with all that was sold.
        OrderStatus::Paid | OrderStatus::Ticketed if partition.is_none() => {}
        OrderStatus::Paid | OrderStatus::Ticketed => {
            assert_eq!(status, Some(HoldStatus::Confirmed), "{what}");
            assert_eq!(hold.unwrap().txn, order.row.txn, "{what}");
        }
        OrderStatus::Cancelled => {
            assert!(!matches!(status, Some(HoldStatus::Held | HoldStatus::Confirmed)), "{what}");
        }
    }
    if let (Some(hold), Some(p)) = (hold, partition) {
        assert_eq!(hold.quantity(), reservation.quantity, "{what}");
        assert_eq!((hold.span.from(), hold.span.to()), (reservation.from, reservation.to), "{what}");
        let labels: Vec<String> = hold.seats.iter().map(|&seat| p.inventory().layout().label(seat)).collect();
        let named: Vec<&str> = reservation.labels.iter().map(|label| label.as_str()).collect();
        assert_eq!(labels, named, "{what}");
    }
}

/// The records alone make the same state, and none of them sells what had expired.
pub(crate) fn replay(world: &World) {
    let mut slots: BTreeMap<SlotId, Slot> = BTreeMap::new();
    for record in &world.log {
        if let Body::HoldConfirmed(row) | Body::HoldAdopted(row) = &record.body {
            assert!(record.time < row.deadline, "too late: {record:?}");
        }
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        let decoded = Record::decode(&bytes).expect("a record that was just made");
        assert_eq!(decoded, **record, "a record comes back from its bytes");
        slots.entry(record.slot).or_insert_with(|| Slot::new(record.slot)).apply(&decoded, &mut Vec::new());
    }
    for slot in world.slots() {
        let replayed = slots.remove(&slot.id()).unwrap_or_else(|| Slot::new(slot.id()));
        let (mut live, mut again) = (Vec::new(), Vec::new());
        slot.encode(&mut live);
        replayed.encode(&mut again);
        assert!(live == again, "{:?} replayed is not what it was", slot.id());
        let image = Slot::decode(&live).expect("an image that was just made");
        assert_eq!((replayed.weight(), image.weight()), (slot.weight(), slot.weight()));
    }
    assert!(slots.is_empty(), "records of slots that are not there");
}
