//! Stopping together: what one core tells the others on the way out.
//!
//! First every edge answers what it accepted; then every shard refuses what is new and comes to rest; then all leave.
//! Whatever is cut short is no loss: it was not acknowledged, and what was begun stands in the log.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use net::runtime::CoreWaker;

#[derive(Debug)]
pub(crate) struct Stop {
    asked: AtomicBool,
    edges_open: AtomicUsize,
    restless: Vec<AtomicBool>,
    wakers: Vec<CoreWaker>,
}

impl Stop {
    pub(crate) fn new(wakers: Vec<CoreWaker>) -> Stop {
        let cores = wakers.len();
        Stop {
            asked: AtomicBool::new(false),
            edges_open: AtomicUsize::new(cores),
            restless: (0..cores).map(|_| AtomicBool::new(true)).collect(),
            wakers,
        }
    }

    /// From a signal: begin to stop.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.wake_all();
    }

    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// One core's edge has answered everything.
    pub(crate) fn edge_closed(&self) {
        self.edges_open.fetch_sub(1, Ordering::AcqRel);
        self.wake_all();
    }

    pub(crate) fn edges_are_closed(&self) -> bool {
        self.edges_open.load(Ordering::Acquire) == 0
    }

    /// One core's shard is at rest, or not any more. Returns whether all are at rest.
    pub(crate) fn rest(&self, core: u16, rests: bool) -> bool {
        let was_restless = self.restless[usize::from(core)].swap(!rests, Ordering::AcqRel);
        if was_restless == rests {
            self.wake_all();
        }
        self.restless.iter().all(|restless| !restless.load(Ordering::Acquire))
    }

    fn wake_all(&self) {
        for waker in &self.wakers {
            waker.wake();
        }
    }
}
