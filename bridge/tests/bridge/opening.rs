//! What a read model's file may be when it is opened.

use std::fs;
use std::path::Path;

use bridge::read_model::{ReadModel, Reader, Settings, quick_check};
use bridge::sink::{Sink, Trouble};
use engine::ids::{OrderId, SlotId};
use engine::read_model::Question;
use rusqlite::Connection;
use wal::follow::Cursor;

use crate::support::{DIRECTORY, batch, cursor, settings};

fn path(directory: &tempfile::TempDir) -> std::path::PathBuf {
    directory.path().join("read-model.db")
}

/// A whole one, with this cursor.
fn whole(path: &Path, cursor: &Cursor) -> ReadModel {
    let mut model = ReadModel::new(settings(path));
    model.open().unwrap();
    model.begin_copy().unwrap();
    model.end_copy(cursor).unwrap();
    model
}

#[track_caller]
fn check(settings: &Settings, expected: Trouble) {
    let error = ReadModel::new(settings.clone()).open().expect_err("it is refused");
    assert_eq!(error.trouble, expected, "{error}");
}

/// Opens a file that `change` has changed.
#[track_caller]
fn check_changed(change: &str, expected: Trouble) {
    let directory = tempfile::tempdir().unwrap();
    let path = path(&directory);
    drop(whole(&path, &Cursor { cores: vec![wal::Lsn(1), wal::Lsn(2)], ..cursor(0) }));
    Connection::open(&path).unwrap().execute_batch(change).unwrap();
    check(&settings(&path), expected);
}

#[test]
fn missing() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { create: false, ..settings(&path(&directory)) };
    check(&settings, Trouble::Missing);
    assert!(!settings.path.exists());
}

#[test]
fn not_a_database() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(path(&directory), vec![b'x'; 10_000]).unwrap();
    check(&settings(&path(&directory)), Trouble::Unreadable);
}

#[test]
fn another_programs_database() {
    let directory = tempfile::tempdir().unwrap();
    Connection::open(path(&directory)).unwrap().execute_batch("CREATE TABLE theirs (a)").unwrap();
    check(&settings(&path(&directory)), Trouble::Unreadable);
    let tables: Vec<String> = Connection::open(path(&directory))
        .unwrap()
        .prepare("SELECT name FROM sqlite_schema")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(tables, ["theirs"]);
}

#[test]
fn changed_files() {
    check_changed("PRAGMA user_version = 999", Trouble::Newer);
    check_changed("PRAGMA application_id = 1", Trouble::Unreadable);
    check_changed("DELETE FROM cursor WHERE core = 0", Trouble::Unreadable);
    check_changed("UPDATE cursor SET epoch = 9 WHERE core = 1", Trouble::Unreadable);
    check_changed("UPDATE cursor SET life = 9 WHERE core = 1", Trouble::Unreadable);
    check_changed("DROP TABLE cursor", Trouble::Failed);
}

#[test]
fn of_another_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(&directory);
    drop(whole(&path, &cursor(1)));
    check(&Settings { directory: [1; 16], ..settings(&path) }, Trouble::AnotherDirectory);
}

#[test]
fn the_cursor_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(&directory);
    let many = Cursor {
        directory: DIRECTORY,
        life: u64::MAX,
        epoch: u32::MAX,
        cores: [0, 7, u64::MAX].map(wal::Lsn).to_vec(),
    };
    let mut model = whole(&path, &many);
    assert_eq!(model.open().unwrap(), Some(many));
    // Another number of cores.
    model.write(&batch([]), &cursor(5)).unwrap();
    assert_eq!(model.open().unwrap(), Some(cursor(5)));
    quick_check(&path).unwrap();
}

/// A copy that was not ended counts as nothing, however much of it is there.
#[test]
fn a_copy_that_is_not_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(&directory);
    let mut model = whole(&path, &cursor(1));
    let mut reader = Reader::new(&path);
    let question = Question::Order(OrderId::new(SlotId::new(1), 1));
    reader.answer(&question).unwrap();

    model.begin_copy().unwrap();
    assert_eq!(reader.answer(&question).unwrap_err().reason, "the read model is still being filled");
    assert_eq!(model.open().unwrap(), None);
    model.begin_copy().unwrap();
    model.end_copy(&cursor(2)).unwrap();
    assert_eq!(model.open().unwrap(), Some(cursor(2)));
    reader.answer(&question).unwrap();
}

/// Somebody's open `sqlite3`: down for as long as it holds the lock, and nothing of the batch is there.
#[test]
fn locked_by_somebody_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(&directory);
    let mut model = whole(&path, &cursor(1));
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = model.write(&batch([]), &cursor(2)).unwrap_err();
    assert_eq!(error.trouble, Trouble::Busy, "{error}");
    // It is closed until it is opened again.
    assert_eq!(model.write(&batch([]), &cursor(2)).unwrap_err().trouble, Trouble::Failed);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(model.open().unwrap(), Some(cursor(1)));
    model.write(&batch([]), &cursor(2)).unwrap();
}

/// No page is left: nothing of the batch is there, and what was there still is.
#[test]
fn a_full_disk() {
    let history = {
        let mut history = crate::support::History::new();
        history.step(&crate::ops::Op::Create { order: 0, amount: 1 });
        history
    };
    let directory = tempfile::tempdir().unwrap();
    let path = path(&directory);
    let mut model = whole(&path, &cursor(0));
    model.limit_pages(1).unwrap();
    let many: Vec<_> = std::iter::repeat_with(|| history.world.log[0].clone()).take(2_000).collect();
    let mut records = batch(&many);
    for (seq, record) in (1..).zip(&mut records.records) {
        record.seq = seq;
    }
    let error = model.write(&records, &cursor(1)).unwrap_err();
    assert_eq!(error.trouble, Trouble::Full, "{error}");
    assert_eq!(model.open().unwrap(), Some(cursor(0)));
    assert_eq!(
        Reader::new(&path).answer(&Question::Order(history.orders()[0])),
        Ok(engine::read_model::Reading::Order(None))
    );
    model.write(&records, &cursor(1)).unwrap();
}

#[test]
fn a_reader_without_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut reader = Reader::new(path(&directory));
    let question = Question::Order(OrderId::new(SlotId::new(1), 1));
    assert!(reader.answer(&question).is_err());
    drop(whole(&path(&directory), &cursor(0)));
    assert_eq!(reader.answer(&question), Ok(engine::read_model::Reading::Order(None)));
}

/// Whatever is there: it goes, and the next one begins with nothing. A file that was relied on is made anew then, and only then.
#[test]
fn what_is_thrown_away_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings { create: false, ..settings(&path(&directory)) };
    let wal = directory.path().join("read-model.db-wal");
    for garbage in [None, Some(&b"this is no database, and never was one"[..])] {
        let mut model = ReadModel::new(settings.clone());
        if let Some(garbage) = garbage {
            fs::write(&settings.path, garbage).unwrap();
            fs::write(&wal, garbage).unwrap();
        }
        assert!(model.open().is_err());
        model.discard().unwrap();
        assert!(!settings.path.exists() && !wal.exists());
        assert_eq!(model.open().unwrap(), None);
        drop(model);
        drop(whole(&settings.path, &cursor(0)));
        ReadModel::new(settings.clone()).discard().unwrap();
    }
}
