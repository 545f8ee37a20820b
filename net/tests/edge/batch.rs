//! Batches: what goes together, what waits, and what becomes of the rest where time or room is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use engine::answer::{Answer, OrderStatus, Rejection};
use engine::command::Command;
use engine::read_model::Reading;
use net::{Limits, Service};
use serde_json::{Value, json};

use crate::common::client::{Client, post};
use crate::common::{Played, Server, samples};

/// A limit that strikes at once.
const SHORT_MS: u64 = 30;

fn hold(partition: &str, hold: &str) -> Value {
    json!({"op": "hold", "partition_key": partition, "hold_id": hold, "qty": 1})
}

fn body(operations: &[Value]) -> String {
    json!({ "operations": operations }).to_string()
}

/// Status and code of each result.
fn results(client: &mut Client, operations: &[Value]) -> Vec<(i64, String)> {
    let reply = client.post("/v1/batch", &body(operations));
    assert_eq!(reply.status, 200, "{}", reply.body);
    let said = |result: &Value| {
        let code = result["body"]["code"].as_str().unwrap_or_default();
        (result["status"].as_i64().unwrap(), code.to_owned())
    };
    reply.json()["results"].as_array().unwrap().iter().map(said).collect()
}

/// The command in one word.
fn word(command: &Command) -> String {
    match command {
        Command::TryHold(c) => c.hold.as_str().to_owned(),
        Command::Reserve(_) => "reserve".into(),
        Command::Pay(_) => "pay".into(),
        Command::Cancel(_) => "cancel".into(),
        other => panic!("{other:?}"),
    }
}

fn order_or_hold(command: &Command) -> Played {
    Played::Reply(Ok(match command {
        Command::TryHold(_) => samples::held(),
        _ => Answer::Order(Box::new(samples::order(OrderStatus::Reserved))),
    }))
}

#[test]
fn what_is_about_one_order_or_partition_goes_one_after_the_other() {
    let server = Server::start();
    server.script.play(order_or_hold);
    let mut client = Client::connect(&server, Service::Gateway);
    let order = samples::ORDER;
    let operations = [
        json!({"op": "pay", "order_id": order, "provider_txn_id": "t", "status": "SUCCESS"}),
        json!({"op": "reserve", "order_id": order, "partition_key": "p"}),
        hold("p", "behind"),
        json!({"op": "cancel", "order_id": order}),
        hold("q", "beside"),
    ];
    assert_eq!(results(&mut client, &operations), vec![(200, String::new()); 5]);
    let asked: Vec<String> = server.script.asked().iter().map(|request| word(&request.command)).collect();
    assert_eq!(asked, ["pay", "beside", "reserve", "behind", "cancel"]);
}

#[test]
fn what_is_not_answered_in_time_is_said_in_its_place() {
    let server = Server::with_limits(Limits { request_ms: SHORT_MS, sweep_ms: 5, ..Limits::default() });
    server.script.play(|command| match word(command).as_str() {
        "hangs" => Played::Hang,
        _ => order_or_hold(command),
    });
    let mut client = Client::connect(&server, Service::Gateway);
    let order = samples::ORDER;
    let operations = [
        hold("p", "before"),
        hold("p", "hangs"),
        hold("p", "after"),
        json!({"op": "reserve", "order_id": order, "partition_key": "q"}),
        json!({"op": "cancel", "order_id": order}),
    ];
    let (ok, unknown, not_begun) = ((200, ""), (504, "outcome_unknown"), (503, "busy"));
    let expected = [ok, unknown, ok, ok, not_begun].map(|(status, code)| (status, code.to_owned()));
    assert_eq!(results(&mut client, &operations), expected);
    let asked: Vec<String> = server.script.asked().iter().map(|request| word(&request.command)).collect();
    assert_eq!(asked, ["before", "hangs", "after", "reserve"], "nothing of the rest is done");
    server.script.play(order_or_hold);
    assert_eq!(client.get("/healthz").status, 200, "the connection goes on");
}

#[test]
fn so_many_are_under_way_and_no_more() {
    let server = Server::with_limits(Limits { batches_max: 1, ..Limits::default() });
    let gate = Arc::new(AtomicBool::new(false));
    let opened = gate.clone();
    server.script.play(move |_| Played::After(gate.clone(), Ok(samples::held())));
    let mut first = Client::connect(&server, Service::Gateway);
    first.send(post("/v1/batch", &body(&[hold("p", "h")])));
    server.script.wait_for_hanging(1);
    let mut second = Client::connect(&server, Service::Gateway);
    let refused = second.post("/v1/batch", &body(&[hold("p", "h")]));
    assert_eq!(
        (refused.error().as_str(), refused.header("retry-after")),
        ("503 too many batches under way", Some("1"))
    );
    opened.store(true, Ordering::SeqCst);
    assert_eq!(first.read().status, 200);
    server.script.play(order_or_hold);
    assert_eq!(results(&mut second, &[hold("p", "h")]), [(200, String::new())]);
}

/// Cut off in its body, or gone while an operation is under way: its place among the batches is free again, at the latest when its time is
/// up, because who has closed one direction may still read.
#[test]
fn a_client_that_goes_away_leaves_its_place() {
    let limits = Limits { batches_max: 1, request_ms: SHORT_MS, sweep_ms: 5, ..Limits::default() };
    let server = Server::with_limits(limits);
    server.script.play(|command| match word(command).as_str() {
        "hangs" => Played::Hang,
        _ => order_or_hold(command),
    });
    let hanging = post("/v1/batch", &body(&[hold("p", "hangs")]));
    for cut_off in [5, 0] {
        let mut gone = Client::connect(&server, Service::Gateway);
        gone.send(&hanging[..hanging.len() - cut_off]);
        if cut_off == 0 {
            server.script.wait_for_hanging(1);
        }
        drop(gone);
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut next = Client::connect(&server, Service::Gateway);
        while next.post("/v1/batch", &body(&[hold("p", "h")])).status != 200 {
            assert!(Instant::now() < deadline, "its place is taken, with {cut_off} bytes cut off");
        }
    }
    let asked = server.script.asked();
    assert_eq!(
        asked.iter().filter(|request| word(&request.command) == "hangs").count(),
        1,
        "not half a batch"
    );
}

#[test]
fn refusals_are_worded_as_their_routes_word_them() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let reserve = json!({"op": "reserve", "order_id": samples::ORDER, "partition_key": "p"});
    for (rejection, at_hold, at_reserve) in [
        (Rejection::InsufficientStock, 400, 409),
        (Rejection::Busy, 503, 503),
        (Rejection::LogFull, 503, 503),
        (Rejection::SaleClosed, 409, 409),
    ] {
        server.script.reply(Err(rejection));
        let said = results(&mut client, &[hold("q", "h"), reserve.clone()]);
        assert_eq!((said[0].0, said[1].0), (at_hold, at_reserve), "{rejection:?}");
    }
    // An order that has left is looked up.
    server.script.reply(Err(Rejection::OrderNotFound));
    let mut cancelled = samples::order(OrderStatus::Cancelled);
    cancelled.cancel_reason = Some(engine::answer::CancelReason::Requested);
    server.script.answer_read(Ok(Reading::Order(Some(Box::new(cancelled)))));
    let cancel = json!({"op": "cancel", "order_id": samples::ORDER});
    let said = results(&mut client, &[cancel, hold("q", "h"), reserve]);
    assert_eq!(said.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 404, 409]);
    assert_eq!(server.script.questions().len(), 2);
}

/// More than what goes at a time, each with its own result.
#[test]
fn a_full_batch_goes_in_waves() {
    let server = Server::start();
    server.script.play(order_or_hold);
    let mut client = Client::connect(&server, Service::Gateway);
    let operations: Vec<Value> =
        (0..8_192).map(|nth| hold(&format!("p-{}", nth % 7), &format!("h-{nth}"))).collect();
    assert_eq!(results(&mut client, &operations), vec![(200, String::new()); 8_192]);
    let asked = server.script.asked();
    assert!(asked.iter().enumerate().all(|(nth, request)| word(&request.command) == format!("h-{nth}")));
}

/// Catches: an answer without bounds. What is not begun says so, and nothing of it is done.
#[test]
fn an_answer_that_is_too_long_ends_the_batch() {
    let server = Server::start();
    // 16 MiB are passed within the second wave.
    let seats = vec![engine::text::Text::from("0123456789abcdefgh"); 250];
    server.script.play(move |_| {
        let Answer::Partition(mut view) = samples::held() else { unreachable!("that is a hold") };
        view.hold.seats = seats.clone();
        Played::Reply(Ok(Answer::Partition(view)))
    });
    let mut client = Client::connect(&server, Service::Gateway);
    let operations: Vec<Value> = (0..8_192).map(|nth| hold("p", &format!("h-{nth}"))).collect();
    let said = results(&mut client, &operations);
    let done = said.iter().take_while(|(status, _)| *status == 200).count();
    assert_eq!(done, 2 * 2_048);
    assert!(said[done..].iter().all(|result| *result == (503, "busy".to_owned())));
    assert_eq!(server.script.asked().len(), done);
}
