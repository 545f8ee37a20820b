//! Payment callbacks: who may send them and what they have to say.

use engine::answer::{Answer, OrderStatus, RefundReason, Rejection};
use engine::command::{Command, Found, LookedUp};
use engine::ids::Time;
use engine::read_model::{Question, Reading, Unavailable};
use net::signature::SignKey;
use net::{Limits, Service};

use crate::common::client::Client;
use crate::common::{Played, PlayedRead, Server, samples};

const PATH: &str = "/payments/callback";

fn server(key: Option<&str>) -> Server {
    let server = Server::with(Limits::default(), key);
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Paid)))));
    server
}

fn body(status: &str, signature: &str) -> String {
    format!(r#"{{"order_id":"o-1","provider_txn_id":"t-1","status":"{status}","signature":"{signature}"}}"#)
}

#[test]
fn a_good_signature_pays_whatever_its_case_and_blanks() {
    let server = server(Some("secret"));
    let good = SignKey::new(b"secret").sign("o-1", "t-1", "SUCCESS");
    let mut client = Client::connect(&server, Service::Orders);
    for (status, signature) in [
        ("SUCCESS", good.clone()),
        ("success", good.clone()),
        ("Success", good.to_uppercase()),
        ("SUCCESS", format!("  {good}\\n")),
    ] {
        let reply = client.post(PATH, &body(status, &signature));
        assert_eq!(reply.status, 200, "{status} {signature:?}: {}", reply.body);
        let Command::Pay(pay) = server.script.command() else { panic!("another command") };
        assert_eq!((pay.order.as_str(), pay.txn.as_str(), pay.verified), ("o-1", "t-1", true));
    }
}

#[test]
fn any_other_signature_is_refused_before_the_engine_is_asked() {
    let server = server(Some("secret"));
    let other = SignKey::new(b"other").sign("o-1", "t-1", "SUCCESS");
    let of_failure = SignKey::new(b"secret").sign("o-1", "t-1", "FAILED");
    let mut client = Client::connect(&server, Service::Orders);
    for signature in ["", "00", "zz", &other, &of_failure] {
        let reply = client.post(PATH, &body("SUCCESS", signature));
        assert_eq!(reply.error(), "401 invalid payment signature", "{signature:?}");
        assert_eq!(reply.code(), "invalid_signature");
    }
    let unsigned = r#"{"order_id":"o-1","provider_txn_id":"t-1","status":"SUCCESS"}"#;
    assert_eq!(client.post(PATH, unsigned).status, 401);
    assert!(server.script.asked().is_empty());
}

#[test]
fn without_a_key_nothing_is_verified() {
    let server = server(None);
    let mut client = Client::connect(&server, Service::Orders);
    assert_eq!(client.post(PATH, &body("SUCCESS", "whatever")).status, 200);
    let Command::Pay(pay) = server.script.command() else { panic!("another command") };
    assert!(!pay.verified);
}

#[test]
fn only_success_is_a_payment() {
    let server = server(Some("secret"));
    let mut client = Client::connect(&server, Service::Orders);
    for status in ["FAILED", "", "SUCCESS ", "PENDING"] {
        let reply = client.post(PATH, &body(status, ""));
        assert_eq!(reply.error(), "400 invalid payment status", "{status:?}");
        assert_eq!(reply.code(), "invalid_payment_status");
    }
    assert_eq!(client.post(PATH, r#"{"order_id":"o","provider_txn_id":"t"}"#).status, 400);
    assert!(server.script.asked().is_empty());
}

#[test]
fn what_a_callback_lacks_is_named() {
    let server = server(None);
    let mut client = Client::connect(&server, Service::Orders);
    for (body, expected) in [
        (r#"{"provider_txn_id":"t","status":"SUCCESS"}"#, "400 order_id is required"),
        (r#"{"order_id":"o","status":"SUCCESS"}"#, "400 provider_txn_id is required"),
        (r#"{"order_id":"o","provider_txn_id":" ","status":"SUCCESS"}"#, "400 provider_txn_id is required"),
        (r#"{"order_id":"\t","provider_txn_id":"t","status":"SUCCESS"}"#, "400 order_id is required"),
        (r#"{"order_id":"o","provider_txn_id":"t","status":1}"#, "400 invalid json"),
    ] {
        assert_eq!(client.post(PATH, body).error(), expected, "{body}");
    }
}

/// A payment whose order the engine does not have is looked up, by order and transaction, and the command goes again with what was found. The engine decides.
#[test]
fn a_payment_of_an_order_that_has_left_is_looked_up() {
    let server = server(None);
    let found = [
        Found::Order { order: samples::order(OrderStatus::Ticketed), refund: None },
        Found::Nothing { refund: Some(RefundReason::Unmatched), history_lost: true },
    ];
    for found in found {
        server.script.play(|command| {
            let Command::Pay(pay) = command else { panic!("another command") };
            Played::Reply(match pay.looked_up {
                None => Err(Rejection::OrderNotHere(Time(7))),
                Some(_) => Err(Rejection::AlreadyPaid),
            })
        });
        let reading = Reading::Payment(Box::new(found.clone()));
        server.script.play_read(move |_| PlayedRead::Answer(Ok(reading.clone())));
        let reply = Client::connect(&server, Service::Orders).post(PATH, &body("SUCCESS", ""));
        assert_eq!(reply.error(), "409 already paid");
        let [Question::Payment { order, txn }] = &server.script.questions()[..] else {
            panic!("asked otherwise")
        };
        assert_eq!((order.as_str(), txn.as_str()), ("o-1", "t-1"));
        let asked = server.script.asked();
        let [Command::Pay(first), Command::Pay(second)] = [&asked[0].command, &asked[1].command] else {
            panic!("asked for something else")
        };
        assert_eq!(first.looked_up, None);
        assert_eq!(second.looked_up.as_deref(), Some(&LookedUp { at: Time(7), found }));
    }
}

/// Without the read model nobody knows what it is: nothing is recorded, and the provider comes again.
#[test]
fn a_payment_that_cannot_be_looked_up_is_for_later() {
    let server = server(None);
    server.script.reply(Err(Rejection::OrderNotHere(Time(7))));
    let unavailable = Unavailable { reason: "it is down".to_owned() };
    server.script.play_read(move |_| PlayedRead::Answer(Err(unavailable.clone())));
    let reply = Client::connect(&server, Service::Orders).post(PATH, &body("SUCCESS", ""));
    assert_eq!((reply.status, &*reply.code()), (503, "read_model_unavailable"));
    assert_eq!(server.script.asked().len(), 1);
}

/// Reserve and cancel of an order that has left: it is what it was.
#[test]
fn an_order_that_has_left_does_not_change() {
    let server = server(None);
    let id = samples::order_id();
    let mut client = Client::connect(&server, Service::Orders);
    let plain = format!(r#"{{"order_id":"{id}"}}"#);
    let other = format!(r#"{{"order_id":"{id}","hold_id":"another"}}"#);
    for (status, path, body, expected) in [
        (OrderStatus::Cancelled, "/orders/cancel", &plain, "200"),
        (OrderStatus::Cancelled, "/orders/cancel", &other, "409 hold_mismatch"),
        (OrderStatus::Ticketed, "/orders/cancel", &plain, "409 invalid_state_transition"),
        (OrderStatus::Cancelled, "/orders/reserve", &plain, "409 invalid_state_transition"),
        (OrderStatus::Ticketed, "/orders/reserve", &plain, "409 invalid_state_transition"),
    ] {
        server.script.reply(Err(Rejection::OrderNotFound));
        let known = Reading::Order(Some(Box::new(samples::order(status))));
        server.script.play_read(move |_| PlayedRead::Answer(Ok(known.clone())));
        let reply = client.post(path, body);
        let said =
            if reply.status == 200 { "200".to_owned() } else { format!("{} {}", reply.status, reply.code()) };
        assert_eq!(said, expected, "{path} {body}");
        assert_eq!(server.script.questions(), [Question::Order(id)]);
        assert_eq!(server.script.asked().len(), 1);
    }
}
