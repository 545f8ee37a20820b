//! Figures that the server itself keeps, read from its `/metrics`.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use drill::session::Port;

use crate::target::Target;

/// The longest wait for the sinks to have everything.
const CATCH_UP_MAX: Duration = Duration::from_secs(600);
const BUCKETS: &str = "http_request_duration_seconds_bucket{";
const BACKLOG: &str = "interlock_sink_backlog_records{";

/// One scrape of the gateway.
#[derive(Debug)]
pub struct Scrape(String);

impl Scrape {
    /// `None` where the target keeps no such figures.
    #[must_use]
    pub fn of(target: &Target) -> Option<Scrape> {
        let mut session = target.interlock_session()?;
        Some(Scrape(session.get(Port::Gateway, "/metrics").text()))
    }

    /// Answers of all routes by the upper bound of their bucket in microseconds, as counts of what is at most so long.
    fn durations(&self) -> BTreeMap<u64, u64> {
        let mut below = BTreeMap::new();
        for line in self.0.lines().filter_map(|line| line.strip_prefix(BUCKETS)) {
            let read = || {
                let (labels, count) = line.rsplit_once("} ")?;
                let (_, bound) = labels.rsplit_once("le=\"")?;
                let bound: f64 = bound.trim_end_matches('"').replace("+Inf", "inf").parse().ok()?;
                Some(((bound * 1e6) as u64, count.parse::<u64>().ok()?))
            };
            if let Some((bound, count)) = read() {
                *below.entry(bound).or_default() += count;
            }
        }
        below
    }

    /// The p99 of what was answered between an earlier scrape and this one, in microseconds. Between the bounds of a bucket it is
    /// interpolated, as Prometheus does it.
    #[must_use]
    pub fn p99_us_since(&self, before: &Scrape) -> f64 {
        let earlier = before.durations();
        let below = self.durations().into_iter();
        let counts = below
            .map(|(bound, count)| (bound, count.saturating_sub(earlier.get(&bound).copied().unwrap_or(0))));
        quantile(&counts.collect::<Vec<_>>(), 0.99)
    }

    /// Records that the sink that is furthest behind has not got.
    #[must_use]
    pub fn backlog(&self) -> u64 {
        let of_sinks = self.0.lines().filter_map(|line| line.strip_prefix(BACKLOG));
        of_sinks.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).max().unwrap_or(0)
    }
}

/// Of cumulative counts by upper bound; the last bound is infinite, and what is above the one before it counts as that.
fn quantile(counts: &[(u64, u64)], share: f64) -> f64 {
    let rank = share * counts.last().map_or(0, |(_, all)| *all) as f64;
    let (mut lower, mut below) = (0, 0);
    for (bound, count) in counts {
        if *count as f64 >= rank && count > &below && *bound < u64::MAX {
            let share = (rank - below as f64) / (count - below) as f64;
            return lower as f64 + share * (bound - lower) as f64;
        }
        if *bound < u64::MAX {
            (lower, below) = (*bound, *count);
        }
    }
    lower as f64
}

/// Records that a sink has not got; 0 where the target has none.
#[must_use]
pub fn backlog(target: &Target) -> u64 {
    Scrape::of(target).map_or(0, |scrape| scrape.backlog())
}

/// Waits until the sinks have everything.
///
/// # Errors
/// If they never do.
pub fn catch_up(target: &Target) -> io::Result<()> {
    let started = Instant::now();
    while backlog(target) > 0 {
        if started.elapsed() > CATCH_UP_MAX {
            return Err(io::Error::other("the sinks never have everything"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "\
http_request_duration_seconds_bucket{route=\"/a\",status=\"200\",le=\"0.001\"} 10
http_request_duration_seconds_bucket{route=\"/a\",status=\"200\",le=\"0.0025\"} 10
http_request_duration_seconds_bucket{route=\"/a\",status=\"200\",le=\"+Inf\"} 10
";
    const AFTER: &str = "\
http_request_duration_seconds_bucket{route=\"/a\",status=\"200\",le=\"0.001\"} 60
http_request_duration_seconds_bucket{route=\"/a\",status=\"200\",le=\"0.0025\"} 100
http_request_duration_seconds_bucket{route=\"/a\",status=\"200\",le=\"+Inf\"} 100
http_request_duration_seconds_bucket{route=\"/b\",status=\"200\",le=\"0.001\"} 0
http_request_duration_seconds_bucket{route=\"/b\",status=\"200\",le=\"0.0025\"} 10
http_request_duration_seconds_bucket{route=\"/b\",status=\"200\",le=\"+Inf\"} 10
interlock_sink_backlog_records{sink=\"mysql\"} 7
interlock_sink_backlog_records{sink=\"read-model\"} 40
";

    #[test]
    fn the_p99_is_of_what_was_answered_meanwhile_on_all_routes() {
        let (before, after) = (Scrape(BEFORE.to_owned()), Scrape(AFTER.to_owned()));
        // 100 answers: 50 up to 1 ms, 50 more up to 2.5 ms; the 99th is 49/50 of the way.
        assert_eq!(after.p99_us_since(&before), 1_000.0 + 1_500.0 * 49.0 / 50.0);
        assert_eq!(after.backlog(), 40);
    }

    #[test]
    fn what_is_above_all_bounds_counts_as_the_last_one() {
        assert_eq!(quantile(&[(1_000, 0), (u64::MAX, 5)], 0.99), 1_000.0);
        assert_eq!(quantile(&[(1_000, 0), (2_000, 100), (u64::MAX, 100)], 0.5), 1_500.0);
        assert_eq!(quantile(&[], 0.5), 0.0);
    }
}
