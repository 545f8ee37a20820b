//! The sinks of a directory: kept through every crash, and everything is kept while nobody knows what they need.

mod common;

use common::{Pair, beginning, crash_everywhere, numbers, options, redistribute};
use wal::files::{Files, MemoryFiles};
use wal::follow::Cursor;
use wal::{CursorFile, DataDir, Lsn, OpenError, Sink, SinkRegistry, limits};

fn registry(files: &MemoryFiles) -> SinkRegistry<MemoryFiles> {
    DataDir::open_on(files.clone(), &options()).unwrap().sink_registry()
}

fn epochs(files: &MemoryFiles) -> Vec<String> {
    files.list("").unwrap().unwrap().into_iter().filter(|name| name.starts_with("epoch-")).collect()
}

fn at(files: &MemoryFiles, lsn: u64) -> Cursor {
    let mut cursor = beginning(files);
    cursor.cores[0] = Lsn(lsn);
    cursor
}

#[test]
fn a_directory_begins_without_sinks() {
    let files = MemoryFiles::new();
    let registry = registry(&files);
    assert_eq!((registry.sinks().sinks.len(), registry.problem()), (0, None));
    assert_eq!(registry.floors(), [Lsn::MAX]);
}

#[test]
fn what_was_registered_and_relied_on_is_there_after_every_crash() {
    let begin = MemoryFiles::new();
    registry(&begin).register("first").unwrap();
    let begin = begin.restart();
    let place = at(&begin, 7);
    let work = |files: &MemoryFiles| {
        let Ok(dir) = DataDir::open_on(files.clone(), &options()) else { return };
        let mut registry = dir.sink_registry();
        let _ = registry.register("second").and_then(|()| registry.rely("first", &place));
    };
    let mut seen = std::collections::BTreeSet::new();
    crash_everywhere(&begin, work, |files| {
        let registry = registry(&files);
        assert_eq!(registry.problem(), None);
        let sinks: Vec<_> = registry
            .sinks()
            .sinks
            .iter()
            .map(|Sink { name, relied }| (name.clone(), relied.is_some()))
            .collect();
        let all = [("first".to_owned(), true), ("second".to_owned(), false)];
        let known = sinks.len() == 2 || sinks == [("first".to_owned(), false)];
        assert!(known, "{sinks:?}");
        assert!(sinks.len() == 1 || sinks[1] == all[1]);
        seen.insert(sinks);
    });
    assert_eq!(seen.len(), 3, "before, between and after: {seen:?}");
}

/// Catches: a place of a sink that a crash leaves cut off, or further than it was; one of another directory or sink that is believed.
#[test]
fn a_cursor_of_its_own_is_the_old_one_or_the_new_one_after_every_crash() {
    let begin = MemoryFiles::new();
    drop(registry(&begin));
    let id = beginning(&begin).directory;
    let places = [3, 8].map(|lsn| at(&begin, lsn));
    let cursor_file = |files: &MemoryFiles| CursorFile::new(files, id, "far");
    assert_eq!(cursor_file(&begin).read().unwrap(), None);
    cursor_file(&begin).write(&places[0]).unwrap();
    assert_eq!(cursor_file(&begin).read().unwrap().as_ref(), Some(&places[0]));
    let begin = begin.restart();
    let mut seen = std::collections::BTreeSet::new();
    let work = |files: &MemoryFiles| drop(cursor_file(files).write(&places[1]));
    crash_everywhere(&begin, work, |files| {
        let found = cursor_file(&files).read().unwrap().expect("one of them");
        seen.insert(places.iter().position(|place| *place == found).expect("no other place"));
    });
    assert_eq!(seen.len(), 2, "before and after: {seen:?}");

    let other = CursorFile::new(&begin, [7; 16], "far").read();
    assert!(matches!(other, Err(OpenError::Damaged { .. })), "{other:?}");
    assert_eq!(CursorFile::new(&begin, id, "near").read().unwrap(), None);
    begin.rename("cursor-far", "cursor-near").unwrap();
    let renamed = CursorFile::new(&begin, id, "near").read();
    assert!(matches!(renamed, Err(OpenError::Damaged { .. })), "{renamed:?}");
    CursorFile::new(&begin, id, "near").remove().unwrap();
    CursorFile::new(&begin, id, "near").remove().unwrap();
    assert_eq!(CursorFile::new(&begin, id, "near").read().unwrap(), None);
}

#[test]
fn a_sink_is_never_relied_on_less() {
    let files = MemoryFiles::new();
    let mut registry = registry(&files);
    registry.register("one").unwrap();
    let cursor = registry.beginning();
    let place = |lsn| Cursor { cores: vec![Lsn(lsn)], ..cursor.clone() };
    for (said, expected) in [(5, 5), (3, 5), (5, 5), (9, 9)] {
        registry.rely("one", &place(said)).unwrap();
        assert_eq!(registry.floors(), [Lsn(expected)]);
    }
    registry.rely("one", &Cursor { directory: [1; 16], ..place(20) }).unwrap();
    registry.rely("nobody", &place(20)).unwrap();
    assert_eq!(registry.floors(), [Lsn(9)], "of another directory, of no sink");
    registry.register("two").unwrap();
    assert_eq!(registry.floors(), [Lsn::NONE], "nothing is known of the second");
    registry.rely("two", &place(4)).unwrap();
    assert_eq!(registry.floors(), [Lsn(4)], "the one that is behind counts");
    registry.detach("two").unwrap();
    assert_eq!(registry.floors(), [Lsn(9)]);
    registry.forget("one").unwrap();
    assert_eq!(registry.floors(), [Lsn::NONE]);
    registry.detach("one").unwrap();
    assert_eq!(registry.floors(), [Lsn::MAX]);
}

/// Whether it runs or not: the log that a sink has not got is there at the next start, and the start after that.
#[test]
fn the_log_is_kept_for_a_sink() {
    let files = MemoryFiles::new();
    registry(&files).register("slow").unwrap();
    let mut pair = Pair::new(&files, options());
    let kept = |pair: &mut Pair| {
        for _ in 0..20 {
            pair.group(&[30_000]);
            pair.finish_all().unwrap();
        }
        pair.snapshot();
        numbers(&files, "log-")[0]
    };
    assert_eq!(kept(&mut pair), 1);
    drop(pair);
    let place = at(&files, 10);
    registry(&files).rely("slow", &place).unwrap();
    let (mut log, ..) = common::start(&files, &options()).unwrap();
    common::finish_all(&mut log, wal::Millis(5)).unwrap();
    assert_eq!(numbers(&files, "log-")[0], 2, "the first segment has seven records");
}

#[test]
fn an_epoch_is_kept_until_every_sink_has_finished_it() {
    let files = MemoryFiles::new();
    let first = beginning(&files);
    for name in ["fast", "slow"] {
        registry(&files).register(name).unwrap();
        registry(&files).rely(name, &first).unwrap();
    }
    redistribute(&files, 2).unwrap();
    assert_eq!(epochs(&files).len(), 2);
    redistribute(&files, 1).unwrap();
    assert_eq!(epochs(&files).len(), 3, "and through another one");
    let third = beginning(&files);
    registry(&files).rely("fast", &third).unwrap();
    assert_eq!(epochs(&files).len(), 3);
    let second = Cursor { epoch: 2, cores: vec![Lsn::NONE; 2], ..first };
    registry(&files).rely("slow", &second).unwrap();
    assert_eq!(epochs(&files), ["epoch-0000000002", "epoch-0000000003"]);
    registry(&files).detach("slow").unwrap();
    assert_eq!(epochs(&files), ["epoch-0000000003"]);
}

#[test]
fn a_file_of_sinks_that_cannot_be_read_keeps_everything() {
    let check = |change: &dyn Fn(&MemoryFiles), expected: &str| {
        let files = MemoryFiles::new();
        registry(&files).register("one").unwrap();
        let place = at(&files, 9);
        registry(&files).rely("one", &place).unwrap();
        change(&files);
        redistribute(&files, 2).unwrap();
        let mut registry = registry(&files);
        let problem = registry.problem().expect("it says so").to_owned();
        assert!(problem.contains("sinks") && problem.contains(expected), "{problem}");
        assert_eq!(registry.floors(), [Lsn::NONE; 2]);
        assert_eq!(epochs(&files).len(), 2, "nothing is removed");
        let before = files.contents()["sinks"].clone();
        let _ = (registry.register("two"), registry.detach("one"), registry.rely("one", &place));
        assert_eq!(files.contents()["sinks"], before, "nor written");
        assert_eq!(epochs(&files).len(), 2);
    };
    let both_copies = |bytes: &mut Vec<u8>| {
        let half = bytes.len() / 2;
        bytes[20] ^= 1;
        bytes[half + 20] ^= 1;
    };
    check(&|files| files.tamper("sinks", both_copies), "checksums");
    check(&|files| files.tamper("sinks", |bytes| bytes.truncate(20)), "cut off");
    check(&|files| files.tamper("sinks", Vec::clear), "cut off");
}

#[test]
fn one_damaged_copy_does_not_matter() {
    let files = MemoryFiles::new();
    registry(&files).register("one").unwrap();
    files.tamper("sinks", |bytes| bytes[20] ^= 1);
    assert_eq!(registry(&files).sinks().sinks.len(), 1);
}

#[test]
fn a_later_version_is_refused() {
    let files = MemoryFiles::new();
    registry(&files).register("one").unwrap();
    files.tamper("sinks", |bytes| {
        let half = bytes.len() / 2;
        for copy in bytes.chunks_mut(half) {
            copy[8] = 2;
            let crc = crc32c::crc32c(&copy[..half - 4]);
            copy[half - 4..].copy_from_slice(&crc.to_le_bytes());
        }
    });
    let error = DataDir::open_on(files, &options()).map(drop).unwrap_err();
    assert!(matches!(error, OpenError::Newer { version: 2, supported: 1, .. }), "{error}");
}

#[test]
fn names_and_numbers_of_sinks_are_limited() {
    let files = MemoryFiles::new();
    let mut registry = registry(&files);
    let longest = "x".repeat(limits::SINK_NAME_BYTES_MAX);
    for bad in ["", &format!("{longest}x")] {
        assert!(matches!(registry.register(bad), Err(OpenError::Options { .. })), "{bad}");
    }
    registry.register(&longest).unwrap();
    for nth in 1..limits::SINKS_MAX {
        registry.register(&nth.to_string()).unwrap();
    }
    assert!(matches!(registry.register("one more"), Err(OpenError::Options { .. })));
    registry.register("1").unwrap();
}

#[test]
fn what_is_decided_once_is_remembered() {
    let files = MemoryFiles::new();
    registry(&files).set_log_budget(1 << 30).unwrap();
    registry(&files).set_read_model_bytes(1 << 31).unwrap();
    assert_eq!(registry(&files).sinks().read_model_bytes, Some(1 << 31));
    assert_eq!(registry(&files).sinks().log_budget_bytes, Some(1 << 30));
    registry(&files).register("one").unwrap();
    assert_eq!(registry(&files).sinks().log_budget_bytes, Some(1 << 30));
}
