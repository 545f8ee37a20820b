//! The read model: a SQLite database with everything that was recorded of orders and what they held.
//!
//! One writer ([`ReadModel`], a sink), and readers beside it ([`Reader`]), each with a connection of its own. Batches are
//! transactions, with the cursor in them.

mod backup;
mod cursor;

mod history;
mod limits;
mod open;
mod orders;
mod owed;
#[cfg(test)]
mod plans;
mod read_error;
mod reader;
mod refunds;
pub mod stored;
mod tidy;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::ids::Time;
use engine::state::Slot;
use rusqlite::Connection;
use wal::follow::Cursor;

pub use backup::{begin_life, copy};
pub use limits::{HISTORY_PAGE_MAX, ORDERS_PAGE_MAX, WAL_BYTES_MAX};
pub use open::{check_at_rest, count_orders, quick_check, remove};
pub use owed::Owed;
pub use reader::Reader;
pub use tidy::Keep;

use crate::ids::Origin;
use crate::rows;
use crate::rows::gathered::Gathered;
use crate::sink::{Batch, Sink, SinkError, Trouble};

/// The place of the read model, and its owner.
#[derive(Clone, Debug)]
pub struct Settings {
    pub path: PathBuf,
    /// The id of the data directory.
    pub directory: [u8; 16],
    /// A file that is missing is made; otherwise it is an error.
    pub create: bool,
    pub keep: Keep,
}

/// Says why there is no room for the read model, if there is none: the disk's last bytes are the log's.
pub type Room = Box<dyn FnMut() -> Result<(), String> + Send>;

/// The writer. After an error it has no connection until it is opened again.
pub struct ReadModel {
    settings: Settings,
    room: Room,
    connection: Option<Connection>,
    /// Rows of the copy's open transaction.
    rows_copied: usize,
    /// Orders and refunds that had left the slots of the copy.
    left: u64,
    tidy: tidy::Tidy,
    owed: Arc<Owed>,
}

impl std::fmt::Debug for ReadModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadModel").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl ReadModel {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> ReadModel {
        ReadModel {
            settings,
            room: Box::new(|| Ok(())),
            connection: None,
            rows_copied: 0,
            left: 0,
            tidy: tidy::Tidy::default(),
            owed: Arc::default(),
        }
    }

    /// The money that is owed back, which is looked up each time that the read model is looked after.
    #[must_use]
    pub fn owed(&self) -> Arc<Owed> {
        Arc::clone(&self.owed)
    }

    /// It is written to only while `room` says that there is some.
    #[must_use]
    pub fn within(self, room: Room) -> ReadModel {
        ReadModel { room, ..self }
    }

    /// Bytes of SQLite's own log beside the database: it grows while a reader keeps it from being written back.
    #[must_use]
    pub fn wal_bytes(&self) -> u64 {
        wal_bytes(&self.settings.path)
    }

    /// Takes no more than so many pages, and never fewer than it has: what lies beyond is as a full disk. Lasts until it is opened again.
    ///
    /// # Errors
    /// It is not open, or cannot be asked.
    pub fn limit_pages(&mut self, pages: u32) -> Result<(), SinkError> {
        self.with("limit it", |connection| connection.pragma_update(None, "max_page_count", pages))
    }

    fn origin(&self, life: u64) -> Origin {
        Origin { directory: self.settings.directory, life }
    }

    fn check_room(&mut self) -> Result<(), SinkError> {
        (self.room)().map_err(|text| {
            self.connection = None;
            SinkError::new(Trouble::Full, text)
        })
    }

    /// Gives the connection to `work`, and keeps it only where that succeeds: what was open is then rolled back.
    fn with<T>(
        &mut self,
        doing: &str,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SinkError> {
        let mut connection =
            self.connection.take().ok_or_else(|| SinkError::new(Trouble::Failed, "it is not open"))?;
        let result = work(&mut connection).map_err(|error| open::trouble(doing, &error))?;
        self.connection = Some(connection);
        Ok(result)
    }
}

/// The files of a database: its own, and those that SQLite keeps beside it.
#[must_use]
pub fn files(path: &Path) -> [PathBuf; 3] {
    ["", "-wal", "-shm"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// Bytes of SQLite's own log of a database.
#[must_use]
pub fn wal_bytes(path: &Path) -> u64 {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    std::fs::metadata(name).map_or(0, |file| file.len())
}

impl Sink for ReadModel {
    fn name(&self) -> &'static str {
        "read-model"
    }

    fn open(&mut self) -> Result<Option<Cursor>, SinkError> {
        self.connection = None;
        let connection = open::writer(&self.settings)?;
        let cursor = cursor::read(&connection)?;
        if cursor.as_ref().is_some_and(|cursor| cursor.directory != self.settings.directory) {
            let text = format!("{} belongs to another data directory", self.settings.path.display());
            return Err(SinkError::new(Trouble::AnotherDirectory, text));
        }
        self.connection = Some(connection);
        Ok(cursor)
    }

    fn check(&mut self) -> Result<(), SinkError> {
        let owed = self.owed();
        self.with("look after it", |connection| owed.look(connection))
    }

    fn notice(&self) -> Option<String> {
        let bytes = self.wal_bytes();
        (bytes >= WAL_BYTES_MAX).then(|| {
            format!(
                "{}-wal has {bytes} bytes: a reader that keeps an old moment open keeps it from being written back",
                self.settings.path.display()
            )
        })
    }

    fn discard(&mut self) -> Result<(), SinkError> {
        self.connection = None;
        open::remove(&self.settings.path)?;
        self.settings.create = true;
        Ok(())
    }

    fn begin_copy(&mut self) -> Result<(), SinkError> {
        (self.rows_copied, self.left) = (0, 0);
        self.with("empty it", |connection| {
            let emptying = connection.transaction()?;
            write::empty(&emptying)?;
            emptying.commit()?;
            connection.execute_batch("BEGIN IMMEDIATE")
        })
    }

    /// In transactions of its own: what is copied counts only once the cursor is there.
    fn copy_slot(&mut self, slot: &Slot, life: u64) -> Result<(), SinkError> {
        self.check_room()?;
        let origin = self.origin(life);
        let mut rows = self.rows_copied;
        self.with("copy to it", |connection| {
            let mut writer = write::Writer::new(connection)?;
            let mut gathered = Gathered::default();
            for change in rows::of_slot(origin, slot) {
                gathered.add(change);
                rows += 1;
                if rows >= limits::COPIED_ROWS_PER_TRANSACTION {
                    writer.write(&mut std::mem::take(&mut gathered))?;
                    connection.execute_batch("COMMIT; BEGIN IMMEDIATE")?;
                    rows = 0;
                }
            }
            writer.write(&mut gathered)
        })?;
        self.rows_copied = rows;
        self.left += slot.left();
        Ok(())
    }

    fn end_copy(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        let left = self.left;
        self.with("end a copy to it", |connection| {
            if left > 0 {
                write::lose(connection, left)?;
            }
            cursor::write(connection, cursor)?;
            connection.execute_batch("COMMIT")
        })
    }

    fn tidy(&mut self, now: Time) -> Result<bool, SinkError> {
        // Rows that leave are written to SQLite's log, and the file does not shrink: it would take room and give none back.
        if (self.room)().is_err() {
            return Ok(false);
        }
        let (mut tidy, keep) = (std::mem::take(&mut self.tidy), self.settings.keep.clone());
        let has_more = self.with("let rows of it leave", |connection| tidy.step(connection, &keep, now));
        self.tidy = tidy;
        has_more
    }

    fn write(&mut self, batch: &Batch, cursor: &Cursor) -> Result<(), SinkError> {
        self.check_room()?;
        let origin = self.origin(batch.life);
        self.with("write to it", |connection| {
            let mut gathered = Gathered::default();
            batch
                .records
                .iter()
                .flat_map(|record| rows::of_record(origin, record))
                .for_each(|change| gathered.add(change));
            connection.execute_batch("BEGIN IMMEDIATE")?;
            write::Writer::new(connection)?.write(&mut gathered)?;
            cursor::write(connection, cursor)?;
            connection.execute_batch("COMMIT")
        })
    }
}
