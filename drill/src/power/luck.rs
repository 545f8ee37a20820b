//! How much of what was not synced a power cut leaves: now nothing, now all, mostly some.

use crate::{Rng, chance};

#[derive(Clone, Debug)]
pub struct Luck {
    rng: Rng,
    /// In a hundred.
    keeps: u64,
    /// Names come back as the journal of a file system brings them: up to some operation, and none after it.
    pub in_order: bool,
    pub kept: u64,
    pub lost: u64,
}

impl Luck {
    #[must_use]
    pub fn of_cut(rng: &mut Rng) -> Luck {
        let keeps = match rng.u64(..10) {
            0 => 0,
            1 => 100,
            2 | 3 => 50,
            _ => rng.u64(..101),
        };
        Luck { keeps, in_order: rng.bool(), rng: rng.fork(), kept: 0, lost: 0 }
    }

    /// The same in each case: for tests.
    #[must_use]
    pub fn certain(keeps: u64) -> Luck {
        Luck { rng: Rng::with_seed(0), keeps, in_order: false, kept: 0, lost: 0 }
    }

    pub fn keeps(&mut self) -> bool {
        let keeps = self.rng.u64(..100) < self.keeps;
        if keeps {
            self.kept += 1;
        } else {
            self.lost += 1;
        }
        keeps
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        chance::pick(&mut self.rng, from)
    }
}
