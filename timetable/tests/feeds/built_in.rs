//! The project's own feed: what is in it for trying things out, and that it is on sale on every day.

use proptest::prelude::*;
use timetable::{Date, DateWindow, Timetable};

use crate::feed::stops;

const TRAINS: [&str; 13] = [
    "G1",
    "G2",
    "G7",
    "G8",
    "G31",
    "G32",
    "G1201/G1204",
    "G1203/G1202",
    "D301",
    "D302",
    "C801/C804",
    "C901",
    "EXTRA-1",
];

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn what_is_in_it() {
    let timetable = Timetable::built_in(DateWindow::new(date("2026-11-22"), 15));
    let summary = timetable.summary();
    assert_eq!((summary.stations, summary.trains, summary.trips), (12, TRAINS.len(), TRAINS.len()));
    assert_eq!(summary.runs, 15 * TRAINS.len() as u64);
    assert!(TRAINS.iter().all(|train| timetable.has_train(train)));
    // The key that old clients use by default stays ad hoc.
    assert!(!timetable.has_train("G123"));
    let mut listed: Vec<&str> = timetable.runs(date("2026-11-23")).map(|run| run.train()).collect();
    assert!(listed.is_sorted());
    listed.sort_by_key(|train| TRAINS.iter().position(|known| known == train));
    assert_eq!(listed, TRAINS);
    assert_eq!(timetable.runs(date("2026-11-21")).count(), 0, "not on sale");
    let kinds = |train| timetable.run(train, date("2026-11-23")).unwrap().kind().to_owned();
    assert_eq!(["G1", "D301", "C901"].map(kinds), ["16-car", "8-car", "4-car"]);
    let mut stops = timetable.runs(date("2026-11-23")).flat_map(|run| run.stops());
    assert!(stops.all(|stop| stop.board && stop.alight), "it forbids nothing");
}

#[test]
fn a_night_train_arrives_on_the_next_day() {
    let timetable = Timetable::built_in(DateWindow::new(date("2026-12-31"), 1));
    let run = timetable.run("D301", date("2026-12-31")).unwrap();
    let stops: Vec<_> = run.stops().collect();
    assert_eq!(stops.first().unwrap().departs_at.date(), date("2026-12-31"));
    assert_eq!(stops.last().unwrap().arrives_at.date(), date("2027-01-01"));
}

#[test]
fn the_ring_calls_twice_and_one_stop_has_no_times() {
    let timetable = Timetable::built_in(DateWindow::WHOLE);
    let codes: Vec<String> =
        stops(&timetable, "C801/C804", "2026-11-22").iter().map(|stop| stop[..3].to_owned()).collect();
    assert_eq!(codes.iter().filter(|code| *code == "SHH").count(), 2);
    let station = |code| timetable.find_station(code).unwrap();
    let spans = |from, to| {
        let found = timetable.journeys(station(from), station(to), date("2026-11-22"));
        let ring = found.iter().find(|journey| journey.run.train() == "C801/C804");
        ring.map(|journey| (journey.from_index, journey.to_index))
    };
    assert_eq!(spans("SZN", "SHH"), Some((6, 7)));
    assert_eq!(spans("SHH", "SZN"), Some((1, 6)));
    assert_eq!(spans("HZE", "SHH"), Some((3, 7)));
    let c901 = stops(&timetable, "C901", "2026-11-22");
    assert!(c901.iter().all(|stop| stop.contains("2026-11-22T")), "{c901:?}");
}

proptest! {
    #[test]
    fn every_train_is_on_sale_whichever_day_it_is_started(day in 0i64..29_100, sale in 1u32..40) {
        let today = date("2020-01-02").checked_add(jiff::Span::new().days(day)).unwrap();
        let timetable = Timetable::built_in(DateWindow::selling(today, sale));
        prop_assert_eq!(timetable.summary().runs, TRAINS.len() as u64 * u64::from(sale + 1));
        prop_assert_eq!(timetable.dates().map(|(first, _)| first), today.yesterday().ok());
        for train in TRAINS {
            let run = timetable.run(train, today);
            prop_assert!(run.is_some());
            let run = run.unwrap();
            prop_assert!(run.stops().next().is_some_and(|stop| stop.departs_at.unix_ms() < run.ends_ms()));
            prop_assert!(run.classes().iter().all(|class| class.layout.validate().is_ok()));
        }
        let station = |code| timetable.find_station(code).unwrap();
        prop_assert!(timetable.journeys(station("BJS"), station("SHH"), today).len() >= 4);
    }
}
