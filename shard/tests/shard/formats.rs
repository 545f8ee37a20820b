//! Whole data directories of every version so far: opened, recovered into slots, and the state held against what was put in.
//!
//! The files are in `tests/golden/v1` and so on: superblock, the written part of the one segment, the snapshot. They hold the
//! golden records of the engine, the first ten of them in the snapshot. `INTERLOCK_MAKE_GOLDEN=1 cargo test -p shard formats` makes
//! those that are not there, once for each version; what is there is never touched again.

use std::path::PathBuf;

use engine::ids::SlotId;
use engine::record::Record;
use engine::state::Slot;
use shard::Recovery;
use wal::disk::{Lane, MemoryDisk};
use wal::files::{File, Files, MemoryFiles};
use wal::{DataDir, Lsn, Millis, Options, Recover, limits};

const CORE: &str = "epoch-0000000001/core-00000";
/// The slot that the golden records are of.
const SLOT: SlotId = SlotId::new(0x5a5);
/// The version that is written.
const NEWEST: u32 = 2;
/// Records in the snapshot.
const IMAGED: usize = 10;

fn options() -> Options {
    Options {
        segment_bytes: limits::SEGMENT_BYTES_MIN,
        spare_segments: 1,
        reserve_bytes: Some(limits::EXHAUSTED_BYTES + 4096),
        snapshot_log_bytes: limits::SEGMENT_BYTES_MIN,
        entropy: Some(*b"a golden data dir, and a secret., a life"),
        ..Options::default()
    }
}

/// The engine's golden records, in the order of their numbers.
fn records(version: u32) -> Vec<(Record, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../engine/tests/golden");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    // An opening that version 1 cannot say is a record of its own, not of the slot's history.
    let prefix = format!("record_v{version}_");
    let is_record = |path: &PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap();
        name.starts_with(&prefix) && !name.ends_with("_alight")
    };
    let mut records: Vec<_> = paths
        .filter(is_record)
        .map(|path| std::fs::read(path).unwrap())
        .map(|bytes| (Record::decode(&bytes).unwrap(), bytes))
        .collect();
    records.sort_by_key(|(record, _)| record.seq);
    assert!(records.len() > 2 * IMAGED);
    records
}

fn image(slot: &Slot) -> Vec<u8> {
    let mut bytes = Vec::new();
    slot.encode(&mut bytes);
    bytes
}

/// Makes the directory as this version writes it.
fn written() -> MemoryFiles {
    let files = MemoryFiles::new();
    let dir = DataDir::open_on(files.clone(), &options()).unwrap();
    let at = dir.recover(0, &mut Recovery::new(0, 1)).unwrap();
    let mut log = dir.log(0, at, MemoryDisk::new(dir.core_dir(0))).unwrap();
    let settle = |log: &mut wal::Log<MemoryDisk>, now| {
        log.poll(now).unwrap();
        while log.disk_mut().finish(Lane::Jobs) || log.disk_mut().finish(Lane::Write) {
            log.poll(now).unwrap();
        }
    };
    settle(&mut log, Millis(0));
    let mut slot = Slot::new(SLOT);
    for (number, (record, bytes)) in records(NEWEST).iter().enumerate() {
        log.append(bytes);
        log.end_group();
        slot.apply(record, &mut Vec::new());
        // Frames of one, two and three records.
        if number % 3 != 1 {
            settle(&mut log, Millis(0));
        }
        if number + 1 == IMAGED {
            log.snapshot_begin();
            slot.begin_image();
            let mut is_last = false;
            while !is_last {
                let mut piece = Vec::new();
                is_last = slot.next_piece(4_000, &mut piece);
                log.snapshot_wants().expect("it waits for a piece").piece(SLOT.get(), &piece, is_last);
            }
            log.snapshot_wants().expect("it waits for its end").end();
            settle(&mut log, Millis(0));
        }
    }
    settle(&mut log, Millis(0));
    settle(&mut log, Millis(limits::IDLE_CLOSE_MS));
    files.restart()
}

/// The files of a directory that hold something, by the names they are kept under.
const KEPT: [(&str, &str); 3] = [
    ("superblock", "superblock"),
    ("epoch-0000000001/core-00000/log-00000000000000000001", "segment"),
    ("epoch-0000000001/core-00000/snapshot-00000000000000000001", "snapshot"),
];

fn golden(version: u32, name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/v{version}")).join(name)
}

/// Without the zeros at the end.
fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    bytes
}

/// Puts the kept files of a version where they were.
fn kept(version: u32) -> MemoryFiles {
    let files = MemoryFiles::new();
    for dir in ["", "epoch-0000000001", CORE] {
        files.make_dir(dir).unwrap();
    }
    for (path, name) in KEPT {
        let mut bytes = std::fs::read(golden(version, name)).unwrap();
        if name == "segment" {
            bytes.resize(options().segment_bytes as usize, 0);
        }
        files.create(path).unwrap().write_at(&bytes, 0).unwrap();
    }
    files
}

#[test]
fn a_data_directory_of_any_version_is_opened_and_holds_what_it_held() {
    (1..=NEWEST).for_each(is_opened);
}

fn is_opened(version: u32) {
    let dir = DataDir::open_on(kept(version), &options()).unwrap();
    assert_eq!((dir.cores(), dir.epoch(), &dir.id()), (1, 1, b"a golden data di"));
    let mut recovery = Recovery::new(0, 1);
    let at = dir.recover(0, &mut recovery).unwrap();
    let all = records(version);
    assert_eq!((at.last, at.snapshot.begin), (Lsn(all.len() as u64), Lsn(IMAGED as u64)));
    assert_eq!((at.records, recovery.records(), &at.cut), ((all.len() - IMAGED) as u64, at.records, &None));
    let mut expected = Slot::new(SLOT);
    all.iter().for_each(|(record, _)| expected.apply(record, &mut Vec::new()));
    for slot in recovery.into_slots() {
        if slot.id() == SLOT {
            assert!(image(&slot) == image(&expected), "another state than the records make");
            assert_eq!(slot.seq(), all.len() as u64);
        } else {
            assert!(slot.is_blank());
        }
    }
    // And the log goes on.
    assert!(dir.log(0, at, MemoryDisk::new(dir.core_dir(0))).is_ok());
}

#[test]
fn a_data_directory_is_written_as_it_was() {
    let contents = written().contents();
    for (path, name) in KEPT {
        let now = contents[path].clone().unwrap();
        let now = if name == "segment" { trimmed(now) } else { now };
        let place = golden(NEWEST, name);
        if std::env::var_os("INTERLOCK_MAKE_GOLDEN").is_some() && !place.exists() {
            std::fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::fs::write(&place, &now).unwrap();
        }
        let kept = std::fs::read(&place).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
        let difference = kept.iter().zip(&now).position(|(kept, now)| kept != now);
        assert!(
            kept == now,
            "{name} differs from byte {difference:?} on: what is written is another format, which needs a new version, and a \
             reader for the old one"
        );
    }
}

/// Sound by themselves, and not what this core wrote at this place.
#[test]
fn what_is_not_next_or_not_of_this_core_is_refused() {
    let all = records(NEWEST);
    let mut slot = Slot::new(SLOT);
    all[..IMAGED].iter().for_each(|(record, _)| slot.apply(record, &mut Vec::new()));
    let image = image(&slot);
    let number = SLOT.get();
    let other = format!("slot {number} is not core 0's");
    assert_eq!(Recovery::new(0, 2).record(Lsn(1), &all[0].1).unwrap_err(), other);
    assert_eq!(Recovery::new(0, 2).piece(number, Lsn(1), &image).unwrap_err(), other);
    let refused = Recovery::new(0, 1).piece(4_096, Lsn(1), &image).unwrap_err();
    assert_eq!(refused, "there is no slot 4096");
    let refused = Recovery::new(0, 1).piece(number + 1, Lsn(1), &image).unwrap_err();
    assert_eq!(refused, format!("slot image: it is of slot {number}, and stands as slot {}", number + 1));

    let mut recovery = Recovery::new(0, 1);
    let refused = recovery.record(Lsn(1), &all[1].1).unwrap_err();
    assert_eq!(refused, format!("record 2 of slot {number} follows 0"));
    // What the image holds already is passed over, the next one counts, and nothing may be left out.
    recovery.piece(number, Lsn(IMAGED as u64), &image).unwrap();
    for nth in [0, IMAGED - 1, IMAGED] {
        recovery.record(Lsn(nth as u64 + 1), &all[nth].1).unwrap();
    }
    let refused = recovery.record(Lsn(IMAGED as u64 + 3), &all[IMAGED + 2].1).unwrap_err();
    assert_eq!(refused, format!("record {} of slot {number} follows {}", IMAGED + 3, IMAGED + 1));
    assert_eq!(recovery.records(), 1);
    assert_eq!(recovery.last_time(), all[IMAGED].0.time);
}

/// Its checksum is right, and no program of ours wrote it.
#[test]
fn a_record_of_a_slot_that_is_not_there_is_refused() {
    let (_, mut bytes) = records(NEWEST).remove(0);
    let slot = SLOT.get().to_le_bytes();
    let at = bytes.windows(2).rposition(|pair| pair == slot).unwrap();
    bytes[at..at + 2].copy_from_slice(&5_000_u16.to_le_bytes());
    let refused = Recovery::new(0, 1).record(Lsn(1), &bytes).unwrap_err();
    assert_eq!(refused, "there is no slot 5000");
}
