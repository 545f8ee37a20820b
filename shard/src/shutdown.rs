//! Shutdown: the cores of a process stop together.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The state that cores share on the way out. In this order: somebody [`request`](Shutdown::request)s it; every edge
/// answers what it has accepted and is [closed](Shutdown::edge_closed); every node refuses what is new and
/// reports whether it has quiesced; when all have, all leave. Each step wakes every core.
///
/// Whatever is cut short is no loss: it was not acknowledged, and what was begun stands in the log.
pub struct Shutdown {
    requested: AtomicBool,
    edges_open: AtomicUsize,
    quiesced: Vec<AtomicBool>,
    wake_all: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("requested", &self.requested)
            .field("edges_open", &self.edges_open)
            .field("quiesced", &self.quiesced)
            .finish_non_exhaustive()
    }
}

impl Shutdown {
    /// `wake_all` gives every core a turn.
    #[must_use]
    pub fn new(cores: u16, wake_all: impl Fn() + Send + Sync + 'static) -> Shutdown {
        Shutdown {
            requested: AtomicBool::new(false),
            edges_open: AtomicUsize::new(usize::from(cores)),
            quiesced: (0..cores).map(|_| AtomicBool::new(false)).collect(),
            wake_all: Box::new(wake_all),
        }
    }

    pub fn request(&self) {
        self.requested.store(true, Ordering::Release);
        (self.wake_all)();
    }

    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Acquire)
    }

    /// One core's edge has answered everything that it accepted.
    pub fn edge_closed(&self) {
        self.edges_open.fetch_sub(1, Ordering::AcqRel);
        (self.wake_all)();
    }

    #[must_use]
    pub(crate) fn edges_are_closed(&self) -> bool {
        self.edges_open.load(Ordering::Acquire) == 0
    }

    /// One core has quiesced, or has work again. Returns whether all have quiesced.
    pub(crate) fn report(&self, core: u16, quiesced: bool) -> bool {
        if self.quiesced[usize::from(core)].swap(quiesced, Ordering::AcqRel) != quiesced {
            (self.wake_all)();
        }
        self.quiesced.iter().all(|quiesced| quiesced.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn cores_leave_only_together_and_every_step_wakes_them() {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = wakes.clone();
        let shutdown = Shutdown::new(2, move || _ = counted.fetch_add(1, Ordering::Relaxed));
        assert!(!shutdown.is_requested());
        shutdown.request();
        assert!(shutdown.is_requested() && !shutdown.edges_are_closed());
        shutdown.edge_closed();
        assert!(!shutdown.edges_are_closed());
        shutdown.edge_closed();
        assert!(shutdown.edges_are_closed());
        assert_eq!(wakes.load(Ordering::Relaxed), 3);
        assert!(!shutdown.report(0, true));
        assert!(!shutdown.report(0, false), "a message has come since");
        assert!(!shutdown.report(1, true));
        assert!(shutdown.report(0, true));
        assert_eq!(wakes.load(Ordering::Relaxed), 7);
        assert!(shutdown.report(0, true));
        assert_eq!(wakes.load(Ordering::Relaxed), 7, "nothing has changed");
    }
}
