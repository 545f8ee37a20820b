//! Arrivals of an open loop: when requests are meant to be sent, whether or not anybody has answered the ones before.

/// Poisson arrivals: the gaps are exponential, and a seed means the same gaps for ever.
#[derive(Debug)]
pub struct Arrivals {
    chance: fastrand::Rng,
    mean_gap_ns: f64,
    next_ns: f64,
}

impl Arrivals {
    /// Arrivals from time 0 on, so many a second on average.
    ///
    /// # Panics
    /// If the rate is not positive.
    #[must_use]
    pub fn new(per_second: f64, seed: u64) -> Arrivals {
        assert!(per_second > 0.0, "an open loop needs a rate");
        let mut arrivals =
            Arrivals { chance: fastrand::Rng::with_seed(seed), mean_gap_ns: 1e9 / per_second, next_ns: 0.0 };
        arrivals.step();
        arrivals
    }

    /// The next arrival, in nanoseconds.
    #[must_use]
    pub fn peek(&self) -> u64 {
        self.next_ns as u64
    }

    /// Takes the next arrival where it is not after `until_ns`.
    pub fn take_until(&mut self, until_ns: u64) -> Option<u64> {
        let next = self.peek();
        (next <= until_ns).then(|| {
            self.step();
            next
        })
    }

    fn step(&mut self) {
        // `f64` gives [0, 1); the logarithm needs (0, 1].
        self.next_ns -= (1.0 - self.chance.f64()).ln() * self.mean_gap_ns;
    }
}

#[cfg(test)]
mod tests {
    use super::Arrivals;

    fn gaps(seed: u64, per_second: f64, count: usize) -> Vec<f64> {
        let mut arrivals = Arrivals::new(per_second, seed);
        let times: Vec<u64> = (0..count).map(|_| arrivals.take_until(u64::MAX).unwrap()).collect();
        times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect()
    }

    /// The mean of n exponential gaps is within 4 / sqrt(n) of the true one, but for one seed of 16,000; and an exponential
    /// gap is longer than its mean in 1 of e cases, which evenly spaced arrivals are not.
    #[test]
    fn poisson_arrivals_have_the_asked_mean_and_spread() {
        for seed in 0..10 {
            let gaps = gaps(seed, 50_000.0, 40_000);
            let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
            assert!((mean / 20_000.0 - 1.0).abs() < 0.02, "seed {seed}: mean gap {mean} ns");
            let long = gaps.iter().filter(|gap| **gap > 20_000.0).count() as f64 / gaps.len() as f64;
            assert!((long - (-1.0f64).exp()).abs() < 0.01, "seed {seed}: {long} of the gaps are long");
        }
    }

    #[test]
    fn a_seed_means_the_same_arrivals() {
        assert_eq!(gaps(7, 1_000.0, 100), gaps(7, 1_000.0, 100));
        assert_ne!(gaps(7, 1_000.0, 100), gaps(8, 1_000.0, 100));
    }

    #[test]
    fn an_arrival_is_taken_when_its_time_has_come() {
        let mut arrivals = Arrivals::new(1_000.0, 1);
        let first = arrivals.peek();
        assert_eq!(arrivals.take_until(first - 1), None);
        assert_eq!(arrivals.take_until(first), Some(first));
        assert!(arrivals.peek() >= first);
    }
}
