//! The bytes of a directory written by this version, kept: a later version reads them, or refuses them by name.
//!
//! `WAL_GOLDEN=write` makes them anew, which is right only together with a new format version.

mod common;

use std::path::PathBuf;

use common::{CORE, Pair, options, read, segment, snapshot};
use wal::Lsn;
use wal::files::{File, Files, MemoryFiles};

/// The segment is kept without the zeros behind its last frame.
const SEGMENT_USED: usize = 6 * 4096;

/// One core, four groups, a snapshot after the third, a closing frame.
fn example() -> (MemoryFiles, Pair) {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    for (group, sizes) in [&[0, 3][..], &[5_000], &[1, 2, 3], &[4]].into_iter().enumerate() {
        pair.group(sizes);
        pair.finish_all().unwrap();
        if group == 2 {
            pair.snapshot();
        }
    }
    (files.restart(), pair)
}

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn check(name: &str, bytes: &[u8]) {
    let path = golden(name);
    if std::env::var_os("WAL_GOLDEN").is_some_and(|value| value == "write") {
        std::fs::write(&path, bytes).unwrap();
    }
    let kept = std::fs::read(&path).unwrap();
    let difference = kept.iter().zip(bytes).position(|(kept, now)| kept != now);
    assert!(
        kept == bytes,
        "{name} differs from byte {difference:?} on, of {} and {}",
        kept.len(),
        bytes.len()
    );
}

#[test]
fn what_is_written_is_what_was_written() {
    let (files, _) = example();
    let contents = files.contents();
    let bytes = |name: &str| contents[name].clone().unwrap();
    let log = bytes(&segment(1));
    assert!(log[SEGMENT_USED..].iter().all(|byte| *byte == 0));
    check("superblock-v1", &bytes("superblock"));
    check("segment-v1", &log[..SEGMENT_USED]);
    check("snapshot-v2", &bytes(&snapshot(1)));
}

#[test]
fn what_was_written_is_read() {
    for kept in ["snapshot-v1", "snapshot-v2"] {
        let files = MemoryFiles::new();
        let put = |name: &str, bytes: &[u8]| files.create(name).unwrap().write_at(bytes, 0).unwrap();
        for dir in ["", "epoch-0000000001", CORE] {
            files.make_dir(dir).unwrap();
        }
        let mut log = std::fs::read(golden("segment-v1")).unwrap();
        log.resize(options().segment_bytes as usize, 0);
        put("superblock", &std::fs::read(golden("superblock-v1")).unwrap());
        put(&segment(1), &log);
        put(&snapshot(1), &std::fs::read(golden(kept)).unwrap());
        let (taken, at) = read(&files, &options()).unwrap();
        let (_, pair) = example();
        assert_eq!((at.last, at.snapshot.begin, at.records), (Lsn(7), Lsn(6), 1), "{kept}");
        assert_eq!(taken.state(), pair.state, "{kept}");
    }
}
