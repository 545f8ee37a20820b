//! The drill of the read model: clients buy and pay while the server is killed and started with other numbers of cores, and while the
//! database is locked, its disk is full, or nobody may write it. No sale fails for want of the read model. In the end an auditor finds
//! that HTTP and SQLite agree, order by order and seat by seat, and that both are what the clients were told.
//!
//! A cycle creates 1,000 orders and has each fault once. Holds last two seconds, segments are as small as they can be and nothing is
//! kept of the log that no sink needs, so that it is pruned behind the read model all the time.
//!
//! | file | what it is |
//! |---|---|
//! | [`plan`] | what one cycle does, drawn from the seed and the number of the cycle |
//! | [`clients`], [`batches`] | the load; [`caller`] knows which answers are failures, [`told`] what every client was told |
//! | [`budget`] | how many orders the clients may create, so that faults fall among them |
//! | [`faults`], [`disk`] | the faults |
//! | [`orders`] | what a client did, and what follows from it |
//! | [`audit`] | the comparison of everything |

pub mod audit;
pub mod batches;
pub mod budget;
pub mod caller;
pub mod clients;
pub mod disk;
pub mod faults;
pub mod figures;
pub mod orders;
pub mod plan;
pub mod told;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use crate::crash::partitions::{Partition, Runs, ad_hoc};
use crate::crash::{RepeatHint, Settings};
use crate::services::{OwnServices, Place, SINKS};
use crate::session::SIGN_KEY;
use crate::{Launch, Rng, Server, chance};
use audit::Evidence;
use budget::Budget;
use caller::{Caller, Counts, Downs};
use clients::{Client, ClientLog, Workload};
use disk::SmallDisk;
use faults::Nemesis;
use figures::Figures;
use plan::Fault;
use told::Told;

/// The header that says how far an answer may be behind.
pub(crate) const LAG: &str = "x-read-model-lag-ms";
/// The life of holds.
pub(crate) const HOLD_SECS: u64 = 2;
/// Orders that were cancelled leave the engine while the drill goes on: they are then answered from the read model.
pub(crate) const RETENTION_SECS: u64 = 3;
/// With tickets from Kafka: so long does an order wait for its message.
const TICKET_SWEEP_SECS: &str = "2";
/// Far more than the log needs while the read model is behind, and less than the small disk has: the read model leaves it free.
const LOG_BUDGET_BYTES: &str = "268435456";
const CLIENTS: usize = 16;
/// Runs that one cycle sells, and no other one: some of their classes are sold out, and others never.
const RUNS_PER_CYCLE: u64 = 2;

/// Runs the drill.
///
/// # Panics
/// When a request fails that must not, or the audit finds something, with what it found.
pub fn run(settings: &Settings, launch: &Launch) -> Figures {
    let mut figures = Figures::default();
    let started = Instant::now();
    let end = settings.first + settings.cycles;
    let services = OwnServices::up(&launch.home().join("services"));
    let mut first = settings.first;
    while first < end {
        let last = end.min((first / settings.cycles_per_directory + 1) * settings.cycles_per_directory);
        let mut hint = RepeatHint { settings, first, cycle: first };
        let disk = SmallDisk::mount(&launch.home().join(format!("read-model-{first}")));
        if let Err(error) = &disk {
            println!("nothing can be mounted here ({error}): the disk of the database is not filled");
        }
        let place = Place::new(services.get());
        let mut life = DirectoryLife::begin(settings, launch, first, disk.as_ref().ok(), place, &mut figures);
        for cycle in first..last {
            hint.cycle = cycle;
            life.run_cycle(cycle);
            println!(
                "{} cycles in {:.0?}: {}",
                cycle + 1 - settings.first,
                started.elapsed(),
                life.figures.line()
            );
        }
        life.end();
        first = last;
    }
    figures
}

/// A data directory, its read model, and everything that is known of them.
struct DirectoryLife<'a> {
    settings: &'a Settings,
    figures: &'a mut Figures,
    disk: Option<&'a SmallDisk>,
    /// The tables, keys and topics that the server fills.
    place: Place,
    launch: Launch,
    /// Running between cycles.
    server: Option<Server>,
    runs: Runs,
    told: Told,
    evidence: Evidence,
}

impl<'a> DirectoryLife<'a> {
    fn begin(
        settings: &'a Settings,
        launch: &Launch,
        first: u64,
        disk: Option<&'a SmallDisk>,
        place: Place,
        figures: &'a mut Figures,
    ) -> DirectoryLife<'a> {
        let data = launch.home().join(format!("data-{first}"));
        let database = disk.map_or(data.join("read-model.db"), |disk| disk.path().join("read-model.db"));
        let launch = with_small_limits(launch, &data, &database).cores(settings.cores[0]);
        let launch = place.configure(launch, &SINKS);
        let server = launch.start();
        // One that comes late begins with a copy of the state, whose rows are as far as their slots are.
        audit::until_everywhere(&server);
        let runs = Runs::find(&mut server.session());
        let (told, evidence) = (Told::default(), Evidence::default());
        DirectoryLife { settings, figures, disk, place, launch, server: Some(server), runs, told, evidence }
    }

    fn database(&self) -> &Path {
        self.launch.env_of("INTERLOCK_READ_MODEL").expect("it is set at the start").as_ref()
    }

    fn run_cycle(&mut self, cycle: u64) {
        let mut rng = chance::of_part(self.settings.seed, cycle);
        let mut faults = Fault::ALL.to_vec();
        faults.retain(|fault| self.disk.is_some() || !fault.needs_small_disk());
        let steps = plan::steps(&mut rng, &faults, &self.settings.cores);
        let runs = (cycle * RUNS_PER_CYCLE..).take(RUNS_PER_CYCLE as usize);
        let partitions: Vec<_> = runs.flat_map(|n| self.runs.nth(n)).chain(ad_hoc(cycle)).collect();
        self.keep(&partitions);
        let workload = Workload { cycle, partitions, budget: Budget::default(), told: &self.told };
        let (downs, counts) = (Downs::default(), Counts::default());
        let rngs: Vec<Rng> = (0..CLIENTS).map(|_| rng.fork()).collect();
        let database = self.database().to_owned();
        let mut nemesis = Nemesis {
            server: self.server.take(),
            launch: self.launch.clone(),
            database,
            disk: self.disk,
            place: &self.place,
            downs: &downs,
            counts: &counts,
            budget: &workload.budget,
            figures: self.figures,
        };
        let logs: Vec<ClientLog> = thread::scope(|scope| {
            // Whatever fails here, nobody waits for orders for ever.
            let _close = CloseAtEnd(&workload.budget);
            let clients: Vec<_> = rngs
                .into_iter()
                .enumerate()
                .map(|(number, rng)| {
                    let session = if number % 2 == 0 {
                        self.launch.session()
                    } else {
                        self.launch.session().by_gateway()
                    };
                    let caller = Caller { session, downs: &downs, counts: &counts };
                    let client = Client::new(&workload, caller, rng, number);
                    scope.spawn(|| client.run())
                })
                .collect();
            steps.iter().for_each(|step| nemesis.carry_out(step));
            workload.budget.close();
            clients.into_iter().map(|client| client.join().expect("a client")).collect()
        });
        self.server = nemesis.server.take();
        self.launch = nemesis.launch.clone();
        logs.into_iter().for_each(|log| self.evidence.add(log));
        self.count(&counts);
    }

    fn keep(&mut self, partitions: &[Arc<Partition>]) {
        let by_key = partitions.iter().map(|partition| (partition.key.clone(), partition.clone()));
        self.evidence.partitions.extend(by_key);
    }

    fn count(&mut self, counts: &Counts) {
        let get = |count: &AtomicU64| count.load(Ordering::SeqCst);
        self.figures.cycles += 1;
        self.figures.acknowledged += get(&counts.acknowledged);
        self.figures.batched += get(&counts.batched);
        self.figures.reads += get(&counts.reads);
        self.figures.cut_off += get(&counts.cut_off);
        self.figures.late += get(&counts.late);
        self.figures.unavailable += get(&counts.unavailable);
    }

    /// Audits everything, stops the server, and checks its log.
    fn end(mut self) {
        let database = self.database().to_owned();
        let server = self.server.take().expect("a server between cycles");
        self.evidence.told = self.told.take_all();
        audit::run(&server, &database, &self.place, self.evidence, &mut self.figures.found);
        server.stop().check_log();
    }
}

/// A server whose holds are short and whose files are small.
fn with_small_limits(launch: &Launch, data: &Path, database: &Path) -> Launch {
    launch
        .clone()
        .data_dir(data)
        .env("INTERLOCK_READ_MODEL", &database.display().to_string())
        .env("INVENTORY_HOLD_TTL_SECS", &HOLD_SECS.to_string())
        .env("INTERLOCK_ORDER_RETENTION_SECS", &RETENTION_SECS.to_string())
        .env("PAYMENT_CALLBACK_SIGN_KEY", SIGN_KEY)
        .env("INTERLOCK_TICKET_SWEEP_SECS", TICKET_SWEEP_SECS)
        .env("INTERLOCK_LOG_KEEP_HOURS", "0")
        .env("INTERLOCK_LOG_BUDGET_BYTES", LOG_BUDGET_BYTES)
        .env("INTERLOCK_SEGMENT_BYTES", "262144")
        .env("INTERLOCK_SNAPSHOT_LOG_BYTES", "524288")
}

struct CloseAtEnd<'a>(&'a Budget);

impl Drop for CloseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}
