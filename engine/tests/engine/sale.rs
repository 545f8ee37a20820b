//! Until when a span is sold, and where its ends may be: at its boarding stop's departure by the calendar, and nowhere that the run
//! forbids to get on or off.

use engine::answer::Answer;
use engine::command::{AdHoc, Command, HoldRef, Reserve, RunQuery, SeatRequest};
use engine::decide::{Progress, decide};
use engine::ids::Time;
use engine::text::Text;

use crate::support::catalogue::{Table, coaches, run};
use crate::support::check;
use crate::support::names::{APART, Names, hold, partition, span};
use crate::support::word;
use crate::support::world::{START, World};

const KEY: &str = "G1|2027-01-15|2nd";
const MINUTE_MS: u64 = 60_000;
/// Three stops, ten minutes apart.
const FIRST_DEPARTS: Time = START.plus(30 * MINUTE_MS);

fn world() -> World {
    let definition = run("stop", 3, FIRST_DEPARTS.plus(20 * MINUTE_MS));
    let mut world = World::new(Table::default().sells(KEY, coaches(&["05"]), definition));
    world.policy.hold_ttl_ms = 60 * MINUTE_MS;
    world
}

fn seats(id: &str, on: Option<(u16, u16)>) -> SeatRequest {
    let span = on.and_then(|(from, to)| span(from, to));
    let ad_hoc = AdHoc { capacity: 1, segments: 1 };
    SeatRequest { partition: partition(KEY), hold: hold(id), quantity: 1, span, ad_hoc }
}

fn try_hold(world: &mut World, id: &str, on: Option<(u16, u16)>) -> String {
    word(&world.run(Command::TryHold(seats(id, on))))
}

fn available(world: &mut World, on: Option<(u16, u16)>) -> String {
    let span = on.and_then(|(from, to)| span(from, to));
    word(&world.run(Command::Availability { partition: partition(KEY), span }))
}

/// Whether the sale is closed, and the seats that the class offers.
fn on_the_runs_page(world: &mut World, on: Option<(u16, u16)>) -> (bool, u32) {
    let span = on.and_then(|(from, to)| span(from, to));
    let query = RunQuery { train: Text::from("G1"), date: Text::from("2027-01-15"), span };
    match world.run(Command::Run(query)) {
        Ok(Answer::Run(view)) => (view.is_closed, view.classes[0].available),
        other => panic!("a run's page, not {other:?}"),
    }
}

/// Open until the boarding stop's departure, opened or not; a stop later the train can still be boarded.
#[test]
fn the_sale_of_a_span_closes_when_its_boarding_stop_departs() {
    for opened in [false, true] {
        let mut world = world();
        if opened {
            assert_eq!(try_hold(&mut world, "before", Some((0, 1))), "Held");
        }
        let taken = u32::from(opened);
        world.now = Time(FIRST_DEPARTS.0 - 1);
        assert_eq!(available(&mut world, None), format!("available {}", 6 - taken));
        assert_eq!(on_the_runs_page(&mut world, Some((0, 1))), (false, 6 - taken));
        world.wait(1);
        for on in [None, Some((0, 1)), Some((0, 2))] {
            assert_eq!(try_hold(&mut world, "after", on), "!SaleClosed", "{on:?}");
            assert_eq!(available(&mut world, on), "available 0", "{on:?}");
            assert_eq!(on_the_runs_page(&mut world, on), (true, 0), "{on:?}");
        }
        assert_eq!(available(&mut world, Some((1, 2))), "available 6");
        assert_eq!(on_the_runs_page(&mut world, Some((1, 2))), (false, 6));
        assert_eq!(try_hold(&mut world, "next stop", Some((1, 2))), "Held");
        world.now = FIRST_DEPARTS.plus(10 * MINUTE_MS);
        assert_eq!(try_hold(&mut world, "too late", Some((1, 2))), "!SaleClosed");
        check::always(&world);
    }
}

#[test]
fn the_sale_closes_earlier_or_later_where_that_is_set() {
    for closes_ms in [10 * MINUTE_MS as i64, -(10 * MINUTE_MS as i64), i64::MAX, i64::MIN] {
        let mut world = world();
        world.policy.sale_closes_ms = closes_ms;
        let closes_at = FIRST_DEPARTS.0.saturating_add_signed(-closes_ms.max(-i64::MAX));
        world.now = Time(closes_at.saturating_sub(1).clamp(START.0, START.0 + 100 * MINUTE_MS));
        let expected = if world.now.0 < closes_at { "Held" } else { "!SaleClosed" };
        assert_eq!(try_hold(&mut world, "before", None), expected, "{closes_ms}");
        if closes_at < START.0 + 100 * MINUTE_MS {
            world.now = Time(closes_at.max(START.0));
            assert_eq!(try_hold(&mut world, "at", None), "!SaleClosed", "{closes_ms}");
        }
    }
}

/// Everything about a hold that was made before goes on.
#[test]
fn what_was_held_before_goes_on() {
    let names = Names::new(APART);
    let mut world = world();
    for id in ["repeat", "confirm", "release", "adopt"] {
        assert_eq!(try_hold(&mut world, id, None), "Held");
    }
    let reserve =
        |nth: usize, id: &str| Command::Reserve(Reserve { order: names.order(nth), seats: seats(id, None) });
    for nth in 0..4 {
        world.run(names.create(nth)).unwrap();
    }
    world.run(reserve(0, "own")).unwrap();
    world.now = FIRST_DEPARTS.plus(MINUTE_MS);
    assert_eq!(try_hold(&mut world, "repeat", None), "Held");
    let hold_ref = |id: &str| HoldRef { partition: partition(KEY), hold: hold(id) };
    assert_eq!(word(&world.run(Command::ConfirmHold(hold_ref("confirm")))), "Confirmed");
    assert_eq!(word(&world.run(Command::ReleaseHold(hold_ref("release")))), "Released");
    assert_eq!(word(&world.run(reserve(1, "adopt"))), "Reserved");
    assert_eq!(word(&world.run(names.cancel(1))), "Cancelled(Requested)");
    assert_eq!(word(&world.run(names.pay(0, 0))), "Paid");
    // A new one is refused, and its order can try another train.
    assert_eq!(word(&world.run(reserve(2, "new"))), "!SaleClosed");
    assert_eq!(word(&world.run(names.get(2))), "Init");
    check::settled(&world);
}

/// A stop without a time does not close, nor does an ad hoc partition.
#[test]
fn what_has_no_departure_does_not_close() {
    let mut definition = run("stop", 3, FIRST_DEPARTS.plus(20 * MINUTE_MS));
    definition.stops[0].departs_at = None;
    let mut world = World::new(Table::default().sells(KEY, coaches(&["05"]), definition));
    world.now = FIRST_DEPARTS.plus(MINUTE_MS);
    assert_eq!(try_hold(&mut world, "h", None), "Held");
    let mut world = World::new(Table::default());
    world.now = FIRST_DEPARTS.plus(1_000 * MINUTE_MS);
    assert_eq!(try_hold(&mut world, "h", None), "Held");
}

/// Engine time that is ahead of the wall clock closes nothing that the wall clock has not reached.
#[test]
fn the_earlier_of_engine_time_and_wall_clock_counts() {
    let world = world();
    let slot = engine::state::Slot::new(world.hash().partition(&partition(KEY)));
    let (early, late) = (START, FIRST_DEPARTS.plus(MINUTE_MS));
    for (now, calendar, open) in [(late, early, true), (late, late, false)] {
        let (catalogue, policy) = (&*world.catalogue, &world.policy);
        let cx = engine::decide::Context { now, calendar, catalogue, policy };
        let decision = decide(&slot, &cx, &Command::TryHold(seats("h", None)), Progress::default());
        assert_eq!(matches!(decision, Err(engine::decide::Pending::Append(_))), open, "{decision:?}");
    }
}

#[test]
fn a_span_boards_and_leaves_where_the_run_allows_it() {
    let mut definition = run("stop", 4, FIRST_DEPARTS.plus(30 * MINUTE_MS));
    definition.stops[1].board = false;
    definition.stops[2].alight = false;
    let mut world = World::new(Table::default().sells(KEY, coaches(&["05"]), definition));
    for opened in [false, true] {
        for (on, allowed) in [
            ((0, 1), true),
            ((0, 2), false),
            ((1, 2), false),
            ((1, 3), false),
            ((2, 3), true),
            ((0, 3), true),
        ] {
            let seats = if allowed { "available 6" } else { "available 0" };
            if !opened {
                assert_eq!(available(&mut world, Some(on)), seats, "{on:?}");
                assert_eq!(on_the_runs_page(&mut world, Some(on)), (false, if allowed { 6 } else { 0 }));
            }
            if !allowed {
                assert_eq!(try_hold(&mut world, "h", Some(on)), "!BoardingNotAllowed", "{on:?}");
                assert_eq!(available(&mut world, Some(on)), "available 0", "{on:?}");
            }
        }
        if !opened {
            assert!(world.log.is_empty(), "what is refused opens nothing");
        }
        assert_eq!(try_hold(&mut world, "whole", None), "Held");
    }
    check::always(&world);
}
