//! Databases of a real server, one for each test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bridge::mysql::{Dsn, MySql, Settings};
use bridge::runner::Stop;
use bridge::sink::Sink;
use drill::services::Services;
use engine::record::Record;
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, OptsBuilder, Row, Value};
use tokio::runtime::Runtime;

use crate::support::{DIRECTORY, Filled, batch, cursor};

/// Removed with it.
pub(crate) struct Database {
    runtime: Runtime,
    conn: Conn,
    name: String,
    pub(crate) dsn: Dsn,
    pub(crate) dsn_text: String,
}

impl Database {
    /// A new one, without a table.
    pub(crate) fn new() -> Database {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("MYSQL_TEST_DSN")
            .unwrap_or_else(|_| Services::shared("mysql").setting("MYSQL_DSN"));
        let name = format!("interlock_test_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let (before, _) = server.rsplit_once('/').expect("a database");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let conn = runtime.block_on(Conn::new(options(&server))).unwrap();
        let dsn_text = format!("{before}/{name}");
        let dsn = dsn_text.parse().unwrap();
        let mut database = Database { runtime, conn, dsn, dsn_text, name: name.clone() };
        database.run(&format!("DROP DATABASE IF EXISTS {name}"));
        database.run(&format!("CREATE DATABASE {name} CHARACTER SET utf8mb4"));
        database.run(&format!("USE {name}"));
        database
    }

    pub(crate) fn run(&mut self, sql: &str) {
        self.try_run(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    pub(crate) fn try_run(&mut self, sql: &str) -> Result<(), mysql_async::Error> {
        self.runtime.block_on(self.conn.query_drop(sql))
    }

    pub(crate) fn select<T: FromRow + Send + 'static>(&mut self, sql: &str) -> Vec<T> {
        self.runtime.block_on(self.conn.query(sql)).unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Rows as texts, in some order of their own.
    pub(crate) fn texts(&mut self, sql: &str) -> Vec<Vec<Option<String>>> {
        let row = |row: Row| row.unwrap().into_iter().map(text).collect();
        let mut rows: Vec<Vec<Option<String>>> = self.select::<Row>(sql).into_iter().map(row).collect();
        rows.sort();
        rows
    }

    pub(crate) fn sink(&self, filled: &Filled) -> MySql {
        self.sink_of(DIRECTORY, filled)
    }

    /// Of another data directory.
    pub(crate) fn sink_of(&self, directory: [u8; 16], filled: &Filled) -> MySql {
        let settings = Settings {
            dsn: self.dsn.clone(),
            directory,
            read_model: filled.reader.path().to_owned(),
            stations: vec![("BJS".to_owned(), "北京".to_owned()), ("SHH".to_owned(), "Shanghai".to_owned())],
        };
        MySql::new(settings, Arc::new(Stop::default())).unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.try_run(&format!("DROP DATABASE {}", self.name));
    }
}

fn options(dsn: &str) -> OptsBuilder {
    // As the tests' own servers are reached, and those of `MYSQL_TEST_DSN`: over TCP, without TLS.
    let (account, place) = dsn.rsplit_once("@tcp(").expect("user:password@tcp(host:port)/database");
    let (user, password) = account.split_once(':').unwrap_or((account, ""));
    let (address, database) = place.split_once(")/").expect("a database");
    let (host, port) = address.rsplit_once(':').expect("a port");
    let database = database.split('?').next();
    OptsBuilder::default()
        .ip_or_hostname(host)
        .tcp_port(port.parse().expect("a port"))
        .user(Some(user))
        .pass(Some(password))
        .db_name(database)
        .prefer_socket(false)
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(String::from_utf8(bytes).unwrap()),
        Value::Int(number) => Some(number.to_string()),
        Value::UInt(number) => Some(number.to_string()),
        other => panic!("{other:?} in the text protocol"),
    }
}

/// Whole, with nothing in it.
pub(crate) fn begin(sink: &mut MySql) {
    assert_eq!(sink.open().unwrap(), None);
    sink.begin_copy().unwrap();
    sink.end_copy(&cursor(0)).unwrap();
}

/// All of these records from the one at `from` on, in batches of so many.
pub(crate) fn follow(sink: &mut MySql, log: &[std::rc::Rc<Record>], from: usize, batch_size: usize) {
    let mut at = from;
    for records in log[from..].chunks(batch_size) {
        at += records.len();
        sink.write(&batch(records), &cursor(at as u64)).unwrap();
    }
}
