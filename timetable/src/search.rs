//! Journeys from one station to another on a date.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::catalogue::Catalogue;
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

/// The stops between which a run takes a passenger: of all pairs `i < j` where the passenger may board at `i` and leave at `j`, the
/// largest `i`, then the smallest `j`. Each stop says whether it is the station to board at and may be boarded, and whether it is the
/// station to leave at and may be left.
///
/// The one rule for runs that call at a station twice, whether or not anything of them is sold.
pub fn journey_stops(stops: impl IntoIterator<Item = (bool, bool)>) -> Option<(u16, u16)> {
    let mut found = None;
    let mut boarding = None;
    for (index, (boards, alights)) in (0..).zip(stops) {
        if alights {
            // The first arrival after this boarding: no later one belongs to it.
            found = boarding.take().map(|from| (from, index)).or(found);
        }
        if boards {
            boarding = Some(index);
        }
    }
    found
}

/// Calls back for each trip that goes from one station to the other, with the stops to board and to leave.
fn each_span(catalogue: &Catalogue, from: StationId, to: StationId, mut found: impl FnMut(u32, u16, u16)) {
    if from == to {
        return;
    }
    let mut arriving = catalogue.trips_at(to).iter().copied().peekable();
    for visits in catalogue.trips_at(from).chunk_by(|a, b| a == b) {
        let trip = visits[0];
        while arriving.next_if(|other| *other < trip).is_some() {}
        if arriving.peek() != Some(&trip) {
            continue;
        }
        let calls = catalogue.calls(trip).iter();
        let stops = calls.map(|call| (call.station == from && call.board, call.station == to && call.alight));
        if let Some((board, alight)) = journey_stops(stops) {
            found(trip, board, alight);
        }
    }
}
