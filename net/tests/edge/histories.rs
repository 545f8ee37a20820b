//! What was recorded of an order and of a run.

use engine::answer::{Answer, OrderStatus, Rejection};
use engine::ids::{HoldId, PartitionKey, SlotId};
use engine::read_model::{
    HistoryEvent, HistoryPage, HistoryPosition, HistoryQuestion, Question, Reading, Subject,
};
use engine::text::Text;
use net::limits::{HISTORY_PAGE_DEFAULT, HISTORY_PAGE_MAX};
use net::{Limits, Service};
use serde_json::json;

use crate::common::client::{Client, Reply};
use crate::common::{PlayedRead, Server, samples};

const RUN: &str = "/v1/trains/G123/2026-02-11/history";
/// The text of [`position`] of 7.
const SEVENTH: &str = "0000019c4bc01737005000000000000000700000001";

fn get(server: &Server, path: &str) -> Reply {
    Client::connect(server, Service::Gateway).get(path)
}

fn order_path(query: &str) -> String {
    format!("/v1/orders/{}/history{query}", samples::ORDER)
}

fn position(seq: u64) -> HistoryPosition {
    HistoryPosition { time: samples::MOMENT, slot: SlotId::new(5), seq, index: 1 }
}

/// An event that says no more than it must.
fn bare(seq: u64) -> HistoryEvent {
    HistoryEvent {
        position: position(seq),
        kind: Text::from("order_created"),
        partition: None,
        hold: None,
        order: None,
        quantity: None,
        seats: Vec::new(),
        from: None,
        to: None,
        reason: None,
        trace: Text::from(""),
    }
}

fn full(seq: u64) -> HistoryEvent {
    HistoryEvent {
        kind: Text::from("hold_made"),
        partition: Some(PartitionKey::parse(samples::DEFAULT_PARTITION).unwrap()),
        hold: Some(HoldId::parse("h\"1").unwrap()),
        order: Some(samples::order_id()),
        quantity: Some(2),
        seats: vec![Text::from("05-12A"), Text::from("05-12B")],
        from: Some(0),
        to: Some(3),
        reason: Some(Text::from("requested")),
        trace: Text::from("abc"),
        ..bare(seq)
    }
}

/// Answers from a history of so many events.
fn page(question: &HistoryQuestion, count: u64) -> Reading {
    let after = question.after.map_or(0, |after| after.seq);
    let events: Vec<HistoryEvent> = (after + 1..=count).map(bare).take(question.limit).collect();
    let next = events.last().filter(|last| last.position.seq < count).map(|last| last.position);
    Reading::History(HistoryPage { events, next })
}

#[test]
fn an_event_has_the_fields_that_mean_something() {
    let server = Server::start();
    server.script.set_lag_ms(5);
    let page = HistoryPage { events: vec![bare(6), full(7)], next: Some(position(7)) };
    server.script.answer_read(Ok(Reading::History(page)));
    let reply = get(&server, RUN);
    assert_eq!((reply.status, reply.header("x-read-model-lag-ms")), (200, Some("5")));
    let expected = json!({
        "events": [
            {
                "position": SEVENTH.replace("700000001", "600000001"),
                "time": "2026-02-11T08:10:06.007Z",
                "kind": "order_created",
            },
            {
                "position": SEVENTH,
                "time": "2026-02-11T08:10:06.007Z",
                "kind": "hold_made",
                "partition_key": samples::DEFAULT_PARTITION,
                "hold_id": "h\"1",
                "order_id": samples::ORDER,
                "qty": 2,
                "seats": ["05-12A", "05-12B"],
                "from_index": 0,
                "to_index": 3,
                "reason": "requested",
                "trace_id": "abc",
            },
        ],
        "next": SEVENTH,
    });
    assert_eq!(reply.json(), expected);
}

#[test]
fn a_history_is_asked_for_by_its_subject() {
    let server = Server::start();
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Paid)))));
    let check = |path: &str, subject: Subject, after: Option<HistoryPosition>, limit: usize| {
        let reply = get(&server, path);
        assert_eq!((reply.status, &*reply.body), (200, r#"{"events":[]}"#), "{path}");
        let expected = Question::History(HistoryQuestion { subject, after, limit });
        assert_eq!(server.script.questions(), [expected], "{path}");
    };
    let run = |train: &str| Subject::Run { train: Text::from(train), date: Text::from("2026-02-11") };
    let order = || Subject::Order(samples::order_id());
    check(RUN, run("G123"), None, HISTORY_PAGE_DEFAULT);
    check("/v1/trains/D1%2F2/2026-02-11/history?after=&limit=", run("D1/2"), None, HISTORY_PAGE_DEFAULT);
    check("/v1/trains/G%201+/2026-02-11/history?limit=1", run("G 1+"), None, 1);
    check(&format!("{RUN}?after={SEVENTH}&limit=1000"), run("G123"), Some(position(7)), HISTORY_PAGE_MAX);
    check(&order_path(""), order(), None, HISTORY_PAGE_DEFAULT);
    check(&order_path(&format!("?after={SEVENTH}")), order(), Some(position(7)), HISTORY_PAGE_DEFAULT);
    let encoded = samples::ORDER.replace('-', "%2D");
    check(&format!("/v1/orders/{encoded}/history"), order(), None, HISTORY_PAGE_DEFAULT);
}

#[test]
fn histories_are_read_page_by_page() {
    let server = Server::start();
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Paid)))));
    server.script.play_read(|question| {
        let Question::History(question) = question else { panic!("another question: {question:?}") };
        PlayedRead::Answer(Ok(page(question, 5)))
    });
    for path in [RUN.to_owned(), order_path("")] {
        let (mut seen, mut next) = (Vec::new(), String::new());
        loop {
            let page = get(&server, &format!("{path}?limit=2&after={next}")).json();
            let events = page["events"].as_array().unwrap();
            seen.extend(events.iter().map(|event| event["position"].as_str().unwrap().to_owned()));
            let Some(after) = page.get("next") else { break };
            assert_eq!(
                after.as_str(),
                seen.last().map(|last| &**last),
                "a page goes on behind its last event"
            );
            next = after.as_str().unwrap().to_owned();
        }
        seen.dedup();
        assert_eq!(seen.len(), 5, "{path}");
    }
}

#[test]
fn an_order_that_nobody_knows_has_no_history() {
    let server = Server::start();
    for id in ["export", "nobody", "%zz", "00512345-6789-8BCD-af01-23456789abcd", &"x".repeat(300)] {
        let reply = get(&server, &format!("/v1/orders/{id}/history"));
        assert_eq!((&*reply.error(), &*reply.code()), ("404 order not found", "order_not_found"), "{id}");
    }
    assert!(server.script.questions().is_empty() && server.script.asked().is_empty(), "nobody is asked");
    assert_eq!(get(&server, &order_path("")).error(), "404 order not found");
    assert_eq!(server.script.questions(), [Question::Order(samples::order_id())]);
    for query in ["?after=x", "?limit=0", "?limit=1001", "?limit=%zz"] {
        assert_eq!(get(&server, &order_path(query)).status, 400, "{query}");
    }
    assert_eq!(get(&server, "/v1/trains/G%zz/2026-02-11/history").error(), "404 train not found");
}

#[test]
fn an_order_that_has_left_the_engine_still_has_its_history() {
    let server = Server::start();
    server.script.play_read(|question| {
        PlayedRead::Answer(Ok(match question {
            Question::Order(_) => Reading::Order(Some(Box::new(samples::order(OrderStatus::Cancelled)))),
            Question::History(question) => page(question, 3),
            Question::Orders(_) | Question::Payment { .. } | Question::Refunds(_) => panic!("nobody asks"),
        }))
    });
    let history = get(&server, &order_path("")).json();
    assert_eq!(history["events"].as_array().unwrap().len(), 3);
    server.script.reply(Err(Rejection::Busy));
    assert_eq!(get(&server, &order_path("")).error(), "503 busy", "the engine's other refusals stand");
}

/// The engine's answer and both of the read model's share the request's time.
#[test]
fn a_history_that_does_not_come_in_time_is_a_timeout() {
    let server = Server::with_limits(Limits { request_ms: 30, sweep_ms: 5, ..Limits::default() });
    server.script.play_read(|_| PlayedRead::Hang);
    assert_eq!(get(&server, &order_path("")).code(), "timeout");
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Paid)))));
    assert_eq!(get(&server, &order_path("")).code(), "timeout");
}
