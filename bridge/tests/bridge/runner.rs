//! The runner, held against sinks and sources that fail at every call, and stops at every step: nothing is lost, and nothing is there
//! twice.

mod fakes;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bridge::health::State;
use bridge::read_model::ReadModel;
use bridge::runner::{BACKOFF_MAX, CURSOR_INTERVAL, GATHER, Next, Now, Runner, Stop, WAIT_MAX};
use bridge::sink::{Start, Trouble};
use engine::ids::Time;
use wal::Lsn;

use crate::ops::Op;
use crate::support::{Filled, History, cursor, engine_view};
use fakes::{Failure, FakeSink, FakeSource, Log, Memory};

/// Steps until it waits for more, or gives up.
const STEPS_MAX: usize = 300;

fn now(ms: u64) -> Now {
    Now { wall: Time(1_000_000 + ms), running: Duration::from_millis(ms) }
}

/// Steps until there is nothing more to do; every step a second after the one before.
fn run(runner: &mut Runner<FakeSink, FakeSource>) -> usize {
    for step in 0..STEPS_MAX {
        match runner.step(now(step as u64 * 1_000)) {
            Next::WaitForMore(timeout) => {
                assert!(timeout <= WAIT_MAX);
                return step;
            }
            Next::Pause(pause) => assert!(pause <= BACKOFF_MAX),
            Next::AtOnce => {}
            Next::Stop => return step,
        }
    }
    panic!("it never comes to the end: {:?}", runner.health().report());
}

fn runner(memory: &Memory, log: &Log, failure: Failure) -> Runner<FakeSink, FakeSource> {
    let source = FakeSource::new(log, failure);
    let health = Arc::clone(&source.health);
    let runner = Runner::new(FakeSink::new(memory, failure), source, Arc::new(Stop::default()), 1);
    health.set(runner.health()).expect("it is a new source");
    runner
}

/// Two cores; some records are passed over.
fn log() -> Log {
    Log::of(&[6, 9])
}

#[test]
fn copies_and_follows() {
    let (memory, log) = (Memory::default(), log());
    let mut runner = runner(&memory, &log, Failure::Never);
    run(&mut runner);
    memory.assert_has_all_of(&log);
    let report = runner.health().report();
    assert_eq!(report.state, State::Following);
    assert_eq!(report.fault, None);
    assert_eq!((report.backlog, report.position), (0, memory.cursor()));
    assert!(report.slots_copied > 0 && report.records_written > 0);
}

/// Each call of the sink and of the source fails once, with what it should have done undone or done.
#[test]
fn failing_once_at_every_call() {
    let calls = {
        let (memory, log) = (Memory::default(), log());
        run(&mut runner(&memory, &log, Failure::Never));
        memory.calls() + log.calls()
    };
    assert!(calls > 10, "{calls}");
    for failure in (0..calls).flat_map(Failure::all_at) {
        let (memory, log) = (Memory::default(), log());
        let mut runner = runner(&memory, &log, failure);
        run(&mut runner);
        memory.assert_has_all_of(&log);
        let report = runner.health().report();
        assert_eq!(report.state, State::Following, "{failure:?}");
        assert_eq!(report.fault.is_some(), memory.has_failed() || log.has_failed(), "{failure:?}");
        // A second one goes on from there, and has nothing to do.
        let calls = memory.writes();
        run(&mut self::runner(&memory, &log, Failure::Never));
        assert_eq!(memory.writes(), calls, "{failure:?}");
    }
}

/// It stops at every step, and another one goes on.
#[test]
fn stopping_at_every_step() {
    let steps = run(&mut runner(&Memory::default(), &log(), Failure::Never));
    assert!(steps > 5, "{steps}");
    for stopped_at in 0..=steps {
        let (memory, log) = (Memory::default(), log());
        let stop = Arc::new(Stop::default());
        let (sink, source) = (FakeSink::new(&memory, Failure::Never), FakeSource::new(&log, Failure::Never));
        let mut first = Runner::new(sink, source, Arc::clone(&stop), 1);
        for step in 0..stopped_at {
            first.step(now(step as u64 * 1_000));
        }
        stop.set();
        assert_eq!(first.step(now(0)), Next::Stop);
        drop(first);
        run(&mut runner(&memory, &log, Failure::Never));
        memory.assert_has_all_of(&log);
    }
}

/// Catches: a mirror that somebody has to rebuild by hand; a database that is filled over what the engine no longer has.
#[test]
fn what_is_made_of_the_state_alone_is_filled_again_when_it_lost_something() {
    for (is_refilled, trouble, is_filled) in
        [(true, Trouble::Behind, true), (true, Trouble::Ahead, false), (false, Trouble::Behind, false)]
    {
        let (memory, log) = (Memory::default(), log());
        log.refuse(Some(trouble));
        let mut sink = FakeSink::new(&memory, Failure::Never);
        sink.is_refilled = is_refilled;
        let source = FakeSource::new(&log, Failure::Never);
        let mut runner = Runner::new(sink, source, Arc::new(Stop::default()), 1);
        for step in 0..20 {
            runner.step(now(step * 1_000));
        }
        let report = runner.health().report();
        assert_eq!(report.state == State::Following, is_filled, "{is_refilled} {trouble:?}: {report:?}");
        if is_filled {
            memory.assert_has_all_of(&log);
        }
    }
}

/// Catches: events that are made of a state; a sink that begins elsewhere than it is told.
#[test]
fn one_that_keeps_what_was_recorded_begins_with_the_oldest_record() {
    let (memory, log) = (Memory::default(), log());
    let mut sink = FakeSink::new(&memory, Failure::Never);
    sink.start = Start::OldestRecord;
    let source = FakeSource::new(&log, Failure::Never);
    let mut runner = Runner::new(sink, source, Arc::new(Stop::default()), 1);
    run(&mut runner);
    // Two records of each core are gone, and nobody wants the third.
    assert_eq!(memory.first_record(), Some((0, 4)));
    let report = runner.health().report();
    assert_eq!((report.slots_copied, report.backlog, report.position), (0, 0, memory.cursor()));
    assert_eq!(report.began_behind.unwrap().cores, [Lsn(2), Lsn(2)]);
}

/// A copy takes long: it is given up when it is told to stop, and counts as nothing.
#[test]
fn stopping_in_a_copy() {
    let (memory, log) = (Memory::default(), log());
    let stop = Arc::new(Stop::default());
    let (sink, mut source) = (FakeSink::new(&memory, Failure::Never), FakeSource::new(&log, Failure::Never));
    source.stops_in_copy = Some(Arc::clone(&stop));
    let mut first = Runner::new(sink, source, stop, 1);
    assert_eq!(first.step(now(0)), Next::AtOnce);
    assert_eq!(first.step(now(1)), Next::Stop);
    assert_eq!(first.health().report().slots_copied, 1);
    drop(first);
    assert_eq!(memory.cursor(), None);
    run(&mut runner(&memory, &log, Failure::Never));
    memory.assert_has_all_of(&log);
}

#[test]
fn a_sink_that_may_not_be_followed_into() {
    let (memory, log) = (Memory::default(), log());
    log.refuse(Some(Trouble::Behind));
    let mut runner = runner(&memory, &log, Failure::Never);
    for step in 0..5 {
        assert!(matches!(runner.step(now(step)), Next::Pause(_)));
    }
    let report = runner.health().report();
    assert_eq!((report.state, report.fault.unwrap().trouble), (State::Down, Trouble::Behind));
    assert!(!memory.was_emptied());

    log.refuse(None);
    run(&mut runner);
    memory.assert_has_all_of(&log);
}

#[test]
fn what_health_says() {
    let (memory, log) = (Memory::default(), log());
    let mut runner = runner(&memory, &log, Failure::Never);
    run(&mut runner);
    let health = runner.health();
    assert_eq!(health.report().lag_ms(Time(u64::MAX)), 0);

    // It goes down, and stays so.
    memory.break_down(true);
    log.append(0, 3);
    for (step, ms) in [50_000, 60_000, 70_000].into_iter().enumerate() {
        assert!(matches!(runner.step(now(ms)), Next::Pause(_)));
        let report = health.report();
        assert_eq!(report.state, State::Down, "{step}");
        assert_eq!(report.fault.unwrap().since, now(50_000).wall, "{step}");
        assert_eq!(report.backlog, 3);
    }
    let last = health.report().last_time.unwrap();
    assert_eq!(health.report().lag_ms(Time(last.0 + 77)), 77);

    memory.break_down(false);
    run(&mut runner);
    let report = health.report();
    assert_eq!((report.state, report.backlog, report.lag_ms(Time(u64::MAX))), (State::Following, 0, 0));
    // What was wrong last can still be read.
    assert!(report.fault.is_some());
    memory.assert_has_all_of(&log);
}

/// Records that no sink wants cost no write each; the cursor still moves.
#[test]
fn passing_over() {
    let (memory, log) = (Memory::default(), log());
    let mut runner = runner(&memory, &log, Failure::Never);
    run(&mut runner);
    let (writes, at) = (memory.writes(), 1_000 * STEPS_MAX as u64);
    let mut lsn = memory.cursor().unwrap().cores[0].0;
    assert_eq!(runner.step(now(at)), Next::WaitForMore(WAIT_MAX));
    // The first is written at once: the last write was long ago.
    for ms in [0, 100, 200, CURSOR_INTERVAL.as_millis() as u64] {
        log.append_passed_over(0, 1);
        assert_eq!(runner.step(now(at + ms)), Next::Pause(GATHER));
    }
    lsn += 4;
    assert_eq!(memory.writes(), writes + 2);
    assert_eq!(memory.cursor().unwrap().cores[0].0, lsn);
}

/// The real read model, on a thread of its own.
#[test]
fn fills_a_read_model() {
    let mut history = History::new();
    for order in 0..4 {
        history.step(&Op::Create { order, amount: 1 });
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("read-model.db");
    let source = fakes::WorldSource::new(&history.world.log);
    let appender = source.appender();
    let stop = Arc::new(Stop::default());
    let model = ReadModel::new(crate::support::settings(&path));
    let runner = Runner::new(model, source, Arc::clone(&stop), 1);
    let health = runner.health();
    let thread = std::thread::spawn(|| runner.run());

    history.step(&Op::Cancel { order: 1, named: None });
    appender.set(&history.world.log);
    let all = cursor(history.world.log.len() as u64);
    let begin = Instant::now();
    while health.report().position != Some(all.clone()) {
        assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", health.report());
        std::thread::yield_now();
    }
    stop.set();
    thread.join().unwrap();

    let mut filled = Filled::of(&[]);
    filled.reader = bridge::read_model::Reader::new(&path);
    for order in history.orders() {
        assert_eq!(filled.order(order), engine_view(&mut history.world, order));
    }
}

/// Asked for at any step: what it had is thrown away, nothing of it counts any more, and it is filled anew.
#[test]
fn rebuilding_at_every_step() {
    let steps = run(&mut runner(&Memory::default(), &log(), Failure::Never));
    for asked_at in 0..=steps + 2 {
        for failure in [Failure::Never, Failure::SinkBefore(asked_at), Failure::SinkAfter(asked_at)] {
            let (memory, log) = (Memory::default(), log());
            let mut runner = runner(&memory, &log, failure);
            let requests = runner.requests();
            for step in 0..asked_at {
                runner.step(now(step as u64 * 1_000));
            }
            requests.rebuild();
            let mut thrown_away = false;
            for step in 0..STEPS_MAX {
                runner.step(now(step as u64 * 1_000));
                if !requests.is_pending() && !thrown_away {
                    thrown_away = true;
                    assert_eq!(runner.health().report().position, None, "nothing may be relied on");
                }
            }
            assert!(thrown_away && requests.rebuilds() == 1, "{failure:?}");
            memory.assert_has_all_of(&log);
        }
    }
}
