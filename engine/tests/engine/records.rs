//! Records as they are read back: one that contradicts the slot, or itself, is refused by what is wrong with it; one that is
//! taken leaves a slot whose parts agree. Never a panic.

use engine::answer::HoldStatus;
use engine::ids::{HoldId, IdempotencyKey, OrderKey, OrderName, Time, TxnId};
use engine::record::{Body, HoldRow, Kept, OrderRow, Record, RefundRow, TellId};
use engine::state::Slot;

use crate::formats::{encoded, expired, image, records, slot};
use crate::images;

/// The slot after each of the records of [`records`], the blank one first.
fn states() -> Vec<Slot> {
    let all = records();
    let after = |count: usize| {
        let mut slot = Slot::new(all[0].1.slot);
        all[..count].iter().for_each(|(_, record)| slot.apply(record, &mut Vec::new()));
        slot
    };
    (0..=all.len()).map(after).collect()
}

/// Whether the slot refused the record.
fn refused(slot: &Slot, record: &Record, from: &dyn Fn() -> String) -> bool {
    if let Err(reason) = slot.check(record) {
        assert!(!reason.is_empty(), "{}", from());
        return true;
    }
    let mut changed = Slot::decode(&image(slot)).expect("a sound slot");
    changed.apply(record, &mut Vec::new());
    images::check(&changed, from);
    false
}

#[test]
fn each_is_taken_in_its_turn() {
    for (state, (name, record)) in states().iter().zip(records()) {
        assert!(!refused(state, &record, &|| name.to_owned()), "{name}");
    }
}

#[test]
fn any_record_after_any_other_is_refused_or_leaves_a_slot() {
    let (mut taken, mut not) = (0, 0);
    for (before, state) in states().iter().enumerate() {
        for (name, record) in records() {
            let record = Record { seq: state.seq() + 1, ..record };
            let is_refused = refused(state, &record, &|| format!("{name} after {before}"));
            *(if is_refused { &mut not } else { &mut taken }) += 1;
        }
    }
    assert!(taken > 50 && not > 200, "{taken} taken, {not} refused");
}

#[test]
fn every_flipped_bit_of_a_record() {
    let (mut taken, mut not) = (0, 0);
    for (state, (name, record)) in states().iter().zip(records()) {
        let sound = encoded(&record);
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(damaged) = Record::decode(&bytes) else { continue };
            // Whose it is and which one has been looked at before.
            let damaged = Record { slot: record.slot, seq: record.seq, ..damaged };
            let is_refused = refused(state, &damaged, &|| format!("{name}, bit {bit}"));
            *(if is_refused { &mut not } else { &mut taken }) += 1;
        }
    }
    assert!(taken > 1_000 && not > 1_000, "{taken} taken, {not} refused");
}

#[test]
fn what_is_wrong_is_said() {
    let all = records();
    let named =
        |wanted: &str| &all.iter().find(|(name, _)| *name == wanted).expect("one of the records").1.body;
    let slot = slot();
    let said = |body: Body| {
        let record = Record { seq: slot.seq() + 1, body, ..all[0].1.clone() };
        slot.check(&record).expect_err("refused")
    };
    let hold = |change: &dyn Fn(&mut HoldRow)| {
        let Body::HoldMade(row) = named("hold_made_5") else { unreachable!("a hold was made") };
        let mut row =
            HoldRow { partition_seq: 18, hold: HoldId::parse("new").unwrap(), seats: vec![4], ..row.clone() };
        change(&mut row);
        row
    };
    let made = |change: &dyn Fn(&mut HoldRow)| said(Body::HoldMade(hold(change)));
    let ended = |id: &str| HoldRow {
        hold: HoldId::parse(id).unwrap(),
        status: HoldStatus::Released,
        ..hold(&|_| ())
    };
    let forgotten = |id: &str| {
        let row = hold(&|_| ());
        Body::HoldsForgotten { partition: row.partition, holds: vec![HoldId::parse(id).unwrap()] }
    };
    let order = order_of(named("order_paid"));
    let forgotten_claim = |tell| Body::ClaimForgotten { txn: TxnId::parse("txn-3").unwrap(), order, tell };
    let Body::OrderCancelled(cancelled) = named("order_cancelled") else { unreachable!("one was") };
    let kept_init = Body::OrderKept { order: cancelled.order, kept: Kept::PastEnd(Time(7)) };
    let twice = |id: &str| {
        Body::HoldsExpired(vec![expired(ended(id)), expired(HoldRow { partition_seq: 19, ..ended(id) })])
    };
    for (found, expected) in [
        (said(named("partition_opened").clone()), "is open already"),
        (said(named("partition_forgotten").clone()), "is not open"),
        (made(&|row| row.partition_seq = 20), "change 20 of partition"),
        (made(&|row| row.hold = HoldId::parse("e").unwrap()), "hold e is there already"),
        (made(&|row| row.seats = vec![2]), "seat 2 is taken by another hold"),
        (made(&|row| row.to = 60), "of 2 segments"),
        (said(Body::HoldReleased(ended("b"))), "hold b has ended or is not there"),
        (said(Body::HoldReleased(ended("nobody's"))), "has ended or is not there"),
        (said(twice("e")), "comes twice"),
        (said(forgotten("e")), "has its seats"),
        (
            said(Body::TxnClaimed {
                txn: TxnId::parse("txn-3").unwrap(),
                order: order_of(named("order_paid")),
                goes_back: None,
            }),
            "is order",
        ),
        (said(named("tells_acked").clone()), "tell 1 is acknowledged and not there"),
        (said(order_with_another_key(named("order_paid"))), "its key was"),
        (said(named("order_leaving").clone()), "leaves twice"),
        (said(Body::OrdersForgotten { orders: vec![order] }), "somebody has still to be told"),
        (said(named("orders_forgotten").clone()), "has not ended or is not there"),
        (said(named("claim_forgotten").clone()), "is not order"),
        (said(forgotten_claim(Some(TellId(5)))), "is not of the claim"),
        (
            said(named("refunds_forgotten").clone()),
            "refund 2 is owed, of an order that is here, or not there",
        ),
        (said(Body::RefundsForgotten { numbers: vec![1] }), "refund 1 is owed, of an order that is here"),
        (said(kept_init), "has no seats or is not there"),
    ] {
        assert!(found.contains(expected), "{found:?} does not say {expected:?}");
    }
}

fn order_with_another_key(body: &Body) -> Body {
    let Body::OrderPaid(row) = body else { panic!("{body:?} is not paid") };
    Body::OrderPaid(OrderRow {
        key: OrderKey::Plain(IdempotencyKey::parse("another").unwrap()),
        ..row.clone()
    })
}

fn order_of(body: &Body) -> engine::ids::OrderId {
    let Body::OrderPaid(row) = body else { panic!("{body:?} is not paid") };
    row.order
}

/// A refund that is settled is for the payment that it was owed for, and a payment has one refund.
#[test]
fn a_refund_stays_with_its_payment() {
    let all = records();
    let row = all.iter().find_map(|(_, record)| match &record.body {
        Body::RefundSettled(row) => Some(row.clone()),
        _ => None,
    });
    let (row, slot) = (row.expect("one of the records"), slot());
    let said = |body: Body| slot.check(&Record { seq: slot.seq() + 1, body, ..all[0].1.clone() });
    let (order, txn) = (row.order.clone(), row.txn.clone());
    assert_eq!(said(Body::RefundSettled(row.clone())), Ok(()));
    let was = Err(format!("refund {}: it was for payment {txn} of order {order}", row.number));
    for other in [
        RefundRow { order: OrderName::parse("another").unwrap(), ..row.clone() },
        RefundRow { txn: TxnId::parse("another").unwrap(), ..row.clone() },
    ] {
        assert_eq!(said(Body::RefundSettled(other.clone())), was);
        assert_eq!(said(Body::RefundOwed(RefundRow { number: row.number + 1, ..other })), Ok(()));
    }
    let second = RefundRow { number: row.number + 1, ..row.clone() };
    let is = Err(format!("refund {}: refund {} is for the same payment", second.number, row.number));
    assert_eq!(said(Body::RefundOwed(second)), is);
}
