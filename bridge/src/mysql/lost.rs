//! Rows that a restored backup does not have: out of the way, and kept.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::limits::MOVE_TIMEOUT;
use super::tables::{ORDER_VIEW, ORDERS, PAYMENTS, REFUNDS, TICKETS, Table};
use super::trouble::{Failure, within_time};
use crate::sink::MovedAside;

/// Each table, and when a row of it was changed last.
static TABLES: [(&Table, &str); 5] = [
    (&ORDERS, "updated_at"),
    (&PAYMENTS, "updated_at"),
    (&TICKETS, "created_at"),
    (&ORDER_VIEW, "updated_at"),
    (&REFUNDS, "IFNULL(settled_at, created_at)"),
];

/// In the caller's transaction, behind a copy: moves what belongs to another life than this one and was changed after `state_of`, the moment of
/// what was restored. Older rows are of orders that had left everything but these tables by then, and stay.
pub(super) async fn move_aside(
    conn: &mut Conn,
    life: u64,
    state_of: &str,
) -> Result<Vec<MovedAside>, Failure> {
    // RFC 3339 in UTC; the session's time zone is UTC.
    let state_of = state_of.trim_end_matches('Z').replace('T', " ");
    let mut moved = Vec::new();
    for (Table { name, columns, .. }, changed) in TABLES {
        let lost = format!("FROM {name} WHERE life <> ? AND {changed} > ?");
        let columns = columns.join(",");
        let copy = format!("REPLACE INTO {name}_lost ({columns}) SELECT {columns} {lost}");
        within_time(MOVE_TIMEOUT, conn.exec_drop(copy, (life, &state_of))).await?;
        within_time(MOVE_TIMEOUT, conn.exec_drop(format!("DELETE {lost}"), (life, &state_of))).await?;
        moved.push(MovedAside { to: format!("{name}_lost"), rows: conn.affected_rows() });
    }
    moved.retain(|moved| moved.rows > 0);
    Ok(moved)
}
