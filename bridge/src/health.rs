//! How a sink is doing, for whoever asks: status pages, metrics, readiness.

use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::ids::Time;
use wal::follow::Cursor;

use crate::sink::{SinkError, Trouble};

/// Written by the sink's runner, read by any thread.
#[derive(Debug, Default)]
pub struct Health(Mutex<Report>);

/// What a runner says of its sink.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    pub state: State,
    /// The last error; of the present where the state is `Down`.
    pub fault: Option<Fault>,
    /// What is not right although it goes on.
    pub notice: Option<String>,
    /// How far it is durable.
    pub position: Option<Cursor>,
    /// Records that are durable in the log behind that, as far as is known.
    pub backlog: u64,
    /// The time of the last record up to the position.
    pub last_time: Option<Time>,
    /// Since the start.
    pub records_written: u64,
    /// Of the copy under way, or of the last one.
    pub slots_copied: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    #[default]
    Starting,
    Copying,
    Following,
    /// It is tried again, ever more seldom.
    Down,
}

impl State {
    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            State::Starting => "starting",
            State::Copying => "copying",
            State::Following => "following",
            State::Down => "down",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    pub trouble: Trouble,
    pub text: String,
    /// When it went down; errors since then have not changed that.
    pub since: Time,
}

impl Health {
    #[must_use]
    pub fn report(&self) -> Report {
        self.lock().clone()
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.lock());
    }

    /// A report is whole between any two of its changes: what a panic leaves can be read.
    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    /// How old the last record was that it has, in milliseconds; 0 where it has all of them.
    #[must_use]
    pub fn lag_ms(&self, now: Time) -> u64 {
        match self.last_time {
            Some(last) if self.backlog > 0 => now.0.saturating_sub(last.0),
            _ => 0,
        }
    }

    /// True where it went down with this.
    pub(crate) fn fail(&mut self, error: &SinkError, now: Time) -> bool {
        let is_new = self.state != State::Down;
        let since = self.fault.as_ref().filter(|_| !is_new).map_or(now, |fault| fault.since);
        self.fault = Some(Fault { trouble: error.trouble, text: error.text.clone(), since });
        self.state = State::Down;
        is_new
    }
}
