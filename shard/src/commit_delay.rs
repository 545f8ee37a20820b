//! Group commit delay: when the next write of the log starts.
//!
//! A write costs the core and the disk nearly the same for one record as for sixty, and who has just been answered is likely
//! to ask again. So after a write the next one is held back until as many commands have arrived as callers were answered,
//! but not beyond [`COMMIT_DELAY_MAX_US`], and not when [`IDLE_TURNS_MAX`] turns in a row find no work. A lone client waits
//! for nobody. PostgreSQL has the same under `commit_delay` and `commit_siblings`.

use crate::limits::{COMMIT_DELAY_MAX_US, IDLE_TURNS_MAX};

/// Says at the end of a turn whose records could be written whether the write waits. `arrived` and `answered` note what
/// happens; [`holds_back`](CommitDelay::holds_back) decides; [`committed`](CommitDelay::committed) ends a delay.
#[derive(Debug, Default)]
pub(crate) struct CommitDelay {
    /// Callers that the last write let go, and commands that have arrived since.
    answered: usize,
    arrived: usize,
    /// This turn has had work.
    is_busy: bool,
    /// Turns in a row without work.
    idle_turns: u32,
    /// The steady clock when a write could first have started, in microseconds.
    since_us: Option<u64>,
}

impl CommitDelay {
    pub(crate) fn arrived(&mut self) {
        self.arrived += 1;
        self.is_busy = true;
    }

    /// A write has become durable, and so many callers are answered by it.
    pub(crate) fn answered(&mut self, callers: usize) {
        (self.answered, self.arrived) = (callers, 0);
        self.is_busy = true;
    }

    /// True where a write that could start now waits for more.
    pub(crate) fn holds_back(&mut self, steady_us: u64) -> bool {
        let since = *self.since_us.get_or_insert(steady_us);
        self.idle_turns = if std::mem::take(&mut self.is_busy) { 0 } else { self.idle_turns + 1 };
        self.idle_turns < IDLE_TURNS_MAX
            && self.arrived < self.answered
            && steady_us.saturating_sub(since) < COMMIT_DELAY_MAX_US
    }

    /// A write is under way, or none is wanted.
    pub(crate) fn committed(&mut self) {
        self.is_busy = false;
        self.idle_turns = 0;
        self.since_us = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrive(delay: &mut CommitDelay, commands: usize) {
        (0..commands).for_each(|_| delay.arrived());
    }

    #[test]
    fn a_lone_client_waits_for_nobody() {
        let mut delay = CommitDelay::default();
        for _ in 0..3 {
            delay.arrived();
            assert!(!delay.holds_back(0));
            delay.committed();
            delay.answered(1);
            delay.committed();
        }
    }

    #[test]
    fn waits_for_as_many_as_were_answered() {
        let mut delay = CommitDelay::default();
        delay.answered(3);
        for _ in 0..2 {
            delay.arrived();
            assert!(delay.holds_back(0));
        }
        delay.arrived();
        assert!(!delay.holds_back(0), "all are here");
    }

    #[test]
    fn commands_from_before_the_answers_do_not_count() {
        let mut delay = CommitDelay::default();
        arrive(&mut delay, 5);
        delay.committed();
        delay.answered(2);
        assert!(delay.holds_back(0));
    }

    #[test]
    fn turns_without_work_end_it() {
        let mut delay = CommitDelay::default();
        delay.answered(3);
        assert!(delay.holds_back(0) && delay.holds_back(0));
        delay.arrived();
        assert!(delay.holds_back(0), "idle turns are counted anew");
        assert!(delay.holds_back(0) && delay.holds_back(0));
        assert!(!delay.holds_back(0));
    }

    #[test]
    fn no_record_waits_beyond_the_limit() {
        let mut delay = CommitDelay::default();
        delay.answered(100);
        for at in [0, COMMIT_DELAY_MAX_US / 2] {
            delay.arrived();
            assert!(delay.holds_back(at));
        }
        delay.arrived();
        assert!(!delay.holds_back(COMMIT_DELAY_MAX_US));
        // The next write has a limit of its own.
        delay.committed();
        delay.arrived();
        assert!(delay.holds_back(COMMIT_DELAY_MAX_US));
    }
}
