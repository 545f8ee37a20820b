//! Every bound of the Redis sink, by name.

use std::time::Duration;

/// The view of an order stays for so long after its last change.
pub(super) const VIEW_MS: u64 = 30_000;
/// Entries of one transaction of a copy, and keys that are removed at once.
pub(super) const COPIED_ENTRIES_PER_TRANSACTION: usize = 5_000;
/// The wait for a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The wait for an answer. What was sent is idempotent: it may have been done all the same.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
