//! Seeded choices (`fastrand`): the same seed makes the same choices on every machine.

pub use fastrand::Rng;

/// A generator for one part of a run. It is the same whatever the other parts draw, so that a part can be repeated alone.
#[must_use]
pub fn of_part(seed: u64, part: u64) -> Rng {
    Rng::with_seed(seed ^ part.wrapping_mul(0xd6e8_feb8_6659_fd93)).fork()
}

/// One element of a slice.
///
/// # Panics
/// When the slice is empty.
pub fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    rng.choice(from).expect("a slice to pick from is not empty")
}
