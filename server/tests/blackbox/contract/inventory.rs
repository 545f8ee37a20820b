//! Holds without an order: states, replays, endings, limits.

use serde_json::{Value, json};

use super::shared;
use crate::support::Port;
use crate::support::session::{number, text, texts};
use crate::support::time::rfc3339_ms;

/// Catches: a field of the state renamed or missing; other people's holds shown; a sequence that stands still.
#[test]
fn a_state_has_the_contracts_fields() {
    let server = shared();
    let mut session = server.session();
    session.held("state", "other", 3, 40);
    let state = session.held("state", "mine", 2, 40);
    assert_eq!(state["partition_key"], "state");
    assert_eq!((number(&state, "capacity"), number(&state, "available")), (40, 35));
    assert_eq!(number(&state, "confirmed"), 0);
    let holds = state["holds"].as_object().unwrap_or_else(|| panic!("no map of holds: {state}"));
    assert_eq!(holds.keys().collect::<Vec<_>>(), ["mine"], "the caller's own hold only");
    let hold = &holds["mine"];
    assert_eq!((text(hold, "hold_id"), number(hold, "qty")), ("mine", 2));
    assert_eq!(texts(hold, "seats").len(), 2);
    assert_eq!(text(hold, "status"), "held");
    rfc3339_ms(text(hold, "expires_at"));

    let confirmed = session.confirm("state", "mine").ok();
    assert_eq!((number(&confirmed, "available"), number(&confirmed, "confirmed")), (35, 2));
    assert_eq!(confirmed["holds"]["mine"]["status"], "confirmed");
    assert_eq!(confirmed["holds"]["mine"]["seats"], hold["seats"]);
    let released = session.release("state", "other").ok();
    assert_eq!((number(&released, "available"), number(&released, "confirmed")), (38, 2));
    let seqs = [&state, &confirmed, &released].map(|s| number(s, "last_seq"));
    assert!(seqs[0] < seqs[1] && seqs[1] < seqs[2], "each change has its number: {seqs:?}");
}

/// Catches: another default capacity; capacity of a later caller taken; what a span can take mistaken for the whole.
#[test]
fn availability_is_of_the_asked_span() {
    let server = shared();
    let mut session = server.session();
    session.try_hold(&json!({"partition_key": "hundred", "hold_id": "h", "qty": 1})).ok();
    assert_eq!(session.available("hundred"), 99, "100 seats where inventory opens the partition");
    session.held("hundred", "h2", 1, 7_000);
    assert_eq!(session.available("hundred"), 98, "only the first caller's capacity");
    assert_eq!(session.available_on("hundred", 0, 1), 98);
    let answer = session.get(Port::Inventory, "/inventory/availability?partition_key=hundred").ok();
    assert_eq!(answer["partition_key"], "hundred");
    session.get(Port::Inventory, "/inventory/availability").refused(400, "partition_key is required");
    session
        .get(Port::Inventory, "/inventory/availability?partition_key=never-opened")
        .refused(404, "partition not found");
}

/// Catches: a repeat that takes or frees seats again, is refused, or does not show what the first answer showed.
#[test]
fn every_write_of_a_hold_can_be_repeated() {
    let server = shared();
    for (mut session, key) in [(server.session(), "again"), (server.gateway(), "again-gateway")] {
        let first = session.held(key, "h", 4, 10);
        let again = session.held(key, "h", 4, 10);
        assert_eq!(again["holds"], first["holds"]);
        assert_eq!(number(&again, "available"), 6);
        for _ in 0..2 {
            let state = session.confirm(key, "h").ok();
            assert_eq!((number(&state, "available"), number(&state, "confirmed")), (6, 4));
        }
        session.held(key, "h2", 3, 10);
        for _ in 0..2 {
            assert_eq!(number(&session.release(key, "h2").ok(), "available"), 6);
        }
        assert_eq!(session.available(key), 6);
    }
}

/// Catches: an id used a second time for something else; a hold ended both ways; seats back that were sold.
#[test]
fn a_hold_ends_once() {
    let server = shared();
    let mut session = server.session();
    session.held("ends", "sold", 2, 10);
    session.held("ends", "freed", 2, 10);
    session.confirm("ends", "sold").ok();
    session.release("ends", "freed").ok();
    let other_qty = json!({"partition_key": "ends", "hold_id": "sold", "qty": 1});
    let freed_again = json!({"partition_key": "ends", "hold_id": "freed", "qty": 2});
    session.try_hold(&other_qty).refused(409, "");
    session.try_hold(&freed_again).refused(409, "");
    let reason = session.release("ends", "sold").refused(409, "");
    assert!(reason.contains("confirmed"), "the reason is that it was confirmed: {reason}");
    let reason = session.confirm("ends", "freed").refused(409, "");
    assert!(reason.contains("released"), "the reason is that it was released: {reason}");
    assert_eq!(session.available("ends"), 8);
    session.release("ends", "never-held").refused(404, "hold not found");
    session.confirm("ends", "never-held").refused(404, "hold not found");
    session.release("never-opened", "h").refused(404, "");
    session.held("ends-2", "sold", 1, 10);
    assert_eq!(session.available("ends-2"), 9, "hold ids are unique per partition only");
}

/// Catches: the same id with another span taken for the same hold.
#[test]
fn a_hold_keeps_its_span() {
    let server = shared();
    let mut session = server.session();
    let run = crate::sell::Run::find(&mut session);
    let partition = &run.classes.last().expect("a class").0;
    let body = |from: usize, to: usize| json!({"partition_key": partition, "hold_id": "span", "qty": 1, "from_index": from, "to_index": to});
    let state = session.try_hold(&body(1, 3)).ok();
    let capacity = number(&state, "capacity");
    assert_eq!(number(&state, "available"), capacity - 1);
    session.try_hold(&body(1, 2)).refused(409, "");
    session.try_hold(&body(0, 3)).refused(409, "");
    assert_eq!(session.available_on(partition, 0, 1), capacity);
    assert_eq!(session.available_on(partition, 2, 3), capacity - 1);
    assert_eq!(session.try_hold(&body(1, 3)).ok()["holds"], state["holds"]);
}

/// Catches: a named limit that is off by one, or none at all.
#[test]
fn quantities_and_capacities_have_limits() {
    let server = shared();
    let mut session = server.session();
    session.held("most", "most", 2_000, 100_000);
    assert_eq!(session.available("most"), 98_000);
    let cases: [(&str, Value, &str); 8] = [
        ("limit-1", json!({"qty": 2_001, "capacity": 100_000}), ""),
        ("limit-2", json!({"qty": 1, "capacity": 100_001}), ""),
        ("limit-3", json!({"qty": 1, "capacity": -1}), ""),
        ("limit-4", json!({"qty": -1, "capacity": 10}), "invalid quantity"),
        ("limit-5", json!({"qty": 0, "capacity": 10}), "invalid quantity"),
        ("limit-6", json!({"capacity": 10}), "invalid quantity"),
        ("limit-7", json!({"qty": 11, "capacity": 10}), "insufficient stock"),
        ("limit-8", json!({"qty": i64::MAX, "capacity": 10}), ""),
    ];
    for (partition, mut body, error) in cases {
        body["partition_key"] = partition.into();
        body["hold_id"] = "h".into();
        session.try_hold(&body).refused(400, error);
        let path = format!("/inventory/availability?partition_key={partition}");
        let after = session.get(Port::Inventory, &path);
        let changed = after.status == 200 && number(&after.json(), "available") != 10;
        assert!(!changed, "{body} left seats held: {}", after.text());
    }
    let order = session.new_order("limit");
    for qty in [-1, 2_001, i64::MIN] {
        let body = json!({"order_id": order, "partition_key": "limit-9", "qty": qty});
        session.reserve(&body).refused(400, "");
        assert_eq!(session.order(&order)["Status"], "INIT");
    }
    let body = json!({"order_id": order, "partition_key": "limit-9", "capacity": 100_001});
    session.reserve(&body).refused(400, "");
}
