//! What a slot is estimated to weigh follows what is in it: by these sums sales are refused.

use allocator::Layout;
use engine::answer::{HoldStatus, OrderStatus, RefundReason};
use engine::ids::{Cents, OrderId, OrderKey, SlotId};
use engine::record::{
    Body, HoldRow, OrderRow, PartitionOpened, Record, RefundRow, ReleaseReason, Reservation,
};
use engine::state::Slot;
use engine::text::Text;

use crate::support::catalogue::run;
use crate::support::names::{hold, key, order_name, partition, txn};
use crate::support::world::START;

pub(crate) const SLOT: SlotId = SlotId::new(7);
/// Bytes of a text, and of one that is ten longer.
const SHORT: &str = "short";
const LONG: &str = "short and long.";

fn opened(layout: Layout, segments: u16, stops: usize) -> Body {
    let run = (stops > 0).then(|| run("stop", stops, START));
    Body::PartitionOpened(PartitionOpened { partition: partition("p"), layout, segments, run, seq: 0 })
}

pub(crate) fn ad_hoc(seats: u32, segments: u16) -> Body {
    opened(Layout::AdHoc { seats }, segments, 0)
}

pub(crate) fn held(id: &str, seats: u32) -> HoldRow {
    HoldRow {
        partition: partition("p"),
        hold: hold(id),
        made: 1,
        partition_seq: 1,
        status: HoldStatus::Held,
        owner: None,
        quantity: seats,
        from: 0,
        to: 1,
        segments: 1,
        capacity: 50,
        seats: (0..seats).collect(),
        labels: Vec::new(),
        deadline: START,
        txn: None,
        release_reason: None,
        keep_until: START,
    }
}

fn confirmed(txn_id: &str) -> Body {
    let (status, txn) = (HoldStatus::Confirmed, Some(txn(txn_id)));
    Body::HoldConfirmed(HoldRow { status, txn, partition_seq: 2, ..held("h", 1) })
}

pub(crate) fn order(key_text: &str) -> OrderRow {
    OrderRow {
        order: OrderId::new(SLOT, 1),
        key: OrderKey::Plain(key(key_text)),
        status: OrderStatus::Init,
        amount: Cents(1),
        created_at: START,
        abandon_at: START,
        reservation: None,
        cancel_reason: None,
        txn: None,
    }
}

fn reserved(partition_text: &str, id: &str, labels: &[&str]) -> Body {
    let reservation = Some(Reservation {
        partition: partition(partition_text),
        hold: hold(id),
        made: 1,
        quantity: 1,
        from: 0,
        to: 1,
        segments: 1,
        capacity: 50,
        labels: labels.iter().map(|label| Text::from(*label)).collect(),
        deadline: START,
        ends_at: None,
    });
    Body::OrderReserved(OrderRow { status: OrderStatus::Reserved, reservation, ..order("k") })
}

fn paid(id: &str) -> Body {
    Body::OrderPaid(OrderRow { status: OrderStatus::Paid, txn: Some(txn(id)), ..order("k") })
}

pub(crate) fn refund(order: &str, id: &str) -> Body {
    Body::RefundOwed(RefundRow {
        number: 1,
        order: order_name(order),
        txn: txn(id),
        amount: None,
        reason: RefundReason::Unmatched,
        created_at: START,
        settled: None,
    })
}

fn claimed(id: &str) -> Body {
    Body::TxnClaimed { txn: txn(id), order: OrderId::new(SLOT, 1), goes_back: None }
}

pub(crate) fn apply(slot: &mut Slot, body: Body) {
    let (seq, trace) = (slot.seq() + 1, Text::from(""));
    slot.apply(&Record { slot: SLOT, seq, time: START, trace, body }, &mut Vec::new());
}

fn weight(bodies: impl IntoIterator<Item = Body>) -> usize {
    let mut slot = Slot::new(SLOT);
    bodies.into_iter().for_each(|body| apply(&mut slot, body));
    slot.memory_estimate()
}

/// So many bytes more, and no other difference.
#[track_caller]
fn check<const N: usize>(less: [Body; N], more: [Body; N], expected: usize) {
    assert_eq!(weight(more) - weight(less), expected);
}

#[test]
fn a_text_weighs_what_it_is_long_wherever_it_is_kept() {
    let made = |id| [ad_hoc(50, 1), Body::HoldMade(held(id, 1))];
    check(made(SHORT), made(LONG), 20);
    let sold = |id| [ad_hoc(50, 1), Body::HoldMade(held("h", 1)), confirmed(id)];
    check(sold(SHORT), sold(LONG), 10);
    let created = |key| [Body::OrderCreated(order(key))];
    check(created(SHORT), created(LONG), 20);
    let with = |body| [Body::OrderCreated(order("k")), body];
    check(with(paid(SHORT)), with(paid(LONG)), 10);
    check(with(reserved(SHORT, "hold", &[])), with(reserved(LONG, "hold", &[])), 10);
    check(with(reserved("part", SHORT, &[])), with(reserved("part", LONG, &[])), 10);
    check(with(reserved("p", "h", &[SHORT])), with(reserved("p", "h", &[LONG])), 10);
    check([claimed(SHORT)], [claimed(LONG)], 10);
    check([refund(SHORT, "txn")], [refund(LONG, "txn")], 20);
    check([refund("order", SHORT)], [refund("order", LONG)], 20);
}

#[test]
fn seats_labels_stops_and_coaches_weigh() {
    let made = |seats| [ad_hoc(50, 1), Body::HoldMade(held("h", seats))];
    check(made(1), made(4), 3 * 4);
    let with = |labels| [Body::OrderCreated(order("k")), reserved("p", "h", labels)];
    check(with(&["1-1"]), with(&["1-1", "1-10"]), 40 + "1-10".len());
    // Two bits for each seat and segment.
    check([ad_hoc(48, 1)], [ad_hoc(48, 3)], 2 * 2 * 48 / 8);
    check([ad_hoc(40, 3)], [ad_hoc(48, 3)], 2 * 3);
    check([ad_hoc(41, 3)], [ad_hoc(48, 3)], 0);
    let stops = |stops| [opened(Layout::AdHoc { seats: 50 }, 1, stops)];
    check(stops(2), stops(5), 3 * 128);
    // Another coach, but of many not each.
    check([ad_hoc(48, 1)], [ad_hoc(96, 1)], 128 + 2 * 48 / 8);
    check([ad_hoc(64 * 50, 1)], [ad_hoc(128 * 50, 1)], 2 * 64 * 50 / 8);
}

/// Each part of a slot counts, whatever else is in it, and what is forgotten weighs nothing any more.
#[test]
fn parts_add_up_and_what_is_forgotten_weighs_nothing() {
    let parts = [ad_hoc(50, 1), Body::OrderCreated(order("k")), refund("o", "t"), claimed("t")];
    let each: Vec<usize> = parts.iter().map(|part| weight([part.clone()])).collect();
    assert!(each.iter().all(|part| (100..4_000).contains(part)), "{each:?}");
    let mut slot = Slot::new(SLOT);
    for (part, expected) in parts.into_iter().zip(&each) {
        let before = slot.memory_estimate();
        apply(&mut slot, part);
        assert_eq!(slot.memory_estimate(), before + expected);
    }
    // The tell of the claim, then a hold, then the partition.
    let all = slot.memory_estimate();
    let tells: Vec<_> = slot.outbox().keys().copied().collect();
    assert_eq!(tells.len(), 1);
    apply(&mut slot, Body::TellsAcked { tells });
    let untold = slot.memory_estimate();
    assert!(untold < all);
    apply(&mut slot, Body::HoldMade(held("h", 2)));
    assert!(slot.memory_estimate() > untold);
    let (status, release_reason) = (HoldStatus::Released, Some(ReleaseReason::Requested));
    apply(
        &mut slot,
        Body::HoldReleased(HoldRow { status, release_reason, partition_seq: 2, ..held("h", 2) }),
    );
    apply(&mut slot, Body::HoldsForgotten { partition: partition("p"), holds: vec![hold("h")] });
    assert_eq!(slot.memory_estimate(), untold);
    apply(&mut slot, Body::PartitionForgotten { partition: partition("p") });
    assert_eq!(slot.memory_estimate(), untold - each[0]);
}

#[test]
fn a_slot_says_how_much_is_in_it() {
    let counts = |slot: &Slot| {
        let (partitions, orders, refunds) = (slot.partitions(), slot.orders(), slot.refunds());
        let empty = [partitions.is_empty(), orders.is_empty(), refunds.is_empty()];
        assert_eq!(empty, [slot.is_blank(); 3]);
        [partitions.len(), orders.len(), refunds.len(), slot.claims_count(), slot.outbox().len()]
    };
    let mut slot = Slot::new(SLOT);
    assert!(slot.is_blank());
    assert_eq!(counts(&slot), [0; 5]);
    for (nth, id) in ["a", "b", "c"].into_iter().enumerate() {
        let layout = Layout::AdHoc { seats: 50 };
        let partition = partition(id);
        apply(
            &mut slot,
            Body::PartitionOpened(PartitionOpened { partition, layout, segments: 1, run: None, seq: 0 }),
        );
        let id_of_order = OrderId::new(SLOT, (nth as u128) << 20);
        apply(&mut slot, Body::OrderCreated(OrderRow { order: id_of_order, ..order(id) }));
        let Body::RefundOwed(row) = refund("o", id) else { unreachable!("that is a refund") };
        assert_eq!(slot.refunds().next_number(), nth as u64 + 1);
        apply(&mut slot, Body::RefundOwed(RefundRow { number: nth as u64 + 1, ..row }));
        apply(&mut slot, claimed(id));
        assert_eq!(counts(&slot), [nth + 1; 5]);
        let key = crate::support::names::partition("a");
        let row = HoldRow { partition: key.clone(), partition_seq: nth as u64 + 1, ..held(id, 1) };
        apply(&mut slot, Body::HoldMade(HoldRow { seats: vec![nth as u32], ..row }));
        assert_eq!(slot.partitions().get(&key).map(|p| p.holds_count()), Some(nth + 1));
        assert!(!slot.is_blank());
    }
}
