//! The chances of one seed: the project's seeded generator, with the draws that a simulator needs.

/// A generator. Equal seeds give equal numbers, on every machine, as long as the generator's version is pinned.
#[derive(Debug, Clone)]
pub(crate) struct Rng(fastrand::Rng);

impl Rng {
    #[must_use]
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(fastrand::Rng::with_seed(seed))
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.u64(..)
    }

    /// A number below `end`.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0.usize(..end)
    }

    /// A number from `from` up to `to`, both included.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        self.0.u64(from..=to)
    }

    /// True in so many of a hundred cases.
    pub(crate) fn percent(&mut self, percent: u32) -> bool {
        self.below(100) < percent as usize
    }

    /// One of them.
    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }

    /// One of them, each as often as its weight says.
    pub(crate) fn weighted<T: Copy>(&mut self, of: &[(u32, T)]) -> T {
        let sum: u32 = of.iter().map(|(weight, _)| weight).sum();
        let mut at = self.below(sum as usize) as u32;
        for (weight, one) in of {
            if at < *weight {
                return *one;
            }
            at -= weight;
        }
        unreachable!("a number below the sum of weights")
    }

    pub(crate) fn wide(&mut self) -> u128 {
        self.0.u128(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another generator would make every seed another run. This one is wyrand by Wang Yi.
    #[test]
    fn numbers_stay_what_they_are() {
        let (mut rng, mut state) = (Rng::new(1), 1_u64);
        for _ in 0..3 {
            state = state.wrapping_add(0x2d35_8dcc_aa6c_78a5);
            let product = u128::from(state) * u128::from(state ^ 0x8bb8_4b93_962e_acc9);
            assert_eq!(rng.number(), product as u64 ^ (product >> 64) as u64);
        }
    }

    #[test]
    fn a_weight_of_nothing_is_never_picked() {
        let mut rng = Rng::new(7);
        assert!((0..100).all(|_| rng.weighted(&[(0, 1), (3, 2)]) == 2));
    }
}
