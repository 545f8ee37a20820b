//! Every bound of the measurements, by name.

use std::time::Duration;

/// The generator may send a request so much later than it meant to, as a share of the latency at the same percentile (p99);
/// beyond, the latency says more about the generator than about the server, and the run is invalid.
pub const LAG_SHARE_MAX: f64 = 0.10;
/// The generator must be able to send so many times what the server can answer, both on one core.
pub const HEADROOM_MIN: f64 = 1.3;
/// Between the last connection that was opened and the first request.
pub const SETTLE: Duration = Duration::from_millis(20);
/// For answers to come in after the last arrival; a request beyond it counts as an error and with the time that it has waited.
pub const DRAIN: Duration = Duration::from_secs(10);
/// The largest latency that a histogram tells from a longer one, in nanoseconds.
pub const LATENCY_NS_MAX: u64 = 600_000_000_000;
/// Significant decimal digits of a histogram.
pub const DIGITS: u8 = 3;
/// Bytes of an answer; a longer one is an error.
pub const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Headers of an answer.
pub const HEADERS_MAX: usize = 32;
/// Events taken from the kernel at a time: few, so that whatever is due is sent in between.
pub const EVENTS: usize = 64;
/// With less than this until the next arrival a generator thread does not sleep: waking up takes longer.
pub const SPIN: Duration = Duration::from_micros(10);
/// The longest that it sleeps without a look at whether all is done.
pub const SLEEP_MAX: Duration = Duration::from_millis(10);
/// Timer slack, by which the kernel may wake a generator thread late; by default it may be 50 us.
pub const TIMER_SLACK_NS: u64 = 1;
/// Reads of an order until its ticket is there; one that has none by then is an error.
pub const LOOKS_MAX: u32 = 1_000;
/// For a server to be ready.
pub const START_MAX: Duration = Duration::from_secs(20);
/// Differences below this are called none, however sure they are: two builds of one source differ by as much.
pub const DIFFERENCE_MIN: f64 = 0.01;
/// Draws of the bootstrap.
pub const RESAMPLES: usize = 2_000;
/// Growth of instructions for each operation beyond which a test fails.
pub const INSTRUCTIONS_GROWTH_MAX: f64 = 0.03;
/// Sizes of batches of the pipeline.
pub const BATCHES: [usize; 8] = [1, 4, 16, 64, 256, 1_024, 4_096, 8_192];
/// Wishes drawn before the clock runs; a multiple of the largest batch.
pub const DRAWN_AHEAD: usize = 2 * 8_192;
/// Partitions that the pipeline opens with one write, before it measures.
pub const OPENED_TOGETHER: usize = 1_024;

const _: () = assert!(DRAWN_AHEAD.is_multiple_of(BATCHES[BATCHES.len() - 1]));
