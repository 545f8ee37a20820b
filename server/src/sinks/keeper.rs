//! The keeper of the log: says how far the sinks are relied on, and lets go what none of them needs. Warns before a sink that stands still
//! takes the room of new sales.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bridge::health::State;
use bridge::runner::Stop;
use net::runtime::CoreWaker;
use wal::SinkRegistry;

use super::READ_MODEL;
use super::status::{Kept, SinkHandle, SinkHandles};

/// The interval of its looks. What a sink has is kept for so long at least: each look that finds news writes a small file.
const INTERVAL: Duration = Duration::from_secs(5);
/// The interval until every sink has been relied on once: a sink of which nothing is known may be made anew.
const FIRST_INTERVAL: Duration = Duration::from_millis(100);
/// The share of the budget from which on what is needed is warned of.
const WARNED_PERCENT: u64 = 80;

pub(crate) struct Keeper {
    pub(crate) registry: Arc<Mutex<SinkRegistry>>,
    pub(crate) handles: Arc<SinkHandles>,
    pub(crate) cores: Vec<CoreWaker>,
    pub(crate) stop: Arc<Stop>,
    /// It was warned of, and has not gone since.
    pub(crate) is_warned: bool,
}

impl Keeper {
    pub(crate) fn run(mut self) {
        while !self.stop.is_set() {
            let is_known = self.look();
            self.stop.wait(if is_known { INTERVAL } else { FIRST_INTERVAL });
        }
        self.look();
    }

    /// True if something is known of every sink that runs.
    fn look(&mut self) -> bool {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        for SinkHandle { name, health, requests } in &self.handles.sinks {
            // What it has is about to go, and nothing of it may be relied on.
            if requests.is_pending() {
                continue;
            }
            let Some(position) = health.report().position else { continue };
            if let Err(error) = registry.rely(name, &position) {
                tracing::warn!(sink = name, %error, "the log is kept: how far the sinks are cannot be written down");
                return true;
            }
        }
        let lets_go = self.handles.posts.set_floors(&registry.floors());
        // What is let go on its word is only what it has been relied on for, and what can be read there.
        let read_model = self.handles.sink(READ_MODEL).filter(|sink| sink.is_trusted());
        let has = read_model.and_then(|sink| registry.relied(sink.name));
        if self.handles.posts.set_read_model(has) || lets_go {
            // One that sleeps may have waited for it, and counts as needed what no longer is.
            self.cores.iter().for_each(CoreWaker::wake);
        }
        let slowest = registry.slowest().map(str::to_owned);
        let registered = registry.sinks().sinks.iter().map(|sink| sink.name.clone()).collect();
        // Of one that is down nothing will be known soon.
        let is_known = |sink: &SinkHandle| {
            sink.health.report().state == State::Down
                || registry.sinks().get(sink.name).is_none_or(|registered| registered.relied.is_some())
        };
        let all_known = registry.problem().is_some() || self.handles.sinks.iter().all(is_known);
        drop(registry);
        *self.handles.kept() = Kept { registered, slowest: slowest.clone() };
        self.warn(slowest.as_deref().unwrap_or("the snapshots"));
        all_known
    }

    fn warn(&mut self, slowest: &str) {
        let budget_bytes = self.handles.budget_bytes_per_core;
        let warned_bytes = budget_bytes / 100 * WARNED_PERCENT;
        let largest = self.handles.posts.sizes().map(|size| size.needed_bytes).max().unwrap_or(0);
        if largest < warned_bytes {
            self.is_warned = false;
        } else if !self.is_warned {
            self.is_warned = true;
            tracing::warn!(
                sink = slowest,
                needed_bytes = largest,
                budget_bytes,
                "the log of a core is close to its budget, kept for {slowest}: when it is reached, new sales are refused (log_full)"
            );
        }
    }
}
