//! Every bit of a log of a thousand records, of its snapshot and of the superblock, flipped one at a time, and every length
//! that the files can be cut to: each goes through the whole recovery.
//!
//! What recovery says must be one of three. It refuses, and names the damaged file and the place of the frame or section that
//! the bit is in. Or nothing is different: every record and every image is what was written, and the end of the log is where
//! it was; that is so where nothing reads the bytes (padding behind a payload, what lies behind the end of the log, spare
//! segments) and where another copy holds (the superblock). Or the last frame is cut and reported, where nothing behind it
//! proves that it was durable. Never is anything else brought back.
//!
//! Tried are all bits from the beginning of the log to the end of the block behind its last frame; behind that, where all is
//! zero, one bit in 7 of the places where recovery looks for headers, and one in 211 of the rest.

mod common;

/// Files are copied all the time; the system's allocator gives their memory back and takes it anew each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use common::{Pair, options, read, segment, snapshot};
use wal::files::MemoryFiles;
use wal::{Lsn, OpenError, Options, limits};

const RECORDS: usize = 1_000;
const BLOCK: usize = limits::BLOCK_BYTES;
/// Bytes of a frame's header.
const HEADER: usize = 96;

/// Two blocks more than the smallest segment, so that one that is cut can still have a length that segments have.
fn large() -> Options {
    Options { segment_bytes: limits::SEGMENT_BYTES_MIN + 2 * BLOCK as u64, ..options() }
}

/// A sound directory, and what must come back from it.
struct Sound {
    files: MemoryFiles,
    model: Pair,
    /// The records that recovery gives, by number.
    records: Vec<(Lsn, Vec<u8>)>,
    last: Lsn,
    /// Those with the thousand records, and the closing one.
    frames: Vec<Frame>,
}

#[derive(Debug, Clone)]
struct Frame {
    /// Of the segment that it is in.
    generation: u64,
    bytes: Range<usize>,
    /// How long its payload is.
    payload: usize,
    /// The last record before it.
    before: Lsn,
}

/// A thousand records in frames of a hundred, and a snapshot that holds the first three hundred. They begin a segment; or, with
/// `turn`, the segment before it is full after four of the frames. With `closed`, the log was idle at the end.
fn thousand(turn: bool, closed: bool) -> Sound {
    let files = MemoryFiles::new();
    let mut model = Pair::new(&files, large());
    let (mut frames, mut place) = (Vec::new(), (1, BLOCK));
    let mut frame = |model: &mut Pair, sizes: &[usize]| {
        let (before, bytes) = (model.log.appended(), model.log.stats().bytes);
        sizes.iter().for_each(|size| model.group(&[*size]));
        model.finish_all().unwrap();
        let length = (model.log.stats().bytes - bytes) as usize;
        if place.1 + length > large().segment_bytes as usize {
            place = (place.0 + 1, 0);
        }
        let payload = sizes.iter().map(|size| limits::RECORD_FRAMING_BYTES + 10 + size).sum();
        frames.push(Frame { generation: place.0, bytes: place.1..place.1 + length, payload, before });
        place.1 += length;
    };
    frame(&mut model, &[100_000]);
    frame(&mut model, &[100_000, if turn { 30_000 } else { 60_000 }]);
    for hundred in 0..RECORDS / 100 {
        // Every other frame reaches into a second block.
        let sizes: Vec<_> = (0..100).map(|record| record % 7 + 22 + hundred % 2 * 40).collect();
        frame(&mut model, &sizes);
        if hundred == 2 {
            model.snapshot();
        }
    }
    if closed {
        model.now = model.now.after(limits::IDLE_CLOSE_MS);
        frame(&mut model, &[]);
    }
    let (taken, at) = read(&files.restart(), &large()).unwrap();
    assert_eq!((at.last.0 as usize, &at.cut, place.0), (3 + RECORDS, &None, 2), "{frames:?}");
    assert_eq!((taken.records.len(), frames[2].generation), (700, if turn { 1 } else { 2 }), "{frames:?}");
    frames.drain(..2);
    Sound { files: files.restart(), records: taken.records, last: at.last, model, frames }
}

/// What recovery says of changed files.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Refused at this place of this file.
    Refused(String, Option<u64>),
    /// All came back, and nothing was said.
    Same,
    /// All records up to here came back, and a cut at this place was reported.
    Cut(Lsn, u64),
}

impl Sound {
    /// Recovers, and holds every byte that comes back against what was written.
    fn verdict(&self, files: &MemoryFiles) -> Verdict {
        let (taken, at) = match read(files, &large()) {
            Ok(read) => read,
            Err(OpenError::Damaged { file, offset, .. }) => return Verdict::Refused(file, Some(offset)),
            Err(OpenError::Missing { file, .. }) => return Verdict::Refused(file, None),
            Err(error) => panic!("refused for another reason: {error}"),
        };
        let came = taken.records.len();
        assert!(taken.records[..] == self.records[..came], "a record that was never written");
        assert_eq!(at.last.0 + (self.records.len() - came) as u64, self.last.0);
        match at.cut {
            Some(cut) => Verdict::Cut(at.last, cut.offset),
            None => {
                assert_eq!(at.last, self.last, "less came back, and nothing was said");
                assert_eq!(taken.state(), self.model.state);
                Verdict::Same
            }
        }
    }
}

/// Tries each of `bits` of a file, on all processors. How many were refused, the same, and cut.
fn flip(
    sound: &Sound,
    file: &str,
    bits: &[usize],
    allowed: impl Fn(usize, &Verdict) -> bool + Sync,
) -> [u64; 3] {
    let (next, counts) = (AtomicUsize::new(0), [const { AtomicU64::new(0) }; 3]);
    const AT_ONCE: usize = 1_024;
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let files = sound.files.fork();
                loop {
                    let from = next.fetch_add(AT_ONCE, Ordering::Relaxed).min(bits.len());
                    let piece = &bits[from..(from + AT_ONCE).min(bits.len())];
                    if piece.is_empty() {
                        return;
                    }
                    for bit in piece {
                        files.tamper(file, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                        let verdict = sound.verdict(&files);
                        assert!(
                            allowed(bit / 8, &verdict),
                            "bit {} of byte {} of {file}: {verdict:?}",
                            bit % 8,
                            bit / 8
                        );
                        let kind = match verdict {
                            Verdict::Refused(..) => 0,
                            Verdict::Same => 1,
                            Verdict::Cut(..) => 2,
                        };
                        counts[kind].fetch_add(1, Ordering::Relaxed);
                        files.tamper(file, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
                    }
                }
            });
        }
    });
    counts.map(AtomicU64::into_inner)
}

/// Bits of a range of bytes.
fn bits(bytes: Range<usize>) -> Range<usize> {
    bytes.start * 8..bytes.end * 8
}

/// Tries bits of a segment. All that is in a frame, behind its end and behind the end of the log must have the one right
/// verdict.
fn sweep_segment(sound: &Sound, generation: u64, tried: &[usize]) -> [u64; 3] {
    let name = format!("memory:{}", segment(generation));
    let last = sound.frames.last().unwrap();
    flip(sound, &segment(generation), tried, |byte, verdict| {
        let mut frames = sound.frames.iter().filter(|frame| frame.generation == generation);
        let frame = frames.find(|frame| frame.bytes.contains(&byte));
        let used = |frame: &&Frame| byte < frame.bytes.start + HEADER + frame.payload;
        let Some(frame) = frame.filter(used) else { return *verdict == Verdict::Same };
        let at = frame.bytes.start as u64;
        if frame.bytes == last.bytes && generation == last.generation {
            return *verdict == Verdict::Cut(frame.before, at);
        }
        *verdict == Verdict::Refused(name.clone(), Some(at))
    })
}

#[test]
fn every_bit_of_a_closed_log() {
    let sound = thousand(false, true);
    let end = sound.frames.last().unwrap().bytes.end + BLOCK;
    let all = bits(0..large().segment_bytes as usize);
    let tried: Vec<_> = all
        .filter(|bit| bit / 8 < end || (bit / 8 % BLOCK < HEADER && bit % 7 == 0) || bit % 211 == 0)
        .collect();
    let began = std::time::Instant::now();
    let [refused, same, cut] = sweep_segment(&sound, 2, &tried);
    println!("{} bits, {refused} refused, {same} the same, {cut} cut, {:?}", tried.len(), began.elapsed());
    // Only the closing frame is cut: its header has so many bits.
    assert_eq!(cut as usize, HEADER * 8);
    let used: usize = sound.frames.iter().map(|frame| HEADER + frame.payload).sum();
    assert_eq!((refused + cut) as usize, used * 8);
    // And the spare segment behind it.
    let spare: Vec<_> = bits(0..large().segment_bytes as usize).filter(|bit| bit % 211 == 0).collect();
    assert_eq!(sweep_segment(&sound, 3, &spare), [0, spare.len() as u64, 0]);
}

/// The frames before and behind a change of segment: the error is about the damaged one, not about where it was missed.
#[test]
fn every_used_bit_around_a_change_of_segment() {
    let sound = thousand(true, true);
    let turn = sound.frames.iter().position(|frame| frame.generation == 2).unwrap();
    for frame in &sound.frames[turn - 1..=turn] {
        let used = bits(frame.bytes.start..frame.bytes.start + HEADER + frame.payload);
        let [refused, ..] = sweep_segment(&sound, frame.generation, &used.collect::<Vec<_>>());
        assert_eq!(refused as usize, (HEADER + frame.payload) * 8);
    }
}

#[test]
fn every_bit_of_the_last_frame_of_an_open_log() {
    let sound = thousand(false, false);
    let frame = sound.frames.last().unwrap();
    let used = HEADER + frame.payload;
    let tried: Vec<_> = bits(frame.bytes.clone()).collect();
    let rest = frame.bytes.len() - used;
    assert_eq!(sweep_segment(&sound, 2, &tried), [0, rest as u64 * 8, used as u64 * 8]);
}

#[test]
fn every_bit_and_every_length_of_a_snapshot() {
    let sound = thousand(true, true);
    let (file, name) = (snapshot(1), format!("memory:{}", snapshot(1)));
    let bytes = sound.files.contents()[&file].clone().unwrap();
    let counts = flip(
        &sound,
        &file,
        &bits(0..bytes.len()).collect::<Vec<_>>(),
        |byte, verdict| matches!(verdict, Verdict::Refused(file, Some(offset)) if *file == name && *offset <= byte as u64),
    );
    assert_eq!(counts, [bytes.len() as u64 * 8, 0, 0]);
    for length in (0..bytes.len()).chain([bytes.len() + 1, bytes.len() + BLOCK]) {
        let files = sound.files.fork();
        files.tamper(&file, |bytes| bytes.resize(length, 0));
        let verdict = sound.verdict(&files);
        let at = length as u64;
        assert!(
            matches!(&verdict, Verdict::Refused(file, Some(offset)) if *file == name && *offset <= at),
            "{verdict:?}"
        );
    }
    println!("snapshot: {} bits, {} lengths", bytes.len() * 8, bytes.len() + 2);
}

#[test]
fn every_length_of_a_segment() {
    let sound = thousand(true, true);
    let size = large().segment_bytes as usize;
    std::thread::scope(|scope| {
        for generation in [1, 2, 3] {
            let (sound, files) = (&sound, sound.files.fork());
            scope.spawn(move || {
                let name = format!("memory:{}", segment(generation));
                let longer = [size + 1, size + BLOCK, 2 * size];
                for length in longer.into_iter().chain((0..size).rev()) {
                    files.tamper(&segment(generation), |bytes| bytes.resize(length, 0));
                    let verdict = sound.verdict(&files);
                    let could_be = length >= limits::SEGMENT_BYTES_MIN as usize && length % BLOCK == 0;
                    if generation == 3 && could_be {
                        // A spare segment of another size holds nothing, and is not used.
                        assert_eq!(verdict, Verdict::Same, "{name} of {length} bytes");
                        continue;
                    }
                    let at = if could_be { 0 } else { length as u64 };
                    assert_eq!(verdict, Verdict::Refused(name.clone(), Some(at)), "{name} of {length} bytes");
                }
            });
        }
    });
}

#[test]
fn every_bit_and_every_length_of_the_superblock() {
    let sound = thousand(true, true);
    let whole = sound.files.contents()["superblock"].clone().unwrap();
    let check = |change: &dyn Fn(&mut Vec<u8>), expected: &Verdict| {
        let files = sound.files.fork();
        files.tamper("superblock", change);
        assert_eq!(sound.verdict(&files), *expected);
        // The copy that was damaged is whole again.
        if *expected == Verdict::Same {
            assert_eq!(files.contents()["superblock"].as_ref(), Some(&whole));
        }
    };
    let refused = Verdict::Refused("memory:superblock".to_owned(), Some(0));
    for bit in bits(0..whole.len()) {
        check(&|bytes| bytes[bit / 8] ^= 1 << (bit % 8), &Verdict::Same);
    }
    for bit in bits(0..BLOCK) {
        let both = |bytes: &mut Vec<u8>| {
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes[BLOCK + bit / 8] ^= 1 << (bit % 8);
        };
        check(&both, &refused);
    }
    for length in 0..whole.len() {
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(length);
        check(&cut, if length < BLOCK { &refused } else { &Verdict::Same });
    }
}
