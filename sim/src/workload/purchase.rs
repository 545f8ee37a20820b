//! Purchase seats; sometimes under a key that is there, and sometimes that with other contents.

use engine::command::{Command, Purchase};
use engine::ids::Cents;

use super::book::{self, Book, KnownOrder};
use crate::rng::Rng;

pub(super) fn next(book: &mut Book, rng: &mut Rng) -> Command {
    if rng.percent(25) {
        book.new_order(rng);
    }
    let old = if rng.percent(8) { book.old(rng).filter(|old| old.is_purchase) } else { None };
    let order = old.unwrap_or_else(|| book.next_to_make(true, rng));
    of(&order, book, rng)
}

pub(super) fn of(order: &KnownOrder, book: &mut Book, rng: &mut Rng) -> Command {
    let mut purchase = Purchase {
        key: order.key.clone(),
        amount: order.amount,
        partition: order.partition.key.clone(),
        quantity: order.quantity,
        span: order.span,
        ad_hoc: order.partition.ad_hoc,
        ttl_ms: *rng.pick(&[None, None, None, Some(1_000), Some(5_000)]),
        entropy: rng.wide(),
    };
    match rng.below(40) {
        0 => purchase.quantity += 1,
        1 => purchase.span = book::span(rng),
        // Another class of the run perhaps.
        2 | 3 => purchase.partition = book.place(rng).key,
        4 => purchase.amount = Cents(1),
        5 => purchase.ttl_ms = Some(*rng.pick(&[0, 3_600_000])),
        _ => {}
    }
    Command::Purchase(purchase)
}
