//! Bytes that are not what was written: detected, or without effect, and never taken for something else. Single bits and cut
//! files are swept in `corruption.rs`; here is what takes more than that.

mod common;

use common::{CORE, Pair, options, read, segment, snapshot};
use wal::files::{Files, MemoryFiles};
use wal::{Lsn, OpenError};

/// Three frames with two records each; with `closed`, the log was idle at the end.
fn small_log(closed: bool) -> (MemoryFiles, Pair) {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    for _ in 0..3 {
        pair.group(&[30, 5_000]);
        pair.finish_all().unwrap();
    }
    if closed {
        pair.now = pair.now.after(1_000);
        pair.finish_all().unwrap();
        assert!(pair.log.is_quiet());
    }
    (files.restart(), pair)
}

/// What recovery says of changed files.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// All came back.
    Whole,
    /// Less came back, and it was said where it was cut.
    Cut(u64),
    /// Less came back, and nothing was said.
    Lost(u64),
    Refused,
}

fn verdict(files: &MemoryFiles, pair: &Pair) -> Verdict {
    match read(files, &options()) {
        Err(OpenError::Damaged { .. } | OpenError::Missing { .. } | OpenError::Newer { .. }) => {
            Verdict::Refused
        }
        Err(error) => panic!("{error}"),
        Ok((taken, at)) => {
            for (lsn, record) in &taken.records {
                assert!(*record == pair.history[lsn.0 as usize - 1], "record {lsn} is not what was written");
            }
            assert_eq!(taken.state(), pair.state_at(at.last));
            match (at.last == Lsn(pair.history.len() as u64), at.cut) {
                (true, _) => Verdict::Whole,
                (false, Some(_)) => Verdict::Cut(at.last.0),
                (false, None) => Verdict::Lost(at.last.0),
            }
        }
    }
}

/// The frames of the small log: the opening one, three with records, and the closing one.
const FRAMES: [(usize, usize); 5] =
    [(0, 4096), (4096, 12288), (12288, 20480), (20480, 28672), (28672, 32768)];

#[test]
fn the_last_frame_over_the_one_before_it_is_refused() {
    let (files, pair) = small_log(false);
    let [(before, _), (last, end)] = [FRAMES[2], FRAMES[3]];
    files.tamper(&segment(1), |bytes| {
        bytes.copy_within(last..end, before);
        bytes[last..end].fill(0);
    });
    // Nothing stands behind it: but for what its header says it would look like a clean end.
    assert_eq!(verdict(&files, &pair), Verdict::Refused);
}

#[test]
fn zeroed_blocks_in_the_middle_are_refused() {
    let (files, pair) = small_log(true);
    for block in 0..7 {
        let files = files.fork();
        files.tamper(&segment(1), |bytes| bytes[block * 4096..(block + 1) * 4096].fill(0));
        assert_eq!(verdict(&files, &pair), Verdict::Refused, "block {block}");
    }
}

/// The last frame of a full segment is gone as if it had never been written, and the next segment has one frame alone: that
/// frame proves that there was one before it.
#[test]
fn a_frame_that_is_gone_before_the_only_one_of_the_next_segment_is_missed() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    for _ in 0..8 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    let files = pair.files.restart();
    assert_eq!(verdict(&files.fork(), &pair), Verdict::Whole);
    let frame = 4096 + 6 * 32_768;
    assert!(files.contents()[&segment(2)].as_ref().unwrap().starts_with(b"ILKFRAME"));
    files.tamper(&segment(1), |bytes| bytes[frame..frame + 32_768].fill(0));
    match read(&files, &options()) {
        Err(OpenError::Damaged { file, offset, .. }) => {
            assert_eq!((file, offset), (format!("memory:{}", segment(1)), frame as u64))
        }
        other => panic!("{:?}", other.map(|(_, at)| at)),
    }
}

/// A frame before it is gone, or it was never the first: either way it is not what was written.
#[test]
fn the_first_frame_of_all_has_none_before_it() {
    let files = MemoryFiles::new();
    let pair = Pair::new(&files, options());
    let files = files.restart();
    assert_eq!(verdict(&files.fork(), &pair), Verdict::Whole);
    files.tamper(&segment(1), |bytes| {
        bytes[84] = 1;
        let crc = crc32c::crc32c(&bytes[..92]);
        bytes[92..96].copy_from_slice(&crc.to_le_bytes());
    });
    assert_eq!(verdict(&files, &pair), Verdict::Refused);
}

#[test]
fn a_segment_that_is_gone_is_missed() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    for _ in 0..30 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    let files = pair.files.restart();
    let list = files.list(CORE).unwrap().unwrap();
    let segments: Vec<_> = list.iter().filter(|name| name.starts_with("log-")).collect();
    assert!(segments.len() >= 5, "{segments:?}");
    assert_eq!(verdict(&files.fork(), &pair), Verdict::Whole);
    for gone in &segments[..segments.len() - 1] {
        let files = files.fork();
        files.remove(&format!("{CORE}/{gone}")).unwrap();
        assert_eq!(verdict(&files, &pair), Verdict::Refused, "{gone}");
    }
    // The last is a spare one, and holds nothing.
    let spare = files.fork();
    spare.remove(&format!("{CORE}/{}", segments.last().unwrap())).unwrap();
    assert_eq!(verdict(&spare, &pair), Verdict::Whole);
}

#[test]
fn segments_that_change_places_are_refused() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    for _ in 0..12 {
        pair.group(&[30_000]);
        pair.finish_all().unwrap();
    }
    let files = pair.files.restart();
    files.rename(&segment(1), &format!("{CORE}/aside")).unwrap();
    files.rename(&segment(2), &segment(1)).unwrap();
    files.rename(&format!("{CORE}/aside"), &segment(2)).unwrap();
    assert_eq!(verdict(&files, &pair), Verdict::Refused);
}

fn with_snapshot() -> (MemoryFiles, Pair) {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    for _ in 0..4 {
        pair.group(&[30, 100]);
        pair.finish_all().unwrap();
    }
    pair.snapshot();
    (files.restart(), pair)
}

#[test]
fn a_snapshot_that_is_gone_is_missed() {
    let (files, pair) = with_snapshot();
    assert_eq!(verdict(&files.fork(), &pair), Verdict::Whole);
    files.remove(&snapshot(1)).unwrap();
    assert_eq!(verdict(&files, &pair), Verdict::Refused);
}

#[test]
fn a_log_that_ends_before_its_snapshot_is_refused() {
    let (files, pair) = with_snapshot();
    // The last frame, as if it had never been written.
    files.tamper(&segment(1), |bytes| bytes[4 * 4096..].fill(0));
    match read(&files, &options()) {
        Err(OpenError::Damaged { offset, reason, .. }) => {
            assert_eq!(offset, 4 * 4096);
            assert!(reason.contains("ends with record 6") && reason.contains("holds record 8"), "{reason}");
        }
        other => panic!("{:?}", other.map(|(_, at)| at)),
    }
    drop(pair);
}

#[test]
fn a_refusal_of_the_taker_says_where() {
    struct Picky;
    impl wal::Recover for Picky {
        fn piece(&mut self, _: u16, _: Lsn, _: &[u8]) -> Result<(), String> {
            Ok(())
        }

        fn record(&mut self, lsn: Lsn, _: &[u8]) -> Result<(), String> {
            if lsn == Lsn(4) { Err("no such train".to_owned()) } else { Ok(()) }
        }
    }
    let (files, _) = small_log(true);
    let dir = wal::DataDir::open_on(files, &options()).unwrap();
    let error = dir.recover(0, &mut Picky).unwrap_err();
    let text = error.to_string();
    assert_eq!(text, format!("memory:{}: record 4 at byte 12288 was refused: no such train", segment(1)));
}

#[test]
fn an_unreadable_file_is_not_an_absent_one() {
    let (files, _) = small_log(true);
    // A directory where a file should be: there, and not readable as one.
    files.remove(&segment(1)).unwrap();
    files.make_dir(&segment(1)).unwrap();
    let result = read(&files, &options()).map(|(_, at)| at);
    assert!(matches!(result, Err(OpenError::Io { .. })), "{result:?}");
}

#[test]
fn what_a_recycled_segment_held_counts_as_nothing() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    while pair.log.stats().segments_recycled < 3 {
        pair.group(&[20_000]);
        pair.finish_all().unwrap();
        if pair.log.snapshot_due() {
            pair.snapshot();
        }
    }
    // Right behind the last frame of the recycled segment there are frames of an older generation.
    let last = pair.log.appended();
    let files = pair.files.restart();
    let remnants = files.contents().into_iter().filter(|(name, bytes)| {
        name.contains("/log-")
            && bytes.as_ref().unwrap().chunks(4096).any(|block| block.starts_with(b"ILKFRAME"))
    });
    assert!(remnants.count() > 2);
    pair.restart(files).unwrap();
    assert_eq!(pair.log.appended(), last);
}

/// Any bytes at all: a refusal or an answer, and no panic.
#[test]
fn random_bytes_never_panic() {
    let (files, _) = with_snapshot();
    let mut rng = fastrand::Rng::with_seed(1);
    let names: Vec<_> =
        files.contents().into_iter().filter(|(_, bytes)| bytes.is_some()).map(|(name, _)| name).collect();
    for _ in 0..2_000 {
        let files = files.fork();
        let name = &names[rng.usize(..names.len())];
        files.tamper(name, |bytes| {
            if bytes.is_empty() {
                return;
            }
            for _ in 0..rng.u8(1..5) {
                let at = rng.usize(..bytes.len().min(40_000));
                match rng.u8(..3) {
                    0 => bytes[at] = rng.u8(..),
                    1 => {
                        let to = (at + rng.usize(..64)).min(bytes.len());
                        bytes[at..to].fill(rng.u8(..));
                    }
                    _ => {
                        let from = rng.usize(..bytes.len());
                        let length = rng.usize(..8192).min(bytes.len() - from).min(bytes.len() - at);
                        bytes.copy_within(from..from + length, at);
                    }
                }
            }
        });
        let _ = read(&files, &options());
        let _ = wal::inspect::check_on(&files);
    }
}

/// Headers with right checksums and senseless contents: refused, and no panic.
#[test]
fn sound_checksums_over_nonsense_never_panic() {
    let (files, _) = small_log(true);
    let mut rng = fastrand::Rng::with_seed(2);
    for _ in 0..3_000 {
        let files = files.fork();
        let frame = rng.usize(..5);
        files.tamper(&segment(1), |bytes| {
            let header = &mut bytes[FRAMES[frame].0..FRAMES[frame].0 + 96];
            let field = [40, 48, 56, 64, 72, 76, 84][rng.usize(..7)];
            let value = [0, 1, u64::MAX, u64::from(u32::MAX), 4096, rng.u64(..1 << 20)][rng.usize(..6)];
            let width = if field >= 72 { 4 } else { 8 };
            header[field..field + width].copy_from_slice(&value.to_le_bytes()[..width]);
            let crc = crc32c::crc32c(&header[..92]);
            header[92..96].copy_from_slice(&crc.to_le_bytes());
        });
        let _ = read(&files, &options());
    }
}
