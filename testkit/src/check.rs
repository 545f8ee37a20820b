//! Invariants of any state: always, and once nothing is under way.

use std::collections::BTreeSet;

use allocator::{SeatNo, Span};
use engine::answer::{HoldStatus, OrderStatus};
use engine::ids::{OrderId, PartitionKey};
use engine::slots::SlotHash;
use engine::state::{Hold, Order, Partition, Slot};

/// All slots together, and what places keys in them.
#[derive(Clone, Debug)]
pub struct State<'a> {
    pub hash: &'a SlotHash,
    pub slots: Vec<&'a Slot>,
}

impl<'a> State<'a> {
    fn claim(&self, txn: &engine::ids::TxnId) -> Option<OrderId> {
        let id = self.hash.txn(txn);
        self.slots.iter().find(|slot| slot.id() == id)?.claim(txn)
    }

    fn order(&self, id: OrderId) -> Option<&'a Order> {
        self.slots.iter().find(|slot| slot.id() == id.slot())?.orders().get(id)
    }

    fn partition(&self, key: &PartitionKey) -> Option<&'a Partition> {
        let id = self.hash.partition(key);
        self.slots.iter().find(|slot| slot.id() == id)?.partitions().get(key)
    }

    /// In every state, whatever is under way.
    #[track_caller]
    pub fn holds_always(&self) {
        for slot in &self.slots {
            for (key, p) in slot.partitions().iter() {
                seats(key, p);
                for (_, hold) in p.holds() {
                    self.sold_to_a_claim(hold);
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

    fn sold_to_a_claim(&self, hold: &Hold) {
        if hold.status != HoldStatus::Confirmed {
            return;
        }
        match (&hold.owner, &hold.txn) {
            (None, None) => {}
            (Some(owner), Some(txn)) => {
                let claim = self.claim(txn);
                assert_eq!(claim, Some(*owner), "sold under a transaction id that is not the order's");
            }
            (owner, txn) => panic!("sold to {owner:?} by {txn:?}"),
        }
    }

    /// Once nothing is under way: outboxes are empty, and orders and holds agree.
    #[track_caller]
    pub fn is_settled(&self) {
        self.holds_always();
        for slot in &self.slots {
            assert!(slot.outbox().is_empty(), "{:?} never acknowledged: {:?}", slot.id(), slot.outbox());
            for order in slot.orders().iter() {
                self.has_its_hold(order);
            }
            for (key, p) in slot.partitions().iter() {
                for (id, hold) in p.holds() {
                    let Some(owner) = hold.owner else { continue };
                    let (order, status) = (self.order(owner), hold.status);
                    let reservation = order.and_then(|order| order.row.reservation.as_ref());
                    let wants = reservation.is_some_and(|r| r.partition == *key && r.hold == *id);
                    let is_live = matches!(status, HoldStatus::Held | HoldStatus::Confirmed);
                    assert!(wants || !is_live, "{id} is {status:?} for an order that has it not: {order:?}");
                }
            }
        }
    }

    fn has_its_hold(&self, order: &Order) {
        let Some(reservation) = &order.row.reservation else { return };
        let partition = self.partition(&reservation.partition);
        // Once an ended hold is forgotten, its id is anybody's again.
        let hold = partition.and_then(|p| p.hold(&reservation.hold));
        let hold = hold.filter(|hold| hold.owner == Some(order.row.order) && hold.made == reservation.made);
        let status = hold.map(|hold| hold.status);
        let what = format!("{:?} {:?}, its hold {status:?}", order.row.order, order.row.status);
        match order.row.status {
            OrderStatus::Init => panic!("{what}"),
            OrderStatus::Reserved => assert_eq!(status, Some(HoldStatus::Held), "{what}"),
            // A run that has long departed is gone with all that was sold.
            OrderStatus::Paid | OrderStatus::Ticketed if partition.is_none() => {}
            OrderStatus::Paid | OrderStatus::Ticketed => {
                assert_eq!(status, Some(HoldStatus::Confirmed), "{what}");
                assert_eq!(hold.and_then(|hold| hold.txn.clone()), order.row.txn, "{what}");
            }
            OrderStatus::Cancelled => {
                assert!(!matches!(status, Some(HoldStatus::Held | HoldStatus::Confirmed)), "{what}");
            }
        }
        if let (Some(hold), Some(p)) = (hold, partition) {
            assert_eq!(hold.quantity, reservation.quantity, "{what}");
            assert_eq!((hold.span.from(), hold.span.to()), (reservation.from, reservation.to), "{what}");
            let layout = p.inventory().layout();
            let labels: Vec<String> = hold.seats.iter().map(|&seat| layout.label(seat)).collect();
            let named: Vec<&str> = reservation.labels.iter().map(|label| label.as_str()).collect();
            assert_eq!(labels, named, "{what}");
        }
    }
}

/// No seat twice on a segment, and the bitmaps say what the holds say.
fn seats(key: &PartitionKey, p: &Partition) {
    let inventory = p.inventory();
    let (seats, segments) = (inventory.seats() as usize, usize::from(inventory.segments()));
    let mut taken = vec![vec![false; segments]; seats];
    let mut sold = taken.clone();
    for (id, hold) in p.holds() {
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
        let span = Span::new(segment as u16, segment as u16 + 1).expect("one segment");
        let free = taken.iter().filter(|row| !row[segment]).count();
        assert_eq!(inventory.available(span) as usize, free, "{key}: free on segment {segment}");
        let gone = sold.iter().filter(|row| row[segment]).count();
        assert_eq!(inventory.sold(span) as usize, gone, "{key}: sold on segment {segment}");
        for (seat, row) in taken.iter().enumerate() {
            assert_eq!(inventory.is_free(SeatNo(seat as u32), span), !row[segment], "{key}: seat {seat}");
        }
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
