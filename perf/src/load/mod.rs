//! The load generator: open loop by Poisson arrivals, or closed loop to find the ceiling.
//!
//! In the open loop a request has the time at which it is meant to be sent, and its latency counts from then. Where all
//! connections wait for the server, arrivals queue up with their times, so a stall of the server shows in every request
//! that would have been sent meanwhile. In the closed loop a request is sent when its connection has the answer before;
//! its latencies say nothing about what users see, and only its throughput is used.
//!
//! | file | subject |
//! |---|---|
//! | `generator.rs` | one thread with its connections |
//! | `connection.rs` | HTTP/1.1 on one socket |
//! | `tally.rs` | what is counted |

mod connection;
mod generator;
mod tally;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

pub use connection::Failure;
pub use tally::{Kind, Tally, histogram};

use crate::limits::{LAG_SHARE_MAX, SETTLE};
use crate::machine;
use crate::workloads::Workload;
use generator::Generator;

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Pace {
    /// So many arrivals a second, all threads together.
    Open(f64),
    Closed,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub address: SocketAddr,
    pub connections: usize,
    /// The processor of each thread; `None` leaves a thread where the system puts it.
    pub threads: Vec<Option<usize>>,
    pub pace: Pace,
    /// Not counted.
    pub warm_up: Duration,
    pub measured: Duration,
    pub seed: u64,
}

/// Runs a plan; `workload` makes the workload of each thread. `at_measured` is called when the warm-up is over and again when the
/// measured time is.
///
/// # Errors
/// If the connections cannot be opened.
///
/// # Panics
/// If a thread of the generator does.
pub fn run(
    plan: &Plan,
    mut workload: impl FnMut(usize) -> Box<dyn Workload>,
    mut at_measured: impl FnMut(),
) -> io::Result<Tally> {
    assert!(
        !plan.threads.is_empty() && plan.connections >= plan.threads.len(),
        "a connection for each thread"
    );
    machine::raise_open_files();
    let generators = (0..plan.threads.len()).map(|index| Generator::open(plan, index, workload(index)));
    let generators = generators.collect::<io::Result<Vec<_>>>()?;
    let begin = Instant::now() + SETTLE;
    let threads: Vec<_> = generators
        .into_iter()
        .zip(&plan.threads)
        .map(|(generator, &cpu)| {
            std::thread::spawn(move || {
                if let Some(cpu) = cpu {
                    machine::pin_thread(cpu);
                }
                generator.run(begin)
            })
        })
        .collect();
    sleep_until(begin + plan.warm_up);
    at_measured();
    sleep_until(begin + plan.warm_up + plan.measured);
    at_measured();
    let mut tally = Tally::default();
    for thread in threads {
        tally.merge(&thread.join().expect("the generator does not panic"));
    }
    Ok(tally)
}

fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// Why a run counts for nothing, in words; `None` for one that is good.
#[must_use]
pub fn why_invalid(lag_p99_ns: u64, latency_p99_ns: u64) -> Option<String> {
    let share = lag_p99_ns as f64 / latency_p99_ns.max(1) as f64;
    (share > LAG_SHARE_MAX).then(|| {
        format!(
            "INVALID: the generator sent late by {:.0} us (p99), {:.0}% of the latency's p99; at most {:.0}% is allowed. \
             Give it more or quieter cores (--generator-cpus)",
            lag_p99_ns as f64 / 1e3,
            share * 100.0,
            LAG_SHARE_MAX * 100.0
        )
    })
}

#[cfg(test)]
mod tests {
    use super::why_invalid;

    #[test]
    fn a_generator_that_lags_makes_a_run_invalid() {
        assert_eq!(why_invalid(0, 0), None);
        assert_eq!(why_invalid(100, 1_000), None);
        let why = why_invalid(101_000, 1_000_000).unwrap();
        assert!(why.starts_with("INVALID") && why.contains("101 us") && why.contains("10%"), "{why}");
        assert!(why_invalid(1, 0).is_some(), "a lag without a latency");
    }
}
