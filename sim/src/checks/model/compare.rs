//! The engine's slots held against the model's.

use engine::ids::SlotId;
use engine::state;

use super::Model;
use super::state::{Partition, Slot};

impl Model {
    /// Holds a slot of a shard against the model, where both have come equally far. Whether they had.
    ///
    /// # Panics
    /// When they differ.
    pub(crate) fn compare(&self, found: &state::Slot) -> bool {
        let Some(own) = self.version(found.id(), found.seq() as usize) else {
            // What it holds is still in memory: the disk has not been given it.
            return false;
        };
        same(found.id(), &own, found);
        true
    }
}

fn same(id: SlotId, own: &Slot, found: &state::Slot) {
    let at = format!("slot {} after record {}", id.get(), found.seq());
    assert_eq!(own.time, found.time(), "{at}");
    assert_eq!(own.partitions.len(), found.partitions().len(), "{at}: partitions");
    for (key, p) in found.partitions().iter() {
        partition(&format!("{at}: {key}"), &own.partitions[key], p);
    }
    assert_eq!(own.orders.len(), found.orders().len(), "{at}: orders");
    for order in found.orders().iter() {
        let own = &own.orders[&order.row.order];
        assert_eq!((&own.row, own.updated_at), (&order.row, order.updated_at), "{at}");
        assert_eq!(own.is_leaving, order.is_leaving(), "{at}: {:?} leaves", own.row);
        let by_key = found.orders().by_key(&order.row.key).map(|order| order.row.order);
        assert_eq!(by_key, Some(order.row.order), "{at}: by key");
    }
    assert_eq!(own.claims.len(), found.claims_count(), "{at}: claims");
    for (txn, order) in &own.claims {
        assert_eq!(found.claim(txn), Some(*order), "{at}: {txn}");
    }
    assert!(own.refunds.values().map(|row| &**row).eq(found.refunds().after(0)), "{at}: refunds");
    assert_eq!(own.last_refund + 1, found.refunds().next_number(), "{at}: the next refund");
    let outbox = found.outbox().values().map(|tell| (tell.id.0, &tell.fact));
    let ours = own.outbox.iter().map(|(id, fact)| (*id, &**fact));
    assert!(ours.eq(outbox), "{at}: {:?} waits to be told, not {:?}", found.outbox(), own.outbox);
    assert_eq!(own.tells + 1, found.next_tell().0, "{at}: next tell");
    assert_eq!(own.forgotten_seq, found.forgotten_seq(), "{at}: the sequence of what was forgotten");
}

fn partition(at: &str, own: &Partition, found: &state::Partition) {
    assert_eq!((own.seq, own.holds.len()), (found.seq(), found.holds_count()), "{at}");
    assert_eq!(own.changed_at, found.changed_at(), "{at}");
    assert_eq!(*own.layout, *found.inventory().layout(), "{at}");
    assert_eq!(own.run.as_ref(), found.run().map(|run| &**run), "{at}");
    assert_eq!(own.segments(), found.inventory().segments(), "{at}");
    for (id, hold) in &own.holds {
        let other = found.hold(id).unwrap_or_else(|| panic!("{at}: hold {id} is gone"));
        let seats: Vec<u32> = other.seats.iter().map(|seat| seat.0).collect();
        let own = (hold.status, hold.owner, hold.from, hold.to, &hold.seats, hold.deadline, &hold.txn);
        let theirs = (other.status, other.owner, other.span.from(), other.span.to(), &seats);
        assert_eq!(
            own,
            (theirs.0, theirs.1, theirs.2, theirs.3, theirs.4, other.deadline, &other.txn),
            "{at}"
        );
        assert_eq!((hold.reason, hold.keep_until), (other.release_reason, other.keep_until), "{at}: {id}");
        assert_eq!((hold.made, hold.quantity), (other.made, other.quantity), "{at}: {id}");
    }
    for (segment, seats) in own.taken.iter().enumerate() {
        let span = allocator::Span::new(segment as u16, segment as u16 + 1).expect("one segment");
        for (seat, taken) in seats.iter().enumerate() {
            let free = found.inventory().is_free(allocator::SeatNo(seat as u32), span);
            assert_eq!(free, !taken, "{at}: seat {seat} on segment {segment}");
        }
    }
}
