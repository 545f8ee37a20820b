//! Starting again, and stopping: SIGTERM answers what was accepted, refuses the rest and ends with 0.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::support::session::{SIGN_KEY, text};
use crate::support::{Conn, Launch, Port, Rng, Server, until};

/// Catches: an accepted request dropped by the stop; a stop that waits for idle clients, or goes on accepting.
#[test]
fn accepted_requests_are_answered_before_the_end() {
    const ACCEPTED: usize = 8;
    let server = Launch::new().cores(2).start();
    let idle: Vec<Conn> = Port::ALL.into_iter().map(|port| server.conn(port)).collect();
    let body = |i: usize| json!({"idempotency_key": format!("accepted-{i}"), "amount_cents": 5}).to_string();
    let mut conns: Vec<Conn> = (0..ACCEPTED)
        .map(|i| {
            let mut conn = server.conn(if i % 2 == 0 { Port::Gateway } else { Port::Order });
            let length = body(i).len();
            let head = format!(
                "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
            );
            conn.send(head.as_bytes()).expect("sent");
            // Leave to go on: from here on the request is the server's.
            assert_eq!(conn.answer().expect("leave to go on").status, 100);
            conn
        })
        .collect();
    server.terminate();
    until("the server to take no more connections", || {
        let answer =
            Conn::open(server.addr(Port::Gateway)).and_then(|mut c| c.call("GET", "/readyz", &[], None));
        answer.map_or(true, |a| a.status != 200).then_some(())
    });
    let answers: Vec<_> = conns
        .iter_mut()
        .enumerate()
        .map(|(i, conn)| {
            conn.send(body(i).as_bytes()).expect("the connection is still open");
            conn.answer().expect("an accepted request is answered")
        })
        .collect();
    let launch = server.launch().clone();
    assert_eq!(server.wait_end(), Some(0));
    drop(idle);
    let server = launch.start();
    for (i, answer) in answers.iter().enumerate() {
        match answer.status {
            200 => assert_eq!(server.session().create(&format!("accepted-{i}"), 5), answer.json()),
            _ => {
                answer.refused(503, "");
            }
        }
    }
}

/// Catches: a stop that waits for a client that has sent half a body for as long as the body may take.
#[test]
fn half_a_body_does_not_hold_up_the_end() {
    let server = Launch::new().start();
    let mut conn = server.conn(Port::Order);
    let head =
        "POST /orders HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\nExpect: 100-continue\r\n\r\n";
    conn.send(head.as_bytes()).expect("sent");
    assert_eq!(conn.answer().expect("leave to go on").status, 100);
    conn.send(b"{\"idempotency_key\":").expect("sent");
    server.send_signal("INT");
    let refused = conn.answer().expect("an answer");
    refused.refused(503, "stopping");
    assert_eq!(server.wait_end(), Some(0));
}

/// Catches: a stop that is cut short because its signal came twice, to the process and to its group.
#[test]
fn a_signal_that_comes_twice_is_one() {
    let server = Launch::new().start();
    server.terminate();
    server.terminate();
    assert_eq!(server.wait_end(), Some(0));
}

/// Catches: an answer cut off, an acknowledged write lost, or a half-done one left behind, by a stop under load.
#[test]
fn a_stop_under_load_loses_nothing() {
    const CLIENTS: usize = 16;
    let launch = Launch::new().cores(2).env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY);
    for signal in ["TERM", "INT"] {
        let server = launch.start();
        let answered = AtomicU64::new(0);
        let orders: Vec<Value> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|i| {
                    let (mut session, answered) = (server.session(), &answered);
                    let mut rng = Rng::with_seed(i as u64);
                    scope.spawn(move || {
                        let mut orders = Vec::new();
                        loop {
                            let key = format!("{signal}-{i}-{}", orders.len());
                            let body = json!({"idempotency_key": key, "amount_cents": 5}).to_string();
                            let created =
                                session.try_call(Port::Order, "POST", "/orders", &[], Some(body.as_bytes()));
                            let Ok(created) = created else { return orders };
                            if created.status == 503 {
                                return orders;
                            }
                            let created = created.ok();
                            let body = json!({
                                "order_id": created["OrderID"],
                                "partition_key": format!("stop-{signal}-{}", rng.u64(..20)),
                                "capacity": 10_000,
                            })
                            .to_string();
                            orders.push(created);
                            let path = "/orders/reserve";
                            let reserved =
                                session.try_call(Port::Order, "POST", path, &[], Some(body.as_bytes()));
                            let Ok(reserved) = reserved else { return orders };
                            if reserved.status == 503 {
                                return orders;
                            }
                            *orders.last_mut().expect("an order") = reserved.ok();
                            answered.fetch_add(2, Ordering::SeqCst);
                        }
                    })
                })
                .collect();
            until("some load", || (answered.load(Ordering::SeqCst) >= 400).then_some(()));
            server.send_signal(signal);
            clients.into_iter().flat_map(|c| c.join().expect("a client")).collect()
        });
        assert_eq!(server.wait_end(), Some(0), "SIG{signal}");
        let server = launch.start();
        let mut session = server.session();
        for order in &orders {
            let now = session.order(text(order, "OrderID"));
            // A reservation that was not answered may have been made.
            assert!(
                &now == order || order["Status"] == "INIT" && now["Status"] == "RESERVED",
                "{order}, now {now}"
            );
        }
        server.stop();
    }
}

/// Catches: anything that a restart forgets or changes: orders, holds, seats, refunds and their settlement, with both
/// disk drivers, after a kill as after a clean stop, and on another number of cores.
#[test]
fn everything_is_there_after_a_restart() {
    for disk in ["auto", "plain"] {
        let launch =
            Launch::new().cores(2).env("INTERLOCK_DISK", disk).env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY);
        let mut server = launch.start();
        let log = server.log();
        let said =
            log.lines().find(|line| line.contains("\"disk\"")).expect("the disk's driver is said at start");
        assert!(disk == "auto" || !said.contains("io_uring"), "another driver than was asked for: {said}");
        let mut session = server.session();
        let init = session.new_order("init");
        let reserved = text(&session.reserved("reserved", "keep", 2), "OrderID").to_owned();
        let cancelled = text(&session.reserved("cancelled", "keep", 3), "OrderID").to_owned();
        session.cancel(&cancelled).ok();
        let sold = text(&session.reserved("sold", "keep", 4), "OrderID").to_owned();
        session.pay(&sold, "sold").ok();
        session.until_ticketed(&sold);
        session.pay(&sold, "too-much").refused(409, "already paid");
        session.pay(&cancelled, "too-late").refused(409, "invalid state transition");
        session.settle(&cancelled, "too-late", "r-1").ok();
        session.pay("nobody", "unmatched").refused(404, "order not found");
        session.held("keep", "held", 5, 500);
        session.held("keep", "confirmed", 6, 500);
        session.confirm("keep", "confirmed").ok();
        session.held("keep", "released", 7, 500);
        session.release("keep", "released").ok();

        let ids = [&init, &reserved, &cancelled, &sold];
        let before = state(&server, ids);
        assert_eq!(before["available"], 500 - 2 - 4 - 5 - 6);
        assert_eq!(before["refunds"].as_array().map(Vec::len), Some(3));
        for (cores, kill) in [(2, true), (2, false), (3, true), (1, false), (2, true)] {
            let launch = if kill { server.kill() } else { server.stop() };
            server = launch.cores(cores).start();
            let how = if kill { "killed" } else { "stopped" };
            assert_eq!(state(&server, ids), before, "{disk} disk, {how}, then {cores} cores");
        }
    }
}

/// Everything that the test above made, as the server shows it.
fn state(server: &Server, orders: [&String; 4]) -> Value {
    let mut session = server.session();
    let views = orders.map(|id| session.view(id));
    let orders = orders.map(|id| session.order(id));
    let mut refunds = session.refunds("");
    refunds.sort_by_key(Value::to_string);
    let (held, confirmed) = (session.held("keep", "held", 5, 500), session.held("keep", "confirmed", 6, 500));
    session.try_hold(&json!({"partition_key": "keep", "hold_id": "released", "qty": 7})).refused(409, "");
    json!({
        "orders": orders, "views": views, "refunds": refunds,
        "held": held, "confirmed": confirmed, "available": session.available("keep"),
    })
}
