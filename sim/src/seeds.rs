//! Many seeds: on all processors, each by itself, with the counters of all together.

use std::cell::RefCell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once};
use std::thread;

use crate::counters::Counters;
use crate::run::{Choices, Summary, run};

/// A seed that fails, and why.
#[derive(Debug, Clone)]
pub struct Failure {
    pub seed: u64,
    pub reason: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Failure { seed, reason } = self;
        write!(f, "seed {seed} fails: {reason}\nrepeat it with: cargo run -q -p sim -- run {seed} --trace")
    }
}

thread_local! {
    /// The last panic of this thread, with its place.
    static PANICKED: RefCell<Option<String>> = const { RefCell::new(None) };
    static QUIET: RefCell<bool> = const { RefCell::new(false) };
}

/// Panics of runs are kept, not printed.
fn keep_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.with_borrow(|quiet| *quiet) {
                PANICKED.set(Some(info.to_string()));
            } else {
                before(info);
            }
        }));
    });
}

/// Runs one seed; a panic is its failure.
///
/// # Errors
/// The failure, in words.
pub fn attempt(seed: u64, choices: Choices) -> Result<Summary, Failure> {
    keep_panics();
    QUIET.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(|| run(seed, choices)));
    QUIET.set(false);
    outcome.map_err(|_| {
        let reason = PANICKED.take().unwrap_or_else(|| "a panic without words".to_owned());
        Failure { seed, reason }
    })
}

/// The outcome of a range of seeds.
#[derive(Debug, Default)]
pub struct Sum {
    pub seeds: u64,
    pub counters: Counters,
    pub failures: Vec<Failure>,
}

/// Runs the seeds on so many threads; stops soon after so many failures.
#[must_use]
pub fn run_all(seeds: Range<u64>, threads: usize, failures_max: usize, choices: Choices) -> Sum {
    let next = AtomicU64::new(seeds.start);
    let sum = Mutex::new(Sum::default());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = attempt(seed, choices);
                    let mut sum = sum.lock().expect("no run panics with the lock");
                    sum.seeds += 1;
                    match outcome {
                        Ok(summary) => sum.counters.merge(&summary.counters),
                        Err(failure) => sum.failures.push(failure),
                    }
                    if sum.failures.len() >= failures_max {
                        next.store(seeds.end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut sum = sum.into_inner().expect("no run panics with the lock");
    sum.failures.sort_by_key(|failure| failure.seed);
    sum
}

/// Threads that this machine runs at a time.
#[must_use]
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
