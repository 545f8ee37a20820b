//! `interlock serve`: everything that happens before the first request, in the order in which it must, and after the
//! last.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ::grpc::GrpcMetrics;
use bridge::read_model::Keep;
use engine::catalogue::{Catalogue as _, Listing};
use engine::slots::SlotHash;
use net::metrics::{Metrics, Registry};
use net::runtime::{CoreWaker, Driver as NetworkDriver, Runtime};
use net::signature::SignKey;
use net::{Addresses, ConnectionBudget, ConnectionLimits, Service};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use shard::{RecoveredCore, Shutdown, read_core};
use signal_hook::consts::{SIGINT, SIGTERM};
use timetable::Timetable;
use tokio::sync::watch;
use wal::files::OsFiles;
use wal::limits::BUDGET_SEGMENTS_MIN;
use wal::{DataDir, Options};

use crate::catalogue::OnSale;
use crate::clock_gap;
use crate::clocks;
use crate::config::Config;
use crate::control;
use crate::core::{self, CoreSetup};
use crate::descriptors;
use crate::desk::Desk;
use crate::grpc::GrpcPort;
use crate::links;
use crate::log_space::LogSpace;
use crate::logging;
use crate::metrics::Gauges;
use crate::parents::make_parents;
use crate::process::ProcessHandles;
use crate::settings::{RETIRED_VARIABLES, Retired};
use crate::sinks::{self, Outer, ReadDesk, Sinks};
use crate::tickets::Tickets;
use crate::timetable_file;

type Error = Box<dyn std::error::Error>;

/// Sells until a signal says stop.
///
/// # Errors
/// The reason why it does not start; nothing was taken over then.
pub(crate) fn serve(config: &Config) -> Result<(), Error> {
    warn_of_retired_settings(config);
    if config.payment_key.is_none() {
        tracing::warn!(
            "PAYMENT CALLBACKS ARE NOT VERIFIED: PAYMENT_CALLBACK_SIGN_KEY is not set, so anyone who can reach this address can mark an order as paid"
        );
    }
    // The cheapest refusals first: too few descriptors, a feed that cannot be read, ports that somebody has.
    let connections = connection_budget(config)?;
    let timetable = timetable_file::load(config)?;
    let addresses = Addresses { ip: config.listen, offset: config.port_offset };
    net::claim_ports(&addresses)?;
    if config.grpc {
        // It listens once there is something to sell.
        drop(net::grpc_listener(&addresses)?);
    }

    let cores = config.cores.get();
    let mut dir = open(config)?;
    let outer = outer(config, &timetable);
    sinks::register(&mut dir, &outer)?;
    let budget_bytes_per_core = keep_log(&mut dir, config)?;
    let keep = keep_read_model(&mut dir, config)?;
    let disk = wal::disk::choose(&config.data_dir, config.disk)?;
    tracing::info!(driver = %disk, "disk");
    let recovered = recover(&mut dir, config)?;
    report(&recovered);

    let on_sale = Arc::new(OnSale {
        timetable,
        ad_hoc: config.ad_hoc,
        default_partition: config.default_partition.clone(),
    });
    warn_of_ad_hoc_beside_the_timetable(&recovered, &on_sale);
    let wakers = (0..cores).map(|_| CoreWaker::new()).collect::<Result<Vec<_>, _>>()?;
    let woken = wakers.clone();
    let shutdown = Arc::new(Shutdown::new(cores, move || woken.iter().for_each(CoreWaker::wake)));
    let setup = shard::Setup {
        cores,
        policy: config.policy.clone(),
        catalogue: on_sale.clone(),
        state_bytes_max: config.state_bytes / u64::from(cores),
        image_bytes_per_turn: shard::limits::IMAGE_BYTES_PER_TURN,
    };
    let files = OsFiles::new(&config.data_dir)?;
    let setup_of_sinks = sinks::Setup {
        data_dir: config.data_dir.clone(),
        read_model: config.read_model.clone(),
        keep,
        budget_bytes_per_core,
        outer,
    };
    let (links, core_disk) = (links::connect(&wakers), |core| dir.disk(core, &disk));
    let nodes = shard::start(&dir, recovered, &setup, clocks::read, core_disk, links, &shutdown)?;

    let reach = nodes.iter().map(|node| node.shard().log().reach()).collect();
    let sinks = Sinks::start(&dir, &files, reach, wakers.clone(), &setup_of_sinks)?;
    let read_desk = ReadDesk::start(&config.read_model, cores, sinks.read_model().clone())?;
    let mut registry = Registry::new(usize::from(cores));
    let gauges = Gauges::register(&mut registry);
    connections.register(&mut registry);
    sinks.handles.register(&mut registry);
    let hash = SlotHash::new(dir.secret());
    let desk = Desk::new(hash.clone(), &wakers);
    let tickets = Tickets::start(config.tickets_from.as_ref(), &desk, cores, &mut registry)?;
    let grpc_metrics = config.grpc.then(|| GrpcMetrics::register(&mut registry));
    let metrics = Metrics::new(usize::from(cores), registry);
    let process = ProcessHandles {
        cores,
        hash,
        on_sale,
        shutdown: shutdown.clone(),
        tickets: tickets.handles.clone(),
        desk,
        log_space: Arc::new(LogSpace::new(cores)),
        sinks: sinks.handles.clone(),
        read_desk,
        edge: Arc::new(edge_config(config)),
        connections,
        metrics: metrics.clone(),
    };
    // Once more, now that recovery is over: cores share ports, and must not share them with another process.
    net::claim_ports(&addresses)?;
    let control_wakers = wakers.clone();
    let setups = (0..).zip(nodes).zip(wakers).map(|((core, node), waker)| {
        let listeners = net::core_listeners(&addresses)?;
        let gauges = gauges.core(usize::from(core));
        Ok(CoreSetup { core, node, waker, listeners, gauges, process: process.clone() })
    });
    let setups = setups.collect::<Result<Vec<_>, Error>>()?;
    let (stop_grpc, grpc_stops) = watch::channel(false);
    let grpc = grpc_metrics.map(|metrics| GrpcPort::start(&addresses, &process, metrics, grpc_stops));
    let grpc = grpc.transpose()?;
    stop_on_signals(&shutdown, stop_grpc)?;
    let handler = control::Handler {
        started: Instant::now(),
        cores,
        wakers: control_wakers,
        registry: sinks.registry.clone(),
        sinks: sinks.handles.clone(),
        read_model: config.read_model.clone(),
        metrics,
    };
    if let Err(error) = control::listen(&config.data_dir, handler) {
        // Some file systems have no sockets. Sales go on without an operator's.
        tracing::warn!(%error, "there is no control socket: `interlock status` and `sink` cannot ask this server");
    }
    sinks.wait_until_open();
    run(config, &addresses, setups)?;
    control::close(&config.data_dir);
    grpc.into_iter().for_each(GrpcPort::join);
    tickets.stop();
    sinks.stop();
    logging::finish(|| tracing::info!("stopped: every accepted request was answered"));
    Ok(())
}

fn warn_of_retired_settings(config: &Config) {
    let mut set: Vec<_> = std::env::vars_os()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, _)| name.into_string().ok())
        .collect();
    set.sort_unstable();
    let is_it =
        |name: &str, retired: &str| name == retired || (retired.ends_with('_') && name.starts_with(retired));
    for name in set {
        if let Some((_, why)) = RETIRED_VARIABLES.iter().find(|(retired, _)| is_it(&name, retired)) {
            tracing::warn!(setting = name, "{name} is set and has no effect: {why}");
        }
    }
    for (retired, source) in &config.retired {
        let Retired { name, why } = retired;
        tracing::warn!(setting = name, "{name} is set ({source}) and has no effect: {why}");
    }
}

/// Every connection is a file, and the log comes first.
fn connection_budget(config: &Config) -> Result<Arc<ConnectionBudget>, Error> {
    let cores = config.cores.get();
    let descriptors = descriptors::for_connections(cores, log_options(config).spares_kept_max())?;
    let limits =
        ConnectionLimits::new(descriptors, usize::from(cores), config.connections_per_address_percent);
    tracing::info!(
        connections_max = limits.max as u64,
        per_address = limits.per_address_max as u64,
        "connections"
    );
    Ok(ConnectionBudget::new(limits))
}

/// The sinks outside this machine's own files, where they are configured.
fn outer(config: &Config, timetable: &Timetable) -> Outer {
    if let Some(ignored) = config.mysql.as_ref().map(|dsn| &dsn.ignored).filter(|names| !names.is_empty()) {
        tracing::warn!(setting = "MYSQL_DSN", "parameters that mean nothing here: {}", ignored.join(", "));
    }
    let stations = timetable.stations("", None, usize::MAX);
    let stations = stations.into_iter().map(|station| (station.code.to_string(), station.name.to_string()));
    let (mysql, redis, kafka) = (config.mysql.clone(), config.redis.clone(), config.kafka.clone());
    Outer { mysql, redis, kafka, stations: stations.collect() }
}

fn open(config: &Config) -> Result<DataDir, Error> {
    make_parents(&config.data_dir)?;
    Ok(DataDir::open(&config.data_dir, &log_options(config))?)
}

/// Says how long the logs are kept, and how large they may become. Returns the budget of each core.
fn keep_log(dir: &mut DataDir, config: &Config) -> Result<u64, Error> {
    let free_bytes = || rustix::fs::statvfs(&config.data_dir).ok().map(|disk| disk.f_bavail * disk.f_frsize);
    let half_of_free =
        || free_bytes().map_or(LOG_BUDGET_BYTES_MAX, |free| (free / 2).min(LOG_BUDGET_BYTES_MAX));
    let bytes = match config.log_budget_bytes {
        Some(bytes) => bytes,
        None => dir.log_budget(half_of_free)?,
    };
    let cores = u64::from(config.cores.get());
    let per_core = bytes / cores;
    let least = BUDGET_SEGMENTS_MIN * config.segment_bytes;
    if config.log_budget_bytes.is_some() && per_core < least {
        return Err(format!(
            "log_budget_bytes = {bytes}: {cores} logs need at least {BUDGET_SEGMENTS_MIN} segments of {segment} bytes each, {} bytes. Give more, \
             or smaller segments (segment_bytes)",
            least * cores,
            segment = config.segment_bytes
        )
        .into());
    }
    // What was found free may be less than a log needs.
    let per_core = per_core.max(least);
    // What the logs have already is a part of their budget.
    let room = free_bytes().map(|free| free.saturating_add(logs_bytes(&config.data_dir)));
    if let Some(free_bytes) = room.filter(|room| *room < per_core * cores) {
        tracing::warn!(
            free_bytes,
            budget_bytes = per_core * cores,
            "the disk has less free than the log may take: new sales end before the budget does (segment_bytes makes it smaller)"
        );
    }
    dir.keep_log(config.log_keep_ms, per_core)?;
    Ok(per_core)
}

/// Bytes of the files of all logs.
fn logs_bytes(data_dir: &Path) -> u64 {
    let children =
        |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = children(data_dir).flat_map(|epoch| children(&epoch)).flat_map(|core| children(&core));
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

/// Says how long the read model keeps what the engine no longer has, and how large it may become.
fn keep_read_model(dir: &mut DataDir, config: &Config) -> Result<Keep, Error> {
    let beside =
        config.read_model.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What is not known to be free is not a limit.
    let quarter_of_free = || {
        let free = rustix::fs::statvfs(beside).map(|disk| disk.f_bavail * disk.f_frsize);
        free.map_or(u64::MAX, |free| free / 4).max(READ_MODEL_BYTES_MIN)
    };
    let bytes = match config.read_model_bytes {
        Some(bytes) => bytes,
        None => dir.read_model_bytes(quarter_of_free)?,
    };
    Ok(Keep { rows_ms: config.read_model_keep_ms, bytes: Some(bytes) })
}

/// The least that the read model may take where the operator says nothing.
const READ_MODEL_BYTES_MIN: u64 = 64 << 20;
/// The budget of the logs where the operator sets none: half of what is free, and no more than this.
const LOG_BUDGET_BYTES_MAX: u64 = 64 << 30;

fn log_options(config: &Config) -> Options {
    Options {
        cores: config.cores.get(),
        segment_bytes: config.segment_bytes,
        snapshot_log_bytes: config.snapshot_log_bytes,
        snapshot_log_bytes_max: config.snapshot_log_bytes_max,
        ..Options::default()
    }
}

/// Every core's snapshot and log, read side by side.
fn recover(dir: &mut DataDir, config: &Config) -> Result<Vec<RecoveredCore>, Error> {
    let cores = config.cores.get();
    if dir.cores() != cores {
        let (from, to) = (u64::from(dir.cores()), u64::from(cores));
        tracing::info!(from, to, "redistributing the slots to another number of cores");
    }
    let read_all = |dir: &DataDir| {
        thread::scope(|scope| {
            let threads: Vec<_> =
                (0..dir.cores()).map(|core| scope.spawn(move || read_core(dir, core))).collect();
            threads.into_iter().map(|thread| thread.join().expect("a panic ends the process")).collect()
        })
    };
    shard::recover(dir, cores, read_all, |cores| {
        clock_gap::admit(cores, &config.policy, config.clock_gap_max_ms)
    })
}

/// Partitions that were sold ad hoc before the timetable had them, and that somebody has seats of: they sell what they have, and
/// not what the timetable says.
fn warn_of_ad_hoc_beside_the_timetable(recovered: &[RecoveredCore], on_sale: &OnSale) {
    let partitions =
        recovered.iter().flat_map(|(slots, _)| slots.slots()).flat_map(|slot| slot.partitions().iter());
    let beside = partitions.filter(|(_, p)| p.run().is_none() && !p.is_vacant());
    let beside: Vec<_> = beside.filter(|(key, _)| matches!(on_sale.find(key), Listing::Sold(_))).collect();
    for (key, p) in beside.iter().take(WARNED_PARTITIONS_MAX) {
        tracing::warn!(
            partition_key = key.as_str(),
            capacity = p.inventory().seats(),
            "{key} was sold ad hoc before the timetable had it, and somebody has seats of it: it sells what it was opened with"
        );
    }
    if beside.len() > WARNED_PARTITIONS_MAX {
        tracing::warn!(
            partitions = beside.len() as u64,
            "more partitions were sold ad hoc before the timetable had them than are named here"
        );
    }
}

/// Partitions that one start warns of by name.
const WARNED_PARTITIONS_MAX: usize = 100;

fn report(recovered: &[RecoveredCore]) {
    if recovered.iter().any(|(_, at)| at.snapshot.is_of_earlier_version()) {
        tracing::warn!(
            "an earlier version wrote this directory, and will refuse it from here on: the way back is a backup or a copy that was made before"
        );
    }
    for (core, (slots, at)) in recovered.iter().enumerate() {
        if let Some(cut) = &at.cut {
            tracing::warn!(
                core = core as u64,
                file = cut.file,
                offset = cut.offset,
                bytes = cut.bytes,
                "a crash tore the end of the log, which is cut off: {}",
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
        callers: config.callers.clone(),
        defaults,
        limits: net::Limits::default(),
    }
}

/// Signals that come closer together count as one: some send one to the process and another to its group.
const SIGNAL_DEBOUNCE: Duration = Duration::from_millis(200);

/// The first signal stops in good order; the second at once.
fn stop_on_signals(shutdown: &Arc<Shutdown>, stop_grpc: watch::Sender<bool>) -> Result<(), Error> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let shutdown = shutdown.clone();
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let mut asked: Option<Instant> = None;
        for signal in signals.forever() {
            if asked.is_some_and(|at| at.elapsed() < SIGNAL_DEBOUNCE) {
                continue;
            }
            if asked.is_some() {
                logging::exit(128 + signal, || tracing::warn!("stopping at once"));
            }
            tracing::info!("stopping: accepted requests are answered first; a second signal stops at once");
            asked = Some(Instant::now());
            shutdown.request();
            stop_grpc.send_replace(true);
        }
    })?;
    Ok(())
}

/// One pinned thread for each core, until all have stopped.
fn run(config: &Config, addresses: &Addresses, setups: Vec<CoreSetup>) -> Result<(), Error> {
    let cores = setups.len();
    let processors = allowed_processors();
    let (started, starts) = mpsc::channel();
    thread::scope(|scope| {
        for setup in setups {
            let started = started.clone();
            let processor = processors.get(usize::from(setup.core) % processors.len().max(1)).copied();
            let network = config.network;
            let thread = thread::Builder::new().name(format!("core-{}", setup.core));
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
                if let Err(error) = core::run(&mut runtime, setup) {
                    fail("a core cannot serve", &error);
                }
            })?;
        }
        for (driver, refused) in starts.iter().take(cores) {
            let (name, reason) = match driver {
                NetworkDriver::Uring => ("io_uring", "it works here"),
                NetworkDriver::Epoll => ("epoll", "as asked"),
            };
            let reason = refused.unwrap_or_else(|| reason.to_owned());
            tracing::info!(driver = name, reason, "network");
        }
        announce(config, addresses, cores);
        Ok(())
    })
}

fn announce(config: &Config, addresses: &Addresses, cores: usize) {
    for service in Service::ALL {
        tracing::info!(service = service.name(), address = %addresses.of(service), "listening");
    }
    if config.grpc {
        tracing::info!(service = net::GRPC_SERVICE, address = %addresses.grpc(), "listening");
    }
    tracing::info!(cores = cores as u64, "selling on http://{}", addresses.of(Service::Gateway));
}

fn fail(what: &str, error: &dyn std::error::Error) -> ! {
    logging::exit(crate::EXIT_FATAL, || tracing::error!(%error, "{what}"))
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
        tracing::warn!(processor = processor as u64, %error, "cannot pin a core to its processor");
    }
}
