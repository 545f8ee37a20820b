//! Sale closing and boarding rules: a span is sold where its ends may be boarded and left, until its boarding stop's departure.

use allocator::Span;

use super::Context;
use crate::answer::Rejection;
use crate::catalogue::RunDefinition;
use crate::ids::Time;
use crate::state::Partition;

/// Refuses a new hold of a span that is not on sale. Ad hoc partitions have no stops, and are always.
pub(super) fn check(run: Option<&RunDefinition>, cx: &Context<'_>, span: Span) -> Result<(), Rejection> {
    let Some(run) = run else { return Ok(()) };
    if !run.may_board_and_alight(span) {
        return Err(Rejection::BoardingNotAllowed);
    }
    if is_closed(run, cx, span) { Err(Rejection::SaleClosed) } else { Ok(()) }
}

/// Seats that a new hold of the span could have.
pub(super) fn available(p: &Partition, cx: &Context<'_>, span: Span) -> u32 {
    match check(p.run().map(|run| &**run), cx, span) {
        Ok(()) => p.inventory().available(span),
        Err(_) => 0,
    }
}

/// The boarding stop's departure is past by the calendar, or nearer than sales go on. A stop without a time does not close.
pub(super) fn is_closed(run: &RunDefinition, cx: &Context<'_>, span: Span) -> bool {
    run.departs_at(span).is_some_and(|departs_at| closes_at(departs_at, cx) <= cx.calendar)
}

fn closes_at(departs_at: Time, cx: &Context<'_>) -> Time {
    let earlier = cx.policy.sale_closes_ms;
    if earlier < 0 {
        departs_at.plus(earlier.unsigned_abs())
    } else {
        Time(departs_at.0.saturating_sub(earlier.unsigned_abs()))
    }
}
