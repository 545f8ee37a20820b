//! What the tests share: a small world of shards over disks in memory, driven step by step.

pub(crate) mod catalogue;
pub(crate) mod check;
pub(crate) mod world;

pub(crate) use testkit::names;
pub(crate) use testkit::names::Names;
pub(crate) use world::{Setup, World};

/// True in so many of a hundred cases.
pub(crate) fn chance(rng: &mut fastrand::Rng, percent: usize) -> bool {
    rng.usize(..100) < percent
}
