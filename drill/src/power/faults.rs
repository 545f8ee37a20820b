//! Crashes on the drill's own disk: its power is cut, or a write or a sync fails first.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::mount::Mount;
use super::store::Fault;
use crate::crash::fault_injector::FaultInjector;
use crate::{Rng, Server, until};

/// The process's exit code after a failed write or sync.
const EXIT_FATAL: i32 = 70;
/// A snapshot that is to fail is waited for this long.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(3);
/// Durable writes and syncs after which the server counts as going on: more than can have been under way.
const GOES_ON_SYNCS: u64 = 20;
const FAULTS: [Fault; 3] = [Fault::DurableWrite, Fault::DirSync, Fault::SnapshotSync];

/// Every crash is a power cut.
#[derive(Debug)]
pub struct PowerCuts {
    mount: Mount,
    rng: Rng,
    cuts: u64,
    /// Unsynced sectors, sizes and names that survived, and that did not.
    kept: u64,
    lost: u64,
    /// Of the disks that were replaced.
    syncs: u64,
}

impl PowerCuts {
    #[must_use]
    pub fn new(parent: &Path) -> PowerCuts {
        let mount = Mount::new(parent);
        PowerCuts { mount, rng: Rng::with_seed(0), cuts: 0, kept: 0, lost: 0, syncs: 0 }
    }

    fn cut(&mut self, server: &mut Server) {
        let survival = self.mount.cut(server, &mut self.rng);
        self.cuts += 1;
        self.kept += survival.kept;
        self.lost += survival.lost;
    }
}

impl FaultInjector for PowerCuts {
    fn new_directory(&mut self, rng: Rng) -> PathBuf {
        self.rng = rng;
        self.syncs += self.mount.disk().with(|store| store.syncs);
        self.mount.replace();
        self.mount.data()
    }

    fn crash(&mut self, server: &mut Server) {
        self.cut(server);
    }

    fn crash_starting(&mut self, server: &mut Server) {
        self.cut(server);
    }

    fn summary(&self) -> String {
        let syncs = self.syncs + self.mount.disk().with(|store| store.syncs);
        format!(
            "{} power cuts; {} unsynced sectors, sizes and names survived, {} were lost; {syncs} durable writes and syncs",
            self.cuts, self.kept, self.lost
        )
    }
}

/// Every crash under load begins with a write or a sync that fails; then the power is cut.
#[derive(Debug)]
pub struct DiskFaults {
    cuts: PowerCuts,
    rng: Rng,
    /// Faults that happened, in the order of `FAULTS`.
    pub happened: [u64; 3],
}

impl DiskFaults {
    #[must_use]
    pub fn new(parent: &Path) -> DiskFaults {
        DiskFaults { cuts: PowerCuts::new(parent), rng: Rng::with_seed(0), happened: [0; 3] }
    }

    /// A log that cannot be written ends the server.
    fn expect_exit(&self, server: &mut Server, fault: Fault, has_happened: impl Fn() -> bool) {
        let status = until("the server to end after a fault", || server.ended());
        // One that was asked to stop may be gone before it meets the fault. It does not wait for a job of its log, such as a
        // snapshot or a spare segment: the next start does without it.
        let log = server.log();
        let left =
            fault == Fault::DirSync && log.lines().last().is_some_and(|line| line.contains("stopped: every"));
        let expected = if has_happened() && !left { EXIT_FATAL } else { 0 };
        assert_eq!(status.code(), Some(expected), "after {fault:?}: {}", server.log_tail());
    }

    /// A snapshot that cannot be written is given up, and the server goes on.
    fn expect_survival(&self, server: &mut Server, has_happened: impl Fn() -> bool) {
        let started = Instant::now();
        while !has_happened() && started.elapsed() < SNAPSHOT_WAIT && server.ended().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let syncs = || self.cuts.mount.disk().with(|store| store.syncs);
        let before = syncs();
        until("the server to go on writing", || {
            (server.ended().is_some() || syncs() > before + GOES_ON_SYNCS).then_some(())
        });
        // It may have been asked to stop.
        let code = server.ended().map_or(Some(0), |status| status.code());
        assert_eq!(code, Some(0), "a failed snapshot ended the server: {}", server.log_tail());
    }
}

impl FaultInjector for DiskFaults {
    fn new_directory(&mut self, mut rng: Rng) -> PathBuf {
        self.rng = rng.fork();
        self.cuts.new_directory(rng)
    }

    fn crash(&mut self, server: &mut Server) {
        let kind = self.rng.usize(..FAULTS.len());
        let fault = FAULTS[kind];
        let faults = || self.cuts.mount.disk().with(|store| store.faults);
        let before = faults();
        self.cuts.mount.disk().with(|store| store.fault = Some(fault));
        match fault {
            Fault::SnapshotSync => self.expect_survival(server, || faults() > before),
            Fault::DurableWrite | Fault::DirSync => self.expect_exit(server, fault, || faults() > before),
        }
        self.happened[kind] += faults() - before;
        self.cuts.cut(server);
    }

    fn crash_starting(&mut self, server: &mut Server) {
        self.cuts.cut(server);
    }

    fn summary(&self) -> String {
        let [write, dir, snapshot] = self.happened;
        format!(
            "{write} failed log writes and {dir} failed directory syncs: the server exited with {EXIT_FATAL} after each; \
             {snapshot} failed snapshot syncs: it went on after each; {}",
            self.cuts.summary()
        )
    }
}
