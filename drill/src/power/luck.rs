//! How much of what was not synced a power cut leaves: now nothing, now all, mostly some.

use crate::Rng;

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
        let keeps = match rng.below(10) {
            0 => 0,
            1 => 100,
            2 | 3 => 50,
            _ => rng.below(101),
        };
        Luck { keeps, in_order: rng.percent(50), rng: Rng::new(rng.draw()), kept: 0, lost: 0 }
    }

    /// The same in each case: for tests.
    #[must_use]
    pub fn certain(keeps: u64) -> Luck {
        Luck { rng: Rng::new(0), keeps, in_order: false, kept: 0, lost: 0 }
    }

    pub fn keeps(&mut self) -> bool {
        let keeps = self.rng.percent(self.keeps);
        if keeps {
            self.kept += 1;
        } else {
            self.lost += 1;
        }
        keeps
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        self.rng.pick(from)
    }
}
