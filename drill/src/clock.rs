//! The wall clock jumps inside the server's view, back and forward, while it sells; then it is killed, and starts again
//! under a clock that has jumped.
//!
//! The clock is that of libfaketime, which answers for the C library's real-time clock and leaves the clocks that
//! cannot jump alone. The deadlines of an answer are then in the server's time; so of seats the audit believes those
//! that were sold, and of deadlines that they come: nothing stays held, no order is stuck, sales go on, and no time in
//! an order goes back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::crash::ground::{Ground, RealDisk};
use crate::{Launch, Port, Rng, Server, chance, time, until};

/// Where Debian has it.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];
/// Jumps in seconds, from what the clock of the machine says. All of them lie within a day: an order that is not reserved
/// is given up after one, and that is no loss.
const JUMPS: [i64; 9] = [-43_200, -3_600, -60, -2, 0, 2, 60, 3_600, 7_200];
const GOES_ON_MS: u64 = 500;
/// A hold of a second lasts for at least this time: the server's time gains a fiftieth at the most.
const HOLD_MIN: Duration = Duration::from_millis(980);

#[derive(Debug)]
pub struct Jumps {
    disk: RealDisk,
    control: PathBuf,
    seed: u64,
    rng: Rng,
    pub jumps: u64,
    /// Holds that were made before a jump and ended after it, when they should.
    pub lasted: u64,
}

impl Jumps {
    /// `launch` with a clock that can jump.
    ///
    /// # Panics
    /// When there is no libfaketime.
    #[must_use]
    pub fn new(launch: Launch, parent: &Path, seed: u64) -> (Jumps, Launch) {
        let library = LIBRARIES.iter().find(|path| Path::new(path).exists());
        let library = library.expect("libfaketime is installed (Debian: apt install libfaketime)");
        let control = std::path::absolute(parent).expect("a path").join("clock");
        fs::write(&control, "+0\n").expect("a file for the clock");
        let launch = launch
            .env("LD_PRELOAD", library)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_TIMESTAMP_FILE", &control.display().to_string());
        time::server_clock_may_jump();
        (
            Jumps {
                disk: RealDisk::new(parent),
                control,
                seed,
                rng: Rng::with_seed(seed),
                jumps: 0,
                lasted: 0,
            },
            launch,
        )
    }

    /// A hold that is made before a jump lasts as long as any other, and ends.
    fn jump_over_a_hold(&mut self, server: &Server) {
        let mut session = server.session();
        let hold = json!({"partition_key": "clock", "hold_id": format!("jump-{}", self.jumps), "qty": 1, "capacity": 9_999});
        // 409: it has ended, before its first answer if that was late. `None` where the server was asked to stop and is gone.
        let mut ask = |status: u16| {
            until("a hold to be made, or to end", || {
                let body = hold.to_string();
                match session.try_call(
                    Port::Inventory,
                    "POST",
                    "/inventory/try-hold",
                    &[],
                    Some(body.as_bytes()),
                ) {
                    Ok(answer) => [status, 409].contains(&answer.status).then_some(Some(answer.status)),
                    Err(_) => Some(None),
                }
            })
        };
        let sent = Instant::now();
        let made = ask(200);
        self.jump();
        if made == Some(200) && ask(409).is_some() {
            let lasted = sent.elapsed();
            assert!(
                lasted >= HOLD_MIN,
                "a hold of a second ended after {lasted:?}, when the clock had jumped"
            );
            self.lasted += 1;
        }
    }

    fn jump(&mut self) {
        let to = *chance::pick(&mut self.rng, &JUMPS);
        // Renamed into place, so that nobody reads half of it.
        let new = self.control.with_extension("new");
        fs::write(&new, format!("{to:+}\n"))
            .and_then(|()| fs::rename(&new, &self.control))
            .expect("a clock that jumps");
        self.jumps += 1;
    }
}

impl Ground for Jumps {
    fn fresh(&mut self, first: u64) -> PathBuf {
        self.rng = chance::of_part(!self.seed, first);
        self.disk.fresh(first)
    }

    fn crash(&mut self, server: &mut Server) {
        for _ in 0..2 {
            self.jump_over_a_hold(server);
        }
        std::thread::sleep(Duration::from_millis(self.rng.u64(..GOES_ON_MS)));
        self.disk.crash(server);
        if self.rng.bool() {
            self.jump();
        }
    }

    fn crash_starting(&mut self, server: &mut Server) {
        self.disk.crash_starting(server);
        if self.rng.bool() {
            self.jump();
        }
    }
}
