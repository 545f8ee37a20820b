//! Payment callbacks: who may send them and what they have to say.

use engine::answer::{Answer, OrderStatus};
use engine::command::Command;
use net::signature::SignKey;
use net::{Limits, Service};

use crate::common::client::Client;
use crate::common::{Server, samples};

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
