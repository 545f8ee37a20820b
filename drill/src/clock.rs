//! The wall clock jumps inside the server's view, back and forward, while it sells. Then it is killed, and starts again
//! under a clock that has jumped.
//!
//! The clock is libfaketime's, which answers for the C library's real-time clock and leaves the clocks that cannot jump
//! alone. Deadlines in answers are then in the server's time and not in ours. So of seats the audit believes those that
//! were sold, and of deadlines that they come: nothing stays held, no order is stuck, sales go on, and no time in an order
//! goes back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::crash::fault_injector::{FaultInjector, ProcessKills};
use crate::{Launch, Port, Rng, Server, chance, time, until};

/// Debian's paths.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
/// Offsets in seconds from the machine's clock. They lie within a day, after which an order that is not reserved is given
/// up, rightly.
const OFFSETS: [i64; 9] = [-43_200, -3_600, -60, -2, 0, 2, 60, 3_600, 7_200];
const GOES_ON_MS: u64 = 500;
/// The least that a hold of a second may last: the server's time gains a fiftieth at most.
const HOLD_MIN: Duration = Duration::from_millis(980);

/// The launch of a server whose wall clock is wrong by so many seconds; `None` where there is no libfaketime.
#[must_use]
pub fn with_wrong_clock(launch: Launch, offset_secs: i64) -> Option<Launch> {
    Some(faked(launch)?.env("FAKETIME", &format!("{offset_secs:+}")))
}

fn faked(launch: Launch) -> Option<Launch> {
    let library = LIBRARIES.iter().find(|path| Path::new(path).exists())?;
    Some(launch.env("LD_PRELOAD", library).env("FAKETIME_DONT_FAKE_MONOTONIC", "1"))
}

/// First [`ClockJumps::under_its_clock`], for the server's launch; then it is a fault injector.
#[derive(Debug)]
pub struct ClockJumps {
    kills: ProcessKills,
    /// The file from which libfaketime reads its offset.
    control: PathBuf,
    rng: Rng,
    jumps: u64,
    /// Holds that were made before a jump and ended after it, when they should.
    holds: u64,
}

impl ClockJumps {
    #[must_use]
    pub fn new(parent: &Path) -> ClockJumps {
        let control = std::path::absolute(parent).expect("a path").join("clock");
        fs::write(&control, "+0\n").expect("a file for the clock");
        let kills = ProcessKills::new(parent);
        ClockJumps { kills, control, rng: Rng::with_seed(0), jumps: 0, holds: 0 }
    }

    /// The launch of a server whose clock this one moves.
    ///
    /// # Panics
    /// When there is no libfaketime.
    #[must_use]
    pub fn under_its_clock(&self, launch: Launch) -> Launch {
        let launch = faked(launch).expect("libfaketime is installed (Debian: apt install libfaketime)");
        time::server_clock_may_jump();
        launch
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_TIMESTAMP_FILE", &self.control.display().to_string())
    }

    /// A hold that is made before a jump lasts as long as any other, and ends.
    fn jump_over_a_hold(&mut self, server: &Server) {
        let mut session = server.session();
        let hold = format!("jump-{}", self.jumps);
        let body =
            json!({"partition_key": "clock", "hold_id": hold, "qty": 1, "capacity": 9_999}).to_string();
        // `None` where the server was asked to stop and is gone.
        let mut try_hold_until = |status: u16| {
            until("a hold to be made, or to end", || {
                let path = "/inventory/try-hold";
                match session.try_call(Port::Inventory, "POST", path, &[], Some(body.as_bytes())) {
                    // 409: it has ended, perhaps before its first answer.
                    Ok(answer) => [status, 409].contains(&answer.status).then_some(Some(answer.status)),
                    Err(_) => Some(None),
                }
            })
        };
        let sent = Instant::now();
        let made = try_hold_until(200);
        self.jump();
        if made == Some(200) && try_hold_until(409).is_some() {
            let lasted = sent.elapsed();
            assert!(lasted >= HOLD_MIN, "the clock jumped, and a hold of a second ended after {lasted:?}");
            self.holds += 1;
        }
    }

    fn jump(&mut self) {
        let offset = *chance::pick(&mut self.rng, &OFFSETS);
        // Renamed into place, so that nobody reads half of it.
        let new = self.control.with_extension("new");
        fs::write(&new, format!("{offset:+}\n"))
            .and_then(|()| fs::rename(&new, &self.control))
            .expect("a clock that jumps");
        self.jumps += 1;
    }
}

impl FaultInjector for ClockJumps {
    fn new_directory(&mut self, mut rng: Rng) -> PathBuf {
        self.rng = rng.fork();
        self.kills.new_directory(rng)
    }

    fn crash(&mut self, server: &mut Server) {
        for _ in 0..2 {
            self.jump_over_a_hold(server);
        }
        std::thread::sleep(Duration::from_millis(self.rng.u64(..GOES_ON_MS)));
        self.crash_starting(server);
    }

    fn crash_starting(&mut self, server: &mut Server) {
        self.kills.crash_starting(server);
        if self.rng.bool() {
            self.jump();
        }
    }

    fn summary(&self) -> String {
        format!(
            "{} jumps of the wall clock; {} holds lasted over one as long as they should",
            self.jumps, self.holds
        )
    }
}
