//! Bad input through the real binary: each piece gets the contract's error, changes nothing, and leaves the connection
//! usable where HTTP allows it.

mod feeds;
mod framing;
mod slow;

use serde_json::{Value, json};

use crate::bad_requests::{self, BadCall, Names};
use crate::support::http::encode;
use crate::support::session::{number, text};
use crate::support::{Conn, Launch, Port, Server, Session};

/// A server with one order that is RESERVED, one that is INIT and one partition with a hold: what bad input must
/// not change.
struct Victim {
    server: Server,
    session: Session,
    reserved: String,
    init: String,
    before: Value,
}

const PARTITION: &str = "victim";

impl Victim {
    fn new() -> Victim {
        let server = Launch::new().cores(2).env("INVENTORY_HOLD_TTL_SECS", "3600").start();
        let mut session = server.session();
        let reserved = text(&session.reserved("victim", PARTITION, 2), "OrderID").to_owned();
        let init = session.new_order("victim-init");
        session.held(PARTITION, "victim-hold", 3, 500);
        let mut victim = Victim { server, session, reserved, init, before: Value::Null };
        victim.before = victim.state();
        victim
    }

    fn state(&mut self) -> Value {
        let session = &mut self.session;
        let hold = session.held(PARTITION, "victim-hold", 3, 500);
        json!({
            "reserved": session.order(&self.reserved),
            "init": session.order(&self.init),
            "available": session.available(PARTITION),
            "last_seq": number(&hold, "last_seq"),
            "refunds": session.refunds("").len(),
        })
    }

    #[track_caller]
    fn assert_unchanged(&mut self, after: &str) {
        let now = self.state();
        assert_eq!(now, self.before, "changed by {after}");
    }

    /// Asserts that nothing was ordered under `key`: it can still be used with an amount that nobody else names.
    #[track_caller]
    fn assert_never_ordered(&mut self, key: &str) {
        self.session.create(key, 987_654_321);
    }

    /// Sends a request that must be refused, on a connection that must go on working.
    #[track_caller]
    fn refuses(&mut self, conn: &mut Conn, request: (&str, &str, Option<&[u8]>), status: u16, error: &str) {
        let (method, path, body) = request;
        let answer = conn.call(method, path, &[], body).unwrap_or_else(|e| panic!("{method} {path}: {e}"));
        answer.refused(status, error);
        let health = conn.call("GET", "/healthz", &[], None);
        let health =
            health.unwrap_or_else(|e| panic!("the connection is not usable after {method} {path}: {e}"));
        health.ok();
        self.assert_unchanged(&answer.asked);
    }
}

/// Catches: a body or a query that is none taken for a request, answered with another error, stored or looked up, or
/// ending the process or the connection.
#[test]
fn bad_calls_are_refused_and_change_nothing() {
    let mut victim = Victim::new();
    let mut conn = victim.server.conn(Port::Gateway);
    let order = victim.reserved.clone();
    let names = Names { order: &order, partition: PARTITION, hold: "victim-hold" };
    for BadCall { method, path, body, status, error } in bad_requests::calls(&names) {
        victim.refuses(&mut conn, (method, &path, body.as_deref()), status, error);
    }
    victim.assert_never_ordered("never");
    victim.assert_never_ordered("amount");
}

/// Catches: an id of the greatest length, or the greatest amount, refused.
#[test]
fn the_longest_ids_and_the_greatest_amount_are_good() {
    let mut victim = Victim::new();
    let longest = "é".repeat(64);
    victim.session.create(&longest, 1);
    victim.session.held(&longest, &longest, 1, 5);
    assert_eq!(victim.session.available(&longest), 4, "an id of 128 bytes is good");
    let most = victim.session.create("amount-most", i64::MAX);
    assert_eq!(most["AmountCents"], i64::MAX);
}

/// Catches: a span that is turned round, cut to fit, or wrapped to one that fits; a partition opened by a refusal.
#[test]
fn spans_lie_within_the_run() {
    let mut victim = Victim::new();
    let mut conn = victim.server.conn(Port::Gateway);
    let run = crate::sell::Run::find(&mut victim.session);
    let (train, _, capacity) = run.classes[0].clone();
    let last = run.stops.len() as i64 - 1;
    let spans = [
        (json!(2), json!(1)),
        (json!(1), json!(1)),
        (json!(0), json!(0)),
        (json!(last), json!(last + 1)),
        (json!(0), json!(last + 1)),
        (json!(-1), json!(1)),
        (json!(0), json!(-1)),
        (json!(65_536), json!(65_537)),
        (json!(0), json!(65_537)),
        (json!(4_294_967_296_u64), json!(4_294_967_297_u64)),
        (json!(0), json!(u64::MAX)),
        (json!(0), Value::Null),
        (Value::Null, json!(1)),
    ];
    for (from, to) in spans {
        for (partition, longest) in [(train.as_str(), last), ("ad-hoc-span", 1)] {
            let body = json!({"partition_key": partition, "hold_id": "s", "qty": 1, "from_index": from, "to_index": to});
            victim.refuses(
                &mut conn,
                ("POST", "/inventory/try-hold", Some(body.to_string().as_bytes())),
                400,
                "",
            );
            let mut body = body;
            body["order_id"] = victim.init.as_str().into();
            victim.refuses(
                &mut conn,
                ("POST", "/orders/reserve", Some(body.to_string().as_bytes())),
                400,
                "",
            );
            if from.is_null() || to.is_null() || longest == 1 {
                continue;
            }
            let path = format!(
                "/inventory/availability?partition_key={}&from_index={from}&to_index={to}",
                encode(partition)
            );
            victim.refuses(&mut conn, ("GET", &path, None), 400, "");
        }
    }
    assert_eq!(victim.session.available(&train), capacity);
    let path = "/inventory/availability?partition_key=ad-hoc-span";
    victim.refuses(&mut conn, ("GET", path, None), 404, "partition not found");
}

/// Catches: an unknown id answered with a server error or with somebody else's order.
#[test]
fn unknown_ids_are_not_found() {
    let mut victim = Victim::new();
    let mut conn = victim.server.conn(Port::Gateway);
    let known = victim.reserved.clone();
    let other = |at: usize| {
        let digit = if known.as_bytes()[at] == b'0' { "1" } else { "0" };
        format!("{}{digit}{}", &known[..at], &known[at + 1..])
    };
    // One digit off at either end, another case, another form, and no form at all.
    let unknown = [
        other(0),
        other(known.len() - 1),
        known.to_uppercase(),
        known.replace('-', ""),
        "0".into(),
        "😀".into(),
    ];
    for id in unknown.iter().filter(|id| **id != known) {
        let body = |more: Value| {
            let mut body = json!({"order_id": id});
            body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            body.to_string().into_bytes()
        };
        let cancel = body(json!({}));
        let reserve = body(json!({"partition_key": PARTITION}));
        let pay = body(json!({"provider_txn_id": "t", "status": "SUCCESS"}));
        victim.refuses(&mut conn, ("POST", "/orders/cancel", Some(&cancel)), 404, "order not found");
        victim.refuses(&mut conn, ("POST", "/orders/reserve", Some(&reserve)), 404, "order not found");
        victim.refuses(&mut conn, ("POST", "/payments/callback", Some(&pay)), 404, "order not found");
        let path = format!("/orders/get?order_id={}", encode(id));
        victim.refuses(&mut conn, ("GET", &path, None), 404, "query order failed: order not found");
        let path = format!("/query/orders?order_id={}", encode(id));
        victim.refuses(&mut conn, ("GET", &path, None), 404, "order view not found");
    }
}
