//! Drills: they start the built binary, load it over HTTP, hurt it, and audit every answer that it ever gave.
//!
//! Nothing here links the engine's code, and nothing in the engine knows of a drill: kill points are found by watching
//! the data directory from outside. The black-box tests of the server use the same client and the same audit.
//!
//! | drill | what it does to the server | where |
//! |---|---|---|
//! | kill | SIGKILL under load, while it stops, and while it starts | [`crash`] |
//! | power | the same, and any part of what was not synced is lost | [`power`] |
//! | fault | a log write or a sync fails first | [`power`] |
//! | full | the disk fills up, and has room again | [`full`] |
//! | pause | the process is stopped for longer than its holds last | [`pause`] |
//! | bridge | its read model is locked, full or behind while the server is killed; HTTP and SQLite must agree | [`bridge`] |
//! | outage | MySQL, Redis and Kafka each go away while it sells; everything arrives once | [`outage`] |
//! | alerts | its read model is locked, its clock is days ahead; Prometheus sounds four alerts | [`alerts`] |
//! | clock | its wall clock jumps back and forward | [`clock`] |
//!
//! power, fault and full mount by FUSE and need root or `fusermount3`; bridge fills a disk only where it may mount one (root); clock and alerts
//! need libfaketime, alerts needs Prometheus.
//!
//! A drill that finds something panics with what it found. The command then prints one line that repeats the run from the
//! same seed: the choices are the same, the timing is the machine's. The data directory is kept.

pub mod alerts;
pub mod bridge;
pub mod chance;
pub mod clock;
pub mod crash;
pub mod full;
pub mod http;
pub mod outage;
pub mod pause;
pub mod power;
pub mod process;
pub mod services;
pub mod session;
pub mod time;

pub use chance::Rng;
pub use http::{Conn, Response};
pub use process::{Launch, Server};
pub use session::{Port, Session};

use std::time::{Duration, Instant};

/// The limit on every wait for a condition. A healthy server meets each at once; only a broken one reaches it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Polls until `condition` gives a value.
///
/// # Panics
/// When [`DEADLINE`] has passed, with what was waited for.
#[track_caller]
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
