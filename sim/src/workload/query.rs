//! Questions: an order, what is free, a run, a ticket that should be there by now.

use engine::command::{Command, RunQuery};
use engine::text::Text;

use super::book::{self, Book};
use crate::rng::Rng;

pub(super) fn order(book: &mut Book, rng: &mut Rng) -> Option<Command> {
    let old = if rng.percent(25) { book.old(rng) } else { None };
    Some(Command::GetOrder { order: old.or_else(|| book.created(rng))?.id? })
}

pub(super) fn ticket(book: &mut Book, rng: &mut Rng) -> Option<Command> {
    Some(Command::IssueTicket { order: book.created(rng)?.id? })
}

pub(super) fn availability(book: &mut Book, rng: &mut Rng) -> Command {
    Command::Availability { partition: book.place(rng).key, span: book::span(rng) }
}

pub(super) fn run(book: &mut Book, rng: &mut Rng) -> Option<Command> {
    let key = book.place(rng).key;
    let (train, date, _) = key.parts()?;
    Some(Command::Run(RunQuery { train: Text::from(train), date: Text::from(date), span: book::span(rng) }))
}
