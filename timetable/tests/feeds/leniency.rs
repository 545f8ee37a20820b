//! Feeds with rows that cannot be sold as they stand: what is loaded of them, and what is reported.

use timetable::{Kind, Timetable};

use crate::feed::{Feed, stops};

fn feed() -> Feed {
    Feed::new()
}

/// The numbers of all trains, with the dates of their runs and the number of their stops.
fn trains(timetable: &Timetable) -> Vec<String> {
    let (first, last) = timetable.dates().expect("trains");
    let dates = first.series(jiff::Span::new().days(1)).take_while(|date| *date <= last);
    let mut found: std::collections::BTreeMap<String, (usize, usize)> = std::collections::BTreeMap::new();
    for date in dates {
        for run in timetable.runs(date) {
            let (runs, stops) = found.entry(run.train().to_owned()).or_default();
            (*runs, *stops) = (*runs + 1, run.stops().len());
        }
    }
    found.into_iter().map(|(train, (runs, stops))| format!("{train}: {runs} runs, {stops} stops")).collect()
}

/// What is loaded, and the report: a kind with its count, and the first places of each.
#[track_caller]
fn check(feed: Feed, expected_trains: &[&str], expected: &[(Kind, u64, &str)]) {
    let (timetable, report) = feed.load_leniently().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(trains(&timetable), expected_trains);
    let lines: String = expected
        .iter()
        .map(|(kind, count, place)| format!("{count} {}\n    {place}\n", kind.what()))
        .collect();
    assert_eq!(report, lines);
}

const G1: &str = "G1: 31 runs, 3 stops";
const K9: &str = "K9/8: 10 runs, 3 stops";

#[test]
fn a_feed_in_order_has_an_empty_report() {
    check(feed(), &[G1, K9], &[]);
}

#[test]
fn trips_that_cannot_be_sold_are_left_out_alone() {
    check(
        feed().with(
            "frequencies.txt",
            "trip_id,start_time,end_time,headway_secs\nt1,08:00:00,09:00:00,600\nt1,09:00:00,10:00:00,900\n",
        ),
        &[K9],
        &[(
            Kind::FrequencyTrip,
            1,
            "frequencies.txt:2: trips by frequency have no single run on a date: they cannot be sold",
        )],
    );
    check(
        feed().and("trips.txt", "r,daily,t3,G3\n"),
        &[G1, K9],
        &[(Kind::TooFewStops, 1, "trips.txt:4: train G3 has 0 stops: no run")],
    );
    check(
        feed().replaced("trips.txt", "weekend", "holidays"),
        &[G1],
        &[(Kind::UnknownService, 1, "trips.txt:3: unknown service holidays")],
    );
    check(
        feed().replaced("stop_times.txt", "09:02:00", "08:59:59"),
        &[K9],
        &[(Kind::WrongTimes, 1, "stop_times.txt:3: departs before it arrives")],
    );
    check(
        feed().replaced("stop_times.txt", "09:02:00", "9h02").replaced("stop_times.txt", ",c,3", ",c,three"),
        &[K9],
        &[(Kind::WrongTimes, 1, "stop_times.txt:3: departure_time \"9h02\" is no time (HH:MM:SS)")],
    );
    check(
        feed().replaced("trips.txt", "r,daily", "q,daily"),
        &[G1, K9],
        &[(Kind::UnknownRoute, 1, "trips.txt:2: unknown route q")],
    );
}

#[test]
fn rows_of_a_trip_that_name_no_stop_are_left_out() {
    let flex = feed()
        .with_column("stop_times.txt", "location_group_id", &[])
        .and("stop_times.txt", "t1,,,,4,zone\n");
    check(flex, &[G1, K9], &[(Kind::FlexRow, 1, "stop_times.txt:8: on demand, without a stop")]);
    check(
        feed().replaced("stop_times.txt", ",b,2", ",x,2"),
        &["G1: 31 runs, 2 stops", K9],
        &[(Kind::UnknownStop, 1, "stop_times.txt:3: unknown stop x")],
    );
    check(
        feed().replaced("stop_times.txt", "t2,24", "t9,24"),
        &[G1, "K9/8: 10 runs, 2 stops"],
        &[(Kind::UnknownTrip, 1, "stop_times.txt:6: unknown trip t9")],
    );
}

#[test]
fn a_number_twice_on_a_date_goes_by_its_trip_id() {
    check(
        feed().replaced("trips.txt", "K9/8", "G1"),
        &[G1, "t2: 10 runs, 3 stops"],
        &[(Kind::NumberTaken, 1, "trips.txt:3: train G1 runs on 2027-01-02 already, by line 2")],
    );
    // A trip's id is another trip's number: that one goes by its own id, though it comes first.
    let times = "K9/8,08:00:00,08:00:00,a,1\nK9/8,09:00:00,09:00:00,b,2\n";
    check(
        feed().and("trips.txt", "r,daily,K9/8,\n").and("stop_times.txt", times),
        &[G1, "K9/8: 31 runs, 2 stops", "t2: 10 runs, 3 stops"],
        &[(Kind::NumberTaken, 1, "trips.txt:4: train K9/8 runs on 2027-01-02 already, by line 3")],
    );
    check(
        feed().replaced("trips.txt", "G1", "G|1"),
        &[K9, "t1: 31 runs, 3 stops"],
        &[(Kind::TripNumber, 1, "trips.txt:2: train number G|1 has a | in it")],
    );
    check(
        feed().and("trips.txt", "r,daily,x|y,\n").and("stop_times.txt", "x|y,08:00:00,08:00:00,a,1\n"),
        &[G1, K9],
        &[(Kind::NoNumber, 1, "trips.txt:4: train number x|y has a | in it")],
    );
}

#[test]
fn stations_that_share_a_code_go_by_their_ids() {
    let (timetable, report) = feed().and("stops.txt", "d,Delta,BBB\n").load_leniently().unwrap();
    let codes: Vec<&str> = timetable.stations("", None, 9).iter().map(|station| &*station.code).collect();
    assert_eq!(codes, ["AAA", "CCC", "b", "d"]);
    assert!(report.starts_with("2 stations whose stop_code others have too"), "{report}");
    assert_eq!(
        stops(&timetable, "G1", "2027-01-05")[1],
        "b 2027-01-05T09:00:00+08:00 2027-01-05T09:02:00+08:00"
    );
    // An id that is another one's code.
    let (timetable, report) = feed().and("stops.txt", "CCC,Delta,\n").load_leniently().unwrap();
    let names: Vec<_> =
        timetable.stations("", None, 9).iter().map(|s| format!("{} {}", s.code, s.name)).collect();
    assert_eq!(names, ["AAA Alpha", "BBB Beta", "CCC Delta", "c Gamma"]);
    assert!(report.contains("stops.txt:4: station code CCC is another one's as well"), "{report}");
    // A code that is too long.
    let (timetable, _) =
        feed().and("stops.txt", &format!("d,Delta,{}\n", "d".repeat(65))).load_leniently().unwrap();
    assert_eq!(&*timetable.station(timetable.find_station("Delta").unwrap()).code, "d");
}

#[test]
fn what_is_said_of_a_station_is_mended() {
    let (timetable, report) = feed()
        .and("stops.txt", &format!("d,,DDD\ne,{},EEE\nf,Fo\u{7}xtrot,FFF\n", "é".repeat(200)))
        .load_leniently()
        .unwrap();
    let name = |code: &str| timetable.station(timetable.find_station(code).unwrap()).name.to_string();
    assert_eq!(
        (name("DDD"), name("EEE"), name("FFF")),
        ("d".to_owned(), "é".repeat(127), "Fo xtrot".to_owned())
    );
    assert!(report.starts_with("3 stations whose name"), "{report}");
    let header = "stop_id,stop_name,location_type,parent_station\n";
    let parentless = feed().with("stops.txt", format!("{header}a,Alpha,1,\nb,Beta,,nowhere\nc,Gamma,0,b\n"));
    let (timetable, report) = parentless.load_leniently().unwrap();
    assert_eq!(timetable.stations("", None, 9).len(), 3);
    assert!(report.starts_with("2 stops whose parent_station is none"), "{report}");
}

#[test]
fn calendars_are_read_as_far_as_they_say_something() {
    // Until 2099, a hundred years being counted.
    let (timetable, report) =
        feed().replaced("calendar.txt", "20270131", "99991231").load_leniently().unwrap();
    assert!(report.starts_with("1 services that end later than can be counted"), "{report}");
    assert!(timetable.run("G1", "2126-12-31".parse().unwrap()).is_some());
    assert!(timetable.run("G1", "2127-01-02".parse().unwrap()).is_none());
    check(
        feed().with("calendar_dates.txt", "service_id,date,exception_type\ndaily,20270101,2\ndaily,20270101,1\ndaily,20270230,1\ndaily,20270102,3\n"),
        &["G1: 30 runs, 3 stops", K9],
        &[
            (Kind::Calendar, 2, "calendar_dates.txt:4: date \"20270230\" is no date (YYYYMMDD)\n    calendar_dates.txt:5: exception_type is \"3\", neither 1 nor 2"),
            (Kind::DoubleRow, 1, "calendar_dates.txt:3: this service and date are there already, in line 2"),
        ],
    );
}

#[test]
fn records_are_read_as_they_stand() {
    // Fields that are missing at the end are empty, and nothing to report.
    check(feed().and("stops.txt", "d,Delta\n"), &[G1, K9], &[]);
    check(feed().and("stops.txt", "d,Delta,DDD,,\n"), &[G1, K9], &[]);
    check(
        feed().and("stops.txt", "d,Delta,DDD,more\n"),
        &[G1, K9],
        &[(Kind::MoreFields, 1, "stops.txt:5: 4 fields, where the header has 3")],
    );
    let (timetable, report) =
        feed().and("stops.txt", "d,\"The \"\"D\"\"\" elta,DDD\ne,Del\"\"ta,EEE\n").load_leniently().unwrap();
    let name = |code: &str| timetable.station(timetable.find_station(code).unwrap()).name.to_string();
    assert_eq!((name("DDD"), name("EEE")), ("The \"D\"elta".to_owned(), "Del\"\"ta".to_owned()));
    assert!(report.starts_with("2 fields with quotes out of place"), "{report}");
    check(
        feed().replaced("agency.txt", "agency_id", "agency_name"),
        &[G1, K9],
        &[(Kind::DoubleColumn, 1, "agency.txt:1: column agency_name stands twice")],
    );
}

#[test]
fn text_in_another_encoding_is_shown_as_far_as_it_is_text() {
    let directory = tempfile::TempDir::new().unwrap();
    feed().write(directory.path());
    std::fs::write(directory.path().join("stops.txt"), b"stop_id,stop_name\na,K\xf6ln\nb,B\nc,C\n").unwrap();
    let (timetable, report) = Timetable::load(directory.path(), None, timetable::DateWindow::WHOLE).unwrap();
    assert_eq!(&*timetable.stations("a", None, 1)[0].name, "K\u{fffd}ln");
    let found: Vec<_> = report.found().map(|(kind, found)| (kind, found.count)).collect();
    assert_eq!(found, [(Kind::NotUtf8, 1)]);
}

#[test]
fn another_width_of_text_is_named() {
    let directory = tempfile::TempDir::new().unwrap();
    feed().write(directory.path());
    std::fs::write(directory.path().join("agency.txt"), b"\xff\xfea\0g\0").unwrap();
    let error = Timetable::load(directory.path(), None, timetable::DateWindow::WHOLE).unwrap_err();
    assert_eq!((error.line, error.what.as_str()), (Some(1), "UTF-16, where a feed has UTF-8"));
}

#[test]
fn what_nothing_can_be_sold_without_is_refused() {
    for name in ["agency.txt", "stops.txt", "trips.txt", "stop_times.txt"] {
        assert_eq!(feed().without(name).load_leniently().unwrap_err(), format!("{name}: missing"));
    }
    check(
        feed().without("routes.txt"),
        &[G1, K9],
        &[(Kind::UnknownRoute, 2, "trips.txt:2: unknown route r\n    trips.txt:3: unknown route r")],
    );
    let none = feed().with(
        "calendar.txt",
        "service_id,monday,tuesday,wednesday,thursday,friday,saturday,sunday,start_date,end_date\n",
    );
    let refused = none.load_leniently().err().unwrap();
    let expected = format!(
        "FEED: nothing of it can be sold\n2 {}\n    trips.txt:2: unknown service daily\n    trips.txt:3: unknown service weekend",
        Kind::UnknownService.what()
    );
    assert_eq!(refused, expected);
}

#[test]
fn a_report_names_the_first_places_of_each_kind() {
    let rows: String = (0..9).map(|n| format!("r,nowhere,x{n},\n")).collect();
    let (_, report) = feed().and("trips.txt", &rows).load_leniently().unwrap();
    let expected = format!(
        "9 {}\n    trips.txt:4: unknown service nowhere\n    trips.txt:5: unknown service nowhere\n    trips.txt:6: unknown service nowhere\n    and 6 more\n",
        Kind::UnknownService.what()
    );
    assert_eq!(report, expected);
}

#[test]
fn a_feed_lies_where_people_put_it() {
    let directory = tempfile::TempDir::new().unwrap();
    let load = |path: &std::path::Path| {
        Timetable::load(path, None, timetable::DateWindow::WHOLE)
            .map(|(timetable, _)| timetable.summary().trains)
    };
    std::fs::create_dir(directory.path().join("gtfs")).unwrap();
    feed().write(&directory.path().join("gtfs"));
    assert_eq!(load(directory.path()), Ok(2));
    std::fs::create_dir(directory.path().join("old")).unwrap();
    feed().write(&directory.path().join("old"));
    assert!(
        load(directory.path()).unwrap_err().to_string().ends_with("stops.txt is in more than one folder")
    );
    let zip = directory.path().join("feed.zip");
    feed().write_zip(&zip, "gtfs\\");
    assert_eq!(load(&zip), Ok(2));
    // Packed by a method that is not read: 12 is bzip2. It stands in the header of each file and in the directory.
    let mut bytes = std::fs::read(&zip).unwrap();
    for (signature, place) in [(b"PK\x03\x04", 8), (b"PK\x01\x02", 10)] {
        let headers: Vec<usize> =
            (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(signature)).collect();
        assert!(!headers.is_empty());
        headers.into_iter().for_each(|at| bytes[at + place] = 12);
    }
    std::fs::write(&zip, bytes).unwrap();
    let error = load(&zip).unwrap_err().to_string();
    assert!(error.contains("files that are stored or deflated can be read"), "{error}");
}
