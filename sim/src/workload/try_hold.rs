//! Hold seats without an order, or have them sold at once.

use engine::command::{Command, SeatRequest};

use super::book::{self, Book};
use crate::rng::Rng;

pub(super) fn next(book: &mut Book, rng: &mut Rng) -> Command {
    Command::TryHold(seats(book, rng))
}

/// As the gRPC port does: sold at once. Now and then under the id of a hold that was asked for otherwise.
pub(super) fn allocate(book: &mut Book, rng: &mut Rng) -> Command {
    let held = book.made.iter().filter_map(|command| match command {
        Command::TryHold(c) | Command::Allocate(c) => Some(c.clone()),
        _ => None,
    });
    let held: Vec<SeatRequest> = held.collect();
    if !held.is_empty() && rng.percent(30) {
        let quantity = *rng.pick(&[1, 2]);
        return Command::Allocate(SeatRequest { quantity, span: book::span(rng), ..rng.pick(&held).clone() });
    }
    Command::Allocate(SeatRequest { quantity: 1, ..seats(book, rng) })
}

fn seats(book: &mut Book, rng: &mut Rng) -> SeatRequest {
    let place = book.place(rng);
    SeatRequest {
        partition: place.key,
        hold: book.hold(rng),
        quantity: *rng.pick(&[1, 1, 1, 2, 3]),
        span: book::span(rng),
        ad_hoc: place.ad_hoc,
    }
}
