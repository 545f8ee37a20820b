//! Crashes: whatever was reported durable comes back, in order, whole groups, and nothing else.

mod common;

use common::{Pair, chance, options};
use wal::Options;
use wal::disk::Lane;
use wal::files::MemoryFiles;
use wal::{OpenError, SnapshotState};

/// Random work for a while: groups, completions in any order, snapshots, time. Ends early when the disk stops.
fn work(pair: &mut Pair, rng: &mut fastrand::Rng, turns: u64) {
    for _ in 0..turns {
        let room = pair.log.space() != wal::Space::Exhausted && pair.log.backlog_bytes() < 300_000;
        match rng.u8(..10) {
            0..=2 if room => {
                let records = rng.u8(1..4);
                let sizes: Vec<_> = (0..records)
                    .map(|_| if chance(rng, 20) { rng.usize(..30_000) } else { rng.usize(..200) })
                    .collect();
                pair.group(&sizes);
            }
            3..=5 => _ = pair.log.disk_mut().finish(Lane::Write),
            6 | 7 => _ = pair.log.disk_mut().finish(Lane::Jobs),
            8 => {
                if pair.log.snapshot_due()
                    || pair.log.snapshot_state() != SnapshotState::Idle
                    || chance(rng, 5)
                {
                    pair.snapshot_step();
                }
            }
            _ => pair.now = pair.now.after(rng.u64(..30)),
        }
        if pair.poll().is_err() {
            return;
        }
    }
}

/// One life after the other, each ended by a crash at some step, with some part of what was not durable surviving.
fn lives(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, Options { spare_segments: rng.u32(1..3), ..options() });
    for _ in 0..6 {
        if chance(&mut rng, 70) {
            pair.files.stop_at(pair.files.steps() + rng.u64(..60));
        }
        let turns = rng.u64(20..220);
        work(&mut pair, &mut rng, turns);
        crash_until_started(&mut pair, &mut rng);
    }
    // At last without a crash: all that was appended comes back.
    pair.files.stop_at(u64::MAX);
    pair.finish_all().unwrap();
    assert_eq!(pair.log.durable(), pair.log.appended());
    pair.restart(pair.files.restart()).unwrap();
}

/// Crashes, and starts again until a start is not cut short by the next crash.
fn crash_until_started(pair: &mut Pair, rng: &mut fastrand::Rng) {
    loop {
        let survives = [0, 10, 50, 90, 100][rng.usize(..5)];
        let files = if chance(rng, 15) {
            pair.files.restart()
        } else {
            let mut torn = rng.fork();
            pair.files.crash(|| chance(&mut torn, survives))
        };
        if chance(rng, 30) {
            files.stop_at(files.steps() + rng.u64(..12));
        }
        match pair.restart(files) {
            Ok(()) => return,
            Err(OpenError::Io { source, .. }) => {
                assert_eq!(source.kind(), std::io::ErrorKind::Other, "{source}");
            }
            Err(error) => panic!("refused: {error}"),
        }
    }
}

#[test]
fn lives_that_end_in_crashes() {
    let only: Option<u64> = std::env::var("WAL_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let seeds = only.map_or(0..120, |seed| seed..seed + 1);
    for seed in seeds {
        let result = std::panic::catch_unwind(|| lives(seed));
        if let Err(panic) = result {
            eprintln!("again: WAL_SEED={seed} cargo test -p wal --test crash lives");
            std::panic::resume_unwind(panic);
        }
    }
}

/// A fixed story with a segment change, a snapshot, and recycling.
fn story(pair: &mut Pair) -> Result<(), wal::DiskError> {
    for round in 0..3 {
        for size in [100, 30_000, 0, 60_000] {
            pair.group(&[size, 10]);
            pair.poll()?;
            pair.log.disk_mut().finish(Lane::Write);
            pair.poll()?;
        }
        loop {
            pair.snapshot_step();
            pair.poll()?;
            pair.log.disk_mut().finish(Lane::Jobs);
            if pair.snapshot_slots().is_none() {
                break;
            }
        }
        pair.now = pair.now.after(50 + round);
        pair.finish_all()?;
        pair.group(&[50]);
        pair.poll()?;
    }
    Ok(())
}

#[test]
fn a_crash_at_every_step_of_a_story() {
    let begin = MemoryFiles::new();
    drop(Pair::new(&begin, options()));
    let begin_steps = begin.steps();
    let steps = {
        let files = begin.fork();
        let mut pair = Pair::new(&files, options());
        story(&mut pair).unwrap();
        assert!(pair.log.stats().snapshots >= 3 && pair.log.stats().segments_recycled > 0);
        files.steps() - begin_steps
    };
    for step in 0..=steps {
        for pattern in 0..5 {
            let files = begin.fork();
            files.stop_at(begin_steps + step);
            // A start may be cut short as well.
            drop(common::start(&files, &options()));
            let files = files.restart();
            let at = files.steps();
            let mut pair = Pair::new(&files, options());
            files.stop_at(at + step);
            let _ = story(&mut pair);
            let mut rng = fastrand::Rng::with_seed(step * 5 + pattern);
            let files = pair.files.crash(|| match pattern {
                0 => false,
                1 => true,
                _ => chance(&mut rng, 50),
            });
            let result = pair.restart(files);
            assert!(result.is_ok(), "step {step}, pattern {pattern}: {result:?}");
            // And it goes on from there.
            pair.group(&[20_000]);
            pair.finish_all().unwrap();
            let files = pair.files.crash(|| false);
            let result = pair.restart(files);
            assert!(result.is_ok(), "step {step}, pattern {pattern}: {result:?}");
        }
    }
}

/// A long torn frame is overwritten by a shorter one, which is torn again; nothing of the long one may come back.
#[test]
fn a_torn_frame_is_made_zero_before_it_is_overwritten() {
    for kept in 0..64 {
        let files = MemoryFiles::new();
        let mut pair = Pair::new(&files, options());
        pair.group(&[100]);
        pair.finish_all().unwrap();
        pair.group(&[20_000, 10_000]);
        pair.poll().unwrap();
        let mut sector = 0;
        let files = pair.files.crash(|| {
            sector += 1;
            sector != kept
        });
        pair.restart(files).unwrap();
        for size in [10, 6_000, 10] {
            pair.group(&[size]);
            pair.poll().unwrap();
            let mut rng = fastrand::Rng::with_seed(kept);
            let files = pair.files.crash(|| chance(&mut rng, 50));
            pair.restart(files).unwrap();
        }
    }
}

/// Many segments are removed at once, with a crash at every step: never a gap between them.
#[test]
fn a_crash_at_every_step_of_pruning() {
    let few = Options { snapshot_log_bytes: wal::limits::SEGMENT_BYTES_MIN, ..options() };
    let begin = MemoryFiles::new();
    let mut pair = Pair::new(&begin, few);
    for _ in 0..50 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    let snapshot = |files: &MemoryFiles, stop: Option<u64>| {
        let mut pair = pair.beside(files.restart());
        files_stop(&pair.files, stop);
        while pair.log.snapshot_state() != SnapshotState::Finishing {
            pair.snapshot_step();
        }
        let _ = pair.finish_all();
        pair
    };
    let whole = begin.fork();
    let from = whole.steps();
    let removed = snapshot(&whole, None).log.stats().segments_removed;
    assert!(removed >= 3, "{removed}");
    for step in from..whole.steps() {
        let pair = snapshot(&begin.fork(), Some(step));
        for pattern in 0..6 {
            let mut rng = fastrand::Rng::with_seed(step * 6 + pattern);
            let files = pair.files.fork().crash(|| chance(&mut rng, 50));
            let read = common::read(&files, &options());
            assert!(read.is_ok(), "step {step}, pattern {pattern}: {:?}", read.err());
        }
    }
}

fn files_stop(files: &MemoryFiles, step: Option<u64>) {
    files.stop_at(step.unwrap_or(u64::MAX).max(files.steps()));
}

/// The first frame of a segment is torn with its header whole, and the log goes on in the segment before: the zeros over the
/// torn one must be durable first, or it would look as if something after it had been written.
#[test]
fn a_torn_frame_in_the_next_segment_is_gone_before_the_log_goes_on() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    for _ in 0..7 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    pair.group(&[30_000]);
    pair.poll().unwrap();
    let mut sectors = 0;
    let files = pair.files.crash(|| {
        sectors += 1;
        sectors == 1
    });
    assert_eq!(sectors, 64, "the frame alone was not durable");
    let (_, at) = common::read(&files, &options()).unwrap();
    let cut = at.cut.unwrap();
    assert!(cut.file.ends_with("log-00000000000000000002"), "{cut:?}");
    assert_eq!((cut.offset, cut.bytes), (0, 32_768));
    pair.restart(files).unwrap();
    for _ in 0..2 {
        pair.group(&[10]);
        pair.finish_all().unwrap();
        let files = pair.files.crash(|| false);
        pair.restart(files).unwrap();
    }
    assert_eq!(pair.log.durable().0, 9);
}
