//! Bad requests: one table, sent to the edge alone (`net/tests/edge`) and to the built binary (`server/tests/blackbox`).
//!
//! Each boundary sends all of it and adds what only it can see: that nothing reached the engine, or that nothing changed.

use serde_json::{Value, json};

/// A well-formed HTTP request that is refused and leaves its connection usable.
#[derive(Debug)]
pub(crate) struct BadCall {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) status: u16,
    /// The exact text; empty where the case only says that it is refused.
    pub(crate) error: &'static str,
}

/// Ids that the bodies name. Nothing that is sent gets as far as looking them up.
pub(crate) struct Names<'n> {
    pub(crate) order: &'n str,
    pub(crate) partition: &'n str,
    pub(crate) hold: &'n str,
}

/// Every route that takes a body, with one that would be accepted.
pub(crate) fn good_bodies(names: &Names<'_>) -> [(&'static str, Value); 8] {
    let Names { order, partition, hold } = names;
    [
        ("/orders", json!({"idempotency_key": "never", "amount_cents": 5})),
        (
            "/orders/reserve",
            json!({"order_id": order, "partition_key": partition, "hold_id": "h", "qty": 1, "capacity": 9}),
        ),
        ("/orders/cancel", json!({"order_id": order, "partition_key": partition, "hold_id": order})),
        ("/payments/callback", json!({"order_id": order, "provider_txn_id": "t", "status": "SUCCESS"})),
        ("/inventory/try-hold", json!({"partition_key": partition, "hold_id": "h", "qty": 1, "capacity": 9})),
        ("/inventory/release-hold", json!({"partition_key": partition, "hold_id": hold})),
        ("/inventory/confirm-hold", json!({"partition_key": partition, "hold_id": hold})),
        ("/v1/refunds/settle", json!({"order_id": order, "provider_txn_id": "t", "reference": "r"})),
    ]
}

/// All calls whose fault lies in a body or a query.
pub(crate) fn calls(names: &Names<'_>) -> Vec<BadCall> {
    let mut calls = Vec::new();
    for (path, good) in good_bodies(names) {
        let mut post = |body: Vec<u8>, error| {
            calls.push(BadCall { method: "POST", path: path.into(), body: Some(body), status: 400, error });
        };
        not_json(&good).into_iter().for_each(|body| post(body, "invalid json"));
        wrong_types(&good).into_iter().for_each(|body| post(body, "invalid json"));
        wrong_ids(path, &good).into_iter().for_each(|body| post(body, ""));
        // Names are compared to the letter: another case is a slip, and these lack every field that they need.
        let shouted =
            good.as_object().unwrap().iter().map(|(key, value)| (key.to_uppercase(), value.clone()));
        post(Value::Object(shouted.collect()).to_string().into_bytes(), "invalid json");
        post(b"{}".to_vec(), "");
        calls.push(BadCall {
            method: "POST",
            path: path.into(),
            body: None,
            status: 400,
            error: "invalid json",
        });
    }
    for (path, body, error) in wrong_fields(names.order) {
        let body = Some(body.into_bytes());
        calls.push(BadCall { method: "POST", path: path.into(), body, status: 400, error });
    }
    for (path, error) in wrong_queries() {
        calls.push(BadCall { method: "GET", path, body: None, status: 400, error });
    }
    calls
}

/// Bodies that are no JSON object, or one behind another.
fn not_json(good: &Value) -> Vec<Vec<u8>> {
    let field = good.as_object().unwrap().keys().next().unwrap().clone();
    let good = good.to_string();
    let deep = |open: &str, close: &str| format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
    let mut bodies: Vec<Vec<u8>> = [
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
        "{} {}",
        "{}x",
        "not json",
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
    bodies.extend((1..good.len()).step_by(7).map(|cut| good.as_bytes()[..cut].to_vec()));
    bodies.push(format!("{good} x").into_bytes());
    bodies.push(format!("{good}{good}").into_bytes());
    bodies.push(format!("[{good}]").into_bytes());
    bodies.push(format!("\u{feff}{good}").into_bytes());
    bodies.push(deep("[", "]").into_bytes());
    bodies.push(format!("{{\"{field}\":{}}}", deep("[", "]")).into_bytes());
    bodies.push(format!("{{\"{field}\":{}}}", deep("{\"a\":", "}")).into_bytes());
    bodies.push(format!("{{\"{field}\":\"\\ud800\"}}").into_bytes());
    bodies.push([format!("{{\"{field}\":\"").as_bytes(), b"\xff\xfe\"}"].concat());
    bodies.push(good.replace(':', ":\u{0}").into_bytes());
    bodies
}

/// Bodies with one field of another type.
fn wrong_types(good: &Value) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for (field, value) in good.as_object().unwrap() {
        let wrong = match value {
            Value::String(_) => vec![json!(1), json!(true), json!([value]), json!({"id": value})],
            _ => vec![json!("1"), json!(true), json!(1.5), json!([1]), json!({}), json!(1e300)],
        };
        bodies.extend(wrong.into_iter().map(|wrong| with(good, field, wrong)));
    }
    bodies
}

/// Bodies with one id that is empty, too long, padded or unprintable. Reserve, pay and cancel trim, and take what is empty as absent.
fn wrong_ids(path: &str, good: &Value) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    for (field, value) in good.as_object().unwrap() {
        let Some(value) = value.as_str().filter(|_| field != "status") else { continue };
        let limit = if field == "order_id" { 64 } else { 128 };
        let mut wrong = vec![
            "\u{0}".to_owned(),
            format!("{value}\u{0}x"),
            format!("{value}\nx"),
            format!("{value}\u{7f}x"),
            format!("{value}\u{85}x"),
            "x".repeat(limit + 1),
            "é".repeat(limit / 2) + "x",
            "x".repeat(10_000),
        ];
        let blank = [String::new(), " ".to_owned(), format!(" {value}"), format!("{value}\t")];
        let is_trimmed = ["/orders/reserve", "/orders/cancel", "/payments/callback"].contains(&path);
        if !is_trimmed {
            wrong.extend(blank);
        } else if ["order_id", "provider_txn_id"].contains(&field.as_str()) {
            wrong.extend([String::new(), " \t".to_owned()]);
        }
        bodies.extend(wrong.into_iter().map(|wrong| with(good, field, wrong.into())));
    }
    bodies
}

fn with(good: &Value, field: &str, value: Value) -> Vec<u8> {
    let mut body = good.clone();
    body[field] = value;
    body.to_string().into_bytes()
}

/// Path, body and the text that names the fault.
fn wrong_fields(order: &str) -> Vec<(&'static str, String, &'static str)> {
    let (long, hold, reserve) = ("x".repeat(129), "/inventory/try-hold", "/orders/reserve");
    let mut rows: Vec<(&'static str, String, &'static str)> = vec![
        (hold, r#"{"qty":1}"#.into(), "partition_key and hold_id are required"),
        (hold, r#"{"partition_key":"p","qty":1}"#.into(), "partition_key and hold_id are required"),
        (
            hold,
            r#"{"partition_key":"","hold_id":"h","qty":0}"#.into(),
            "partition_key and hold_id are required",
        ),
        (
            hold,
            r#"{"partition_key":" p","hold_id":"","qty":1}"#.into(),
            "partition_key and hold_id are required",
        ),
        (
            hold,
            r#"{"partition_key":" p","hold_id":"h","qty":1}"#.into(),
            "partition_key begins or ends with a blank",
        ),
        (
            hold,
            r#"{"partition_key":"p","hold_id":"h\u0000i","qty":1}"#.into(),
            "hold_id contains a control character",
        ),
        (
            "/inventory/release-hold",
            r#"{"partition_key":"p"}"#.into(),
            "partition_key and hold_id are required",
        ),
        (
            "/inventory/confirm-hold",
            r#"{"partition_key":"p","hold_id":"h "}"#.into(),
            "hold_id begins or ends with a blank",
        ),
        ("/orders", r#"{"amount_cents":1}"#.into(), "idempotency_key is required"),
        ("/orders", r#"{"idempotency_key":"","amount_cents":1}"#.into(), "idempotency_key is required"),
        (
            "/orders",
            r#"{"idempotency_key":"k\n","amount_cents":1}"#.into(),
            "idempotency_key begins or ends with a blank",
        ),
        (
            "/orders",
            format!(r#"{{"idempotency_key":"{long}","amount_cents":1}}"#),
            "idempotency_key is too long",
        ),
        ("/orders", r#"{"idempotency_key":"amount"}"#.into(), "invalid amount"),
        (reserve, "{}".into(), "order_id is required"),
        (reserve, r#"{"order_id":"  "}"#.into(), "order_id is required"),
        (reserve, format!(r#"{{"order_id":"{order}","hold_id":"{long}"}}"#), "hold_id is too long"),
        (reserve, format!(r#"{{"order_id":"{order}","qty":-1}}"#), "invalid quantity"),
        ("/orders/cancel", r#"{"order_id":null}"#.into(), "order_id is required"),
        ("/orders/cancel", r#"{"order_id":"  "}"#.into(), "order_id is required"),
        ("/orders/cancel", format!(r#"{{"order_id":"{}"}}"#, "x".repeat(65)), "order_id is too long"),
        ("/v1/refunds/settle", r#"{"order_id":"o","provider_txn_id":"t"}"#.into(), "reference is required"),
    ];
    let amounts = [
        ("0", "invalid amount"),
        ("-1", "invalid amount"),
        ("-0", ""),
        ("-9223372036854775808", "invalid amount"),
        ("null", "invalid amount"),
        ("9223372036854775808", "invalid json"),
        ("-9223372036854775809", "invalid json"),
        ("18446744073709551617", "invalid json"),
        ("1e400", "invalid json"),
        ("0.5", "invalid json"),
        ("\"5\"", "invalid json"),
    ];
    let order = |(amount, error)| {
        ("/orders", format!(r#"{{"idempotency_key":"amount","amount_cents":{amount}}}"#), error)
    };
    rows.extend(amounts.map(order));
    for (field, value, error) in [
        ("qty", "9223372036854775808", "invalid json"),
        ("qty", "1.0", "invalid json"),
        ("qty", "\"1\"", "invalid json"),
        ("qty", "9223372036854775807", "invalid quantity"),
        ("qty", "2001", "invalid quantity"),
        ("qty", "0", "invalid quantity"),
        ("qty", "-1", "invalid quantity"),
        ("qty", "null", "invalid quantity"),
        ("capacity", "100001", "invalid capacity"),
        ("capacity", "-1", "invalid capacity"),
        ("capacity", "9223372036854775807", "invalid capacity"),
        ("capacity", "99999999999999999999", "invalid json"),
        ("from_index", "1", "from_index and to_index are given both or not at all"),
        ("to_index", "1", "from_index and to_index are given both or not at all"),
        ("from_index", "1e3", "invalid json"),
        ("from_index", "1,\"to_index\":1", "invalid span"),
        ("from_index", "2,\"to_index\":1", "invalid span"),
        ("from_index", "-1,\"to_index\":1", "invalid span"),
        ("from_index", "0,\"to_index\":65536", "invalid span"),
        ("from_index", "-9223372036854775808,\"to_index\":9223372036854775807", "invalid span"),
    ] {
        let mut fields =
            vec![("partition_key", "\"p\""), ("hold_id", "\"h\""), ("qty", "1"), ("capacity", "1")];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        rows.push((hold, format!("{{{}}}", fields.join(",")), error));
    }
    rows
}

/// Path with its query, and the text that names the fault.
fn wrong_queries() -> Vec<(String, &'static str)> {
    let mut rows: Vec<(String, &'static str)> = [
        ("/orders/get", "order_id is required"),
        ("/orders/get?order_id=", "order_id is required"),
        ("/orders/get?order_id=%zz", "invalid query string"),
        ("/orders/get?order_id=%00", "order_id contains a control character"),
        ("/query/orders", "order_id is required"),
        ("/inventory/availability", "partition_key is required"),
        ("/inventory/availability?partition_key=%20p", "partition_key begins or ends with a blank"),
        (
            "/inventory/availability?partition_key=p&from_index=0",
            "from_index and to_index are given both or not at all",
        ),
        ("/inventory/availability?partition_key=p&from_index=3&to_index=1", "invalid span"),
        ("/v1/refunds?status=lost", "invalid status"),
        ("/v1/refunds?after=zzz", "invalid cursor"),
        ("/v1/refunds?limit=0", "invalid limit"),
        ("/v1/refunds?limit=-1", "invalid limit"),
        ("/v1/stations?limit=x", "invalid limit"),
        ("/v1/orders?limit=0", "invalid limit"),
        ("/v1/orders?limit=1001", "invalid limit"),
        ("/v1/orders?limit=99999999999999999999", "invalid limit"),
        ("/v1/orders?limit=ten", "invalid limit"),
        ("/v1/orders/export?format=xml", "invalid format"),
        ("/v1/orders/export?format=CSV", "invalid format"),
        ("/v1/trains/G1/2026-02-11/history?limit=1001", "invalid limit"),
        ("/v1/trains/G1/2026-02-11/history?after=x", "invalid cursor"),
        ("/v1/trains/G1/2026-02-30/history", "invalid date"),
        ("/v1/trains/G1/today/history", "invalid date"),
    ]
    .map(|(path, error)| (path.to_owned(), error))
    .into();
    for (from, to) in [("x", "1"), ("0", "1.0"), ("0x0", "1"), ("", "1"), ("0", "")] {
        let path = format!("/inventory/availability?partition_key=p&from_index={from}&to_index={to}");
        rows.push((path, "invalid span"));
    }
    for path in ["/v1/orders", "/v1/orders/export"] {
        for (query, error) in [
            ("status=LOST", "invalid status"),
            ("status=paid", "invalid status"),
            ("date=2026-2-11", "invalid date"),
            ("date=2026-02-30", "invalid date"),
            ("date=tomorrow", "invalid date"),
            ("after=zzz", "invalid cursor"),
            ("after=000000000000000000512345-6789-8bcd-af01-23456789abcd0", "invalid cursor"),
            ("after=0000000000000000-0512345-6789-8bcd-af01-23456789abcd", "invalid cursor"),
            ("since=yesterday", "since is no RFC 3339 time (write the + of an offset as %2B)"),
            ("since=2026-02-11", "since is no RFC 3339 time (write the + of an offset as %2B)"),
            (
                "until=2026-02-11T08:00:00+08:00",
                "until is no RFC 3339 time (write the + of an offset as %2B)",
            ),
            ("train=%20G1", "train begins or ends with a blank"),
            ("class=2nd%0a", "class begins or ends with a blank"),
            ("class=2%00d", "class contains a control character"),
            ("key=%20k", "key begins or ends with a blank"),
            ("txn=t%7f", "txn contains a control character"),
            ("train=%zz", "invalid query string"),
            ("limit=1&status=%ff", "invalid query string"),
        ] {
            rows.push((format!("{path}?{query}"), error));
        }
        for name in ["train", "class", "key", "txn"] {
            rows.push((format!("{path}?{name}={}", "x".repeat(129)), ""));
        }
    }
    let (long, longer) = ("x".repeat(129), "x".repeat(10_000));
    for id in ["", "%20x", "x%20", "a%00b", "a%0ab", &long, &longer, "%ff", "%c3%28"] {
        for path in
            ["/orders/get?order_id=", "/query/orders?order_id=", "/inventory/availability?partition_key="]
        {
            rows.push((format!("{path}{id}"), ""));
        }
    }
    rows
}

/// Requests whose length two readers could read differently, some with a whole request hidden behind. Each is answered
/// with 400, and the connection is closed.
pub(crate) fn ambiguous_lengths(path: &str, body: &str, hidden: &str) -> Vec<String> {
    let (length, chunk) = (body.len(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    let post = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n");
    let behind_nothing = format!("0\r\n\r\n{hidden}");
    [
        (format!("Content-Length: {length}\r\nContent-Length: {length}"), body),
        (format!("Content-Length: {length}\r\nContent-Length: {}", length + 1), body),
        (format!("Content-Length: 0\r\nContent-Length: {length}"), body),
        (format!("Content-Length: {length}, {length}"), body),
        (format!("Content-Length: {length}, {}", length + 1), body),
        (format!("Content-Length: {length}\r\nTransfer-Encoding: chunked"), &*chunk),
        (format!("Transfer-Encoding: chunked\r\nContent-Length: {length}"), &*chunk),
        ("Content-Length: 6\r\nTransfer-Encoding: chunked".to_owned(), &*behind_nothing),
        (format!("Content-Length: {}\r\nTransfer-Encoding: chunked", behind_nothing.len()), &*behind_nothing),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked".to_owned(), &*chunk),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity".to_owned(), &*chunk),
        ("Transfer-Encoding: identity".to_owned(), body),
        ("Transfer-Encoding: gzip".to_owned(), body),
        ("Transfer-Encoding: chunked, gzip".to_owned(), &*chunk),
        ("Transfer-Encoding: xchunked".to_owned(), &*chunk),
        (format!("Content-Length: +{length}"), body),
        (format!("Content-Length: -{length}"), body),
        (format!("Content-Length: 0x{length:x}"), body),
        ("Content-Length: x".to_owned(), body),
        ("Content-Length: ".to_owned(), body),
        ("Content-Length: 18446744073709551616".to_owned(), body),
        (format!("Content-Length : {length}"), body),
    ]
    .map(|(headers, body)| format!("{post}{headers}\r\n\r\n{body}"))
    .into()
}

/// Requests whose body does not add up or ends early, where the client says no more. Each is answered with 400, and the
/// connection is closed.
pub(crate) fn broken_bodies(path: &str, body: &str, hidden: &str) -> Vec<String> {
    let length = body.len();
    let post = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\n");
    let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
    vec![
        format!("{chunked}zz\r\n{body}\r\n0\r\n\r\n"),
        format!("{chunked}\r\n{body}\r\n0\r\n\r\n"),
        format!("{chunked}-1\r\n{body}\r\n0\r\n\r\n"),
        format!("{chunked}{length:x}\r\n{body}XX0\r\n\r\n"),
        format!("{chunked}{length:x}\r\n{body}0\r\n\r\n"),
        format!("{chunked}{:x}\r\n{body}\r\n0\r\n\r\n{hidden}", length - 1),
        format!("{chunked}ffffffffffffffff\r\n{body}\r\n0\r\n\r\n"),
        format!("{chunked}10000000000000000\r\n{body}\r\n0\r\n\r\n"),
        format!("{chunked}{length:x}\r\n{body}\r\n"),
        format!("{chunked}{:x}\r\n{body}", length + 10),
        format!("{chunked}5\r\n{{"),
        format!("{post}Content-Length: {}\r\n\r\n{body}", length + 1),
        format!("{post}Content-Length: {}\r\n\r\n{body}", length + 500),
    ]
}

/// Bytes that are no HTTP/1 request, or one with too long a head, and the status that they are answered with; `None` where
/// the connection is closed without an answer.
pub(crate) fn not_http() -> Vec<(Vec<u8>, Option<u16>)> {
    let many: String = (0..5_000).map(|i| format!("X-Header-{i}: {i}\r\n")).collect();
    let mut cases: Vec<(Vec<u8>, Option<u16>)> = [
        "\0\0\0\0\r\n\r\n",
        "GARBAGE\r\n\r\n",
        "GET\r\n\r\n",
        "GET /healthz\r\n\r\n",
        "GET /healthz HTTP/9.9\r\n\r\n",
        "GET  /healthz HTTP/1.1\r\n\r\n",
        "GET /health z HTTP/1.1\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nno colon here\r\n\r\n",
        "GET /healthz HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
        "GET /healthz HTTP/1.1\r\na: \0\r\n\r\n",
        "GET /healthz HTTP/1.1\r\nA\0B: c\r\n\r\n",
        "POST /healthz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ]
    .map(|text| (text.as_bytes().to_vec(), Some(400)))
    .into();
    cases.push((b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), None));
    cases.push((b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), Some(400)));
    cases.push(((0..=255).cycle().take(4_096).collect(), Some(400)));
    cases.push((b"\r\n\r\n\r\n".to_vec(), None));
    for head in [
        format!("GET /healthz HTTP/1.1\r\n{many}\r\n"),
        format!("GET /healthz HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(200_000)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(200_000)),
    ] {
        cases.push((head.into_bytes(), Some(431)));
    }
    cases
}
