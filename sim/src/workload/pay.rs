//! A payment's callback: for an order that waits for it, for any other, and for one that nobody knows.

use engine::command::{Command, ExpectedHold, Pay};
use engine::ids::OrderName;

use super::book::{self, Book, KnownOrder};
use crate::rng::Rng;

pub(super) fn next(book: &mut Book, rng: &mut Rng) -> Option<Command> {
    if rng.percent(6) {
        let order = book.order(rng).clone();
        let name = format!("nobody-{}", order.number);
        let order_name = OrderName::parse(&name).expect("a name");
        let (txn, verified) = (book::txn(&order, rng), rng.percent(70));
        return Some(Command::Pay(Pay {
            order: order_name,
            txn,
            expected: ExpectedHold::default(),
            verified,
            looked_up: None,
        }));
    }
    if rng.percent(12)
        && let Some(old) = book.old(rng)
    {
        return of(&old, rng);
    }
    let reserved = if rng.percent(85) { book.reserved(rng) } else { None };
    let order = reserved.or_else(|| book.created(rng))?;
    of(&order, rng)
}

pub(super) fn of(order: &KnownOrder, rng: &mut Rng) -> Option<Command> {
    let id = order.id?;
    let mut expected = ExpectedHold::default();
    if rng.percent(10) {
        expected.partition = Some(order.partition.key.clone());
    }
    if rng.percent(5) {
        expected.hold = Some(id.hold_id());
    }
    Some(Command::Pay(Pay {
        order: id.name(),
        txn: book::txn(order, rng),
        expected,
        verified: true,
        looked_up: None,
    }))
}
