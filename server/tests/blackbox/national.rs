//! A real national timetable: loaded whole, searched, and sold across midnight.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use testkit::national_feed;

use crate::sell::Run;
use crate::support::http::encode;
use crate::support::session::{list, number, text, texts};
use crate::support::time::{rfc3339_ms, tomorrow};
use crate::support::{Launch, Port, Session};

/// A night train of the feed on a date, read by the test itself.
#[derive(Debug)]
struct NightTrain {
    train: String,
    date: String,
    /// Station code and the text of its arrival and departure times.
    stops: Vec<(String, String, String)>,
    /// The first stop that it reaches after midnight.
    after_midnight: usize,
}

/// The feed, on sale.
fn feed() -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let weeks = national_feed::weeks_to_next_month(jiff::Zoned::now().date());
    national_feed::unpack(dir.path(), weeks).expect("the feed");
    dir
}

/// The rows of a table. No field of this feed is quoted.
fn table(dir: &Path, name: &str) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(dir.join(name)).expect("a table of the feed");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let row =
        |line: &str| header.iter().map(|h| (*h).to_owned()).zip(line.split(',').map(str::to_owned)).collect();
    lines.map(row).collect()
}

/// A train with a `/` in its number that runs across midnight, with at least two stops before it and three after.
fn night_train(dir: &Path) -> NightTrain {
    let mut times: BTreeMap<String, Vec<(usize, String, String, String)>> = BTreeMap::new();
    for row in table(dir, "stop_times.txt") {
        let sequence = row["stop_sequence"].parse().expect("a number");
        let stop =
            (sequence, row["stop_id"].clone(), row["arrival_time"].clone(), row["departure_time"].clone());
        times.entry(row["trip_id"].clone()).or_default().push(stop);
    }
    let tomorrow = tomorrow().replace('-', "");
    for trip in table(dir, "trips.txt") {
        let train = &trip["trip_short_name"];
        let Some(stops) = times.get_mut(&trip["trip_id"]).filter(|_| train.contains('/')) else { continue };
        stops.sort();
        let after = stops.iter().position(|(_, _, arrival, _)| arrival.as_str() >= "24:00:00");
        let distinct: BTreeSet<&String> = stops.iter().map(|(_, station, ..)| station).collect();
        let Some(after_midnight) =
            after.filter(|&a| a >= 2 && a + 2 < stops.len() && distinct.len() == stops.len())
        else {
            continue;
        };
        // Its first listed date on which it can still be bought.
        let dates = table(dir, "calendar_dates.txt");
        let mut dates =
            dates.iter().filter(|d| d["service_id"] == trip["service_id"] && d["exception_type"] == "1");
        let Some(date) = dates.find(|d| d["date"].as_str() > tomorrow.as_str()).map(|d| &d["date"]) else {
            continue;
        };
        return NightTrain {
            train: train.clone(),
            date: format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]),
            stops: stops.iter().map(|(_, s, a, d)| (s.clone(), a.clone(), d.clone())).collect(),
            after_midnight,
        };
    }
    panic!("the feed has no night train with a / in its number");
}

/// Milliseconds since the epoch of a feed's time on a date, in China's zone.
fn moment(date: &str, time: &str) -> i64 {
    let parts: Vec<i64> = time.split(':').map(|p| p.parse().expect("a number")).collect();
    rfc3339_ms(&format!("{date}T00:00:00+08:00")) + (parts[0] * 3_600 + parts[1] * 60 + parts[2]) * 1_000
}

/// Catches: a feed that does not load whole, or is read wrongly: stations lost, times past midnight on the wrong day,
/// a number with `/` that cannot be asked for, searched or sold; what was sold of it gone after a crash.
#[test]
fn the_national_timetable_is_sold() {
    let feed = feed();
    let dir = feed.path();
    let night = night_train(dir);
    println!("sold is {} of {}", night.train, night.date);
    let server = Launch::new().cores(2).args(&["--timetable", &dir.display().to_string()]).start();
    let mut session = server.session();
    assert_eq!(stations(&mut session), table(dir, "stops.txt").len());
    let by_name = session.get(Port::Gateway, &format!("/v1/stations?q={}", encode("北京南"))).ok();
    assert_eq!(list(&by_name, "stations")[0]["code"], "VNP");

    let run = Run::read(&mut session, &night.train, &night.date);
    assert_eq!(run.stops, night.stops.iter().map(|(code, ..)| code.clone()).collect::<Vec<_>>());
    let shown =
        session.get(Port::Gateway, &format!("/v1/trains/{}/{}", encode(&night.train), night.date)).ok();
    for (stop, (_, arrival, departure)) in list(&shown, "stops").iter().zip(&night.stops) {
        for (field, time) in [("arrives_at", arrival), ("departs_at", departure)] {
            if let Some(at) = stop[field].as_str() {
                assert_eq!(rfc3339_ms(at), moment(&night.date, time), "{stop}");
            }
        }
    }

    let (from, to) = (1, night.after_midnight + 1);
    let path = format!(
        "/v1/trains?from={}&to={}&date={}",
        encode(&night.stops[from].0),
        encode(&night.stops[to].0),
        night.date
    );
    let found = session.get(Port::Gateway, &path).ok();
    let entry = list(&found, "trains").iter().find(|t| t["train"] == night.train.as_str());
    let entry = entry.unwrap_or_else(|| panic!("{} is not found: {found}", night.train));
    assert_eq!((number(entry, "from_index"), number(entry, "to_index")), (from as i64, to as i64));
    assert_eq!(rfc3339_ms(text(entry, "departs_at")), moment(&night.date, &night.stops[from].2));
    assert_eq!(rfc3339_ms(text(entry, "arrives_at")), moment(&night.date, &night.stops[to].1));

    let (partition, _, capacity) = &run.classes[0];
    let id = session.new_order("national");
    let body =
        json!({"order_id": id, "partition_key": partition, "qty": 2, "from_index": from, "to_index": to});
    let seats = texts(&session.reserve(&body).ok(), "Seats");
    session.pay(&id, "national").ok();
    let ticketed = session.until_ticketed(&id);
    assert_eq!(texts(&ticketed, "Seats"), seats);
    let sold = |session: &mut Session| {
        assert_eq!(session.available_on(partition, from, to), capacity - 2);
        assert_eq!(session.available_on(partition, 0, from), *capacity);
        assert_eq!(session.available_on(partition, to, run.stops.len() - 1), *capacity);
    };
    sold(&mut session);
    let server = server.kill().start();
    let mut session = server.session();
    assert_eq!(session.order(&id), ticketed);
    sold(&mut session);
}

/// How many stations there are, page by page.
fn stations(session: &mut Session) -> usize {
    let mut codes = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = session.get(Port::Gateway, &format!("/v1/stations?limit=100{after}")).ok();
        let before = codes.len();
        codes.extend(list(&page, "stations").iter().map(|s| text(s, "code").to_owned()));
        match page["next"].as_str() {
            Some(next) if codes.len() > before => after = format!("&after={}", encode(next)),
            _ => return codes.len(),
        }
    }
}
