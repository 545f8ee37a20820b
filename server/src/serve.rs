//! `interlock serve`: everything that happens before the first request, in the order in which it must, and after the
//! last.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use engine::slots::SlotHash;
use net::metrics::{Metrics, Registry};
use net::runtime::{CoreWaker, Driver as NetworkDriver, Runtime};
use net::signature::SignKey;
use net::{Addresses, Service};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use shard::{Clock, Shard};
use signal_hook::consts::{SIGINT, SIGTERM};
use timetable::{DateWindow, Timetable};
use wal::{DataDir, Options};

use crate::catalogue::OnSale;
use crate::clocks;
use crate::config::Config;
use crate::core::{self, Parts};
use crate::heap;
use crate::links;
use crate::metrics::Gauges;
use crate::recovery;
use crate::room::Rooms;
use crate::stop::Stop;
use crate::worker::WorkerCell;

type Error = Box<dyn std::error::Error>;

/// Sells until a signal says stop.
///
/// # Errors
/// What kept it from starting; nothing was taken over then.
pub(crate) fn serve(config: &Config) -> Result<(), Error> {
    warn_of_retired_settings();
    raise_open_files();
    if config.payment_key.is_none() {
        tracing::warn!(
            "PAYMENT CALLBACKS ARE NOT VERIFIED: no PAYMENT_CALLBACK_SIGN_KEY is set, anyone who reaches this address can mark an order as paid"
        );
    }
    // The cheapest refusals first: a feed that cannot be read, ports that somebody has.
    let timetable = load_timetable(config)?;
    let addresses = Addresses { ip: config.listen, offset: config.port_offset };
    net::claim_ports(&addresses)?;

    let cores = config.cores.get();
    let mut dir = open(config)?;
    let disk = wal::disk::choose(&config.data_dir, config.disk)?;
    tracing::info!(driver = %disk, "disk");
    prefault(config.prefault_bytes)?;
    let recovered = recovery::recover(&mut dir, cores)?;
    report(&recovered);

    // All cores count time from the same moment, after everything that was ever logged.
    let last = recovered.iter().map(|(core, _)| core.last_time()).max().unwrap_or_default();
    let clock = Clock::new(clocks::wall_ms(), clocks::steady_ms(), last);
    let hash = SlotHash::new(dir.secret());
    let on_sale = Arc::new(OnSale {
        timetable,
        ad_hoc: config.ad_hoc,
        default_partition: config.default_partition.clone(),
        departed_ms: config.policy.departed_ms,
    });
    let bells = (0..cores).map(|_| CoreWaker::new()).collect::<Result<Vec<_>, _>>()?;
    let stop = Arc::new(Stop::new(bells.clone()));
    let workers: Arc<[WorkerCell]> = (0..cores).map(|_| WorkerCell::default()).collect();
    let rooms = Arc::new(Rooms::new(cores));
    let mut registry = Registry::new(usize::from(cores));
    let gauges = Gauges::register(&mut registry);
    let metrics = Metrics::new(usize::from(cores), registry);
    let edge = Arc::new(edge_config(config));

    // Once more, now that recovery is over: cores share ports, and must not share them with another process.
    net::claim_ports(&addresses)?;
    let mut parts = Vec::new();
    for (links, (bell, (slots, at))) in
        links::connect(&bells).into_iter().zip(bells.into_iter().zip(recovered))
    {
        let core = parts.len() as u16;
        let log = dir.log(core, at, dir.disk(core, &disk)?)?;
        let shard_config = shard::Config {
            core,
            cores,
            hash: hash.clone(),
            policy: config.policy.clone(),
            state_bytes_max: config.state_bytes / u64::from(cores),
            catalogue: on_sale.clone(),
        };
        let mut clock = clock.clone();
        let now = clock.now(clocks::wall_ms(), clocks::steady_ms());
        parts.push(Parts {
            core,
            cores,
            shard: Shard::new(shard_config, slots, log, now),
            clock,
            links,
            bell,
            stop: stop.clone(),
            hash: hash.clone(),
            on_sale: on_sale.clone(),
            workers: workers.clone(),
            listeners: net::core_listeners(&addresses)?,
            edge: edge.clone(),
            metrics: metrics.clone(),
            gauges: gauges.core(usize::from(core)),
            rooms: rooms.clone(),
        });
    }
    stop_on_signals(&stop)?;
    run(config, &addresses, parts)?;
    tracing::info!("stopped: everything accepted was answered");
    Ok(())
}

fn prefault(bytes: u64) -> Result<(), Error> {
    heap::prefault(bytes).map_err(|error| format!("cannot have {bytes} bytes of memory ready: {error}"))?;
    if bytes > 0 {
        tracing::info!(bytes, "memory is ready");
    }
    Ok(())
}

fn warn_of_retired_settings() {
    let mut set: Vec<_> = std::env::vars_os()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    set.sort_unstable();
    let is_it =
        |name: &str, retired: &str| name == retired || (retired.ends_with('_') && name.starts_with(retired));
    for name in set {
        if let Some((_, why)) = crate::settings::RETIRED.iter().find(|(retired, _)| is_it(&name, retired)) {
            tracing::warn!(setting = name, "{name} is set and has no effect: {why}");
        }
    }
}

/// Every connection is a file: as many as the system lets this process have.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

fn load_timetable(config: &Config) -> Result<Timetable, Error> {
    let timetable = match &config.timetable {
        Some(feed) => Timetable::load(feed, config.formations.as_deref(), DateWindow::WHOLE)?,
        None => Timetable::built_in(DateWindow::WHOLE),
    };
    let summary = timetable.summary();
    let source = config.timetable.as_deref().map_or("built in".into(), Path::to_string_lossy);
    let (first, last) = timetable
        .dates()
        .map_or_else(Default::default, |(first, last)| (first.to_string(), last.to_string()));
    tracing::info!(
        source = %source,
        stations = summary.stations as u64,
        trains = summary.trains as u64,
        runs = summary.runs,
        first,
        last,
        "timetable"
    );
    if summary.runs == 0 {
        tracing::warn!("the timetable has no runs: nothing of it can be sold");
    }
    Ok(timetable)
}

fn open(config: &Config) -> Result<DataDir, Error> {
    let options = Options {
        cores: config.cores.get(),
        segment_bytes: config.segment_bytes,
        snapshot_log_bytes: config.snapshot_log_bytes,
        ..Options::default()
    };
    Ok(DataDir::open(&config.data_dir, &options)?)
}

fn report(recovered: &[recovery::Core]) {
    for (core, (slots, at)) in recovered.iter().enumerate() {
        if let Some(cut) = &at.cut {
            tracing::warn!(
                core = core as u64,
                file = cut.file,
                offset = cut.offset,
                bytes = cut.bytes,
                "the end of the log was torn by a crash and is cut: {}",
                cut.reason
            );
        }
        tracing::info!(core = core as u64, last_lsn = at.last.0, replayed = slots.records(), "recovered");
    }
}

fn edge_config(config: &Config) -> net::Config {
    let mut defaults = net::Defaults::new(config.default_partition.clone());
    defaults.quantity = config.default_quantity;
    defaults.order_capacity = config.order_capacity;
    net::Config {
        env: config.env.clone(),
        version: config.version.clone(),
        sign_key: config.payment_key.as_deref().map(|key| SignKey::new(key.as_bytes())),
        defaults,
        limits: net::Limits::default(),
    }
}

/// Signals that come closer together are one wish.
const ONE_WISH: Duration = Duration::from_millis(200);

/// The first signal stops in good order; the second at once.
fn stop_on_signals(stop: &Arc<Stop>) -> Result<(), Error> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let stop = stop.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut asked: Option<Instant> = None;
        for signal in signals.forever() {
            // Some send one to the process and another to its group.
            if asked.is_some_and(|at| at.elapsed() < ONE_WISH) {
                continue;
            }
            if asked.is_some() {
                tracing::warn!("stopping at once");
                std::process::exit(128 + signal);
            }
            tracing::info!("stopping: answering what was accepted; once more to stop at once");
            asked = Some(Instant::now());
            stop.ask();
        }
    })?;
    Ok(())
}

/// One pinned thread for each core, until all have stopped.
fn run(config: &Config, addresses: &Addresses, parts: Vec<Parts>) -> Result<(), Error> {
    let cores = parts.len();
    let processors = allowed_processors();
    let (started, starts) = mpsc::channel();
    thread::scope(|scope| {
        for parts in parts {
            let started = started.clone();
            let processor = processors.get(usize::from(parts.core) % processors.len().max(1)).copied();
            let network = config.network;
            let thread = thread::Builder::new().name(format!("core-{}", parts.core));
            thread.spawn_scoped(scope, move || {
                if let Some(processor) = processor {
                    pin(processor);
                }
                let mut runtime = match Runtime::new(network) {
                    Ok(runtime) => runtime,
                    Err(error) => fail("the network driver cannot be started", &error),
                };
                // The receiver counts the cores that have come this far.
                let _ = started.send((runtime.driver(), runtime.refused().map(ToString::to_string)));
                if let Err(error) = core::run(&mut runtime, parts) {
                    fail("a core cannot serve", &error);
                }
            })?;
        }
        for (driver, refused) in starts.iter().take(cores) {
            let name = match driver {
                NetworkDriver::Uring => "io_uring",
                NetworkDriver::Epoll => "epoll",
            };
            let reason = refused.unwrap_or_else(|| "as asked, and the kernel allows it".to_owned());
            tracing::info!(driver = name, reason, "network");
        }
        announce(addresses, cores);
        Ok(())
    })
}

fn announce(addresses: &Addresses, cores: usize) {
    for service in Service::ALL {
        tracing::info!(service = service.name(), address = %addresses.of(service), "listening");
    }
    tracing::info!(cores = cores as u64, "selling on http://{}", addresses.of(Service::Gateway));
}

fn fail(what: &str, error: &dyn std::error::Error) -> ! {
    tracing::error!(%error, "{what}");
    std::process::exit(crate::EXIT_FATAL)
}

/// The processors that this process may run on.
fn allowed_processors() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else {
        return Vec::new();
    };
    (0..CpuSet::MAX_CPU).filter(|processor| set.is_set(*processor)).collect()
}

/// A core that cannot be pinned runs all the same.
fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor);
    if let Err(error) = sched_setaffinity(None, &set) {
        tracing::warn!(processor = processor as u64, %error, "a core could not be pinned");
    }
}
