//! Refunds: listed page by page, settled once.

use engine::answer::{Answer, RefundStatus, RefundView, Rejection, Settlement};
use engine::command::{Command, RefundFilter};
use engine::ids::{Reference, Time};
use engine::read_model::{Question, Reading};
use net::Service;

use crate::common::client::Client;
use crate::common::{Played, PlayedRead, Server, samples};

#[test]
fn refunds_are_listed_page_by_page() {
    let server = Server::start();
    server.script.play(|command| {
        let Command::ListRefunds(list) = command else { panic!("another command") };
        let after = list.after.map_or(0, |cursor| cursor.number);
        let all = (after + 1..=5).map(samples::refund).take(list.limit).collect();
        Played::Reply(Ok(Answer::Refunds(all)))
    });
    let mut client = Client::connect(&server, Service::Gateway);
    let (mut seen, mut path) = (Vec::new(), "/v1/refunds?limit=2".to_owned());
    loop {
        let page = client.get(&path).json();
        let refunds = page["refunds"].as_array().unwrap();
        assert!(refunds.len() <= 2);
        seen.extend(refunds.iter().map(|refund| refund["provider_txn_id"].as_str().unwrap().to_owned()));
        let Some(next) = page.get("next") else { break };
        path = format!("/v1/refunds?limit=2&after={}", next.as_str().unwrap());
    }
    assert_eq!(seen, ["t-1", "t-2", "t-3", "t-4", "t-5"]);
}

#[test]
fn a_listing_may_be_of_one_kind() {
    let server = Server::start();
    server.script.reply(Ok(Answer::Refunds(Vec::new())));
    let mut client = Client::connect(&server, Service::Gateway);
    for (query, filter) in [
        ("", None),
        ("?status=", None),
        ("?status=required", Some(RefundFilter::Required)),
        ("?status=settled", Some(RefundFilter::Settled)),
        ("?status=unmatched", Some(RefundFilter::Unmatched)),
    ] {
        assert_eq!(client.get(&format!("/v1/refunds{query}")).body, r#"{"refunds":[]}"#, "{query}");
        let Command::ListRefunds(list) = server.script.command() else { panic!("another command") };
        assert_eq!((list.status, list.after, list.limit), (filter, None, 101), "{query}");
    }
    client.get("/v1/refunds?limit=99999999");
    let Command::ListRefunds(list) = server.script.command() else { panic!("another command") };
    assert_eq!(list.limit, engine::limits::REFUNDS_PAGE_MAX, "a page has an end");
}

#[test]
fn a_refund_is_settled_under_a_reference() {
    let server = Server::start();
    let mut settled = samples::refund(1);
    settled.status = RefundStatus::Settled;
    let reference = Reference::parse("bank-7").unwrap();
    settled.settled = Some(Settlement { reference, at: Time(0) });
    server.script.reply(Ok(Answer::Refund(Box::new(settled))));
    let mut client = Client::connect(&server, Service::Gateway);
    let body = r#"{"order_id":"anything","provider_txn_id":"t-1","reference":"bank-7"}"#;
    let reply = client.post("/v1/refunds/settle", body);
    let expected = serde_json::json!({
        "order_id": samples::ORDER,
        "provider_txn_id": "t-1",
        "amount_cents": 12300,
        "reason": "hold_expired",
        "status": "settled",
        "created_at": "2026-02-11T08:10:06.007Z",
        "reference": "bank-7",
        "settled_at": "1970-01-01T00:00:00.000Z",
    });
    assert_eq!(reply.json(), expected);
    let Command::SettleRefund { order, txn, reference } = server.script.command() else { panic!() };
    assert_eq!((order.as_str(), txn.as_str(), reference.as_str()), ("anything", "t-1", "bank-7"));
}

fn settled(number: u64, reference: &str) -> RefundView {
    let settled = Some(Settlement { reference: Reference::parse(reference).unwrap(), at: Time(7) });
    RefundView { status: RefundStatus::Settled, settled, ..samples::refund(number) }
}

/// The engine has 2 and 4, the read model what is settled, the one that the engine has as well. Each comes once, in order, and the engine's word wins.
#[test]
fn settled_refunds_that_have_left_are_listed_among_the_others() {
    let server = Server::start();
    server.script.play(|command| {
        let Command::ListRefunds(list) = command else { panic!("another command") };
        let after = list.after.map_or(0, |cursor| cursor.number);
        let all = [samples::refund(2), settled(4, "engine")];
        let rest = all.into_iter().filter(|refund| refund.cursor.number > after);
        Played::Reply(Ok(Answer::Refunds(rest.take(list.limit).collect())))
    });
    server.script.play_read(|question| {
        let Question::Refunds(question) = question else { panic!("another question") };
        let after = question.after.map_or(0, |cursor| cursor.number);
        let all = [1, 3, 4, 5].map(|number| settled(number, "table"));
        let rest = all.into_iter().filter(|refund| refund.cursor.number > after);
        PlayedRead::Answer(Ok(Reading::Refunds(rest.take(question.limit).collect())))
    });
    let mut client = Client::connect(&server, Service::Gateway);
    let (mut seen, mut path) = (Vec::new(), "/v1/refunds?limit=2".to_owned());
    loop {
        let page = client.get(&path).json();
        let refunds = page["refunds"].as_array().unwrap();
        let line = |refund: &serde_json::Value| {
            format!(
                "{} {}",
                refund["provider_txn_id"].as_str().unwrap(),
                refund["reference"].as_str().unwrap_or("-")
            )
        };
        seen.extend(refunds.iter().map(line));
        let Some(next) = page.get("next") else { break };
        path = format!("/v1/refunds?limit=2&after={}", next.as_str().unwrap());
    }
    assert_eq!(seen, ["t-1 table", "t-2 -", "t-3 table", "t-4 engine", "t-5 table"]);
    server.script.questions();
    client.get("/v1/refunds?status=required");
    assert!(server.script.questions().is_empty(), "what is owed the engine has");
}

#[test]
fn a_refund_that_has_left_is_settled_as_it_was() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Gateway);
    let body =
        |reference: &str| format!(r#"{{"order_id":"o","provider_txn_id":"t","reference":"{reference}"}}"#);
    for (left, reference, expected) in [
        (vec![settled(1, "bank-7")], "bank-7", 200),
        (vec![settled(1, "bank-7")], "bank-8", 409),
        (vec![], "bank-7", 404),
    ] {
        server.script.reply(Err(Rejection::RefundNotFound));
        server.script.play_read(move |_| PlayedRead::Answer(Ok(Reading::Refunds(left.clone()))));
        assert_eq!(client.post("/v1/refunds/settle", &body(reference)).status, expected, "{reference}");
    }
}
