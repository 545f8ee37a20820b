//! Opening: what the file is, and its migrations.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::Settings;
use super::limits::{
    CHECKPOINT_PAGES, KEPT_WAL_BYTES, READER_BUSY_TIMEOUT, READER_CACHE_KIB, STATEMENTS_MAX,
    WRITER_BUSY_TIMEOUT, WRITER_CACHE_KIB,
};
use crate::sink::{SinkError, Trouble};

/// Numbered and forward-only: one that was released never changes. `user_version` says how many a database has had.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/sqlite/0001_read_model.sql"),
    include_str!("../../../migrations/sqlite/0002_lives.sql"),
    include_str!("../../../migrations/sqlite/0003_owed.sql"),
];

/// The application id, by which SQLite tells whose database it is: `ILRM`.
const APPLICATION_ID: i32 = 0x494c_524d;

pub(super) fn writer(settings: &Settings) -> Result<Connection, SinkError> {
    let path = &settings.path;
    if !settings.create && !exists(path)? {
        return Err(SinkError::new(Trouble::Missing, format!("{} is missing", path.display())));
    }
    let open = || {
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags.set(OpenFlags::SQLITE_OPEN_CREATE, settings.create);
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(WRITER_BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(connection)
    };
    let mut connection = open().map_err(|error| trouble("open it", &error))?;
    check_owner(path, &connection)?;
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))
        .map_err(|error| trouble("open it", &error))?;
    if mode != "wal" {
        let text = format!("{} is on a file system that SQLite's WAL mode does not work on", path.display());
        return Err(SinkError::new(Trouble::Failed, text));
    }
    configure(&connection).map_err(|error| trouble("open it", &error))?;
    migrate(&mut connection).map_err(|error| trouble("bring its tables up to date", &error))?;
    Ok(connection)
}

/// Removes a database and what SQLite keeps beside it. The database goes last: what is left of it is never taken for one.
///
/// # Errors
/// A file cannot be removed.
pub fn remove(path: &Path) -> Result<(), SinkError> {
    for suffix in ["-wal", "-shm", ""] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let text = format!("{} cannot be removed: {error}", Path::new(&file).display());
                return Err(SinkError::new(Trouble::Failed, text));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Absent and unreadable are two answers.
fn exists(path: &Path) -> Result<bool, SinkError> {
    path.try_exists().map_err(|error| {
        SinkError::new(Trouble::Unreadable, format!("{} cannot be looked at: {error}", path.display()))
    })
}

/// Before anything of the file is changed.
fn check_owner(path: &Path, connection: &Connection) -> Result<(), SinkError> {
    let read = || -> rusqlite::Result<(i32, u32, u32)> {
        let version = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
        let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        Ok((application, version, tables))
    };
    let (application, version, tables) = read().map_err(|error| trouble("read it", &error))?;
    let path = path.display();
    if application != APPLICATION_ID && (application, version, tables) != (0, 0, 0) {
        let text = format!("{path} is a database of another program");
        return Err(SinkError::new(Trouble::Unreadable, text));
    }
    let newest = MIGRATIONS.len();
    if version as usize > newest {
        let text = format!("{path} has tables of version {version}; this program knows them up to {newest}");
        return Err(SinkError::new(Trouble::Newer, text));
    }
    Ok(())
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", KEPT_WAL_BYTES)?;
    connection.pragma_update(None, "cache_size", -i64::from(WRITER_CACHE_KIB))?;
    connection.pragma_update(None, "temp_store", "MEMORY")
}

/// Each migration with its number in one transaction: a crash keeps both or neither.
fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let done: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for (number, migration) in (1_u32..).zip(MIGRATIONS).skip(done as usize) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

/// A connection that cannot write.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(READER_BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cache_size", -i64::from(READER_CACHE_KIB))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    Ok(connection)
}

/// Reads all of a database and says what is wrong with it, by SQLite's `quick_check`. Takes a while; others go on.
///
/// # Errors
/// The damage, or that it cannot be read.
pub fn quick_check(path: &Path) -> Result<(), SinkError> {
    let check = || -> rusqlite::Result<String> {
        reader(path)?.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    match check().map_err(|error| trouble("check it", &error))?.as_str() {
        "ok" => Ok(()),
        finding => {
            Err(SinkError::new(Trouble::Unreadable, format!("{} is damaged: {finding}", path.display())))
        }
    }
}

/// As [`quick_check`], of a database that nobody has open: nothing is left beside it that was not there before. Gives the number of its orders.
///
/// # Errors
/// As there.
pub fn check_at_rest(path: &Path) -> Result<u64, SinkError> {
    let beside = ["-wal", "-shm"].map(|suffix| {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        std::path::PathBuf::from(file)
    });
    let absent: Vec<_> = beside.into_iter().filter(|file| !file.exists()).collect();
    let checked = quick_check(path).and_then(|()| count_orders(path));
    for file in absent {
        // What cannot be removed is no harm.
        let _ = std::fs::remove_file(file);
    }
    checked
}

/// The number of orders in a database.
///
/// # Errors
/// It cannot be read.
pub fn count_orders(path: &Path) -> Result<u64, SinkError> {
    let count = || -> rusqlite::Result<i64> {
        reader(path)?.query_row("SELECT count(*) FROM orders", [], |row| row.get::<_, i64>(0))
    };
    count().map(i64::unsigned_abs).map_err(|error| trouble("read it", &error))
}

/// An error of SQLite, by name.
pub(super) fn trouble(doing: &str, error: &rusqlite::Error) -> SinkError {
    let trouble = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Trouble::Busy,
        Some(ErrorCode::DiskFull) => Trouble::Full,
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Trouble::Unreadable,
        _ => Trouble::Failed,
    };
    SinkError::new(trouble, format!("cannot {doing}: {error}"))
}
