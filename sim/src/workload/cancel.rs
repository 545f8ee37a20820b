//! Cancel an order.

use engine::command::{Cancel, Command, ExpectedHold};

use super::book::{Book, KnownOrder};
use crate::rng::Rng;

pub(super) fn next(book: &mut Book, rng: &mut Rng) -> Option<Command> {
    let order = book.created(rng)?;
    of(&order, rng)
}

pub(super) fn of(order: &KnownOrder, rng: &mut Rng) -> Option<Command> {
    let id = order.id?;
    let hold = rng.percent(15).then(|| id.hold_id());
    Some(Command::Cancel(Cancel { order: id, expected: ExpectedHold { partition: None, hold } }))
}
