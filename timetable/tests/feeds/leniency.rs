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
    let dates =
        |rows: &str| feed().with("calendar_dates.txt", format!("service_id,date,exception_type\n{rows}"));
    // A date that is taken away as well as added is not sold.
    check(
        dates("daily,20270101,1\ndaily,20270101,2\n"),
        &["G1: 30 runs, 3 stops", K9],
        &[(Kind::DoubleRow, 1, "calendar_dates.txt:3: this service and date are there already, in line 2")],
    );
    // Nor is it known for one that stands there twice and differs.
    for (span, expected) in [("20270101,20270131", vec![G1, K9]), ("20270101,20270115", vec![K9])] {
        let twice = feed().and("calendar.txt", &format!("daily,1,1,1,1,1,1,1,{span}\n"));
        let (timetable, report) = twice.load_leniently().unwrap();
        assert_eq!(trains(&timetable), expected);
        assert!(report.contains("calendar.txt:4: service daily is there already, in line 2"), "{report}");
    }
    // When a service runs of which something cannot be read is not known.
    for (row, why) in [
        ("daily,20270230,2", "date \"20270230\" is no date (YYYYMMDD)"),
        ("daily,20270102,3", "exception_type is \"3\", neither 1 nor 2"),
    ] {
        let place = format!("calendar_dates.txt:2: {why}");
        check(
            dates(&format!("{row}\n")),
            &[K9],
            &[(Kind::UnknownService, 1, "trips.txt:2: unknown service daily"), (Kind::Calendar, 1, &place)],
        );
    }
    for row in ["daily,20270102,2,more", ",20270102,2"] {
        let refused = dates(&format!("{row}\n")).load_leniently().unwrap_err();
        assert!(refused.starts_with("calendar_dates.txt:2: "), "{refused}");
    }
}

#[test]
fn records_are_read_as_they_stand() {
    // Fields that are missing at the end are empty, and nothing to report.
    check(feed().and("stops.txt", "d,Delta\n"), &[G1, K9], &[]);
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
}

#[test]
fn text_in_another_encoding_is_read_byte_by_byte() {
    let directory = tempfile::TempDir::new().unwrap();
    feed().write(directory.path());
    std::fs::write(directory.path().join("stops.txt"), b"stop_id,stop_name\na,K\xf6ln\nb,B\nc,C\n").unwrap();
    let (timetable, report) = Timetable::load(directory.path(), None, timetable::DateWindow::WHOLE).unwrap();
    assert_eq!(&*timetable.stations("a", None, 1)[0].name, "Köln");
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

/// Catches: a row whose fields stand elsewhere than the header says, sold as it seems to be.
#[test]
fn what_a_shifted_row_says_is_not_believed() {
    let trips = "route_id,service_id,trip_id,trip_headsign,trip_short_name,block_id\n";
    let shifted = feed().with("trips.txt", format!("{trips}r,daily,t1,to A, B,G1,\nr,weekend,t2,C,K9/8,\n"));
    check(
        shifted,
        &[K9],
        &[
            (
                Kind::UnknownTrip,
                3,
                "stop_times.txt:2: unknown trip t1\n    stop_times.txt:3: unknown trip t1\n    stop_times.txt:4: unknown trip t1",
            ),
            (Kind::MoreFields, 1, "trips.txt:2: 7 fields, where the header has 6"),
        ],
    );
    let stop = feed().with_column("stop_times.txt", "stop_headsign", &[]).replaced(
        "stop_times.txt",
        ",b,2,",
        ",b,2,to A, B",
    );
    assert_eq!(stop.load_leniently().unwrap_err(), "stop_times.txt:3: 7 fields, where the header has 6");
    let frequencies = feed()
        .with("frequencies.txt", "trip_id,start_time,end_time,headway_secs\nt1,08:00:00,09:00:00,600,1\n");
    assert_eq!(
        frequencies.load_leniently().unwrap_err(),
        "frequencies.txt:2: 5 fields, where the header has 4"
    );
    // Over several lines nobody knows which of them are records of their own.
    let quotes = feed().and("stops.txt", "d,5\" Delta,DDD\ne,6\" Echo,EEE\n");
    assert_eq!(quotes.load_leniently().unwrap_err(), "stops.txt:5: a quote within an unquoted field");
}

/// Catches: ids that become one by how their bytes are read.
#[test]
fn ids_in_another_encoding_stay_different() {
    let directory = tempfile::TempDir::new().unwrap();
    let latin = feed().replaced("trips.txt", "weekend", "e1").replaced("trips.txt", "daily", "e2");
    latin.write(directory.path());
    let path = |name: &str| directory.path().join(name);
    for name in ["trips.txt", "calendar.txt"] {
        let text =
            std::fs::read_to_string(path(name)).unwrap().replace("e1", "\u{e9}").replace("e2", "\u{e8}");
        let text = text.replace("weekend", "\u{e9}").replace("daily", "\u{e8}");
        let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        std::fs::write(path(name), bytes).unwrap();
    }
    let (timetable, _) = Timetable::load(directory.path(), None, timetable::DateWindow::WHOLE).unwrap();
    assert_eq!(trains(&timetable), [G1, K9]);
}

#[test]
fn a_stop_that_is_not_there_counts_for_the_times_of_the_others() {
    let feed = feed()
        .replaced("stop_times.txt", "09:00:00,09:02:00,b,2", ",,b,2")
        .replaced("stop_times.txt", "10:00:00,10:00:00,c,3", "09:00:00,09:00:00,zz,3")
        .and("stop_times.txt", "t1,12:00:00,12:00:00,c,4\n");
    let (timetable, _) = feed.load_leniently().unwrap();
    assert_eq!(
        stops(&timetable, "G1", "2027-01-05"),
        [
            "AAA 2027-01-05T08:00:00+08:00 2027-01-05T08:00:00+08:00",
            "BBB 2027-01-05T08:30:00+08:00 2027-01-05T08:30:00+08:00",
            "CCC 2027-01-05T12:00:00+08:00 2027-01-05T12:00:00+08:00",
        ]
    );
}

/// Catches: other coaches for a train because it goes by its id.
#[test]
fn a_train_keeps_its_formation_by_whatever_it_goes() {
    let rules = "[[rules]]\nkind = \"16-car\"\ntrains = [\"NJ*\"]\n";
    let feed = feed()
        .replaced("trips.txt", "G1", "NJ1")
        .replaced("trips.txt", "K9/8", "NJ1")
        .with("formations.toml", rules);
    let (timetable, _) = feed.load_leniently().unwrap();
    assert_eq!(trains(&timetable), ["NJ1: 31 runs, 3 stops", "t2: 10 runs, 3 stops"]);
    assert_eq!(timetable.kinds().collect::<Vec<_>>(), [("16-car", 2)]);
}

/// Catches: trips of other days renamed along with the one that stands in the way.
#[test]
fn only_who_shares_a_day_is_renamed() {
    let calendar = "later,1,1,1,1,1,1,1,20280101,20280131\n";
    let times = |trip: &str| format!("{trip},08:00:00,08:00:00,a,1\n{trip},09:00:00,09:00:00,b,2\n");
    let feed = feed()
        .and("calendar.txt", calendar)
        .and("trips.txt", "r,later,t3,G1\nr,daily,G1,\n")
        .and("stop_times.txt", &(times("t3") + &times("G1")));
    let (timetable, report) = feed.load_leniently().unwrap();
    assert_eq!(trains(&timetable), ["G1: 62 runs, 2 stops", K9, "t1: 31 runs, 3 stops"]);
    assert!(report.starts_with("1 trips whose number another one has"), "{report}");
}

/// Catches: a table that may be missing, and is refused because it is empty.
#[test]
fn what_may_be_missing_may_be_empty() {
    check(feed().with("calendar_dates.txt", "").with("frequencies.txt", "\n"), &[G1, K9], &[]);
    check(feed().with("frequencies.txt", "trip\n"), &[G1, K9], &[]);
    let untyped = feed().with("routes.txt", "route_id\nr\n").load_leniently().unwrap();
    assert_eq!(trains(&untyped.0), [G1, K9]);
    assert_eq!(
        feed().with("trips.txt", "").load_leniently().unwrap_err(),
        "trips.txt:1: empty: not even a header"
    );
}
