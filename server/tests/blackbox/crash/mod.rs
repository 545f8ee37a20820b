//! The crash drill: `kill -9` under load, restart, and an audit of every answer that was ever given.
//!
//! One data directory through all cycles. In each, 32 clients create, reserve, pay, cancel, hold and read until at
//! least 500 writes are acknowledged; then the server is killed in the middle of it. Holds last a second, so that
//! expiry and restarts meet; segments are as small as they can be, so that they are recycled; orders live in other
//! slots, and on other cores, than the partitions they are for. Between some cycles the number of cores changes, and
//! the server is also killed while it starts. What the audit checks is in `audit.rs`.
//!
//! `INTERLOCK_DRILL_SEED` repeats the choices of a run (not its timing), `INTERLOCK_DRILL_CYCLES` makes it longer.

mod audit;
mod book;
mod load;
mod rules;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sell::Run;
use crate::support::session::SIGN_KEY;
use crate::support::time::now_ms;
use crate::support::{Launch, Rng, Server, until};
use audit::Ledger;
use book::{Journey, Op, Place};
use load::{Load, Tale};

/// Kills under load, at the least.
const CYCLES: u64 = 20;
const CLIENTS: usize = 32;
/// Writes that must be acknowledged before a kill.
const ACKNOWLEDGED_MIN: u64 = 500;
/// A kill comes at a random moment after that many more.
const ACKNOWLEDGED_MORE: u64 = 400;
/// A kill during a start comes within this time.
const START_MS: u64 = 300;
/// Partitions of one segment, new ones in each cycle.
const AD_HOC_PLACES: u64 = 12;
const AD_HOC_CAPACITY: i64 = 30;
/// Seats for orders that find out what became of a payment.
const PROBE_CAPACITY: i64 = 10_000;
/// Journeys of earlier cycles that are repeated in each one; all are at the end.
const SAMPLE: usize = 60;

/// Everything that outlives a cycle.
struct Drill {
    rng: Rng,
    journeys: Vec<Journey>,
    ledger: Ledger,
    runs: Vec<Arc<Place>>,
    acknowledged: u64,
    repeated: u64,
    starts_killed: u64,
    audits: u64,
    abandoned: usize,
}

/// Prints how to repeat a drill that failed.
struct Repeat(u64);

impl Drop for Repeat {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "repeat with: INTERLOCK_DRILL_SEED={} cargo test -p server --test blackbox crash::",
                self.0
            );
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |v| v.parse().unwrap_or_else(|_| panic!("{name}={v} is no number")))
}

/// Catches: see `audit.rs`.
#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let seed = setting("INTERLOCK_DRILL_SEED", now_ms());
    let cycles = setting("INTERLOCK_DRILL_CYCLES", CYCLES);
    println!("INTERLOCK_DRILL_SEED={seed}");
    let _repeat = Repeat(seed);
    let mut launch = Launch::new()
        .cores(2)
        .env("INVENTORY_HOLD_TTL_SECS", "1")
        .env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY)
        .env("INTERLOCK_SEGMENT_BYTES", "262144")
        .env("INTERLOCK_SNAPSHOT_LOG_BYTES", "524288");
    let mut server = launch.start();
    let mut drill = Drill {
        rng: Rng::new(seed),
        journeys: Vec::new(),
        ledger: Ledger::default(),
        runs: places_of_a_run(&server),
        acknowledged: 0,
        repeated: 0,
        starts_killed: 0,
        audits: 0,
        abandoned: 0,
    };
    for cycle in 0..cycles {
        let tales = drill.kill_under_load(cycle, server);
        launch = drill.kill_while_starting(cycle, launch);
        server = launch.start();
        drill.audit(&server, tales);
    }
    drill.audit_all(&server);
    let launch = server.stop();
    let check = launch.run(&["log", "check", &launch.dir().display().to_string()]);
    assert!(check.status.success(), "the log is sound: {}", check.said());
    assert_recycled(&launch);
    println!(
        "{cycles} kills under load and {} while starting; {} acknowledged writes, {} repeated, {} cut off and left; \
         {} seats sold by segment",
        drill.starts_killed,
        drill.acknowledged,
        drill.repeated,
        drill.abandoned,
        drill.ledger.seats_sold(),
    );
}

/// The classes of a run of the built-in timetable: spans of it overlap in every way.
fn places_of_a_run(server: &Server) -> Vec<Arc<Place>> {
    let run = Run::find(&mut server.session());
    let segments = run.stops.len() - 1;
    let place = |(key, _, capacity): (String, String, i64)| Arc::new(Place { key, capacity, segments });
    run.classes.into_iter().map(place).collect()
}

impl Drill {
    /// Lets the clients work and kills the server in the middle of it.
    fn kill_under_load(&mut self, cycle: u64, mut server: Server) -> Vec<Tale> {
        let mut places = self.runs.clone();
        places.extend((0..AD_HOC_PLACES).map(|i| {
            // Half of them look like a run's, which are placed by train and date.
            let key = if i % 2 == 0 {
                format!("drill-{cycle}-{i}")
            } else {
                format!("X{cycle}-{i}|2026-02-11|2nd")
            };
            Arc::new(Place { key, capacity: AD_HOC_CAPACITY, segments: 1 })
        }));
        let load = Load {
            cycle,
            places,
            acknowledged: AtomicU64::new(0),
            killing: AtomicBool::new(false),
            known: Mutex::new(Vec::new()),
            current: (0..CLIENTS).map(|_| Mutex::default()).collect(),
        };
        let enough = ACKNOWLEDGED_MIN + self.rng.below(ACKNOWLEDGED_MORE);
        let pause = Duration::from_micros(self.rng.below(20_000));
        // Some are killed while they stop.
        let stopping = (cycle % 4 == 3).then(|| Duration::from_micros(self.rng.below(30_000)));
        let seeds: Vec<Rng> = (0..CLIENTS).map(|_| Rng::new(self.rng.next())).collect();
        let tales = std::thread::scope(|scope| {
            let clients: Vec<_> = seeds
                .into_iter()
                .enumerate()
                .map(|(i, rng)| {
                    let session = if i % 2 == 0 { server.session() } else { server.gateway() };
                    let load = &load;
                    scope.spawn(move || load::run(load, i, session, rng))
                })
                .collect();
            // A client that fails must not leave the others working for ever.
            let stop = KillOnDrop { load: &load, server: &mut server, stopping };
            until("enough acknowledged writes", || {
                assert!(clients.iter().all(|c| !c.is_finished()), "a client failed");
                (load.acknowledged.load(Ordering::SeqCst) >= enough).then_some(())
            });
            // Not in place of a condition: it makes the moment random.
            std::thread::sleep(pause);
            drop(stop);
            clients.into_iter().map(|c| c.join().expect("a client")).collect::<Vec<Tale>>()
        });
        let acknowledged = load.acknowledged.load(Ordering::SeqCst);
        assert!(acknowledged >= ACKNOWLEDGED_MIN);
        self.acknowledged += acknowledged;
        tales
    }

    /// Chooses the cores of the next start, and mostly kills the server on its way: to those, or to others.
    fn kill_while_starting(&mut self, cycle: u64, launch: Launch) -> Launch {
        let cores = match cycle % 6 {
            2 => 3,
            4 => 1,
            _ => 2,
        };
        for _ in 0..self.rng.below(3) {
            let on_the_way = if self.rng.below(2) == 0 { cores } else { 1 + self.rng.below(3) as u32 };
            let mut starting = launch.clone().cores(on_the_way).spawn();
            // Not in place of a condition: the moment is random.
            std::thread::sleep(Duration::from_millis(self.rng.below(START_MS)));
            assert!(
                starting.ended().is_none(),
                "the server ended by itself while it started: {}",
                starting.log()
            );
            starting.kill();
            self.starts_killed += 1;
        }
        launch.cores(cores)
    }

    /// Holds the restarted server to what this cycle's clients were told, and to some of what earlier ones were.
    fn audit(&mut self, server: &Server, tales: Vec<Tale>) {
        let (mut journeys, mut sights) = (Vec::new(), Vec::new());
        for tale in tales {
            journeys.extend(tale.journeys);
            sights.extend(tale.sights);
        }
        // Before anything is asked for again, which could hide that it was gone.
        audit::check_recovered(server, &sights);
        for journey in &mut journeys {
            journey.abandoned = journey.may_be_abandoned() && self.rng.below(2) == 0;
        }
        self.abandoned += journeys.iter().filter(|journey| journey.abandoned).count();
        audit::each(server, &mut journeys, audit::repeat);
        let late = |i: usize, journey: &Journey| {
            // One in four of the expired orders is paid too late.
            match journey.steps.first().map(|step| &step.op) {
                Some(Op::Create { key, .. }) if i.is_multiple_of(4) => Some(format!("{key}-late")),
                _ => None,
            }
        };
        let mut settling: Vec<_> = journeys.iter_mut().enumerate().map(|(i, j)| (late(i, j), j)).collect();
        audit::each(server, &mut settling, |session, (late, journey)| {
            audit::settle(session, journey, late.take());
        });
        let key = format!("probes-{}", self.audits);
        let place = Arc::new(Place { key, capacity: PROBE_CAPACITY, segments: 1 });
        let mut resolving: Vec<_> = journeys.iter_mut().map(|journey| (journey, Vec::new())).collect();
        audit::each(server, &mut resolving, |session, (journey, probes)| {
            *probes = audit::resolve(session, journey, &place);
        });
        let probes: Vec<Journey> = resolving.into_iter().flat_map(|(_, probes)| probes).collect();
        journeys.extend(probes);
        self.audits += 1;
        audit::check_sights(&sights, &journeys);
        // Once more, now that everything has ended: the answers are the same as at any moment before.
        audit::each(server, &mut journeys, audit::repeat);
        self.repeated += journeys.iter().map(|j| 2 * j.steps.len() as u64).sum::<u64>();
        journeys.iter().for_each(|journey| self.ledger.add(journey));
        for _ in 0..SAMPLE.min(self.journeys.len()) {
            let i = self.rng.below(self.journeys.len() as u64) as usize;
            audit::repeat(&mut server.session(), &mut self.journeys[i]);
        }
        self.journeys.extend(journeys);
        audit::check_refunds(&mut server.session(), self.journeys.iter());
        self.ledger.check_stays();
        self.ledger.check_availability(server);
    }

    /// Repeats everything of all cycles.
    fn audit_all(&mut self, server: &Server) {
        audit::each(server, &mut self.journeys, audit::repeat);
        self.repeated += self.journeys.iter().map(|j| j.steps.len() as u64).sum::<u64>();
        audit::check_refunds(&mut server.session(), self.journeys.iter());
        self.ledger.check_availability(server);
    }
}

/// Kills the server and tells the clients that this is meant.
struct KillOnDrop<'a> {
    load: &'a Load,
    server: &'a mut Server,
    /// It is asked to stop first, and killed that much later.
    stopping: Option<Duration>,
}

impl Drop for KillOnDrop<'_> {
    fn drop(&mut self) {
        self.load.killing.store(true, Ordering::SeqCst);
        if let Some(stopping) = self.stopping {
            self.server.terminate();
            std::thread::sleep(stopping);
        }
        self.server.kill_now();
    }
}

/// The drill was about recycled segments as well: the log's first writes are no longer in it, and it has not grown
/// with the writes.
fn assert_recycled(launch: &Launch) {
    let dump = launch.run(&["log", "dump", &launch.dir().display().to_string()]);
    assert!(dump.status.success(), "{}", dump.said());
    assert!(!dump.stdout.contains("\"c0-0-1\""), "the log still begins with the first cycle");
    let bytes: u64 = launch.files().values().map(|bytes| bytes.len() as u64).sum();
    assert!(bytes < 64 << 20, "the data directory has grown to {bytes} bytes");
}
