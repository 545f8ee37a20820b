//! The bytes of a directory written by this version, kept: a later version reads them, or refuses them by name.
//!
//! `WAL_GOLDEN=write` makes them anew, which is right only together with a new format version.

mod common;

use std::path::PathBuf;

use common::{CORE, Pair, options, read, segment, snapshot};
use wal::files::{File, Files, MemoryFiles};
use wal::{DataDir, Lsn};

/// The segment is kept without the zeros behind its last frame.
const SEGMENT_USED: usize = 6 * 4096;

/// One core, four groups, a snapshot after the third, a closing frame.
fn example() -> (MemoryFiles, Pair) {
    let files = MemoryFiles::new();
    {
        let mut sinks = DataDir::open_on(files.clone(), &options()).unwrap().sink_registry();
        sinks.register("read-model").unwrap();
        sinks.rely("read-model", &sinks.beginning()).unwrap();
        sinks.register("kafka").unwrap();
        sinks.set_log_budget(1 << 30).unwrap();
        sinks.set_read_model_bytes(1 << 31).unwrap();
    }
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
    check("superblock-v2", &bytes("superblock"));
    check("origin-v1", &bytes("epoch-0000000001/origin"));
    check("sinks-v1", &bytes("sinks"));
    check("segment-v1", &log[..SEGMENT_USED]);
    check("snapshot-v2", &bytes(&snapshot(1)));
}

#[test]
fn what_was_written_is_read() {
    let versions = [
        ("snapshot-v1", "superblock-v1", None),
        ("snapshot-v2", "superblock-v1", None),
        ("snapshot-v2", "superblock-v2", Some(("origin-v1", "sinks-v1"))),
    ];
    for (kept, superblock, others) in versions {
        let files = MemoryFiles::new();
        let put = |name: &str, bytes: &[u8]| files.create(name).unwrap().write_at(bytes, 0).unwrap();
        for dir in ["", "epoch-0000000001", CORE] {
            files.make_dir(dir).unwrap();
        }
        let mut log = std::fs::read(golden("segment-v1")).unwrap();
        log.resize(options().segment_bytes as usize, 0);
        put("superblock", &std::fs::read(golden(superblock)).unwrap());
        if let Some((origin, sinks)) = others {
            put("epoch-0000000001/origin", &std::fs::read(golden(origin)).unwrap());
            put("sinks", &std::fs::read(golden(sinks)).unwrap());
        }
        put(&segment(1), &log);
        put(&snapshot(1), &std::fs::read(golden(kept)).unwrap());
        let (taken, at) = read(&files, &options()).unwrap();
        let (_, pair) = example();
        assert_eq!((at.last, at.snapshot.begin, at.records), (Lsn(7), Lsn(6), 1), "{kept}");
        assert_eq!(taken.state(), pair.state, "{kept}");
        assert_eq!(at.snapshot.is_of_earlier_version(), kept == "snapshot-v1");
        let dir = DataDir::open_on(files, &options()).unwrap();
        let sinks = dir.sink_registry();
        assert_eq!(sinks.problem(), None);
        match others {
            None => assert_eq!((dir.life(), sinks.sinks().sinks.len()), (0, 0)),
            Some(_) => {
                assert_eq!(dir.life(), u64::from_le_bytes(*b", a life"));
                let names: Vec<_> = sinks.sinks().sinks.iter().map(|sink| &sink.name[..]).collect();
                assert_eq!(names, ["read-model", "kafka"]);
                assert_eq!(sinks.sinks().sinks[0].relied, Some(dir.beginning()));
                assert_eq!(sinks.sinks().log_budget_bytes, Some(1 << 30));
                assert_eq!(sinks.sinks().read_model_bytes, Some(1 << 31));
            }
        }
    }
}
