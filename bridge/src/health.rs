//! The health of a sink, for whoever asks: status pages, metrics, readiness.

use std::sync::{Mutex, MutexGuard, PoisonError};

use engine::ids::Time;
use wal::follow::Cursor;

use crate::sink::{MovedAside, SinkError, Trouble};

/// Written by the sink's runner, read by any thread.
#[derive(Debug, Default)]
pub struct Health(Mutex<Report>);

/// The report of a runner on its sink.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    pub state: State,
    /// The last error; of the present where the state is `Down`.
    pub fault: Option<Fault>,
    /// A notice: something is not right although it goes on.
    pub notice: Option<String>,
    /// Since the start it began with the oldest record that the log had, behind this place.
    pub began_behind: Option<Cursor>,
    /// Rows that the last copy kept aside, because the log does not have them since a backup was restored.
    pub moved_aside: Vec<MovedAside>,
    /// The durable position.
    pub position: Option<Cursor>,
    /// It has, or does not want, everything up to here.
    pub seen: Option<Cursor>,
    /// Records that are durable in the log behind that, when it was looked at last.
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

    /// `change` waits for nobody: those who wait for the health may hold what it would wait for.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Report)) {
        change(&mut self.lock());
    }

    /// A report is whole between any two of its changes: what a panic leaves can be read.
    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Report {
    /// The lag: the age of the last record that it has, in milliseconds; 0 where it has all of them, and only there. Where that record is not known,
    /// because nothing was followed since the start: how long it is down.
    #[must_use]
    pub fn lag_ms(&self, now: Time) -> u64 {
        let may_have_all = self.position.is_some() || self.state != State::Down;
        if self.backlog == 0 && may_have_all {
            return 0;
        }
        let down_since = self.fault.as_ref().map(|fault| fault.since);
        let since = self.last_time.or(down_since).unwrap_or(now);
        now.0.saturating_sub(since.0).max(1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_0_only_where_nothing_is_missing() {
        let position = || Some(Cursor { directory: [0; 16], life: 0, epoch: 1, cores: vec![wal::Lsn(1)] });
        let fault = |since| Fault { trouble: Trouble::Busy, text: String::new(), since: Time(since) };
        let check =
            |report: Report, expected: u64| assert_eq!(report.lag_ms(Time(1_000)), expected, "{report:?}");
        let following = || Report { state: State::Following, position: position(), ..Report::default() };
        let down = || Report { state: State::Down, fault: Some(fault(400)), ..following() };
        check(Report::default(), 0);
        check(following(), 0);
        check(Report { backlog: 3, last_time: Some(Time(900)), ..following() }, 100);
        check(Report { backlog: 3, ..following() }, 1);
        check(Report { backlog: 3, last_time: Some(Time(2_000)), ..following() }, 1);
        check(down(), 0);
        check(Report { backlog: 3, ..down() }, 600);
        check(Report { backlog: 3, last_time: Some(Time(300)), ..down() }, 700);
        // It was never opened: what it has is not known.
        check(Report { position: None, ..down() }, 600);
    }
}
