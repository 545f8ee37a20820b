//! The sinks of this process: who follows its logs, each on a thread of its own, and what is kept for them.

mod keeper;
mod log_source;
mod outer;
mod posts;
mod readers;
mod room;
mod status;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bridge::health::State;
use bridge::read_model::{self, Keep, ReadModel, Settings};
use bridge::runner::{Runner, Stop};
use bridge::sink::{Sink, Trouble};
use engine::record::{Kind, Label};
use net::runtime::CoreWaker;
use wal::files::OsFiles;
use wal::follow::Reach;
use wal::{DataDir, OpenError, SinkRegistry};

use keeper::Keeper;
use log_source::LogSource;

pub(crate) use outer::Outer;
pub(crate) use posts::{DurableTime, LogSize, Posts};
pub(crate) use readers::{CoreReads, ReadDesk};
pub(crate) use status::{SinkHandle, SinkHandles, wall_clock};

/// The name of the read model among the sinks.
pub(crate) const READ_MODEL: &str = "read-model";
/// Sinks give way to the cores: this is added to their niceness.
const NICENESS: i32 = 10;
/// A check looks so often whether the read model is open.
const CHECK_PAUSE: Duration = Duration::from_millis(200);
/// A stop waits so long for its sinks at most.
const STOP_WAIT: Duration = Duration::from_secs(3);
/// A start waits so long for its sinks at most.
const OPEN_WAIT: Duration = Duration::from_secs(3);

/// The settings of a process's sinks.
pub(crate) struct Setup {
    pub(crate) data_dir: PathBuf,
    pub(crate) read_model: PathBuf,
    pub(crate) keep: Keep,
    pub(crate) budget_bytes_per_core: u64,
    pub(crate) outer: Outer,
}

/// The sinks while they run.
pub(crate) struct Sinks {
    pub(crate) handles: Arc<SinkHandles>,
    pub(crate) registry: Arc<Mutex<SinkRegistry>>,
    stop: Arc<Stop>,
    threads: Vec<JoinHandle<()>>,
}

impl Sinks {
    /// Starts to follow. The sinks are registered, and the logs have not begun to run; `reach` says for each how far it is durable.
    ///
    /// # Errors
    /// A thread cannot be had.
    pub(crate) fn start(
        dir: &DataDir,
        files: &OsFiles,
        reach: Vec<Reach>,
        cores: Vec<CoreWaker>,
        setup: &Setup,
    ) -> std::io::Result<Sinks> {
        let registry = dir.sink_registry();
        let posts = Arc::new(Posts::new(reach.into_iter().zip(registry.floors())));
        let relied = registry.sinks().get(READ_MODEL).is_some_and(|sink| sink.relied.is_some());
        let beginning = registry.beginning();
        let registry = Arc::new(Mutex::new(registry));
        let mut starter = Starter {
            files,
            posts: posts.clone(),
            registry: registry.clone(),
            stop: Arc::default(),
            sinks: Vec::new(),
            threads: Vec::new(),
        };
        // What was relied on is not made anew behind the operator's back.
        let settings = Settings {
            path: setup.read_model.clone(),
            directory: dir.id(),
            create: !relied,
            keep: setup.keep.clone(),
        };
        let room = room::for_the_read_model(
            &setup.read_model,
            &setup.data_dir,
            posts.clone(),
            setup.budget_bytes_per_core * u64::from(dir.cores()),
        );
        let read_model = ReadModel::new(settings).within(room);
        let owed = read_model.owed();
        starter.follow(READ_MODEL, read_model, read_model_wants)?;
        setup.outer.start(&mut starter, dir.id(), &setup.read_model)?;
        let Starter { stop, sinks, mut threads, .. } = starter;
        let handles = Arc::new(SinkHandles {
            posts,
            sinks,
            beginning,
            kept: Mutex::default(),
            budget_bytes_per_core: setup.budget_bytes_per_core,
            read_model: setup.read_model.clone(),
            owed,
        });
        let keeper = Keeper {
            registry: registry.clone(),
            handles: handles.clone(),
            cores,
            stop: stop.clone(),
            is_warned: false,
        };
        threads.push(spawn("keeper", || keeper.run())?);
        let sinks = Sinks { handles, registry, stop, threads };
        // Nobody waits for it: it reads the whole file.
        let (read_model, path, stop) =
            (sinks.read_model().clone(), setup.read_model.clone(), sinks.stop.clone());
        spawn("quick-check", move || check(&path, &read_model, &stop))?;
        Ok(sinks)
    }

    /// Waits until the read model is open and filled, or is known to be down: what is asked right after the start is then answered. A copy
    /// that takes longer goes on beside the sale.
    pub(crate) fn wait_until_open(&self) {
        let since = Instant::now();
        let is_opening =
            || matches!(self.read_model().health.report().state, State::Starting | State::Copying);
        while is_opening() && since.elapsed() < OPEN_WAIT {
            thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn read_model(&self) -> &SinkHandle {
        self.handles.sink(READ_MODEL).expect("it always runs")
    }

    /// Stops them. What they have not got they get after the next start. One that waits for something outside is not waited for without end:
    /// a batch that is cut off counts as none.
    pub(crate) fn stop(self) {
        self.stop.set();
        join(self.threads);
    }
}

/// Waits for threads that were told to stop, and not without end.
pub(crate) fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    let threads: Vec<_> = threads.into_iter().collect();
    let since = Instant::now();
    while !threads.iter().all(JoinHandle::is_finished) && since.elapsed() < STOP_WAIT {
        thread::sleep(Duration::from_millis(1));
    }
    for thread in threads.into_iter().filter(JoinHandle::is_finished) {
        let _ = thread.join();
    }
}

/// Starts sinks, each on a thread of its own.
struct Starter<'a> {
    files: &'a OsFiles,
    posts: Arc<Posts>,
    registry: Arc<Mutex<SinkRegistry>>,
    stop: Arc<Stop>,
    sinks: Vec<SinkHandle>,
    threads: Vec<JoinHandle<()>>,
}

impl Starter<'_> {
    /// Starts one sink. A record that `wants` does not want is passed over without being decoded.
    fn follow(
        &mut self,
        name: &'static str,
        sink: impl Sink + 'static,
        wants: fn(Label) -> bool,
    ) -> std::io::Result<()> {
        debug_assert_eq!(sink.name(), name);
        let source = LogSource {
            files: self.files.clone(),
            posts: self.posts.clone(),
            registry: self.registry.clone(),
            name,
            wants,
            follower: None,
        };
        let runner = Runner::new(sink, source, self.stop.clone(), u64::from(std::process::id()));
        self.sinks.push(SinkHandle { name, health: runner.health(), requests: runner.requests() });
        self.threads.push(spawn(name, || runner.run())?);
        Ok(())
    }
}

/// A thread that gives way to the cores.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        give_way();
        run();
    })
}

/// A run's history has what was confirmed, whoever did, and leaves after its partition; else only what is an order's counts.
pub(crate) fn read_model_wants(label: Label) -> bool {
    label.is_of_order || matches!(label.kind, Kind::HoldConfirmed | Kind::PartitionForgotten)
}

/// Reads all of the read model once it is open, and says what is wrong with it. It is not trusted any more then.
fn check(path: &Path, sink: &SinkHandle, stop: &Stop) {
    while sink.health.report().state != State::Following {
        stop.wait(CHECK_PAUSE);
        if stop.is_set() {
            return;
        }
    }
    match read_model::quick_check(path) {
        Ok(()) => {}
        Err(error) if error.trouble == Trouble::Unreadable => {
            tracing::error!(%error, "the read model is damaged");
            sink.requests.distrust(error.text);
        }
        Err(error) => tracing::warn!(%error, "the read model could not be checked"),
    }
}

/// The calling thread runs after the cores. It does without where the system refuses.
fn give_way() {
    let own = rustix::thread::gettid();
    let _ = rustix::process::setpriority_process(Some(own), NICENESS);
}

/// Registers the sinks of this start, and says which others the log is kept for.
///
/// # Errors
/// The file of sinks cannot be written.
pub(crate) fn register(dir: &mut DataDir, outer: &Outer) -> Result<(), OpenError> {
    let names: Vec<&str> = [READ_MODEL].into_iter().chain(outer.names()).collect();
    for name in &names {
        dir.register_sink(name)?;
    }
    let registry = dir.sink_registry();
    if let Some(problem) = registry.problem() {
        tracing::error!("NOTHING IS PRUNED, because nobody knows what sinks still need: {problem}");
    }
    for sink in registry.sinks().sinks.iter().filter(|sink| !names.contains(&&sink.name[..])) {
        tracing::warn!(
            sink = sink.name,
            "the log is kept for {}, which is registered and not configured: configure it, or detach it",
            sink.name
        );
    }
    Ok(())
}
