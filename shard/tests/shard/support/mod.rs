//! What the tests share: a small world of shards over disks in memory, driven step by step.

pub(crate) mod catalogue;
pub(crate) mod check;
pub(crate) mod rng;
pub(crate) mod world;

pub(crate) use testkit::names;
pub(crate) use testkit::names::Names;
pub(crate) use world::{Setup, World};
