//! What is owed: settled once, listed in order, page by page, never forgotten.

use engine::answer::{Answer, RefundReason, RefundStatus, RefundView, Rejection};
use engine::command::{Command, ExpectedHold, ListRefunds, Pay, RefundCursor, RefundFilter};
use engine::ids::{OrderName, Reference, SlotId, TxnId};

use crate::support::catalogue::Table;
use crate::support::check;
use crate::support::names::{APART, Names, PLACEMENTS, order_name, txn};
use crate::support::world::World;
use crate::support::{order_of, word};

fn settle(order: &OrderName, txn: &TxnId, reference: &str) -> Command {
    let reference = Reference::parse(reference).unwrap();
    Command::SettleRefund { order: order.clone(), txn: txn.clone(), reference }
}

fn list(
    world: &mut World,
    status: Option<RefundFilter>,
    after: Option<RefundCursor>,
    limit: usize,
) -> Vec<RefundView> {
    match world.run(Command::ListRefunds(ListRefunds { status, after, limit })) {
        Ok(Answer::Refunds(refunds)) => refunds,
        other => panic!("{other:?}"),
    }
}

fn unmatched(world: &mut World, order: &str, id: &str) {
    let pay = Pay {
        order: order_name(order),
        txn: txn(id),
        expected: ExpectedHold::default(),
        verified: true,
        looked_up: None,
    };
    assert_eq!(world.run(Command::Pay(pay)), Err(Rejection::OrderNotFound));
}

/// Order 0 is INIT and was paid twice, so that two refunds are owed.
fn owed(names: &Names) -> World {
    let mut world = World::new(Table::default());
    world.run(names.create(0)).unwrap();
    for nth in 0..2 {
        assert_eq!(world.run(names.pay(0, nth)), Err(Rejection::InvalidTransition));
    }
    world
}

#[test]
fn settled_once() {
    for placement in PLACEMENTS {
        let names = Names::new(placement);
        let (order, first, second) = (names.order(0).name(), names.txn(0), names.txn(1));
        let mut world = owed(&names);
        world.wait(500);
        let reply = world.run(settle(&order, &first, "booking 1"));
        let Ok(Answer::Refund(view)) = &reply else { panic!("{reply:?}") };
        assert_eq!((view.status, view.reason), (RefundStatus::Settled, RefundReason::InvalidState));
        let settlement = view.settled.as_ref().unwrap();
        assert_eq!((settlement.reference.as_str(), settlement.at), ("booking 1", world.now));
        let recorded = world.log.len();

        world.wait(500);
        assert_eq!(world.run(settle(&order, &first, "booking 1")), reply, "the same again shows the same");
        assert_eq!(world.run(settle(&order, &first, "booking 2")), Err(Rejection::RefundSettled));
        assert_eq!(world.log.len(), recorded);
        // Nothing comes of the payment being repeated after that.
        assert_eq!(world.run(names.pay(0, 0)), Err(Rejection::InvalidTransition));
        assert_eq!(world.log.len(), recorded);

        // The order owes as long as one of its refunds is owed.
        assert_eq!(order_of(&world.run(names.get(0))).refund, Some(RefundStatus::Required));
        world.run(settle(&order, &second, "booking 1")).unwrap();
        assert_eq!(order_of(&world.run(names.get(0))).refund, Some(RefundStatus::Settled));
        check::settled(&world);
        check::replay(&world);
    }
}

#[test]
fn what_is_not_owed_is_not_settled() {
    let names = Names::new(APART);
    let mut world = owed(&names);
    world.run(names.create(1)).unwrap();
    let (order, other) = (names.order(0).name(), names.order(1).name());
    let missing = Err(Rejection::RefundNotFound);
    assert_eq!(world.run(settle(&order, &names.txn(7), "r")), missing);
    assert_eq!(world.run(settle(&other, &names.txn(0), "r")), missing);
    assert_eq!(world.run(settle(&order_name("nobody's"), &names.txn(0), "r")), missing);
}

#[test]
fn an_unmatched_payment_is_settled_like_any_other() {
    let mut world = World::new(Table::default());
    unmatched(&mut world, "nobody's", "t");
    assert_eq!(word(&world.run(settle(&order_name("nobody's"), &txn("t"), "r"))), "refund Settled");
    unmatched(&mut world, "nobody's", "t");
    let refunds = list(&mut world, None, None, 10);
    assert_eq!(refunds.len(), 1);
    assert_eq!((refunds[0].status, refunds[0].amount), (RefundStatus::Settled, None));
}

#[test]
fn never_forgotten() {
    let names = Names::new(APART);
    let mut world = owed(&names);
    for _ in 0..100 {
        world.later(24 * 3_600_000);
    }
    world.reload();
    assert_eq!(list(&mut world, Some(RefundFilter::Required), None, 10).len(), 2);
}

#[test]
fn listed_page_by_page() {
    let mut world = World::new(Table::default());
    let mut expected = Vec::new();
    for nth in 0..30 {
        let order = format!("order {}", nth % 7);
        unmatched(&mut world, &order, &format!("txn {nth}"));
        let slot = world.hash().order_name(&order_name(&order));
        expected.push((slot, nth, format!("txn {nth}")));
    }
    // By slot, and in it in the order of their coming.
    expected.sort();
    let expected: Vec<String> = expected.into_iter().map(|(_, _, txn)| txn).collect();
    let texts = |page: &[RefundView]| page.iter().map(|r| r.txn.to_string()).collect::<Vec<_>>();
    assert_eq!(texts(&list(&mut world, None, None, 1_000)), expected);
    for status in [None, Some(RefundFilter::Required), Some(RefundFilter::Unmatched)] {
        for limit in [1, 4, 29, 30] {
            let (mut all, mut after) = (Vec::new(), None);
            loop {
                let page = list(&mut world, status, after, limit);
                assert!(page.len() <= limit);
                let Some(last) = page.last() else { break };
                after = Some(last.cursor);
                all.extend(texts(&page));
                assert!(all.len() <= expected.len(), "the pages of {limit} never end");
            }
            assert_eq!(all, expected, "{status:?} in pages of {limit}");
        }
    }
    assert_eq!(list(&mut world, None, None, 0), []);
    // A place between refunds, and one after all of them.
    let cursor = |slot, number| Some(RefundCursor { slot: SlotId::new(slot), number });
    assert_eq!(texts(&list(&mut world, None, cursor(0, 0), 1_000)), expected);
    assert_eq!(list(&mut world, None, cursor(4_095, u64::MAX), 1_000), []);
}

#[test]
fn listed_by_status() {
    let names = Names::new(APART);
    let mut world = owed(&names);
    unmatched(&mut world, "nobody's", "a");
    unmatched(&mut world, "nobody's", "b");
    world.run(settle(&names.order(0).name(), &names.txn(1), "r")).unwrap();
    world.run(settle(&order_name("nobody's"), &txn("a"), "r")).unwrap();
    let mut check = |status, expected: &[&TxnId]| {
        let mut found: Vec<_> = list(&mut world, status, None, 10).into_iter().map(|r| r.txn).collect();
        let mut expected: Vec<_> = expected.iter().map(|txn| (*txn).clone()).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{status:?}");
    };
    let (first, second, a, b) = (names.txn(0), names.txn(1), txn("a"), txn("b"));
    check(None, &[&first, &second, &a, &b]);
    check(Some(RefundFilter::Required), &[&first, &b]);
    check(Some(RefundFilter::Settled), &[&second, &a]);
    check(Some(RefundFilter::Unmatched), &[&a, &b]);
}
