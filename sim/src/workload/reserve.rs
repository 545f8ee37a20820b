//! Reserve seats for an order: under its own hold, or by taking over a client's.

use engine::command::{Command, Reserve};

use super::book::{self, Book, KnownOrder};
use crate::rng::Rng;

pub(super) fn next(book: &mut Book, rng: &mut Rng) -> Option<Command> {
    let order = book.created(rng)?;
    of(&order, book, rng)
}

pub(super) fn of(order: &KnownOrder, book: &mut Book, rng: &mut Rng) -> Option<Command> {
    let id = order.id?;
    let mut reserve = Reserve {
        order: id,
        partition: order.partition.key.clone(),
        hold: order.adopts.clone().unwrap_or_else(|| id.hold_id()),
        quantity: order.quantity,
        span: order.span,
        ad_hoc: order.partition.ad_hoc,
    };
    // A hold that a client has: taken over with what it is made of.
    let held = book.made.iter().rev().find_map(|command| match command {
        Command::TryHold(c) => Some(c.clone()),
        _ => None,
    });
    if let Some(c) = held.filter(|_| order.adopts.is_some() && rng.percent(80)) {
        let (partition, hold) = (c.partition, c.hold);
        reserve =
            Reserve { partition, hold, quantity: c.quantity, span: c.span, ad_hoc: c.ad_hoc, ..reserve };
    }
    match rng.below(30) {
        0 => reserve.quantity += 1,
        1 => reserve.span = book::span(rng),
        2 => reserve.hold = book.hold(rng),
        // Another order's.
        3 => reserve.hold = book.created(rng)?.id?.hold_id(),
        4 => reserve.partition = book.place(rng).key,
        _ => {}
    }
    Some(Command::Reserve(reserve))
}
