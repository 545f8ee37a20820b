//! The Redis sink: holds that are alive and the queue of their deadlines, for whoever watches it, and views of orders for half a minute.
//!
//! It mirrors; the engine's own log decides. A batch is one transaction (MULTI) with the cursor in it, so a server that was flushed or lost has
//! no cursor, and is filled again from the holds that are alive.

mod entries;
mod limits;
mod place;

use engine::ids::{OrderId, Time};
use engine::state::Slot;
use redis::{Connection, Pipeline, RedisError, ServerErrorKind, cmd};
use wal::Lsn;
use wal::follow::Cursor;

pub use place::{Place, PlaceError};

use crate::sink::{Batch, Sink, SinkError, Trouble};
use entries::Entries;
use limits::{ANSWER_TIMEOUT, CONNECT_TIMEOUT, COPIED_ENTRIES_PER_TRANSACTION};

/// A hold's key is this and its member of the queue.
const HOLD: &str = "inventory:hold:";
/// Members are holds, scores the seconds of their deadlines.
const QUEUE: &str = "inventory:holds:delay_queue";
/// An order's key is this and its id.
const VIEW: &str = "query:order:";
/// The cursor: how far everything here is.
const CURSOR: &str = "interlock:cursor";
/// A cursor's text while a copy is not whole.
const COPYING: &str = "copying";

/// The writer. After an error it has no connection until it is opened again.
pub struct Redis {
    place: Place,
    /// The id of the data directory.
    directory: [u8; 16],
    open: Option<Open>,
    /// Somebody else writes to it: it stays down until that is settled.
    lost: Option<SinkError>,
    /// Of the copy under way, not written yet.
    copied: Entries,
}

struct Open {
    connection: Connection,
    /// The cursor's text as it was written or read last.
    cursor: Option<String>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Redis {
    /// Opens nothing yet.
    #[must_use]
    pub fn new(place: Place, directory: [u8; 16]) -> Redis {
        Redis { place, directory, open: None, lost: None, copied: Entries::default() }
    }

    /// Gives what is open to `work`, and keeps it only where that succeeds.
    fn with<T>(&mut self, work: impl FnOnce(&mut Open) -> Result<T, SinkError>) -> Result<T, SinkError> {
        let mut open = self.open.take().ok_or_else(|| SinkError::new(Trouble::Failed, "it is not open"))?;
        match work(&mut open) {
            Ok(done) => {
                self.open = Some(open);
                Ok(done)
            }
            Err(error) => {
                if error.trouble == Trouble::AnotherWriter {
                    self.lost = Some(error.clone());
                }
                Err(error)
            }
        }
    }

    fn flush_copied(&mut self) -> Result<(), SinkError> {
        let entries = std::mem::take(&mut self.copied);
        self.with(|open| open.transact("copy to it", &entries, None))
    }

    fn text(&self, cursor: &Cursor) -> String {
        let cores: Vec<String> = cursor.cores.iter().map(|lsn| lsn.0.to_string()).collect();
        format!("{} {:016x} {} {}", name(self.directory), cursor.life, cursor.epoch, cores.join(","))
    }

    fn connect(&self) -> Result<Connection, SinkError> {
        let connect = || {
            let connection = self.place.client()?.get_connection_with_timeout(CONNECT_TIMEOUT)?;
            connection.set_read_timeout(Some(ANSWER_TIMEOUT))?;
            connection.set_write_timeout(Some(ANSWER_TIMEOUT))?;
            Ok(connection)
        };
        connect().map_err(|error| trouble("connect", &error))
    }
}

impl Sink for Redis {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn is_refilled(&self) -> bool {
        true
    }

    fn open(&mut self) -> Result<Option<Cursor>, SinkError> {
        self.open = None;
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        let mut connection = self.connect()?;
        let text: Option<String> = cmd("GET")
            .arg(CURSOR)
            .query(&mut connection)
            .map_err(|error| trouble("read its cursor", &error))?;
        let cursor = match &text {
            None => None,
            Some(text) => {
                let (directory, cursor) = parse(text)
                    .ok_or_else(|| SinkError::new(Trouble::Unreadable, "its cursor makes no sense"))?;
                if directory != self.directory {
                    let text =
                        format!("{} belongs to another data directory, {}", self.place, name(directory));
                    return Err(SinkError::new(Trouble::AnotherDirectory, text));
                }
                cursor
            }
        };
        self.open = Some(Open { connection, cursor: text });
        Ok(cursor)
    }

    fn check(&mut self) -> Result<(), SinkError> {
        self.with(|open| open.watch("look after it"))?;
        self.with(|open| open.unwatch())
    }

    fn discard(&mut self) -> Result<(), SinkError> {
        (self.open, self.lost) = (None, None);
        let mut connection = self.connect()?;
        let removed: Result<u32, RedisError> = cmd("DEL").arg(CURSOR).query(&mut connection);
        removed.map(drop).map_err(|error| trouble("forget its cursor", &error))
    }

    fn begin_copy(&mut self) -> Result<(), SinkError> {
        self.copied = Entries::default();
        let claim = format!("{} {COPYING} {:016x}", name(self.directory), fastrand::u64(..));
        self.with(|open| {
            open.transact("begin a copy", &Entries::default(), Some(claim))?;
            open.empty().map_err(|error| trouble("empty it", &error))
        })
    }

    fn copy_slot(&mut self, slot: &Slot, _: u64) -> Result<(), SinkError> {
        self.copied.add_slot(slot);
        if self.copied.len() >= COPIED_ENTRIES_PER_TRANSACTION { self.flush_copied() } else { Ok(()) }
    }

    fn end_copy(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        let (entries, text) = (std::mem::take(&mut self.copied), self.text(cursor));
        self.with(|open| open.transact("end a copy", &entries, Some(text)))
    }

    fn write(&mut self, batch: &Batch, cursor: &Cursor) -> Result<(), SinkError> {
        let mut entries = Entries::default();
        batch.records.iter().for_each(|record| entries.add_record(record));
        let text = self.text(cursor);
        self.with(|open| open.transact("write to it", &entries, Some(text)))
    }
}

impl Open {
    /// All of it and the cursor at once, or nothing: where the cursor is not as it was left, somebody else was there.
    fn transact(&mut self, doing: &str, entries: &Entries, cursor: Option<String>) -> Result<(), SinkError> {
        self.watch(doing)?;
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        put(&mut pipeline, entries);
        if let Some(cursor) = &cursor {
            pipeline.cmd("SET").arg(CURSOR).arg(cursor).ignore();
        }
        // A transaction of nothing is none.
        pipeline.cmd("EXISTS").arg(CURSOR);
        let done: Option<(u32,)> =
            pipeline.query(&mut self.connection).map_err(|error| trouble(doing, &error))?;
        if done.is_none() {
            return Err(another_writer());
        }
        if cursor.is_some() {
            self.cursor = cursor;
        }
        Ok(())
    }

    /// From here on a transaction fails if somebody changes the cursor.
    fn watch(&mut self, doing: &str) -> Result<(), SinkError> {
        let (found,): (Option<String>,) = redis::pipe()
            .cmd("WATCH")
            .arg(CURSOR)
            .ignore()
            .cmd("GET")
            .arg(CURSOR)
            .query(&mut self.connection)
            .map_err(|error| trouble(doing, &error))?;
        match (&found, &self.cursor) {
            (found, expected) if found == expected => Ok(()),
            (None, Some(_)) => {
                Err(SinkError::new(Trouble::Missing, "it was flushed, or has lost what it had"))
            }
            _ => Err(another_writer()),
        }
    }

    fn unwatch(&mut self) -> Result<(), SinkError> {
        cmd("UNWATCH").exec(&mut self.connection).map_err(|error| trouble("look after it", &error))
    }

    /// All holds go; views go by themselves.
    fn empty(&mut self) -> Result<(), RedisError> {
        let mut position = 0_u64;
        loop {
            let (next, keys): (u64, Vec<String>) = cmd("SCAN")
                .arg(position)
                .arg("MATCH")
                .arg(format!("{HOLD}*"))
                .arg("COUNT")
                .arg(COPIED_ENTRIES_PER_TRANSACTION)
                .query(&mut self.connection)?;
            if !keys.is_empty() {
                cmd("UNLINK").arg(keys).exec(&mut self.connection)?;
            }
            if next == 0 {
                break;
            }
            position = next;
        }
        cmd("UNLINK").arg(QUEUE).exec(&mut self.connection)
    }
}

/// Deadlines are absolute: an entry that comes late lives no longer. One whose time is over is gone at once.
fn put(pipeline: &mut Pipeline, entries: &Entries) {
    for (member, hold) in &entries.holds {
        let key = format!("{HOLD}{member}");
        match hold {
            Some(hold) => {
                set_until(pipeline, &key, &hold.json, hold.deadline);
                pipeline.cmd("ZADD").arg(QUEUE).arg(hold.deadline.0 / 1_000).arg(member).ignore();
            }
            None => {
                pipeline.cmd("DEL").arg(&key).ignore();
                pipeline.cmd("ZREM").arg(QUEUE).arg(member).ignore();
            }
        }
    }
    for (order, view) in &entries.views {
        set_until(pipeline, &view_key(*order), &view.json, view.until);
    }
}

fn view_key(order: OrderId) -> String {
    format!("{VIEW}{order}")
}

fn set_until(pipeline: &mut Pipeline, key: &str, value: &str, until: Time) {
    // 0 is no time to Redis.
    pipeline.cmd("SET").arg(key).arg(value).arg("PXAT").arg(until.0.max(1)).ignore();
}

fn another_writer() -> SinkError {
    let text = "somebody else has moved its cursor: a copy of this data directory runs. Stop one of the two, then `interlock sink rebuild redis`";
    SinkError::new(Trouble::AnotherWriter, text)
}

fn trouble(doing: &str, error: &RedisError) -> SinkError {
    let is_full = error.code() == Some("OOM");
    let is_loading = error.kind() == redis::ErrorKind::Server(ServerErrorKind::BusyLoading);
    let trouble = match (is_full, is_loading) {
        (true, _) => Trouble::Full,
        (_, true) => Trouble::Busy,
        _ => Trouble::Failed,
    };
    SinkError::new(trouble, format!("cannot {doing}: {error}"))
}

/// A cursor's text; `None` within while a copy is not whole.
fn parse(text: &str) -> Option<([u8; 16], Option<Cursor>)> {
    let mut words = text.split(' ');
    let directory = uuid::Uuid::parse_str(words.next()?).ok()?.into_bytes();
    let life = words.next()?;
    if life == COPYING {
        return Some((directory, None));
    }
    let life = u64::from_str_radix(life, 16).ok()?;
    let epoch = words.next()?.parse().ok()?;
    let cores = words.next()?.split(',').map(|lsn| lsn.parse().map(Lsn)).collect::<Result<_, _>>().ok()?;
    Some((directory, Some(Cursor { directory, life, epoch, cores })))
}

/// As the server's own pages name a directory.
fn name(directory: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(directory).simple().to_string()
}
