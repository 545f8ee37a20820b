//! The part of what was not synced that survives a power cut: now none, now all, mostly some.

use crate::{Rng, chance};

/// Decides for each unsynced sector, size and name whether it survives, and counts.
#[derive(Clone, Debug)]
pub struct Survival {
    rng: Rng,
    percent: u64,
    /// Names survive as the journal of a file system keeps them: all changes up to one, and none after it.
    pub in_order: bool,
    pub kept: u64,
    pub lost: u64,
}

impl Survival {
    /// The odds of one power cut.
    #[must_use]
    pub fn draw(rng: &mut Rng) -> Survival {
        let percent = match rng.u64(..10) {
            0 => 0,
            1 => 100,
            2 | 3 => 50,
            _ => rng.u64(..=100),
        };
        Survival { rng: rng.fork(), percent, in_order: rng.bool(), kept: 0, lost: 0 }
    }

    /// The same odds on every run.
    #[must_use]
    pub fn fixed(percent: u64) -> Survival {
        Survival { rng: Rng::with_seed(0), percent, in_order: false, kept: 0, lost: 0 }
    }

    /// Decides about one piece.
    pub fn keeps(&mut self) -> bool {
        let keeps = self.rng.u64(..100) < self.percent;
        if keeps {
            self.kept += 1;
        } else {
            self.lost += 1;
        }
        keeps
    }

    /// One of the contents that a piece had.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        chance::pick(&mut self.rng, from)
    }
}
