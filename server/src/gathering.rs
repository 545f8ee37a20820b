//! When a write starts: at once, or a little later and with more in it.
//!
//! A write costs the core and the disk nearly the same for one record as for sixty, so those that are on their way had better
//! be in it. Who has just been answered is likely to ask again: after a write, the next one waits until as many commands have
//! come as were answered, while the core still finds work when it looks, and never beyond [`GATHER_MAX`]. A core that finds
//! nothing to do writes soon, and a lone client waits for nobody.

use std::time::{Duration, Instant};

/// How long a record may wait for company.
const GATHER_MAX: Duration = Duration::from_millis(1);
/// Looks in a row that find nothing, after which nobody is waited for: a client needs a moment to ask again.
const QUIET_LOOKS_MAX: u32 = 3;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// Clients that were answered after the last write, and commands that have come since.
    answered: usize,
    arrived: usize,
    /// Whether this turn had anything to do.
    is_busy: bool,
    /// Turns in a row that had not.
    quiet: u32,
    /// Since when a write could have started.
    since: Option<Instant>,
}

impl Gathering {
    /// Commands have come.
    pub(crate) fn arrived(&mut self, commands: usize) {
        self.arrived += commands;
        self.is_busy |= commands > 0;
    }

    /// A write is done, and so many clients get their answers.
    pub(crate) fn answered(&mut self, clients: usize) {
        (self.answered, self.arrived) = (clients, 0);
        self.is_busy = true;
    }

    /// Ends a turn whose records could be written: whether they wait for more.
    pub(crate) fn goes_on(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        self.quiet = if std::mem::take(&mut self.is_busy) { 0 } else { self.quiet + 1 };
        self.quiet < QUIET_LOOKS_MAX
            && self.arrived < self.answered
            && now.saturating_duration_since(since) < GATHER_MAX
    }

    /// Ends a turn after which a write is under way, or none is wanted.
    pub(crate) fn ended(&mut self) {
        self.is_busy = false;
        self.quiet = 0;
        self.since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_client_waits_for_nobody() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        for _ in 0..3 {
            gathering.arrived(1);
            assert!(!gathering.goes_on(now));
            gathering.ended();
            gathering.answered(1);
            gathering.ended();
        }
    }

    #[test]
    fn as_many_are_waited_for_as_were_answered() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        gathering.answered(3);
        gathering.arrived(1);
        assert!(gathering.goes_on(now));
        gathering.arrived(1);
        assert!(gathering.goes_on(now));
        gathering.arrived(1);
        assert!(!gathering.goes_on(now), "all are here");
    }

    #[test]
    fn those_who_came_before_the_answers_are_not_the_ones_that_are_waited_for() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        gathering.arrived(5);
        gathering.ended();
        gathering.answered(2);
        assert!(gathering.goes_on(now));
    }

    #[test]
    fn turns_without_work_end_it() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        gathering.answered(3);
        assert!(gathering.goes_on(now));
        assert!(gathering.goes_on(now));
        gathering.arrived(1);
        assert!(gathering.goes_on(now), "the looks are counted anew");
        assert!(gathering.goes_on(now) && gathering.goes_on(now));
        assert!(!gathering.goes_on(now));
    }

    #[test]
    fn no_record_waits_beyond_the_limit() {
        let (mut gathering, now) = (Gathering::default(), Instant::now());
        gathering.answered(100);
        gathering.arrived(1);
        assert!(gathering.goes_on(now));
        gathering.arrived(1);
        assert!(gathering.goes_on(now + GATHER_MAX / 2));
        gathering.arrived(1);
        assert!(!gathering.goes_on(now + GATHER_MAX));
        // The next write has its own time.
        gathering.ended();
        gathering.arrived(1);
        assert!(gathering.goes_on(now + GATHER_MAX));
    }
}
