//! Partitions that no timetable defines: who comes first defines them, and no longer than somebody has seats of them.

use serde_json::json;

use crate::support::feed::{DAY, Feed};
use crate::support::session::{list, number, text};
use crate::support::time::tomorrow;
use crate::support::{Launch, Port, Session, until};

fn key() -> String {
    format!("{DAY}|{}|2nd", tomorrow())
}

/// Capacity and available seats of the class on the run's page.
fn on_the_page(session: &mut Session) -> (i64, i64) {
    let run = session.get(Port::Gateway, &format!("/v1/trains/{DAY}/{}", tomorrow())).ok();
    let class = list(&run, "classes").iter().find(|class| text(class, "class") == "2nd").expect("the class");
    (number(class, "capacity"), number(class, "available"))
}

/// Catches: a train that is sold as its first ad hoc caller said, for ever, after a timetable has it.
#[test]
fn a_timetable_takes_over_what_nobody_has_seats_of() {
    let launch = Launch::new();
    let feed = Feed::new().write(launch.home()).display().to_string();
    let server = launch.start();
    let key = key();
    let mut session = server.session();
    session.held(&key, "first", 1, 1);
    session.release(&key, "first").ok();
    assert_eq!(session.available(&key), 1);
    let server = server.stop().args(&["--timetable", &feed]).start();
    let mut session = server.session();
    let (capacity, available) = on_the_page(&mut session);
    assert!(capacity > 100 && available == capacity, "{available} of {capacity}");
    assert_eq!(session.available(&key), capacity);
    assert_eq!(session.available_on(&key, 2, 3), capacity);
    session
        .try_hold(
            &json!({"partition_key": key, "hold_id": "first", "qty": 1, "from_index": 2, "to_index": 3}),
        )
        .ok();
    assert!(!server.log().contains("sold ad hoc before"), "{}", server.log());
}

/// Catches: seats that somebody has, given to somebody else by the timetable; a page that shows what cannot be had.
#[test]
fn what_somebody_has_seats_of_stays_and_is_told() {
    let launch = Launch::new();
    let feed = Feed::new().write(launch.home()).display().to_string();
    let server = launch.start();
    let key = key();
    let mut session = server.session();
    session.held(&key, "sold", 2, 3);
    session.confirm(&key, "sold").ok();
    let server = server.stop().args(&["--timetable", &feed]).start();
    assert!(
        server.log().contains(&format!("{key} was sold ad hoc before the timetable had it")),
        "{}",
        server.log()
    );
    let mut session = server.session();
    assert_eq!(on_the_page(&mut session), (3, 1));
    let found = session.get(Port::Gateway, &format!("/v1/trains?from=AAA&to=DDD&date={}", tomorrow())).ok();
    let train = list(&found, "trains").iter().find(|train| text(train, "train") == DAY).expect("the train");
    let class = list(train, "classes").iter().find(|class| text(class, "class") == "2nd").expect("the class");
    assert_eq!(
        (number(class, "capacity"), number(class, "available")),
        (3, 0),
        "of one segment, and asked for three"
    );
    assert_eq!(session.available(&key), 1);
    session.held(&key, "another", 1, 9);
}

/// Catches: an ad hoc partition that is remembered for ever; a sequence that goes back.
#[test]
fn what_nobody_has_seats_of_is_forgotten_and_its_sequence_goes_on() {
    let server = Launch::new().args(&["--hold-memory-secs", "1"]).start();
    let mut session = server.session();
    let first = session.held("made up", "h", 1, 4);
    session.release("made up", "h").ok();
    until("the partition to be forgotten", || {
        let path = "/inventory/availability?partition_key=made%20up";
        let answer = session.get(Port::Inventory, path);
        (answer.status == 404).then(|| answer.refused(404, "partition not found"))
    });
    session.release("made up", "h").refused(404, "hold not found");
    let again = session.held("made up", "h", 2, 9);
    assert_eq!(number(&again, "capacity"), 9, "as its first caller says, again");
    assert!(number(&again, "last_seq") > number(&first, "last_seq") + 1, "{first} then {again}");
    let server = server.kill().start();
    let mut session = server.session();
    assert_eq!(session.held("made up", "h", 2, 9)["last_seq"], again["last_seq"]);
}
