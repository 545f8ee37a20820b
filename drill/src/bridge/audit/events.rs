//! Kafka: each event id stands for one event; what came twice left aside, an order's events are what became of it, and a partition's events,
//! played back, give exactly the seats that were sold.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::Evidence;
use super::orders::Truth;
use super::seats;
use crate::services::{Message, Place};
use crate::session::{number, text, texts};

use super::super::figures::Found;

/// The events of each key, in order and each once.
type ByKey = BTreeMap<String, Vec<Value>>;

pub fn check(place: &Place, evidence: &Evidence, truth: &Truth, found: &mut Found) {
    let mut ids = HashMap::new();
    let mut read = |topic: &str| {
        let messages = place.topic(topic);
        found.messages += messages.len() as u64;
        first_times(topic, messages, &mut ids)
    };
    let (orders, tickets, holds) = (read("order.events"), read("ticket.events"), read("inventory.events"));
    found.events += ids.len() as u64;
    for (id, order) in truth {
        let of_order = orders.get(id).unwrap_or_else(|| panic!("no event of {order}"));
        check_order(order, of_order, tickets.get(id).map_or(&[], Vec::as_slice));
    }
    let unknown = orders.keys().chain(tickets.keys()).find(|id| !truth.contains_key(*id));
    // Money for an order that nobody knows.
    let is_unmatched = |id: &String| evidence.unmatched.iter().any(|unmatched| unmatched.order == *id);
    assert!(unknown.is_none_or(is_unmatched), "events of an order that nobody knows: {unknown:?}");
    let mut sold = seats::expected(evidence, truth);
    for (partition, events) in &holds {
        let expected: BTreeMap<String, Vec<String>> = sold
            .remove(partition)
            .unwrap_or_default()
            .into_iter()
            .map(|(id, held)| (id, held.seats))
            .collect();
        assert_eq!(
            play_back(partition, events),
            expected,
            "seats of {partition}, by its events and by its orders"
        );
    }
    assert!(sold.is_empty(), "seats were sold without an event: {:?}", sold.keys());
}

/// Events at their first coming. One that came again is the same, and left out.
fn first_times(topic: &str, messages: Vec<Message>, ids: &mut HashMap<String, Value>) -> ByKey {
    let mut by_key = ByKey::new();
    for Message { key, value, .. } in messages {
        assert_eq!(text(&value, "aggregate_id"), key, "the key of a message of {topic}");
        match ids.insert(text(&value, "event_id").to_owned(), value.clone()) {
            Some(before) => assert_eq!(before, value, "one id, and two events"),
            None => by_key.entry(key).or_default().push(value),
        }
    }
    by_key
}

fn check_order(order: &Value, events: &[Value], tickets: &[Value]) {
    let kinds: Vec<&str> = events.iter().map(|event| text(event, "event_type")).collect();
    let changes: Vec<&str> = kinds.iter().copied().filter(|kind| *kind != "OrderRefundRequired").collect();
    let is_reserved = !order["PartitionKey"].is_null();
    let expected: &[&str] = match (text(order, "Status"), is_reserved) {
        ("INIT", _) => &["OrderCreated"],
        ("TICKETED", _) => &["OrderCreated", "OrderReserved", "OrderPaid"],
        ("CANCELLED", true) => &["OrderCreated", "OrderReserved", "OrderCancelled"],
        ("CANCELLED", false) => &["OrderCreated", "OrderCancelled"],
        other => panic!("{other:?} in the end: {order}"),
    };
    assert_eq!(changes, expected, "the events of {order}: {events:#?}");
    assert_eq!(events[0]["payload"]["amount_cents"], order["AmountCents"], "{order}");
    if text(order, "Status") == "TICKETED" {
        assert_eq!(tickets.len(), 1, "the tickets of {order}");
        assert_eq!(tickets[0]["payload"]["seats"], order["Seats"], "{order}");
    } else {
        assert!(tickets.is_empty(), "tickets of {order}: {tickets:?}");
    }
}

/// Gives the seats of the holds that are sold in the end, by hold.
fn play_back(partition: &str, events: &[Value]) -> BTreeMap<String, Vec<String>> {
    let (mut held, mut sold) = (BTreeMap::new(), BTreeMap::new());
    let mut taken: HashMap<(String, i64), String> = HashMap::new();
    let mut last_seq = 0;
    for event in events {
        let payload = &event["payload"];
        let (id, seats) = (text(payload, "hold_id").to_owned(), texts(payload, "seats"));
        assert_eq!(seats.len() as i64, number(payload, "qty"), "as many seats as it says: {event}");
        let seq = number(payload, "seq");
        assert!(seq > last_seq, "{partition}: {seq} behind {last_seq}: {event}");
        last_seq = seq;
        let places = |seats: &[String]| -> Vec<(String, i64)> {
            let (from, to) = (number(payload, "from_index"), number(payload, "to_index"));
            seats.iter().flat_map(|seat| (from..to).map(move |segment| (seat.clone(), segment))).collect()
        };
        match text(event, "event_type") {
            "hold_created" => {
                for place in places(&seats) {
                    let other = taken.insert(place, id.clone());
                    assert!(other.is_none(), "{partition}: a seat is {other:?}'s and {id}'s: {event}");
                }
                assert!(held.insert(id, seats).is_none(), "{partition}: made twice: {event}");
            }
            "hold_confirmed" => {
                assert_eq!(
                    held.remove(&id).as_ref(),
                    Some(&seats),
                    "{partition}: confirmed otherwise: {event}"
                );
                sold.insert(id, seats);
            }
            "hold_released" => {
                assert_eq!(held.remove(&id).as_ref(), Some(&seats), "{partition}: ends otherwise: {event}");
                places(&seats).iter().for_each(|place| _ = taken.remove(place));
            }
            other => panic!("{partition}: {other}"),
        }
    }
    assert!(held.is_empty(), "{partition}: holds never end: {held:?}");
    sold
}
