//! One data directory and everything that is known of it: its cycles, and the audit of all of it at the end.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::Settings;
use super::audit;
use super::book::{Journey, Op, Place};
use super::figures::Figures;
use super::ground::Ground;
use super::ledger::Ledger;
use super::load::{self, Load, Tale};
use super::moments::{Moment, Watch, cores_on_disk};
use super::places::Runs;
use super::plan::{Plan, Start};
use super::pool;
use crate::process::files;
use crate::{Launch, Rng, Server, chance, until};

pub const CLIENTS: usize = 32;
/// Fewer first starts than this are killed, each within this time.
const FIRST_STARTS: u64 = 5;
const FIRST_START_MS: u64 = 250;
/// How long a named moment is waited for.
const MOMENT_MAX: Duration = Duration::from_secs(3);
/// Seats for orders that find out what became of a payment.
const PROBE_CAPACITY: i64 = 10_000;
/// Journeys of earlier cycles that are repeated in each one, and places of earlier cycles that are counted.
const SAMPLE: usize = 60;
/// What the data directory may have grown to at the end of an era, and its logs: far more is written to them.
const DIRECTORY_BYTES_MAX: usize = 256 << 20;
const LOG_BYTES_MAX: usize = 16 << 20;

#[derive(Debug)]
pub struct Era {
    server: Option<Server>,
    runs: Runs,
    journeys: Vec<Journey>,
    ledger: Ledger,
}

impl Era {
    /// Starts a server on an empty directory; some starts do not come to their end.
    pub fn begin(
        settings: &Settings,
        launch: &Launch,
        first: u64,
        ground: &mut dyn Ground,
        figures: &mut Figures,
    ) -> Era {
        let mut rng = chance::of_part(settings.seed.rotate_left(32), first);
        let launch = launch.clone().cores(settings.cores[0]);
        for _ in 0..rng.u64(..FIRST_STARTS) {
            let mut starting = launch.spawn();
            // Not in place of a condition: the moment is random.
            std::thread::sleep(Duration::from_millis(rng.u64(..FIRST_START_MS)));
            assert!(starting.ended().is_none(), "the first start ended by itself: {}", starting.log_tail());
            ground.crash_starting(&mut starting);
            figures.count(Moment::FirstStart);
        }
        let server = launch.start();
        let runs = Runs::find(&mut server.session());
        Era { server: Some(server), runs, journeys: Vec::new(), ledger: Ledger::default() }
    }

    /// Load, a crash, starts that are cut short, a start, an audit.
    pub fn cycle(&mut self, cycle: u64, settings: &Settings, ground: &mut dyn Ground, figures: &mut Figures) {
        let mut plan = Plan::new(settings.seed, cycle, settings.acknowledged_min, &settings.cores);
        let server = self.server.take().expect("a server between cycles");
        let launch = server.launch().clone();
        let tales = self.crash_under_load(cycle, &mut plan, server, ground, figures);
        for start in &plan.starts {
            crash_while_starting(start, &launch, ground, figures);
        }
        let server = launch.cores(plan.cores).start();
        self.audit(&server, tales, cycle, &mut plan.audit, figures);
        self.server = Some(server);
        figures.cycles += 1;
    }

    /// Repeats everything that is known of the directory, and checks its log.
    pub fn end(mut self, figures: &mut Figures) {
        let server = self.server.take().expect("a server between cycles");
        pool::each(&server, &mut self.journeys, audit::repeat);
        figures.repeated += steps(&self.journeys);
        figures.refunds += audit::check_refunds(&mut server.session(), self.journeys.iter());
        self.ledger.check_all(&server);
        figures.seats_sold += self.ledger.seats_sold() as u64;
        let launch = server.stop();
        let check = launch.run(&["log", "check", &launch.dir().display().to_string()]);
        assert!(check.status.success(), "the log is sound: {}", check.said());
        let (mut all, mut logs) = (0, 0);
        for (path, bytes) in files(launch.dir()) {
            all += bytes.len();
            let is_log = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log-"));
            logs += if is_log { bytes.len() } else { 0 };
        }
        assert!(logs < LOG_BYTES_MAX, "segments are not recycled: {logs} bytes of log");
        assert!(all < DIRECTORY_BYTES_MAX, "the data directory has grown to {all} bytes");
    }

    /// Lets the clients work and kills the server in the middle of it.
    fn crash_under_load(
        &mut self,
        cycle: u64,
        plan: &mut Plan,
        mut server: Server,
        ground: &mut dyn Ground,
        figures: &mut Figures,
    ) -> Vec<Tale> {
        let load = Load {
            cycle,
            places: self.runs.places(cycle),
            acknowledged: AtomicU64::new(0),
            killing: AtomicBool::new(false),
            known: Mutex::new(Vec::new()),
            current: (0..CLIENTS).map(|_| Mutex::default()).collect(),
        };
        let seeds: Vec<Rng> = (0..CLIENTS).map(|_| plan.clients.fork()).collect();
        let watch = Watch::cores(server.launch().dir());
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
            let mut dying = Dying { load: &load, server: &mut server };
            let is_failed = || clients.iter().any(|client| client.is_finished());
            until("enough acknowledged writes", || {
                assert!(!is_failed(), "a client failed");
                (load.acknowledged.load(Ordering::SeqCst) >= plan.enough).then_some(())
            });
            let met = dying.wait_for(plan.moment, &watch, plan.pause, is_failed);
            figures.missed += u64::from(met != plan.moment);
            figures.count(met);
            load.killing.store(true, Ordering::SeqCst);
            ground.crash(dying.server);
            drop(dying);
            clients.into_iter().map(|c| c.join().expect("a client")).collect::<Vec<Tale>>()
        });
        figures.acknowledged += load.acknowledged.load(Ordering::SeqCst);
        tales
    }

    /// Holds the restarted server to what this cycle's clients were told, and to some of what earlier ones were.
    fn audit(&mut self, server: &Server, tales: Vec<Tale>, cycle: u64, rng: &mut Rng, figures: &mut Figures) {
        let (mut journeys, mut sights) = (Vec::new(), Vec::new());
        for tale in tales {
            journeys.extend(tale.journeys);
            sights.extend(tale.sights);
        }
        // Before anything is asked for again, which could hide that it was gone.
        audit::check_recovered(server, &mut journeys, &sights);
        for journey in &mut journeys {
            journey.abandoned = journey.may_be_abandoned() && rng.bool();
        }
        figures.abandoned += journeys.iter().filter(|journey| journey.abandoned).count() as u64;
        pool::each(server, &mut journeys, audit::repeat);
        settle_all(server, &mut journeys, cycle);
        audit::check_sights(&sights, &journeys);
        // Once more, now that everything has ended: the answers are the same as at any moment before.
        pool::each(server, &mut journeys, audit::repeat);
        figures.repeated += 2 * steps(&journeys);
        figures.reads += 2 * sights.len() as u64;
        journeys.iter().for_each(|journey| self.ledger.add(journey));
        let sample: Vec<usize> =
            (0..SAMPLE.min(self.journeys.len())).map(|_| rng.usize(..self.journeys.len())).collect();
        for i in sample {
            audit::repeat(&mut server.session(), &mut self.journeys[i]);
            figures.repeated += self.journeys[i].steps.len() as u64;
        }
        self.journeys.extend(journeys);
        audit::check_refunds(&mut server.session(), self.journeys.iter());
        self.ledger.check(server, rng, SAMPLE);
    }
}

/// Brings every journey to its end: expired ones are paid late, abandoned ones are found out.
pub fn settle_all(server: &Server, journeys: &mut Vec<Journey>, cycle: u64) {
    let late = |i: usize, journey: &Journey| {
        // One in four of the expired orders is paid too late.
        match journey.steps.first().map(|step| &step.op) {
            Some(Op::Create { key, .. }) if i.is_multiple_of(4) => Some(format!("{key}-late")),
            _ => None,
        }
    };
    let mut settling: Vec<_> = journeys.iter_mut().enumerate().map(|(i, j)| (late(i, j), j)).collect();
    pool::each(server, &mut settling, |session, (late, journey)| {
        audit::settle(session, journey, late.take());
    });
    let place = Arc::new(Place { key: format!("probes-{cycle}"), capacity: PROBE_CAPACITY, segments: 1 });
    let mut resolving: Vec<_> = journeys.iter_mut().map(|journey| (journey, Vec::new())).collect();
    pool::each(server, &mut resolving, |session, (journey, probes)| {
        *probes = audit::resolve(session, journey, &place);
    });
    let probes: Vec<Journey> = resolving.into_iter().flat_map(|(_, probes)| probes).collect();
    journeys.extend(probes);
}

fn steps(journeys: &[Journey]) -> u64 {
    journeys.iter().map(|journey| journey.steps.len() as u64).sum()
}

/// Starts the server and kills it on its way.
fn crash_while_starting(start: &Start, launch: &Launch, ground: &mut dyn Ground, figures: &mut Figures) {
    let watch = Watch::top(launch.dir());
    let cores = if cores_on_disk(launch.dir()) == start.cores as usize { start.other } else { start.cores };
    let mut starting = launch.clone().cores(cores).spawn();
    let mut met = start.moment;
    if met == Moment::Redistribution
        && !watch.wait(met, Duration::from_secs(1), || starting.ended().is_some())
    {
        // The cores are those that the directory has, or it was dealt out to them by a start before this one.
        met = Moment::Start;
    }
    // Not in place of a condition: the moment is random.
    std::thread::sleep(start.pause);
    assert!(
        starting.ended().is_none(),
        "the server ended by itself while it started: {}",
        starting.log_tail()
    );
    ground.crash_starting(&mut starting);
    figures.count(met);
}

/// A server that is about to be killed. It is gone when this is dropped, so that its clients end.
struct Dying<'a> {
    load: &'a Load,
    server: &'a mut Server,
}

impl Dying<'_> {
    /// Returns when it is time, with what it is time for: a named moment that does not come leaves a random one.
    fn wait_for(
        &mut self,
        moment: Moment,
        watch: &Watch,
        pause: Duration,
        is_failed: impl Fn() -> bool,
    ) -> Moment {
        let met = match moment {
            Moment::Stopping => {
                self.load.killing.store(true, Ordering::SeqCst);
                self.server.terminate();
                moment
            }
            Moment::Snapshot | Moment::SnapshotNamed | Moment::Segment => {
                if watch.wait(moment, MOMENT_MAX, is_failed) { moment } else { Moment::Random }
            }
            Moment::Random | Moment::FirstStart | Moment::Start | Moment::Redistribution => moment,
        };
        // Not in place of a condition: it makes the moment random.
        std::thread::sleep(pause);
        met
    }
}

impl Drop for Dying<'_> {
    fn drop(&mut self) {
        self.load.killing.store(true, Ordering::SeqCst);
        self.server.kill_now();
    }
}
