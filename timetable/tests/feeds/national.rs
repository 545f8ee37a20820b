//! A national feed, read whole: 672 stations, 4,458 trips, up to 38 stops.

use std::collections::BTreeMap;

use tempfile::TempDir;
use testkit::national_feed;
use timetable::{Date, DateWindow, Summary, Timetable};

use crate::feed::stops;

/// The feed with its own dates, and where it lies.
fn load(window: DateWindow) -> (Timetable, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    national_feed::unpack(dir.path(), 0).unwrap();
    (Timetable::load_strict(dir.path(), None, window).unwrap_or_else(|error| panic!("{error}")), dir)
}

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[test]
fn it_loads_whole() {
    let (timetable, _dir) = load(DateWindow::WHOLE);
    let expected = Summary { stations: 672, trains: 4_402, trips: 4_458, runs: 231_245 };
    assert_eq!(timetable.summary(), expected);
    assert_eq!(timetable.dates(), Some((date("2027-01-30"), date("2027-03-30"))));
    let fortnight = timetable.with_window(DateWindow::new(date("2027-01-30"), 15));
    assert!((50_000..70_000).contains(&fortnight.summary().runs), "{:?}", fortnight.summary());
    assert_eq!(fortnight.runs(date("2027-02-01")).count() as u64, runs_on(&fortnight, "2027-02-01"));
    assert_eq!(timetable.stations("", None, 1_000).len(), 672);
    assert_eq!(timetable.stations("北京", None, 1_000).len(), 3);
}

fn runs_on(timetable: &Timetable, day: &str) -> u64 {
    timetable.with_window(DateWindow::new(date(day), 1)).summary().runs
}

/// Every run is what the tables say, read here in the plainest way.
#[test]
fn every_run_has_the_stops_of_its_trip() {
    let (timetable, dir) = load(DateWindow::WHOLE);
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
    };
    let mut calls: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    let times = rows(&read("stop_times.txt"));
    assert_eq!(times.len(), 34_647);
    for row in times {
        calls.entry(row[0].clone()).or_default().push(row);
    }
    let mut dates: BTreeMap<String, Vec<Date>> = BTreeMap::new();
    dates.insert("S0000".to_owned(), vec![date("2027-01-30"), date("2027-02-28"), date("2027-03-30")]);
    for row in rows(&read("calendar_dates.txt")) {
        dates.entry(row[0].clone()).or_default().push(row[1].parse().unwrap());
    }
    let clock = |time: &str, day: Date| {
        let parts: Vec<i64> = time.split(':').map(|part| part.parse().unwrap()).collect();
        let midnight = day.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).unwrap();
        midnight.timestamp().as_second() + parts[0] * 3_600 + parts[1] * 60 + parts[2]
    };
    let (mut longest, mut checked) = (0, 0);
    for row in rows(&read("trips.txt")) {
        let (service, trip, train) = (&row[1], &row[2], &row[4]);
        for day in &dates[service] {
            let run = timetable.run(train, *day).unwrap_or_else(|| panic!("{train} on {day}"));
            let stops: Vec<_> = run.stops().collect();
            longest = longest.max(stops.len());
            assert_eq!(stops.len(), calls[trip].len(), "{trip} on {day}");
            for (stop, call) in stops.iter().zip(&calls[trip]) {
                let expected = (clock(&call[1], *day), clock(&call[2], *day), call[3].as_str());
                let read = (stop.arrives_at.unix_secs(), stop.departs_at.unix_secs(), &*stop.station.code);
                assert_eq!(read, expected, "{trip} on {day}");
            }
            checked += 1;
        }
    }
    assert_eq!(longest, 38);
    assert!(checked > 10_000, "{checked}");
}

#[test]
fn trains_from_beijing_to_shanghai() {
    let (timetable, _dir) = load(DateWindow::new(date("2027-01-30"), 15));
    let (from, to) = (timetable.find_station("北京南").unwrap(), timetable.find_station("AOH").unwrap());
    let found = timetable.journeys(from, to, date("2027-02-01"));
    assert!(found.len() > 30, "{}", found.len());
    assert!(found.is_sorted_by_key(|journey| journey.departs_at));
    for journey in &found {
        let stops: Vec<_> = journey.run.stops().collect();
        assert_eq!(&*stops[usize::from(journey.from_index)].station.code, "VNP");
        assert_eq!(&*stops[usize::from(journey.to_index)].station.code, "AOH");
        assert_eq!(journey.departs_at.date(), date("2027-02-01"));
    }
}

#[test]
fn numbers_with_slashes_and_double_calls() {
    let (timetable, _dir) = load(DateWindow::WHOLE);
    let ring = stops(&timetable, "D7101/D7104", "2027-02-01");
    let mut codes: Vec<&str> = ring.iter().map(|stop| stop.split(' ').next().unwrap()).collect();
    codes.sort_unstable();
    let calls = codes.len();
    codes.dedup();
    assert_eq!(codes.len(), calls - 1);
}
