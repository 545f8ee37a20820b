//! One order: the engine's word, and the read model's where the engine does not know it.

use engine::answer::{Answer, OrderStatus, Rejection};
use engine::read_model::{Question, Reading, Unavailable};
use net::Service;

use crate::common::client::{Client, Reply};
use crate::common::{Server, samples};

const PATHS: [&str; 2] = ["/orders/get", "/query/orders"];

fn get(server: &Server, path: &str) -> Reply {
    Client::connect(server, Service::Gateway).get(&format!("{path}?order_id={}", samples::ORDER))
}

fn down() -> Result<Reading, Unavailable> {
    Err(Unavailable { reason: "of another directory".to_owned() })
}

fn known(status: OrderStatus) -> Result<Reading, Unavailable> {
    Ok(Reading::Order(Some(Box::new(samples::order(status)))))
}

#[test]
fn what_the_engine_says_is_the_answer_and_nobody_else_is_asked() {
    let server = Server::start();
    server.script.answer_read(known(OrderStatus::Paid));
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Ticketed)))));
    assert_eq!(get(&server, "/orders/get").json()["Status"], "TICKETED");
    assert_eq!(get(&server, "/query/orders").json()["status"], "TICKETED");
    for (rejection, expected) in [
        (Rejection::Busy, "503 busy"),
        (Rejection::LogFull, "503 log full"),
        (Rejection::Stopping, "503 stopping"),
    ] {
        server.script.reply(Err(rejection));
        for path in PATHS {
            assert_eq!(get(&server, path).error(), expected, "{path}");
        }
    }
    assert!(server.script.questions().is_empty());
}

#[test]
fn an_order_that_has_left_is_shown_as_before() {
    let server = Server::start();
    for status in [OrderStatus::Ticketed, OrderStatus::Cancelled] {
        for path in PATHS {
            server.script.reply(Ok(Answer::Order(Box::new(samples::order(status)))));
            let before = get(&server, path);
            server.script.reply(Err(Rejection::OrderNotFound));
            server.script.answer_read(known(status));
            let after = get(&server, path);
            assert_eq!((after.status, after.body), (200, before.body), "{path}");
            assert_eq!(server.script.questions(), [Question::Order(samples::order_id())]);
        }
    }
}

#[test]
fn an_order_that_neither_knows_is_not_found() {
    let server = Server::start();
    for (path, expected) in [
        ("/orders/get", "404 query order failed: order not found"),
        ("/query/orders", "404 order view not found"),
    ] {
        let reply = get(&server, path);
        assert_eq!((&*reply.error(), &*reply.code()), (expected, "order_not_found"));
        assert_eq!(server.script.questions().len(), 1);
        let reply = Client::connect(&server, Service::Gateway).get(&format!("{path}?order_id=nobody"));
        assert_eq!((&*reply.error(), &*reply.code()), (expected, "order_not_found"));
        assert!(server.script.questions().is_empty(), "an id that no order of ours has is not looked up");
    }
}

#[test]
fn an_unknown_order_is_no_404_while_the_read_model_is_down() {
    let server = Server::start();
    server.script.answer_read(down());
    for path in PATHS {
        let reply = get(&server, path);
        assert_eq!(reply.error(), "503 read model unavailable: of another directory", "{path}");
        assert_eq!(reply.code(), "read_model_unavailable");
        assert_eq!(reply.header("retry-after"), Some("10"));
    }
    server.script.reply(Ok(Answer::Order(Box::new(samples::order(OrderStatus::Paid)))));
    assert!(PATHS.iter().all(|path| get(&server, path).status == 200), "the engine's orders do not need it");
}
