//! Holds and availability: what the engine is asked, and how its answers are shown.

use engine::Span;
use engine::answer::{Answer, HoldStatus};
use engine::command::Command;
use net::Service;

use crate::common::client::Client;
use crate::common::{Server, samples};

#[test]
fn a_hold_is_asked_for_as_it_was_written() {
    let server = Server::start();
    server.script.reply(Ok(samples::held()));
    let mut client = Client::connect(&server, Service::Inventory);
    let body = r#"{"partition_key":"G1|2026-02-11|一等","hold_id":"h\u0031","qty":3,"capacity":40,"from_index":1,"to_index":4}"#;
    assert_eq!(client.post("/inventory/try-hold", body).status, 200);
    let Command::TryHold(hold) = server.script.command() else { panic!("another command") };
    assert_eq!(hold.partition.as_str(), "G1|2026-02-11|一等");
    assert_eq!(hold.hold.as_str(), "h1");
    assert_eq!((hold.quantity, hold.span, hold.ad_hoc.capacity), (3, Span::new(1, 4), 40));
}

#[test]
fn a_state_is_shown_with_the_callers_own_hold() {
    let server = Server::start();
    server.script.reply(Ok(samples::held()));
    let mut client = Client::connect(&server, Service::Inventory);
    let body = r#"{"partition_key":"p","hold_id":"h","qty":1}"#;
    let reply = client.post("/inventory/try-hold", body);
    let expected = concat!(
        r#"{"partition_key":"G123|2026-02-11|2nd","capacity":100,"available":98,"confirmed":0,"last_seq":7,"#,
        r#""holds":{"h\"1":{"hold_id":"h\"1","qty":2,"seats":["1-1","1-2"],"#,
        r#""expires_at":"2026-02-11T08:10:06.007Z","status":"held"}}}"#,
    );
    assert_eq!(reply.body, expected);
}

#[test]
fn holds_end_by_release_or_confirmation() {
    let server = Server::start();
    let mut client = Client::connect(&server, Service::Inventory);
    let body = r#"{"partition_key":"p","hold_id":"h"}"#;
    for (path, status, shown) in [
        ("/inventory/release-hold", HoldStatus::Released, "released"),
        ("/inventory/confirm-hold", HoldStatus::Confirmed, "confirmed"),
    ] {
        let mut view = samples::partition();
        view.hold.status = status;
        server.script.reply(Ok(Answer::Partition(Box::new(view))));
        let reply = client.post(path, body);
        assert_eq!(reply.json()["holds"]["h\"1"]["status"], shown, "{path}");
        let command = server.script.command();
        let (Command::ReleaseHold(hold) | Command::ConfirmHold(hold)) = &command else {
            panic!("{command:?}")
        };
        assert_eq!((hold.partition.as_str(), hold.hold.as_str()), ("p", "h"));
        assert_eq!(matches!(command, Command::ConfirmHold(_)), status == HoldStatus::Confirmed, "{path}");
    }
}

#[test]
fn availability_is_asked_of_a_span_or_of_the_whole_run() {
    let server = Server::start();
    let partition = samples::partition().partition;
    server.script.reply(Ok(Answer::Availability { partition, available: 42 }));
    let mut client = Client::connect(&server, Service::Inventory);
    for (query, span) in [("", None), ("&from_index=2&to_index=5", Span::new(2, 5))] {
        let path = format!("/inventory/availability?partition_key=G123%7C2026-02-11%7C2nd{query}");
        let reply = client.get(&path);
        assert_eq!(reply.body, r#"{"partition_key":"G123|2026-02-11|2nd","available":42}"#);
        let Command::Availability { partition, span: asked } = server.script.command() else { panic!() };
        assert_eq!((partition.as_str(), asked), ("G123|2026-02-11|2nd", span));
    }
}
