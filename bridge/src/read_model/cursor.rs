//! The cursor, as it stands beside what it is the cursor of.

use rusqlite::{Connection, params};
use wal::Lsn;
use wal::follow::Cursor;

use super::open::trouble;
use crate::sink::{SinkError, Trouble};

/// `None`: there is none, and so no whole copy. One that makes no sense is not an absent one.
pub(super) fn read(connection: &Connection) -> Result<Option<Cursor>, SinkError> {
    let rows = rows(connection).map_err(|error| trouble("read its cursor", &error))?;
    let Some(first) = rows.first() else { return Ok(None) };
    let (directory, life, epoch) = (first.directory, first.life, first.epoch);
    let mut cursor = Cursor { directory, life, epoch, cores: Vec::new() };
    for row in rows {
        let is_next = usize::from(row.core) == cursor.cores.len();
        if !is_next || (row.directory, row.life, row.epoch) != (directory, life, epoch) {
            return Err(unreadable());
        }
        cursor.cores.push(row.lsn);
    }
    Ok(Some(cursor))
}

fn unreadable() -> SinkError {
    SinkError::new(Trouble::Unreadable, "its cursor makes no sense")
}

struct CursorRow {
    directory: [u8; 16],
    life: u64,
    epoch: u32,
    core: u16,
    lsn: Lsn,
}

fn rows(connection: &Connection) -> rusqlite::Result<Vec<CursorRow>> {
    let sql = "SELECT directory, life, epoch, core, lsn FROM cursor ORDER BY core";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| {
        Ok(CursorRow {
            directory: row.get(0)?,
            life: row.get::<_, i64>(1)? as u64,
            epoch: row.get(2)?,
            core: row.get(3)?,
            lsn: Lsn(row.get::<_, i64>(4)? as u64),
        })
    })?;
    rows.collect()
}

/// In the caller's transaction.
pub(super) fn write(connection: &Connection, cursor: &Cursor) -> rusqlite::Result<()> {
    let others = "DELETE FROM cursor WHERE core >= ?1";
    connection.prepare_cached(others)?.execute(params![cursor.cores.len() as i64])?;
    let sql = "INSERT INTO cursor (directory, life, epoch, core, lsn) VALUES (?1, ?2, ?3, ?4, ?5)
        ON CONFLICT (core) DO UPDATE SET
            directory = excluded.directory, life = excluded.life, epoch = excluded.epoch, lsn = excluded.lsn";
    let mut statement = connection.prepare_cached(sql)?;
    for (core, lsn) in (0_i64..).zip(&cursor.cores) {
        let Cursor { directory, life, epoch, .. } = cursor;
        statement.execute(params![directory, *life as i64, epoch, core, lsn.0 as i64])?;
    }
    Ok(())
}
