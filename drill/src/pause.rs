//! The server stands still for longer than its holds last (SIGSTOP), goes on (SIGCONT), and is killed a moment later.
//!
//! What was under way when it stopped is answered when it goes on: by then holds have expired, and a payment is a
//! ticket or a refund owed. The audit is that of every crash.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::crash::ground::{Ground, RealDisk};
use crate::{Rng, Server, chance};

/// Holds last a second in a drill.
const STANDS_MS_MIN: u64 = 1_100;
const STANDS_MS_MORE: u64 = 1_500;
const GOES_ON_MS: u64 = 600;

#[derive(Debug)]
pub struct Pauses {
    disk: RealDisk,
    seed: u64,
    rng: Rng,
    pub stood: Duration,
}

impl Pauses {
    #[must_use]
    pub fn new(parent: &Path, seed: u64) -> Pauses {
        Pauses { disk: RealDisk::new(parent), seed, rng: Rng::with_seed(seed), stood: Duration::ZERO }
    }
}

impl Ground for Pauses {
    fn fresh(&mut self, first: u64) -> PathBuf {
        self.rng = chance::of_part(!self.seed, first);
        self.disk.fresh(first)
    }

    fn crash(&mut self, server: &mut Server) {
        let stands = Duration::from_millis(STANDS_MS_MIN + self.rng.u64(..STANDS_MS_MORE));
        server.send_signal("STOP");
        // The time itself is what is drilled.
        std::thread::sleep(stands);
        server.send_signal("CONT");
        std::thread::sleep(Duration::from_millis(self.rng.u64(..GOES_ON_MS)));
        self.stood += stands;
        self.disk.crash(server);
    }

    fn crash_starting(&mut self, server: &mut Server) {
        self.disk.crash_starting(server);
    }
}
