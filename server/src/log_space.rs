//! Log space: the room that the logs have, told to the operator when it changes, and by `/readyz` where nothing can be recorded
//! at all.

use std::sync::atomic::{AtomicBool, Ordering};

use wal::Space;

/// A flag for each core: its log takes nothing at all. Written by that core, read by any.
#[derive(Debug)]
pub(crate) struct LogSpace(Box<[AtomicBool]>);

impl LogSpace {
    pub(crate) fn new(cores: u16) -> LogSpace {
        LogSpace((0..cores).map(|_| AtomicBool::new(false)).collect())
    }

    /// The log of some core is full to its last byte.
    pub(crate) fn is_any_exhausted(&self) -> bool {
        self.0.iter().any(|exhausted| exhausted.load(Ordering::Relaxed))
    }

    /// Core `core` has `space` from now on, and had `before`. `kept_for`: the sink whose log takes the room, where that is why.
    pub(crate) fn change(&self, core: u16, before: Space, space: Space, kept_for: Option<&str>) {
        self.0[usize::from(core)].store(space == Space::Exhausted, Ordering::Relaxed);
        let core = u64::from(core);
        match space {
            Space::Plenty => tracing::info!(core, "the log has room again: sales go on"),
            Space::Reserve if let (Space::Plenty, Some(sink)) = (before, kept_for) => tracing::warn!(
                core,
                sink,
                "the log has reached its budget, kept for {sink}, which has not got it: new sales are refused (log_full). Payments, \
                 cancellations, releases and expiry go on"
            ),
            Space::Reserve if before == Space::Plenty => tracing::warn!(
                core,
                "the log has no room for new sales, which are refused (log_full): is the disk full? Payments, cancellations, \
                 releases and expiry go on in a reserve"
            ),
            Space::Reserve => {
                tracing::warn!(core, "the log has its reserve again: everything but new sales goes on")
            }
            Space::Exhausted => {
                tracing::error!(core, "the log has no room for anything: every write is refused")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_log_that_takes_nothing_is_exhausted() {
        let logs = LogSpace::new(2);
        logs.change(1, Space::Plenty, Space::Reserve, None);
        assert!(!logs.is_any_exhausted());
        logs.change(1, Space::Reserve, Space::Exhausted, None);
        logs.change(0, Space::Plenty, Space::Reserve, Some("a sink"));
        assert!(logs.is_any_exhausted());
        logs.change(1, Space::Exhausted, Space::Reserve, None);
        assert!(!logs.is_any_exhausted());
    }
}
