//! Stations by what is typed, and trains from one to another.

use timetable::{Date, DateWindow, Timetable};

use crate::feed::Feed;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

/// The journeys as `train date from-to departs arrives`.
fn journeys(timetable: &Timetable, from: &str, to: &str, day: &str) -> Vec<String> {
    let station = |name: &str| timetable.find_station(name).expect("a station");
    let found = timetable.journeys(station(from), station(to), date(day));
    let line = |journey: &timetable::Journey<'_>| {
        let stops: Vec<_> = journey.run.stops().collect();
        let (board, alight) = (stops[usize::from(journey.from_index)], stops[usize::from(journey.to_index)]);
        assert_eq!((journey.departs_at, journey.arrives_at), (board.departs_at, alight.arrives_at));
        assert_eq!(journey.departs_at.date(), date(day));
        assert_eq!(timetable.run(journey.run.train(), journey.run.date()), Some(journey.run));
        let clock = |time: timetable::LocalTime| time.to_string()[5..16].to_owned();
        let (train, run_date) = (journey.run.train(), journey.run.date());
        let (from, to) = (journey.from_index, journey.to_index);
        format!("{train} {run_date} {from}-{to} {} {}", clock(journey.departs_at), clock(journey.arrives_at))
    };
    found.iter().map(line).collect()
}

#[track_caller]
fn check(feed: &Feed, (from, to, day): (&str, &str, &str), expected: &[&str]) {
    assert_eq!(journeys(&feed.load(), from, to, day), expected, "{from} {to} {day}");
}

#[test]
fn in_the_direction_of_travel_on_the_dates_of_the_service() {
    let feed = Feed::new();
    check(&feed, ("AAA", "CCC", "2027-01-05"), &["G1 2027-01-05 0-2 01-05T08:00 01-05T10:00"]);
    check(&feed, ("Alpha", "Beta", "2027-01-31"), &["G1 2027-01-31 0-1 01-31T08:00 01-31T09:00"]);
    check(&feed, ("AAA", "CCC", "2027-02-01"), &[]);
    check(&feed, ("CCC", "AAA", "2027-01-05"), &[]);
    check(&feed, ("CCC", "AAA", "2027-01-02"), &["K9/8 2027-01-02 0-2 01-02T23:00 01-03T02:00"]);
    check(&feed, ("AAA", "AAA", "2027-01-02"), &[]);
    for far in ["0001-01-01", "-009999-01-01", "9999-12-31"] {
        check(&feed, ("AAA", "CCC", far), &[]);
    }
}

#[test]
fn the_date_is_that_of_boarding() {
    let feed = Feed::new();
    // Saturday's train leaves Beta on Sunday, Sunday's on Monday.
    check(&feed, ("BBB", "AAA", "2027-01-02"), &[]);
    check(&feed, ("BBB", "AAA", "2027-01-03"), &["K9/8 2027-01-02 1-2 01-03T00:35 01-03T02:00"]);
    check(&feed, ("BBB", "AAA", "2027-01-04"), &["K9/8 2027-01-03 1-2 01-04T00:35 01-04T02:00"]);
    // The last one of the feed leaves after its last date.
    check(&feed, ("BBB", "AAA", "2027-02-01"), &["K9/8 2027-01-31 1-2 02-01T00:35 02-01T02:00"]);
    // What counts for the window is the date of the run.
    let window = |first| feed.load().with_window(DateWindow::new(date(first), 2));
    assert_eq!(journeys(&window("2027-01-03"), "BBB", "AAA", "2027-01-03").len(), 0);
    assert_eq!(journeys(&window("2027-01-02"), "BBB", "AAA", "2027-01-03").len(), 1);
    let selling = feed.load().with_window(DateWindow::selling(date("2027-01-03"), 2));
    assert_eq!(journeys(&selling, "BBB", "AAA", "2027-01-03").len(), 1);
}

#[test]
fn by_departure() {
    let times = "x,07:00:00,07:00:00,a,1\nx,11:00:00,11:00:00,c,2\ny,08:00:00,08:00:00,a,1\ny,09:59:00,09:59:00,c,2\n\
                 z,32:00:00,32:00:00,a,1\nz,34:00:00,34:00:00,c,2\n";
    let feed =
        Feed::new().and("trips.txt", "r,daily,x,\nr,daily,y,\nr,daily,z,\n").and("stop_times.txt", times);
    check(
        &feed,
        ("AAA", "CCC", "2027-01-05"),
        &[
            "x 2027-01-05 0-1 01-05T07:00 01-05T11:00",
            "y 2027-01-05 0-1 01-05T08:00 01-05T09:59",
            "G1 2027-01-05 0-2 01-05T08:00 01-05T10:00",
            "z 2027-01-04 0-1 01-05T08:00 01-05T10:00",
        ],
    );
}

#[test]
fn calls_at_a_station_twice() {
    let check = |calls: &str, from: &str, to: &str, expected: Option<&str>| {
        let row = |(index, stop): (usize, char)| {
            format!("x,{index:02}:00:00,{index:02}:30:00,{},{index}\n", stop.to_ascii_lowercase())
        };
        let times: String = calls.chars().enumerate().map(row).collect();
        let header = "trip_id,arrival_time,departure_time,stop_id,stop_sequence\n";
        let feed = Feed::new()
            .with("trips.txt", "route_id,service_id,trip_id\nr,daily,x\n")
            .with("stop_times.txt", format!("{header}{times}"));
        let found = journeys(&feed.load(), from, to, "2027-01-05");
        let spans: Vec<&str> = found.iter().map(|line| line.split(' ').nth(2).unwrap()).collect();
        assert_eq!(spans, Vec::from_iter(expected), "{calls} {from} {to}");
    };
    check("abac", "AAA", "CCC", Some("2-3"));
    check("abac", "AAA", "BBB", Some("0-1"));
    check("acbc", "AAA", "CCC", Some("0-1"));
    check("acbc", "BBB", "CCC", Some("2-3"));
    check("abab", "AAA", "BBB", Some("2-3"));
    check("abab", "BBB", "AAA", Some("1-2"));
    check("aabb", "AAA", "BBB", Some("1-2"));
    check("abca", "CCC", "BBB", None);
    check("abca", "CCC", "AAA", Some("2-3"));
    check("abca", "AAA", "CCC", Some("0-2"));
}

#[test]
fn where_nobody_may_board_or_leave() {
    let with = |first: &str, second: &str, third: &str| {
        let rows = format!(
            "x,08:00:00,08:00:00,a,1,{first}\nx,09:00:00,09:00:00,b,2,{second}\nx,10:00:00,10:00:00,c,3,{third}\n"
        );
        Feed::new().with("trips.txt", "route_id,service_id,trip_id\nr,daily,x\n").with(
            "stop_times.txt",
            format!(
                "trip_id,arrival_time,departure_time,stop_id,stop_sequence,pickup_type,drop_off_type\n{rows}"
            ),
        )
    };
    let count = |feed: &Feed, from, to| journeys(&feed.load(), from, to, "2027-01-05").len();
    let boarding_only = with("0,1", ",1", "1,0");
    assert_eq!(count(&boarding_only, "AAA", "BBB"), 0);
    assert_eq!(count(&boarding_only, "BBB", "CCC"), 1);
    let on_request = with("0,1", "2,3", "1,0");
    assert_eq!(count(&on_request, "AAA", "BBB"), 1);
    let leaving_only = with("0,1", "1,0", "1,0");
    assert_eq!(count(&leaving_only, "BBB", "CCC"), 0);
    assert_eq!(count(&leaving_only, "AAA", "CCC"), 1);
}

#[test]
fn around_a_change_of_clocks() {
    // Where the clocks go back, times before the change are counted an hour late; the date is the clock's.
    let feed = Feed::new()
        .replaced("agency.txt", "Asia/Shanghai", "Europe/Berlin")
        .map(|text| text.replace("20270131", "20271231"))
        .and("trips.txt", "r,daily,x,\n")
        .and("stop_times.txt", "x,00:10:00,00:10:00,a,1\nx,05:00:00,05:00:00,c,2\n");
    let day = |day| journeys(&feed.load(), "AAA", "CCC", day);
    // On the 28th of March, twelve hours before noon are 23:00 on the 27th.
    assert_eq!(day("2027-03-27").len(), 3);
    assert_eq!(day("2027-03-28"), ["G1 2027-03-28 0-2 03-28T08:00 03-28T10:00"]);
    assert_eq!(day("2027-03-29").len(), 2);
    assert_eq!(day("2027-10-31").len(), 2);
}

#[test]
fn stations_by_code_and_name() {
    let feed = Feed::new()
        .and("stops.txt", "d,北京南,VNP\ne,北京西,BXP\nf,Zürich ÖBB,zue\ng,Same,S1\nh,Same,S2\ni,AAA,ZZZ\n");
    let timetable = feed.load();
    let check = |query: &str, expected: &[&str]| {
        let found = timetable.stations(query, None, 100);
        assert_eq!(found.iter().map(|station| &*station.code).collect::<Vec<_>>(), expected, "{query}");
    };
    check("", &["AAA", "BBB", "BXP", "CCC", "S1", "S2", "VNP", "ZZZ", "zue"]);
    check("b", &["BBB", "BXP", "zue"]);
    check("北京", &["BXP", "VNP"]);
    check("南", &["VNP"]);
    check(" öbb ", &["zue"]);
    check("ZU", &["zue"]);
    check("aaa", &["AAA", "ZZZ"]);
    check("AMMA", &["CCC"]);
    check("xyz", &[]);

    let mut paged = Vec::new();
    while let page = timetable.stations("", paged.last().copied(), 4)
        && !page.is_empty()
    {
        paged.extend(page.iter().map(|station| &*station.code));
    }
    assert_eq!(paged.len(), 9);
    assert!(paged.is_sorted());
    assert_eq!(timetable.stations("b", Some("BB"), 1)[0].code, "BBB".into());

    let find = |text: &str| timetable.find_station(text).map(|id| &*timetable.station(id).code);
    assert_eq!(find("北京西"), Some("BXP"));
    assert_eq!(find("BXP"), Some("BXP"));
    assert_eq!(find("AAA"), Some("AAA"), "a code goes before a name");
    assert_eq!(find("bxp"), None);
    assert_eq!(find("北京"), None);
    assert_eq!(find("Same"), None, "two have it");
}
