//! What the black-box tests share: the server as a process, an HTTP client that can also send raw bytes, the
//! contract's calls by name, time and chance. Nothing here links the engine's code.

pub(crate) mod feed;
pub(crate) mod http;
pub(crate) mod process;
pub(crate) mod session;
pub(crate) mod time;

pub(crate) use http::{Conn, Response};
pub(crate) use process::{Launch, Server};
pub(crate) use session::{Port, Session};

use std::time::{Duration, Instant};

/// How long a condition may take to come true. Generous: it is met at once on a healthy server, and only a broken
/// one waits for it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Polls until `condition` gives a value.
///
/// Panics when [`DEADLINE`] has passed, with what was waited for.
pub(crate) fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(started.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Small seeded chance (splitmix64): the same seed makes the same choices on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }
}

/// Runs `work(0)` to `work(count - 1)` at the same time and gives the results in that order.
pub(crate) fn together<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let gate = std::sync::Barrier::new(count);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..count)
            .map(|i| {
                let (gate, work) = (&gate, &work);
                scope.spawn(move || {
                    gate.wait();
                    work(i)
                })
            })
            .collect();
        handles.into_iter().map(|h| h.join().unwrap_or_else(|e| std::panic::resume_unwind(e))).collect()
    })
}
