//! The two clocks that engine time is made of.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};
use shard::Clocks;

/// Both clocks, as they are now.
pub(crate) fn read() -> Clocks {
    let wall_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
    let steady = clock_gettime(ClockId::Boottime);
    Clocks { wall_ms, steady_us: steady.tv_sec as u64 * 1_000_000 + steady.tv_nsec as u64 / 1_000 }
}
