//! Copies of the read model, for a backup and from one.

use std::path::Path;

use engine::ids::Time;
use rusqlite::params;
use wal::follow::Cursor;

use super::open::{self, trouble};
use super::{Keep, Settings, cursor};
use crate::sink::{SinkError, Trouble};
use crate::text::time;

/// Copies a database as it is at one moment, while others write to it. The copy is one file, whole and smaller; it must not be there yet.
///
/// # Errors
/// There is none, it is damaged, or the copy cannot be written.
pub fn copy(from: &Path, to: &Path) -> Result<(), SinkError> {
    if !from.exists() {
        return Err(SinkError::new(Trouble::Missing, format!("{} is missing", from.display())));
    }
    let copied = || -> rusqlite::Result<()> {
        let to = to.as_os_str().to_string_lossy();
        open::reader(from)?.execute("VACUUM INTO ?1", [to]).map(drop)
    };
    copied().map_err(|error| trouble(&format!("copy {}", from.display()), &error))
}

/// Begins a new life with what is here, which is of the moment `state_of`: what is known of orders and refunds goes on in it, behind
/// `beginning`. Events keep the life in which they happened.
///
/// # Errors
/// It cannot be opened or written.
pub fn begin_life(path: &Path, beginning: &Cursor, state_of: Time) -> Result<(), SinkError> {
    let keep = Keep { rows_ms: None, bytes: None };
    let settings = Settings { path: path.to_owned(), directory: beginning.directory, create: false, keep };
    let mut connection = open::writer(&settings)?;
    let mut begin = || -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        let life = params![beginning.life as i64];
        transaction.execute("UPDATE order_rows SET life = ?1 WHERE life IS NOT NULL", life)?;
        transaction.execute("UPDATE refunds SET life = ?1", life)?;
        let began = "INSERT INTO lives (life, state_of) VALUES (?1, ?2)";
        transaction.execute(began, params![beginning.life as i64, time(state_of)])?;
        cursor::write(&transaction, beginning)?;
        transaction.commit()
    };
    begin().map_err(|error| trouble("begin a new life of it", &error))
}
