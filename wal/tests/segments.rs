//! The segments of a running log at their bounds: exactly full, just begun, too few, too many.

mod common;

use common::{Pair, append, finish_all, numbers, options, record, start};
use wal::disk::Lane;
use wal::files::MemoryFiles;
use wal::{Lsn, Millis, Options, Space, limits};

/// A log without room for a closing frame is quiet without one, and wakes nobody for it.
#[test]
fn a_log_that_is_full_to_its_last_block_is_quiet() {
    let files = MemoryFiles::new();
    let (mut log, ..) = start(&files, &options()).unwrap();
    finish_all(&mut log, Millis(0)).unwrap();
    files.set_capacity(Some(0));
    // Three segments of 64 blocks, of which the first begins with an empty frame.
    for value in 1..=191 {
        append(&mut log, &record(0, value, 0));
        finish_all(&mut log, Millis(0)).unwrap();
        assert_eq!((log.durable(), log.is_quiet()), (Lsn(value), value == 191));
    }
    assert_eq!(log.next_wake(), Some(Millis(limits::SPARE_RETRY_MS)));
    finish_all(&mut log, Millis(limits::IDLE_CLOSE_MS)).unwrap();
    assert_eq!((log.stats().frames, log.stats().closing_frames, log.space()), (191, 0, Space::Exhausted));
    // What is appended all the same waits for room.
    append(&mut log, &record(0, 192, 0));
    finish_all(&mut log, Millis(limits::IDLE_CLOSE_MS)).unwrap();
    assert!(log.durable() == Lsn(191) && !log.is_quiet());
    files.set_capacity(None);
    finish_all(&mut log, Millis(limits::SPARE_RETRY_MS)).unwrap();
    assert_eq!((log.durable(), log.is_quiet()), (Lsn(192), false));
    let wake = log.next_wake().unwrap();
    finish_all(&mut log, wake).unwrap();
    assert_eq!((log.is_quiet(), log.stats().closing_frames), (true, 1));
}

/// The log never becomes empty: the last segment with durable frames stays until the next one has some.
#[test]
fn segments_go_while_the_first_write_to_a_new_one_is_in_flight() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    pair.log.keep_from(Lsn(1));
    // Seven records in the first segment, eight in the second, which is full then.
    for _ in 0..15 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    pair.snapshot();
    assert_eq!(numbers(&files, "log-"), [1, 2, 3, 4]);
    pair.log.keep_from(Lsn::MAX);
    pair.group(&[30_000]);
    pair.poll().unwrap();
    assert!(pair.log.disk().is_waiting(Lane::Write));
    while pair.log.disk_mut().finish(Lane::Jobs) {
        pair.poll().unwrap();
    }
    assert_eq!(numbers(&files, "log-")[0], 2);
    let lost = files.fork().crash(|| false);
    assert!(start(&lost, &options()).is_ok_and(|(_, _, last, _)| last == Lsn(15)));
    pair.finish_all().unwrap();
    assert_eq!(numbers(&files, "log-")[0], 3);
}

/// Where room is scarce a snapshot is due as soon as it would make a segment free, and not when it would not.
#[test]
fn a_snapshot_is_due_when_it_makes_room() {
    let files = MemoryFiles::new();
    let never = Options { snapshot_log_bytes: 1_000 * limits::SEGMENT_BYTES_MIN, ..options() };
    let mut pair = Pair::new(&files, never);
    pair.finish_all().unwrap();
    for _ in 0..20 {
        assert!(!pair.log.snapshot_due(), "there is room");
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    files.set_capacity(Some(0));
    while pair.log.space() == Space::Plenty {
        assert!(!pair.log.snapshot_due(), "there is room");
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    assert!(pair.log.snapshot_due());
    pair.log.keep_from(Lsn(1));
    assert!(!pair.log.snapshot_due(), "all of it is kept");
    pair.log.keep_from(Lsn(7));
    assert!(!pair.log.snapshot_due(), "record 7 is in the first segment");
    pair.log.keep_from(Lsn(8));
    assert!(pair.log.snapshot_due());
    files.set_capacity(None);
    pair.snapshot();
    pair.now = pair.now.after(limits::SPARE_RETRY_MS);
    pair.finish_all().unwrap();
    assert!(pair.log.space() == Space::Plenty && !pair.log.snapshot_due());
}

/// A full disk is tried again at a time, also when something else keeps the helper busy just then; nobody is woken for a time
/// that is over.
#[test]
fn a_time_that_is_over_wakes_nobody() {
    let files = MemoryFiles::new();
    let (mut log, ..) = start(&files, &options()).unwrap();
    finish_all(&mut log, Millis(0)).unwrap();
    files.set_capacity(Some(0));
    for value in 1..=8 {
        append(&mut log, &record(0, value, 30_000));
        finish_all(&mut log, Millis(0)).unwrap();
    }
    finish_all(&mut log, Millis(limits::IDLE_CLOSE_MS)).unwrap();
    let retry = Millis(limits::SPARE_RETRY_MS);
    assert_eq!((log.stats().segments_refused, log.next_wake()), (1, Some(retry)));
    log.snapshot_begin();
    log.snapshot_wants().expect("it waits for a slot").piece(0, &vec![1; 1 << 20], true);
    log.poll(Millis(retry.0 - 1)).unwrap();
    assert!(log.disk().is_waiting(Lane::Jobs));
    assert_eq!(log.next_wake(), Some(retry));
    log.poll(retry).unwrap();
    assert_eq!(log.next_wake(), None);
    // The snapshot finds the disk full too, and then it is the segment's turn.
    finish_all(&mut log, retry).unwrap();
    assert_eq!((log.stats().segments_refused, log.stats().snapshots_abandoned), (2, 1));
    files.set_capacity(None);
    finish_all(&mut log, retry.after(limits::SPARE_RETRY_MS)).unwrap();
    let again = retry.after(limits::SNAPSHOT_RETRY_MS);
    assert_eq!(log.next_wake(), Some(again));
    finish_all(&mut log, again).unwrap();
    assert_eq!(log.next_wake(), None);
}
