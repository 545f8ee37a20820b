//! Bringing a database up to date, one process at a time.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error};

use super::limits::{MIGRATION_LOCK_WAIT_SECS, MIGRATION_TIMEOUT};
use super::trouble::{Failure, within, within_time};
use crate::sink::{SinkError, Trouble};

/// Numbered and forward-only: one that was released never changes.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_old_system", include_str!("../../../migrations/mysql/0001_old_system.sql")),
    ("0002_interlock", include_str!("../../../migrations/mysql/0002_interlock.sql")),
    ("0003_lost", include_str!("../../../migrations/mysql/0003_lost.sql")),
];

/// Error codes of a statement that was done before: a column, an index that is there already.
const DONE_ALREADY: [u16; 2] = [1060, 1061];

/// Gives the names of those that were run.
pub(super) async fn migrate(conn: &mut Conn) -> Result<Vec<&'static str>, Failure> {
    // Names of locks are the server's, of 64 characters.
    let lock = format!("SELECT GET_LOCK(CONCAT('interlock.', MD5(DATABASE())), {MIGRATION_LOCK_WAIT_SECS})");
    let got: Option<Option<i64>> = within(conn.query_first(lock)).await?;
    if got.flatten() != Some(1) {
        let text = "somebody else is bringing its tables up to date";
        return Err(SinkError::new(Trouble::Busy, text).into());
    }
    let migrated = migrate_locked(conn).await;
    within(conn.query_drop("DO RELEASE_LOCK(CONCAT('interlock.', MD5(DATABASE())))")).await?;
    migrated
}

async fn migrate_locked(conn: &mut Conn) -> Result<Vec<&'static str>, Failure> {
    let table = "CREATE TABLE IF NOT EXISTS interlock_migrations (
        number INT UNSIGNED NOT NULL PRIMARY KEY,
        name VARCHAR(64) NOT NULL,
        run_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
    ) ENGINE = InnoDB";
    within(conn.query_drop(table)).await?;
    let newest: Option<Option<usize>> =
        within(conn.query_first("SELECT MAX(number) FROM interlock_migrations")).await?;
    let done = newest.flatten().unwrap_or(0);
    if done > MIGRATIONS.len() {
        let known = MIGRATIONS.len();
        let text = format!("it has tables of version {done}; this program knows them up to {known}");
        return Err(SinkError::new(Trouble::Newer, text).into());
    }
    let mut run = Vec::new();
    for (number, (name, sql)) in (1_u32..).zip(MIGRATIONS).skip(done) {
        for statement in statements(sql) {
            match within_time(MIGRATION_TIMEOUT, conn.query_drop(statement)).await {
                Err(Error::Server(error)) if DONE_ALREADY.contains(&error.code) => {}
                other => other?,
            }
        }
        let sql = "INSERT INTO interlock_migrations (number, name) VALUES (?, ?)";
        within(conn.exec_drop(sql, (number, *name))).await?;
        run.push(*name);
    }
    Ok(run)
}

/// A statement ends with a semicolon at the end of its line.
fn statements(sql: &str) -> impl Iterator<Item = &str> {
    sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}
