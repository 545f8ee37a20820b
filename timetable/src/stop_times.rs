//! `stop_times.txt`: the calls of each trip, in order, with their times.

use std::ops::Range;

use crate::error::LoadError;
use crate::limits::{STOP_TIMES_MAX, STOPS_PER_RUN_MAX, STOPS_PER_RUN_MIN};
use crate::report::{Kind, Report};
use crate::source::Source;
use crate::station::StationId;
use crate::stops::Stops;
use crate::table::{Column, Row, Table};
use crate::time::parse_time;
use crate::trips::Trips;

/// One call of a trip. Times are seconds from the start of the run's date.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Call {
    pub(crate) station: StationId,
    pub(crate) arrives: i32,
    pub(crate) departs: i32,
    pub(crate) board: bool,
    pub(crate) alight: bool,
}

// A national feed has hundreds of thousands of calls.
const _: () = assert!(size_of::<Call>() == 16);

/// The calls of all trips, those of one trip together.
pub(crate) struct Calls {
    pub(crate) calls: Vec<Call>,
    /// Index of each trip's first call, by the trip's index; one more for the end.
    starts: Vec<u32>,
}

struct CallRow {
    trip: u32,
    sequence: u32,
    line: u32,
    /// `None`: no train calls there. It counts for the times of the others.
    station: Option<StationId>,
    arrives: Option<i32>,
    departs: Option<i32>,
    board: bool,
    alight: bool,
}

struct Columns {
    trip: Column,
    stop: Column,
    sequence: Column,
    arrives: Column,
    departs: Column,
    pickup: Option<Column>,
    drop_off: Option<Column>,
    /// Those of a stop on demand, which has no stop.
    flex: [Option<Column>; 3],
}

impl Calls {
    /// Reads `stop_times.txt`. A trip that is left out has no calls.
    pub(crate) fn read(
        source: &mut Source,
        trips: &Trips,
        stops: &Stops,
        report: &mut Report,
    ) -> Result<Calls, LoadError> {
        let trips_file = source.shown("trips.txt");
        let file = source.shown("stop_times.txt");
        let RowsRead { mut rows, is_out } = read_rows(source, trips, stops, report)?;
        rows.sort_by_key(|row| (row.trip, row.sequence, row.line));
        let mut calls = Vec::with_capacity(rows.len());
        let mut starts = Vec::with_capacity(trips.rows.len() + 1);
        let mut rest = rows.as_mut_slice();
        for (trip, trip_row) in trips.rows.iter().enumerate() {
            let here = rest.partition_point(|row| row.trip == trip as u32);
            let (rows, after) = rest.split_at_mut(here);
            rest = after;
            starts.push(calls.len() as u32);
            if is_out[trip] {
                continue;
            }
            if rows.len() < STOPS_PER_RUN_MIN {
                let what = format!("train {} has {} stops: no run", trip_row.train, rows.len());
                report.note(Kind::TooFewStops, || LoadError::at(&trips_file, trip_row.line, what))?;
            } else if let Err(why) = check_count(rows, &file) {
                report.note(Kind::TooManyStops, || why)?;
            } else if let Err(why) = check_order(rows, &file).and_then(|()| fill_times(rows, &file)) {
                report.note(Kind::WrongTimes, || why)?;
            } else {
                calls.extend(rows.iter().filter_map(CallRow::timed));
                let count = calls.len() - starts[trip] as usize;
                if count < STOPS_PER_RUN_MIN {
                    calls.truncate(starts[trip] as usize);
                    let what = format!("train {} has {count} stops: no run", trip_row.train);
                    report.note(Kind::TooFewStops, || LoadError::at(&trips_file, trip_row.line, what))?;
                }
            }
        }
        assert!(rest.is_empty(), "stop times of trips that are not there");
        starts.push(calls.len() as u32);
        Ok(Calls { calls, starts })
    }

    /// The calls of a trip, as a range of all of them; empty where it is left out.
    pub(crate) fn of(&self, trip: usize) -> Range<u32> {
        self.starts[trip]..self.starts[trip + 1]
    }
}

struct RowsRead {
    rows: Vec<CallRow>,
    /// By trip: one of its rows cannot be read, so that it is left out.
    is_out: Vec<bool>,
}

fn read_rows(
    source: &mut Source,
    trips: &Trips,
    stops: &Stops,
    report: &mut Report,
) -> Result<RowsRead, LoadError> {
    let mut table = Table::required(source, "stop_times.txt", report)?.whole();
    let columns = Columns {
        trip: table.required_column("trip_id")?,
        stop: table.required_column("stop_id")?,
        sequence: table.required_column("stop_sequence")?,
        arrives: table.required_column("arrival_time")?,
        departs: table.required_column("departure_time")?,
        pickup: table.column("pickup_type"),
        drop_off: table.column("drop_off_type"),
        flex: ["location_group_id", "location_id", "start_pickup_drop_off_window"]
            .map(|name| table.column(name)),
    };
    let mut read = RowsRead { rows: Vec::new(), is_out: vec![false; trips.rows.len()] };
    while let Some(row) = table.next(report)? {
        if read.rows.len() == STOP_TIMES_MAX {
            return Err(row.refuse(format!("more than {STOP_TIMES_MAX} stop times")));
        }
        let id = row.get(columns.trip);
        let trip = match trips.find(id) {
            Some(Some(trip)) => trip,
            Some(None) => continue,
            None => {
                report.note(Kind::UnknownTrip, || row.refuse(format!("unknown trip {id}")))?;
                continue;
            }
        };
        let stop = row.get(columns.stop);
        if stop.is_empty() && columns.flex.iter().any(|column| !row.get(*column).is_empty()) {
            report.note(Kind::FlexRow, || row.refuse("on demand, without a stop"))?;
            continue;
        }
        let station = match stops.station(stop) {
            Ok(station) => Some(station),
            Err(what) => {
                report.note(Kind::UnknownStop, || row.refuse(what))?;
                None
            }
        };
        match read_row(row, &columns, trip, station, report) {
            Ok(call) => read.rows.push(call),
            Err(why) if report.is_strict() => return Err(why),
            Err(why) => {
                if !std::mem::replace(&mut read.is_out[trip as usize], true) {
                    report.note(Kind::WrongTimes, || why)?;
                }
            }
        }
    }
    Ok(read)
}

fn read_row(
    row: Row<'_>,
    columns: &Columns,
    trip: u32,
    station: Option<StationId>,
    report: &mut Report,
) -> Result<CallRow, LoadError> {
    let sequence = row.get(columns.sequence);
    let sequence =
        sequence.parse().map_err(|_| row.refuse(format!("stop_sequence {sequence:?} is no number")))?;
    let arrives = read_time(row, columns.arrives, "arrival_time")?;
    let departs = read_time(row, columns.departs, "departure_time")?;
    Ok(CallRow {
        trip,
        sequence,
        line: u32::try_from(row.line()).map_err(|_| row.refuse("more lines than can be counted"))?,
        station,
        // Where one of the two is left out, the train does not wait.
        arrives: arrives.or(departs),
        departs: departs.or(arrives),
        board: is_allowed(row, columns.pickup, "pickup_type", report)?,
        alight: is_allowed(row, columns.drop_off, "drop_off_type", report)?,
    })
}

fn read_time(row: Row<'_>, column: Column, name: &str) -> Result<Option<i32>, LoadError> {
    match row.get(column) {
        "" => Ok(None),
        text => match parse_time(text) {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(row.refuse(format!("{name} {text:?} is no time (HH:MM:SS)"))),
        },
    }
}

/// A `pickup_type` or `drop_off_type`. Only 1 forbids; 2 and 3 allow by arrangement with the railway or the driver
/// (<https://gtfs.org/documentation/schedule/reference/#stop_timestxt>). What is none of them allows nothing.
fn is_allowed(
    row: Row<'_>,
    column: Option<Column>,
    name: &str,
    report: &mut Report,
) -> Result<bool, LoadError> {
    match row.get(column) {
        "" | "0" | "2" | "3" => Ok(true),
        "1" => Ok(false),
        other => {
            report.note(Kind::BoardingType, || row.refuse(format!("{name} {other:?} is none of 0 to 3")))?;
            Ok(false)
        }
    }
}

/// The rows of one trip: no sequence number twice.
fn check_order(rows: &[CallRow], file: &str) -> Result<(), LoadError> {
    for pair in rows.windows(2) {
        if pair[0].sequence == pair[1].sequence {
            let what = format!(
                "stop_sequence {} of this trip is there already, in line {}",
                pair[1].sequence, pair[0].line
            );
            return Err(LoadError::at(file, pair[1].line.into(), what));
        }
    }
    Ok(())
}

/// Not more stops than the engine has segments for.
fn check_count(rows: &[CallRow], file: &str) -> Result<(), LoadError> {
    match rows.get(STOPS_PER_RUN_MAX) {
        Some(row) => {
            Err(LoadError::at(file, row.line.into(), format!("a run of more than {STOPS_PER_RUN_MAX} stops")))
        }
        None => Ok(()),
    }
}

/// Checks that time goes forward along the rows of one trip, and fills in the times that are left out: evenly between
/// the timed stops on either side, as GTFS has it, in whole seconds, without a wait.
fn fill_times(rows: &mut [CallRow], file: &str) -> Result<(), LoadError> {
    for row in [&rows[0], &rows[rows.len() - 1]] {
        if row.arrives.is_none() {
            return Err(LoadError::at(
                file,
                row.line.into(),
                "the first and the last stop of a trip need times",
            ));
        }
    }
    let mut timed: Option<(usize, i32)> = None;
    for index in 0..rows.len() {
        let (Some(arrives), Some(departs)) = (rows[index].arrives, rows[index].departs) else { continue };
        let refuse = |what: &str| LoadError::at(file, rows[index].line.into(), what);
        if departs < arrives {
            return Err(refuse("departs before it arrives"));
        }
        if let Some((before, departed)) = timed {
            if arrives < departed {
                let what = format!("arrives before it has left the stop before (line {})", rows[before].line);
                return Err(refuse(&what));
            }
            let gaps = (index - before) as i64;
            for (step, row) in rows[before + 1..index].iter_mut().enumerate() {
                let passed = i64::from(arrives - departed) * (step as i64 + 1) / gaps;
                let time = departed + passed as i32;
                (row.arrives, row.departs) = (Some(time), Some(time));
            }
        }
        timed = Some((index, departs));
    }
    Ok(())
}

impl CallRow {
    fn timed(&self) -> Option<Call> {
        Some(Call {
            station: self.station?,
            arrives: self.arrives.expect("filled in"),
            departs: self.departs.expect("filled in"),
            board: self.board,
            alight: self.alight,
        })
    }
}
