//! The MySQL sink: the tables that reports and the old system's readers use, on MySQL or MariaDB.
//!
//! A batch is one transaction, with the cursor in it. Rows only go forwards; a row of another life is replaced by a rebuild alone, and
//! none is deleted but what a restored backup does not have, which is kept beside. Two writers stop each other by the cursor.

mod cursor;
mod dsn;
mod limits;
mod lost;
mod migrations;
mod tables;
mod trouble;
mod write;

use std::path::PathBuf;
use std::sync::Arc;

use engine::state::Slot;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Params, Value};
use tokio::runtime::Runtime;
use wal::follow::Cursor;

pub use dsn::{Dsn, DsnError};

use crate::ids::Origin;
use crate::read_model::stored::{self, Restored, Stored};
use crate::rows;
use crate::rows::gathered::Gathered;
use crate::runner::Stop;
use crate::sink::{Batch, MovedAside, Sink, SinkError, Trouble};
use limits::{
    CONNECT_TIMEOUT, COPIED_ROWS_PER_TRANSACTION, DEADLOCK_RETRIES, KEEPALIVE, LOCK_WAIT_SECS,
    STATEMENTS_MAX, STOP_INTERVAL,
};
use tables::Rows;
use trouble::{Failure, is_missing_table, trouble, within, within_time};
use write::Mode;

/// The place of the tables, and whose they are.
#[derive(Clone, Debug)]
pub struct Settings {
    pub dsn: Dsn,
    /// The id of the data directory.
    pub directory: [u8; 16],
    /// The read model: a copy has what the engine no longer has from there.
    pub read_model: PathBuf,
    /// Codes and names.
    pub stations: Vec<(String, String)>,
}

/// The writer. After an error it has no connection until it is opened again.
pub struct MySql {
    settings: Settings,
    runtime: Runtime,
    stop: Arc<Stop>,
    open: Option<Open>,
    /// Somebody else writes to it: it stays down until that is settled.
    lost: Option<SinkError>,
    /// Of the copy under way, not written yet.
    copied: Rows,
    moved_aside: Vec<MovedAside>,
    /// Of the copy under way; `None`: it has not looked yet.
    restores: Option<Vec<Restored>>,
}

struct Open {
    conn: Conn,
    /// Of the cursor's row; 0 where there is none.
    version: u64,
}

impl std::fmt::Debug for MySql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MySql").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl MySql {
    /// Opens nothing yet. What it waits for ends when `stop` is set.
    ///
    /// # Errors
    /// The system has no room for a runtime.
    pub fn new(settings: Settings, stop: Arc<Stop>) -> std::io::Result<MySql> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(MySql {
            settings,
            runtime,
            stop,
            open: None,
            lost: None,
            copied: Rows::default(),
            moved_aside: Vec::new(),
            restores: None,
        })
    }

    /// Brings the database up to date and leaves it. Gives the names of the migrations that were run.
    ///
    /// # Errors
    /// It cannot be reached, or somebody else is doing the same.
    pub fn migrate(dsn: &Dsn) -> Result<Vec<&'static str>, SinkError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| SinkError::new(Trouble::Failed, error.to_string()))?;
        runtime.block_on(async {
            let mut conn = connect(dsn).await.map_err(|error| trouble("connect", &error))?;
            let run = migrations::migrate(&mut conn).await;
            let _ = conn.disconnect().await;
            run.map_err(|failure| failure.into_trouble("bring its tables up to date"))
        })
    }

    /// Does `work` until it is done or a stop is asked for.
    fn wait_for<T>(
        &self,
        doing: &str,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, SinkError> {
        let stop = &self.stop;
        self.runtime.block_on(async {
            tokio::select! {
                done = work => done.map_err(|failure| failure.into_trouble(doing)),
                () = stopped(stop) => Err(SinkError::new(Trouble::Stopped, "told to stop")),
            }
        })
    }

    fn take_open(&mut self) -> Result<Open, SinkError> {
        self.open.take().ok_or_else(|| SinkError::new(Trouble::Failed, "it is not open"))
    }

    /// One transaction, again where the database gave it up for another's sake.
    fn transact(
        &mut self,
        doing: &str,
        rows: &Rows,
        mode: Mode,
        cursor: Option<&Cursor>,
    ) -> Result<(), SinkError> {
        let mut open = self.take_open()?;
        let directory = self.settings.directory;
        let done = self.wait_for(doing, async {
            let mut tries = 0;
            loop {
                let failure = match transaction(&mut open, directory, rows, mode, cursor).await {
                    Ok(()) => return Ok(()),
                    Err(failure) => failure,
                };
                within(open.conn.query_drop("ROLLBACK")).await?;
                if failure.is_deadlock() && tries < DEADLOCK_RETRIES {
                    tries += 1;
                    continue;
                }
                if let Failure::OfRows { table, rows, .. } = &failure {
                    let found = write::find_rejected(&mut open.conn, table, rows).await;
                    return Err(found.map_or(failure, Failure::Refused));
                }
                return Err(failure);
            }
        });
        match done {
            Ok(()) => {
                open.version += 1;
                self.open = Some(open);
                Ok(())
            }
            Err(error) => {
                if error.trouble == Trouble::AnotherWriter {
                    self.lost = Some(error.clone());
                }
                Err(error)
            }
        }
    }

    /// Writes what was copied so far.
    fn flush_copied(&mut self) -> Result<(), SinkError> {
        let mut rows = std::mem::take(&mut self.copied);
        rows.sort();
        self.transact("copy to it", &rows, Mode::Copy, None)
    }

    fn flush_if_many(&mut self) -> Result<(), SinkError> {
        if self.copied.len() >= COPIED_ROWS_PER_TRANSACTION { self.flush_copied() } else { Ok(()) }
    }

    /// Before the first row of a copy is written: what was changed after a backup that was restored is kept beside the tables.
    fn copy_lost_aside(&mut self, life: u64) -> Result<(), SinkError> {
        if self.restores.is_some() {
            return Ok(());
        }
        let restores = stored::restores(&self.settings.read_model, life)?;
        self.moved_aside = match restores.is_empty() {
            true => Vec::new(),
            false => self
                .in_transaction("keep what was lost", async |conn| lost::copy_aside(conn, &restores).await)?,
        };
        for MovedAside { to, rows } in &self.moved_aside {
            tracing::warn!(rows, "rows that were changed after the backup that was restored are in {to} now");
        }
        self.restores = Some(restores);
        Ok(())
    }

    /// Behind the last row of a copy: what it has not written over goes.
    fn remove_lost(&mut self) -> Result<(), SinkError> {
        let restores = self.restores.take().unwrap_or_default();
        if restores.is_empty() {
            return Ok(());
        }
        self.in_transaction("remove what was lost", async |conn| lost::remove(conn, &restores).await)
    }

    /// One transaction of a copy under way.
    fn in_transaction<T>(
        &mut self,
        doing: &str,
        work: impl AsyncFnOnce(&mut Conn) -> Result<T, Failure>,
    ) -> Result<T, SinkError> {
        let mut open = self.take_open()?;
        let directory = self.settings.directory;
        let done = self.wait_for(doing, async {
            let Open { conn, version } = &mut open;
            within(conn.query_drop("START TRANSACTION")).await?;
            cursor::advance(conn, directory, None, *version).await?;
            let done = work(conn).await?;
            within(conn.query_drop("COMMIT")).await?;
            Ok(done)
        })?;
        open.version += 1;
        self.open = Some(open);
        Ok(done)
    }

    /// Everything that the read model has: also what the engine no longer has. It comes behind the engine's state, so that what leaves
    /// the engine in between is found there.
    fn copy_read_model(&mut self) -> Result<(), SinkError> {
        let stored = Stored::open(&self.settings.read_model)?;
        let page_rows = COPIED_ROWS_PER_TRANSACTION / 4;
        let mut after = 0;
        loop {
            let page = stored.orders(after, page_rows)?;
            let Some(last) = page.last() else { break };
            after = last.row;
            page.iter().for_each(|order| self.copied.add_stored_order(order));
            self.flush_if_many()?;
        }
        let (mut order, mut txn) = (String::new(), String::new());
        loop {
            let page = stored.refunds(&order, &txn, page_rows)?;
            let Some(last) = page.last() else { break };
            (order, txn) = (last.order.as_str().to_owned(), last.txn.as_str().to_owned());
            page.iter().for_each(|refund| self.copied.add_stored_refund(refund));
            self.flush_if_many()?;
        }
        Ok(())
    }
}

impl Sink for MySql {
    fn name(&self) -> &'static str {
        "mysql"
    }

    fn open(&mut self) -> Result<Option<Cursor>, SinkError> {
        self.open = None;
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        let Settings { dsn, directory, stations, .. } = &self.settings;
        let (open, cursor) = self.wait_for("open it", async {
            let mut conn = connect(dsn).await?;
            let run = migrations::migrate(&mut conn).await?;
            if !run.is_empty() {
                tracing::info!(database = %dsn, migrations = ?run, "tables are up to date");
            }
            let owned = cursor::read(&mut conn).await?;
            if owned.as_ref().is_some_and(|owned| owned.directory != *directory) {
                let text = format!(
                    "{dsn} belongs to another data directory, {}",
                    owned.map(|owned| cursor::name(owned.directory)).unwrap_or_default()
                );
                return Err(SinkError::new(Trouble::AnotherDirectory, text).into());
            }
            put_stations(&mut conn, stations).await?;
            let version = owned.as_ref().map_or(0, |owned| owned.version);
            Ok((Open { conn, version }, owned.and_then(|owned| owned.cursor)))
        })?;
        self.open = Some(open);
        Ok(cursor)
    }

    fn check(&mut self) -> Result<(), SinkError> {
        let mut open = self.take_open()?;
        let owned = self.wait_for("look after it", cursor::read(&mut open.conn))?;
        match owned {
            Some(owned) if owned.version == open.version => {
                self.open = Some(open);
                Ok(())
            }
            Some(_) => {
                let error = cursor::another_writer();
                self.lost = Some(error.clone());
                Err(error)
            }
            None => Err(SinkError::new(Trouble::Missing, "its cursor is gone")),
        }
    }

    /// The rows stay: those of orders that the engine no longer has are nowhere else. The copy replaces what it has a row of.
    fn discard(&mut self) -> Result<(), SinkError> {
        (self.open, self.lost) = (None, None);
        self.wait_for("forget its cursor", async {
            let mut conn = connect(&self.settings.dsn).await?;
            match within(conn.query_drop("DELETE FROM interlock_cursor")).await {
                Err(error) if is_missing_table(&error) => Ok(()),
                other => Ok(other?),
            }
        })
    }

    fn begin_copy(&mut self) -> Result<(), SinkError> {
        (self.copied, self.restores) = (Rows::default(), None);
        let mut open = self.take_open()?;
        if open.version == 0 {
            self.wait_for("begin a copy", cursor::claim(&mut open.conn, self.settings.directory))?;
            open.version = 1;
        }
        self.open = Some(open);
        Ok(())
    }

    fn copy_slot(&mut self, slot: &Slot, life: u64) -> Result<(), SinkError> {
        self.copy_lost_aside(life)?;
        let mut gathered = Gathered::default();
        let origin = Origin { directory: self.settings.directory, life };
        rows::of_slot(origin, slot).for_each(|change| gathered.add(change));
        self.copied.add(&gathered);
        self.flush_if_many()
    }

    fn end_copy(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        self.copy_lost_aside(cursor.life)?;
        self.copy_read_model()?;
        self.flush_copied()?;
        self.remove_lost()?;
        self.transact("end a copy", &Rows::default(), Mode::Copy, Some(cursor))
    }

    fn moved_aside(&self) -> &[MovedAside] {
        &self.moved_aside
    }

    fn write(&mut self, batch: &Batch, cursor: &Cursor) -> Result<(), SinkError> {
        let origin = Origin { directory: self.settings.directory, life: batch.life };
        let mut gathered = Gathered::default();
        batch
            .records
            .iter()
            .flat_map(|record| rows::of_record(origin, record))
            .for_each(|change| gathered.add(change));
        let mut rows = Rows::default();
        rows.add(&gathered);
        rows.sort();
        self.transact("write to it", &rows, Mode::Follow, Some(cursor))
    }
}

async fn stopped(stop: &Stop) {
    while !stop.is_set() {
        tokio::time::sleep(STOP_INTERVAL).await;
    }
}

async fn connect(dsn: &Dsn) -> Result<Conn, mysql_async::Error> {
    let options = dsn.options().tcp_keepalive(Some(KEEPALIVE)).stmt_cache_size(STATEMENTS_MAX).setup(vec![
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
        "SET SESSION time_zone = '+00:00'",
        "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
        &format!("SET SESSION innodb_lock_wait_timeout = {LOCK_WAIT_SECS}"),
    ]);
    within_time(CONNECT_TIMEOUT, Conn::new(Opts::from(options))).await
}

async fn transaction(
    open: &mut Open,
    directory: [u8; 16],
    rows: &Rows,
    mode: Mode,
    cursor: Option<&Cursor>,
) -> Result<(), Failure> {
    let Open { conn, version } = open;
    within(conn.query_drop("START TRANSACTION")).await?;
    cursor::advance(conn, directory, cursor, *version).await?;
    write::write(conn, rows, mode).await?;
    Ok(within(conn.query_drop("COMMIT")).await?)
}

/// A station that is in no timetable any more stays.
async fn put_stations(conn: &mut Conn, stations: &[(String, String)]) -> Result<(), Failure> {
    for chunk in stations.chunks(limits::ROWS_PER_STATEMENT) {
        let rows = vec!["(?,?)"; chunk.len()].join(",");
        let sql = format!(
            "INSERT INTO stations (station_code, station_name) VALUES {rows} ON DUPLICATE KEY UPDATE station_name = VALUES(station_name)"
        );
        let values = chunk.iter().flat_map(|(code, name)| [tables::text(code), tables::text(name)]);
        within(conn.exec_drop(sql, Params::Positional(values.collect::<Vec<Value>>()))).await?;
    }
    Ok(())
}
