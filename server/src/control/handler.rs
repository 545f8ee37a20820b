//! The commands of an operator, as the server carries them out.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bridge::health::State;
use bridge::read_model;
use bridge::sink::MovedAside;
use engine::ids::Time;
use net::metrics::Metrics;
use net::runtime::CoreWaker;
use serde_json::{Value, json};
use wal::follow::Cursor;
use wal::{Lsn, SinkRegistry};

use super::status::{self, Glance};
use crate::sinks::{READ_MODEL, SinkHandles};

/// A rebuild is waited for so long; it goes on by itself.
const REBUILD_WAIT: Duration = Duration::from_secs(60);

/// The log is kept for so long for somebody who copies it and does not ask again.
pub(crate) const HOLD_TIME: Duration = Duration::from_secs(60);
/// All cores pass a moment within this, or something is wrong with one.
const MOMENT_WAIT: Duration = Duration::from_secs(20);

/// Everything that commands need. None of it is a core's own.
pub(crate) struct Handler {
    pub(crate) started: Instant,
    pub(crate) cores: u16,
    pub(crate) wakers: Vec<CoreWaker>,
    pub(crate) registry: Arc<Mutex<SinkRegistry>>,
    pub(crate) sinks: Arc<SinkHandles>,
    pub(crate) read_model: PathBuf,
    pub(crate) metrics: Arc<Metrics>,
}

impl Handler {
    pub(super) fn handle(&self, request: &Value) -> Result<Value, String> {
        let name = || request["name"].as_str().ok_or_else(|| "no name is given".to_owned());
        match request["command"].as_str() {
            Some("status") => Ok(json!({ "text": status::screen(&self.glance()) })),
            Some("reach") => Ok(self.reach()),
            Some("hold") => Ok(self.hold(name()?)),
            Some("let_go") => Ok(self.let_go(name()?)),
            Some("moment") => self.moment(),
            Some("sink_list") => Ok(json!({ "text": status::sinks(&self.sinks) })),
            Some("sink_detach") => self.detach(name()?),
            Some("sink_rebuild") => self.rebuild(name()?, request["accept_loss"] == true),
            _ => Err("this server does not know the command: is it of another version?".to_owned()),
        }
    }

    fn glance(&self) -> Glance<'_> {
        let Handler { started, cores, .. } = *self;
        Glance { started, cores, sinks: &self.sinks, metrics: &self.metrics }
    }

    /// The reach of the logs: how far they may be followed.
    fn reach(&self) -> Value {
        let beginning = self.registry().beginning();
        let cores = self.sinks.posts.reach().into_iter().map(
            |reach| json!({ "lsn": reach.lsn.0, "generation": reach.generation, "offset": reach.offset }),
        );
        json!({
            "directory": uuid::Uuid::from_bytes(beginning.directory).simple().to_string(),
            "life": beginning.life,
            "epoch": beginning.epoch,
            "cores": cores.collect::<Vec<_>>(),
        })
    }

    /// Keeps the log for somebody who copies the directory.
    fn hold(&self, by: &str) -> Value {
        let floors = self.registry().floors();
        self.sinks.posts.hold(by, &floors, HOLD_TIME);
        self.set_floors(&floors);
        let mut answer = self.reach();
        // Who asks may be in another place.
        answer["read_model"] =
            json!(std::path::absolute(&self.read_model).unwrap_or_else(|_| self.read_model.clone()));
        answer
    }

    /// Whoever copied the directory is done.
    fn let_go(&self, by: &str) -> Value {
        self.sinks.posts.let_go(by);
        let floors = self.registry().floors();
        self.set_floors(&floors);
        json!({})
    }

    /// A core that sleeps counts as needed what no longer is.
    fn set_floors(&self, floors: &[wal::Lsn]) {
        if self.sinks.posts.set_floors(floors) {
            self.wakers.iter().for_each(CoreWaker::wake);
        }
    }

    /// An engine time behind all that was recorded before it was asked for, up to which everything is durable now. The reach has all of it.
    fn moment(&self) -> Result<Value, String> {
        let posts = &self.sinks.posts;
        let (asked, since) = (posts.now(), Instant::now());
        // Before its first turn a core says nothing.
        while posts.passed() < asked || posts.passed() == Time(0) {
            if since.elapsed() > MOMENT_WAIT {
                return Err("no moment that all cores have passed: is a disk stuck?".to_owned());
            }
            // One that sleeps does not know how late it is.
            self.wakers.iter().for_each(CoreWaker::wake);
            thread::sleep(Duration::from_millis(1));
        }
        let time = posts.passed();
        let mut answer = self.reach();
        answer["time"] = json!(time.0);
        Ok(answer)
    }

    fn detach(&self, name: &str) -> Result<Value, String> {
        let mut registry = self.registry();
        if registry.sinks().get(name).is_none() {
            return Err(format!("no sink {name} is registered"));
        }
        registry.detach(name).map_err(|error| error.to_string())?;
        tracing::warn!(sink = name, "detached by the operator: nothing is kept for it any more");
        let text = match self.sinks.sink(name) {
            Some(_) => format!(
                "{name} is detached. It follows on while this server runs, and is registered anew by the next start that configures it.\n"
            ),
            None => format!("{name} is detached: nothing is kept for it any more.\n"),
        };
        Ok(json!({ "text": text }))
    }

    fn rebuild(&self, name: &str, accept_loss: bool) -> Result<Value, String> {
        let Some(sink) = self.sinks.sink(name) else {
            return Err(format!("no sink {name} runs here"));
        };
        if name == READ_MODEL && !accept_loss {
            return Err(format!(
                "{name} has what the engine no longer has: histories, and orders that have left. A rebuild throws it away and fills a new one \
                 from the engine. Restore the file instead, or say --accept-loss"
            ));
        }
        let was_detached = {
            let mut registry = self.registry();
            if let Some(problem) = registry.problem() {
                return Err(format!("nothing can be written down about sinks: {problem}"));
            }
            let was_detached = registry.sinks().get(name).is_none();
            registry
                .register(name)
                .and_then(|()| registry.forget(name))
                .map_err(|error| error.to_string())?;
            // Nobody may say meanwhile that it has what is about to go.
            sink.requests.rebuild();
            was_detached
        };
        tracing::warn!(sink = name, "rebuilt by the operator: it is filled anew from the engine's state");
        let since = Instant::now();
        let is_filled = || {
            let report = self.sinks.report(sink);
            !sink.requests.is_pending() && report.state == State::Following && report.backlog == 0
        };
        while !is_filled() && since.elapsed() < REBUILD_WAIT {
            thread::sleep(Duration::from_millis(10));
        }
        if !is_filled() {
            let state = sink.health.report().state.wire_name();
            let mut text = format!("{name} is being filled anew ({state}): see `interlock sink list`\n");
            if was_detached {
                text.push_str(&format!("it had been detached: the log is kept for {name} again\n"));
            }
            return Ok(json!({ "text": text }));
        }
        let report = sink.health.report();
        let text = match (name, report.began_behind) {
            (READ_MODEL, _) => self.read_model_rebuilt()?,
            (_, Some(place)) => sent_again(name, &place),
            (_, None) => filled_anew(name, &report.moved_aside),
        };
        Ok(json!({ "text": text }))
    }

    fn read_model_rebuilt(&self) -> Result<String, String> {
        let orders = read_model::count_orders(&self.read_model).map_err(|error| error.to_string())?;
        Ok(format!(
            "{READ_MODEL} is filled anew. It has the {orders} orders that the engine has; what was recorded before {} is missing from the \
             histories, but for what is still in the log\n",
            jiff::Timestamp::now().strftime("%FT%TZ")
        ))
    }

    fn registry(&self) -> std::sync::MutexGuard<'_, SinkRegistry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to tables that were filled: what had been in them and is lost, where a backup was restored.
fn filled_anew(name: &str, moved_aside: &[MovedAside]) -> String {
    let mut text = format!("{name} is filled anew\n");
    if !moved_aside.is_empty() {
        text.push_str("changed after the backup that was restored, and kept aside:\n");
        moved_aside
            .iter()
            .for_each(|moved| text.push_str(&format!("  {} rows to {}\n", moved.rows, moved.to)));
    }
    text
}

/// The answer to a topic that was sent again: what is missing is said by its records.
fn sent_again(name: &str, place: &Cursor) -> String {
    let mut text = format!("{name} was sent again what is still in the log.");
    for (core, lsn) in place.cores.iter().enumerate().filter(|(_, lsn)| **lsn > Lsn::NONE) {
        text.push_str(&format!(
            " Records up to {} of core {core} in epoch {} are missing.",
            lsn.0, place.epoch
        ));
    }
    if place.epoch > FIRST_EPOCH {
        text.push_str(&format!(" So are all epochs before {}.", place.epoch));
    }
    text.push('\n');
    text
}

/// The number of a directory's first epoch.
const FIRST_EPOCH: u32 = 1;
