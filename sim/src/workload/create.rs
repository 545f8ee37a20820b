//! Create an order; sometimes one that is there, and sometimes that with another amount.

use engine::command::{Command, CreateOrder};
use engine::ids::Cents;

use super::book::Book;
use crate::rng::Rng;

pub(super) fn next(book: &mut Book, rng: &mut Rng) -> Command {
    if rng.percent(25) {
        book.new_order(rng);
    }
    if rng.percent(8)
        && let Some(old) = book.old(rng).filter(|old| !old.is_purchase)
    {
        // Its key has another order once it has left.
        let (key, amount) = (old.key, old.amount);
        return Command::CreateOrder(CreateOrder { key, amount, entropy: rng.wide() });
    }
    let order = book.next_to_make(false, rng);
    let amount = if rng.percent(5) { Cents(1) } else { order.amount };
    Command::CreateOrder(CreateOrder { key: order.key, amount, entropy: rng.wide() })
}
