//! Give a hold back, or make it a sale; sometimes one that an order owns, which is refused.

use engine::command::{Command, HoldRef};

use super::book::Book;
use crate::rng::Rng;

pub(super) fn next(book: &mut Book, rng: &mut Rng) -> Command {
    let orders = rng.percent(15).then(|| book.created(rng)).flatten();
    let of_order = orders
        .and_then(|order| order.view?.reservation)
        .map(|r| HoldRef { partition: r.partition, hold: r.hold });
    let mut own = || {
        // One that was asked for lately, if there is any.
        let made = book.made.iter().filter_map(|command| match command {
            Command::TryHold(c) => Some(HoldRef { partition: c.partition.clone(), hold: c.hold.clone() }),
            _ => None,
        });
        let made: Vec<HoldRef> = made.collect();
        if made.is_empty() {
            HoldRef { partition: book.place(rng).key, hold: book.hold(rng) }
        } else {
            rng.pick(&made).clone()
        }
    };
    let hold = of_order.unwrap_or_else(&mut own);
    if rng.percent(55) { Command::ReleaseHold(hold) } else { Command::ConfirmHold(hold) }
}
