//! Shards over disks in memory, driven step by step: what leaves when, what a crash may take, what must come back.

mod backlog;
mod batching;
mod expiry;
mod formats;
mod gating;
mod node;
mod operations;
mod outbox;
mod reclaim;
mod retention;
mod snapshots;
mod stats;
mod support;
mod tickets;
