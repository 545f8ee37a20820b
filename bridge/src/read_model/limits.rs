//! Every bound of the read model, by name.

use std::time::Duration;

/// Orders in one page of a listing.
pub const ORDERS_PAGE_MAX: usize = 1_000;
/// Events in one page of a history.
pub const HISTORY_PAGE_MAX: usize = 1_000;
/// The writer's wait for a lock that somebody else has, before it is down and tries again later.
pub(super) const WRITER_BUSY_TIMEOUT: Duration = Duration::from_millis(100);
/// A reader's wait for a lock; in WAL mode only for those who recover the database.
pub(super) const READER_BUSY_TIMEOUT: Duration = Duration::from_millis(500);
/// SQLite's own log is written back once it has so many pages of 4 KiB: often, so that the next batch waits for milliseconds. With 16,384,
/// orders were seen after twice as long (p99), for the same CPU.
pub(super) const CHECKPOINT_PAGES: u32 = 2_048;
/// SQLite's own log has so many bytes only where somebody keeps it from being written back: that is said.
pub const WAL_BYTES_MAX: u64 = 1 << 30;
/// The size that SQLite's own log is cut to once it was written back.
pub(super) const KEPT_WAL_BYTES: i64 = 64 << 20;
/// Pages that the writer keeps in memory, in KiB.
pub(super) const WRITER_CACHE_KIB: u32 = 64 << 10;
/// Pages that a reader keeps in memory, in KiB.
pub(super) const READER_CACHE_KIB: u32 = 4 << 10;
/// Rows of one transaction of a copy.
pub(super) const COPIED_ROWS_PER_TRANSACTION: usize = 20_000;
/// Orders that leave in one transaction, and orders whose events do.
pub(super) const TIDIED_PER_STEP: usize = 200;
/// Partitions whose events leave in one transaction.
pub(super) const PARTITIONS_TIDIED_PER_STEP: usize = 20;
/// Histories are kept for so long after their order or partition has left the engine.
pub(super) const HISTORY_KEEP_MS: u64 = 30 * 86_400_000;
/// Statements that a connection keeps prepared.
pub(super) const STATEMENTS_MAX: usize = 64;
