//! What is read from feeds that are in order, however they are written.

use timetable::{Date, DateWindow, Summary, Timetable};

use crate::feed::{Feed, stops};

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

#[track_caller]
fn check_stops(feed: &Feed, train: &str, date: &str, expected: &[&str]) {
    assert_eq!(stops(&feed.load(), train, date), expected);
}

/// The calls of `G1` as the feed has them.
const G1: [&str; 3] = [
    "AAA 2027-01-05T08:00:00+08:00 2027-01-05T08:00:00+08:00",
    "BBB 2027-01-05T09:00:00+08:00 2027-01-05T09:02:00+08:00",
    "CCC 2027-01-05T10:00:00+08:00 2027-01-05T10:00:00+08:00",
];

#[test]
fn a_number_is_known_in_every_spelling() {
    let timetable = Feed::new().load();
    for key in ["G1", "g1|2027-01-05|2nd", "Ｇ１ |2027-01-05|2nd", "K9／8｜2027-01-05｜2nd", "k 9/8"] {
        assert!(timetable.has_train_like(key), "{key}");
    }
    for key in ["G", "G11", "G1x|2027-01-05|2nd", "K9", "K98", "", "|G1"] {
        assert!(!timetable.has_train_like(key), "{key}");
    }
}

#[test]
fn stops_in_order_with_local_times() {
    check_stops(&Feed::new(), "G1", "2027-01-05", &G1);
}

#[test]
fn times_past_midnight_are_on_the_next_date() {
    let feed = Feed::new();
    let expected = [
        "CCC 2027-01-02T23:00:00+08:00 2027-01-02T23:00:00+08:00",
        "BBB 2027-01-03T00:30:00+08:00 2027-01-03T00:35:00+08:00",
        "AAA 2027-01-03T02:00:00+08:00 2027-01-03T02:00:00+08:00",
    ];
    check_stops(&feed, "K9/8", "2027-01-02", &expected);
    let timetable = feed.load();
    let run = timetable.run("K9/8", date("2027-01-02")).unwrap();
    assert_eq!((run.train(), run.date()), ("K9/8", date("2027-01-02")));
    let stops: Vec<_> = run.stops().collect();
    assert_eq!(run.ends_ms(), stops[2].arrives_at.unix_ms());
    assert_eq!(run.ends_ms() - stops[0].departs_at.unix_ms(), 3 * 3_600_000);
    assert_eq!(stops[2].arrives_at.offset_secs(), 8 * 3_600);
}

#[test]
fn however_it_is_written() {
    let crlf = Feed::new().map(|text| text.replace('\n', "\r\n"));
    let marked = Feed::new().map(|text| format!("\u{feff}{text}"));
    let blank = Feed::new().map(|text| format!("\n{}\n \n", text.replace('\n', "\n\n")));
    let unfinished = Feed::new().map(|text| text.trim_end().to_owned());
    let spaced = Feed::new().map(|text| text.replace(',', " , "));
    let quoted = Feed::new().map(|text| {
        let quote = |line: &str| format!("\"{}\"\n", line.replace(',', "\",\""));
        text.lines().map(quote).collect()
    });
    let more = Feed::new().map(|text| {
        let widen = |(index, line): (usize, &str)| match index {
            0 => format!("more,{line},and_more\n"),
            _ => format!("\"1, \"\"2\"\"\n3\",{line},\n"),
        };
        text.lines().enumerate().map(widen).collect()
    });
    for feed in [crlf, marked, blank, unfinished, spaced, quoted, more] {
        check_stops(&feed, "G1", "2027-01-05", &G1);
        assert_eq!(feed.load().summary(), Summary { stations: 3, trains: 2, trips: 2, runs: 41 });
    }
}

#[test]
fn rows_and_columns_in_any_order() {
    let backwards = Feed::new().map(|text| {
        let mut lines: Vec<&str> = text.lines().collect();
        lines[1..].reverse();
        let turn = |line: &&str| line.split(',').rev().collect::<Vec<_>>().join(",") + "\n";
        lines.iter().map(turn).collect()
    });
    check_stops(&backwards, "G1", "2027-01-05", &G1);
    // Sequence numbers need not be consecutive, nor start at one.
    let gaps = Feed::new().map(|text| text.replace(",a,1\n", ",a,0\n").replace(",c,3\n", ",c,700\n"));
    check_stops(&gaps, "G1", "2027-01-05", &G1);
}

#[test]
fn a_zip_is_read_like_a_directory() {
    let directory = tempfile::TempDir::new().unwrap();
    let zip = directory.path().join("feed.zip");
    let formations = "[[kinds]]\nname = \"8-car\"\n[[kinds.coaches]]\nnumbers = [\"1\"]\n\
                      seats = [{ class = \"3rd\", rows = 2, plan = \"AB\" }]\n";
    for feed in [Feed::new(), Feed::new().with("formations.toml", formations)] {
        let read = feed.load();
        for folder in ["", "feed-2027/"] {
            feed.write_zip(&zip, folder);
            let zipped = Timetable::load_strict(&zip, None, DateWindow::WHOLE).unwrap();
            assert_eq!(zipped.summary(), read.summary());
            for train in ["G1", "K9/8"] {
                let day = "2027-01-03";
                assert_eq!(stops(&zipped, train, day), stops(&read, train, day));
                let classes =
                    |timetable: &Timetable| timetable.run(train, date(day)).unwrap().classes().to_vec();
                assert_eq!(classes(&zipped), classes(&read));
            }
        }
    }
}

#[test]
fn platforms_are_their_station() {
    let feed = Feed::new()
        .with(
            "stops.txt",
            "stop_id,stop_code,stop_name,location_type,parent_station\n\
             a1,1,Alpha platform 1,0,a\na2,,,0,a\na,AAA,Alpha,1,\na-in,,Entrance,2,a\nnode,,,3,a\n\
             b,BBB,Beta,,\nc,CCC,Gamma,0,\nc1,,Gamma platform,0,d\nd,DDD,Delta,1,\n",
        )
        .replaced("stop_times.txt", ",a,1", ",a1,1")
        .replaced("stop_times.txt", ",a,3", ",a2,3")
        .replaced("stop_times.txt", ",c,3", ",c1,3");
    let timetable = feed.load();
    let codes: Vec<&str> = timetable.stations("", None, 100).iter().map(|station| &*station.code).collect();
    assert_eq!(codes, ["AAA", "BBB", "CCC", "DDD"]);
    assert!(stops(&timetable, "G1", "2027-01-02")[0].starts_with("AAA "));
    assert!(stops(&timetable, "G1", "2027-01-02")[2].starts_with("DDD "));
    assert!(stops(&timetable, "K9/8", "2027-01-02")[2].starts_with("AAA "));
    let run = timetable.run("G1", date("2027-01-02")).unwrap();
    assert_eq!(&*run.stops().next().unwrap().station.name, "Alpha");
    assert_eq!(timetable.find_station("Alpha platform 1"), None);
}

#[test]
fn a_stop_without_a_code_goes_by_its_id_and_a_trip_without_a_name_too() {
    let feed =
        Feed::new().replaced("stops.txt", "a,Alpha,AAA", "a,Alpha,").replaced("trips.txt", "t1,G1", "t1,");
    let timetable = feed.load();
    assert!(timetable.has_train("t1") && !timetable.has_train("G1"));
    assert!(stops(&timetable, "t1", "2027-01-05")[0].starts_with("a "));
    let unnamed = Feed::new().with("trips.txt", "route_id,service_id,trip_id\nr,daily,t1\nr,daily,t2\n");
    assert!(unnamed.load().has_train("t2"));
}

#[test]
fn times_that_are_left_out_are_filled_in_evenly() {
    let times = |rows: &str| {
        let header = "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n";
        let other = "t2,23:00:00,23:00:00,c,1\nt2,24:30:00,24:35:00,b,2\n";
        Feed::new().with("stop_times.txt", format!("{header}{rows}{other}"))
    };
    let check = |rows: &str, expected: &[&str]| {
        let short = |line: String| line.replace("2027-01-05T", "").replace("+08:00", "");
        let stops = stops(&times(rows).load(), "G1", "2027-01-05");
        assert_eq!(stops.into_iter().map(short).collect::<Vec<_>>(), expected);
    };
    check(
        "t1,08:00:00,08:00:00,a,1\nt1,,,b,2\nt1,10:00:00,10:00:00,c,3\n",
        &["AAA 08:00:00 08:00:00", "BBB 09:00:00 09:00:00", "CCC 10:00:00 10:00:00"],
    );
    // From a departure to an arrival, in whole seconds.
    check(
        "t1,08:00:00,08:10:00,a,1\nt1,,,b,2\nt1,,,c,3\nt1,08:20:01,08:30:00,b,4\nt1,,,a,5\nt1,08:30:00,08:31:00,c,6\n",
        &[
            "AAA 08:00:00 08:10:00",
            "BBB 08:13:20 08:13:20",
            "CCC 08:16:40 08:16:40",
            "BBB 08:20:01 08:30:00",
            "AAA 08:30:00 08:30:00",
            "CCC 08:30:00 08:31:00",
        ],
    );
    // One of the two is enough.
    check(
        "t1,,08:00:00,a,1\nt1,09:00:00,,b,2\nt1,10:00:00,,c,3\n",
        &["AAA 08:00:00 08:00:00", "BBB 09:00:00 09:00:00", "CCC 10:00:00 10:00:00"],
    );
}

#[test]
fn stops_say_whether_passengers_may_board_and_alight() {
    let allowed = |feed: &Feed| {
        let timetable = feed.load();
        let run = timetable.run("G1", date("2027-01-05")).unwrap();
        run.stops().map(|stop| (stop.board, stop.alight)).collect::<Vec<_>>()
    };
    assert_eq!(allowed(&Feed::new()), [(true, true); 3], "without the columns");
    for (value, expected) in [("", true), ("0", true), ("1", false), ("2", true), ("3", true)] {
        let values = ["0", value, "1"];
        let pickup = Feed::new().with_column("stop_times.txt", "pickup_type", &values);
        assert_eq!(allowed(&pickup), [(true, true), (expected, true), (false, true)], "{value:?}");
        let drop_off = Feed::new().with_column("stop_times.txt", "drop_off_type", &values);
        assert_eq!(allowed(&drop_off), [(true, true), (true, expected), (true, false)], "{value:?}");
    }
}

#[test]
fn dates_of_services() {
    let check = |feed: &Feed, train: &str, expected: &[&str]| {
        let timetable = feed.load();
        let first = date("2026-12-01");
        let days = (0..120).map(|day| first.checked_add(jiff::Span::new().days(day)).unwrap());
        let runs = days.filter(|day| timetable.run(train, *day).is_some()).map(|day| day.to_string());
        assert_eq!(runs.collect::<Vec<_>>(), expected, "{train}");
    };
    let weekends = [
        "2027-01-02",
        "2027-01-03",
        "2027-01-09",
        "2027-01-10",
        "2027-01-16",
        "2027-01-17",
        "2027-01-23",
        "2027-01-24",
        "2027-01-30",
        "2027-01-31",
    ];
    check(&Feed::new(), "K9/8", &weekends);
    // Dates are added and taken away, within the regular ones and outside.
    let dates = "service_id,date,exception_type\nweekend,20270302,1\nweekend,20270102,2\nweekend,20261224,1\n\
                 weekend,20270203,2\nweekend,20270131,2\nweekend,20270105,1\n";
    let feed = Feed::new().with("calendar_dates.txt", dates);
    let mut expected = weekends[1..9].to_vec();
    expected.insert(0, "2026-12-24");
    expected.insert(2, "2027-01-05");
    expected.push("2027-03-02");
    check(&feed, "K9/8", &expected);
    // Either of the two tables will do.
    let feed = Feed::new().without("calendar.txt").with(
        "calendar_dates.txt",
        "service_id,date,exception_type\ndaily,20270201,1\nweekend,20270203,1\ndaily,20270202,2\n",
    );
    check(&feed, "G1", &["2027-02-01"]);
    check(&feed, "K9/8", &["2027-02-03"]);
    // One number, other trips on other dates.
    let feed = feed.replaced("trips.txt", "K9/8", "G1");
    check(&feed, "G1", &["2027-02-01", "2027-02-03"]);
    let timetable = feed.load();
    assert!(stops(&timetable, "G1", "2027-02-01")[0].starts_with("AAA "));
    assert!(stops(&timetable, "G1", "2027-02-03")[0].starts_with("CCC "));
    assert_eq!(timetable.summary(), Summary { stations: 3, trains: 1, trips: 2, runs: 2 });
}

#[test]
fn only_the_window_is_on_sale() {
    let whole = Feed::new().load();
    assert_eq!(whole.dates(), Some((date("2027-01-01"), date("2027-01-31"))));
    let timetable = whole.with_window(DateWindow::new(date("2027-01-30"), 15));
    assert!(timetable.run("G1", date("2027-01-29")).is_none());
    assert!(timetable.run("G1", date("2027-01-30")).is_some());
    assert_eq!(timetable.dates(), Some((date("2027-01-30"), date("2027-01-31"))));
    assert_eq!(timetable.summary(), Summary { runs: 4, ..whole.summary() });
    // Off sale is not unknown.
    let later = whole.with_window(DateWindow::new(date("2027-02-01"), 15));
    assert!(later.has_train("G1") && !later.has_train("G2"));
    assert_eq!((later.dates(), later.summary().runs), (None, 0));
    assert!(whole.run("G1", Date::MIN).is_none() && whole.run("G1", Date::MAX).is_none());
}

#[test]
fn clocks_that_change() {
    let feed = Feed::new()
        .replaced("agency.txt", "Asia/Shanghai", "Europe/Berlin")
        .map(|text| text.replace("20270131", "20271231"));
    // The clocks go forward in the night to Sunday the 28th of March: from 02:00 to 03:00.
    check_stops(
        &feed,
        "K9/8",
        "2027-03-27",
        &[
            "CCC 2027-03-27T23:00:00+01:00 2027-03-27T23:00:00+01:00",
            "BBB 2027-03-28T00:30:00+01:00 2027-03-28T00:35:00+01:00",
            "AAA 2027-03-28T03:00:00+02:00 2027-03-28T03:00:00+02:00",
        ],
    );
    check_stops(
        &feed,
        "G1",
        "2027-03-28",
        &[
            "AAA 2027-03-28T08:00:00+02:00 2027-03-28T08:00:00+02:00",
            "BBB 2027-03-28T09:00:00+02:00 2027-03-28T09:02:00+02:00",
            "CCC 2027-03-28T10:00:00+02:00 2027-03-28T10:00:00+02:00",
        ],
    );
    // And back in the night to the 31st of October: 02:00 comes twice, and it is the first.
    assert!(stops(&feed.load(), "K9/8", "2027-10-30")[2].ends_with(" 2027-10-31T02:00:00+02:00"));
}

#[test]
fn a_timetable_is_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Timetable>();
}
