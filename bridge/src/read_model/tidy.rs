//! Rows that leave: what the engine no longer has, once it is old, or more than there is room for. A little at a time, the oldest first.

use std::time::{Duration, Instant};

use engine::ids::Time;
use rusqlite::{Connection, OptionalExtension, params};

use super::limits::{HISTORY_KEEP_MS, PARTITIONS_TIDIED_PER_STEP, TIDIED_PER_STEP};
use super::write;
use crate::text::time;

/// Limits of what is kept: the age of rows, and the bytes that they may take.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    /// Since an order was created; `None`: for ever. Never while the engine has it, or owes money for it.
    pub rows_ms: Option<u64>,
    /// The oldest leave early where more is used; `None`: no matter how much.
    pub bytes: Option<u64>,
}

/// The interval at which it is said that rows leave early.
const WARNED_INTERVAL: Duration = Duration::from_secs(3_600);

/// The places that it has come to.
#[derive(Debug, Default)]
pub(super) struct Tidy {
    /// The last order whose events were looked at, by when it left.
    left: (String, i64),
    warned: Option<Instant>,
}

impl Tidy {
    /// One step, in a transaction of its own. True where there is more to do at once.
    pub(super) fn step(
        &mut self,
        connection: &mut Connection,
        keep: &Keep,
        now: Time,
    ) -> rusqlite::Result<bool> {
        let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let mut is_full = false;
        if let Some(before) = keep.rows_ms.and_then(|ms| now.minus(ms)) {
            is_full |= leave(&transaction, before)?.0 == TIDIED_PER_STEP;
            leave_refunds(&transaction, before)?;
        }
        if keep.bytes.is_some_and(|most| used_bytes(&transaction).is_ok_and(|used| used > most)) {
            let (rows, last) = leave(&transaction, now)?;
            is_full |= rows == TIDIED_PER_STEP;
            self.warn(last.as_deref(), keep.bytes.unwrap_or_default());
        }
        if let Some(before) = now.minus(HISTORY_KEEP_MS) {
            is_full |= self.leave_order_events(&transaction, before)?;
            is_full |= Tidy::leave_run_events(&transaction, before)?;
        }
        transaction.commit()?;
        Ok(is_full)
    }

    fn warn(&mut self, last: Option<&str>, most: u64) {
        if self.warned.is_some_and(|at| at.elapsed() < WARNED_INTERVAL) {
            return;
        }
        self.warned = Some(Instant::now());
        match last.and_then(|created_at| created_at.get(..10)) {
            Some(day) => tracing::warn!(
                kept_from = day,
                budget_bytes = most,
                "the read model takes more than --read-model-bytes: its oldest orders leave early, and are kept from {day} on"
            ),
            None => tracing::warn!(
                budget_bytes = most,
                "the read model takes more than --read-model-bytes, and has nothing that may leave"
            ),
        }
    }

    /// Events of orders that left the engine before then.
    fn leave_order_events(&mut self, connection: &Connection, before: Time) -> rusqlite::Result<bool> {
        let sql = "SELECT id, left_at FROM order_rows INDEXED BY orders_by_leaving
            WHERE left_at IS NOT NULL AND (left_at, id) > (?1, ?2) AND left_at < ?3 ORDER BY left_at, id LIMIT ?4";
        let mut statement = connection.prepare_cached(sql)?;
        let seen = params![self.left.0, self.left.1, time(before), TIDIED_PER_STEP as i64];
        let rows: Vec<(i64, String)> =
            statement.query_map(seen, |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let mut delete = connection.prepare_cached("DELETE FROM order_events WHERE order_row = ?1")?;
        for (id, left_at) in &rows {
            delete.execute([id])?;
            self.left = (left_at.clone(), *id);
        }
        Ok(rows.len() == TIDIED_PER_STEP)
    }

    /// Events of partitions that left the engine before then. What came behind that is of one that was opened again.
    fn leave_run_events(connection: &Connection, before: Time) -> rusqlite::Result<bool> {
        let sql = "SELECT run, class, at FROM partitions_left WHERE at < ?1 ORDER BY at LIMIT ?2";
        let mut statement = connection.prepare_cached(sql)?;
        let limits = params![before.0 as i64, PARTITIONS_TIDIED_PER_STEP as i64];
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let left: Vec<(String, String, i64)> = statement.query_map(limits, row)?.collect::<Result<_, _>>()?;
        let events = "DELETE FROM run_events WHERE run = ?1 AND coalesce(class, '') = ?2 AND at <= ?3";
        let partition = "DELETE FROM partitions_left WHERE run = ?1 AND class = ?2";
        for (run, class, at) in &left {
            connection.prepare_cached(events)?.execute(params![run, class, at])?;
            connection.prepare_cached(partition)?.execute(params![run, class])?;
        }
        Ok(left.len() == PARTITIONS_TIDIED_PER_STEP)
    }
}

/// The oldest orders that were created before then, which the engine does not have and nothing is owed for: how many left, and the creation of
/// the last of them. The newest row stays, so that no number comes twice: events of runs name orders by it.
fn leave(connection: &Connection, before: Time) -> rusqlite::Result<(usize, Option<String>)> {
    let sql = "SELECT id, order_id, created_at FROM order_rows INDEXED BY orders_by_creation
        WHERE created_at < ?1 AND left_at IS NOT NULL AND id < (SELECT max(id) FROM order_rows) AND NOT EXISTS (
            SELECT 1 FROM refunds WHERE refunds.order_id = order_rows.order_id AND refunds.status = 'REQUIRED')
        ORDER BY created_at, order_id LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let rows: Vec<(i64, String, String)> =
        statement.query_map(params![time(before), TIDIED_PER_STEP as i64], row)?.collect::<Result<_, _>>()?;
    for (id, order, _) in &rows {
        connection.prepare_cached("DELETE FROM order_events WHERE order_row = ?1")?.execute([id])?;
        connection.prepare_cached("DELETE FROM refunds WHERE order_id = ?1")?.execute([order])?;
        connection.prepare_cached("DELETE FROM order_rows WHERE id = ?1")?.execute([id])?;
    }
    if !rows.is_empty() {
        // From here on an id that is not here may be one of them.
        write::lose(connection, rows.len() as u64)?;
    }
    Ok((rows.len(), rows.into_iter().next_back().map(|(_, _, created_at)| created_at)))
}

/// Refunds that left the engine before then without an order.
fn leave_refunds(connection: &Connection, before: Time) -> rusqlite::Result<()> {
    let sql = "DELETE FROM refunds INDEXED BY refunds_by_leaving
        WHERE left_at IS NOT NULL AND left_at < ?1 AND status = 'SETTLED'";
    let left = connection.prepare_cached(sql)?.execute([time(before)])?;
    if left > 0 { write::lose(connection, left as u64) } else { Ok(()) }
}

/// Bytes that hold something: pages that were freed are used again, and the file does not shrink.
fn used_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |pragma: &str| -> rusqlite::Result<u64> {
        let value = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
        value.optional().map(|value| value.unwrap_or_default().unsigned_abs())
    };
    Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
}
