//! What a drill sells: classes of runs of the built-in timetable, whose spans overlap in every way, and partitions
//! without a timetable, which are sold out soon.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::book::Place;
use crate::http::encode;
use crate::session::{list, number, text};
use crate::time::tomorrow;
use crate::{Port, Session};

/// Partitions of one segment, new ones in each cycle.
const AD_HOC_PLACES: u64 = 12;
const AD_HOC_CAPACITY: i64 = 30;
/// A run is sold by so many cycles, so that it is neither empty nor sold out for long.
const CYCLES_PER_RUN: u64 = 6;
/// Runs are looked for until there are so many.
const RUNS: usize = 12;

/// The classes of several runs.
#[derive(Debug)]
pub struct Runs(Vec<Vec<Arc<Place>>>);

impl Runs {
    pub fn find(session: &mut Session) -> Runs {
        let date = tomorrow();
        let stations = session.get(Port::Gateway, "/v1/stations?limit=100").ok();
        let codes: Vec<&str> = list(&stations, "stations").iter().map(|s| text(s, "code")).collect();
        let mut seen = BTreeSet::new();
        let mut runs = Vec::new();
        for (from, to) in codes.iter().flat_map(|from| codes.iter().map(move |to| (from, to))) {
            if from == to || runs.len() >= RUNS {
                continue;
            }
            let path = format!("/v1/trains?from={}&to={}&date={date}", encode(from), encode(to));
            let found = session.get(Port::Gateway, &path).ok();
            for train in list(&found, "trains").iter().map(|train| text(train, "train").to_owned()) {
                if seen.insert(train.clone()) {
                    runs.extend(read(session, &train, &date));
                }
            }
        }
        assert!(!runs.is_empty(), "the built-in timetable has no run of four stops on {date}");
        Runs(runs)
    }

    /// What one cycle sells.
    #[must_use]
    pub fn places(&self, cycle: u64) -> Vec<Arc<Place>> {
        let mut places = self.0[(cycle / CYCLES_PER_RUN) as usize % self.0.len()].clone();
        places.extend((0..AD_HOC_PLACES).map(|i| {
            // Half of them look like a run's, which are placed by train and date.
            let key = if i % 2 == 0 {
                format!("drill-{cycle}-{i}")
            } else {
                format!("X{cycle}-{i}|2026-02-11|2nd")
            };
            Arc::new(Place { key, capacity: AD_HOC_CAPACITY, segments: 1 })
        }));
        places
    }
}

/// The classes of a run of at least four stops.
fn read(session: &mut Session, train: &str, date: &str) -> Option<Vec<Arc<Place>>> {
    let answer = session.get(Port::Gateway, &format!("/v1/trains/{}/{date}", encode(train)));
    if answer.status == 404 {
        // It arrives on that date and left the day before.
        return None;
    }
    let run = answer.ok();
    let segments = list(&run, "stops").len() - 1;
    let place = |class: &serde_json::Value| {
        let (key, capacity) = (text(class, "partition_key").to_owned(), number(class, "capacity"));
        Arc::new(Place { key, capacity, segments })
    };
    (segments >= 3).then(|| list(&run, "classes").iter().map(place).collect())
}
