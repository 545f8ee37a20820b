//! What a start says that a wall clock ahead of the last record would end, counted once more.

use engine::answer::{HoldStatus, OrderStatus};
use engine::ids::Time;
use engine::state::{Leap, Order, Partition, Slot};
use shard::{ClockGap, RecoveredCore};

/// # Panics
/// When it says something else.
pub(crate) fn check(cores: &[RecoveredCore], wall: Time) {
    let slots: Vec<&Slot> = cores.iter().flat_map(|(recovery, _)| recovery.slots()).collect();
    let last = slots.iter().map(|slot| slot.time()).max().unwrap_or_default();
    let Some(gap) = ClockGap::of(cores, wall) else {
        assert_eq!(last, Time(0), "nothing is said of a directory with records");
        return;
    };
    assert_eq!((gap.last_record, gap.wall), (last, wall));
    let mut ends = Leap::default();
    for slot in slots {
        for (_, p) in slot.partitions().iter() {
            let live = p.holds_sorted().into_iter().filter(|(_, hold)| hold.status == HoldStatus::Held);
            ends.holds += live.filter(|(_, hold)| hold.deadline <= wall).count();
            ends.partitions += usize::from(arrives(p, last, wall));
        }
        let waits = |order: &&Order| waits_until(order).is_some_and(|at| at <= wall);
        ends.orders += slot.orders().iter().filter(waits).count();
    }
    assert_eq!(gap.ends, ends, "from {last:?} to {wall:?}");
}

/// When an order that waits for something is given up, or its hold expires.
fn waits_until(order: &Order) -> Option<Time> {
    match order.row.status {
        OrderStatus::Init => Some(order.row.abandon_at),
        OrderStatus::Reserved => order.row.reservation.as_ref().map(|r| r.deadline),
        OrderStatus::Paid | OrderStatus::Ticketed | OrderStatus::Cancelled => None,
    }
}

/// Seats of it are sold, and its run arrives in between.
fn arrives(p: &Partition, last: Time, wall: Time) -> bool {
    let is_sold = p.holds_sorted().into_iter().any(|(_, hold)| hold.status == HoldStatus::Confirmed);
    is_sold && p.run().is_some_and(|run| last < run.ends_at && run.ends_at <= wall)
}
