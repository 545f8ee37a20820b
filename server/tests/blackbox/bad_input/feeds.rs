//! Timetable feeds that are wrong: what can be sold of them is, and the rest is said; a strict start refuses them, with the file and the line.

use crate::support::feed::{DAY, Feed, NIGHT_STARTS_AT_LINE};
use crate::support::time::tomorrow;
use crate::support::{Launch, Port};

/// Starts a strict server on the feed, which must be refused with all of `names` in what it says.
#[track_caller]
fn check_refused(feed: &Feed, names: &[&str]) {
    let launch = Launch::new();
    let dir = feed.write(launch.home()).display().to_string();
    let strictly = ["--timetable", &dir, "--timetable-strict", "on"];
    launch.args(&strictly).serve_to_end().assert_refused(names);
}

/// Catches: a feed that is refused whole for one trip; one whose rest is left out in silence; seats that are guessed in silence.
#[test]
fn a_feed_is_sold_as_far_as_it_can_be_and_the_rest_is_said() {
    let launch = Launch::new();
    let (feed, line) = Feed::new().appended("trips.txt", "R1,S,trip-9,K9");
    let feed = feed.write(launch.home());
    let shown = feed.display().to_string();
    let place = format!("trips.txt:{line}: train K9 has 0 stops");

    let checked = launch.run(&["timetable", "check", &shown]);
    checked.assert_refused(&["not everything is loaded as it stands"]);
    let said = [
        "4 trips of 4 trains",
        "8-car (4 trips)",
        "default = \"8-car\"",
        "1 trips with no stop or one: left out",
        &place,
    ];
    for said in said {
        assert!(checked.stdout.contains(said), "{said:?} is not said: {}", checked.stdout);
    }

    let server = launch.args(&["--timetable", &shown]).start();
    let mut session = server.session();
    session.get(Port::Gateway, &format!("/v1/trains/{DAY}/{}", tomorrow())).ok();
    session.get(Port::Gateway, &format!("/v1/trains/K9/{}", tomorrow())).refused(404, "train not found");
    let log = server.log();
    for said in ["trips with no stop or one", &place, "no formations.toml"] {
        assert!(log.contains(said), "{said:?} is not in the log: {log}");
    }
    let launch = server.stop();

    // With everything in order there is nothing to say.
    let feed = Feed::new().write(launch.home());
    std::fs::write(feed.join("formations.toml"), "default = \"8-car\"\n").expect("formations");
    let checked = launch.run(&["timetable", "check", &shown]);
    assert!(checked.status.success(), "{}", checked.said());
    assert_eq!(checked.stdout.lines().count(), 2, "{}", checked.stdout);
}

/// Catches: a feed that lacks a table served as if it had no trains.
#[test]
fn missing_files_are_named() {
    for name in ["agency.txt", "stops.txt", "routes.txt", "trips.txt", "stop_times.txt"] {
        check_refused(&Feed::new().without(name), &[name]);
    }
    check_refused(&Feed::new().without("calendar.txt").without("calendar_dates.txt"), &["calendar"]);
    let launch = Launch::new();
    let absent = launch.home().join("no-such-feed");
    launch
        .args(&["--timetable", &absent.display().to_string()])
        .serve_to_end()
        .assert_refused(&["no-such-feed"]);
}

/// Catches: a line that makes no sense skipped by a strict start, so that trains are sold without it.
#[test]
fn wrong_lines_are_named() {
    let night = |stop: usize| format!("stop_times.txt:{}", NIGHT_STARTS_AT_LINE + stop);
    let times = |from: &str, to: &str| Feed::new().replaced("stop_times.txt", from, to);
    check_refused(
        &times("trip-2,25:10:00,25:15:00,CCC,3", "trip-2,25:10:00,25:15:00,XXX,3"),
        &[&night(2), "XXX"],
    );
    check_refused(&times("23:50:00,24:05:00", "21:50:00,24:05:00"), &[&night(1)]);
    check_refused(&times("25:10:00,25:15:00", "25:10:00,25:05:00"), &[&night(2)]);
    check_refused(&times("25:10:00,25:15:00", "25:70:00,25:75:00"), &[&night(2)]);
    check_refused(&times("25:10:00,25:15:00", "soon,later"), &[&night(2)]);
    check_refused(&times("trip-2,30:00:00", "trip-9,30:00:00"), &[&night(3), "trip-9"]);

    let (feed, line) = Feed::new().appended("trips.txt", "R1,S,trip-1,K9");
    check_refused(&feed, &[&format!("trips.txt:{line}"), "trip-1"]);
    let (feed, line) = Feed::new().appended("trips.txt", "R9,S,trip-9,K9");
    check_refused(&feed, &[&format!("trips.txt:{line}"), "R9"]);
    let (feed, line) = Feed::new().appended("stops.txt", "AAA,AAA,Alpha again,1,");
    check_refused(&feed, &[&format!("stops.txt:{line}"), "AAA"]);
    let (feed, line) = Feed::new().appended("calendar_dates.txt", "S,20260230,1");
    check_refused(&feed, &[&format!("calendar_dates.txt:{line}")]);
}

/// The same feed without a mistake: so that what is refused above is refused for its own fault.
#[test]
fn a_good_feed_is_served() {
    let launch = Launch::new();
    let dir = Feed::new().write(launch.home());
    let server = launch.args(&["--timetable", &dir.display().to_string()]).start();
    server.session().get(Port::Gateway, "/v1/stations?q=AAA").ok();
}
