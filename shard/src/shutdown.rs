//! Shutdown: the cores of a process stop together.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// The state that cores share on the way out. In this order: somebody [`request`](Shutdown::request)s it; every edge
/// answers what it has accepted and is [closed](Shutdown::edge_closed); every node refuses what is new and
/// reports at the end of each turn; when all have quiesced and no parcel is between them, all leave. Each step wakes every core.
///
/// Whatever is cut short is no loss: it was not acknowledged, and what was begun stands in the log.
pub struct Shutdown {
    requested: AtomicBool,
    edges_open: AtomicUsize,
    /// By core: the report of its last turn.
    reports: Vec<AtomicU64>,
    wake_all: Box<dyn Fn() + Send + Sync>,
}

/// A core's state at the end of a turn, in one word so that it is read as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Report {
    pub(crate) quiesced: bool,
    /// Parcels that the core has sent, less those that it has received. The sum over all cores is what is between them.
    pub(crate) parcels: i64,
}

const QUIESCED: u64 = 1;

impl Report {
    fn word(self) -> u64 {
        (self.parcels as u64) << 1 | u64::from(self.quiesced)
    }

    fn of(word: u64) -> Report {
        Report { quiesced: word & QUIESCED != 0, parcels: word as i64 >> 1 }
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("requested", &self.requested)
            .field("edges_open", &self.edges_open)
            .field("reports", &self.reports)
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
            reports: (0..cores).map(|_| AtomicU64::new(0)).collect(),
            wake_all: Box::new(wake_all),
        }
    }

    /// One edge more than there are cores, before anything is requested: it is [closed](Shutdown::edge_closed) like the others.
    pub fn add_edge(&self) {
        self.edges_open.fetch_add(1, Ordering::AcqRel);
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

    /// A core is in a turn, and may receive and send: nobody leaves before it has reported again.
    pub(crate) fn begin_turn(&self, core: u16) {
        self.reports[usize::from(core)].fetch_and(!QUIESCED, Ordering::AcqRel);
    }

    /// The end of a core's turn, and its report of the turn before. Returns whether all cores may leave.
    pub(crate) fn report(&self, core: u16, before: Report, report: Report) -> bool {
        self.reports[usize::from(core)].store(report.word(), Ordering::Release);
        if report != before {
            (self.wake_all)();
        }
        // Twice the same, so that no core had a turn in between.
        let first = self.read();
        let parcels: i64 = first.iter().map(|report| report.parcels).sum();
        first.iter().all(|report| report.quiesced) && parcels == 0 && self.read() == first
    }

    fn read(&self) -> Vec<Report> {
        self.reports.iter().map(|word| Report::of(word.load(Ordering::Acquire))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Two cores, and how often they were woken.
    fn two() -> (Shutdown, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counted = wakes.clone();
        (Shutdown::new(2, move || _ = counted.fetch_add(1, Ordering::Relaxed)), wakes)
    }

    fn report(quiesced: bool, parcels: i64) -> Report {
        Report { quiesced, parcels }
    }

    #[test]
    fn every_step_wakes_the_cores_and_what_does_not_change_does_not() {
        let (shutdown, wakes) = two();
        assert!(!shutdown.is_requested());
        shutdown.request();
        assert!(shutdown.is_requested() && !shutdown.edges_are_closed());
        shutdown.edge_closed();
        assert!(!shutdown.edges_are_closed());
        shutdown.edge_closed();
        assert!(shutdown.edges_are_closed());
        assert_eq!(wakes.load(Ordering::Relaxed), 3);
        assert!(!shutdown.report(0, Report::default(), report(true, 0)));
        assert_eq!(wakes.load(Ordering::Relaxed), 4);
        assert!(!shutdown.report(0, report(true, 0), report(true, 0)));
        assert_eq!(wakes.load(Ordering::Relaxed), 4);
    }

    /// A core that has quiesced is given a parcel and a turn: nobody leaves before it has dealt with it.
    #[test]
    fn nobody_leaves_while_a_parcel_is_between_cores_or_a_core_is_in_a_turn() {
        let (shutdown, _) = two();
        assert!(!shutdown.report(0, Report::default(), report(true, 0)));
        assert!(!shutdown.report(1, Report::default(), report(true, 1)), "its parcel has not arrived");
        shutdown.begin_turn(0);
        assert!(!shutdown.report(1, report(true, 1), report(true, 1)), "the other core is in its turn");
        assert!(!shutdown.report(0, report(true, 0), report(false, -1)), "the parcel makes work");
        assert!(!shutdown.report(1, report(true, 1), report(true, 1)));
        assert!(shutdown.report(0, report(false, -1), report(true, -1)));
        assert!(shutdown.report(1, report(true, 1), report(true, 1)));
    }

    #[test]
    fn a_report_is_one_word() {
        for parcels in [0, 1, -1, 77, -12_345_678_901, i64::MAX >> 1, i64::MIN >> 1] {
            for quiesced in [false, true] {
                assert_eq!(Report::of(report(quiesced, parcels).word()), report(quiesced, parcels));
            }
        }
    }
}
