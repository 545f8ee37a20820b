//! Reserve seats for an order: under its own hold, or by taking over a client's.

use engine::command::{Command, Reserve, SeatRequest};

use super::book::{self, Book, KnownOrder};
use crate::rng::Rng;

pub(super) fn next(book: &mut Book, rng: &mut Rng) -> Option<Command> {
    let order = book.created(rng)?;
    of(&order, book, rng)
}

pub(super) fn of(order: &KnownOrder, book: &mut Book, rng: &mut Rng) -> Option<Command> {
    let id = order.id?;
    let mut seats = SeatRequest {
        partition: order.partition.key.clone(),
        hold: order.adopts.clone().unwrap_or_else(|| id.hold_id()),
        quantity: order.quantity,
        span: order.span,
        ad_hoc: order.partition.ad_hoc,
    };
    // A hold that a client has: taken over with what it is made of.
    let held = book.made.iter().rev().find_map(|command| match command {
        Command::TryHold(held) => Some(held.clone()),
        _ => None,
    });
    if let Some(held) = held.filter(|_| order.adopts.is_some() && rng.percent(80)) {
        seats = held;
    }
    match rng.below(30) {
        0 => seats.quantity += 1,
        1 => seats.span = book::span(rng),
        2 => seats.hold = book.hold(rng),
        // Another order's.
        3 => seats.hold = book.created(rng)?.id?.hold_id(),
        4 => seats.partition = book.place(rng).key,
        _ => {}
    }
    Some(Command::Reserve(Reserve { order: id, seats }))
}
