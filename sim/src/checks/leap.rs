//! Clock gap at a start, with what it would end, counted once more.

use engine::answer::{HoldStatus, OrderStatus};
use engine::decide::Policy;
use engine::ids::{PartitionKey, Time};
use engine::state::{Leap, Order, Partition, Slot};
use shard::{ClockGap, RecoveredCore};

use crate::timetable;

/// # Panics
/// When it says something else.
pub(crate) fn check(cores: &[RecoveredCore], policy: &Policy, wall: Time) {
    let slots: Vec<&Slot> = cores.iter().flat_map(|(recovery, _)| recovery.slots()).collect();
    let last = slots.iter().map(|slot| slot.time()).max().unwrap_or_default();
    let Some(gap) = ClockGap::of(cores, policy, wall) else {
        assert_eq!(last, Time(0), "nothing is said of a directory with records");
        return;
    };
    assert_eq!((gap.last_record, gap.wall), (last, wall));
    let mut ends = Leap::default();
    for slot in slots {
        for (key, p) in slot.partitions().iter() {
            let live = p.holds().filter(|(_, hold)| hold.status == HoldStatus::Held);
            ends.holds += live.filter(|(_, hold)| hold.deadline <= wall).count();
            ends.partitions += usize::from(is_over(policy, key, p, last, wall));
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

/// Seats of it are sold, and in between its run arrives, or it is nobody's run and is kept no longer.
fn is_over(policy: &Policy, key: &PartitionKey, p: &Partition, last: Time, wall: Time) -> bool {
    let is_sold = p.holds().any(|(_, hold)| hold.status == HoldStatus::Confirmed);
    let end = match p.run() {
        Some(run) => run.ends_at,
        None => timetable::kept_until(policy, key, p.changed_at()),
    };
    is_sold && last < end && end <= wall
}
