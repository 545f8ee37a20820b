//! Bad input through the real binary: each piece gets the contract's error, changes nothing, and leaves the connection
//! usable where HTTP allows it.

mod feeds;
mod framing;
mod slow;

use serde_json::{Value, json};

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

/// Every route that takes a body, with one that would be accepted.
fn bodies(victim: &Victim) -> [(&'static str, Value); 8] {
    let (reserved, init) = (&victim.reserved, &victim.init);
    [
        ("/orders", json!({"idempotency_key": "never", "amount_cents": 5})),
        (
            "/orders/reserve",
            json!({"order_id": init, "partition_key": PARTITION, "hold_id": "h", "qty": 1, "capacity": 9}),
        ),
        ("/orders/cancel", json!({"order_id": reserved, "partition_key": PARTITION, "hold_id": reserved})),
        ("/payments/callback", json!({"order_id": reserved, "provider_txn_id": "t", "status": "SUCCESS"})),
        ("/inventory/try-hold", json!({"partition_key": PARTITION, "hold_id": "h", "qty": 1, "capacity": 9})),
        ("/inventory/release-hold", json!({"partition_key": PARTITION, "hold_id": "victim-hold"})),
        ("/inventory/confirm-hold", json!({"partition_key": PARTITION, "hold_id": "victim-hold"})),
        ("/v1/refunds/settle", json!({"order_id": reserved, "provider_txn_id": "t", "reference": "r"})),
    ]
}

/// Catches: a body that is no JSON, or JSON of another shape, taken for a request, answered with another error, or
/// ending the process or the connection.
#[test]
fn a_body_that_is_no_request_is_invalid_json() {
    let mut victim = Victim::new();
    let mut conn = victim.server.conn(Port::Gateway);
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    for (path, good) in bodies(&victim) {
        let field = good.as_object().and_then(|o| o.keys().next()).expect("a field").clone();
        let good = good.to_string();
        let mut bad: Vec<Vec<u8>> = [
            "",
            " ",
            "{",
            "}",
            "[",
            "]",
            "null",
            "true",
            "7",
            "\"text\"",
            "[]",
            "[{}]",
            "{}{}",
            "{\"order_id\"}",
            "{\"a\":1,}",
            "{'a':1}",
            "{a:1}",
            "{\"a\":NaN}",
            "{\"a\":01}",
            "{\"a\":\"\\x\"}",
            "order_id=1&qty=2",
            "<a/>",
        ]
        .map(|text| text.as_bytes().to_vec())
        .into();
        bad.extend((1..good.len()).step_by(7).map(|cut| good.as_bytes()[..cut].to_vec()));
        bad.push(format!("{good} x").into_bytes());
        bad.push(format!("{good}{good}").into_bytes());
        bad.push(format!("[{good}]").into_bytes());
        bad.push(format!("\u{feff}{good}").into_bytes());
        bad.push(deep("[", "]").into_bytes());
        bad.push(format!("{{\"{field}\":{}}}", deep("[", "]")).into_bytes());
        bad.push(format!("{{\"{field}\":{}}}", deep("{\"a\":", "}")).into_bytes());
        bad.push(format!("{{\"{field}\":\"\\ud800\"}}").into_bytes());
        bad.push([format!("{{\"{field}\":\"").as_bytes(), b"\xff\xfe\"}"].concat());
        bad.push(good.replace(':', ":\u{0}").into_bytes());
        for body in bad {
            victim.refuses(&mut conn, ("POST", path, Some(&body)), 400, "invalid json");
        }
        let answer = conn.call("POST", path, &[], None).expect("an answer");
        answer.refused(400, "invalid json");
    }
    victim.assert_never_ordered("never");
}

/// Catches: a field of another type read as something; a field name in another case taken for the real one.
#[test]
fn a_field_of_another_type_is_invalid_json() {
    let mut victim = Victim::new();
    let mut conn = victim.server.conn(Port::Gateway);
    for (path, good) in bodies(&victim) {
        for (field, value) in good.as_object().expect("an object") {
            let wrong = match value {
                Value::String(_) => vec![json!(1), json!(true), json!([value]), json!({"id": value})],
                _ => vec![json!("1"), json!(true), json!(1.5), json!([1]), json!({}), json!(1e300)],
            };
            for wrong in wrong {
                let mut body = good.clone();
                body[field] = wrong;
                let body = body.to_string();
                victim.refuses(&mut conn, ("POST", path, Some(body.as_bytes())), 400, "invalid json");
            }
        }
        // Names are compared to the letter: these lack every field they need.
        let shouted = good.as_object().expect("an object").iter().map(|(k, v)| (k.to_uppercase(), v.clone()));
        let shouted = Value::Object(shouted.collect()).to_string();
        victim.refuses(&mut conn, ("POST", path, Some(shouted.as_bytes())), 400, "");
        victim.refuses(&mut conn, ("POST", path, Some(b"{}")), 400, "");
    }
    victim.assert_never_ordered("never");
}

/// Catches: an id that is empty, too long, padded or unprintable stored or looked up; an id of the greatest length
/// refused. Reserve trims, so padding is no mistake there.
#[test]
fn ids_have_a_form() {
    let mut victim = Victim::new();
    let mut conn = victim.server.conn(Port::Gateway);
    let limit = |field: &str| if field == "order_id" { 64 } else { 128 };
    for (path, good) in bodies(&victim) {
        for (field, value) in good.as_object().expect("an object") {
            let Some(value) = value.as_str().filter(|_| field != "status") else { continue };
            let mut wrong = vec![
                "\u{0}".to_owned(),
                format!("{value}\u{0}x"),
                format!("{value}\nx"),
                format!("{value}\u{7f}x"),
                format!("{value}\u{85}x"),
                "x".repeat(limit(field) + 1),
                "é".repeat(limit(field) / 2) + "x",
                "x".repeat(10_000),
            ];
            // An empty optional id is as good as an absent one in the old system; where the id is needed it is refused.
            if path != "/orders/cancel" && path != "/payments/callback" && path != "/orders/reserve" {
                wrong.extend([String::new(), " ".to_owned(), format!(" {value}"), format!("{value}\t")]);
            }
            for wrong in wrong {
                let mut body = good.clone();
                body[field] = wrong.into();
                let body = body.to_string();
                victim.refuses(&mut conn, ("POST", path, Some(body.as_bytes())), 400, "");
            }
        }
    }
    for (path, field) in [("/orders/cancel", "order_id"), ("/payments/callback", "order_id")] {
        let good = bodies(&victim).into_iter().find(|(p, _)| *p == path).expect("a body").1;
        for wrong in ["", " ", &format!(" {}", victim.reserved), &format!("{}\n", victim.reserved)] {
            let mut body = good.clone();
            body[field] = wrong.into();
            victim.refuses(&mut conn, ("POST", path, Some(body.to_string().as_bytes())), 400, "");
        }
    }
    let reserve_nothing = json!({"order_id": " \t"}).to_string();
    victim.refuses(&mut conn, ("POST", "/orders/reserve", Some(reserve_nothing.as_bytes())), 400, "");

    let wrong = [" x", "x ", "a\u{0}b", "a\nb", &"x".repeat(129), &"x".repeat(10_000)].map(encode);
    for id in wrong.iter().map(String::as_str).chain(["", "%ff", "%c3%28"]) {
        for path in
            ["/orders/get?order_id=", "/query/orders?order_id=", "/inventory/availability?partition_key="]
        {
            victim.refuses(&mut conn, ("GET", &format!("{path}{id}"), None), 400, "");
        }
    }

    let longest = "é".repeat(64);
    victim.session.create(&longest, 1);
    victim.session.held(&longest, &longest, 1, 5);
    assert_eq!(victim.session.available(&longest), 4, "an id of 128 bytes is good");
    victim.assert_never_ordered("never");
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
    for (from, to) in [("x", "1"), ("0", "1.0"), ("0x0", "1"), ("", "1"), ("0", "")] {
        let path = format!(
            "/inventory/availability?partition_key={}&from_index={from}&to_index={to}",
            encode(&train)
        );
        victim.refuses(&mut conn, ("GET", &path, None), 400, "");
    }
    assert_eq!(victim.session.available(&train), capacity);
    let path = "/inventory/availability?partition_key=ad-hoc-span";
    victim.refuses(&mut conn, ("GET", path, None), 404, "partition not found");
}

/// Catches: an amount that is nobody's price, or a number that wraps into one.
#[test]
fn amounts_are_positive() {
    let mut victim = Victim::new();
    let mut conn = victim.server.conn(Port::Gateway);
    for amount in ["0", "-1", "-0", "-9223372036854775808"] {
        let body = format!("{{\"idempotency_key\":\"amount\",\"amount_cents\":{amount}}}");
        victim.refuses(&mut conn, ("POST", "/orders", Some(body.as_bytes())), 400, "");
    }
    for body in
        [json!({"idempotency_key": "amount", "amount_cents": 0}), json!({"idempotency_key": "amount"})]
    {
        victim.refuses(
            &mut conn,
            ("POST", "/orders", Some(body.to_string().as_bytes())),
            400,
            "invalid amount",
        );
    }
    for amount in ["9223372036854775808", "-9223372036854775809", "18446744073709551617", "1e400", "0.5"] {
        let body = format!("{{\"idempotency_key\":\"amount\",\"amount_cents\":{amount}}}");
        victim.refuses(&mut conn, ("POST", "/orders", Some(body.as_bytes())), 400, "invalid json");
    }
    victim.assert_never_ordered("amount");
    let most = victim.session.create("amount-most", i64::MAX);
    assert_eq!(most["AmountCents"], i64::MAX);
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
