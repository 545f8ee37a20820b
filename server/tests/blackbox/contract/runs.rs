//! Stations, trains and runs, on a timetable that the test wrote: so what must be found is known.

use std::sync::{Arc, Mutex, Weak};

use serde_json::{Value, json};

use crate::sell::Run;
use crate::support::feed::{DAY, Feed, LOOP, NAMELESS, NIGHT, closed_day, day_beyond};
use crate::support::http::encode;
use crate::support::session::{list, number, text};
use crate::support::time::{rfc3339_ms, tomorrow};
use crate::support::{Launch, Port, Response, Server, Session};

/// A server on the tests' own timetable that sells other keys as well, shared while several use it.
fn shared() -> Arc<Server> {
    static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(server) = shared.upgrade() {
        return server;
    }
    let launch = Launch::new();
    let feed = Feed::new().write(launch.home());
    let launch = launch.args(&["--timetable", &feed.display().to_string(), "--ad-hoc", "on"]);
    let server = Arc::new(launch.start());
    *shared = Arc::downgrade(&server);
    server
}

/// Train, from_index and to_index.
type Found<'a> = (&'a str, i64, i64);

/// The trains found between two stations tomorrow, as (train, from_index, to_index), in the order of their names.
///
/// A train that is boarded after midnight runs under the date before; whichever date its partitions have, they must be
/// of the run that departs when the search says.
fn found(session: &mut Session, from: &str, to: &str) -> Vec<(String, i64, i64)> {
    let path = format!("/v1/trains?from={}&to={}&date={}", encode(from), encode(to), tomorrow());
    let answer = session.get(Port::Gateway, &path).ok();
    let trains = list(&answer, "trains");
    let departures: Vec<i64> = trains.iter().map(|t| rfc3339_ms(text(t, "departs_at"))).collect();
    assert!(departures.is_sorted(), "trains come by departure: {answer}");
    for entry in trains {
        let partition = text(&list(entry, "classes")[0], "partition_key");
        let date = partition.split('|').nth(1).expect("a date");
        assert_eq!(text(entry, "date"), date, "a train has the date of its run");
        let run =
            session.get(Port::Gateway, &format!("/v1/trains/{}/{date}", encode(text(entry, "train")))).ok();
        let departs = &list(&run, "stops")[number(entry, "from_index") as usize]["departs_at"];
        assert_eq!(entry["departs_at"], *departs, "{partition} departs when the search says");
    }
    let indexes = |t: &Value| (text(t, "train").to_owned(), number(t, "from_index"), number(t, "to_index"));
    let mut found: Vec<_> = trains.iter().map(indexes).collect();
    found.sort();
    found
}

/// Catches: a slip in a key that sells seats which no train has.
#[test]
fn a_train_is_sold_by_the_timetable_alone() {
    let server = shared();
    let mut session = server.session();
    let tomorrow = tomorrow();
    let compact = tomorrow.replace('-', "");
    for rest in [
        String::new(),
        "|".to_owned(),
        "|someday|2nd".to_owned(),
        format!("|{compact}|2nd"),
        format!("|{tomorrow}"),
        format!("|{tomorrow}|"),
        format!("|{tomorrow}|2nd|x"),
        format!("|{tomorrow} |2nd"),
        format!("|{tomorrow}|no class"),
        "|1999-01-01|2nd".to_owned(),
    ] {
        let key = format!("{DAY}{rest}");
        let body = json!({"partition_key": key, "hold_id": "slip", "qty": 1, "capacity": 5});
        session.try_hold(&body).refused(404, "partition not found");
    }
    let feed = Feed::new();
    let launch = Launch::new();
    let feed = feed.write(launch.home()).display().to_string();
    let default = format!("{DAY}|1999-01-01|2nd");
    let server =
        launch.args(&["--timetable", &feed, "--ad-hoc", "off", "--default-partition", &default]).start();
    let mut session = server.session();
    let id = session.new_order("default");
    assert_eq!(session.reserve(&json!({"order_id": id})).ok()["PartitionKey"], default.as_str());
}

/// Catches: another spelling of a train's number that sells seats which no train has; a number that only resembles one refused.
#[test]
fn a_train_is_known_in_every_spelling() {
    let server = shared();
    let mut session = server.session();
    let date = tomorrow();
    for spelling in
        ["k1|", "Ｋ１|", "K 1|", "K1 |", "K\u{3000}1|", "K1｜", "ｋ１｜", "n2/N3|", "Ｎ２／Ｎ３|", "TRIP-4|"]
    {
        for class in ["2nd", "no class"] {
            let key = format!("{spelling}{date}|{class}");
            let body = json!({"partition_key": key, "hold_id": "h", "qty": 1, "capacity": 5});
            session.try_hold(&body).refused(404, "partition not found");
            let path = format!("/inventory/availability?partition_key={}", encode(&key));
            session.get(Port::Inventory, &path).refused(404, "partition not found");
        }
    }
    for other in ["K11", "1", "N2", "N2-N3", "trip-4x"] {
        session.held(&format!("{other}|{date}|2nd"), "h", 1, 5);
    }
    let launch = Launch::new();
    let feed = Feed::new().write(launch.home()).display().to_string();
    let default = format!("k1|{date}|2nd");
    let server = launch.args(&["--timetable", &feed, "--default-partition", &default]).start();
    let mut session = server.session();
    let id = session.new_order("default");
    let order = session.reserve(&json!({"order_id": id})).ok();
    assert_eq!(order["PartitionKey"], default.as_str(), "the default is sold as it is configured");
}

/// Catches: keys that the railway's timetable does not have sold beside it without anybody's wish; the default key not sold.
#[test]
fn a_configured_timetable_is_all_that_is_sold() {
    let launch = Launch::new();
    let feed = Feed::new().write(launch.home()).display().to_string();
    let launch = launch.args(&["--timetable", &feed]);
    let in_force = |launch: &Launch, args: &[&str]| {
        let ended = launch.run(&[&["config"], args].concat());
        let line = ended.stdout.lines().find(|line| line.starts_with("ad_hoc = "));
        line.unwrap_or_else(|| panic!("{}", ended.said())).to_owned()
    };
    assert_eq!(in_force(&launch, &[]), "ad_hoc = \"on\"  # default");
    assert_eq!(in_force(&launch, &["--timetable", &feed]), "ad_hoc = \"off\"  # default");
    let said = ["--timetable", &feed, "--ad-hoc", "on"];
    assert_eq!(in_force(&launch, &said), "ad_hoc = \"on\"  # flag --ad-hoc");

    let server = launch.start();
    let mut session = server.session();
    let body = json!({"partition_key": "beside", "hold_id": "h", "qty": 1, "capacity": 5});
    session.try_hold(&body).refused(404, "partition not found");
    let id = session.new_order("default");
    let order = session.reserve(&json!({"order_id": id})).ok();
    assert_eq!(order["PartitionKey"], "G123|2026-02-11|2nd");
    let server = server.stop().args(&["--ad-hoc", "on"]).start();
    server.session().held("beside", "h", 1, 5);
}

/// Catches: a mistyped train that is sold, or refused without a word of the one that is meant.
#[test]
fn a_near_miss_of_a_train_names_the_one_that_is_meant() {
    let launch = Launch::new();
    let feed = Feed::new().write(launch.home()).display().to_string();
    let server = launch.args(&["--timetable", &feed, "--ad-hoc", "on"]).start();
    let mut session = server.session();
    let date = tomorrow();
    let detail = |answer: &Response| text(&answer.json(), "detail").to_owned();
    for near in ["k1", "K1 ", "K 1", "Ｋ１", "K\u{200b}1"] {
        let answer = session.get(Port::Gateway, &format!("/v1/trains/{}/{date}", encode(near)));
        answer.refused(404, "train not found");
        assert_eq!(detail(&answer), "the timetable has a train K1", "{near:?}");
        let key = format!("{near}|{date}|2nd");
        let answer =
            session.try_hold(&json!({"partition_key": key, "hold_id": "h", "qty": 1, "capacity": 9}));
        answer.refused(404, "partition not found");
        assert_eq!(detail(&answer), "the timetable has a train K1", "{near:?}");
    }
    let closed = closed_day();
    for (key, expected) in [
        (format!("K1|{date}|3rd"), format!("K1 has the classes business, 1st, 2nd on {date}")),
        (format!("K1|{closed}|2nd"), format!("K1 does not run on {closed}, or is not on sale")),
        ("K1|soon|2nd".to_owned(), "\"soon\" is no date (YYYY-MM-DD)".to_owned()),
    ] {
        let id = session.new_order(&key);
        for answer in [
            session.reserve(&json!({"order_id": id, "partition_key": key})),
            session.get(Port::Inventory, &format!("/inventory/availability?partition_key={}", encode(&key))),
            session.post(
                Port::Gateway,
                "/v1/purchases",
                &json!({"key": key, "amount_cents": 1, "partition_key": key, "qty": 1}),
            ),
        ] {
            answer.refused(404, "partition not found");
            assert_eq!(detail(&answer), expected);
        }
    }
    let nothing = session.get(Port::Gateway, &format!("/v1/trains/X9/{date}"));
    nothing.refused(404, "train not found");
    assert!(nothing.json()["detail"].is_null());
}

/// A train that calls at Alpha and at Bravo twice: after other stops, if any.
fn ring(before: &[&str]) -> Feed {
    let (mut feed, _) = Feed::new().appended("trips.txt", "R1,S,trip-5,R5");
    let stops = before.iter().copied().chain(["AAA", "BBB", "AAA", "BBB"]);
    for (index, stop) in stops.enumerate() {
        let hour = 12 + index;
        (feed, _) =
            feed.appended("stop_times.txt", &format!("trip-5,{hour}:00:00,{hour}:05:00,{stop},{index}"));
    }
    feed
}

/// Catches: another journey of a run that calls twice once a seat of it is sold, whatever feed it was opened with.
#[test]
fn a_run_that_calls_twice_offers_one_journey() {
    let launch = Launch::new();
    let feed = ring(&[]).write(launch.home()).display().to_string();
    let server = launch.args(&["--timetable", &feed]).start();
    let offered = |session: &mut Session| -> (i64, i64) {
        let trains = found(session, "AAA", "BBB");
        let (_, from, to) = trains.iter().find(|(train, ..)| train == "R5").expect("the run is found");
        (*from, *to)
    };
    let mut session = server.session();
    assert_eq!(offered(&mut session), (2, 3));
    let run = Run::read(&mut session, "R5", &tomorrow());
    let (partition, _, capacity) = &run.classes[0];
    let span =
        json!({"partition_key": partition, "hold_id": "h", "qty": capacity, "from_index": 0, "to_index": 3});
    session.try_hold(&span).ok();
    session.confirm(partition, "h").ok();
    assert_eq!(offered(&mut session), (2, 3), "sold out, and the same journey");
    let launch = server.stop();
    ring(&["CCC"]).write(launch.home());
    let server = launch.start();
    assert_eq!(offered(&mut server.session()), (2, 3), "by the stops that it was opened with");
}

/// Catches: stops that do not say where nobody may get on or off; "by arrangement" read as never.
#[test]
fn a_stop_says_whether_it_may_be_boarded_and_left() {
    let kind = |line: &str, kinds: [&'static str; 4]| {
        let stops = ["trip-1,08", "trip-1,09", "trip-1,,", "trip-1,11"];
        stops.iter().position(|stop| line.starts_with(stop)).map_or("", |at| kinds[at])
    };
    let feed = Feed::new()
        .with_column("stop_times.txt", "pickup_type", |line| kind(line, ["0", "2", "3", "1"]))
        .with_column("stop_times.txt", "drop_off_type", |line| kind(line, ["1", "1", "2", ""]));
    let launch = Launch::new();
    let feed = feed.write(launch.home()).display().to_string();
    let server = launch.args(&["--timetable", &feed]).start();
    let mut session = server.session();
    let run = session.get(Port::Gateway, &format!("/v1/trains/{DAY}/{}", tomorrow())).ok();
    let stops: Vec<_> = list(&run, "stops").iter().map(|stop| (&stop["board"], &stop["alight"])).collect();
    let expected =
        [[true, false], [true, false], [true, true], [false, true]].map(|flags| flags.map(Value::from));
    assert_eq!(stops, expected.each_ref().map(|[board, alight]| (board, alight)));
    let found =
        |session: &mut Session, from, to| found(session, from, to).iter().any(|(train, ..)| train == DAY);
    assert!(!found(&mut session, "AAA", "BBB"), "nobody may get off at Bravo");
    assert!(found(&mut session, "AAA", "CCC"));
}

/// Catches: seats offered of a run that nobody can have any more.
#[test]
fn a_run_of_the_past_offers_nothing() {
    let server = Launch::new().start();
    let mut session = server.session();
    let run = session.get(Port::Gateway, "/v1/trains/G1/2020-01-01").ok();
    for class in list(&run, "classes") {
        assert_eq!((number(class, "available"), number(class, "capacity") > 0), (0, true), "{class}");
        let body = json!({"partition_key": text(class, "partition_key"), "hold_id": "past", "qty": 1});
        session.try_hold(&body).refused(404, "partition not found");
    }
}

/// Catches: stations not found by code or name, platforms shown as stations, pages that never end.
#[test]
fn stations_are_found() {
    let server = shared();
    let mut session = server.session();
    let mut codes = |query: &str| -> Vec<String> {
        let answer = session.get(Port::Gateway, &format!("/v1/stations{query}")).ok();
        list(&answer, "stations").iter().map(|s| text(s, "code").to_owned()).collect()
    };
    let mut all = codes("");
    all.sort();
    assert_eq!(all, ["AAA", "BBB", "CCC", "DDD", "EEE"]);
    assert_eq!(codes("?q=BB"), ["BBB"], "the start of a code");
    assert_eq!(codes("?q=arli"), ["CCC"], "any part of a name");
    assert_eq!(codes("?q=nowhere"), [] as [&str; 0]);
    assert_eq!(codes("?limit=2").len(), 2);
    session.get(Port::Gateway, "/v1/stations?limit=x").refused(400, "");
}

/// Catches: a train missing or out of order; a station passed only the other way round; the wrong one of two calls.
#[test]
fn trains_are_found_by_departure() {
    let server = shared();
    let mut session = server.session();
    let cases: [(&str, &str, &[Found<'_>]); 9] = [
        ("AAA", "DDD", &[(DAY, 0, 3), (LOOP, 0, 4), (NIGHT, 0, 3)]),
        ("Alpha", "Bravo", &[(DAY, 0, 1), (LOOP, 0, 1), (NIGHT, 0, 1)]),
        ("BBB", "DDD", &[(DAY, 1, 3), (LOOP, 3, 4), (NIGHT, 1, 3)]),
        ("BBB", "CCC", &[(DAY, 1, 2), (LOOP, 1, 2), (NIGHT, 1, 2)]),
        ("CCC", "BBB", &[(LOOP, 2, 3)]),
        ("DDD", "AAA", &[]),
        ("CCC", "EEE", &[(NAMELESS, 0, 1)]),
        ("EEE", "AAA", &[]),
        ("AAA", "EEE", &[]),
    ];
    for (from, to, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|&(train, f, t)| (train.to_owned(), f, t)).collect();
        assert_eq!(found(&mut session, from, to), expected, "{from} to {to}");
    }
}

/// Catches: times read in another zone, past midnight on the wrong day, or made up where the feed has none.
#[test]
fn times_have_the_agencys_offset() {
    let server = shared();
    let mut session = server.session();
    let date = tomorrow();
    let midnight = rfc3339_ms(&format!("{date}T00:00:00+08:00"));
    let night = session.get(Port::Gateway, &format!("/v1/trains/{}/{date}", encode(NIGHT))).ok();
    let stops = list(&night, "stops");
    let at = |stop: usize, field: &str| {
        let time = text(&stops[stop], field);
        assert!(time.ends_with("+08:00"), "{time}");
        (rfc3339_ms(time) - midnight) / 60_000
    };
    assert_eq!(at(0, "departs_at"), 22 * 60);
    assert_eq!((at(1, "arrives_at"), at(1, "departs_at")), (23 * 60 + 50, 24 * 60 + 5));
    assert_eq!((at(2, "arrives_at"), at(2, "departs_at")), (25 * 60 + 10, 25 * 60 + 15));
    assert_eq!(at(3, "arrives_at"), 30 * 60);
    assert_eq!(text(&stops[1], "code"), "BBB");

    let run = Run::read(&mut session, DAY, &date);
    assert_eq!(
        run.stops,
        ["AAA", "BBB", "CCC", "DDD"],
        "a platform is its station, an untimed stop is a stop"
    );
    assert_eq!(Run::read(&mut session, NAMELESS, &date).stops, ["CCC", "EEE"]);
}

/// Catches: a day made up, an unknown name answered with an empty list, and a bad date taken.
#[test]
fn what_the_timetable_has_not_is_not_found() {
    let server = shared();
    let mut session = server.session();
    let date = tomorrow();
    let (closed, beyond) = (closed_day(), day_beyond());
    let cases = [
        (format!("/v1/trains?from=XXX&to=BBB&date={date}"), 404),
        (format!("/v1/trains?from=AAA&to=Brav&date={date}"), 404),
        ("/v1/trains?from=AAA&to=BBB&date=tomorrow".to_owned(), 400),
        ("/v1/trains?from=AAA&to=BBB&date=2026-02-30".to_owned(), 400),
        ("/v1/trains?from=AAA&to=BBB".to_owned(), 400),
        (format!("/v1/trains?to=BBB&date={date}"), 400),
        (format!("/v1/trains/K9/{date}"), 404),
        (format!("/v1/trains/{DAY}/{closed}"), 404),
        (format!("/v1/trains/{DAY}/{beyond}"), 404),
        (format!("/v1/trains/{DAY}/not-a-date"), 400),
        (format!("/v1/trains/N2/N3/{date}"), 404),
    ];
    for (path, status) in cases {
        session.get(Port::Gateway, &path).refused(status, "");
    }
    let class = Run::read(&mut session, DAY, &date).classes[0].1.clone();
    for date in [closed, beyond] {
        let body = json!({"partition_key": format!("{DAY}|{date}|{class}"), "hold_id": "h", "qty": 1});
        session.try_hold(&body).refused(404, "partition not found");
    }
}

/// Catches: a train number with `/` that can be shown but not sold, and seats of the two calls at a station mixed up.
#[test]
fn odd_runs_can_be_sold() {
    let server = shared();
    let mut session = server.session();
    let date = tomorrow();
    for (train, from, to) in [(NIGHT, 1, 3), (LOOP, 3, 4), (NAMELESS, 0, 1)] {
        let run = Run::read(&mut session, train, &date);
        let (partition, _, capacity) = &run.classes[0];
        let id = session.new_order(&format!("odd-{train}"));
        let body = json!({"order_id": id, "partition_key": partition, "from_index": from, "to_index": to});
        session.reserve(&body).ok();
        session.pay(&id, &format!("odd-{train}")).ok();
        session.until_ticketed(&id);
        assert_eq!(session.available_on(partition, from, to), capacity - 1, "{partition}");
        assert_eq!(
            session.available_on(partition, 0, from.max(1)),
            capacity - i64::from(from == 0),
            "{partition}"
        );
    }
}
