//! File descriptors: what the log and the cores need is kept back first, connections share the rest.
//!
//! A log that cannot open its next segment ends the process, so clients must not be able to use its descriptors up.

use net::ConnectionLimits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;

/// Kept back for each core, beside its log's spare segments: its listeners and what polls them (10), rings and events of the network, the
/// disk and other cores (8), the segment that is written and older ones until they are recycled (8), snapshot and directory (4). The
/// rest is to spare.
const KEPT_PER_CORE: u64 = 48;
/// Kept back for the process: standard streams, the directory and its lock, signals, scrapes of metrics, and some to spare.
const KEPT_PER_PROCESS: u64 = 48;
/// With fewer connections than this it is not worth starting.
const CONNECTIONS_MIN: u64 = 16;

#[derive(Debug, Error)]
#[error(
    "{limit} open files are allowed, and {cores} cores need {needed}: raise the limit (ulimit -n), or lower --cores, or \
     --snapshot-log-bytes beside --segment-bytes"
)]
pub(crate) struct TooFewError {
    limit: u64,
    cores: u16,
    needed: u64,
}

/// Raises the limit of open files as far as it goes, and says how many connections may be open. Each log keeps up to `spare_segments`
/// open.
pub(crate) fn for_connections(cores: u16, spare_segments: usize) -> Result<usize, TooFewError> {
    raise();
    share(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), cores, spare_segments as u64)
}

fn raise() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum
        && let Err(error) =
            setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
    {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

fn share(limit: u64, cores: u16, spare_segments: u64) -> Result<usize, TooFewError> {
    let reserve = ConnectionLimits::reserve_descriptors(usize::from(cores)) as u64;
    let kept = KEPT_PER_PROCESS + u64::from(cores) * (KEPT_PER_CORE + spare_segments + reserve);
    match limit.checked_sub(kept) {
        Some(left) if left >= CONNECTIONS_MIN => Ok(usize::try_from(left).unwrap_or(usize::MAX)),
        _ => Err(TooFewError { limit, cores, needed: kept + CONNECTIONS_MIN }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_comes_first_and_too_little_is_refused() {
        // 48 for the process; each core 48, its spare segments, and 64 for its half of the reserve.
        assert_eq!(share(4_096, 2, 10).ok(), Some(4_096 - 48 - 2 * (48 + 10 + 64)));
        assert_eq!(share(1_024, 1, 0).ok(), Some(1_024 - 48 - (48 + 128)));
        assert!(share(u64::MAX, 256, 1_026).is_ok());
        assert!(share(1_024, 1, 1_026).is_err());
        let error = share(256, 4, 10).expect_err("too few").to_string();
        assert!(error.contains("256 open files") && error.contains("4 cores"), "{error}");
        assert!(share(48 + 48 + 128 + 15, 1, 0).is_err() && share(48 + 48 + 128 + 16, 1, 0).is_ok());
    }
}
