//! Rows that were changed after a backup which was restored: kept beside the tables as they were, and taken out of them where nothing has come in
//! their place.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

use super::limits::MOVE_TIMEOUT;
use super::tables::{ORDER_VIEW, ORDERS, PAYMENTS, REFUNDS, TICKETS, Table};
use super::trouble::{Failure, within_time};
use crate::read_model::stored::Restored;
use crate::sink::MovedAside;

/// Each table, and when a row of it was changed last.
static TABLES: [(&Table, &str); 5] = [
    (&ORDERS, "updated_at"),
    (&PAYMENTS, "updated_at"),
    (&TICKETS, "created_at"),
    (&ORDER_VIEW, "updated_at"),
    (&REFUNDS, "IFNULL(settled_at, created_at)"),
];

/// In the caller's transaction, before anything is written over: copies the lost rows to the tables beside. Gives how many each has got.
pub(super) async fn copy_aside(conn: &mut Conn, restores: &[Restored]) -> Result<Vec<MovedAside>, Failure> {
    let mut moved = Vec::new();
    for (table, changed) in TABLES {
        let Table { name, columns, .. } = table;
        let columns = columns.join(",");
        let lost = format!("FROM {name} WHERE {}", is_lost(changed, restores));
        let count = within_time(MOVE_TIMEOUT, conn.query_first(format!("SELECT COUNT(*) {lost}"))).await?;
        let copy = format!("REPLACE INTO {name}_lost ({columns}) SELECT {columns} {lost}");
        within_time(MOVE_TIMEOUT, conn.query_drop(copy)).await?;
        moved.push(MovedAside { to: format!("{name}_lost"), rows: count.unwrap_or(0) });
    }
    moved.retain(|moved| moved.rows > 0);
    Ok(moved)
}

/// In the caller's transaction, behind a copy: what it has not written over goes.
pub(super) async fn remove(conn: &mut Conn, restores: &[Restored]) -> Result<(), Failure> {
    for (Table { name, .. }, changed) in TABLES {
        let delete = format!("DELETE FROM {name} WHERE {}", is_lost(changed, restores));
        within_time(MOVE_TIMEOUT, conn.query_drop(delete)).await?;
    }
    Ok(())
}

/// A row is lost if it was changed after the moment of which the life behind its own began. One of a life that nobody knows is of before them all,
/// or of one that was given up. Older rows are of orders that had left everything but these tables by then, and stay.
fn is_lost(changed: &str, restores: &[Restored]) -> String {
    let known: Vec<String> = restores.iter().map(|restored| restored.life.to_string()).collect();
    let mut cases = Vec::new();
    for (nth, restored) in restores.iter().enumerate() {
        // RFC 3339 in UTC, as the session's time zone is.
        let state_of = restored.state_of.trim_end_matches('Z').replace('T', " ");
        let life = match nth.checked_sub(1) {
            None => format!("life NOT IN ({})", known.join(",")),
            Some(before) => format!("life = {}", known[before]),
        };
        cases.push(format!("({life} AND {changed} > '{state_of}')"));
    }
    cases.join(" OR ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_life_ends_where_the_next_one_began() {
        let restored = |life, state_of: &str| Restored { life, state_of: state_of.to_owned() };
        let restores = [restored(7, "2026-01-01T10:00:00.000Z"), restored(3, "2026-02-01T10:00:00.500Z")];
        assert_eq!(
            is_lost("updated_at", &restores),
            "(life NOT IN (7,3) AND updated_at > '2026-01-01 10:00:00.000') OR (life = 7 AND updated_at > '2026-02-01 10:00:00.500')"
        );
    }
}
