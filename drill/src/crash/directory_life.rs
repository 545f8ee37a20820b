//! The life of one data directory: its first start, its cycles, and the audit of everything at its end.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::clients::{self, ClientLog, Workload};
use super::fault_injector::FaultInjector;
use super::figures::Figures;
use super::history::Journey;
use super::kill_points::{KillPoint, Watch, cores_on_disk};
use super::ledger::SeatLedger;
use super::partitions::Runs;
use super::plan::{CyclePlan, KilledStart};
use super::{Settings, audit, pool};
use crate::{Launch, Rng, Server, chance, until};

const CLIENTS: usize = 32;
/// Fewer first starts than this are killed, each within this time.
const FIRST_STARTS: u64 = 5;
const FIRST_START_MS: u64 = 250;
/// A kill point is waited for this long.
const KILL_POINT_WAIT: Duration = Duration::from_secs(3);
const REDISTRIBUTION_WAIT: Duration = Duration::from_secs(1);
/// Journeys of earlier cycles that are repeated in each one, and partitions of earlier cycles whose seats are counted.
const SAMPLE: usize = 60;
/// Limits on the data directory at the end of its life, and on its logs: far more is written to them.
const DIRECTORY_BYTES_MAX: u64 = 256 << 20;
const LOG_BYTES_MAX: u64 = 16 << 20;
/// A snapshot is due once the log is twice as large as the last one; some are cut off by crashes.
const LOG_PER_SNAPSHOT_MAX: u64 = 5;

/// A data directory and everything that is known of it.
///
/// [`DirectoryLife::begin`] starts the first server, [`DirectoryLife::run_cycle`] crashes and audits it as often as is
/// wished, [`DirectoryLife::end`] audits everything once more and stops it.
pub struct DirectoryLife<'a> {
    settings: &'a Settings,
    injector: &'a mut dyn FaultInjector,
    pub figures: &'a mut Figures,
    /// Running between cycles.
    server: Option<Server>,
    runs: Runs,
    journeys: Vec<Journey>,
    ledger: SeatLedger,
}

impl<'a> DirectoryLife<'a> {
    /// Starts a server on an empty directory; some starts are killed on their way.
    pub fn begin(
        settings: &'a Settings,
        injector: &'a mut dyn FaultInjector,
        figures: &'a mut Figures,
        launch: &Launch,
        first_cycle: u64,
    ) -> DirectoryLife<'a> {
        let mut rng = chance::of_part(settings.seed.rotate_left(32), first_cycle);
        for _ in 0..rng.u64(..FIRST_STARTS) {
            let starting = launch.spawn();
            let delay = Duration::from_millis(rng.u64(..FIRST_START_MS));
            crash_starting(injector, starting, delay);
            figures.count(KillPoint::FirstStart);
        }
        let server = launch.start();
        let runs = Runs::find(&mut server.session());
        let (journeys, ledger) = (Vec::new(), SeatLedger::default());
        DirectoryLife { settings, injector, figures, server: Some(server), runs, journeys, ledger }
    }

    /// Load, a crash, starts that are killed, a start, an audit.
    pub fn run_cycle(&mut self, cycle: u64) {
        let Settings { seed, acknowledged_min, cores, .. } = self.settings;
        let mut plan = CyclePlan::new(*seed, cycle, *acknowledged_min, cores);
        let server = self.server.take().expect("a server between cycles");
        let launch = server.launch().clone();
        let logs = self.crash_under_load(cycle, &mut plan, server);
        for start in &plan.killed_starts {
            self.crash_while_starting(start, &launch);
        }
        let server = launch.cores(plan.cores).start();
        self.audit(&server, logs, cycle, &mut plan.audit);
        self.server = Some(server);
        self.figures.cycles += 1;
    }

    /// Repeats everything that is known of the directory, stops the server, and checks the log and the size of its files.
    pub fn end(mut self) {
        let server = self.server.take().expect("a server between cycles");
        pool::each(&server, &mut self.journeys, audit::repeat);
        self.figures.repeated += writes(&self.journeys);
        self.figures.refunds += audit::check_refunds(&mut server.session(), self.journeys.iter());
        self.ledger.check_all(&server);
        self.figures.seats_sold += self.ledger.seats_sold() as u64;
        let launch = server.stop();
        launch.check_log();
        let sizes = sizes(launch.dir());
        let of = |prefix: &str| -> u64 {
            let is_it =
                |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
            sizes.iter().filter(|(path, _)| is_it(path)).map(|(_, bytes)| bytes).sum()
        };
        let (all, logs, snapshots) = (of(""), of("log-"), of("snapshot-"));
        let most = LOG_BYTES_MAX + LOG_PER_SNAPSHOT_MAX * snapshots;
        assert!(logs < most, "segments are not recycled: {logs} bytes of log, {snapshots} of snapshots");
        assert!(all < DIRECTORY_BYTES_MAX, "the data directory has grown to {all} bytes");
    }

    /// Lets the clients work and crashes the server in the middle of it.
    fn crash_under_load(&mut self, cycle: u64, plan: &mut CyclePlan, mut server: Server) -> Vec<ClientLog> {
        let workload = Workload {
            cycle,
            partitions: self.runs.partitions(cycle),
            acknowledged: AtomicU64::new(0),
            is_ending: AtomicBool::new(false),
            known_orders: Mutex::new(Vec::new()),
            current_orders: (0..CLIENTS).map(|_| Mutex::default()).collect(),
        };
        let seeds: Vec<Rng> = (0..CLIENTS).map(|_| plan.clients.fork()).collect();
        let watch = Watch::cores(server.launch().dir());
        let logs = std::thread::scope(|scope| {
            let clients: Vec<_> = seeds
                .into_iter()
                .enumerate()
                .map(|(i, rng)| {
                    let session = if i % 2 == 0 { server.session() } else { server.gateway() };
                    let workload = &workload;
                    scope.spawn(move || clients::run(workload, i, session, rng))
                })
                .collect();
            // A client that fails must not leave the others working for ever.
            let mut doomed = DoomedServer { workload: &workload, server: &mut server };
            let has_failed = || clients.iter().any(|client| client.is_finished());
            until("enough acknowledged writes", || {
                assert!(!has_failed(), "a client failed");
                (workload.acknowledged.load(Ordering::SeqCst) >= plan.acknowledged).then_some(())
            });
            let reached = doomed.wait_for(plan.kill_point, &watch, plan.delay, has_failed);
            self.figures.missed += u64::from(reached != plan.kill_point);
            self.figures.count(reached);
            workload.is_ending.store(true, Ordering::SeqCst);
            self.injector.crash(doomed.server);
            drop(doomed);
            clients.into_iter().map(|client| client.join().expect("a client")).collect::<Vec<ClientLog>>()
        });
        self.figures.acknowledged += workload.acknowledged.load(Ordering::SeqCst);
        logs
    }

    /// Starts the server and crashes it on its way.
    fn crash_while_starting(&mut self, start: &KilledStart, launch: &Launch) {
        let watch = Watch::top(launch.dir());
        let is_there = cores_on_disk(launch.dir()) == start.cores as usize;
        let cores = if is_there { start.other_cores } else { start.cores };
        let mut starting = launch.clone().cores(cores).spawn();
        let mut reached = start.kill_point;
        if reached == KillPoint::Redistribution
            && !watch.wait(reached, REDISTRIBUTION_WAIT, || starting.ended().is_some())
        {
            // The directory has these cores, or a start before this one has redistributed the slots.
            reached = KillPoint::Start;
        }
        crash_starting(self.injector, starting, start.delay);
        self.figures.count(reached);
    }

    /// Holds the restarted server to what this cycle's clients were answered, and to some of what earlier ones were.
    fn audit(&mut self, server: &Server, logs: Vec<ClientLog>, cycle: u64, rng: &mut Rng) {
        let (mut journeys, mut reads) = (Vec::new(), Vec::new());
        for log in logs {
            journeys.extend(log.journeys);
            reads.extend(log.reads);
        }
        // First of all: sending a write again could hide that it was gone.
        audit::check_recovered(server, &mut journeys, &reads);
        for journey in &mut journeys {
            journey.abandoned = journey.may_be_abandoned() && rng.bool();
        }
        self.figures.abandoned += journeys.iter().filter(|journey| journey.abandoned).count() as u64;
        pool::each(server, &mut journeys, audit::repeat);
        audit::settle_all(server, &mut journeys, cycle);
        audit::check_reads(&reads, &journeys);
        // Once more, now that everything has ended: the answers stay the same.
        pool::each(server, &mut journeys, audit::repeat);
        self.figures.repeated += 2 * writes(&journeys);
        self.figures.reads += 2 * reads.len() as u64;
        journeys.iter().for_each(|journey| self.ledger.add(journey));
        for _ in 0..SAMPLE.min(self.journeys.len()) {
            let journey = rng.usize(..self.journeys.len());
            audit::repeat(&mut server.session(), &mut self.journeys[journey]);
            self.figures.repeated += self.journeys[journey].writes.len() as u64;
        }
        self.journeys.extend(journeys);
        audit::check_refunds(&mut server.session(), self.journeys.iter());
        self.ledger.check(server, rng, SAMPLE);
    }
}

fn writes(journeys: &[Journey]) -> u64 {
    journeys.iter().map(|journey| journey.writes.len() as u64).sum()
}

fn crash_starting(injector: &mut dyn FaultInjector, mut starting: Server, delay: Duration) {
    // Not in place of a condition: the moment is random.
    std::thread::sleep(delay);
    assert!(
        starting.ended().is_none(),
        "the server ended by itself while it started: {}",
        starting.log_tail()
    );
    injector.crash_starting(&mut starting);
}

/// A server that is about to be crashed. It is dead when this is dropped, so that its clients end.
struct DoomedServer<'a> {
    workload: &'a Workload,
    server: &'a mut Server,
}

impl DoomedServer<'_> {
    /// Waits for a kill point and `delay` beyond it. Gives the kill point that was reached: one that does not come leaves
    /// a random moment.
    fn wait_for(
        &mut self,
        kill_point: KillPoint,
        watch: &Watch,
        delay: Duration,
        has_failed: impl Fn() -> bool,
    ) -> KillPoint {
        let reached = match kill_point {
            KillPoint::Stopping => {
                self.workload.is_ending.store(true, Ordering::SeqCst);
                self.server.terminate();
                kill_point
            }
            KillPoint::Snapshot | KillPoint::SnapshotNamed | KillPoint::Segment => {
                if watch.wait(kill_point, KILL_POINT_WAIT, has_failed) {
                    kill_point
                } else {
                    KillPoint::Random
                }
            }
            KillPoint::Random | KillPoint::FirstStart | KillPoint::Start | KillPoint::Redistribution => {
                kill_point
            }
        };
        // Not in place of a condition: it makes the moment random.
        std::thread::sleep(delay);
        reached
    }
}

impl Drop for DoomedServer<'_> {
    fn drop(&mut self) {
        self.workload.is_ending.store(true, Ordering::SeqCst);
        self.server.kill_now();
    }
}

/// The files below `dir` with their sizes.
fn sizes(dir: &Path) -> Vec<(PathBuf, u64)> {
    let (mut found, mut waiting) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(dir) = waiting.pop() {
        for entry in std::fs::read_dir(&dir).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(file) if file.is_dir() => waiting.push(entry.path()),
                Ok(file) => found.push((entry.path(), file.len())),
                Err(_) => {}
            }
        }
    }
    found
}
