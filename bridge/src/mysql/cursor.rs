//! The cursor: one row, moved in the transaction of what it stands for, and only by who moved it last.

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use wal::Lsn;
use wal::follow::Cursor;

use super::trouble::{Failure, within};
use crate::sink::{SinkError, Trouble};

/// The owner of the database, and how far it has come.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Owned {
    pub(super) directory: [u8; 16],
    /// `None` while a copy is not whole.
    pub(super) cursor: Option<Cursor>,
    /// Grows with each change.
    pub(super) version: u64,
}

/// `None`: nobody has filled it yet.
pub(super) async fn read(conn: &mut Conn) -> Result<Option<Owned>, Failure> {
    let sql = "SELECT directory, life, epoch, cores, version FROM interlock_cursor WHERE one = 1";
    let row: Option<(String, u64, u32, String, u64)> = within(conn.query_first(sql)).await?;
    let Some((directory, life, epoch, cores, version)) = row else { return Ok(None) };
    let unreadable = || SinkError::new(Trouble::Unreadable, "its cursor makes no sense");
    let directory = uuid::Uuid::parse_str(&directory).map_err(|_| unreadable())?.into_bytes();
    let cursor = match cores.is_empty() {
        true => None,
        false => {
            let lsns = cores.split(',').map(|lsn| lsn.parse().map(Lsn));
            let cores = lsns.collect::<Result<Vec<Lsn>, _>>().map_err(|_| unreadable())?;
            Some(Cursor { directory, life, epoch, cores })
        }
    };
    Ok(Some(Owned { directory, cursor, version }))
}

/// The database is this directory's from here on, and a copy has begun. Nobody has it yet.
pub(super) async fn claim(conn: &mut Conn, directory: [u8; 16]) -> Result<(), Failure> {
    let sql = "INSERT IGNORE INTO interlock_cursor (one, directory, life, epoch, cores, version) VALUES (1, ?, 0, 0, '', 1)";
    within(conn.exec_drop(sql, (name(directory),))).await?;
    if conn.affected_rows() == 1 { Ok(()) } else { Err(another_writer().into()) }
}

/// In the caller's transaction, and first of all: who comes second does no work. `None` while a copy is not whole.
pub(super) async fn advance(
    conn: &mut Conn,
    directory: [u8; 16],
    cursor: Option<&Cursor>,
    version: u64,
) -> Result<(), Failure> {
    let (life, epoch, cores) = match cursor {
        Some(cursor) => {
            let lsns: Vec<String> = cursor.cores.iter().map(|lsn| lsn.0.to_string()).collect();
            (cursor.life, cursor.epoch, lsns.join(","))
        }
        None => (0, 0, String::new()),
    };
    let sql = "UPDATE interlock_cursor SET life = ?, epoch = ?, cores = ?, version = version + 1
        WHERE one = 1 AND directory = ? AND version = ?";
    within(conn.exec_drop(sql, (life, epoch, cores, name(directory), version))).await?;
    if conn.affected_rows() == 1 { Ok(()) } else { Err(another_writer().into()) }
}

pub(super) fn another_writer() -> SinkError {
    let text = "somebody else has moved its cursor: a copy of this data directory runs. Stop one of the two, then `interlock sink rebuild mysql`";
    SinkError::new(Trouble::AnotherWriter, text)
}

/// As the server's own pages name a directory.
pub(super) fn name(directory: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(directory).simple().to_string()
}
