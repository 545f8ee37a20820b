//! Orders and refunds that have left the engine: a payment of one finds here what became of it, and a copy of the state says that it does not have them.

use bridge::sink::Sink;
use engine::command::{Command, Found};
use engine::ids::{OrderName, Reference, TxnId};
use engine::read_model::{Question, Reading, RefundsQuestion};
use engine::status::RefundStatus;

use crate::ops::{HoldName, Op, Place, Who};
use crate::support::names::order_name;
use crate::support::{Filled, History, LIFE, cursor};

fn look_up(filled: &mut Filled, order: &OrderName, txn: &TxnId) -> Found {
    let question = Question::Payment { order: order.clone(), txn: txn.clone() };
    match filled.reader.answer(&question) {
        Ok(Reading::Payment(found)) => *found,
        other => panic!("{other:?}"),
    }
}

fn settle(history: &mut History, order: &OrderName, txn: usize) {
    let (order, txn) = (order.clone(), history.names.txn(txn));
    let reference = Reference::parse("booking").unwrap();
    history.world.run(Command::SettleRefund { order, txn, reference }).unwrap();
}

/// Order 0 expired and was paid twice, order 1 was cancelled; a stranger's payment was kept as well. All refunds are settled, and all has left.
fn history() -> History {
    let mut history = History::new();
    for order in 0..2 {
        history.step(&Op::Create { order, amount: 250 });
        let (quantity, hold) = (2, HoldName::Own(order));
        history.step(&Op::Reserve { order, place: Place::AdHoc, hold, quantity, span: None });
    }
    history.step(&Op::Cancel { order: 1, named: None });
    history.world.later(history.world.policy.hold_ttl_ms);
    for txn in 0..2 {
        history.step(&Op::Pay { who: Who::Order(0), txn, verified: true, named: None });
    }
    history.step(&Op::Pay { who: Who::Stranger, txn: 2, verified: true, named: None });
    let first = history.names.order(0).name();
    settle(&mut history, &first, 0);
    settle(&mut history, &first, 1);
    settle(&mut history, &order_name("a stranger's"), 2);
    history.world.later(history.world.policy.order_retention_ms + 1);
    history.world.leave();
    assert!(history.world.slots().all(|slot| slot.orders().is_empty() && slot.refunds().is_empty()));
    history
}

#[test]
fn a_payment_is_found_as_the_records_say_it() {
    let history = history();
    let mut filled = Filled::of(&history.world.log);
    let orders = [history.names.order(0).name(), history.names.order(1).name(), order_name("a stranger's")];
    let mut refunds = 0;
    for order in &orders {
        for txn in 0..4 {
            let txn = history.names.txn(txn);
            let (expected, found) = (history.world.look_up(order, &txn), look_up(&mut filled, order, &txn));
            match (expected, found) {
                (Found::Order { order: a, refund }, Found::Order { order: b, refund: other }) => {
                    // The records say nothing of an order's refunds together.
                    assert_eq!((a.order, a.status, a.amount, a.txn), (b.order, b.status, b.amount, b.txn));
                    assert_eq!(refund, other, "{order} {txn}");
                    refunds += usize::from(refund.is_some());
                }
                (expected, found) => {
                    assert_eq!(expected, found, "{order} {txn}");
                    let Found::Nothing { refund, .. } = found else { panic!("an order") };
                    refunds += usize::from(refund.is_some());
                }
            }
        }
    }
    assert_eq!(refunds, 3);
}

#[test]
fn tables_say_what_has_left_and_when() {
    let history = history();
    let filled = Filled::of(&history.world.log);
    let connection = rusqlite::Connection::open(filled.reader.path()).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM order_rows WHERE left_at > updated_at"), 2);
    assert_eq!(count("SELECT count(*) FROM refunds WHERE left_at IS NOT NULL"), 1, "the stranger's");
    assert_eq!(count("SELECT count(*) FROM lost_history"), 0);
}

/// Settled refunds come by slot and number, page after page; one of them by its order and transaction.
#[test]
fn settled_refunds_are_listed_when_the_engine_has_none() {
    let history = history();
    let mut filled = Filled::of(&history.world.log);
    let mut ask =
        |question: RefundsQuestion| match filled.reader.answer(&Question::Refunds(Box::new(question))) {
            Ok(Reading::Refunds(refunds)) => refunds,
            other => panic!("{other:?}"),
        };
    let all = RefundsQuestion { of: None, unmatched: false, after: None, limit: 100 };
    let found = ask(all.clone());
    assert_eq!(found.len(), 3);
    assert!(found.is_sorted_by(|one, next| one.cursor < next.cursor));
    for refund in &found {
        let settled = refund.settled.as_ref().unwrap();
        assert_eq!((settled.reference.as_str(), refund.status), ("booking", RefundStatus::Settled));
        let of = Some((refund.order.clone(), refund.txn.clone()));
        assert_eq!(ask(RefundsQuestion { of, ..all.clone() }), std::slice::from_ref(refund));
    }
    let (mut pages, mut after) = (Vec::new(), None);
    while let Some(refund) = ask(RefundsQuestion { after, limit: 1, ..all.clone() }).pop() {
        after = Some(refund.cursor);
        pages.push(refund);
    }
    assert_eq!(pages, found);
    let unmatched = ask(RefundsQuestion { unmatched: true, ..all });
    assert_eq!(unmatched.iter().map(|refund| refund.order.as_str()).collect::<Vec<_>>(), ["a stranger's"]);
}

/// A copy of the state of an engine that has let something go does not have it, and says so.
#[test]
fn a_copy_knows_that_it_lacks_what_had_left() {
    let history = history();
    let mut filled = Filled::new();
    filled.model.begin_copy().unwrap();
    for slot in history.world.slots() {
        filled.model.copy_slot(slot, LIFE).unwrap();
    }
    filled.model.end_copy(&cursor(1)).unwrap();
    let (order, txn) = (history.names.order(0).name(), history.names.txn(0));
    let lost = Found::Nothing { refund: None, history_lost: true };
    assert_eq!(look_up(&mut filled, &order, &txn), lost);
    // One that was filled anew from everything has it again.
    let mut whole = Filled::of(&history.world.log);
    assert!(matches!(look_up(&mut whole, &order, &txn), Found::Order { refund: Some(_), .. }));
}
