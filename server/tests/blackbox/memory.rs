//! The least memory that a state may be given: what has ended never closes the sale, however much of it there was.

use serde_json::{Value, json};

use crate::support::session::text;
use crate::support::{Launch, Port, Server};

const STATE_BYTES: &str = "16777216";
/// A train's worth of seats, which a hold that kept them would remember for a day.
const SEATS: u32 = 2_000;

fn server() -> Server {
    Launch::new().args(&["--state-bytes", STATE_BYTES]).start()
}

/// Catches: ended holds that keep their seats, or are remembered while a sale is refused for them.
#[test]
fn holds_that_ended_never_close_the_sale() {
    let server = server();
    let mut session = server.session();
    for i in 0..2_300 {
        let hold = format!("h{i}");
        let body = json!({"partition_key": "all", "hold_id": hold, "qty": SEATS, "capacity": SEATS});
        assert_eq!(session.try_hold(&body).status, 200, "hold {i}");
        assert_eq!(session.release("all", &hold).status, 200, "hold {i}");
    }
    // A last one is answered like the first: the same again, then another outcome came first.
    assert_eq!(session.release("all", "h2299").status, 200);
    session.confirm("all", "h2299").refused(409, "hold released");
}

/// Catches: cancelled orders that keep the labels of their seats.
#[test]
fn orders_that_were_cancelled_never_close_the_sale() {
    let server = server();
    let mut session = server.session();
    for i in 0..300 {
        let order = session.new_order(&format!("k{i}"));
        let body = json!({"order_id": order, "partition_key": "all", "qty": SEATS, "capacity": SEATS});
        let reserved = session.reserve(&body);
        assert_eq!(reserved.status, 200, "order {i}: {}", reserved.text());
        let cancelled = session.cancel(&order).ok();
        assert_eq!((text(&cancelled, "Status"), &cancelled["Qty"]), ("CANCELLED", &json!(SEATS)));
        assert_eq!(cancelled["Seats"], Value::Null, "it has none any more");
    }
}

/// Catches: ad hoc partitions of made-up keys that fill the state for good.
#[test]
fn made_up_partitions_never_close_the_sale() {
    let server = server();
    let mut session = server.session();
    for i in 0..900 {
        let key = format!("made up {i}");
        let body = json!({"partition_key": key, "hold_id": "h", "qty": 1, "capacity": 100_000});
        let held = session.try_hold(&body);
        assert_eq!(held.status, 200, "partition {i}: {}", held.text());
        session.release(&key, "h").ok();
    }
    let metrics = session.get(Port::Gateway, "/metrics").text();
    let opened = metrics.lines().find_map(|line| line.strip_prefix("interlock_partitions_opened_total "));
    assert_eq!(opened, Some("900"));
}
