//! The server stands still for longer than its holds last (SIGSTOP), goes on (SIGCONT), and is killed a moment later.
//!
//! Requests that were under way are answered when the process goes on. By then holds have expired, and a payment is
//! a ticket or a refund owed. The audit is that of every crash.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::crash::fault_injector::{FaultInjector, ProcessKills};
use crate::{Rng, Server};

/// Longer than a hold of the drill lasts, which is a second.
const STOPPED_MS_MIN: u64 = 1_100;
const STOPPED_MS_MAX: u64 = 2_600;
const RESUMED_MS_MAX: u64 = 600;

#[derive(Debug)]
pub struct Pauses {
    kills: ProcessKills,
    rng: Rng,
    pub stopped: Duration,
}

impl Pauses {
    #[must_use]
    pub fn new(parent: &Path) -> Pauses {
        Pauses { kills: ProcessKills::new(parent), rng: Rng::with_seed(0), stopped: Duration::ZERO }
    }
}

impl FaultInjector for Pauses {
    fn new_directory(&mut self, mut rng: Rng) -> PathBuf {
        self.rng = rng.fork();
        self.kills.new_directory(rng)
    }

    fn crash(&mut self, server: &mut Server) {
        let stopped = Duration::from_millis(self.rng.u64(STOPPED_MS_MIN..STOPPED_MS_MAX));
        server.send_signal("STOP");
        // The time itself is what is drilled.
        std::thread::sleep(stopped);
        server.send_signal("CONT");
        std::thread::sleep(Duration::from_millis(self.rng.u64(..RESUMED_MS_MAX)));
        self.stopped += stopped;
        self.kills.crash(server);
    }

    fn crash_starting(&mut self, server: &mut Server) {
        self.kills.crash_starting(server);
    }

    fn summary(&self) -> String {
        format!("the process was stopped for {:.0?} in all", self.stopped)
    }
}
