//! Feeds that a strict load refuses, each with its file, line and reason.

use crate::feed::Feed;

fn check(feed: Feed, expected: &str) {
    let error = feed.try_load().err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some(expected));
}

fn feed() -> Feed {
    Feed::new()
}

#[test]
fn missing_files() {
    for name in ["agency.txt", "stops.txt", "routes.txt", "trips.txt", "stop_times.txt"] {
        check(feed().without(name), &format!("{name}: missing"));
    }
    check(feed().without("calendar.txt"), "calendar.txt: missing, and so is calendar_dates.txt");
}

#[test]
fn missing_and_double_columns() {
    check(feed().replaced("stops.txt", "stop_name", "name"), "stops.txt:1: column stop_name is missing");
    check(feed().replaced("trips.txt", "trip_id", "id"), "trips.txt:1: column trip_id is missing");
    check(
        feed().replaced("stop_times.txt", "departure_time", "dep"),
        "stop_times.txt:1: column departure_time is missing",
    );
    check(feed().replaced("calendar.txt", "sunday", "sun"), "calendar.txt:1: column sunday is missing");
    check(
        feed().replaced("agency.txt", "agency_id", "agency_name"),
        "agency.txt:1: column agency_name stands twice",
    );
    check(feed().with("routes.txt", ""), "routes.txt:1: empty: not even a header");
    check(
        feed().with("calendar_dates.txt", "\n\ndate\n"),
        "calendar_dates.txt:3: column service_id is missing",
    );
}

#[test]
fn broken_records() {
    check(feed().and("stops.txt", "d,Delta\n"), "stops.txt:5: 2 fields, where the header has 3");
    check(feed().and("stops.txt", "d,\"Delta,D\ne,E,E\n"), "stops.txt:5: a quote is opened and never closed");
    check(feed().and("stops.txt", "d,\"Del\"ta,D\n"), "stops.txt:5: text after a closing quote");
    check(feed().and("stops.txt", "d,Del\"\"ta,D\n"), "stops.txt:5: a quote within an unquoted field");
    // Lines are counted as an editor counts them, whatever comes before.
    let later = "s,\"Se\ncond\",2\n\nt\n";
    check(
        feed().and("routes.txt", &format!("\n\n{later}")),
        "routes.txt:8: 1 fields, where the header has 3",
    );
    let crlf = feed().and("routes.txt", &format!("\n{later}")).map(|text| text.replace('\n', "\r\n"));
    check(crlf, "routes.txt:7: 1 fields, where the header has 3");
    let long = "x".repeat(70_000);
    check(
        feed().and("stops.txt", &format!("d,{long},D\n")),
        "stops.txt:5: a record of more than 65536 bytes",
    );
}

#[test]
fn not_utf8() {
    let directory = tempfile::TempDir::new().unwrap();
    feed().write(directory.path());
    std::fs::write(directory.path().join("stops.txt"), b"stop_id,stop_name\na,K\xf6ln\n").unwrap();
    let window = timetable::DateWindow::WHOLE;
    let error = timetable::Timetable::load_strict(directory.path(), None, window).unwrap_err();
    assert!(error.to_string().ends_with("stops.txt:2: not UTF-8"), "{error}");
}

#[test]
fn agencies() {
    check(
        feed().replaced("agency.txt", "Asia/Shanghai", "Asia/Atlantis"),
        "agency.txt:2: unknown time zone Asia/Atlantis",
    );
    check(feed().replaced("agency.txt", "Asia/Shanghai", ""), "agency.txt:2: agency_timezone is empty");
    check(
        feed().and("agency.txt", "Y,Y,http://y.example,Europe/Berlin\n"),
        "agency.txt:3: time zone Europe/Berlin, where the agency before has Asia/Shanghai: a feed has one",
    );
    check(
        feed().with("agency.txt", "agency_name,agency_timezone\n"),
        "agency.txt:1: no agency, hence no time zone",
    );
}

#[test]
fn stops() {
    check(feed().and("stops.txt", "a,Again,AAB\n"), "stops.txt:5: stop a is there already, in line 2");
    check(feed().and("stops.txt", "d,Delta,BBB\n"), "stops.txt:5: station code BBB is taken by line 3");
    // A stop without a code goes by its id, which is another one's code.
    check(feed().and("stops.txt", "CCC,Delta,\n"), "stops.txt:5: station code CCC is taken by line 4");
    check(feed().and("stops.txt", "d,,DDD\n"), "stops.txt:5: stop_name is empty");
    check(feed().and("stops.txt", ",Delta,DDD\n"), "stops.txt:5: stop_id is empty");
    check(
        feed().and("stops.txt", "d,De\u{7}lta,DDD\n"),
        "stops.txt:5: a control character in a station's name",
    );
    let long = "d".repeat(65);
    check(
        feed().and("stops.txt", &format!("d,D,{long}\n")),
        "stops.txt:5: a station's code of more than 64 bytes",
    );
}

#[test]
fn parents() {
    let platforms = |rows: &str| {
        let header = "stop_id,stop_name,location_type,parent_station\n";
        feed().with("stops.txt", format!("{header}a,Alpha,1,\nb,Beta,,\nc,Gamma,0,\n{rows}"))
    };
    check(
        platforms("p,P,0,nowhere\n"),
        "stops.txt:5: parent_station nowhere is no station (location_type 1)",
    );
    check(platforms("p,P,0,b\n"), "stops.txt:5: parent_station b is no station (location_type 1)");
    check(platforms("p,P,1,a\n"), "stops.txt:5: a station with a parent_station");
    check(platforms("p,P,5,\n"), "stops.txt:5: location_type 5 is none of 0 to 4");
    check(
        platforms("e,Entrance,2,a\n").replaced("stop_times.txt", ",a,1", ",e,1"),
        "stop_times.txt:2: no train calls at e: it is no platform",
    );
}

#[test]
fn routes_and_trips() {
    check(feed().and("routes.txt", "r,R,2\n"), "routes.txt:3: route r stands twice");
    check(feed().and("routes.txt", "s,S,rail\n"), "routes.txt:3: route_type \"rail\" is no number");
    check(feed().replaced("trips.txt", "r,daily", "q,daily"), "trips.txt:2: unknown route q");
    check(feed().replaced("trips.txt", "weekend", "holidays"), "trips.txt:3: unknown service holidays");
    check(feed().and("trips.txt", "r,daily,t1,G2\n"), "trips.txt:4: trip t1 is there already, in line 2");
    check(feed().and("trips.txt", "r,daily,t3,G3\n"), "trips.txt:4: train G3 has 0 stops: no run");
    check(feed().replaced("trips.txt", "G1", "G|1"), "trips.txt:2: train number G|1 has a | in it");
    check(
        feed().replaced("trips.txt", "G1", "G\u{1}1"),
        "trips.txt:2: a control character in a train number",
    );
    check(
        feed().replaced("trips.txt", "G1", &"G".repeat(97)),
        "trips.txt:2: a train number of more than 96 bytes",
    );
    // Without a short name the trip goes by its id, and that has the same rules.
    check(feed().and("trips.txt", "r,daily,x|y,\n"), "trips.txt:4: train number x|y has a | in it");
    check(
        feed()
            .with("frequencies.txt", "trip_id,start_time,end_time,headway_secs\nt1,08:00:00,09:00:00,600\n"),
        "frequencies.txt:2: trips by frequency have no single run on a date: they cannot be sold",
    );
}

#[test]
fn one_number_twice_on_a_day() {
    // The weekend of the 2nd and 3rd is within January.
    check(
        feed().replaced("trips.txt", "K9/8", "G1"),
        "trips.txt:3: train G1 runs on 2027-01-02 already, by line 2",
    );
    // A trip's id can be another trip's number.
    let times = "K9/8,08:00:00,08:00:00,a,1\nK9/8,09:00:00,09:00:00,b,2\n";
    check(
        feed().and("trips.txt", "r,daily,K9/8,\n").and("stop_times.txt", times),
        "trips.txt:4: train K9/8 runs on 2027-01-02 already, by line 3",
    );
}

#[test]
fn stop_times() {
    check(feed().replaced("stop_times.txt", ",b,2", ",x,2"), "stop_times.txt:3: unknown stop x");
    check(feed().replaced("stop_times.txt", "t2,24", "t9,24"), "stop_times.txt:6: unknown trip t9");
    check(
        feed().replaced("stop_times.txt", ",b,2", ",b,two"),
        "stop_times.txt:3: stop_sequence \"two\" is no number",
    );
    check(
        feed().replaced("stop_times.txt", ",b,2", ",b,3"),
        "stop_times.txt:4: stop_sequence 3 of this trip is there already, in line 3",
    );
    check(
        feed().replaced("stop_times.txt", "09:02:00", "9h02"),
        "stop_times.txt:3: departure_time \"9h02\" is no time (HH:MM:SS)",
    );
    check(
        feed().replaced("stop_times.txt", "09:02:00", "08:59:59"),
        "stop_times.txt:3: departs before it arrives",
    );
    check(
        feed().replaced("stop_times.txt", "09:00:00", "07:59:59"),
        "stop_times.txt:3: arrives before it has left the stop before (line 2)",
    );
    // The same over a stop without times.
    check(
        feed().replaced("stop_times.txt", "09:00:00,09:02:00", ",").replaced(
            "stop_times.txt",
            "10:00:00,10:00:00",
            "07:59:59,10:00:00",
        ),
        "stop_times.txt:4: arrives before it has left the stop before (line 2)",
    );
    check(
        feed().replaced("stop_times.txt", "08:00:00,08:00:00", ","),
        "stop_times.txt:2: the first and the last stop of a trip need times",
    );
    check(
        feed().replaced("stop_times.txt", "26:00:00,26:00:00", ","),
        "stop_times.txt:7: the first and the last stop of a trip need times",
    );
    check(
        feed().and("trips.txt", "r,daily,t3,G3\n").and("stop_times.txt", "t3,09:00:00,09:00:00,a,1\n"),
        "trips.txt:4: train G3 has 1 stops: no run",
    );
    for column in ["pickup_type", "drop_off_type"] {
        for value in ["4", "-1", "01", "no"] {
            check(
                feed().with_column("stop_times.txt", column, &["1", value]),
                &format!("stop_times.txt:3: {column} {value:?} is none of 0 to 3"),
            );
        }
    }
}

#[test]
fn too_many_stops() {
    let call = |index: usize| {
        format!("t3,{:02}:00:00,{:02}:00:00,{},{index}\n", index, index, ["a", "b"][index % 2])
    };
    let with = |stops: usize| {
        let times: String = (0..stops).map(call).collect();
        feed().and("trips.txt", "r,daily,t3,G3\n").and("stop_times.txt", &times)
    };
    assert_eq!(with(65).load().run("G3", "2027-01-01".parse().unwrap()).unwrap().segments(), 64);
    check(with(66), "stop_times.txt:73: a run of more than 65 stops");
}

#[test]
fn calendars() {
    check(
        feed().replaced("calendar.txt", "daily,1", "daily,yes"),
        "calendar.txt:2: monday is \"yes\", neither 0 nor 1",
    );
    check(
        feed().replaced("calendar.txt", "20270101", "2027-01-01"),
        "calendar.txt:2: start_date \"2027-01-01\" is no date (YYYYMMDD)",
    );
    check(
        feed().replaced("calendar.txt", "20270131", "20261231"),
        "calendar.txt:2: service daily ends before it starts",
    );
    check(
        feed().replaced("calendar.txt", "20270131", "21270131"),
        "calendar.txt:2: a service that spans more than 36525 days",
    );
    check(
        feed().and("calendar.txt", "daily,1,1,1,1,1,1,1,20270201,20270228\n"),
        "calendar.txt:4: service daily is there already, in line 2",
    );
    let dates =
        |rows: &str| feed().with("calendar_dates.txt", format!("service_id,date,exception_type\n{rows}"));
    check(dates("daily,20270201,3\n"), "calendar_dates.txt:2: exception_type is \"3\", neither 1 nor 2");
    check(dates("daily,20270229,1\n"), "calendar_dates.txt:2: date \"20270229\" is no date (YYYYMMDD)");
    check(
        dates("daily,20270201,1\nweekend,20270201,1\ndaily,20270201,2\n"),
        "calendar_dates.txt:4: this service and date are there already, in line 2",
    );
    check(
        dates("other,20270201,1\nother,21800101,1\n"),
        "calendar_dates.txt:2: a service that spans more than 36525 days",
    );
}

#[test]
fn sources_that_are_none() {
    let directory = tempfile::TempDir::new().unwrap();
    let check = |path: &std::path::Path, expected: &str| {
        let error = timetable::Timetable::load_strict(path, None, timetable::DateWindow::WHOLE).unwrap_err();
        assert_eq!(error.to_string(), format!("{}{expected}", path.display()));
    };
    check(&directory.path().join("nowhere"), ": No such file or directory (os error 2)");
    let zip = directory.path().join("feed.zip");
    feed().without("stops.txt").write_zip(&zip, "");
    check(&zip, ": has no stops.txt, at the top or in one folder");
    feed().write_zip(&zip, "deep/er/");
    check(&zip, ": has no stops.txt, at the top or in one folder");
    feed().without("trips.txt").write_zip(&zip, "folder/");
    check(&zip, "/folder/trips.txt: missing");
    feed().and("stops.txt", "d,Delta\n").write_zip(&zip, "");
    check(&zip, "/stops.txt:5: 2 fields, where the header has 3");
    std::fs::write(&zip, "no zip").unwrap();
    let error = timetable::Timetable::load_strict(&zip, None, timetable::DateWindow::WHOLE).unwrap_err();
    assert!(error.what.starts_with("neither a directory nor a zip file"), "{error}");
}
