//! Journeys from one station to another on a date.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::catalogue::{Catalogue, Visit};
use crate::days::{DateWindow, date_of, day_of};
use crate::run::Run;
use crate::station::StationId;
use crate::time::LocalTime;

/// A run that takes a passenger from one station to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Journey<'a> {
    pub run: Run<'a>,
    /// The stops between which the passenger travels: the span `[from_index, to_index)`.
    pub from_index: u16,
    pub to_index: u16,
    pub departs_at: LocalTime,
    pub arrives_at: LocalTime,
}

const SECONDS_PER_DAY: i32 = 86_400;

/// The runs whose passengers can board at `from` on that date of the station's calendar, by departure.
pub(crate) fn journeys(
    catalogue: &Catalogue,
    window: DateWindow,
    from: StationId,
    to: StationId,
    date: Date,
) -> Vec<Journey<'_>> {
    let Some(bounds) = catalogue.bounds else { return Vec::new() };
    let day = day_of(date);
    // A run's date may lie before the date of boarding, and with the clocks an hour back, a day behind it.
    let before_max = bounds.latest / SECONDS_PER_DAY + 1;
    if day < bounds.first_day - 1 || day > bounds.last_day + before_max {
        return Vec::new();
    }
    let starts = catalogue.zone.calendar_day_start(date);
    let ends = catalogue.zone.calendar_day_start(date.saturating_add(1.day()));
    let run_days: Vec<(i32, i64)> = (day - before_max..=day + 1)
        .filter(|run_day| window.has(*run_day))
        .map(|run_day| (run_day, catalogue.zone.service_day_start(date_of(run_day))))
        .collect();

    let mut found = Vec::new();
    each_span(catalogue, from, to, |trip, from_index, to_index| {
        let calls = catalogue.calls(trip);
        let departs = i64::from(calls[usize::from(from_index)].departs);
        let arrives = i64::from(calls[usize::from(to_index)].arrives);
        for (run_day, day_start) in &run_days {
            if (starts..ends).contains(&(day_start + departs)) && catalogue.runs(trip, *run_day) {
                found.push(Journey {
                    run: Run { catalogue, trip, date: date_of(*run_day) },
                    from_index,
                    to_index,
                    departs_at: catalogue.zone.local(day_start + departs),
                    arrives_at: catalogue.zone.local(day_start + arrives),
                });
            }
        }
    });
    found.sort_by_key(|journey| (journey.departs_at, journey.arrives_at, journey.run.trip, journey.run.date));
    found
}

/// Calls back for each trip that goes from one station to the other, with the stops to board and to leave: where it
/// calls more than once, the last boarding that still gets there and the first arrival after it.
fn each_span(catalogue: &Catalogue, from: StationId, to: StationId, mut found: impl FnMut(u32, u16, u16)) {
    if from == to {
        return;
    }
    let by_trip = |station| catalogue.visits(station).chunk_by(|a, b| a.trip == b.trip);
    let mut arrivals = by_trip(to).peekable();
    for boardings in by_trip(from) {
        let trip = boardings[0].trip;
        while arrivals.next_if(|arrivals| arrivals[0].trip < trip).is_some() {}
        let Some(arrivals) = arrivals.next_if(|arrivals| arrivals[0].trip == trip) else { continue };
        let calls = catalogue.calls(trip);
        let boards = |visit: &&Visit| calls[usize::from(visit.index)].board;
        let alights = |visit: &&Visit| calls[usize::from(visit.index)].alight;
        let Some(last) = arrivals.iter().rfind(alights) else { continue };
        let Some(board) = boardings.iter().filter(boards).rfind(|board| board.index < last.index) else {
            continue;
        };
        let alight = arrivals.iter().filter(alights).find(|alight| alight.index > board.index);
        let alight = alight.expect("the last arrival is behind the boarding");
        found(trip, board.index, alight.index);
    }
}
