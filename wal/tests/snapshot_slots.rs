//! The slots of a snapshot, as a caller feeds them that keeps no state of its own about it.

mod common;

use common::{append, finish_all, options, record, start};
use wal::disk::{Lane, MemoryDisk};
use wal::files::MemoryFiles;
use wal::{Log, Millis, SnapshotState, limits};

/// A log for which a snapshot is due.
fn due() -> (MemoryFiles, Log<MemoryDisk>) {
    let files = MemoryFiles::new();
    let (mut log, ..) = start(&files, &options()).unwrap();
    finish_all(&mut log, Millis(0)).unwrap();
    assert!(log.snapshot_wants().is_none(), "none is due");
    for value in 0.. {
        if log.snapshot_due() {
            break;
        }
        append(&mut log, &record(0, value, 100_000));
        finish_all(&mut log, Millis(0)).unwrap();
    }
    (files, log)
}

/// Adds slots with images of this size while they are wanted, and ends the snapshot behind the last of `slots`.
fn feed(log: &mut Log<MemoryDisk>, slots: u16, bytes: usize) -> usize {
    let mut added = 0;
    while let Some(writer) = log.snapshot_wants() {
        let next = writer.slots() as u16;
        if next == slots {
            writer.end();
            break;
        }
        writer.piece(next, &vec![next as u8; bytes], true);
        added += 1;
    }
    added
}

#[test]
fn a_snapshot_that_is_due_takes_each_slot_and_then_nothing() {
    let (files, mut log) = due();
    assert!(!log.snapshot_awaits_slot(), "it is not begun by looking");
    assert_eq!(log.snapshot_wants().unwrap().slots(), 0);
    assert!(log.snapshot_awaits_slot());
    assert_eq!(log.snapshot_wants().unwrap().slots(), 0, "a writer that is not used changes nothing");
    assert_eq!(feed(&mut log, 5, 10), 5);
    assert_eq!(log.snapshot_state(), SnapshotState::Finishing);
    assert!(!log.snapshot_awaits_slot() && log.snapshot_wants().is_none());
    finish_all(&mut log, Millis(0)).unwrap();
    assert_eq!((log.stats().snapshots, log.snapshot_state()), (1, SnapshotState::Idle));
    assert!(log.snapshot_wants().is_none(), "it is not due again");
    drop(log);
    let core = &wal::inspect::check_on(&files).unwrap().cores[0];
    assert_eq!(core.snapshot.unwrap().slots, 5);
}

#[test]
fn slots_wait_while_the_disk_has_enough_to_write() {
    let (files, mut log) = due();
    let bytes = 100_000;
    let fits = limits::SNAPSHOT_BUFFER_BYTES_MAX.div_ceil(bytes);
    assert_eq!(feed(&mut log, 100, bytes), fits);
    assert!(!log.snapshot_awaits_slot() && log.snapshot_wants().is_none());
    assert!(matches!(log.snapshot_state(), SnapshotState::Open { .. }));
    log.poll(Millis(0)).unwrap();
    assert!(!log.snapshot_awaits_slot(), "what the disk has is not written yet");
    assert!(log.disk_mut().finish(Lane::Jobs));
    log.poll(Millis(0)).unwrap();
    assert!(log.snapshot_awaits_slot());
    assert_eq!(log.snapshot_wants().unwrap().slots(), fits, "it goes on where it was");
    let mut added = fits;
    while log.stats().snapshots == 0 {
        added += feed(&mut log, 100, bytes);
        finish_all(&mut log, Millis(0)).unwrap();
    }
    assert_eq!(added, 100);
    let core = &wal::inspect::check_on(&files.restart()).unwrap().cores[0];
    assert!(core.problem.is_none() && core.snapshot.unwrap().slots == 100, "{core:?}");
}

#[test]
fn a_snapshot_that_was_abandoned_begins_anew_with_the_first_slot() {
    let (files, mut log) = due();
    for slot in 0..2 {
        log.snapshot_wants().unwrap().piece(slot, &vec![1; 1 << 20], true);
    }
    files.set_capacity(Some(0));
    finish_all(&mut log, Millis(0)).unwrap();
    assert_eq!(log.stats().snapshots_abandoned, 1);
    assert!(!log.snapshot_awaits_slot() && log.snapshot_wants().is_none());
    files.set_capacity(None);
    let again = Millis(limits::SNAPSHOT_RETRY_MS);
    finish_all(&mut log, Millis(again.0 - 1)).unwrap();
    assert!(log.snapshot_wants().is_none());
    finish_all(&mut log, again).unwrap();
    assert_eq!(log.snapshot_wants().unwrap().slots(), 0);
    assert_eq!(feed(&mut log, 3, 10), 3);
    finish_all(&mut log, again).unwrap();
    assert_eq!(log.stats().snapshots, 1);
}
