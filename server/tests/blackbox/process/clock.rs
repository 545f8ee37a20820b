//! Starts under a wall clock that is wrong by days: one that is far ahead is refused before it ends anything, one that is behind
//! sells on.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use crate::support::feed::{DAY, Feed};
use crate::support::process::assert_untouched;
use crate::support::time::{days_after, tomorrow};
use crate::support::{Launch, Port, Server, skipped};
use drill::clock::with_wrong_clock;

const DAY_SECS: i64 = 86_400;

/// Under a clock that is off by so many days; `None` where it cannot be.
fn off_by(launch: Launch, days: i64) -> Option<Launch> {
    let launch = with_wrong_clock(launch, days * DAY_SECS);
    if launch.is_none() {
        skipped("there is no libfaketime for a wrong clock");
    }
    launch
}

fn right(launch: Launch) -> Launch {
    launch.without_env("LD_PRELOAD").without_env("FAKETIME")
}

/// What is compared: everything but the lock, which says who looked last.
fn contents(launch: &Launch) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = launch.files();
    all.retain(|path, _| path.extension().is_none_or(|e| e != "lock"));
    all
}

/// A server with an order that waits, a live hold, and a sold seat of a run a week from now.
fn with_open_business() -> (Server, String) {
    let launch = Launch::new();
    let feed = Feed::new().write(launch.home()).display().to_string();
    let server = launch.args(&["--timetable", &feed, "--hold-ttl-secs", "86400"]).start();
    let key = format!("{DAY}|{}|2nd", days_after(&tomorrow(), 6));
    let mut session = server.session();
    session.new_order("waits");
    session.held(&key, "live", 1, 1);
    session.held(&key, "sold", 2, 1);
    session.confirm(&key, "sold").ok();
    (server, key)
}

/// Catches: a start with the clock ten days ahead that gives up what is open and forgets what is sold, in silence.
#[test]
fn a_clock_far_ahead_is_refused_and_changes_nothing() {
    let (server, key) = with_open_business();
    let mut session = server.session();
    let (available, order) = (session.available(&key), session.new_order("waits"));
    let launch = server.stop();
    let Some(launch) = off_by(launch, 10) else { return };
    let before = contents(&launch);
    launch.serve_to_end().assert_refused(&[
        "the clock says",
        "the last record is of",
        "1 live hold, 1 waiting order, 1 partition with sold seats",
        "--clock-gap-max 0",
    ]);
    assert_untouched(&before, &contents(&launch));
    // Set right, everything is there.
    let server = right(launch).start();
    let mut session = server.session();
    assert_eq!(session.available(&key), available);
    session.confirm(&key, "live").ok();
    assert_eq!(session.order(&order)["Status"], "INIT");
    let server = server.stop();
    // Believed because it was said so, and told.
    let launch = off_by(server, 10).expect("it was there before").args(&["--clock-gap-max", "0"]);
    let server = launch.start();
    assert!(
        server.log().contains("the clock is far ahead of the last record, and believed"),
        "{}",
        server.log()
    );
    assert_eq!(server.session().order(&order)["Status"], "CANCELLED");
}

/// Catches: a refusal where nothing would end, or within the allowed gap.
#[test]
fn a_clock_that_ends_nothing_is_believed() {
    let server = Launch::new().start();
    let mut session = server.session();
    session.held("p", "h", 1, 4);
    session.confirm("p", "h").ok();
    let Some(launch) = off_by(server.stop(), 10) else { return };
    let launch = launch.start().stop();
    // An ad hoc partition is kept for 400 days; beyond that its seats would be sold again.
    let launch = off_by(launch, 411).expect("it was there before");
    launch.serve_to_end().assert_refused(&["1 partition with sold seats whose time is over"]);
    let (server, _) = with_open_business();
    let order = server.session().new_order("waits");
    let launch = off_by(server.stop(), 2).expect("it was there before");
    let server = launch.start();
    assert_eq!(server.session().order(&order)["Status"], "CANCELLED", "two days are more than one");
}

/// Catches: a start that stands still, or closes and forgets by a time that the wall clock has not reached.
#[test]
fn a_clock_that_is_behind_sells_on() {
    let Some(launch) = off_by(Launch::new(), 10) else { return };
    let feed = Feed::new().write(launch.home()).display().to_string();
    let launch = launch.args(&["--timetable", &feed, "--hold-ttl-secs", "1"]);
    let server = launch.start();
    // Ten days ahead, where this train departed two days ago, and is not forgotten yet; in the right time it departs in eight days.
    let key = format!("{DAY}|{}|2nd", days_after(&tomorrow(), 7));
    let closed = json!({"partition_key": key, "hold_id": "h", "qty": 1});
    server.session().try_hold(&closed).refused(409, "the sale is closed: the train departs");
    server.session().new_order("the last record");
    let server = right(server.stop()).start();
    assert!(server.log().contains("the clock is behind the last record"), "{}", server.log());
    let mut session = server.session();
    session.try_hold(&closed).ok();
    let metrics = session.get(Port::Gateway, "/metrics").text();
    let lead = metrics.lines().find_map(|line| line.strip_prefix("interlock_time_lead_seconds "));
    let lead: i64 = lead.expect("the metric").parse().expect("a number");
    assert!((9 * DAY_SECS..=10 * DAY_SECS).contains(&lead), "{lead}");
    // Deadlines go by engine time, which goes on.
    crate::support::until("the hold to expire", || {
        let free = session.try_hold(&json!({"partition_key": key, "hold_id": "h", "qty": 1}));
        (free.status == 409).then_some(())
    });
}
