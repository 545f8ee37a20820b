//! Orders that leave after their retention, and what becomes of their money then: each payment counts once, whether its order is still there,
//! is about to leave, or has left.

use engine::answer::{CancelReason, OrderStatus, RefundReason, RefundStatus, Rejection};
use engine::command::{Command, ExpectedHold, Found, LookedUp, Pay};
use engine::ids::{OrderId, Reference, Time, TxnId};
use engine::limits::LOOKED_UP_MS_MAX;
use engine::message::Fact;
use engine::record::{Body, Kept};

use crate::support::catalogue::{Table, coaches, run as a_run};
use crate::support::names::{APART, Names, PLACEMENTS};
use crate::support::world::{Mail, START, World};
use crate::support::{check, kind, order_of, refunds, word};

const DAY_MS: u64 = 86_400_000;

fn is_there(world: &World, names: &Names, nth: usize) -> bool {
    let id = names.order(nth);
    world.slot(id.slot()).is_some_and(|slot| slot.orders().get(id).is_some())
}

fn claim(world: &World, txn: &TxnId) -> Option<OrderId> {
    world.slot(world.hash().txn(txn)).and_then(|slot| slot.claim(txn))
}

fn settle(world: &mut World, names: &Names, nth: usize, txn: TxnId) {
    let reference = Reference::parse("booking").unwrap();
    world.run(Command::SettleRefund { order: names.order(nth).name(), txn, reference }).unwrap();
}

/// A retention passes, with what is due in it, and what may leave does.
fn retention_passes(world: &mut World) {
    world.later(world.policy.order_retention_ms + 1);
    world.leave();
}

/// A world in which order 0 is cancelled by its hold's expiry.
fn expired(names: &Names) -> World {
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    world.run(names.reserve(0)).unwrap();
    world.later(world.policy.hold_ttl_ms);
    assert_eq!(word(&world.run(names.get(0))), "Cancelled(HoldExpired)");
    world
}

/// A world in which order 0 is TICKETED, on an ad hoc partition.
fn ticketed(names: &Names) -> World {
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    world.run(names.reserve(0)).unwrap();
    world.run(names.pay(0, 0)).unwrap();
    world.later(1);
    assert_eq!(word(&world.run(names.get(0))), "Ticketed");
    world
}

/// It is there for its retention, to the millisecond; then its key makes a new order, and its hold id a new hold.
#[test]
fn a_cancelled_order_leaves_after_its_retention() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = expired(&names);
        let ended = order_of(&world.run(names.get(0))).updated_at;
        world.wait(ended.0 + world.policy.order_retention_ms - 1 - world.now.0);
        world.leave();
        assert!(is_there(&world, &names, 0));
        world.wait(1);
        world.leave();
        assert!(!is_there(&world, &names, 0));
        assert_eq!(word(&world.run(names.get(0))), "!OrderNotFound");
        let again = world.run(names.create(0));
        assert_eq!(order_of(&again).status, OrderStatus::Init);
        check::settled(&world);
        check::replay(&world);
    }
}

/// An order that the read model has not got stays, however old it is.
#[test]
fn nothing_leaves_that_the_read_model_does_not_have() {
    let names = Names::new(APART);
    let mut world = expired(&names);
    let ended = order_of(&world.run(names.get(0))).updated_at;
    world.wait(100 * world.policy.order_retention_ms);
    let slot = names.order(0).slot();
    assert!(!world.leave_one(slot, ended), "recorded at that time, and not before it");
    assert!(world.leave_one(slot, ended.plus(1)));
    assert!(!is_there(&world, &names, 0));
}

/// An order that is INIT, RESERVED or PAID has not ended, and one whose money is owed back stays until that is settled.
#[test]
fn what_is_under_way_or_owed_stays() {
    let names = Names::new(APART);
    let mut world = expired(&names);
    assert_eq!(word(&world.run(names.pay(0, 0))), "!HoldExpired");
    retention_passes(&mut world);
    assert!(is_there(&world, &names, 0));
    settle(&mut world, &names, 0, names.txn(0));
    world.wait(1);
    world.leave();
    assert!(!is_there(&world, &names, 0));
    assert_eq!(claim(&world, &names.txn(0)), None);
    assert!(world.slots().all(|slot| slot.refunds().is_empty()));
    check::settled(&world);
    check::replay(&world);
}

/// The claim goes before its order does, and its tell with it, wherever the order and the transaction id live.
#[test]
fn an_order_leaves_in_two_steps() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = expired(&names);
        world.run(names.pay(0, 0)).unwrap_err();
        settle(&mut world, &names, 0, names.txn(0));
        let before = world.log.len();
        retention_passes(&mut world);
        let kinds: Vec<_> = world.log[before..].iter().map(|record| kind(record)).collect();
        let left: Vec<_> = kinds.iter().filter(|kind| !kind.starts_with("Hold")).copied().collect();
        let expected = ["OrderLeaving", "ClaimForgotten", "TellsAcked", "OrdersForgotten"];
        let left: Vec<_> = left.into_iter().filter(|kind| !kind.starts_with("Partition")).collect();
        assert_eq!(left, expected, "{kinds:?}");
        check::replay(&world);
    }
}

/// A tell of the claim that nobody acknowledged goes with the claim: it would come to an order that is not there.
#[test]
fn a_claim_takes_its_unacknowledged_tell_with_it() {
    let names = Names::new(APART);
    let mut world = expired(&names);
    world.submit(names.pay(0, 0));
    // All of the payment but the acknowledgement of its claim.
    while let Some(index) = world.mail.iter().position(|mail| !matches!(mail, Mail::Ack { .. })) {
        world.deliver(index);
    }
    world.mail.clear();
    settle(&mut world, &names, 0, names.txn(0));
    let claims = world.hash().txn(&names.txn(0));
    assert_eq!(world.slot(claims).unwrap().outbox().len(), 1);
    world.wait(world.policy.order_retention_ms + 1);
    world.leave();
    assert!(!is_there(&world, &names, 0));
    assert!(world.slots().all(|slot| slot.outbox().is_empty()));
    check::replay(&world);
}

/// A world in which order 0 has left with its money, paid back, and a late copy of the tell of the claim.
fn left_and_told_late(names: &Names) -> (World, Mail) {
    let mut world = expired(names);
    world.submit(names.pay(0, 0));
    let is_claim = |mail: &&Mail| matches!(mail, Mail::Tell { tell, .. } if matches!(tell.fact, Fact::TxnClaimed { .. }));
    let late = loop {
        if let Some(mail) = world.mail.iter().find(is_claim) {
            break mail.clone();
        }
        world.deliver(0);
    };
    world.quiet();
    settle(&mut world, names, 0, names.txn(0));
    retention_passes(&mut world);
    assert!(!is_there(&world, names, 0));
    (world, late)
}

/// A late copy of the tell of a claim that has gone owes nothing: the payment was counted.
#[test]
fn a_late_copy_of_a_tell_owes_nothing() {
    for placement in PLACEMENTS {
        let (mut world, late) = left_and_told_late(&Names::new(placement));
        world.mail.push(late);
        world.quiet();
        assert_eq!(refunds(&mut world).len(), 0);
        check::settled(&world);
    }
}

/// The same payment, asked for while a late copy is looked into, waits for that and is then looked up: it went back because its hold had expired.
#[test]
fn a_payment_that_waits_for_a_late_copy_of_a_tell_is_looked_up() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let (mut world, late) = left_and_told_late(&names);
        assert!(world.is_idle());
        world.mail.push(late);
        world.deliver(0);
        assert!(!world.is_idle());
        assert_eq!(word(&world.run(names.pay(0, 0))), "!HoldExpired");
        assert_eq!(refunds(&mut world).len(), 0);
        check::settled(&world);
    }
}

/// A claim on its way while its order leaves is of a payment that the order never saw: it is owed back, once, and the claim goes.
#[test]
fn a_claim_that_comes_when_its_order_has_left_is_owed_once() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = expired(&names);
        world.submit(names.pay(0, 0));
        // The claim is recorded; then everything under way is lost, and its tell is slow.
        while claim(&world, &names.txn(0)).is_none() {
            world.deliver(0);
        }
        world.crash();
        let tells = std::mem::take(&mut world.mail);
        let is_ours = |mail: &Mail| matches!(mail, Mail::Tell { tell, .. } if matches!(tell.fact, Fact::TxnClaimed { .. }));
        let (late, others): (Vec<_>, Vec<_>) = tells.into_iter().partition(is_ours);
        world.mail = others;
        world.quiet();
        world.wait(world.policy.order_retention_ms + 1);
        world.leave();
        assert!(!is_there(&world, &names, 0));
        // It comes three times, once after it was accounted for.
        world.mail.extend(late.iter().chain(&late).cloned());
        world.quiet();
        world.mail.extend(late);
        world.quiet();
        let owed = refunds(&mut world);
        assert_eq!(owed.len(), 1, "{owed:?}");
        assert_eq!((owed[0].reason, owed[0].status), (RefundReason::HoldExpired, RefundStatus::Required));
        assert!(owed[0].amount.is_some(), "its claim says what goes back: {owed:?}");
        assert_eq!(claim(&world, &names.txn(0)), None);
        // And the callback itself, repeated, owes no other one.
        assert_eq!(word(&world.run(names.pay(0, 0))), "!HoldExpired");
        assert_eq!(refunds(&mut world).len(), 1);
        check::settled(&world);
        check::replay(&world);
    }
}

/// A payment that was looked up, and is lost between its claim and what it comes to: the claim says what goes back.
#[test]
fn a_payment_of_an_order_that_has_left_is_owed_once_though_it_is_cut_off() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = expired(&names);
        retention_passes(&mut world);
        assert!(!is_there(&world, &names, 0));
        let Command::Pay(pay) = names.pay(0, 0) else { unreachable!("that is a payment") };
        let found = world.look_up(&pay.order, &pay.txn);
        let looked_up = Some(Box::new(LookedUp { at: world.now, found }));
        world.submit(Command::Pay(Pay { looked_up, ..pay }));
        while claim(&world, &names.txn(0)).is_none() {
            world.deliver(0);
        }
        world.crash();
        world.quiet();
        assert_eq!(refunds(&mut world).len(), 1);
        for _ in 0..2 {
            assert_eq!(word(&world.run(names.pay(0, 0))), "!HoldExpired");
        }
        let owed = refunds(&mut world);
        assert_eq!((owed.len(), owed[0].reason), (1, RefundReason::HoldExpired));
        assert!(owed[0].amount.is_some(), "{owed:?}");
        check::settled(&world);
        check::replay(&world);
    }
}

/// A payment of an order that still waited for it, whose claim is heard of when the order has expired and left: nobody knew then what would go back. It is
/// owed for nobody, and a repeat is answered by what the order was.
#[test]
fn a_claim_of_a_reserved_order_that_comes_when_it_has_left_is_owed_for_nobody() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = World::new(Table::default());
        world.run(names.create(0)).unwrap();
        world.run(names.reserve(0)).unwrap();
        world.submit(names.pay(0, 0));
        while claim(&world, &names.txn(0)).is_none() {
            world.deliver(0);
        }
        world.crash();
        let late = std::mem::take(&mut world.mail);
        world.later(world.policy.hold_ttl_ms);
        retention_passes(&mut world);
        assert!(!is_there(&world, &names, 0));
        world.mail.extend(late);
        world.quiet();
        for _ in 0..2 {
            assert_eq!(word(&world.run(names.pay(0, 0))), "!HoldExpired");
        }
        let owed = refunds(&mut world);
        assert_eq!((owed.len(), owed[0].reason), (1, RefundReason::Unmatched));
        check::settled(&world);
        check::replay(&world);
    }
}

/// Each row of the table of payments, for an order that has left. Nothing is owed for the payment that paid it.
#[test]
fn payments_of_an_order_that_has_left() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = ticketed(&names);
        // Its ad hoc partition goes first, then the retention passes.
        world.later(world.policy.ad_hoc_keep_ms + DAY_MS);
        world.leave();
        world.wait(world.policy.departed_ms + world.policy.order_retention_ms + 1);
        world.leave();
        assert!(!is_there(&world, &names, 0), "{:?}", world.log.last());
        // The same callback again.
        let repeat = world.run(names.pay(0, 0));
        assert_eq!(word(&repeat), "Ticketed");
        assert_eq!(refunds(&mut world).len(), 0);
        // Another one: it goes back, once, with the amount of the order.
        let amount = order_of(&repeat).amount;
        for _ in 0..2 {
            assert_eq!(word(&world.run(names.pay(0, 1))), "!AlreadyPaid");
        }
        let owed = refunds(&mut world);
        assert_eq!(owed.len(), 1);
        assert_eq!((owed[0].reason, owed[0].amount), (RefundReason::AlreadyPaid, Some(amount)));
        // One that another order has: nothing.
        world.run(names.create(1)).unwrap();
        world.run(names.reserve(1)).unwrap();
        world.run(names.pay(1, 2)).unwrap();
        assert_eq!(word(&world.run(names.pay(0, 2))), "!TxnUsed");
        // Who names another hold is told so.
        let Command::Pay(pay) = names.pay(0, 3) else { unreachable!() };
        let hold = engine::ids::HoldId::parse("another").ok();
        let expected = ExpectedHold { hold, ..ExpectedHold::default() };
        assert_eq!(word(&world.run(Command::Pay(Pay { expected, ..pay }))), "!HoldMismatch");
        assert_eq!(refunds(&mut world).len(), 1);
        check::settled(&world);
        check::replay(&world);
    }
}

/// Paid twice, settled: both callbacks owe nothing more, with the order still there and after it has left.
#[test]
fn a_settled_refund_is_owed_once_for_ever() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = expired(&names);
        for nth in 0..2 {
            assert_eq!(word(&world.run(names.pay(0, nth))), "!HoldExpired");
            settle(&mut world, &names, 0, names.txn(nth));
        }
        let repeat = |world: &mut World| {
            for nth in 0..2 {
                assert_eq!(word(&world.run(names.pay(0, nth))), "!HoldExpired");
            }
            assert!(refunds(world).iter().all(|refund| refund.status == RefundStatus::Settled));
        };
        repeat(&mut world);
        retention_passes(&mut world);
        assert!(!is_there(&world, &names, 0));
        assert_eq!(refunds(&mut world).len(), 0, "they left with their order");
        repeat(&mut world);
        assert_eq!(refunds(&mut world).len(), 0);
        // A transaction id is free again, and pays another order.
        world.run(names.create(1)).unwrap();
        world.run(names.reserve(1)).unwrap();
        assert_eq!(word(&world.run(names.pay(1, 0))), "Paid");
        check::settled(&world);
        check::replay(&world);
    }
}

/// A refund of an order that has left, or that nobody knew, leaves a retention after it was settled, and never while it is owed.
#[test]
fn a_refund_without_its_order_leaves_by_itself() {
    let names = Names::new(APART);
    let mut world = expired(&names);
    retention_passes(&mut world);
    assert!(!is_there(&world, &names, 0));
    assert_eq!(word(&world.run(names.pay(0, 0))), "!HoldExpired");
    assert_eq!(word(&world.run(names.pay(1, 1))), "!OrderNotFound", "nobody knows order 1");
    retention_passes(&mut world);
    retention_passes(&mut world);
    assert_eq!(refunds(&mut world).len(), 2);
    settle(&mut world, &names, 0, names.txn(0));
    settle(&mut world, &names, 1, names.txn(1));
    world.wait(world.policy.order_retention_ms - 1);
    world.leave();
    assert_eq!(refunds(&mut world).len(), 2);
    world.wait(1);
    world.leave();
    assert_eq!(refunds(&mut world).len(), 0);
    // The callbacks again: what was owed is owed no more, and nothing new is.
    assert_eq!(word(&world.run(names.pay(0, 0))), "!HoldExpired");
    assert_eq!(word(&world.run(names.pay(1, 1))), "!OrderNotFound");
    assert_eq!(refunds(&mut world).len(), 0);
    // Numbers go on.
    assert_eq!(word(&world.run(names.pay(0, 2))), "!HoldExpired");
    let slot = world.slot(names.order(0).slot()).unwrap();
    let number = slot.refunds().after(0).next().unwrap().number;
    assert!(number > 1, "{number}");
    check::replay(&world);
}

/// A lookup counts for a while only: what it did not find may have come and gone since.
#[test]
fn what_was_looked_up_grows_too_old() {
    let names = Names::new(APART);
    let mut world = expired(&names);
    retention_passes(&mut world);
    let Command::Pay(pay) = names.pay(0, 0) else { unreachable!() };
    assert_eq!(pay.looked_up, None);
    let ticket = world.submit(Command::Pay(pay.clone()));
    assert_eq!(world.replies[&ticket], Err(Rejection::OrderNotHere(world.now)));
    let found = world.look_up(&pay.order, &pay.txn);
    let looked_up = Some(Box::new(LookedUp { at: world.now, found }));
    let again = Command::Pay(Pay { looked_up, ..pay });
    world.wait(LOOKED_UP_MS_MAX + 1);
    assert_eq!(world.run(again.clone()), Err(Rejection::Busy));
    assert_eq!(refunds(&mut world).len(), 0);
    world.now = Time(world.now.0 - 1);
    assert_eq!(word(&world.run(again)), "!HoldExpired");
    assert_eq!(refunds(&mut world).len(), 1);
}

/// Nobody knows it, and the read model says that it does not have all that there was: owed as unmatched, and said so.
#[test]
fn money_for_what_may_have_been_lost_is_marked() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    let Command::Pay(pay) = names.pay(0, 0) else { unreachable!() };
    let found = Found::Nothing { refund: None, history_lost: true };
    let looked_up = Some(Box::new(LookedUp { at: world.now, found }));
    let pay = Pay { looked_up, ..pay };
    assert_eq!(word(&world.run(Command::Pay(Pay { verified: false, ..pay.clone() }))), "!OrderNotFound");
    assert_eq!(refunds(&mut world).len(), 0);
    assert_eq!(word(&world.run(Command::Pay(pay))), "!OrderNotFound");
    let owed = refunds(&mut world);
    assert_eq!((owed[0].reason.wire_name(), owed[0].reason.detail()), ("unmatched", "history_lost"));
}

/// Money that comes for an order on its way out is owed back as ever, and the order stays for it.
#[test]
fn money_for_an_order_that_is_leaving_keeps_it() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let mut world = expired(&names);
        world.run(names.pay(0, 0)).unwrap_err();
        settle(&mut world, &names, 0, names.txn(0));
        world.wait(world.policy.order_retention_ms + 1);
        let slot = names.order(0).slot();
        assert!(world.leave_one(slot, world.now));
        let order = |world: &World| world.slot(slot).unwrap().orders().get(names.order(0)).cloned();
        assert!(order(&world).unwrap().is_leaving());
        // What is under way keeps it as well.
        world.submit(names.pay(0, 1));
        while let Some(at) = world.mail.iter().position(|mail| !matches!(mail, Mail::Ask { .. })) {
            world.deliver(at);
        }
        assert!(!world.leave_one(slot, world.now.plus(1)), "a payment is under way");
        world.quiet();
        assert_eq!(refunds(&mut world).len(), 2);
        assert!(!order(&world).unwrap().is_leaving());
        retention_passes(&mut world);
        assert!(is_there(&world, &names, 0));
        settle(&mut world, &names, 0, names.txn(1));
        world.wait(1);
        world.leave();
        assert!(!is_there(&world, &names, 0));
        assert_eq!((claim(&world, &names.txn(0)), claim(&world, &names.txn(1))), (None, None));
        check::settled(&world);
        check::replay(&world);
    }
}

/// An order with sold seats of a run leaves three days and a retention after the run's end, by itself.
#[test]
fn an_order_with_seats_is_kept_as_long_as_its_run() {
    let names = Names::new(APART);
    let ends_at = START.plus(7 * DAY_MS);
    let run = a_run("stop", 3, ends_at);
    let catalogue = Table::default().sells(names.partition.as_str(), coaches(&["05"]), run);
    let mut world = World::new(catalogue);
    world.run(names.create(0)).unwrap();
    world.run(names.reserve(0)).unwrap();
    world.run(names.pay(0, 0)).unwrap();
    world.later(1);
    let order = world.slot(names.order(0).slot()).unwrap().orders().get(names.order(0)).unwrap();
    assert_eq!(order.row.reservation.as_ref().unwrap().ends_at, Some(ends_at));
    let leaves = ends_at.plus(world.policy.departed_ms + world.policy.order_retention_ms);
    world.later(leaves.0 - 1 - world.now.0);
    world.leave();
    assert!(is_there(&world, &names, 0));
    assert_eq!(
        world.slots().flat_map(|slot| slot.partitions().iter()).count(),
        0,
        "its partition went before"
    );
    world.wait(1);
    world.leave();
    assert!(!is_there(&world, &names, 0));
    assert_eq!(claim(&world, &names.txn(0)), None);
    assert!(
        !world.log.iter().any(|record| matches!(record.body, Body::OrderKept { .. })),
        "nobody was asked"
    );
    check::replay(&world);
}

/// An ad hoc partition is kept as long as it changes: its orders ask after it.
#[test]
fn an_order_with_ad_hoc_seats_asks_how_long_they_are_kept() {
    let names = Names::new(APART);
    let mut world = ticketed(&names);
    let keep = world.policy.ad_hoc_keep_ms;
    world.later(keep - DAY_MS);
    world.leave();
    // Something changes shortly before its time: it is kept as long again.
    world.run(names.create(1)).unwrap();
    world.run(names.reserve(1)).unwrap();
    world.run(names.pay(1, 1)).unwrap();
    let changed_at = world.now;
    world.later(2 * DAY_MS);
    world.leave();
    let kept: Vec<Kept> = world
        .log
        .iter()
        .filter_map(|record| match record.body {
            Body::OrderKept { kept, .. } => Some(kept),
            _ => None,
        })
        .collect();
    assert_eq!(kept, [Kept::UntilAtLeast(changed_at.plus(keep))]);
    world.later(keep - 3 * DAY_MS);
    world.leave();
    assert!(is_there(&world, &names, 0));
    world.later(2 * DAY_MS);
    world.leave();
    assert!(is_there(&world, &names, 0), "its partition has gone, and its retention begins");
    world.later(world.policy.departed_ms + world.policy.order_retention_ms + 1);
    world.leave();
    assert!(!is_there(&world, &names, 0));
    check::replay(&world);
}

/// An order that was given up after its time leaves like any other that was cancelled.
#[test]
fn an_abandoned_order_leaves() {
    let names = Names::new(APART);
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    world.later(world.policy.abandon_ms);
    assert_eq!(order_of(&world.run(names.get(0))).cancel_reason, Some(CancelReason::Abandoned));
    retention_passes(&mut world);
    assert!(!is_there(&world, &names, 0));
    check::replay(&world);
}

/// Images have what is under way about leaving, and numbers that go on.
#[test]
fn what_is_leaving_goes_through_an_image() {
    let names = Names::new(APART);
    let mut world = expired(&names);
    world.run(names.pay(0, 0)).unwrap_err();
    settle(&mut world, &names, 0, names.txn(0));
    world.wait(world.policy.order_retention_ms + 1);
    let slot = names.order(0).slot();
    assert!(world.leave_one(slot, world.now));
    world.mail.clear();
    world.reload();
    assert!(!world.leave_one(slot, world.now.plus(1)), "somebody has still to be told");
    world.resend();
    world.quiet();
    world.reload();
    assert!(world.leave_one(slot, world.now.plus(1)));
    assert!(!is_there(&world, &names, 0));
    world.reload();
    assert_eq!(world.slot(slot).unwrap().refunds().next_number(), 2);
    check::replay(&world);
}
