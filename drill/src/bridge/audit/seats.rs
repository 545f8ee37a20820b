//! Seats: the events of each run, played back, give exactly the seats of the orders and of the holds that were sold without one; on no
//! stretch of track does a seat have two holders at any time.

use std::collections::BTreeMap;

use super::Evidence;
use super::database::{Database, Event};
use super::histories::pages;
use super::orders::Truth;
use crate::crash::partitions::Partition;
use crate::crash::pool::each;
use crate::http::encode;
use crate::session::{number, text, texts};
use crate::{Port, Server, Session, until};

use super::super::figures::Found;

/// Events of one page of a run's history.
const RUN_PAGE: usize = 211;

/// What somebody has of a partition.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Held {
    order: Option<String>,
    pub seats: Vec<String>,
    from: i64,
    to: i64,
}

/// The holds of a partition, by id.
pub type Holds = BTreeMap<String, Held>;

pub fn check(server: &Server, database: &Database, evidence: &Evidence, truth: &Truth, found: &mut Found) {
    let mut by_partition: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for (_, event) in database.run_history() {
        let partition = event.partition.clone().expect("an event of a run names its partition");
        by_partition.entry(partition).or_default().push(event);
        found.run_events += 1;
    }
    let mut sold = expected(evidence, truth);
    found.free_holds += evidence.holds.len() as u64;
    for (partition, events) in &by_partition {
        assert!(evidence.partitions.contains_key(partition), "nobody asked for {partition}");
        let left = play_back(partition, events);
        let expected = sold.remove(partition).unwrap_or_default();
        assert_eq!(left, expected, "seats of {partition}: by run_history, and by its orders and holds");
        found.seats_sold += left.values().map(|held| held.segments().count() as u64).sum::<u64>();
        check_availability(&mut server.session(), &evidence.partitions[partition], &left);
    }
    assert!(sold.is_empty(), "seats were sold on runs that have no history: {:?}", sold.keys());
    check_pages(server, database);
}

/// What was sold, by partition and hold.
pub fn expected(evidence: &Evidence, truth: &Truth) -> BTreeMap<String, Holds> {
    let mut sold: BTreeMap<String, Holds> = BTreeMap::new();
    for order in truth.values().filter(|order| order["Status"] == "TICKETED") {
        let held = Held {
            order: Some(text(order, "OrderID").to_owned()),
            seats: texts(order, "Seats"),
            from: number(order, "FromIndex"),
            to: number(order, "ToIndex"),
        };
        assert_eq!(held.seats.len() as i64, number(order, "Qty"), "as many seats as were asked for: {order}");
        let partition = sold.entry(text(order, "PartitionKey").to_owned()).or_default();
        partition.insert(text(order, "HoldID").to_owned(), held);
    }
    for hold in &evidence.holds {
        let (from, to) = hold.seats.ends();
        let seats = hold.labels.iter().map(|label| label.as_str().expect("a label").to_owned()).collect();
        let held = Held { order: None, seats, from: from as i64, to: to as i64 };
        sold.entry(hold.seats.partition.key.clone()).or_default().insert(hold.hold.clone(), held);
    }
    sold
}

impl Held {
    /// Seats by segment.
    fn segments(&self) -> impl Iterator<Item = (&str, i64)> {
        self.seats.iter().flat_map(|seat| (self.from..self.to).map(move |segment| (seat.as_str(), segment)))
    }
}

/// Plays the events of a partition back. Gives what is sold in the end.
fn play_back(partition: &str, events: &[Event]) -> Holds {
    let mut state = State { partition, ..State::default() };
    for event in events {
        state.apply(event);
    }
    let unsold: Vec<_> = state.holds.iter().filter(|(id, _)| !state.confirmed.contains_key(*id)).collect();
    assert!(unsold.is_empty(), "{partition}: holds never end: {unsold:?}");
    state.holds
}

#[derive(Default)]
struct State<'a> {
    partition: &'a str,
    holds: Holds,
    confirmed: BTreeMap<String, ()>,
    /// Who has a seat on a segment.
    taken: BTreeMap<(String, i64), String>,
}

impl State<'_> {
    fn apply(&mut self, event: &Event) {
        let id = event.hold.clone().expect("an event of a run names its hold");
        let held = Held {
            order: event.order.clone(),
            seats: event.seats.clone(),
            from: event.from.expect("a span"),
            to: event.to.expect("a span"),
        };
        assert_eq!(Some(held.seats.len() as i64), event.qty, "as many seats as it says: {event:?}");
        match event.kind.as_str() {
            "hold_made" | "hold_adopted" | "purchase_made" => self.take(id, held, event),
            "hold_confirmed" | "purchase_paid" => {
                // One that no order owns has no beginning here.
                if held.order.is_none() {
                    self.take(id.clone(), held.clone(), event);
                }
                assert_eq!(
                    self.holds.get(&id),
                    Some(&held),
                    "{}: confirmed otherwise: {event:?}",
                    self.partition
                );
                let twice = self.confirmed.insert(id, ());
                assert!(twice.is_none(), "{}: confirmed twice: {event:?}", self.partition);
            }
            "hold_released" | "holds_expired" | "purchase_cancelled" => {
                assert!(!self.confirmed.contains_key(&id), "{}: a sold hold ends: {event:?}", self.partition);
                assert_eq!(
                    self.holds.remove(&id),
                    Some(held.clone()),
                    "{}: ends otherwise: {event:?}",
                    self.partition
                );
                for (seat, segment) in held.segments() {
                    self.taken.remove(&(seat.to_owned(), segment));
                }
            }
            other => panic!("{}: {other} in a run's history", self.partition),
        }
    }

    fn take(&mut self, id: String, held: Held, event: &Event) {
        for (seat, segment) in held.segments() {
            let other = self.taken.insert((seat.to_owned(), segment), id.clone());
            assert!(
                other.is_none(),
                "{}: seat {seat} on segment {segment} is {other:?}'s and {id}'s: {event:?}",
                self.partition
            );
        }
        let twice = self.holds.insert(id, held);
        assert!(twice.is_none(), "{}: begins twice: {event:?}", self.partition);
    }
}

/// On each segment the engine has free what is not sold, once the last holds have expired.
fn check_availability(session: &mut Session, partition: &Partition, sold: &Holds) {
    for segment in 0..partition.segments {
        let taken = sold.values().flat_map(Held::segments).filter(|(_, at)| *at == segment as i64).count();
        let path = format!(
            "/inventory/availability?partition_key={}&from_index={segment}&to_index={}",
            encode(&partition.key),
            segment + 1
        );
        until(&format!("{taken} seats of {} to be taken on segment {segment}", partition.key), || {
            let answer = session.get(Port::Inventory, &path);
            // An ad hoc partition that is empty is forgotten.
            let free =
                if answer.status == 404 { partition.capacity } else { number(&answer.ok(), "available") };
            (free == partition.capacity - taken as i64).then_some(())
        });
    }
}

/// The history of each run by HTTP is that of SQLite.
fn check_pages(server: &Server, database: &Database) {
    let sql = "SELECT DISTINCT run, train, travel_date FROM run_history WHERE train IS NOT NULL";
    let runs: Vec<[String; 3]> = database.rows(sql, |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]));
    assert!(!runs.is_empty(), "no run has a history");
    let mut by_run: BTreeMap<String, Vec<(String, super::database::Place, Event)>> = BTreeMap::new();
    for (place, event) in database.run_history() {
        let key = event.partition.clone().expect("a partition");
        let parts: Vec<&str> = key.split('|').collect();
        if let [train, date, _] = parts[..] {
            by_run.entry(format!("{train}|{date}")).or_default().push((event.time.clone(), place, event));
        }
    }
    let mut asked: Vec<_> =
        runs.into_iter().map(|run| (by_run.remove(&run[0]).unwrap_or_default(), run)).collect();
    each(server, &mut asked, |session, (rows, [_, train, date])| {
        rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
        let path = format!("/v1/trains/{}/{}/history?limit={RUN_PAGE}", encode(train), encode(date));
        let rows: Vec<Event> = rows.iter().map(|(_, _, event)| event.clone()).collect();
        assert_eq!(pages(session, &path), rows, "the history of {train} on {date} by HTTP, and run_history");
    });
    assert!(by_run.is_empty(), "run_history does not name the run of {:?}", by_run.keys());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, hold: &str, order: Option<&str>, seats: &[&str], span: (i64, i64)) -> Event {
        Event {
            time: "2026-01-01T00:00:00.000Z".to_owned(),
            kind: kind.to_owned(),
            partition: Some("p".to_owned()),
            hold: Some(hold.to_owned()),
            order: order.map(str::to_owned),
            qty: Some(seats.len() as i64),
            seats: seats.iter().map(|&seat| seat.to_owned()).collect(),
            from: Some(span.0),
            to: Some(span.1),
            reason: None,
            trace: None,
        }
    }

    fn is_found(events: &[Event]) -> bool {
        std::panic::catch_unwind(|| play_back("p", events)).is_err()
    }

    #[test]
    fn good_and_bad_histories_of_runs_are_told_apart() {
        let made = |hold, span| event("hold_made", hold, Some(hold), &["1"], span);
        let sold = |hold, span| event("hold_confirmed", hold, Some(hold), &["1"], span);
        let free = |hold, span| event("hold_confirmed", hold, None, &["1"], span);
        let ended = |hold, span| event("hold_released", hold, Some(hold), &["1"], span);
        let check = |events: &[Event], is_bad: bool| assert_eq!(is_found(events), is_bad, "{events:#?}");
        check(&[made("a", (0, 2)), sold("a", (0, 2)), free("b", (2, 3))], false);
        check(&[made("a", (0, 2)), ended("a", (0, 2)), made("b", (1, 3)), sold("b", (1, 3))], false);
        check(&[made("a", (0, 2)), sold("a", (0, 2)), free("b", (1, 3))], true);
        check(&[made("a", (0, 2)), made("a", (0, 2))], true);
        check(&[made("a", (0, 2))], true);
        check(&[sold("a", (0, 2))], true);
        check(&[made("a", (0, 2)), sold("a", (0, 2)), sold("a", (0, 2))], true);
        check(&[made("a", (0, 2)), sold("a", (0, 2)), ended("a", (0, 2))], true);
        check(&[made("a", (0, 2)), sold("a", (0, 1))], true);
        check(&[ended("a", (0, 2))], true);
    }
}
