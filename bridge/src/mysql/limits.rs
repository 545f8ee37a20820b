//! Every bound of the MySQL sink, by name.

use std::time::Duration;

/// Rows of one statement; fewer go in statements of a power of two.
pub(super) const ROWS_PER_STATEMENT: usize = 128;
/// Prepared statements that a connection keeps: one for each table and power of two.
pub(super) const STATEMENTS_MAX: usize = 64;
/// Rows of one transaction of a copy.
pub(super) const COPIED_ROWS_PER_TRANSACTION: usize = 4_000;
/// A transaction that the database gave up for another's sake (deadlock, lock wait) is done again at once so often; then the sink is down and
/// tries later.
pub(super) const DEADLOCK_RETRIES: u32 = 5;
/// The wait for a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The wait for one statement. A database that does not answer is down.
pub(super) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(30);
/// The wait for a row that somebody else has locked, in seconds.
pub(super) const LOCK_WAIT_SECS: u32 = 5;
/// The wait for somebody else's migrations, in seconds.
pub(super) const MIGRATION_LOCK_WAIT_SECS: u32 = 20;
/// A statement of a migration may rewrite a large table.
pub(super) const MIGRATION_TIMEOUT: Duration = Duration::from_secs(6 * 3_600);
/// The wait for the move of one table's rows that a restored backup does not have: it reads the whole table.
pub(super) const MOVE_TIMEOUT: Duration = Duration::from_secs(3_600);
/// The silence after which the system asks whether the other side is still there.
pub(super) const KEEPALIVE: Duration = Duration::from_secs(10);
/// A stop is looked for so often while the database is waited for.
pub(super) const STOP_INTERVAL: Duration = Duration::from_millis(50);
