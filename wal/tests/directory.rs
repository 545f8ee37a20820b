//! Data directories: made, recognised, locked, refused without a trace, and distributed anew.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Pair, Taken, crash_everywhere, options, read, recover_all, redistribute};
use wal::disk::MemoryDisk;
use wal::files::{Files, MemoryFiles};
use wal::{DataDir, Lsn, OpenError, Options, limits};

fn temp() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Everything below a directory: names, contents, times of change.
fn everything(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let changed = path.metadata().unwrap().modified().unwrap();
        if path.is_dir() {
            all.extend(everything(&path));
            all.insert(path, (Vec::new(), changed));
        } else {
            all.insert(path.clone(), (fs::read(path).unwrap(), changed));
        }
    }
    all
}

/// The directory is refused, by start and inspection alike, and nothing in it changes.
fn check_refused(dir: &Path, expected: fn(&OpenError) -> bool) {
    let before = everything(dir);
    let error = DataDir::open(dir, &options()).map(drop).unwrap_err();
    assert!(expected(&error), "{error:?}");
    assert!(wal::inspect::check(dir).is_err());
    assert_eq!(everything(dir), before, "touched");
}

#[test]
fn an_absent_or_empty_directory_is_made() {
    let temp = temp();
    let absent = temp.path().join("data");
    for dir in [&absent, &temp.path().join("empty")] {
        let _ = fs::create_dir(dir);
        let made = DataDir::open(dir, &Options { cores: 3, entropy: None, ..options() }).unwrap();
        assert_eq!((made.cores(), made.epoch()), (3, 1));
        let (id, secret) = (made.id(), made.secret());
        assert!(id != secret && id != [0; 16]);
        drop(made);
        let opened = DataDir::open(dir, &options()).unwrap();
        assert_eq!(
            (opened.id(), opened.secret(), opened.cores()),
            (id, secret, 3),
            "the options are for new ones"
        );
        for core in 0..3 {
            let at = opened.recover(core, &mut Taken::default()).unwrap();
            assert_eq!((at.last, at.cut), (Lsn::NONE, None));
        }
    }
}

#[test]
fn id_and_secret_are_taken_from_the_given_entropy() {
    let dir = DataDir::open_on(MemoryFiles::new(), &options()).unwrap();
    assert_eq!((&dir.id(), &dir.secret()), (b"the id of a test", b", and its secret"));
}

#[test]
fn a_second_process_is_refused_by_name() {
    let temp = temp();
    let first = DataDir::open(temp.path(), &options()).unwrap();
    // Within one process a second description of the lock file stands for a second process.
    let error = DataDir::open(temp.path(), &options()).map(drop).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("in use by another process (process {})", std::process::id())), "{text}");
    assert!(matches!(wal::inspect::check(temp.path()), Err(OpenError::Locked { .. })));
    drop(first);
    DataDir::open(temp.path(), &options()).unwrap();
}

#[test]
fn a_log_keeps_the_directory_locked() {
    let files = MemoryFiles::new();
    let pair = Pair::new(&files, options());
    assert!(matches!(DataDir::open_on(files.clone(), &options()), Err(OpenError::Locked { .. })));
    drop(pair);
    DataDir::open_on(files, &options()).unwrap();
}

#[test]
fn what_is_not_ours_is_refused_untouched() {
    let temp = temp();
    fs::write(temp.path().join("notes.txt"), "mine").unwrap();
    check_refused(
        temp.path(),
        |error| matches!(error, OpenError::Foreign { found, .. } if found == "notes.txt"),
    );
    fs::write(temp.path().join("superblock"), "mine too").unwrap();
    check_refused(temp.path(), |error| matches!(error, OpenError::Damaged { offset: 0, .. }));
}

/// The names of our own directories and files do not make a directory ours.
#[test]
fn a_lock_or_an_epoch_alone_is_foreign() {
    let temp = temp();
    fs::write(temp.path().join("interlock.lock"), "").unwrap();
    fs::write(temp.path().join("notes.txt"), "mine").unwrap();
    check_refused(
        temp.path(),
        |error| matches!(error, OpenError::Foreign { found, .. } if found == "notes.txt"),
    );
    for name in ["interlock.lock", "notes.txt"] {
        fs::remove_file(temp.path().join(name)).unwrap();
    }
    fs::create_dir(temp.path().join("epoch-0000000001")).unwrap();
    check_refused(
        temp.path(),
        |error| matches!(error, OpenError::Foreign { found, .. } if found == "epoch-0000000001"),
    );
}

/// A sound directory whose superblock file is changed.
fn with_superblock(change: fn(&mut Vec<u8>)) -> tempfile::TempDir {
    let temp = temp();
    drop(DataDir::open(temp.path(), &options()).unwrap());
    let path = temp.path().join("superblock");
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    temp
}

fn as_version(copy: &mut [u8], version: u16) {
    copy[8..10].copy_from_slice(&version.to_le_bytes());
    let crc = crc32c::crc32c(&copy[..4092]);
    copy[4092..4096].copy_from_slice(&crc.to_le_bytes());
}

#[test]
fn a_later_version_is_refused_untouched() {
    let newer = |error: &OpenError| matches!(error, OpenError::Newer { version: 3, supported: 2, .. });
    let both = with_superblock(|bytes| {
        as_version(&mut bytes[..4096], 3);
        as_version(&mut bytes[4096..], 3);
    });
    check_refused(both.path(), newer);
    // Half way through an upgrade.
    check_refused(with_superblock(|bytes| as_version(&mut bytes[..4096], 3)).path(), newer);
    check_refused(with_superblock(|bytes| as_version(&mut bytes[4096..], 3)).path(), newer);
}

#[test]
fn a_damaged_superblock_is_refused_untouched() {
    let damaged = |error: &OpenError| matches!(error, OpenError::Damaged { .. });
    check_refused(
        with_superblock(|bytes| {
            bytes[20] ^= 1;
            bytes[4096 + 20] ^= 1;
        })
        .path(),
        damaged,
    );
    check_refused(with_superblock(|bytes| bytes.truncate(100)).path(), damaged);
    check_refused(with_superblock(Vec::clear).path(), damaged);
}

#[test]
fn a_superblock_of_two_directories_is_refused_untouched() {
    let temp = with_superblock(|bytes| {
        let other = MemoryFiles::new();
        let entropy = Some(*b"the id of a test, another secret, a life");
        drop(DataDir::open_on(other.clone(), &Options { entropy, ..options() }).unwrap());
        bytes[4096..].copy_from_slice(&other.contents()["superblock"].as_ref().unwrap()[4096..]);
    });
    check_refused(temp.path(), |error| matches!(error, OpenError::Damaged { offset: 4096, .. }));
}

#[test]
fn a_superblock_with_bytes_behind_it_is_not_whole() {
    let temp = with_superblock(|bytes| bytes.push(0));
    let report = wal::inspect::check(temp.path()).unwrap();
    assert!(!report.superblock_whole && report.is_sound());
}

#[test]
fn a_missing_superblock_is_refused_untouched() {
    let temp = temp();
    drop(DataDir::open(temp.path(), &options()).unwrap());
    fs::remove_file(temp.path().join("superblock")).unwrap();
    check_refused(temp.path(), |error| matches!(error, OpenError::Missing { .. }));
}

#[test]
fn one_damaged_copy_is_repaired() {
    for change in [|bytes: &mut Vec<u8>| bytes[20] ^= 1, |bytes: &mut Vec<u8>| bytes[4096 + 20] ^= 1] {
        let temp = with_superblock(change);
        let path = temp.path().join("superblock");
        let report = wal::inspect::check(temp.path()).unwrap();
        assert!(!report.superblock_whole && report.is_sound());
        let damaged = fs::read(&path).unwrap();
        drop(DataDir::open(temp.path(), &options()).unwrap());
        let repaired = fs::read(&path).unwrap();
        assert!(damaged != repaired);
        assert_eq!(repaired[16..60], repaired[4096 + 16..4096 + 60]);
        assert!(wal::inspect::check(temp.path()).unwrap().superblock_whole);
    }
}

#[test]
fn a_core_that_is_gone_is_missed() {
    let files = MemoryFiles::new();
    drop(Pair::new(&files, options()));
    for name in files.list("epoch-0000000001/core-00000").unwrap().unwrap() {
        files.remove(&format!("epoch-0000000001/core-00000/{name}")).unwrap();
    }
    assert!(matches!(read(&files, &options()), Err(OpenError::Missing { .. })));
    files.remove_dir("epoch-0000000001/core-00000").unwrap();
    assert!(matches!(read(&files, &options()), Err(OpenError::Missing { .. })));
}

#[test]
fn a_crash_while_a_directory_is_made_leaves_a_beginning() {
    let work = |files: &MemoryFiles| _ = DataDir::open_on(files.clone(), &Options { cores: 2, ..options() });
    crash_everywhere(&MemoryFiles::new(), work, |files| {
        let dir = DataDir::open_on(files, &Options { cores: 2, ..options() }).unwrap();
        assert_eq!((dir.epoch(), dir.cores()), (1, 2));
        for core in 0..2 {
            let at = dir.recover(core, &mut Taken::default()).unwrap();
            dir.log(core, at, MemoryDisk::new(dir.core_dir(core))).unwrap();
        }
    });
}

#[test]
fn redistribution_survives_a_crash_at_every_step() {
    let begin = MemoryFiles::new();
    let mut pair = Pair::new(&begin, options());
    for _ in 0..6 {
        pair.group(&[30, 5_000]);
        pair.finish_all().unwrap();
    }
    let expected = pair.state.clone();
    drop(pair);
    let begin = begin.restart();
    let mut epochs = BTreeMap::new();
    let work = |files: &MemoryFiles| _ = redistribute(files, 3);
    crash_everywhere(&begin, work, |files| {
        let dir = DataDir::open_on(files.clone(), &options()).unwrap();
        assert!(matches!((dir.epoch(), dir.cores()), (1, 1) | (2, 3)));
        *epochs.entry(dir.epoch()).or_insert(0) += 1;
        assert_eq!(recover_all(&dir).state(), expected);
        let others = files.list("").unwrap().unwrap().into_iter().filter(|name| name.starts_with("epoch-"));
        assert_eq!(others.count(), 1, "leftovers are gone");
        // And once more, from whichever it is.
        drop(dir);
        redistribute(&files, 2).unwrap();
        let dir = DataDir::open_on(files, &options()).unwrap();
        assert_eq!(dir.cores(), 2);
        assert_eq!(recover_all(&dir).state(), expected);
    });
    assert!(epochs[&1] > 10 && epochs[&2] > 10, "{epochs:?}");
}

/// A copy of the superblock that was not written in time names an epoch that is gone: the later one holds.
#[test]
fn an_older_copy_of_the_superblock_does_not_hold() {
    let files = MemoryFiles::new();
    drop(DataDir::open_on(files.clone(), &options()).unwrap());
    let before = files.contents()["superblock"].clone().unwrap();
    redistribute(&files, 2).unwrap();
    for old in [0..4096, 4096..8192] {
        let files = files.fork();
        files.tamper("superblock", |bytes| bytes[old.clone()].copy_from_slice(&before[old.clone()]));
        let report = wal::inspect::check_on(&files).unwrap();
        assert!(!report.superblock_whole && report.is_sound(), "{old:?}");
        let dir = DataDir::open_on(files, &options()).unwrap();
        assert_eq!((dir.epoch(), dir.cores()), (2, 2), "{old:?}");
        for core in 0..2 {
            dir.recover(core, &mut Taken::default()).unwrap();
        }
    }
}

#[test]
fn logs_begin_anew_after_a_redistribution() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    pair.group(&[10, 10]);
    pair.finish_all().unwrap();
    drop(pair);
    redistribute(&files, 2).unwrap();
    let dir = DataDir::open_on(files.clone(), &options()).unwrap();
    let mut taken = Taken::default();
    let at = dir.recover(1, &mut taken).unwrap();
    assert_eq!((at.last, at.snapshot.slots), (Lsn::NONE, 2));
    let mut log = dir.log(1, at, MemoryDisk::new(dir.core_dir(1))).unwrap();
    assert_eq!(common::append(&mut log, b"first"), Lsn(1));
    common::finish_all(&mut log, wal::Millis(0)).unwrap();
    assert_eq!(log.durable(), Lsn(1));
}

/// More than is written at once.
#[test]
fn large_images_are_distributed() {
    struct Images(Vec<(u16, Vec<u8>)>);
    impl wal::Recover for Images {
        fn piece(&mut self, slot: u16, _: Lsn, image: &[u8]) -> Result<(), String> {
            self.0.push((slot, image.to_vec()));
            Ok(())
        }

        fn record(&mut self, _: Lsn, _: &[u8]) -> Result<(), String> {
            Err("there is none".to_owned())
        }
    }
    let files = MemoryFiles::new();
    let image = |slot: u16| vec![slot as u8; 300_000 * (usize::from(slot) + 1)];
    let mut dir = DataDir::open_on(files, &options()).unwrap();
    dir.redistribute(1, &[Lsn::NONE], |_, sink| (0..8).try_for_each(|slot| sink.slot(slot, &image(slot))))
        .unwrap();
    let mut images = Images(Vec::new());
    dir.recover(0, &mut images).unwrap();
    assert!(images.0 == (0..8).map(|slot| (slot, image(slot))).collect::<Vec<_>>());
}

#[test]
#[should_panic(expected = "a log is running")]
fn redistributing_under_a_running_log_is_a_bug() {
    let files = MemoryFiles::new();
    let mut dir = DataDir::open_on(files, &options()).unwrap();
    let at = dir.recover(0, &mut Taken::default()).unwrap();
    let _log = dir.log(0, at, MemoryDisk::new(dir.core_dir(0))).unwrap();
    let _ = dir.redistribute(2, &[Lsn::NONE], |_, _| Ok(()));
}

#[test]
fn options_out_of_range_are_refused() {
    let check = |options: Options, expected: &str| {
        let files = MemoryFiles::new();
        let error = DataDir::open_on(files.clone(), &options).map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(files.contents().is_empty());
    };
    check(Options { cores: 0, ..options() }, "cores must be 1 to 1024");
    check(Options { segment_bytes: 4096, ..options() }, "segment_bytes must be 262144 to");
    check(Options { segment_bytes: (256 << 10) + 512, ..options() }, "multiple of 4096");
    check(Options { spare_segments: 0, ..options() }, "spare_segments must be 1 to 64");
    check(Options { reserve_bytes: Some(0), ..options() }, "reserve_bytes must be more than");
    check(Options { reserve_bytes: Some(1 << 20), ..options() }, "not be more than all spare");
    check(Options { snapshot_log_bytes: 1, ..options() }, "snapshot_log_bytes must be at least");
}

/// Of what is refused for the last of the options alone all others are in range.
#[test]
fn options_at_their_bounds_are_taken() {
    const SEGMENT: u64 = limits::SEGMENT_BYTES_MIN;
    let check = |options: Options, expected: &str| {
        let opened = DataDir::open_on(MemoryFiles::new(), &Options { snapshot_log_bytes: 1, ..options });
        let error = opened.map(drop).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let good = "snapshot_log_bytes must be";
    for (cores, expected) in [(1, good), (limits::CORES_MAX, good), (limits::CORES_MAX + 1, "cores must be")]
    {
        check(Options { cores, ..options() }, expected);
    }
    for (segment_bytes, expected) in [
        (SEGMENT - 4096, "segment_bytes must be 262144"),
        (SEGMENT, good),
        (limits::SEGMENT_BYTES_MAX, good),
        (limits::SEGMENT_BYTES_MAX + 4096, "segment_bytes must be 262144"),
    ] {
        check(Options { segment_bytes, ..options() }, expected);
    }
    let most = limits::SPARE_SEGMENTS_MAX;
    for (spare_segments, expected) in [(1, good), (most, good), (most + 1, "spare_segments must be")] {
        check(Options { spare_segments, ..options() }, expected);
    }
    for (reserve, expected) in [
        (limits::EXHAUSTED_BYTES, "reserve_bytes must be more"),
        (limits::EXHAUSTED_BYTES + 1, good),
        (2 * SEGMENT, good),
        (2 * SEGMENT + 1, "reserve_bytes must not be more"),
    ] {
        check(Options { reserve_bytes: Some(reserve), spare_segments: 2, ..options() }, expected);
    }
    let least = Options { snapshot_log_bytes: SEGMENT, ..options() };
    assert!(DataDir::open_on(MemoryFiles::new(), &least).is_ok());
}

#[test]
fn what_options_leave_open_follows_from_the_segments() {
    const SEGMENT: u64 = limits::SEGMENT_BYTES_MIN;
    assert_eq!(Options { reserve_bytes: None, ..options() }.reserve(), SEGMENT);
    assert_eq!(Options { reserve_bytes: Some(7), ..options() }.reserve(), 7);
    // Those that are wanted, and as many as the log grows by between two snapshots at most; of these not more than 1,024.
    for (least, most, expected) in [
        (SEGMENT, SEGMENT, 3 + 1),
        (SEGMENT, 2 * SEGMENT, 3 + 2),
        (2 * SEGMENT + 1, SEGMENT, 3 + 3),
        (SEGMENT, 5_000 * SEGMENT, 3 + 1_024),
    ] {
        let (snapshot_log_bytes, snapshot_log_bytes_max) = (least, most);
        let options = Options { snapshot_log_bytes, snapshot_log_bytes_max, spare_segments: 3, ..options() };
        assert_eq!(options.spares_kept_max(), expected);
    }
}
