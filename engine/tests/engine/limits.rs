//! What lies beyond a named limit is refused, and what must go on goes on.

use allocator::Layout;
use engine::answer::RefundReason;
use engine::command::{AdHoc, Command, TryHold};
use engine::ids::{OrderId, SlotId};
use engine::limits::{OUTBOX_PER_SLOT_MAX, PARTITIONS_PER_SLOT_MAX, QUANTITY_MAX, REFUNDS_PAGE_MAX};
use engine::record::{Body, PartitionOpened, RefundRow};

use crate::support::catalogue::Table;
use crate::support::names::{Names, TOGETHER, order_name, partition, txn};
use crate::support::word;
use crate::support::world::World;

#[test]
fn partitions_of_a_slot() {
    let names = Names::new(TOGETHER);
    let mut world = World::new(Table::default());
    let slot = SlotId::new(TOGETHER.partition);
    for i in 0..PARTITIONS_PER_SLOT_MAX {
        let layout = Layout::AdHoc { seats: 1 };
        let partition = partition(&format!("{i}"));
        world.append(
            slot,
            Body::PartitionOpened(PartitionOpened { partition, layout, segments: 1, run: None }),
        );
    }
    assert_eq!(word(&world.run(Command::TryHold(names.try_hold("h", 1)))), "!LimitReached");
    world.append(slot, Body::PartitionForgotten { partition: partition("7") });
    assert_eq!(word(&world.run(Command::TryHold(names.try_hold("h", 1)))), "Held");
}

/// A slot whose tells are not acknowledged takes no new hold; money and the end of holds go on.
#[test]
fn tells_of_a_slot() {
    let names = Names::new(TOGETHER);
    let mut world = World::new(Table::default());
    let slot = SlotId::new(TOGETHER.partition);
    world.run(names.create(0)).unwrap();
    world.run(Command::Reserve(names.reserve(0))).unwrap();
    world.run(Command::TryHold(names.try_hold("mine", 1))).unwrap();
    for i in 0..OUTBOX_PER_SLOT_MAX {
        let order = OrderId::new(slot, i as u128);
        world.append(slot, Body::TxnClaimed { txn: txn(&format!("{i}")), order });
        // Its receiver is far away.
        world.mail.clear();
    }
    assert_eq!(word(&world.run(Command::TryHold(names.try_hold("new", 1)))), "!LimitReached");
    assert_eq!(word(&world.run(Command::TryHold(names.try_hold("mine", 1)))), "Held");
    assert_eq!(word(&world.run(Command::ReleaseHold(names.hold_ref("mine")))), "Released");
    assert_eq!(word(&world.run(names.pay(0, 0))), "Paid");
    let tells = world.slot(slot).unwrap().outbox().keys().copied().collect();
    world.append(slot, Body::TellsAcked { tells });
    assert_eq!(word(&world.run(Command::TryHold(names.try_hold("new", 1)))), "Held");
}

#[test]
fn seats_of_a_hold() {
    for (quantity, expected) in
        [(0, "!InsufficientStock"), (QUANTITY_MAX, "Held"), (QUANTITY_MAX + 1, "!InsufficientStock")]
    {
        let mut world = World::new(Table::default());
        let names = Names::new(TOGETHER);
        let ad_hoc = AdHoc { capacity: 5_000, segments: 1 };
        let wanted = TryHold { ad_hoc, ..names.try_hold("h", quantity) };
        assert_eq!(word(&world.run(Command::TryHold(wanted))), expected, "{quantity}");
    }
}

#[test]
fn refunds_of_a_page() {
    let mut world = World::new(Table::default());
    for i in 1..=REFUNDS_PAGE_MAX as u64 + 1 {
        let row = RefundRow {
            number: i,
            order: order_name("nobody's"),
            txn: txn(&format!("{i}")),
            amount: None,
            reason: RefundReason::Unmatched,
            created_at: world.now,
            settled: None,
        };
        world.append(SlotId::new(1), Body::RefundOwed(row));
    }
    let all = engine::command::ListRefunds { status: None, after: None, limit: usize::MAX };
    assert_eq!(word(&world.run(Command::ListRefunds(all))), "1000 refunds");
}
