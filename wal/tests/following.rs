//! Followers of a log: they get every record once, in order, none before it is durable, and notice what is gone or damaged.

mod common;

use common::{Pair, beginning, chance, finish_all, options, record, redistribute, segment};
use wal::files::MemoryFiles;
use wal::follow::{Cursor, FollowError, Follower, Reach, earliest, read_snapshot};
use wal::{DataDir, Lsn, Millis, Options, Recover as _, limits};

/// Everything that a follower of core 0 gives, up to what is durable.
fn follow(follower: &mut Follower<MemoryFiles>, reach: Reach) -> Result<Vec<(Lsn, Vec<u8>)>, FollowError> {
    let mut given = Vec::new();
    while let Some(records) = follower.next(&[reach])? {
        let first = records.first.0;
        given.extend((first..).map(Lsn).zip(records.map(<[u8]>::to_vec)));
    }
    Ok(given)
}

fn follower(files: &MemoryFiles, cursor: &Cursor) -> Follower<MemoryFiles> {
    Follower::new(files.clone(), cursor.clone(), cursor).unwrap()
}

/// The log is written, snapshotted, pruned, restarted and crashed; a follower comes by now and then, and is itself begun anew from its
/// cursor. What it got is at every moment what was durable.
#[test]
fn a_follower_gets_what_is_durable_in_order() {
    let mut passed = [0; 4];
    for seed in 0..150 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut files = MemoryFiles::new();
        let mut cursor = beginning(&files);
        let mut pair = Pair::new(&files, options());
        let mut following = follower(&files, &cursor);
        let mut given = Vec::new();
        for _ in 0..200 {
            match rng.u8(..12) {
                0..=3 => pair.group(&[rng.usize(..200), rng.usize(..9_000)][..rng.usize(1..3)]),
                4 => pair.group(&[rng.usize(..100_000)]),
                5 => {
                    _ = pair
                        .log
                        .disk_mut()
                        .finish(*rng.choice([wal::disk::Lane::Write, wal::disk::Lane::Jobs].iter()).unwrap())
                }
                6 => {
                    pair.now = pair.now.after(limits::IDLE_CLOSE_MS);
                    pair.finish_all().unwrap();
                }
                7 if chance(&mut rng, 30) => {
                    pair.finish_all().unwrap();
                    if pair.log.snapshot_state() != wal::SnapshotState::Finishing {
                        pair.snapshot();
                    }
                }
                7 => pair.snapshot_step(),
                8 if chance(&mut rng, 10) => {
                    let lost = files.crash(|| chance(&mut rng, 50));
                    pair.restart(lost.clone()).unwrap();
                    files = lost;
                    following = follower(&files, &cursor);
                    passed[0] += 1;
                }
                9 if chance(&mut rng, 50) => following = follower(&files, &cursor),
                _ => {
                    let before = given.len();
                    given.extend(follow(&mut following, pair.log.reach()).unwrap());
                    cursor = following.cursor().clone();
                    assert_eq!(cursor.cores[0], pair.log.durable());
                    passed[1] += usize::from(given.len() > before);
                    passed[2] += usize::from(given.len() == before);
                }
            }
            pair.poll().unwrap();
            pair.log.keep_from(cursor.cores[0].next());
        }
        given.extend(follow(&mut following, pair.log.reach()).unwrap());
        passed[3] += pair.log.stats().segments_recycled as usize;
        let durable = pair.log.durable();
        let expected = (1..).map(Lsn).zip(pair.history.iter().cloned()).take(durable.0 as usize);
        assert!(given == expected.collect::<Vec<_>>(), "seed {seed}");
    }
    assert!(passed.iter().all(|count| *count > 3), "crashes, gains, empty looks, recycled: {passed:?}");
}

/// What a follower gives is durable even where more is written already: bytes beyond the reach are not looked at.
#[test]
fn what_is_written_and_not_durable_is_not_given() {
    let files = MemoryFiles::new();
    let cursor = beginning(&files);
    let mut pair = Pair::new(&files, options());
    pair.group(&[10]);
    pair.finish_all().unwrap();
    let reach = pair.log.reach();
    pair.group(&[10]);
    pair.finish_all().unwrap();
    let mut following = follower(&files, &cursor);
    assert_eq!(follow(&mut following, reach).unwrap().len(), 1);
    assert_eq!(follow(&mut following, reach).unwrap().len(), 0);
    assert_eq!(follow(&mut following, pair.log.reach()).unwrap().len(), 1);
}

#[test]
fn a_look_at_the_end_reads_nothing() {
    let files = MemoryFiles::new();
    let cursor = beginning(&files);
    let mut pair = Pair::new(&files, options());
    pair.group(&[10, 20]);
    pair.finish_all().unwrap();
    let mut following = follower(&files, &cursor);
    follow(&mut following, pair.log.reach()).unwrap();
    let before = files.reads();
    assert!(follow(&mut following, pair.log.reach()).unwrap().is_empty());
    assert_eq!(files.reads(), before);
}

#[test]
fn a_cursor_in_the_middle_of_a_frame_goes_on_there() {
    let files = MemoryFiles::new();
    let beginning = beginning(&files);
    let mut pair = Pair::new(&files, options());
    pair.group(&[1, 2, 3]);
    pair.group(&[4, 5]);
    pair.finish_all().unwrap();
    for after in 0..=5 {
        let cursor = Cursor { cores: vec![Lsn(after)], ..beginning.clone() };
        let given = follow(&mut follower(&files, &cursor), pair.log.reach()).unwrap();
        let numbers: Vec<_> = given.iter().map(|(lsn, _)| lsn.0).collect();
        assert_eq!(numbers, (after + 1..=5).collect::<Vec<_>>());
    }
}

/// A follower for whom nothing is kept learns which record is the first that it cannot have.
#[test]
fn what_was_recycled_is_gone_by_name() {
    let files = MemoryFiles::new();
    let cursor = beginning(&files);
    let mut pair = Pair::new(&files, options());
    let mut early = follower(&files, &cursor);
    pair.group(&[10]);
    pair.finish_all().unwrap();
    follow(&mut early, pair.log.reach()).unwrap();
    while pair.log.stats().segments_recycled < 3 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
        pair.snapshot();
    }
    // Its segment is another one now, under another name; it had read some of it before.
    let error = follow(&mut early, pair.log.reach()).unwrap_err();
    assert!(matches!(error, FollowError::Gone { core: 0, missing } if missing > Lsn(1)), "{error}");
    let error = follow(&mut follower(&files, &cursor), pair.log.reach()).unwrap_err();
    assert!(matches!(error, FollowError::Gone { core: 0, missing: Lsn(1) }), "{error}");
}

#[test]
fn damage_within_the_reach_is_reported_where_it_is() {
    let files = MemoryFiles::new();
    let cursor = beginning(&files);
    let mut pair = Pair::new(&files, options());
    for _ in 0..3 {
        pair.group(&[100]);
        pair.finish_all().unwrap();
    }
    // The log begins with an empty frame. Each frame has a header of 96 bytes and a record of 114 with its length.
    for (frame, at) in [(1, 0), (1, 8), (1, 60), (1, 95), (2, 40), (2, 96), (2, 150), (2, 209), (3, 100)] {
        let files = files.fork();
        let offset = frame * 4096 + at;
        files.tamper(&segment(1), |bytes| bytes[offset] ^= 4);
        let error = follow(&mut follower(&files, &cursor), pair.log.reach()).unwrap_err();
        assert!(
            matches!(&error, FollowError::Damaged { file, offset, .. }
                if file.ends_with("log-00000000000000000001") && *offset == frame as u64 * 4096),
            "byte {at} of frame {frame}: {error}"
        );
    }
}

#[test]
fn a_file_that_cannot_be_read_is_neither_gone_nor_the_end() {
    let files = MemoryFiles::new();
    let cursor = beginning(&files);
    let mut pair = Pair::new(&files, options());
    pair.group(&[100]);
    pair.finish_all().unwrap();
    let mut following = follower(&files, &cursor);
    files.fail_read(files.reads() + 1, 5);
    let error = follow(&mut following, pair.log.reach()).unwrap_err();
    assert!(matches!(error, FollowError::Unreadable(_)), "{error}");
    assert_eq!(follow(&mut following, pair.log.reach()).unwrap().len(), 1, "and goes on");
}

/// Three epochs of one, three and two cores, two of them over: a follower that comes late gets all of it, an epoch after the other.
#[test]
fn a_follower_goes_through_the_epochs_that_are_kept() {
    let files = MemoryFiles::new();
    let cursor = beginning(&files);
    register(&files);
    let write = |core: u16, values: std::ops::Range<u64>| {
        let dir = DataDir::open_on(files.clone(), &options()).unwrap();
        let at = dir.recover(core, &mut common::Taken::default()).unwrap();
        let mut log = dir.log(core, at, wal::disk::MemoryDisk::new(dir.core_dir(core))).unwrap();
        for value in values {
            common::append(&mut log, &record(core, value, 3_000));
            finish_all(&mut log, Millis(1)).unwrap();
        }
        log.reach()
    };
    write(0, 1..200);
    redistribute(&files, 3).unwrap();
    write(0, 200..205);
    write(2, 205..300);
    redistribute(&files, 2).unwrap();
    let reach = [write(0, 300..302), write(1, 302..310)];
    let newest = beginning(&files);
    assert_eq!(newest.epoch, 3);

    let beginning_of_all = cursor.clone();
    let mut following = Follower::new(files.clone(), cursor, &newest).unwrap();
    let (mut given, mut places) = (Vec::new(), Vec::new());
    while let Some(records) = following.next(&reach).unwrap() {
        let (core, values): (u16, Vec<_>) = (
            records.core,
            records.map(|record| u64::from_le_bytes(record[2..10].try_into().unwrap())).collect(),
        );
        given.extend(values);
        places.push((following.cursor().clone(), given.len()));
        assert!(core < 3);
    }
    let mut sorted = given.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..310).collect::<Vec<_>>());
    assert!(given[..199].is_sorted(), "the first epoch comes first");
    assert!(given[199..299].iter().all(|value| (200..300).contains(value)), "then the second");
    // Any read fails once: it says so, and goes on as if nothing had been.
    for nth in 1.. {
        let files = files.fork();
        let mut other = Follower::new(files.clone(), beginning_of_all.clone(), &newest).unwrap();
        files.fail_read(files.reads() + nth, 5);
        let (mut count, mut failures) = (0, 0);
        loop {
            match other.next(&reach) {
                Ok(Some(records)) => count += records.count(),
                Ok(None) => break,
                Err(error) => {
                    assert!(matches!(error, FollowError::Unreadable(_)), "{error}");
                    failures += 1;
                }
            }
        }
        assert_eq!(count, given.len(), "read {nth}");
        if failures == 0 {
            assert!(nth > 10);
            break;
        }
    }
    // From every place that it was in, another one gets the rest.
    for (place, so_far) in places {
        let mut other = Follower::new(files.clone(), place, &newest).unwrap();
        let mut rest = 0;
        while let Some(records) = other.next(&reach).unwrap() {
            rest += records.count();
        }
        assert_eq!(so_far + rest, given.len());
    }
}

fn register(files: &MemoryFiles) {
    let dir = DataDir::open_on(files.clone(), &options()).unwrap();
    dir.sink_registry().register("late").unwrap();
}

#[test]
fn a_cursor_that_is_not_of_this_directory_is_refused_by_name() {
    let files = MemoryFiles::new();
    let newest = beginning(&files);
    let check = |cursor: Cursor, expected: fn(&FollowError) -> bool| {
        let error = Follower::new(files.clone(), cursor, &newest).unwrap_err();
        assert!(expected(&error), "{error}");
    };
    check(Cursor { directory: [0; 16], ..newest.clone() }, |e| matches!(e, FollowError::OtherDirectory));
    check(Cursor { life: 1, ..newest.clone() }, |e| matches!(e, FollowError::OtherLife));
    check(Cursor { epoch: 2, ..newest.clone() }, |e| matches!(e, FollowError::Ahead { epoch: 2, newest: 1 }));
    check(Cursor { epoch: 0, ..newest.clone() }, |e| matches!(e, FollowError::EpochGone { epoch: 0 }));
    let cores = vec![Lsn::NONE; 2];
    check(Cursor { cores, ..newest.clone() }, |e| matches!(e, FollowError::OtherCores { epoch: 1 }));
}

#[test]
fn an_epoch_that_nobody_kept_is_gone_by_name() {
    let files = MemoryFiles::new();
    let cursor = beginning(&files);
    let mut pair = Pair::new(&files, options());
    pair.group(&[10]);
    pair.finish_all().unwrap();
    drop(pair);
    redistribute(&files, 2).unwrap();
    let newest = beginning(&files);
    let mut late = Follower::new(files.clone(), cursor.clone(), &newest).unwrap();
    let error = late.next(&[Reach::NOTHING; 2]).unwrap_err();
    assert!(matches!(error, FollowError::Gone { core: 0, missing: Lsn(1) }), "{error}");
    // What had no more records is not missed.
    let end = Cursor { cores: vec![Lsn(1)], ..cursor.clone() };
    let mut done = Follower::new(files.clone(), end, &newest).unwrap();
    assert!(done.next(&[Reach::NOTHING; 2]).unwrap().is_none());
    assert_eq!(*done.cursor(), newest);
    redistribute(&files, 1).unwrap();
    let error = Follower::new(files.clone(), cursor, &beginning(&files)).unwrap_err();
    assert!(matches!(error, FollowError::EpochGone { epoch: 1 }), "{error}");
}

/// An hour of small frames, each of a block of its own, under a budget of eight segments: what every follower has goes in time.
#[test]
fn a_small_budget_is_enough_for_followers_that_keep_up() {
    const SEGMENT: u64 = limits::SEGMENT_BYTES_MIN;
    let files = MemoryFiles::new();
    let cursor = beginning(&files);
    let budget = Options {
        budget_bytes: 8 * SEGMENT,
        keep_ms: 72 * 3_600_000,
        snapshot_log_bytes: 1_000 * SEGMENT,
        snapshot_log_bytes_max: 1_000 * SEGMENT,
        ..options()
    };
    let mut pair = Pair::new(&files, budget);
    let mut following = follower(&files, &cursor);
    let mut followed = 0;
    for second in 0..3_600 {
        pair.now = pair.now.after(1_000);
        pair.group(&[100]);
        pair.finish_all().unwrap();
        if pair.log.snapshot_due() {
            pair.snapshot();
        }
        followed += follow(&mut following, pair.log.reach()).unwrap().len();
        pair.log.keep_from(following.cursor().cores[0].next());
        assert_eq!(pair.log.space(), wal::Space::Plenty, "after {second} seconds");
        assert!(pair.log.kept_bytes() <= 8 * SEGMENT, "{} bytes", pair.log.kept_bytes());
        // Far from the share of the budget at which somebody is called.
        assert!(pair.log.needed_bytes() <= 5 * SEGMENT, "{} bytes", pair.log.needed_bytes());
    }
    assert_eq!(followed, 3_600);
    // What nobody needs is not thrown away before there is a reason to.
    assert!(pair.log.kept_bytes() >= 7 * SEGMENT);
}

/// What is needed reaches the budget: no new sale. What holds it up lets go, and all is well again.
#[test]
fn a_follower_that_stands_still_stops_new_sales_and_nothing_else() {
    const SEGMENT: u64 = limits::SEGMENT_BYTES_MIN;
    let files = MemoryFiles::new();
    let budget = Options { budget_bytes: 6 * SEGMENT, keep_ms: 1 << 40, ..options() };
    let mut pair = Pair::new(&files, budget);
    pair.log.keep_from(Lsn(3));
    let step = |pair: &mut Pair| {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
        if pair.log.snapshot_due() {
            pair.snapshot();
        }
    };
    while pair.log.space() == wal::Space::Plenty {
        assert!(pair.log.needed_bytes() < 6 * SEGMENT);
        step(&mut pair);
    }
    assert!(pair.log.needed_bytes() >= 6 * SEGMENT && pair.log.is_kept_for_followers());
    // Payments and the like go on, beyond the budget.
    for _ in 0..20 {
        step(&mut pair);
        assert_eq!(pair.log.space(), wal::Space::Reserve);
    }
    pair.log.keep_from(pair.log.durable().next());
    pair.finish_all().unwrap();
    pair.snapshot();
    assert_eq!(pair.log.space(), wal::Space::Plenty);
    assert!(pair.log.kept_bytes() <= 6 * SEGMENT, "{}", pair.log.kept_bytes());
}

/// Kept for its time, and not longer.
#[test]
fn what_nobody_needs_goes_after_its_time() {
    let files = MemoryFiles::new();
    let hour = Options { keep_ms: 3_600_000, ..options() };
    let mut pair = Pair::new(&files, hour);
    for _ in 0..30 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    pair.snapshot();
    let kept = common::numbers(&files, "log-");
    assert_eq!(kept[0], 1, "nothing is gone");
    pair.now = pair.now.after(3_599_000);
    pair.finish_all().unwrap();
    assert_eq!(common::numbers(&files, "log-")[0], 1);
    pair.now = pair.now.after(1_000);
    pair.finish_all().unwrap();
    // The last one full is followed by the one that is written.
    assert_eq!(pair.log.needed_bytes() / limits::SEGMENT_BYTES_MIN, 0);
    assert!(common::numbers(&files, "log-")[0] >= 4, "{:?}", common::numbers(&files, "log-"));
}

/// On a full disk what nobody needs makes room, before its time.
#[test]
fn what_nobody_needs_makes_room_on_a_full_disk() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, Options { keep_ms: 1 << 40, ..options() });
    for _ in 0..30 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    pair.snapshot();
    files.set_capacity(Some(0));
    for _ in 0..100 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
        assert_eq!(pair.log.space(), wal::Space::Plenty);
        if pair.log.appended().0.is_multiple_of(20) {
            files.set_capacity(None);
            pair.snapshot();
            files.set_capacity(Some(0));
        }
    }
    assert!(pair.log.stats().segments_recycled > 5);
}

/// What is left of the log, whether the directory is open or not.
#[test]
fn the_earliest_place_is_before_the_first_record_that_is_there() {
    let files = MemoryFiles::new();
    let newest = beginning(&files);
    let mut pair = Pair::new(&files, options());
    for _ in 0..20 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    assert_eq!(earliest(&files, &newest).unwrap(), newest);
    pair.snapshot();
    let place = earliest(&files, &newest).unwrap();
    assert_eq!(place.cores, [Lsn(15)], "seven records in the first segment, eight in the second");
    let given = follow(&mut follower(&files, &place), pair.log.reach()).unwrap();
    assert_eq!(given.len(), 5);
    drop(pair);
    let stopped = wal::inspect::stopped(&files).unwrap();
    assert_eq!((&stopped.newest, stopped.reach[0].lsn), (&newest, Lsn(20)));
    assert_eq!(follow(&mut follower(&files, &place), stopped.reach[0]).unwrap(), given);
    drop(stopped);
    register(&files);
    redistribute(&files, 2).unwrap();
    let second = beginning(&files);
    assert_eq!(earliest(&files, &second).unwrap(), place, "the epoch before is kept");
    DataDir::open_on(files.clone(), &options()).unwrap().sink_registry().detach("late").unwrap();
    assert_eq!(earliest(&files, &second).unwrap(), second);
}

/// A snapshot is read while the log goes on; what comes behind its beginning makes it what the log says.
#[test]
fn a_snapshot_and_what_follows_it_are_the_state() {
    let files = MemoryFiles::new();
    let newest = beginning(&files);
    let mut pair = Pair::new(&files, options());
    pair.log.keep_from(Lsn(1));
    for round in 0..4 {
        for _ in 0..9 {
            pair.group(&[20, 3_000]);
            pair.finish_all().unwrap();
        }
        let mut taken = common::Taken::default();
        let begin = read_snapshot(&files, &newest, 0, &mut taken).unwrap();
        assert_eq!(begin.0 > 0, round > 0);
        let place = Cursor { cores: vec![begin], ..newest.clone() };
        for (lsn, record) in follow(&mut follower(&files, &place), pair.log.reach()).unwrap() {
            taken.record(lsn, &record).unwrap();
        }
        assert_eq!(taken.state(), pair.state);
        pair.snapshot();
    }
}
