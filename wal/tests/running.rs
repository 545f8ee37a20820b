//! A running log: batches, segments, space, snapshots, closing frames, failures.

mod common;

use common::{CORE, Pair, SLOTS, append, finish_all, finish_writes, numbers, options, record, start};
use wal::disk::Lane;
use wal::files::{Files, MemoryFiles, Trouble};
use wal::{Log, Lsn, Millis, Options, SnapshotState, Space, limits};

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

fn fresh() -> (MemoryFiles, Log<wal::disk::MemoryDisk>) {
    let files = MemoryFiles::new();
    let (log, ..) = start(&files, &options()).unwrap();
    (files, log)
}

#[test]
fn one_write_is_in_flight_and_the_next_batch_fills_meanwhile() {
    let (_, mut log) = fresh();
    finish_all(&mut log, Millis(0)).unwrap();
    assert_eq!(append(&mut log, &record(0, 1, 0)), Lsn(1));
    log.poll(Millis(0)).unwrap();
    assert!(log.disk().is_waiting(Lane::Write));
    for value in 2..=10 {
        append(&mut log, &record(0, value, 0));
        log.poll(Millis(0)).unwrap();
    }
    assert_eq!((log.appended(), log.durable()), (Lsn(10), Lsn::NONE));
    assert_eq!(log.backlog_bytes(), 8192);
    log.disk_mut().finish(Lane::Write);
    log.poll(Millis(0)).unwrap();
    assert_eq!(log.durable(), Lsn(1));
    log.disk_mut().finish(Lane::Write);
    log.poll(Millis(0)).unwrap();
    assert_eq!((log.durable(), log.backlog_bytes()), (Lsn(10), 0));
    assert_eq!((log.stats().frames, log.stats().bytes), (2, 8192));
}

#[test]
fn an_idle_log_writes_one_closing_frame() {
    let (files, mut log) = fresh();
    finish_all(&mut log, Millis(100)).unwrap();
    assert!(log.is_quiet(), "a new log is closed");
    assert_eq!(log.next_wake(), None);
    append(&mut log, &record(0, 1, 0));
    finish_all(&mut log, Millis(100)).unwrap();
    assert!(!log.is_quiet());
    let wake = log.next_wake().unwrap();
    assert_eq!(wake, Millis(100 + limits::IDLE_CLOSE_MS));
    finish_all(&mut log, Millis(wake.0 - 1)).unwrap();
    assert!(!log.is_quiet());
    finish_all(&mut log, wake).unwrap();
    assert!(log.is_quiet());
    assert_eq!((log.next_wake(), log.stats().frames, log.stats().closing_frames), (None, 2, 1));
    finish_all(&mut log, Millis(10_000)).unwrap();
    assert_eq!(log.stats().frames, 2, "one is enough");
    // The next start finds it closed, and an open one is closed after the start.
    let (log, ..) = start(&files.restart(), &options()).unwrap();
    assert!(log.is_quiet());
}

#[test]
fn a_closed_log_with_something_to_write_is_not_quiet() {
    let (_, mut log) = fresh();
    finish_all(&mut log, Millis(0)).unwrap();
    assert!(log.is_quiet());
    append(&mut log, &record(0, 1, 0));
    assert!(!log.is_quiet(), "a record waits");
    log.poll(Millis(0)).unwrap();
    assert!(log.disk().is_waiting(Lane::Write) && !log.is_quiet(), "a write is in flight");
    finish_writes(&mut log, Millis(0)).unwrap();
    assert!(!log.is_quiet(), "the closing frame is not written");
    assert_eq!(log.next_wake(), Some(Millis(limits::IDLE_CLOSE_MS)));
    append(&mut log, &record(0, 2, 0));
    assert_eq!(log.next_wake(), None, "a log that is not idle is not closed");
    log.poll(Millis(0)).unwrap();
    assert_eq!(log.next_wake(), None, "nor is one that writes");
    finish_writes(&mut log, Millis(0)).unwrap();
    finish_writes(&mut log, Millis(limits::IDLE_CLOSE_MS)).unwrap();
    assert!(log.is_quiet());
}

#[test]
fn a_log_that_was_not_closed_is_closed_after_the_start() {
    let (files, mut log) = fresh();
    append(&mut log, &record(0, 1, 0));
    finish_all(&mut log, Millis(5)).unwrap();
    let (mut log, ..) = start(&files.restart(), &options()).unwrap();
    assert!(!log.is_quiet());
    finish_all(&mut log, Millis(1_000)).unwrap();
    assert!(log.is_quiet());
}

#[test]
fn segments_follow_each_other_and_spare_ones_are_made_ahead() {
    let (files, mut log) = fresh();
    assert_eq!(numbers(&files, "log-"), [1, 2, 3]);
    for value in 1..=20 {
        append(&mut log, &record(0, value, 30_000));
        finish_all(&mut log, Millis(0)).unwrap();
    }
    assert_eq!(numbers(&files, "log-"), [1, 2, 3, 4, 5]);
    assert_eq!(log.stats().segments_created, 2);
    assert_eq!(log.space(), Space::Plenty);
}

#[test]
fn without_spare_segments_only_the_reserve_is_left_and_then_nothing() {
    let (files, mut log) = fresh();
    finish_all(&mut log, Millis(0)).unwrap();
    files.set_capacity(Some(0));
    let mut seen = vec![log.space()];
    let mut value = 0;
    while log.space() != Space::Exhausted {
        value += 1;
        append(&mut log, &record(0, value, 10_000));
        finish_all(&mut log, Millis(0)).unwrap();
        assert_eq!(log.durable(), Lsn(value), "what was taken is written");
        if seen.last() != Some(&log.space()) {
            seen.push(log.space());
        }
    }
    assert_eq!(seen, [Space::Plenty, Space::Reserve, Space::Exhausted]);
    assert_eq!(log.stats().segments_refused, 1, "tried now and then, not all the time");
    assert!(
        numbers(&files, "log-") == [1, 2, 3] && files.list(CORE).unwrap().unwrap().len() == 4,
        "no leftovers"
    );
    // A log keeps nothing that a snapshot has passed, so it is due, and makes room.
    assert!(log.snapshot_due());
    finish_all(&mut log, Millis(limits::IDLE_CLOSE_MS)).unwrap();
    let retry = log.next_wake().unwrap();
    assert_eq!(retry, Millis(limits::SPARE_RETRY_MS));
    finish_all(&mut log, retry).unwrap();
    assert_eq!((log.stats().segments_refused, log.space()), (2, Space::Exhausted));
    assert_eq!(log.next_wake(), Some(retry.after(limits::SPARE_RETRY_MS)), "never a time that is over");
    files.set_capacity(None);
    finish_all(&mut log, Millis(retry.0 + limits::SPARE_RETRY_MS)).unwrap();
    assert_eq!(log.space(), Space::Plenty);
}

#[test]
fn what_waits_counts_as_taken_room() {
    let (files, mut log) = fresh();
    finish_all(&mut log, Millis(0)).unwrap();
    files.set_capacity(Some(0));
    for value in 1..1_000 {
        append(&mut log, &record(0, value, 10_000));
        if log.space() == Space::Exhausted {
            break;
        }
    }
    assert_eq!(log.space(), Space::Exhausted);
    finish_all(&mut log, Millis(0)).unwrap();
    assert_eq!(log.durable(), log.appended(), "all that was taken before it was exhausted has room");
}

#[test]
fn a_full_disk_that_a_snapshot_can_relieve() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    pair.finish_all().unwrap();
    let taken: usize = files.contents().values().flatten().map(Vec::len).sum();
    files.set_capacity(Some(taken as u64 + 10_000));
    while pair.log.space() == Space::Plenty {
        pair.group(&[20_000]);
        pair.finish_all().unwrap();
    }
    assert!(pair.log.snapshot_due());
    pair.snapshot();
    pair.now = pair.now.after(limits::SPARE_RETRY_MS);
    pair.finish_all().unwrap();
    assert_eq!(pair.log.space(), Space::Plenty);
    assert!(pair.log.stats().segments_recycled > 0);
    pair.restart(pair.files.restart()).unwrap();
}

#[test]
fn a_snapshot_counts_when_the_log_is_durable_up_to_it() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    pair.finish_all().unwrap();
    pair.group(&[10]);
    while pair.log.snapshot_state() != SnapshotState::Finishing {
        pair.snapshot_step();
    }
    for _ in 0..10 {
        pair.poll().unwrap();
        pair.log.disk_mut().finish(Lane::Jobs);
    }
    assert_eq!(pair.log.snapshot_state(), SnapshotState::Finishing);
    assert_eq!(numbers(&files, "snapshot-"), [0]);
    pair.finish_all().unwrap();
    assert_eq!(pair.log.snapshot_state(), SnapshotState::Idle);
    assert_eq!((numbers(&files, "snapshot-"), pair.log.stats().snapshots), (vec![1], 1));
}

#[test]
fn slots_are_imaged_between_batches_and_records_go_on() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    for _ in 0..SLOTS + 2 {
        pair.group(&[10, 10, 10]);
        pair.snapshot_step();
        pair.poll().unwrap();
    }
    pair.finish_all().unwrap();
    assert_eq!(pair.log.stats().snapshots, 1);
    pair.restart(pair.files.crash(|| false)).unwrap();
}

#[test]
fn what_a_snapshot_buffers_is_told_until_the_disk_has_it() {
    let (_, mut log) = fresh();
    finish_all(&mut log, Millis(0)).unwrap();
    let buffered = |log: &Log<_>| match log.snapshot_state() {
        SnapshotState::Open { buffered_bytes } => buffered_bytes,
        other => panic!("{other:?}"),
    };
    log.snapshot_begin();
    assert_eq!(buffered(&log), 64, "the header");
    log.snapshot_wants().expect("it waits for a slot").piece(0, &[1; 1_000], true);
    assert_eq!(buffered(&log), 64 + 24 + 1_000);
    log.poll(Millis(0)).unwrap();
    assert!(!log.disk().is_waiting(Lane::Jobs), "too little for a write and a sync of its own");
    let part = (1 << 20) - (64 + 24 + 1_000 + 24);
    log.snapshot_wants().expect("it waits for a slot").piece(1, &vec![2; part], true);
    log.poll(Millis(0)).unwrap();
    assert!(log.disk().is_waiting(Lane::Jobs));
    assert_eq!(buffered(&log), 1 << 20, "in flight");
    log.snapshot_wants().expect("it waits for a slot").piece(2, &[3; 500], true);
    assert_eq!(buffered(&log), (1 << 20) + 24 + 500);
    log.disk_mut().finish(Lane::Jobs);
    log.poll(Millis(0)).unwrap();
    assert_eq!(buffered(&log), 24 + 500);
    log.snapshot_wants().expect("it waits for its end").end();
    finish_all(&mut log, Millis(0)).unwrap();
    assert_eq!(log.stats().snapshots, 1);
}

#[test]
fn old_segments_are_recycled_and_those_beyond_removed() {
    let files = MemoryFiles::new();
    let options = Options { snapshot_log_bytes: limits::SEGMENT_BYTES_MIN, ..options() };
    let mut pair = Pair::new(&files, options);
    for _ in 0..60 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    let before = numbers(&files, "log-");
    pair.snapshot();
    let after = numbers(&files, "log-");
    // The current one and three spare ones: two that are wanted, one for the log between two snapshots.
    assert!(before.len() >= 10 && after.len() == 4, "{before:?} {after:?}");
    assert_eq!(after.last().unwrap() - after[0], 3, "without a gap");
    let stats = pair.log.stats();
    assert!(stats.segments_recycled == 1 && stats.segments_removed >= 5, "{stats:?}");
    pair.restart(pair.files.restart()).unwrap();
}

#[test]
fn the_floor_from_outside_keeps_the_log() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    pair.log.keep_from(Lsn(10));
    for _ in 0..30 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    pair.snapshot();
    assert_eq!(numbers(&files, "log-")[0], 2, "record 10 is in the second segment");
    pair.log.keep_from(Lsn(1));
    pair.snapshot();
    assert_eq!(numbers(&files, "log-")[0], 2);
    pair.log.keep_from(Lsn::MAX);
    pair.finish_all().unwrap();
    assert!(numbers(&files, "log-")[0] > 3);
}

#[test]
fn a_snapshot_is_due_by_log_bytes() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    assert!(!pair.log.snapshot_due());
    let due = |pair: &mut Pair| {
        let mut groups = 0;
        while !pair.log.snapshot_due() {
            pair.group(&[30_000]);
            pair.finish_all().unwrap();
            groups += 1;
        }
        groups
    };
    let first = due(&mut pair);
    assert!((14..=17).contains(&first), "{first} frames of 32 KiB for 512 KiB");
    pair.snapshot();
    assert!(!pair.log.snapshot_due());
    assert_eq!(due(&mut pair), first.max(16));
    // What the log has grown by is known after a start too.
    pair.restart(pair.files.restart()).unwrap();
    assert!(pair.log.snapshot_due());
}

/// After a large one the log may grow by twice as much, and by no more than is set.
#[test]
fn a_snapshot_is_due_later_after_a_large_one() {
    const SEGMENT: u64 = limits::SEGMENT_BYTES_MIN;
    for (image, expected) in
        [(SEGMENT / 2, 2 * SEGMENT), (2 * SEGMENT, 4 * SEGMENT), (9 * SEGMENT, 16 * SEGMENT)]
    {
        let files = MemoryFiles::new();
        let mut pair = Pair::new(&files, options());
        pair.finish_all().unwrap();
        pair.log.snapshot_begin();
        pair.log.snapshot_wants().expect("it waits for a slot").piece(0, &vec![7; image as usize], true);
        pair.finish_all().unwrap();
        pair.log.snapshot_wants().expect("it waits for its end").end();
        pair.finish_all().unwrap();
        assert_eq!(pair.log.stats().snapshots, 1);
        let before = pair.log.stats().bytes;
        while !pair.log.snapshot_due() {
            pair.group(&[30_000]);
            pair.finish_all().unwrap();
        }
        let grown = pair.log.stats().bytes - before;
        assert!((expected..expected + (64 << 10)).contains(&grown), "{grown} of {expected}");
    }
}

#[test]
fn a_snapshot_on_a_full_disk_is_given_up_and_due_again_later() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    pair.finish_all().unwrap();
    while !pair.log.snapshot_due() {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    files.set_capacity(Some(0));
    while pair.log.snapshot_state() != SnapshotState::Finishing {
        pair.snapshot_step();
    }
    pair.finish_all().unwrap();
    assert_eq!(pair.log.snapshot_state(), SnapshotState::Idle);
    assert_eq!(pair.log.stats().snapshots_abandoned, 1);
    assert!(!pair.files.list(CORE).unwrap().unwrap().contains(&"snapshot.new".to_owned()));
    assert!(!pair.log.snapshot_due());
    assert!(pair.log.snapshot_wants().is_none(), "there is no snapshot to add to");
    files.set_capacity(None);
    pair.now = pair.log.next_wake().unwrap().max(pair.now.after(limits::SNAPSHOT_RETRY_MS));
    pair.finish_all().unwrap();
    assert!(pair.log.snapshot_due());
    pair.restart(pair.files.restart()).unwrap();
    pair.snapshot();
    assert_eq!(pair.log.stats().snapshots, 1);
}

/// Fails every changing operation of some work in turn: each is fatal, foreseen, or a snapshot given up.
fn fail_each(errno: i32, check: impl Fn(u64, Result<(), wal::DiskError>, &Pair)) {
    let begin = MemoryFiles::new();
    drop(Pair::new(&begin, options()));
    let work = |pair: &mut Pair| -> Result<(), wal::DiskError> {
        for _ in 0..12 {
            pair.group(&[30_000]);
            pair.finish_all()?;
        }
        while pair.log.snapshot_state() != SnapshotState::Finishing {
            pair.snapshot_step();
        }
        pair.finish_all()
    };
    let steps = |files: &MemoryFiles| {
        let mut pair = Pair::new(files, options());
        let before = files.steps();
        work(&mut pair).unwrap();
        before..files.steps()
    };
    for step in steps(&begin.fork()) {
        let files = begin.fork();
        let mut pair = Pair::new(&files, options());
        files.trouble(Trouble { step, errno });
        let result = work(&mut pair);
        check(step, result, &pair);
        // Whatever happened, what was reported durable comes back.
        let files = pair.files.crash(|| false);
        assert!(pair.restart(files).is_ok(), "step {step}");
    }
}

#[test]
fn a_disk_that_fails_is_fatal_or_costs_a_snapshot() {
    let fatal = std::cell::Cell::new(0);
    fail_each(EIO, |step, result, pair| match result {
        Ok(()) => assert_eq!(pair.log.stats().snapshots_abandoned, 1, "step {step}"),
        Err(_) => fatal.set(fatal.get() + 1),
    });
    assert!(fatal.get() > 20);
}

#[test]
fn a_full_disk_is_fatal_only_where_room_was_taken_before() {
    fail_each(ENOSPC, |step, result, pair| {
        let stats = pair.log.stats();
        match result {
            Ok(()) => assert_eq!(stats.segments_refused + stats.snapshots_abandoned, 1, "step {step}"),
            Err(error) => {
                let foreseen =
                    error.op == "write" && !error.file.ends_with(".new") || error.op == "sync directory";
                assert!(foreseen || error.op == "remove", "step {step}: {error}");
            }
        }
    });
}

#[test]
fn a_failed_write_is_fatal_for_good() {
    let (files, mut log) = fresh();
    finish_all(&mut log, Millis(0)).unwrap();
    append(&mut log, &record(0, 1, 0));
    files.trouble(Trouble { step: files.steps(), errno: EIO });
    log.poll(Millis(0)).unwrap();
    log.disk_mut().finish(Lane::Write);
    let error = log.poll(Millis(0)).unwrap_err();
    assert_eq!((error.op, error.source.raw_os_error()), ("write", Some(EIO)));
    assert_eq!(log.poll(Millis(1)).unwrap_err().op, "write");
    assert_eq!(log.durable(), Lsn::NONE);
}

#[test]
fn jobs_do_not_hold_up_writes() {
    let (_, mut log) = fresh();
    finish_all(&mut log, Millis(0)).unwrap();
    for value in 1..=10 {
        append(&mut log, &record(0, value, 30_000));
        finish_writes(&mut log, Millis(0)).unwrap();
    }
    assert_eq!(log.durable(), Lsn(10));
    assert!(log.disk().is_waiting(Lane::Jobs), "a spare segment is being made");
}

#[test]
fn another_segment_size_takes_over_from_the_next_segment_on() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    pair.group(&[100]);
    pair.finish_all().unwrap();
    pair.options = Options { segment_bytes: 512 << 10, snapshot_log_bytes: 1 << 20, ..options() };
    pair.restart(pair.files.restart()).unwrap();
    for _ in 0..20 {
        pair.group(&[60_000]);
        pair.finish_all().unwrap();
    }
    pair.snapshot();
    let sizes: Vec<_> = (pair.files.contents().into_iter())
        .filter(|(name, _)| name.contains("/log-"))
        .map(|(_, bytes)| bytes.unwrap().len())
        .collect();
    assert!(sizes.iter().all(|size| *size == 512 << 10), "{sizes:?}");
    pair.restart(pair.files.restart()).unwrap();
}

#[test]
#[should_panic(expected = "poll between groups")]
fn a_poll_within_a_group_is_a_bug() {
    let (_, mut log) = fresh();
    log.append(b"half");
    let _ = log.poll(Millis(0));
}

#[test]
#[should_panic(expected = "is in this snapshot already")]
fn a_slot_twice_in_a_snapshot_is_a_bug() {
    let (_, mut log) = fresh();
    log.snapshot_begin();
    log.snapshot_wants().expect("it waits for a slot").piece(1, b"", true);
    log.snapshot_wants().expect("it waits for a slot").piece(1, b"", true);
}
