//! Who may call: on loopback without a payment key, this machine's own names and pages only.

use serde_json::Value;

use crate::support::session::SIGN_KEY;
use crate::support::{Launch, Port, Response, Server};

const SHOP: &str = "https://shop.example:8443";

/// A form post as any web page can send it.
fn create(server: &Server, key: &str, headers: &str) -> Response {
    let body = format!("{{\"idempotency_key\":\"{key}\",\"amount_cents\":5}}");
    let head = format!(
        "POST /orders HTTP/1.1\r\n{headers}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut conn = server.conn(Port::Order);
    conn.send(format!("{head}{body}").as_bytes()).expect("sent");
    conn.answer().expect("an answer")
}

/// Catches: a web page that a browser on this machine shows selling seats or paying orders, under its own name (which its owner makes
/// mean this machine) or under the server's.
#[test]
fn without_a_key_pages_of_others_do_nothing() {
    let launch =
        Launch::new().env("INTERLOCK_ALLOWED_ORIGINS", SHOP).env("INTERLOCK_ALLOWED_HOSTS", "proxy.example");
    let server = launch.start();
    for (i, headers) in [
        "Host: evil.example\r\n",
        "Host: localhost\r\nOrigin: https://evil.example\r\n",
        "Host: 127.0.0.1\r\nOrigin: null\r\n",
    ]
    .into_iter()
    .enumerate()
    {
        let refused = create(&server, &format!("foreign-{i}"), headers);
        refused.refused(403, "");
        assert_eq!(refused.json()["code"], "foreign_origin", "{headers:?}");
    }
    let machine = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    for own in ["localhost:8081", "127.0.0.1", "proxy.example", "shop.example", machine.trim()] {
        create(&server, "own", &format!("Host: {own}\r\n")).ok();
    }
    let from_shop = create(&server, "own", &format!("Host: localhost\r\nOrigin: {SHOP}\r\n"));
    assert_eq!(from_shop.ok()["AmountCents"], Value::from(5));
    assert_eq!(from_shop.header("access-control-allow-origin"), Some(SHOP));
    create(&server, "unnamed", "").refused(400, "invalid host");
}

/// Catches: a server behind names of its own that refuses its callers once payments are signed.
#[test]
fn with_a_key_everybody_is_served() {
    let server = Launch::new().env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY).start();
    let answer = create(&server, "named", "Host: tickets.example\r\nOrigin: https://other.example\r\n");
    answer.ok();
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

/// Catches: a mistake in the settings that is found when the first page is refused.
#[test]
fn a_bad_origin_is_refused_at_the_start_by_name() {
    let launch = Launch::new().env("INTERLOCK_ALLOWED_ORIGINS", "https://shop.example/basket");
    launch.serve_to_end().assert_refused(&["INTERLOCK_ALLOWED_ORIGINS", "https://shop.example/basket"]);
}
