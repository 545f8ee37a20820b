//! The wall clock at the start, held against the last record: one that is far ahead would end what it should not.

use engine::decide::Policy;
use engine::ids::Time;
use engine::state::Leap;
use jiff::Timestamp;
use shard::{ClockGap, RecoveredCore};
use thiserror::Error;

use crate::clocks;

/// A clock that is further ahead of the last record is told of, where it is believed all the same.
const TOLD_MS_MIN: u64 = 7 * 86_400_000;
/// A clock that is no further behind the last record than this is as good as right.
const BEHIND_MS_MAX: u64 = 1_000;

#[derive(Debug, Error)]
#[error(
    "the clock says {wall}, and the last record is of {last_record}: to believe it would end {ends}. Nothing was changed. Set the \
     clock right; or, if it is right, start with --clock-gap-max 0"
)]
pub(crate) struct ClockTooFarAhead {
    wall: Timestamp,
    last_record: Timestamp,
    ends: String,
}

/// Looks at the clock before anything is written. A clock that is behind never refuses: engine time goes on from the last record.
///
/// # Errors
/// The clock is more than `gap_max_ms` ahead of the last record, and something would end by that.
pub(crate) fn admit(
    cores: &[RecoveredCore],
    policy: &Policy,
    gap_max_ms: Option<u64>,
) -> Result<(), Box<dyn std::error::Error>> {
    let Some(gap) = ClockGap::of(cores, policy, Time(clocks::read().wall_ms)) else { return Ok(()) };
    let (wall, last_record) = (timestamp(gap.wall), timestamp(gap.last_record));
    if gap.wall.plus(BEHIND_MS_MAX) < gap.last_record {
        tracing::warn!(
            clock = %wall,
            last_record = %last_record,
            "the clock is behind the last record: time goes on from the last record, and what goes by the calendar waits for the clock"
        );
    }
    let ahead_ms = gap.wall.0.saturating_sub(gap.last_record.0);
    if gap.ends.ends_nothing() || ahead_ms <= gap_max_ms.unwrap_or(TOLD_MS_MIN) {
        return Ok(());
    }
    let ends = ends_in_words(gap.ends);
    if gap_max_ms.is_some() {
        return Err(ClockTooFarAhead { wall, last_record, ends }.into());
    }
    tracing::warn!(
        clock = %wall,
        last_record = %last_record,
        "the clock is far ahead of the last record, and believed: this ends {ends}"
    );
    Ok(())
}

fn ends_in_words(ends: Leap) -> String {
    let parts = [
        (ends.holds, "live hold", ""),
        (ends.orders, "waiting order", ""),
        (ends.partitions, "partition", " with sold seats whose time is over"),
    ];
    let said = parts.iter().filter(|(count, ..)| *count > 0).map(|(count, what, which)| {
        let plural = if *count == 1 { "" } else { "s" };
        format!("{count} {what}{plural}{which}")
    });
    said.collect::<Vec<_>>().join(", ")
}

fn timestamp(time: Time) -> Timestamp {
    i64::try_from(time.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}
