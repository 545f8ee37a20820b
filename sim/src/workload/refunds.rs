//! Refunds: listed page by page, and settled once.

use engine::command::{Command, ListRefunds, RefundCursor, RefundFilter};
use engine::ids::SlotId;
use engine::limits::SLOTS;

use super::book::{self, Book};
use crate::rng::Rng;

pub(super) fn list(rng: &mut Rng) -> Command {
    let filters = [
        None,
        None,
        Some(RefundFilter::Required),
        Some(RefundFilter::Settled),
        Some(RefundFilter::Unmatched),
    ];
    let slot = SlotId::new(rng.below(usize::from(SLOTS)) as u16);
    let after = rng.percent(20).then(|| RefundCursor { slot, number: rng.between(0, 2) });
    Command::ListRefunds(ListRefunds { status: *rng.pick(&filters), after, limit: *rng.pick(&[1, 3, 100]) })
}

pub(super) fn settle(book: &mut Book, rng: &mut Rng) -> Option<Command> {
    if book.refunds.is_empty() {
        return None;
    }
    let (order, txn) = rng.pick(book.refunds.make_contiguous()).clone();
    Some(Command::SettleRefund { order, txn, reference: book::reference(rng) })
}
