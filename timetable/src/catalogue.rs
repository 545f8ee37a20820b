//! The catalogue of a feed: trains with their trips, trips with their calls, and the trips that call at each station.
//! It is not expanded by date, which would take hundreds of times the memory: a trip runs on the days of its service.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::calendar::Services;
use crate::days::{DateWindow, DaySet, date_of};
use crate::error::LoadError;
use crate::folded::folded_train;
use crate::formations::{Formation, Formations};
use crate::report::{Kind, Report};
use crate::source::Source;
use crate::station::{StationId, Stations};
use crate::stop_times::{Call, Calls};
use crate::stops::Stops;
use crate::time::Zone;
use crate::trips::{TripRow, Trips, check_train, read_frequencies, read_routes, read_zone};

#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) zone: Zone,
    pub(crate) stations: Stations,
    pub(crate) formations: Vec<Formation>,
    services: Vec<DaySet>,
    /// By number.
    trains: Vec<Train>,
    by_number: HashMap<Arc<str>, u32>,
    /// The first train, by number, of those whose numbers are the same but for their spelling.
    by_folded_number: HashMap<String, u32>,
    /// By train; those of one train in the order of the file, no two of them on the same day.
    trips: Vec<Trip>,
    calls: Vec<Call>,
    visits: Visits,
    pub(crate) bounds: Option<Bounds>,
}

#[derive(Debug)]
struct Train {
    number: Arc<str>,
    trips: Range<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Trip {
    train: u32,
    service: u32,
    formation: u32,
    calls: Range<u32>,
}

/// The stretch of time that the feed is about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The first and the last day on which a trip runs.
    pub(crate) first_day: i32,
    pub(crate) last_day: i32,
    /// The latest departure or arrival of a trip, in seconds from the start of its date.
    pub(crate) latest: i32,
}

/// The trips that call at each station.
#[derive(Debug)]
struct Visits {
    /// The trip of each visit, those of one station in the order of trips.
    trips: Vec<u32>,
    /// Index of each station's first visit; one more for the end.
    starts: Vec<u32>,
}

impl Catalogue {
    pub(crate) fn read(
        source: &mut Source,
        formations: Formations,
        report: &mut Report,
    ) -> Result<Catalogue, LoadError> {
        let zone = read_zone(source, report)?;
        let stops = Stops::read(source, report)?;
        let routes = read_routes(source, report)?;
        let services = Services::read(source, report)?;
        let by_frequency = read_frequencies(source, report)?;
        let mut trips = Trips::read(source, &routes, &services, &by_frequency, report)?;
        drop((routes, by_frequency));
        let calls = Calls::read(source, &trips, &stops, report)?;
        let file = source.shown("trips.txt");
        let order = name_trains(&mut trips.rows, &calls, &services.days, &file, report)?;
        let built = build_trains(&trips.rows, order, &calls, &formations);
        let visits = Visits::new(&built.trips, &calls.calls, stops.stations.len());
        let bounds = bounds(&built.trips, &services.days, &calls.calls);
        let by_number = built
            .trains
            .iter()
            .enumerate()
            .map(|(index, train)| (train.number.clone(), index as u32))
            .collect();
        let mut by_folded_number = HashMap::with_capacity(built.trains.len());
        for (index, train) in built.trains.iter().enumerate() {
            by_folded_number.entry(folded_train(&train.number)).or_insert(index as u32);
        }
        Ok(Catalogue {
            zone,
            stations: stops.stations,
            formations: formations.into_kinds(),
            services: services.days,
            trains: built.trains,
            by_number,
            by_folded_number,
            trips: built.trips,
            calls: calls.calls,
            visits,
            bounds,
        })
    }

    pub(crate) fn has_train(&self, train: &str) -> bool {
        self.by_number.contains_key(train)
    }

    /// The number of a train that is the same but for its spelling.
    pub(crate) fn train_like(&self, key: &str) -> Option<&str> {
        let index = *self.by_folded_number.get(&folded_train(key))?;
        Some(&self.trains[index as usize].number)
    }

    /// The trip of a train that runs on a day.
    pub(crate) fn find(&self, train: &str, day: i32) -> Option<u32> {
        let index = *self.by_number.get(train)?;
        self.trains[index as usize].trips.clone().find(|trip| self.runs(*trip, day))
    }

    pub(crate) fn runs(&self, trip: u32, day: i32) -> bool {
        self.services[self.trip(trip).service as usize].has(day)
    }

    pub(crate) fn number(&self, trip: u32) -> &str {
        &self.trains[self.trip(trip).train as usize].number
    }

    pub(crate) fn formation(&self, trip: u32) -> &Formation {
        &self.formations[self.trip(trip).formation as usize]
    }

    /// The calls of a trip, two or more.
    pub(crate) fn calls(&self, trip: u32) -> &[Call] {
        let Range { start, end } = self.trip(trip).calls;
        &self.calls[start as usize..end as usize]
    }

    /// The trips that call at a station, in order, each as often as it calls there.
    pub(crate) fn trips_at(&self, station: StationId) -> &[u32] {
        let station = station.0 as usize;
        &self.visits.trips[self.visits.starts[station] as usize..self.visits.starts[station + 1] as usize]
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = (&str, usize)> {
        let mut trips = vec![0; self.formations.len()];
        self.trips.iter().for_each(|trip| trips[trip.formation as usize] += 1);
        self.formations
            .iter()
            .zip(trips)
            .filter(|(_, trips)| *trips > 0)
            .map(|(kind, trips)| (&*kind.name, trips))
    }

    pub(crate) fn train_count(&self) -> usize {
        self.trains.len()
    }

    pub(crate) fn trip_count(&self) -> usize {
        self.trips.len()
    }

    /// The number of runs in a window, and the first and the last day that has one.
    pub(crate) fn count_runs(&self, window: DateWindow) -> (u64, Option<(i32, i32)>) {
        let mut trips = vec![0u64; self.services.len()];
        for trip in &self.trips {
            trips[trip.service as usize] += 1;
        }
        let mut runs = 0;
        let mut days: Option<(i32, i32)> = None;
        for (service, trips) in self.services.iter().zip(trips).filter(|(_, trips)| *trips > 0) {
            runs += service.within(window).count() as u64 * trips;
            for day in service.within(window).next().into_iter().chain(service.within(window).next_back()) {
                days = Some(days.map_or((day, day), |(first, last)| (first.min(day), last.max(day))));
            }
        }
        (runs, days)
    }

    fn trip(&self, trip: u32) -> &Trip {
        &self.trips[trip as usize]
    }
}

struct Built {
    trains: Vec<Train>,
    trips: Vec<Trip>,
}

fn build_trains(rows: &[TripRow], order: Vec<usize>, calls: &Calls, formations: &Formations) -> Built {
    let mut built = Built { trains: Vec::new(), trips: Vec::with_capacity(order.len()) };
    for same in order.chunk_by(|a, b| rows[*a].train == rows[*b].train) {
        let train = built.trains.len() as u32;
        let first_trip = built.trips.len() as u32;
        built.trips.extend(same.iter().map(|index| {
            let row = &rows[*index];
            Trip {
                train,
                service: row.service,
                formation: formations.kind_of(&row.number, row.route_type),
                calls: calls.of(*index),
            }
        }));
        let number = rows[same[0]].train.as_str().into();
        built.trains.push(Train { number, trips: first_trip..built.trips.len() as u32 });
    }
    built
}

/// The trips that have calls, by number. Train and date name a run, so of two trips of one number on one day the later in the file goes by
/// its id.
fn name_trains(
    rows: &mut [TripRow],
    calls: &Calls,
    services: &[DaySet],
    file: &str,
    report: &mut Report,
) -> Result<Vec<usize>, LoadError> {
    let mut order: Vec<usize> = (0..rows.len()).filter(|trip| !calls.of(*trip).is_empty()).collect();
    // An id may be the number of another train, which then goes by its own id: as ids are each there once, this comes to an end.
    loop {
        order.sort_by(|a, b| rows[*a].train.cmp(&rows[*b].train).then(a.cmp(b)));
        let mut renamed: Vec<usize> = Vec::new();
        for same in order.chunk_by(|a, b| rows[*a].train == rows[*b].train) {
            renamed.extend(second_of_a_day(same, rows, services, file, report)?);
        }
        if renamed.is_empty() {
            return Ok(order);
        }
        for trip in renamed {
            let row = &mut rows[trip];
            if let Err(what) = check_train(&row.id) {
                report.note(Kind::NoNumber, || LoadError::at(file, row.line, what))?;
                order.retain(|kept| *kept != trip);
            }
            row.train.clone_from(&row.id);
        }
    }
}

/// Of the trips of one number those that have to go by their ids.
fn second_of_a_day(
    same: &[usize],
    rows: &[TripRow],
    services: &[DaySet],
    file: &str,
    report: &mut Report,
) -> Result<Vec<usize>, LoadError> {
    let mut renamed = Vec::new();
    if same.len() == 1 {
        return Ok(renamed);
    }
    let mut taken: HashMap<i32, usize> = HashMap::new();
    for &index in same {
        let row = &rows[index];
        let days = || services[row.service as usize].iter();
        if let Some((day, before)) = days().find_map(|day| Some((day, *taken.get(&day)?))) {
            let mut note = || {
                report.note(Kind::NumberTaken, || {
                    let (train, line) = (&row.train, rows[before].line);
                    let what = format!("train {train} runs on {} already, by line {line}", date_of(day));
                    LoadError::at(file, row.line, what)
                })
            };
            if row.train != row.id {
                note()?;
                renamed.push(index);
                continue;
            }
            // It goes by its id already: whoever has its number on one of its days goes by his from here on.
            for other in same.iter().copied().filter(|other| rows[*other].train != rows[*other].id) {
                let of_other = &services[rows[other].service as usize];
                let shares = days().any(|day| of_other.has(day));
                if shares && !renamed.contains(&other) {
                    note()?;
                    renamed.push(other);
                }
            }
            return Ok(renamed);
        }
        taken.extend(days().map(|day| (day, index)));
    }
    Ok(renamed)
}

fn bounds(trips: &[Trip], services: &[DaySet], calls: &[Call]) -> Option<Bounds> {
    let of_trips = trips.iter().flat_map(|trip| &calls[trip.calls.start as usize..trip.calls.end as usize]);
    let latest = of_trips.map(|call| call.departs).max()?;
    let mut used: Vec<u32> = trips.iter().map(|trip| trip.service).collect();
    used.sort_unstable();
    used.dedup();
    let days = used.into_iter().flat_map(|service| {
        let mut days = services[service as usize].within(DateWindow::WHOLE);
        let first = days.next();
        first.into_iter().chain(days.next_back())
    });
    let (first_day, last_day) = days.map(|day| (day, day)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
    Some(Bounds { first_day, last_day, latest })
}

impl Visits {
    fn new(trips: &[Trip], calls: &[Call], stations: usize) -> Visits {
        let mut starts = vec![0u32; stations + 1];
        // A trip that nothing can name has calls, and is no trip.
        let of = |trip: &Trip| &calls[trip.calls.start as usize..trip.calls.end as usize];
        for call in trips.iter().flat_map(of) {
            starts[call.station.0 as usize + 1] += 1;
        }
        for station in 0..stations {
            starts[station + 1] += starts[station];
        }
        let mut next = starts.clone();
        let mut visiting = vec![0u32; starts[stations] as usize];
        for (trip, calls) in (0..).zip(trips.iter().map(of)) {
            for call in calls {
                let place = &mut next[call.station.0 as usize];
                visiting[*place as usize] = trip;
                *place += 1;
            }
        }
        Visits { trips: visiting, starts }
    }
}
