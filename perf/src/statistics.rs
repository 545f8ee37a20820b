//! The spread of repeated measurements, and when two of them differ.

use serde::Serialize;

use crate::limits::{DIFFERENCE_MIN, RESAMPLES};

/// The value below which a share of the sorted values lies; between two of them it is interpolated.
///
/// # Panics
/// If there are none.
#[must_use]
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    low + place.fract() * (high - low)
}

#[must_use]
pub fn median(values: &[f64]) -> f64 {
    quantile(&sorted(values.to_vec()), 0.5)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    pub median: f64,
    pub quarter: f64,
    pub three_quarters: f64,
    pub least: f64,
    pub most: f64,
}

impl Spread {
    #[must_use]
    pub fn of(values: &[f64]) -> Spread {
        let values = sorted(values.to_vec());
        Spread {
            median: quantile(&values, 0.5),
            quarter: quantile(&values, 0.25),
            three_quarters: quantile(&values, 0.75),
            least: values[0],
            most: values[values.len() - 1],
        }
    }
}

/// By how much something grew from one to the other, as a share of the first: 0.05 is five per cent more.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Change {
    pub median: f64,
    /// The interval of 99% that contains it, by bootstrap.
    pub low: f64,
    pub high: f64,
}

impl Change {
    /// Of pairs that were measured one right after the other: the median of the ratios, and how far it moves if the pairs are
    /// drawn again and again from those that there are.
    #[must_use]
    pub fn of(pairs: &[(f64, f64)], seed: u64) -> Change {
        let ratios: Vec<f64> = pairs.iter().map(|(old, new)| new / old).collect();
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut medians: Vec<f64> = (0..RESAMPLES)
            .map(|_| {
                median(&(0..ratios.len()).map(|_| ratios[chance.usize(..ratios.len())]).collect::<Vec<_>>())
            })
            .collect();
        medians.sort_by(f64::total_cmp);
        Change {
            median: median(&ratios) - 1.0,
            low: quantile(&medians, 0.005) - 1.0,
            high: quantile(&medians, 0.995) - 1.0,
        }
    }

    /// The rule: the interval is on one side of zero, and the change is one that this harness can tell from what any two builds of
    /// one source differ by.
    #[must_use]
    pub fn is_difference(&self) -> bool {
        (self.low > 0.0 || self.high < 0.0) && self.median.abs() >= DIFFERENCE_MIN
    }

    /// In words, for something of which more is `more` (dearer, faster).
    #[must_use]
    pub fn words(&self, more: &str, less: &str) -> String {
        let half_width = (self.high - self.low) / 2.0 * 100.0;
        if !self.is_difference() {
            return format!("no difference ({:+.1}% +- {half_width:.1}%)", self.median * 100.0);
        }
        let word = if self.median > 0.0 { more } else { less };
        format!("{word} by {:.1}% +- {half_width:.1}%", self.median.abs() * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Change, Spread, quantile};

    /// Pairs of a cost of 10 with noise of so many per cent, the second one dearer by a factor.
    fn pairs(seed: u64, factor: f64, noise: f64) -> Vec<(f64, f64)> {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut noisy = |value: f64| value * (1.0 + noise * (chance.f64() + chance.f64() - 1.0));
        (0..40).map(|_| (noisy(10.0), noisy(10.0 * factor))).collect()
    }

    #[test]
    fn two_of_the_same_are_hardly_ever_called_different() {
        let called = (0..80).filter(|&seed| Change::of(&pairs(seed, 1.0, 0.08), 1).is_difference()).count();
        assert!(called <= 4, "{called} of 80");
    }

    #[test]
    fn five_per_cent_are_found_in_noise_of_as_much() {
        let found = (0..40).filter(|&seed| {
            let change = Change::of(&pairs(seed, 1.05, 0.05), 1);
            change.is_difference() && change.words("dearer", "cheaper").starts_with("dearer by ")
        });
        assert!(found.count() >= 39);
    }

    #[test]
    fn a_change_that_is_too_small_to_matter_is_none() {
        let change = Change::of(&pairs(1, 1.003, 0.0001), 1);
        assert!(change.low > 0.0 && !change.is_difference(), "{change:?}");
        assert!(change.words("dearer", "cheaper").starts_with("no difference (+0.3%"), "{change:?}");
        let change = Change::of(&pairs(1, 0.9, 0.01), 1);
        assert!(change.words("dearer", "cheaper").starts_with("cheaper by "), "{change:?}");
    }

    #[test]
    fn quantiles_lie_between_values() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!([0.0, 0.5, 1.0, 0.25].map(|share| quantile(&values, share)), [1.0, 3.0, 8.0, 1.75]);
        assert_eq!(Spread::of(&[3.0]).median, 3.0);
    }
}
