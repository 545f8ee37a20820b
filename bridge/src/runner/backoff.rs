//! Pauses after errors: each about twice as long as the one before, up to a limit.

use std::time::Duration;

/// The first pause is at most so long.
pub const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// No pause is longer.
pub const BACKOFF_MAX: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Backoff {
    ceiling: Duration,
    random: fastrand::Rng,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Backoff {
        Backoff { ceiling: BACKOFF_MIN, random: fastrand::Rng::with_seed(seed) }
    }

    pub(crate) fn reset(&mut self) {
        self.ceiling = BACKOFF_MIN;
    }

    /// Between half the ceiling and the ceiling, so that sinks that went down together do not come back together.
    pub(crate) fn next(&mut self) -> Duration {
        let pause = self.ceiling.mul_f64(0.5 + self.random.f64() / 2.0);
        self.ceiling = (self.ceiling * 2).min(BACKOFF_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_limit() {
        let mut backoff = Backoff::new(1);
        let mut ceiling = BACKOFF_MIN;
        for _ in 0..20 {
            let pause = backoff.next();
            assert!((ceiling / 2..=ceiling).contains(&pause), "{pause:?} {ceiling:?}");
            ceiling = (ceiling * 2).min(BACKOFF_MAX);
        }
        assert_eq!(ceiling, BACKOFF_MAX);
        backoff.reset();
        assert!(backoff.next() <= BACKOFF_MIN);
    }
}
