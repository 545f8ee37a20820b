//! The kinds of crash, as an interface (a fault injector; Jepsen calls it a nemesis).

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Rng, Server};

/// Ends servers, each implementation in its own way, and owns the storage that their data lies on.
///
/// For each life of a data directory [`FaultInjector::new_directory`] comes first. Then every server on that directory
/// is ended by one of the two crashes, and the next start finds what the crash leaves.
pub trait FaultInjector {
    /// An empty place for a data directory; the one before it goes. All that is random about the crashes from here on
    /// comes from `rng`.
    fn new_directory(&mut self, rng: Rng) -> PathBuf;

    /// Ends a server under load. The process is dead when this returns.
    fn crash(&mut self, server: &mut Server);

    /// The same for a server that is starting.
    fn crash_starting(&mut self, server: &mut Server);

    /// Its doings beyond the crashes that the drill counts itself, for the report.
    fn summary(&self) -> String;
}

/// `kill -9` on a directory of the real disk: the page cache survives.
#[derive(Debug)]
pub struct ProcessKills {
    parent: PathBuf,
    made: u32,
}

impl ProcessKills {
    #[must_use]
    pub fn new(parent: &Path) -> ProcessKills {
        ProcessKills { parent: parent.to_owned(), made: 0 }
    }

    fn current(&self) -> PathBuf {
        self.parent.join(format!("data-{}", self.made))
    }
}

impl FaultInjector for ProcessKills {
    fn new_directory(&mut self, _: Rng) -> PathBuf {
        if self.made > 0 {
            fs::remove_dir_all(self.current()).expect("the audited directory can go");
        }
        self.made += 1;
        self.current()
    }

    fn crash(&mut self, server: &mut Server) {
        server.kill_now();
    }

    fn crash_starting(&mut self, server: &mut Server) {
        server.kill_now();
    }

    fn summary(&self) -> String {
        format!("data directories: {}", self.made)
    }
}
