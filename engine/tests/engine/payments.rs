//! What becomes of a payment: every cell of the contract's table, wherever order, partition and transaction id live.

use engine::answer::{RefundReason, RefundStatus};
use engine::command::{Command, ExpectedHold, Pay};
use engine::ids::{Cents, OrderId, SlotId};

use crate::support::catalogue::{self, Table};
use crate::support::check;
use crate::support::names::{APART, Names, PLACEMENTS, order_name, partition, span, txn};
use crate::support::world::{Mail, START, World};
use crate::support::{kind, order_of, refunds, word};

/// Whether the transaction id is the order's own of an earlier payment, fresh, or another order's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Txn {
    Same,
    Fresh,
    Claimed,
}
use Txn::{Claimed, Fresh, Same};

/// What order 0 is when the money comes. Order 1 is reserved beside it.
fn world_with(names: &Names, status: &str) -> World {
    let mut world = World::new(Table::default());
    let mut run = |command| world.run(command).map(drop).expect("a step of the set-up");
    run(names.create(1));
    run(names.reserve_with(1, |seats| seats.span = span(0, 1)));
    if status != "unknown" {
        run(names.create(0));
    }
    if !["unknown", "init", "abandoned"].contains(&status) {
        run(names.reserve(0));
    }
    match status {
        "unknown" | "init" | "reserved" => {}
        "paid" => run(names.pay(0, 0)),
        "ticketed" => {
            run(names.pay(0, 0));
            run(names.ticket(0));
        }
        "cancelled" => run(names.cancel(0)),
        "expired" => world.later(world.policy.hold_ttl_ms),
        "overdue" => world.wait(world.policy.hold_ttl_ms),
        "abandoned" => world.later(world.policy.abandon_ms),
        other => panic!("no status is called {other}"),
    }
    world
}

/// `owed`: the reason of the refund that this payment leaves, if any.
fn check(status: &str, which: Txn, expected: &str, owed: Option<RefundReason>) {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let what = format!("{which:?} on {status}, {placement:?}");
        let mut world = world_with(&names, status);
        let nth = if which == Same { 0 } else { 5 };
        match (which, status) {
            // It came before, and did not pay.
            (Same, "init" | "cancelled" | "expired" | "abandoned") => drop(world.run(names.pay(0, 0))),
            (Claimed, _) => drop(world.run(names.pay(1, 5))),
            _ => {}
        }
        let before = world.log.len();
        let reply = world.run(names.pay(0, nth));
        assert_eq!(word(&reply), expected, "{what}");
        if which == Same {
            assert_eq!(world.log.len(), before, "a repeat changes nothing: {what}");
        }
        if which == Claimed {
            let rest: Vec<_> = world.log[before..].iter().map(|record| kind(record)).collect();
            assert!(rest.is_empty() || status == "unknown", "nothing is owed: {what}, {rest:?}");
        }
        // The same again, and once more after a crash.
        let settled = world.log.len();
        assert_eq!(word(&world.run(names.pay(0, nth))), expected, "{what}");
        world.crash();
        assert_eq!(word(&world.run(names.pay(0, nth))), expected, "{what}");
        assert_eq!(world.log.len(), settled, "{what}");

        let of_this: Vec<_> = refunds(&mut world)
            .into_iter()
            .filter(|r| r.order == names.order(0).name() && r.txn == names.txn(nth))
            .collect();
        assert_eq!(of_this.iter().map(|r| r.reason).collect::<Vec<_>>(), Vec::from_iter(owed), "{what}");
        for refund in &of_this {
            assert_eq!(refund.status, RefundStatus::Required);
            assert_eq!(refund.amount, (status != "unknown").then_some(Cents(100)), "{what}");
            assert_eq!(refund.created_at, world.now, "{what}");
        }
        if status != "unknown" {
            let view = world.run(names.get(0));
            let expected = if owed.is_some() { Some(RefundStatus::Required) } else { None };
            assert_eq!(order_of(&view).refund, expected, "{what}");
        }
        check::settled(&world);
        world.later(world.policy.hold_ttl_ms);
        check::settled(&world);
        check::replay(&world);
    }
}

#[test]
fn of_a_reserved_order_whose_hold_is_alive() {
    check("reserved", Fresh, "Paid", None);
    check("reserved", Claimed, "!TxnUsed", None);
}

#[test]
fn of_a_paid_order() {
    for (status, shown) in [("paid", "Paid"), ("ticketed", "Ticketed")] {
        check(status, Same, shown, None);
        check(status, Fresh, "!AlreadyPaid", Some(RefundReason::AlreadyPaid));
        check(status, Claimed, "!TxnUsed", None);
    }
}

#[test]
fn of_an_order_cancelled_by_expiry() {
    check("expired", Same, "!HoldExpired", Some(RefundReason::HoldExpired));
    check("expired", Fresh, "!HoldExpired", Some(RefundReason::HoldExpired));
    check("expired", Claimed, "!TxnUsed", None);
}

/// At its deadline a hold is expired, logged or not.
#[test]
fn of_an_order_whose_hold_has_expired_and_nothing_has_said_so_yet() {
    check("overdue", Fresh, "!HoldExpired", Some(RefundReason::HoldExpired));
    check("overdue", Claimed, "!TxnUsed", None);
}

#[test]
fn of_an_order_that_waits_for_no_money() {
    for status in ["init", "cancelled", "abandoned"] {
        check(status, Same, "!InvalidTransition", Some(RefundReason::InvalidState));
        check(status, Fresh, "!InvalidTransition", Some(RefundReason::InvalidState));
        check(status, Claimed, "!TxnUsed", None);
    }
}

#[test]
fn of_an_unknown_order() {
    check("unknown", Fresh, "!OrderNotFound", Some(RefundReason::Unmatched));
}

#[test]
fn one_millisecond_decides() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        for (wait, expected) in [(119_999, "Paid"), (120_000, "!HoldExpired")] {
            let mut world = world_with(&names, "reserved");
            world.wait(wait);
            assert_eq!(word(&world.run(names.pay(0, 0))), expected, "after {wait} ms");
        }
    }
}

/// The claim is before the deadline, the confirmation after it: the slot that owns the hold is the arbiter.
#[test]
fn money_that_comes_in_time_but_is_confirmed_too_late() {
    let names = Names::new(APART);
    let mut world = world_with(&names, "reserved");
    world.wait(119_999);
    let ticket = world.submit(names.pay(0, 0));
    world.deliver(0);
    world.wait(1);
    world.quiet();
    assert_eq!(word(&world.replies[&ticket]), "!HoldExpired");
    assert_eq!(refunds(&mut world).len(), 1);
    world.later(0);
    check::settled(&world);
}

#[test]
fn a_hold_confirmed_in_time_is_sold_however_late_the_order_hears_of_it() {
    let names = Names::new(APART);
    let mut world = world_with(&names, "reserved");
    let ticket = world.submit(names.pay(0, 0));
    // Claim, its answer, and the confirmation itself.
    for _ in 0..2 {
        let index = world.mail.iter().position(|mail| !format!("{mail:?}").starts_with("Tell")).unwrap();
        world.deliver(index);
    }
    let index = world.mail.iter().position(|mail| format!("{mail:?}").starts_with("Ask")).unwrap();
    world.deliver(index);
    assert!(world.log.iter().any(|record| kind(record) == "HoldConfirmed"));
    world.crash();
    world.wait(1_000_000);
    // Whoever looks first learns the truth, told or not.
    world.mail.clear();
    assert_eq!(word(&world.run(names.get(0))), "Paid");
    assert!(!world.replies.contains_key(&ticket));
    world.resend();
    world.later(0);
    check::settled(&world);
}

/// What was sold is not forgotten while anybody has still to be told of it, however long ago the run departed.
#[test]
fn a_sale_that_was_not_told_keeps_its_partition() {
    let names = Names::new(APART);
    let key = "G1|2026-02-11|2nd";
    let definition = catalogue::run("stop", 3, START.plus(1_000));
    let mut world = World::new(Table::default().sells(key, catalogue::coaches(&["05"]), definition));
    world.policy.sale_closes_ms = -3_600_000;
    world.run(names.create(0)).unwrap();
    world.run(names.reserve_with(0, |seats| seats.partition = partition(key))).unwrap();
    world.submit(names.pay(0, 0));
    // Claim, its answer, and the confirmation; none of it is told.
    for _ in 0..3 {
        world.mail.retain(|mail| !matches!(mail, Mail::Tell { .. }));
        world.deliver(0);
    }
    assert!(world.log.iter().any(|record| kind(record) == "HoldConfirmed"));
    world.crash();
    world.mail.clear();
    world.wait(world.policy.departed_ms + 1_000);
    world.do_due();
    let is_forgotten = |world: &World| world.log.iter().any(|record| kind(record) == "PartitionForgotten");
    assert!(!is_forgotten(&world));
    assert_eq!(word(&world.run(names.get(0))), "Paid");
    assert!(!is_forgotten(&world));
    world.resend();
    world.later(0);
    assert!(is_forgotten(&world));
    assert_eq!(word(&world.run(names.get(0))), "Ticketed");
    assert_eq!(refunds(&mut world), []);
    check::settled(&world);
}

/// The first payment's client never heard of it; the second one's money is owed back.
#[test]
fn two_payments_of_which_the_first_was_cut_off_by_a_crash() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        for cut in 0..12 {
            let mut world = world_with(&names, "reserved");
            world.submit(names.pay(0, 0));
            for _ in 0..cut {
                if !world.mail.is_empty() {
                    world.deliver(0);
                }
            }
            world.crash();
            let second = word(&world.run(names.pay(0, 1)));
            let first = word(&world.run(names.pay(0, 0)));
            let (paid, owed) = match (first.as_str(), second.as_str()) {
                ("Paid", "!AlreadyPaid") => (0, 1),
                ("!AlreadyPaid", "Paid") => (1, 0),
                other => panic!("cut after {cut}, {placement:?}: {other:?}"),
            };
            let reply = world.run(names.get(0));
            assert_eq!(order_of(&reply).txn, Some(names.txn(paid)));
            let owed_txns: Vec<_> = refunds(&mut world).into_iter().map(|r| r.txn).collect();
            assert_eq!(owed_txns, [names.txn(owed)]);
            check::settled(&world);
        }
    }
}

#[test]
fn each_fresh_payment_of_a_paid_order_is_owed_once() {
    let names = Names::new(APART);
    let mut world = world_with(&names, "paid");
    for _ in 0..2 {
        for nth in 1..5 {
            assert_eq!(word(&world.run(names.pay(0, nth))), "!AlreadyPaid");
        }
    }
    let mut owed: Vec<_> = refunds(&mut world).into_iter().map(|r| r.txn).collect();
    owed.sort();
    let mut expected: Vec<_> = (1..5).map(|nth| names.txn(nth)).collect();
    expected.sort();
    assert_eq!(owed, expected);
}

/// Money that came too early is owed back even if the order is reserved later: it does not pay by being repeated.
#[test]
fn a_payment_owed_back_pays_nothing_any_more() {
    let names = Names::new(APART);
    let mut world = world_with(&names, "init");
    assert_eq!(word(&world.run(names.pay(0, 0))), "!InvalidTransition");
    world.run(names.reserve(0)).unwrap();
    assert_eq!(word(&world.run(names.pay(0, 0))), "!InvalidTransition");
    assert_eq!(word(&world.run(names.get(0))), "Reserved");
    assert_eq!(word(&world.run(names.pay(0, 1))), "Paid");
    assert_eq!(word(&world.run(names.pay(0, 0))), "!InvalidTransition");
    assert_eq!(refunds(&mut world).len(), 1);
    check::settled(&world);
}

/// A claim stays with the order that came first, even where its money went back.
#[test]
fn a_transaction_id_is_claimed_by_the_first_order_for_ever() {
    let names = Names::new(APART);
    let mut world = world_with(&names, "init");
    assert_eq!(word(&world.run(names.pay(0, 0))), "!InvalidTransition");
    assert_eq!(word(&world.run(names.pay(1, 0))), "!TxnUsed");
    assert_eq!(word(&world.run(names.get(1))), "Reserved");
    assert_eq!(world.slot(SlotId::new(9)).unwrap().claim(&names.txn(0)), Some(names.order(0)));
    assert_eq!(refunds(&mut world).len(), 1);
}

#[test]
fn money_for_an_unknown_order_is_recorded_only_where_signatures_are_verified() {
    let ours = OrderId::new(SlotId::new(3), 99).name();
    for name in [ours, order_name("not one of ours"), order_name("ÄÖÜ")] {
        for verified in [false, true] {
            let mut world = World::new(Table::default());
            let pay = Command::Pay(Pay {
                order: name.clone(),
                txn: txn("t"),
                expected: ExpectedHold::default(),
                verified,
                looked_up: None,
            });
            for _ in 0..3 {
                assert_eq!(word(&world.run(pay.clone())), "!OrderNotFound");
            }
            let owed = refunds(&mut world);
            assert_eq!(owed.len(), usize::from(verified), "{name}");
            if let Some(refund) = owed.first() {
                assert_eq!((refund.reason, refund.amount), (RefundReason::Unmatched, None));
                assert_eq!(refund.cursor.slot, world.hash().order_name(&name));
            }
        }
    }
}

/// Whether a signature was checked makes no difference where the order is known.
#[test]
fn unverified_money_for_a_known_order_is_treated_alike() {
    let names = Names::new(APART);
    let unverified = |nth| match names.pay(0, nth) {
        Command::Pay(pay) => Command::Pay(Pay { verified: false, ..pay }),
        _ => unreachable!(),
    };
    let mut world = world_with(&names, "reserved");
    assert_eq!(word(&world.run(unverified(0))), "Paid");
    assert_eq!(word(&world.run(unverified(1))), "!AlreadyPaid");
    assert_eq!(refunds(&mut world).len(), 1);
}
