//! Hold seats without an order.

use engine::command::{Command, SeatRequest};

use super::book::{self, Book};
use crate::rng::Rng;

pub(super) fn next(book: &mut Book, rng: &mut Rng) -> Command {
    let place = book.place(rng);
    Command::TryHold(SeatRequest {
        partition: place.key,
        hold: book.hold(rng),
        quantity: *rng.pick(&[1, 1, 1, 2, 3]),
        span: book::span(rng),
        ad_hoc: place.ad_hoc,
    })
}
