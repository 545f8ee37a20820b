//! Randomness of one seed: xoshiro256** filled by splitmix64, both by Blackman and Vigna. Its own code, so that a seed means
//! the same run for as long as the simulator does.

/// A generator. Equal seeds give equal numbers, on every machine and for ever.
#[derive(Debug, Clone)]
pub(crate) struct Rng([u64; 4]);

impl Rng {
    #[must_use]
    pub(crate) fn new(seed: u64) -> Rng {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        Rng([next(), next(), next(), next()])
    }

    pub(crate) fn number(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// A number below `end`.
    ///
    /// # Panics
    /// When there is none.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        assert!(end > 0, "no number is below 0");
        ((u128::from(self.number()) * end as u128) >> 64) as usize
    }

    /// A number from `from` up to `to`, both included.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below((to - from + 1) as usize) as u64
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
        u128::from(self.number()) << 64 | u128::from(self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_what_they_are() {
        // splitmix64's first numbers for 0 are published with the algorithm.
        let Rng(state) = Rng::new(0);
        assert_eq!(state[0], 0xe220_a839_7b1d_cdaf);
        assert_eq!(state[1], 0x6e78_9e6a_a1b9_65f4);
        // The first output follows from the second word: rotl(s1 * 5, 7) * 9.
        let expected = state[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        assert_eq!(Rng::new(0).number(), expected);
    }

    #[test]
    fn picks_reach_every_end() {
        let mut rng = Rng::new(7);
        let seen: std::collections::BTreeSet<u64> = (0..500).map(|_| rng.between(3, 5)).collect();
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
        assert!((0..100).all(|_| rng.weighted(&[(0, 1), (3, 2)]) == 2));
    }
}
