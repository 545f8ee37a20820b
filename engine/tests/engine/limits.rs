//! What lies beyond a named limit is refused, and what must go on goes on.

use allocator::Layout;
use engine::answer::{HoldStatus, RefundReason};
use engine::command::{AdHoc, Command};
use engine::decide::{Context, Policy, decide_due};
use engine::ids::{HoldId, OrderId, SlotId};
use engine::limits::{
    ENDED_HOLDS_PER_PARTITION_MAX, OUTBOX_PER_SLOT_MAX, PARTITIONS_PER_SLOT_MAX, QUANTITY_MAX,
    REFUNDS_PAGE_MAX, SLOT_BYTES_MAX,
};
use engine::record::{Body, HoldRow, PartitionOpened, Record, RefundRow, ReleaseReason};

use engine::state::Slot;
use engine::text::Text;

use crate::support::catalogue::Table;
use crate::support::names::{Names, TOGETHER, order_name, partition, txn};
use crate::support::word;
use crate::support::world::{START, World};

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
            Body::PartitionOpened(PartitionOpened { partition, layout, segments: 1, run: None, seq: 0 }),
        );
    }
    assert_eq!(word(&world.run(names.try_hold("h", 1))), "!LimitReached");
    world.append(slot, Body::PartitionForgotten { partition: partition("7") });
    assert_eq!(word(&world.run(names.try_hold("h", 1))), "Held");
}

/// A slot whose tells are not acknowledged takes no new hold; money and the end of holds go on.
#[test]
fn tells_of_a_slot() {
    let names = Names::new(TOGETHER);
    let mut world = World::new(Table::default());
    let slot = SlotId::new(TOGETHER.partition);
    world.run(names.create(0)).unwrap();
    world.run(names.reserve(0)).unwrap();
    world.run(names.try_hold("mine", 1)).unwrap();
    for i in 0..OUTBOX_PER_SLOT_MAX {
        let order = OrderId::new(slot, i as u128);
        world.append(slot, Body::TxnClaimed { txn: txn(&format!("{i}")), order, goes_back: None });
        // Its receiver is far away.
        world.mail.clear();
    }
    assert_eq!(word(&world.run(names.try_hold("new", 1))), "!LimitReached");
    assert_eq!(word(&world.run(names.try_hold("mine", 1))), "Held");
    assert_eq!(word(&world.run(names.release("mine"))), "Released");
    assert_eq!(word(&world.run(names.pay(0, 0))), "Paid");
    let tells = world.slot(slot).unwrap().outbox().keys().copied().collect();
    world.append(slot, Body::TellsAcked { tells });
    assert_eq!(word(&world.run(names.try_hold("new", 1))), "Held");
}

/// A slot that is full takes no new order, partition or hold; money and the end of holds go on.
#[test]
fn bytes_of_a_slot() {
    let names = Names::new(TOGETHER);
    let mut world = World::new(Table::default());
    let slot = SlotId::new(TOGETHER.partition);
    world.run(names.create(0)).unwrap();
    world.run(names.reserve(0)).unwrap();
    world.run(names.try_hold("mine", 1)).unwrap();
    for i in 0.. {
        if world.slot(slot).unwrap().memory_estimate() >= SLOT_BYTES_MAX {
            break;
        }
        assert!(i < 1_000, "so many large partitions weigh nothing");
        let (partition, layout) = (partition(&format!("{i}")), Layout::AdHoc { seats: 100_000 });
        world.append(
            slot,
            Body::PartitionOpened(PartitionOpened { partition, layout, segments: 64, run: None, seq: 0 }),
        );
    }
    assert_eq!(word(&world.run(names.create(1))), "!LimitReached");
    assert_eq!(word(&world.run(names.create(0))), "Reserved");
    assert_eq!(word(&world.run(names.try_hold("new", 1))), "!LimitReached");
    assert_eq!(word(&world.run(names.try_hold("mine", 1))), "Held");
    assert_eq!(word(&world.run(names.release("mine"))), "Released");
    assert_eq!(word(&world.run(names.pay(0, 0))), "Paid");
    world.append(slot, Body::PartitionForgotten { partition: partition("0") });
    assert_eq!(word(&world.run(names.create(1))), "Init");
}

/// Ended holds beyond the limit are forgotten before their time, the oldest first.
#[test]
fn ended_holds_of_a_partition() {
    let id = |i: usize| HoldId::parse(&format!("{i}")).unwrap();
    let key = partition("p");
    let (slot_id, policy) = (SlotId::new(1), Policy::default());
    let catalogue = Table::default();
    let context = Context { now: START, calendar: START, catalogue: &catalogue, policy: &policy };
    let mut slot = Slot::new(slot_id);
    let apply = |slot: &mut Slot, body| {
        let (seq, trace) = (slot.seq() + 1, Text::from(""));
        slot.apply(&Record { slot: slot_id, seq, time: START, trace, body }, &mut Vec::new());
    };
    let (partition, layout) = (key.clone(), Layout::AdHoc { seats: 1 });
    apply(
        &mut slot,
        Body::PartitionOpened(PartitionOpened { partition, layout, segments: 1, run: None, seq: 0 }),
    );
    for i in 0..ENDED_HOLDS_PER_PARTITION_MAX + 3 {
        let row = HoldRow {
            partition: key.clone(),
            hold: id(i),
            made: slot.partitions().get(&key).unwrap().seq() + 1,
            partition_seq: slot.partitions().get(&key).unwrap().seq() + 1,
            status: HoldStatus::Held,
            owner: None,
            quantity: 1,
            from: 0,
            to: 1,
            segments: 1,
            capacity: 1,
            seats: vec![0],
            labels: vec![Text::from("1-1")],
            deadline: START.plus(1),
            txn: None,
            release_reason: None,
            keep_until: START,
        };
        let ended = HoldRow {
            partition_seq: row.partition_seq + 1,
            status: HoldStatus::Released,
            release_reason: Some(ReleaseReason::Requested),
            keep_until: START.plus(i as u64 + 1),
            ..row.clone()
        };
        apply(&mut slot, Body::HoldMade(row));
        apply(&mut slot, Body::HoldReleased(ended));
    }
    let expected = Body::HoldsForgotten { partition: key.clone(), holds: (0..3).map(id).collect() };
    assert_eq!(decide_due(&slot, &context), Some(expected.clone()));
    assert!(slot.next_due(&policy).is_some_and(|at| at <= START));
    apply(&mut slot, expected);
    assert_eq!(decide_due(&slot, &context), None);
    assert_eq!(slot.next_due(&policy), Some(START.plus(4)));
}

#[test]
fn seats_of_a_hold() {
    for (quantity, expected) in
        [(0, "!InsufficientStock"), (QUANTITY_MAX, "Held"), (QUANTITY_MAX + 1, "!InsufficientStock")]
    {
        let mut world = World::new(Table::default());
        let names = Names::new(TOGETHER);
        let ad_hoc = AdHoc { capacity: 5_000, segments: 1 };
        let wanted = names.try_hold_with("h", quantity, |seats| seats.ad_hoc = ad_hoc);
        assert_eq!(word(&world.run(wanted)), expected, "{quantity}");
        // More than one hold can have opens nothing.
        let opens = quantity <= QUANTITY_MAX;
        assert_eq!(world.log.iter().any(|record| crate::support::kind(record) == "PartitionOpened"), opens);
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
