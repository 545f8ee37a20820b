//! The main job end to end: search a train, create an order, reserve a span, pay, see the ticket with its seat; and
//! sold out is sold out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::http::encode;
use crate::support::session::{list, number, text, texts};
use crate::support::time::{rfc3339_ms, tomorrow};
use crate::support::{Launch, Port, Session, together};

/// A run of a train.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) train: String,
    pub(crate) date: String,
    pub(crate) stops: Vec<String>,
    /// Partition key, class and capacity of each class.
    pub(crate) classes: Vec<(String, String, i64)>,
}

impl Run {
    /// Finds a run of at least four stops, by looking for trains between the stations that the server knows.
    pub(crate) fn find(session: &mut Session) -> Run {
        let date = tomorrow();
        let stations = session.get(Port::Gateway, "/v1/stations?limit=100").ok();
        let codes: Vec<&str> = list(&stations, "stations").iter().map(|s| text(s, "code")).collect();
        for from in &codes {
            for to in codes.iter().filter(|to| to != &from) {
                for train in trains(session, from, to, &date) {
                    let run = Run::read(session, text(&train, "train"), &date);
                    let distinct: BTreeSet<&String> = run.stops.iter().collect();
                    if run.stops.len() >= 4
                        && distinct.len() == run.stops.len()
                        && run.ends_on(session, &date)
                    {
                        return run;
                    }
                }
            }
        }
        panic!("the built-in timetable has no run of four stops on {date}");
    }

    pub(crate) fn read(session: &mut Session, train: &str, date: &str) -> Run {
        let run = session.get(Port::Gateway, &format!("/v1/trains/{}/{date}", encode(train))).ok();
        assert_eq!(run["train"], train);
        assert_eq!(run["date"], date);
        let class = |c: &Value| {
            let (key, class) = (text(c, "partition_key").to_owned(), text(c, "class").to_owned());
            assert_eq!(key, format!("{train}|{date}|{class}"));
            let capacity = number(c, "capacity");
            let seats: i64 = list(c, "coaches").iter().map(|coach| number(coach, "seats")).sum();
            assert_eq!(seats, capacity, "the coaches of {key} have its seats");
            assert!(capacity > 0, "{key} has seats");
            (key, class, capacity)
        };
        let classes = list(&run, "classes").iter().map(class).collect();
        let stops = list(&run, "stops").iter().enumerate().map(|(i, stop)| {
            assert_eq!(number(stop, "index"), i as i64, "{stop}");
            assert!(!text(stop, "name").is_empty());
            text(stop, "code").to_owned()
        });
        Run { train: train.to_owned(), date: date.to_owned(), stops: stops.collect(), classes }
    }

    /// Whether the run arrives on that date: then it is searched under its own date from every stop.
    fn ends_on(&self, session: &mut Session, date: &str) -> bool {
        let run =
            session.get(Port::Gateway, &format!("/v1/trains/{}/{}", encode(&self.train), self.date)).ok();
        let last = list(&run, "stops").last().expect("a stop");
        text(last, "arrives_at").starts_with(date)
    }

    /// What the search says about this run between two of its stops: the train's entry and one class of it.
    fn offer(&self, session: &mut Session, from: usize, to: usize, partition: &str) -> (Value, Value) {
        let found = trains(session, &self.stops[from], &self.stops[to], &self.date);
        let train =
            found.into_iter().find(|t| t["train"] == self.train.as_str()).expect("the search finds the run");
        let class = list(&train, "classes").iter().find(|c| c["partition_key"] == partition);
        let class = class.expect("the search lists the class").clone();
        (train, class)
    }
}

fn trains(session: &mut Session, from: &str, to: &str, date: &str) -> Vec<Value> {
    let path = format!("/v1/trains?from={}&to={}&date={date}", encode(from), encode(to));
    let answer = session.get(Port::Gateway, &path).ok();
    assert_eq!(answer["date"], date);
    assert_eq!(answer["from"]["code"], from);
    assert_eq!(answer["to"]["code"], to);
    let trains = list(&answer, "trains").to_vec();
    let departures: Vec<i64> = trains.iter().map(|t| rfc3339_ms(text(t, "departs_at"))).collect();
    assert!(departures.is_sorted(), "trains come by departure: {answer}");
    trains
}

/// Sells two seats in the middle of a run and checks every step, by whichever ports `session` uses.
fn sell(session: &mut Session, run: &Run, key: &str, sold_before: i64) {
    let (partition, _, capacity) = &run.classes[0];
    let (from, to, last) = (1, run.stops.len() - 1, run.stops.len() - 1);
    let (entry, class) = run.offer(session, from, to, partition);
    assert_eq!((number(&entry, "from_index"), number(&entry, "to_index")), (from as i64, to as i64));
    assert!(rfc3339_ms(text(&entry, "departs_at")) < rfc3339_ms(text(&entry, "arrives_at")), "{entry}");
    assert_eq!(number(&class, "capacity"), *capacity);
    assert_eq!(number(&class, "available"), capacity - sold_before);

    let created = session.create(key, 55_300);
    assert_eq!(created["Status"], "INIT");
    let id = text(&created, "OrderID").to_owned();
    let span =
        json!({"order_id": id, "partition_key": partition, "qty": 2, "from_index": from, "to_index": to});
    let reserved = session.reserve(&span).ok();
    assert_eq!(reserved["Status"], "RESERVED");
    assert_eq!(reserved["PartitionKey"], partition.as_str());
    assert_eq!(reserved["HoldID"], id.as_str(), "the hold is named after the order");
    assert_eq!(
        (number(&reserved, "Qty"), number(&reserved, "FromIndex"), number(&reserved, "ToIndex")),
        (2, from as i64, to as i64)
    );
    let seats = texts(&reserved, "Seats");
    assert_eq!(seats.iter().collect::<BTreeSet<_>>().len(), 2, "two different seats: {seats:?}");
    rfc3339_ms(text(&reserved, "ExpiresAt"));

    let sold = sold_before + 2;
    let falls = |session: &mut Session, moment: &str| {
        assert_eq!(session.available_on(partition, from, to), capacity - sold, "{moment}: the span");
        assert_eq!(session.available_on(partition, 0, from), *capacity, "{moment}: the stretch before it");
        assert_eq!(
            session.available_on(partition, from, from + 1),
            capacity - sold,
            "{moment}: a part of it"
        );
        assert_eq!(session.available_on(partition, 0, last), capacity - sold, "{moment}: what overlaps it");
        assert_eq!(session.available(partition), capacity - sold, "{moment}: the whole run");
    };
    falls(session, "held");

    let paid = session.pay(&id, &format!("{key}-txn")).ok();
    assert!(["PAID", "TICKETED"].contains(&text(&paid, "Status")), "{paid}");
    let ticketed = session.until_ticketed(&id);
    assert_eq!(texts(&ticketed, "Seats"), seats, "the ticket has the seats that were held");
    assert_eq!(ticketed["ProviderTxnID"], format!("{key}-txn"));
    assert_eq!(ticketed["AmountCents"], 55_300);
    falls(session, "sold");
    let (_, class) = run.offer(session, from, to, partition);
    assert_eq!(number(&class, "available"), capacity - sold, "the search counts what is sold");

    let view = session.view(&id);
    assert_eq!(view["order_id"], id.as_str());
    assert_eq!(view["status"], "TICKETED");
    assert_eq!(view["amount_cents"], 55_300);
    assert_eq!(view["provider_txn_id"], format!("{key}-txn"));
    assert_eq!(view["seat_no"], seats.join(","));
    assert_eq!(texts(&view, "seats"), seats);
    rfc3339_ms(text(&view, "updated_at"));
}

/// Catches: any step of the main job missing on the services' own ports or on the gateway; a span that is not the
/// one sold; availability that does not follow. The second sale runs on default settings and the first run's seats.
#[test]
fn a_seat_is_sold_from_search_to_ticket() {
    let server = Launch::new().cores(2).without_env("INTERLOCK_SEGMENT_BYTES").start();
    let run = Run::find(&mut server.session());
    sell(&mut server.session(), &run, "by-services", 0);
    sell(&mut server.gateway(), &run, "by-gateway", 2);
}

/// Catches: spans that share a seat where they touch, or do not share it where they could. A stretch on either side of
/// a sold one goes to the same seat (the tightest gap), and a run that is full in the middle is still open outside.
#[test]
fn a_seat_is_sold_again_on_another_stretch() {
    let server = Launch::new().start();
    let mut session = server.session();
    let run = Run::find(&mut session);
    let (partition, _, capacity) = &run.classes[0];
    let hold = |session: &mut Session, id: &str, qty: i64, from: usize, to: usize| {
        session.try_hold(&json!({
            "partition_key": partition, "hold_id": id, "qty": qty, "from_index": from, "to_index": to
        }))
    };
    let middle = hold(&mut session, "middle", *capacity, 1, 2).ok();
    assert_eq!(texts(&middle["holds"]["middle"], "seats").len() as i64, *capacity);
    hold(&mut session, "across", 1, 0, 3).refused(400, "insufficient stock");
    hold(&mut session, "same", 1, 1, 2).refused(400, "insufficient stock");
    hold(&mut session, "before", *capacity, 0, 1).ok();
    hold(&mut session, "after", *capacity, 2, run.stops.len() - 1).ok();
    assert_eq!(session.available(partition), 0);
    session.release(partition, "before").ok();
    assert_eq!(session.available_on(partition, 0, 1), *capacity);
    assert_eq!(session.available_on(partition, 0, 2), 0);
}

/// Catches: a class that is not sold by the timetable alone. The first caller's capacity does not win over the train's,
/// and dates and classes that the train does not have are not made up.
#[test]
fn the_timetable_alone_sells_its_trains() {
    let server = Launch::new().start();
    let mut session = server.session();
    let run = Run::find(&mut session);
    let (partition, _, capacity) = &run.classes[0];
    assert_eq!(session.available(partition), *capacity, "before the partition is opened");
    let state = session.held(partition, "h", 1, 3);
    assert_eq!(number(&state, "capacity"), *capacity, "the caller's capacity counts for nothing");
    assert_eq!(number(&state, "available"), capacity - 1);
    let (train, date) = (&run.train, &run.date);
    for unknown in
        [format!("{train}|{date}|no-such-class"), format!("{train}|1999-01-01|{}", run.classes[0].1)]
    {
        let body = json!({"partition_key": unknown, "hold_id": "h", "qty": 1, "capacity": 5});
        session.try_hold(&body).refused(404, "partition not found");
        let order = session.new_order(&unknown);
        session
            .reserve(&json!({"order_id": order, "partition_key": unknown}))
            .refused(404, "partition not found");
        assert_eq!(session.order(&order)["Status"], "INIT");
        let path = format!("/inventory/availability?partition_key={}", encode(&unknown));
        session.get(Port::Inventory, &path).refused(404, "partition not found");
    }
}

/// Catches: more holds than seats, or one seat for two, when many ask for the last ones at the same moment; fewer
/// than there are; a retry of the last seat refused.
#[test]
fn the_last_seats_go_to_as_many_as_there_are() {
    const CALLERS: usize = 24;
    const SEATS: usize = 5;
    let server = Launch::new().cores(2).start();
    let ask = |session: &mut Session, i: usize| {
        session.try_hold(
            &json!({"partition_key": "last", "hold_id": format!("h{i}"), "qty": 1, "capacity": SEATS}),
        )
    };
    let answers = together(CALLERS, |i| ask(&mut server.session(), i));
    let mut seats = BTreeSet::new();
    let mut held = Vec::new();
    for (i, answer) in answers.iter().enumerate() {
        if answer.status == 200 {
            let hold = answer.json()["holds"][format!("h{i}")].clone();
            assert!(seats.insert(texts(&hold, "seats")[0].clone()), "seat {hold} was given twice");
            held.push(i);
        } else {
            answer.refused(400, "insufficient stock");
        }
    }
    assert_eq!(held.len(), SEATS, "as many holds as seats");
    let mut session = server.session();
    assert_eq!(session.available("last"), 0);
    for i in held {
        let again = ask(&mut session, i).ok();
        assert_eq!(
            number(&again, "available"),
            0,
            "a retry of the last seats is answered, and takes nothing"
        );
    }
}

/// Catches: an order reported sold out as a server error, sold out although seats are free, or changed by the refusal.
#[test]
fn sold_out_is_sold_out() {
    let server = Launch::new().start();
    let mut session = server.session();
    session.held("three", "two", 2, 3);
    let short = session.new_order("short");
    let ask = |qty: u32| json!({"order_id": short, "partition_key": "three", "qty": qty});
    session.reserve(&ask(2)).refused(409, "insufficient stock");
    assert_eq!(session.order(&short)["Status"], "INIT");
    assert_eq!(session.available("three"), 1, "a refusal holds nothing");
    session.reserve(&ask(1)).ok();
    assert_eq!(session.available("three"), 0);
    let late = session.new_order("late");
    session.reserve(&json!({"order_id": late, "partition_key": "three"})).refused(409, "insufficient stock");
    session.pay(&short, "pays").ok();
    session.release("three", "two").ok();
    assert_eq!(session.available("three"), 2, "what was released can be sold; what was sold cannot");
    let huge = json!({"partition_key": "three", "hold_id": "huge", "qty": 3});
    session.try_hold(&huge).refused(400, "insufficient stock");
}

/// Catches: labels of ad hoc seats other than `coach-seat` with 50 a coach; a label given twice; fewer than asked for.
#[test]
fn ad_hoc_seats_have_labels() {
    let server = Launch::new().start();
    let state = server.session().held("labels", "all", 120, 120);
    let seats = texts(&state["holds"]["all"], "seats");
    assert_eq!(seats.len(), 120);
    let mut places = BTreeSet::new();
    for seat in &seats {
        let (coach, number) = seat.split_once('-').unwrap_or_else(|| panic!("{seat:?} is no coach-seat"));
        places.insert((coach.parse::<u32>().expect("a coach"), number.parse::<u32>().expect("a seat")));
    }
    let expected: BTreeSet<(u32, u32)> = (0..120).map(|i| (i / 50 + 1, i % 50 + 1)).collect();
    assert_eq!(places, expected);
}
