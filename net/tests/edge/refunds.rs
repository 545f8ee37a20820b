//! Refunds: listed page by page, settled once.

use engine::answer::{Answer, RefundStatus, Settlement};
use engine::command::{Command, RefundFilter};
use engine::ids::{Reference, Time};
use net::Service;

use crate::common::client::Client;
use crate::common::{Played, Server, samples};

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
