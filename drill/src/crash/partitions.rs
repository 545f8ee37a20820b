//! The partitions that a drill sells: classes of runs of the built-in timetable, whose spans overlap in every way, and ad hoc
//! partitions, which are sold out soon.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::http::encode;
use crate::session::{list, number, text};
use crate::time::{days_after, tomorrow};
use crate::{Port, Session};

/// Ad hoc partitions, new ones in each cycle.
const AD_HOC_PARTITIONS: u64 = 12;
const AD_HOC_CAPACITY: i64 = 30;
/// A run is sold by so many cycles, so that it is neither empty nor sold out for long.
const CYCLES_PER_RUN: u64 = 6;
/// Runs that are looked for.
const RUNS: usize = 12;

/// The seats of one class of one run, or ad hoc seats of one segment.
#[derive(Debug)]
pub struct Partition {
    pub key: String,
    pub capacity: i64,
    pub segments: usize,
}

impl Partition {
    #[must_use]
    pub fn ad_hoc(key: String, capacity: i64) -> Arc<Partition> {
        Arc::new(Partition { key, capacity, segments: 1 })
    }
}

/// A wish for seats of a partition on a span; `None` is the whole run.
#[derive(Clone, Debug)]
pub struct SeatRequest {
    pub partition: Arc<Partition>,
    pub qty: u64,
    pub span: Option<(usize, usize)>,
}

impl SeatRequest {
    /// One seat for the whole run.
    #[must_use]
    pub fn one(partition: &Arc<Partition>) -> SeatRequest {
        SeatRequest { partition: partition.clone(), qty: 1, span: None }
    }

    /// The span with its ends.
    #[must_use]
    pub fn ends(&self) -> (usize, usize) {
        self.span.unwrap_or((0, self.partition.segments))
    }

    /// The fields that it adds to the body of a request.
    #[must_use]
    pub fn body(&self) -> Value {
        let Partition { key, capacity, .. } = &*self.partition;
        let mut body = json!({"partition_key": key, "qty": self.qty, "capacity": capacity});
        if let Some((from, to)) = self.span {
            body["from_index"] = from.into();
            body["to_index"] = to.into();
        }
        body
    }
}

/// The classes of several runs.
#[derive(Debug)]
pub struct Runs(Vec<Vec<Arc<Partition>>>);

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
                    runs.extend(classes(session, &train, &date));
                }
            }
        }
        assert!(!runs.is_empty(), "the built-in timetable has no run of four stops on {date}");
        Runs(runs)
    }

    /// The partitions that one cycle sells.
    #[must_use]
    pub fn partitions(&self, cycle: u64) -> Vec<Arc<Partition>> {
        let mut partitions = self.0[(cycle / CYCLES_PER_RUN) as usize % self.0.len()].clone();
        partitions.extend(ad_hoc(cycle));
        partitions
    }

    /// The classes of one run: of each train tomorrow, then of each the day after, and so on.
    #[must_use]
    pub fn nth(&self, n: u64) -> Vec<Arc<Partition>> {
        let trains = self.0.len() as u64;
        let later = |partition: &Arc<Partition>| {
            let mut parts: Vec<&str> = partition.key.split('|').collect();
            let date = days_after(parts[1], (n / trains) as i64);
            parts[1] = &date;
            let (capacity, segments) = (partition.capacity, partition.segments);
            Arc::new(Partition { key: parts.join("|"), capacity, segments })
        };
        self.0[(n % trains) as usize].iter().map(later).collect()
    }
}

/// The ad hoc partitions of one cycle.
pub fn ad_hoc(cycle: u64) -> impl Iterator<Item = Arc<Partition>> {
    (0..AD_HOC_PARTITIONS).map(move |i| {
        // Half of the keys are shaped like a run's, whose slot follows from train and date.
        let key =
            if i % 2 == 0 { format!("drill-{cycle}-{i}") } else { format!("X{cycle}-{i}|2026-02-11|2nd") };
        Partition::ad_hoc(key, AD_HOC_CAPACITY)
    })
}

/// The classes of a run, if it has at least four stops.
fn classes(session: &mut Session, train: &str, date: &str) -> Option<Vec<Arc<Partition>>> {
    let answer = session.get(Port::Gateway, &format!("/v1/trains/{}/{date}", encode(train)));
    if answer.status == 404 {
        // It arrives on that date and left the day before.
        return None;
    }
    let run = answer.ok();
    let segments = list(&run, "stops").len() - 1;
    let partition = |class: &Value| {
        let (key, capacity) = (text(class, "partition_key").to_owned(), number(class, "capacity"));
        Arc::new(Partition { key, capacity, segments })
    };
    (segments >= 3).then(|| list(&run, "classes").iter().map(partition).collect())
}
