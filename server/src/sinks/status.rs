//! The status of the sinks, for whoever asks: `/readyz`, `/worker/status`, metrics.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use bridge::health::{Health, Report, State};
use bridge::read_model::Owed;
use bridge::runner::Requests;
use bridge::sink::Trouble;
use engine::ids::Time;
use net::SinkStatus;
use net::metrics::Registry;
use wal::Lsn;
use wal::follow::Cursor;

use super::posts::Posts;

/// The keeper's last look.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// All sinks that are registered, configured or not.
    pub(crate) registered: Vec<String>,
    /// The one that the log is kept for the longest.
    pub(crate) slowest: Option<String>,
}

/// One sink that runs.
#[derive(Clone, Debug)]
pub(crate) struct SinkHandle {
    pub(crate) name: &'static str,
    pub(crate) health: Arc<Health>,
    pub(crate) requests: Arc<Requests>,
}

impl SinkHandle {
    /// It is this directory's, whole, and not older than what was relied on, as far as is known; and it stays what it is.
    pub(crate) fn is_trusted(&self) -> bool {
        !self.requests.is_pending() && self.distrust().is_none()
    }

    /// Why it cannot be trusted to have what it was given.
    pub(crate) fn distrust(&self) -> Option<String> {
        let report = self.health.report();
        match (report.state, &report.fault) {
            (State::Starting, _) => Some("it is being opened".to_owned()),
            (State::Copying, _) => Some("it is being filled".to_owned()),
            (State::Down, Some(fault)) => match fault.trouble {
                Trouble::Busy | Trouble::Full | Trouble::Failed | Trouble::Source | Trouble::Stopped => None,
                _ => Some(format!("it is down: {}", fault.text)),
            },
            _ => None,
        }
    }
}

/// The sinks of this process, as others see them. Asking never waits for a disk.
#[derive(Debug)]
pub(crate) struct SinkHandles {
    pub(crate) posts: Arc<Posts>,
    pub(crate) sinks: Vec<SinkHandle>,
    /// Of the epoch.
    pub(crate) beginning: Cursor,
    pub(crate) kept: Mutex<Kept>,
    pub(crate) budget_bytes_per_core: u64,
    pub(crate) read_model: PathBuf,
    pub(crate) owed: Arc<Owed>,
}

impl SinkHandles {
    pub(crate) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sink that runs.
    pub(crate) fn sink(&self, name: &str) -> Option<&SinkHandle> {
        self.sinks.iter().find(|sink| sink.name == name)
    }

    /// The report of a sink, with what is behind it now.
    pub(crate) fn report(&self, sink: &SinkHandle) -> Report {
        let mut report = sink.health.report();
        let Cursor { life, epoch, .. } = self.beginning;
        if let Some(seen) = report.seen.as_ref().filter(|seen| (seen.life, seen.epoch) == (life, epoch)) {
            let behind = |(durable, seen): (Lsn, &Lsn)| durable.0.saturating_sub(seen.0);
            report.backlog = self.posts.durable().into_iter().zip(&seen.cores).map(behind).sum();
        }
        report
    }

    /// Each sink that runs, then those that the log is kept for although nobody runs them.
    pub(crate) fn statuses(&self) -> Vec<SinkStatus> {
        let now = wall_clock();
        let filler = self.fills_log();
        let kept = self.kept();
        let running = self.sinks.iter().map(|sink| {
            let (name, report) = (sink.name, self.report(sink));
            let fault = report.fault.as_ref().filter(|_| report.state == State::Down);
            let last_error = fault.map(|fault| fault.text.clone()).or_else(|| report.notice.clone());
            SinkStatus {
                name: name.to_owned(),
                state: report.state.wire_name(),
                backlog: report.backlog,
                lag_ms: report.lag_ms(now),
                last_error,
                fills_log: filler.as_deref() == Some(name),
            }
        });
        let others = kept.registered.iter().filter(|name| self.sink(name).is_none());
        let others = others.map(|name| SinkStatus {
            name: name.clone(),
            state: "not_configured",
            backlog: 0,
            lag_ms: 0,
            last_error: None,
            fills_log: filler.as_deref() == Some(&name[..]),
        });
        running.chain(others).collect()
    }

    /// The sink, or a backup, for which so much is kept that some core has reached its budget.
    pub(crate) fn fills_log(&self) -> Option<String> {
        let is_full = self
            .posts
            .sizes()
            .any(|size| size.is_kept_for_sinks && size.needed_bytes >= self.budget_bytes_per_core);
        match is_full {
            true if self.posts.is_held() => Some("a backup".to_owned()),
            true => self.kept().slowest.clone(),
            false => None,
        }
    }

    /// The first sink that is down, or needs somebody to look at it, or takes the room of new sales.
    pub(crate) fn first_down(&self) -> Option<&'static str> {
        let filler = self.fills_log();
        let is_down = |sink: &&SinkHandle| {
            let report = sink.health.report();
            report.state == State::Down || report.notice.is_some() || filler.as_deref() == Some(sink.name)
        };
        self.sinks.iter().find(is_down).map(|sink| sink.name)
    }

    pub(crate) fn register(self: &Arc<Self>, registry: &mut Registry) {
        for sink in &self.sinks {
            let labels = [("sink", sink.name)];
            let gauge = |registry: &mut Registry, name, help, read: fn(&Report) -> u64| {
                let (handles, sink) = (self.clone(), sink.clone());
                registry.gauge_of(name, help, &labels, move || read(&handles.report(&sink)));
            };
            gauge(
                registry,
                "interlock_sink_up",
                "Whether a sink is filled: 1, or 0 while it is down.",
                |report| u64::from(report.state != State::Down),
            );
            gauge(
                registry,
                "interlock_sink_backlog_records",
                "Records of the log that a sink has not got, as far as is known.",
                |report| report.backlog,
            );
            gauge(
                registry,
                "interlock_sink_lag_seconds",
                "How old the last record is that a sink has; 0 if it has all.",
                |report| report.lag_ms(wall_clock()) / 1_000,
            );
            let written = sink.health.clone();
            registry.counter_of(
                "interlock_sink_records_total",
                "Records that a sink wrote.",
                &labels,
                move || written.report().records_written,
            );
            let (handles, name) = (self.clone(), sink.name);
            registry.gauge_of(
                "interlock_sink_fills_log",
                "1 while the log is full of what is kept for a sink, and new sales are refused.",
                &labels,
                move || u64::from(handles.fills_log().as_deref() == Some(name)),
            );
        }
        let path = self.read_model.clone();
        registry.gauge_of(
            "interlock_read_model_wal_bytes",
            "Bytes of SQLite's own log of the read model; it grows while a reader keeps an old moment open.",
            &[],
            move || bridge::read_model::wal_bytes(&path),
        );
        let (owed, oldest) = (self.owed.clone(), self.owed.clone());
        registry.gauge_of(
            "interlock_refunds_owed",
            "Refunds that nobody has settled, as the read model has them.",
            &[],
            move || owed.refunds(),
        );
        registry.gauge_of(
            "interlock_refund_oldest_seconds",
            "How long the oldest refund has been owed; 0 if none is.",
            &[],
            move || oldest.oldest_age_ms(wall_clock()) / 1_000,
        );
        let (needed, kept, budget) = (self.posts.clone(), self.posts.clone(), self.budget_bytes_per_core);
        registry.gauge_of(
            "interlock_log_needed_bytes",
            "Bytes of log that a snapshot or a sink still needs, of the core with the most.",
            &[],
            move || needed.sizes().map(|size| size.needed_bytes).max().unwrap_or(0),
        );
        registry.gauge_of(
            "interlock_log_kept_bytes",
            "Bytes of log on the disk, all cores together.",
            &[],
            move || kept.sizes().map(|size| size.kept_bytes).sum(),
        );
        registry.gauge_of(
            "interlock_log_budget_bytes",
            "Bytes of log that a core may need before it takes no new sales.",
            &[],
            move || budget,
        );
    }
}

/// For lags alone.
pub(crate) fn wall_clock() -> Time {
    let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    Time(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX))
}
