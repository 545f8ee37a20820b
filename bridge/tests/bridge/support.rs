//! Worlds of slots, histories of them, and read models in directories of their own.

// The engine's own test world: what it needs of its crate is named here as it is there.
#[path = "../../../engine/tests/engine/support/world/mod.rs"]
#[allow(dead_code, reason = "the read model's tests use a part of it")]
pub(crate) mod world;

mod history;

use std::rc::Rc;

use bridge::read_model::{Keep, ReadModel, Reader, Settings};
use bridge::sink::{Batch, Sink};
use engine::answer::{Answer, OrderView};
use engine::command::Command;
use engine::ids::OrderId;
use engine::read_model::{HistoryPage, OrdersPage, OrdersQuestion, Question, Reading};
use engine::record::Record;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row};
use tempfile::TempDir;
use wal::Lsn;
use wal::follow::Cursor;

pub(crate) use history::{History, RUN, some_history};
pub(crate) use testkit::{catalogue, names};
use world::World;

const FILE: &str = "read-model.db";
pub(crate) const DIRECTORY: [u8; 16] = [9; 16];
pub(crate) const LIFE: u64 = 0xfedc_ba98_7654_3210;

/// Of a log with one core.
pub(crate) fn cursor(lsn: u64) -> Cursor {
    Cursor { directory: DIRECTORY, life: LIFE, epoch: 1, cores: vec![Lsn(lsn)] }
}

pub(crate) fn batch<'a>(records: impl IntoIterator<Item = &'a Rc<Record>>) -> Batch {
    Batch { life: LIFE, records: records.into_iter().map(|record| (**record).clone()).collect() }
}

/// A read model in a directory of its own.
pub(crate) struct Filled {
    /// Removed with it.
    directory: TempDir,
    pub(crate) model: ReadModel,
    pub(crate) reader: Reader,
    /// Records that it has of a log.
    pub(crate) written: usize,
}

impl Filled {
    /// New, and whole with nothing in it.
    pub(crate) fn new() -> Filled {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        let mut model = ReadModel::new(settings(&path));
        assert_eq!(model.open().unwrap(), None);
        model.begin_copy().unwrap();
        model.end_copy(&cursor(0)).unwrap();
        Filled { directory, model, reader: Reader::new(path), written: 0 }
    }

    /// With all of these records.
    pub(crate) fn of(log: &[Rc<Record>]) -> Filled {
        let mut filled = Filled::new();
        filled.follow(log, usize::MAX);
        filled
    }

    /// What it does not have yet of the log, in batches of so many records.
    pub(crate) fn follow(&mut self, log: &[Rc<Record>], batch_size: usize) {
        for records in log[self.written..].chunks(batch_size) {
            self.written += records.len();
            self.model.write(&batch(records), &cursor(self.written as u64)).unwrap();
        }
    }

    /// Every row of every table but the cursor.
    pub(crate) fn rows(&self) -> Vec<Vec<Value>> {
        let path = self.directory.path().join(FILE);
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut all = Vec::new();
        for table in ["order_rows", "refunds", "order_events", "run_events", "lost_history"] {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let row = |row: &Row<'_>| (0..columns).map(|column| row.get(column)).collect();
            all.extend(statement.query_map([], row).unwrap().map(Result::unwrap));
        }
        all
    }

    pub(crate) fn order(&mut self, order: OrderId) -> Option<OrderView> {
        match self.reader.answer(&Question::Order(order)) {
            Ok(Reading::Order(view)) => view.map(|view| *view),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn orders(&mut self, question: &OrdersQuestion) -> OrdersPage {
        match self.reader.answer(&Question::Orders(Box::new(question.clone()))) {
            Ok(Reading::Orders(page)) => page,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn history(&mut self, question: engine::read_model::HistoryQuestion) -> HistoryPage {
        match self.reader.answer(&Question::History(question)) {
            Ok(Reading::History(page)) => page,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn settings(path: &std::path::Path) -> Settings {
    Settings { path: path.to_owned(), directory: DIRECTORY, create: true, keep: Keep::default() }
}

/// What the engine says of an order, once nothing is left to be found out about it.
pub(crate) fn engine_view(world: &mut World, order: OrderId) -> Option<OrderView> {
    match world.run(Command::GetOrder { order }) {
        Ok(Answer::Order(view)) => Some(*view),
        Err(_) => None,
        other => panic!("{other:?}"),
    }
}
