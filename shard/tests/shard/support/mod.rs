//! What the tests share: a small world of shards over disks in memory, driven step by step.

pub(crate) mod catalogue;
pub(crate) mod check;
pub(crate) mod names;
pub(crate) mod rng;
pub(crate) mod world;

pub(crate) use names::Names;
pub(crate) use world::{Setup, World};
