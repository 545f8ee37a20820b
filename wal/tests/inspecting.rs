//! Looking at a directory that nobody has open.

mod common;

use common::{Pair, options, segment};
use wal::files::MemoryFiles;
use wal::inspect::{check_on, records_on};
use wal::{DataDir, Lsn, OpenError, Options};

fn example() -> (MemoryFiles, Pair) {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    for _ in 0..3 {
        pair.group(&[30, 5_000]);
        pair.finish_all().unwrap();
    }
    pair.snapshot();
    pair.group(&[7]);
    pair.finish_all().unwrap();
    (files.restart(), pair)
}

#[test]
fn a_sound_directory_is_reported_and_left_alone() {
    let (files, _) = example();
    let (before, steps) = (files.contents(), files.steps());
    let report = check_on(&files).unwrap();
    assert!(report.is_sound() && report.superblock_whole);
    assert_eq!((report.epoch, report.cores.len(), &report.id), (1, 1, b"the id of a test"));
    let core = &report.cores[0];
    let snapshot = core.snapshot.unwrap();
    assert_eq!((snapshot.number, snapshot.begin, snapshot.end, snapshot.slots), (1, Lsn(6), Lsn(6), 5));
    assert_eq!((core.segments, core.spare_segments, core.frames, core.records), (1, 2, 5, 7));
    assert_eq!(
        (core.first, core.last, core.bytes, &core.cut),
        (Lsn(1), Lsn(7), 4096 + 3 * 8192 + 4096, &None)
    );
    assert_eq!((files.contents(), files.steps()), (before, steps), "nothing was written");
}

#[test]
fn every_core_has_its_own_report() {
    let files = MemoryFiles::new();
    drop(DataDir::open_on(files.clone(), &Options { cores: 3, ..options() }).unwrap());
    let report = check_on(&files).unwrap();
    for (number, core) in report.cores.iter().enumerate() {
        assert_eq!(usize::from(core.core), number);
        assert_eq!((core.frames, core.first, core.last), (1, Lsn::NONE, Lsn::NONE), "no record yet");
    }
    assert_eq!(report.cores.len(), 3);
}

#[test]
fn all_records_are_listed_also_those_that_a_snapshot_has_passed() {
    let (files, pair) = example();
    let entries: Vec<_> = records_on(files).unwrap().collect::<Result<_, _>>().unwrap();
    assert_eq!(entries.len(), 7);
    for (entry, (lsn, bytes)) in entries.iter().zip((1..).zip(&pair.history)) {
        assert_eq!((entry.core, entry.lsn, &entry.bytes), (0, Lsn(lsn), bytes));
    }
}

#[test]
fn damage_is_reported_with_its_place() {
    let (files, _) = example();
    files.tamper(&segment(1), |bytes| bytes[12288 + 200] ^= 1);
    let report = check_on(&files).unwrap();
    assert!(!report.is_sound());
    let problem = report.cores[0].problem.as_ref().unwrap();
    assert!(matches!(problem, OpenError::Damaged { offset: 12288, .. }), "{problem}");
    let mut entries = records_on(files).unwrap();
    let before: Vec<_> = entries.by_ref().take_while(Result::is_ok).collect();
    assert_eq!(before.len(), 2);
    assert!(entries.next().is_none(), "an error is the end");
}

#[test]
fn a_torn_tail_is_reported_and_not_cut() {
    let (files, _) = example();
    files.tamper(&segment(1), |bytes| bytes[4096 + 3 * 8192 + 100] ^= 1);
    let before = files.contents();
    let core = &check_on(&files).unwrap().cores[0];
    assert!(core.problem.is_none());
    assert_eq!(core.cut.as_ref().unwrap().offset, 4096 + 3 * 8192);
    assert_eq!(files.contents(), before);
}

#[test]
fn a_directory_in_use_is_refused() {
    let files = MemoryFiles::new();
    let _pair = Pair::new(&files, options());
    assert!(matches!(check_on(&files), Err(OpenError::Locked { .. })));
    assert!(matches!(records_on(files), Err(OpenError::Locked { .. })));
}

/// A start can do without them, a follower cannot.
#[test]
fn what_a_start_does_not_need_is_checked_all_the_same() {
    for file in ["sinks", "epoch-0000000001/origin"] {
        let files = MemoryFiles::new();
        DataDir::open_on(files.clone(), &options()).unwrap().sink_registry().register("one").unwrap();
        let report = wal::inspect::check_on(&files).unwrap();
        assert!(report.is_sound() && report.sinks.get("one").is_some());
        files.tamper(file, |bytes| bytes.iter_mut().for_each(|byte| *byte ^= 1));
        let report = wal::inspect::check_on(&files).unwrap();
        assert!(!report.is_sound() && report.beside[0].to_string().contains(file), "{:?}", report.beside);
        DataDir::open_on(files, &options()).unwrap();
    }
}
