//! Stations and trains: the timetable's word, and the engine's where a run was opened.

use std::sync::Arc;

use engine::Span;
use engine::answer::{Answer, ClassView, Rejection, RunView};
use engine::catalogue::{LocalTime, RunDefinition, Stop};
use engine::command::{Command, RunQuery};
use engine::ids::{PartitionKey, Time};
use engine::text::Text;
use net::Service;
use serde_json::{Value, json};

use crate::common::client::{Client, Reply};
use crate::common::{Played, Server, samples};

/// No partition of any run was opened.
fn unopened() -> Server {
    let server = Server::start();
    server.script.play(|command| Played::Reply(samples::unopened_run(run_of(command))));
    server
}

fn get(server: &Server, path: &str) -> Reply {
    Client::connect(server, Service::Gateway).get(path)
}

fn class(key: &str, available: u32) -> ClassView {
    let partition = PartitionKey::parse(key).unwrap();
    ClassView { partition, capacity: 10, available, coaches: vec![(Text::from("01"), 10)] }
}

/// A run as it was opened: stops an hour apart, from six in the morning.
fn opened(codes: &[&str], classes: Vec<ClassView>) -> RunView {
    let stops = codes.iter().zip(0i64..).map(|(code, hour)| {
        let time = LocalTime { unix_secs: 1_770_760_800 + hour * 3600, offset_secs: 8 * 3600 };
        let code = (*code).to_owned();
        let (name, at) = (format!("Old {code}"), Some(time));
        Stop { name, code, arrives_at: at, departs_at: at, board: true, alight: true }
    });
    let definition = RunDefinition { stops: stops.collect(), ends_at: Time(0) };
    RunView { is_closed: false, run: Arc::new(definition), classes }
}

fn run_of(command: &Command) -> &RunQuery {
    let Command::Run(run) = command else { panic!("another command: {command:?}") };
    run
}

fn names(reply: &Value, list: &str, field: &str) -> Vec<String> {
    let entries = reply[list].as_array().unwrap();
    entries.iter().map(|entry| entry[field].as_str().unwrap().to_owned()).collect()
}

#[test]
fn stations_are_found_by_code_and_name_and_paged() {
    let server = unopened();
    let find = |query: &str| get(&server, &format!("/v1/stations{query}")).json();
    assert_eq!(find("?q=BJ"), json!({"stations": [{"code": "BJS", "name": "Beijing South"}]}));
    assert_eq!(names(&find("?q=hongqiao"), "stations", "code"), ["SHH"]);
    assert_eq!(find("?q=nowhere"), json!({"stations": []}));
    let all = names(&find(""), "stations", "code");
    assert!(all.is_sorted() && all.len() > 5, "{all:?}");
    let (mut seen, mut query) = (Vec::new(), "?limit=3".to_owned());
    loop {
        let page = find(&query);
        seen.extend(names(&page, "stations", "code"));
        let Some(next) = page.get("next") else { break };
        query = format!("?limit=3&after={}", next.as_str().unwrap());
    }
    assert_eq!(seen, all);
}

#[test]
fn trains_between_two_stations_are_listed_by_departure() {
    let server = unopened();
    let reply = get(&server, "/v1/trains?from=BJS&to=Shanghai%20Hongqiao&date=2026-02-11").json();
    assert_eq!(reply["date"], "2026-02-11");
    assert_eq!(reply["from"], json!({"code": "BJS", "name": "Beijing South"}));
    assert_eq!(reply["to"], json!({"code": "SHH", "name": "Shanghai Hongqiao"}));
    assert_eq!(names(&reply, "trains", "train"), ["G1", "G7", "G31", "D301"]);
    let first = &reply["trains"][0];
    assert_eq!((&first["from_index"], &first["to_index"]), (&json!(0), &json!(3)));
    assert_eq!(first["departs_at"], "2026-02-11T07:00:00+08:00");
    assert_eq!(first["arrives_at"], "2026-02-11T11:20:00+08:00");
    assert_eq!(reply["trains"][3]["arrives_at"], "2026-02-12T06:45:00+08:00");
    let classes = first["classes"].as_array().unwrap();
    assert!(classes.iter().any(|class| class["partition_key"] == "G1|2026-02-11|2nd"), "{classes:?}");
    assert!(classes.iter().all(|class| class["available"] == class["capacity"]), "{classes:?}");
    let asked = server.script.asked();
    assert_eq!(asked.len(), 4, "each run is asked about once");
    assert!(asked.iter().any(|asked| run_of(&asked.command).span == Span::new(0, 3)));
}

#[test]
fn a_run_that_calls_twice_offers_the_last_way() {
    let server = unopened();
    let reply = get(&server, "/v1/trains?from=SZN&to=SHH&date=2026-02-11").json();
    let trains = reply["trains"].as_array().unwrap();
    let ring = trains.iter().find(|train| train["train"] == "C801/C804").unwrap();
    assert_eq!((&ring["from_index"], &ring["to_index"]), (&json!(6), &json!(7)), "{ring}");
}

#[test]
fn a_class_shows_what_the_engine_says_is_left() {
    let server = Server::start();
    server.script.play(|command| {
        let mut reply = samples::unopened_run(run_of(command));
        let Ok(Answer::Run(view)) = &mut reply else { panic!("not a run: {reply:?}") };
        let sold = view.classes.iter_mut().find(|class| class.partition.as_str() == "G1|2026-02-11|2nd");
        if let Some(sold) = sold {
            (sold.capacity, sold.available) = (10, 4);
        }
        Played::Reply(reply)
    });
    let reply = get(&server, "/v1/trains?from=BJS&to=SHH&date=2026-02-11").json();
    let classes = reply["trains"][0]["classes"].as_array().unwrap();
    let second = classes.iter().find(|class| class["class"] == "2nd").unwrap();
    assert_eq!((&second["capacity"], &second["available"]), (&json!(10), &json!(4)));
    assert!(
        classes
            .iter()
            .filter(|class| class["class"] != "2nd")
            .all(|class| class["available"] == class["capacity"])
    );
}

#[test]
fn the_stops_of_an_opened_run_count_and_not_the_feeds() {
    let server = Server::start();
    server.script.play(|command| {
        let run = run_of(command);
        if run.train.as_str() != "G1" {
            return Played::Reply(samples::unopened_run(run));
        }
        // Opened with one stop more before Shanghai.
        let available = if run.span == Span::new(0, 4) { 3 } else { 9 };
        let stops = ["BJS", "JNW", "NJS", "WXE", "SHH"];
        Played::Reply(Ok(Answer::Run(opened(&stops, vec![class("G1|2026-02-11|2nd", available)]))))
    });
    let reply = get(&server, "/v1/trains?from=BJS&to=SHH&date=2026-02-11").json();
    let trains = reply["trains"].as_array().unwrap();
    let train = trains.iter().find(|train| train["train"] == "G1").unwrap();
    assert_eq!((&train["from_index"], &train["to_index"]), (&json!(0), &json!(4)));
    assert_eq!(train["arrives_at"], "2026-02-11T10:00:00+08:00");
    let classes = train["classes"].as_array().unwrap();
    assert!(
        classes.iter().any(|class| class["available"] == 3),
        "availability is of the span it has now: {train}"
    );
}

/// What a search between Beijing and Shanghai says of a run that was opened by another feed: its indexes.
fn ends_on(opened: RunView, date: &str) -> Option<(u64, u64)> {
    let server = Server::start();
    server.script.play(move |command| {
        let run = run_of(command);
        let is_it = run.train.as_str() == "G1" && run.date.as_str() == "2026-02-11";
        Played::Reply(if is_it { Ok(Answer::Run(opened.clone())) } else { samples::unopened_run(run) })
    });
    let reply = get(&server, &format!("/v1/trains?from=BJS&to=SHH&date={date}")).json();
    let trains = reply["trains"].as_array().unwrap();
    let train = trains.iter().find(|train| train["train"] == "G1")?;
    Some((train["from_index"].as_u64().unwrap(), train["to_index"].as_u64().unwrap()))
}

#[test]
fn an_opened_run_that_calls_twice_goes_by_the_searchs_own_rule() {
    let key = "G1|2026-02-11|2nd";
    let mut view = opened(&["BJS", "SHH", "BJS", "SHH", "SHH"], vec![class(key, 1)]);
    let mut ends = |change: &dyn Fn(&mut [Stop])| {
        change(&mut Arc::make_mut(&mut view.run).stops);
        ends_on(view.clone(), "2026-02-11")
    };
    assert_eq!(ends(&|_| ()), Some((2, 3)), "the last boarding, then the first arrival");
    assert_eq!(ends(&|stops| stops[3].alight = false), Some((2, 4)), "nobody may get off at stop 3");
    assert_eq!(ends(&|stops| stops[2].board = false), Some((0, 1)), "nor on at stop 2");
    assert_eq!(ends(&|stops| stops[0].board = false), None, "nor at stop 0");
}

#[test]
fn an_opened_run_is_offered_on_the_day_on_which_it_departs() {
    let mut view = opened(&["BJS", "SHH"], vec![class("G1|2026-02-11|2nd", 1)]);
    assert_eq!(ends_on(view.clone(), "2026-02-11"), Some((0, 1)));
    let departure = &mut Arc::make_mut(&mut view.run).stops[0].departs_at;
    // A quarter to midnight before: the 10th in Beijing, whatever the day elsewhere.
    *departure = Some(LocalTime { unix_secs: 1_770_738_300, offset_secs: 8 * 3600 });
    assert_eq!(ends_on(view, "2026-02-11"), None);
}

#[test]
fn a_run_opened_with_fewer_stops_is_asked_again() {
    let server = Server::start();
    server.script.play(|command| {
        let run = run_of(command);
        let stops = if run.train.as_str() == "G1" { &["BJS", "SHH"][..] } else { &["BJS"][..] };
        // A span that leaves the run offers nothing.
        let available = if run.span == Span::new(0, 1) { 5 } else { 0 };
        Played::Reply(Ok(Answer::Run(opened(stops, vec![class("G1|2026-02-11|2nd", available)]))))
    });
    let reply = get(&server, "/v1/trains?from=BJS&to=SHH&date=2026-02-11").json();
    assert_eq!(names(&reply, "trains", "train"), ["G1"], "runs that no longer make the journey are left out");
    let train = &reply["trains"][0];
    assert_eq!(train["to_index"], 1);
    assert!(train["classes"].as_array().unwrap().iter().any(|class| class["available"] == 5), "{train}");
}

#[test]
fn a_train_is_shown_with_its_stops_and_coaches() {
    let server = unopened();
    let reply = get(&server, "/v1/trains/C801%2FC804/2026-02-11").json();
    assert_eq!((&reply["train"], &reply["date"]), (&json!("C801/C804"), &json!("2026-02-11")));
    let stops = names(&reply, "stops", "code");
    assert_eq!(stops, ["SZN", "SHH", "JXS", "HZE", "HUZ", "NJS", "SZN", "SHH"]);
    let second = json!({
        "index": 1,
        "code": "SHH",
        "name": "Shanghai Hongqiao",
        "arrives_at": "2026-02-11T09:40:00+08:00",
        "departs_at": "2026-02-11T09:43:00+08:00",
        "board": true,
        "alight": true,
    });
    assert_eq!(reply["stops"][1], second);
    for class in reply["classes"].as_array().unwrap() {
        let coaches = class["coaches"].as_array().unwrap();
        let seats: u64 = coaches.iter().map(|coach| coach["seats"].as_u64().unwrap()).sum();
        assert_eq!(class["capacity"], seats, "{class}");
        assert_eq!(class["available"], seats, "{class}");
    }
    let run = server.script.command();
    assert_eq!(run_of(&run).key(), "C801/C804|2026-02-11");
}

#[test]
fn a_stop_says_whether_it_may_be_boarded_and_left() {
    let server = Server::start();
    let mut view = opened(&["BJS", "JNW", "SHH"], Vec::new());
    let stops = &mut Arc::make_mut(&mut view.run).stops;
    (stops[0].alight, stops[1].board, stops[2].board) = (false, false, false);
    server.script.reply(Ok(Answer::Run(view)));
    let reply = get(&server, "/v1/trains/G1/2026-02-11").json();
    let flags = |stop: &Value| (stop["board"].as_bool().unwrap(), stop["alight"].as_bool().unwrap());
    let shown: Vec<_> = reply["stops"].as_array().unwrap().iter().map(flags).collect();
    assert_eq!(shown, [(true, false), (false, true), (false, true)]);
}

#[test]
fn an_opened_train_is_shown_as_it_was_opened() {
    let server = Server::start();
    let classes = vec![class("G1|2026-02-11|2nd", 4), class("G1|2026-02-11|dining", 1)];
    server.script.reply(Ok(Answer::Run(opened(&["BJS", "SHH"], classes.clone()))));
    let reply = get(&server, "/v1/trains/G1/2026-02-11").json();
    assert_eq!(names(&reply, "stops", "name"), ["Old BJS", "Old SHH"]);
    let shown = names(&reply, "classes", "class");
    assert!(shown.contains(&"2nd".to_owned()) && shown.last().unwrap() == "dining", "{shown:?}");

    server.script.reply(Ok(Answer::Run(opened(&["A", "B"], classes))));
    let gone = get(&server, "/v1/trains/X9/2026-02-11");
    assert_eq!(gone.status, 200, "a run that was sold outlives the feed: {gone:?}");
    assert_eq!(names(&gone.json(), "classes", "class"), ["2nd", "dining"]);
}

#[test]
fn what_is_unknown_or_no_date_is_said() {
    let server = unopened();
    for (path, expected) in [
        ("/v1/trains", "400 from, to and date are required"),
        ("/v1/trains?from=BJS&to=SHH&date=", "400 from, to and date are required"),
        ("/v1/trains?from=BJS&to=SHH&date=2026-2-11", "400 invalid date"),
        ("/v1/trains?from=BJS&to=SHH&date=20260211", "400 invalid date"),
        ("/v1/trains?from=BJS&to=SHH&date=2026-02-30", "400 invalid date"),
        ("/v1/trains?from=XXX&to=SHH&date=2026-02-11", "404 station not found"),
        ("/v1/trains?from=BJS&to=XXX&date=2026-02-11", "404 station not found"),
        ("/v1/trains?from=BJS&to=SHH&date=1999-01-01", "404 date not found"),
        ("/v1/trains/X9/2026-02-11", "404 train not found"),
        ("/v1/trains/G1/1999-01-01", "404 date not found"),
        ("/v1/trains/G1/tomorrow", "400 invalid date"),
        ("/v1/trains/G%zz/2026-02-11", "404 train not found"),
    ] {
        assert_eq!(get(&server, path).error(), expected, "{path}");
    }
    let none = get(&server, "/v1/trains?from=SHH&to=SHH&date=2026-02-11").json();
    assert_eq!(none["trains"], json!([]), "no train goes from a station to itself");
}

#[test]
fn a_refusal_of_one_run_is_the_answer() {
    let server = Server::start();
    server.script.reply(Err(Rejection::Busy));
    for path in ["/v1/trains?from=BJS&to=SHH&date=2026-02-11", "/v1/trains/G1/2026-02-11"] {
        assert_eq!(get(&server, path).error(), "503 busy", "{path}");
    }
}
