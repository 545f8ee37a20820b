//! What a drill's data lies on, and so what a crash is: on a real disk the death of the process, on the file system
//! of `power` the loss of what was not synced as well.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Server;

pub trait Ground {
    /// An empty place for a data directory, instead of the one before. `first` is the cycle that it begins with: what
    /// chance does from here on depends on it and on the seed alone.
    fn fresh(&mut self, first: u64) -> PathBuf;

    /// Ends a server under load at once, the way that this ground does it; the next start finds what is left.
    fn crash(&mut self, server: &mut Server);

    /// The same of a server that is starting.
    fn crash_starting(&mut self, server: &mut Server);
}

/// A directory on whatever disk it is on: `kill -9`, and the page cache lives on.
#[derive(Debug)]
pub struct RealDisk {
    parent: PathBuf,
    made: u32,
}

impl RealDisk {
    #[must_use]
    pub fn new(parent: &Path) -> RealDisk {
        RealDisk { parent: parent.to_owned(), made: 0 }
    }

    fn current(&self) -> PathBuf {
        self.parent.join(format!("data-{}", self.made))
    }
}

impl Ground for RealDisk {
    fn fresh(&mut self, _: u64) -> PathBuf {
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
}
