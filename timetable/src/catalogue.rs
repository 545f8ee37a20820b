//! The catalogue of a feed: trains with their trips, trips with their calls, and the trips that call at each station.
//! It is not expanded by date, which would take hundreds of times the memory: a trip runs on the days of its service.

use std::ops::Range;
use std::sync::Arc;

use hashbrown::{HashMap, HashSet};

use crate::calendar::Services;
use crate::days::{DateWindow, DaySet, date_of};
use crate::error::LoadError;
use crate::folded::folded_train;
use crate::formations::{Formation, Formations};
use crate::source::Source;
use crate::station::{StationId, Stations};
use crate::stop_times::{Call, Calls};
use crate::stops::Stops;
use crate::time::Zone;
use crate::trips::{TripRow, Trips, read_routes, read_zone, refuse_frequencies};

#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) zone: Zone,
    pub(crate) stations: Stations,
    pub(crate) formations: Vec<Formation>,
    services: Vec<DaySet>,
    /// By number.
    trains: Vec<Train>,
    by_number: HashMap<Arc<str>, u32>,
    folded_numbers: HashSet<String>,
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
    pub(crate) fn read(source: &mut Source, formations: Formations) -> Result<Catalogue, LoadError> {
        let zone = read_zone(source)?;
        let stops = Stops::read(source)?;
        let routes = read_routes(source)?;
        let services = Services::read(source)?;
        let trips = Trips::read(source, &routes, &services)?;
        drop(routes);
        refuse_frequencies(source)?;
        let calls = Calls::read(source, &trips, &stops)?;
        let file = source.shown("trips.txt");
        let built = build_trains(&trips.rows, &calls, &services.days, &formations, &file)?;
        let visits = Visits::new(&built.trips, &calls.calls, stops.stations.len());
        let bounds = bounds(&built.trips, &services.days, &calls.calls);
        let by_number = built
            .trains
            .iter()
            .enumerate()
            .map(|(index, train)| (train.number.clone(), index as u32))
            .collect();
        let folded_numbers = built.trains.iter().map(|train| folded_train(&train.number)).collect();
        Ok(Catalogue {
            zone,
            stations: stops.stations,
            formations: formations.into_kinds(),
            services: services.days,
            trains: built.trains,
            by_number,
            folded_numbers,
            trips: built.trips,
            calls: calls.calls,
            visits,
            bounds,
        })
    }

    pub(crate) fn has_train(&self, train: &str) -> bool {
        self.by_number.contains_key(train)
    }

    pub(crate) fn has_train_like(&self, key: &str) -> bool {
        self.folded_numbers.contains(&folded_train(key))
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

fn build_trains(
    rows: &[TripRow],
    calls: &Calls,
    services: &[DaySet],
    formations: &Formations,
    file: &str,
) -> Result<Built, LoadError> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|a, b| rows[*a].train.cmp(&rows[*b].train).then(a.cmp(b)));
    let mut built = Built { trains: Vec::new(), trips: Vec::with_capacity(rows.len()) };
    for same in order.chunk_by(|a, b| rows[*a].train == rows[*b].train) {
        check_one_a_day(same, rows, services, file)?;
        let train = built.trains.len() as u32;
        let first_trip = built.trips.len() as u32;
        built.trips.extend(same.iter().map(|index| {
            let row = &rows[*index];
            Trip {
                train,
                service: row.service,
                formation: formations.kind_of(&row.train, row.route_type),
                calls: calls.starts[*index]..calls.starts[*index + 1],
            }
        }));
        let number = rows[same[0]].train.as_str().into();
        built.trains.push(Train { number, trips: first_trip..built.trips.len() as u32 });
    }
    Ok(built)
}

/// Train and date name a run, so no two trips of the same number may run on the same day.
fn check_one_a_day(
    same: &[usize],
    rows: &[TripRow],
    services: &[DaySet],
    file: &str,
) -> Result<(), LoadError> {
    if same.len() == 1 {
        return Ok(());
    }
    let mut taken: HashMap<i32, usize> = HashMap::new();
    for &index in same {
        let row = &rows[index];
        for day in services[row.service as usize].iter() {
            if let Some(before) = taken.insert(day, index) {
                let what = format!(
                    "train {} runs on {} already, by line {}",
                    row.train,
                    date_of(day),
                    rows[before].line
                );
                return Err(LoadError::at(file, row.line, what));
            }
        }
    }
    Ok(())
}

fn bounds(trips: &[Trip], services: &[DaySet], calls: &[Call]) -> Option<Bounds> {
    let latest = calls.iter().map(|call| call.departs).max()?;
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
        for call in calls {
            starts[call.station.0 as usize + 1] += 1;
        }
        for station in 0..stations {
            starts[station + 1] += starts[station];
        }
        let mut next = starts.clone();
        let mut visiting = vec![0u32; calls.len()];
        for (trip, Trip { calls: range, .. }) in (0..).zip(trips) {
            for call in &calls[range.start as usize..range.end as usize] {
                let place = &mut next[call.station.0 as usize];
                visiting[*place as usize] = trip;
                *place += 1;
            }
        }
        Visits { trips: visiting, starts }
    }
}
