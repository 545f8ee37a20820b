//! The reader of log segments.

use std::sync::OnceLock;

use wal::disk::{Lane, MemoryDisk};
use wal::files::MemoryFiles;
use wal::{DataDir, Lsn, Millis, Options, Recover, limits};

const BLOCK: usize = limits::BLOCK_BYTES;
const HEADER: usize = 96;
pub(crate) const CORE: &str = "epoch-0000000001/core-00000";

pub(crate) fn options() -> Options {
    Options {
        segment_bytes: limits::SEGMENT_BYTES_MIN,
        spare_segments: 1,
        reserve_bytes: Some(limits::EXHAUSTED_BYTES + BLOCK as u64),
        snapshot_log_bytes: limits::SEGMENT_BYTES_MIN,
        entropy: Some(*b"the id of a test, and its secret"),
        ..Options::default()
    }
}

/// Counts what recovery gives, and takes everything.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    records: Vec<(Lsn, Vec<u8>)>,
}

impl Recover for Taken {
    fn slot(&mut self, _: u16, _: Lsn, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn record(&mut self, lsn: Lsn, record: &[u8]) -> Result<(), String> {
        self.records.push((lsn, record.to_vec()));
        Ok(())
    }
}

/// A directory with one empty log, made once.
pub(crate) fn directory() -> MemoryFiles {
    static DIRECTORY: OnceLock<MemoryFiles> = OnceLock::new();
    DIRECTORY.get_or_init(|| run(&[])).fork()
}

/// A directory whose log has these commands, one frame for each, and was then idle.
fn run(commands: &[&[&[u8]]]) -> MemoryFiles {
    let files = MemoryFiles::new();
    let dir = DataDir::open_on(files.clone(), &options()).expect("a new directory");
    let at = dir.recover(0, &mut Taken::default()).expect("an empty log");
    let mut log = dir.log(0, at, MemoryDisk::new(dir.core_dir(0))).expect("an empty log");
    let settle = |log: &mut wal::Log<MemoryDisk>, now| {
        log.poll(Millis(now)).expect("nothing fails");
        while log.disk_mut().finish(Lane::Jobs) || log.disk_mut().finish(Lane::Write) {
            log.poll(Millis(now)).expect("nothing fails");
        }
    };
    settle(&mut log, 0);
    for records in commands {
        records.iter().for_each(|record| _ = log.append(record));
        log.end_command();
        settle(&mut log, 0);
    }
    settle(&mut log, limits::IDLE_CLOSE_MS);
    drop((log, dir));
    files.restart()
}

/// What a sound segment looks like: an opening frame, frames of several sizes, a closing frame.
#[must_use]
pub fn example_segment() -> Vec<u8> {
    let files = run(&[&[b"one"], &[b"", b"two", b"three"], &[&[7; 5_000]], &[b"last"]]);
    let mut bytes = segment(&files);
    let used = bytes.chunks(BLOCK).rposition(|block| block.starts_with(b"ILKFRAME")).expect("frames");
    bytes.truncate(used * BLOCK + HEADER);
    bytes.insert(0, 1);
    bytes
}

fn segment_name() -> String {
    format!("{CORE}/log-{:020}", 1)
}

fn segment(files: &MemoryFiles) -> Vec<u8> {
    files.contents()[&segment_name()].clone().expect("a file")
}

/// The first byte says whether checksums are made right, so that what lies behind them is reached as well; the rest is the
/// beginning of a segment.
///
/// # Panics
/// When recovery gives what is not in the bytes, or goes on from a log that it then reads otherwise.
pub fn frames(data: &[u8]) {
    let Some((mode, content)) = data.split_first() else { return };
    let size = options().segment_bytes as usize;
    let length = content.len().min(size);
    let mut bytes = content[..length].to_vec();
    bytes.resize(size, 0);
    if mode & 1 == 1 {
        seal(&mut bytes);
    }
    let files = directory();
    files.tamper(&segment_name(), |segment| segment.clone_from(&bytes));
    drop(wal::inspect::check_on(&files));
    let Ok(dir) = DataDir::open_on(files.clone(), &options()) else { panic!("the superblock is sound") };
    let mut taken = Taken::default();
    let Ok(at) = dir.recover(0, &mut taken) else { return };
    assert_eq!(at.records, taken.records.len() as u64);
    for (number, (lsn, record)) in taken.records.iter().enumerate() {
        assert_eq!(lsn.0, taken.records[0].0.0 + number as u64, "records follow one another");
        // What was filled up behind the input is zero.
        let used = record.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let inside = used == 0 || bytes[..length].windows(used).any(|window| window == &record[..used]);
        assert!(inside, "record {lsn} is not in the segment");
    }
    let last = at.last;
    assert!(taken.records.last().is_none_or(|(lsn, _)| *lsn == last));
    // The log goes on, and what came back comes back again.
    let Ok(log) = dir.log(0, at, MemoryDisk::new(dir.core_dir(0))) else {
        panic!("files in memory do not fail")
    };
    drop((log, dir));
    let files = files.restart().crash(|| false);
    let dir = DataDir::open_on(files, &options()).expect("the superblock is sound");
    let mut again = Taken::default();
    let at = dir.recover(0, &mut again).expect("what was read once is read again");
    assert_eq!((at.last, again), (last, taken));
}

/// Makes the checksums of everything right that begins like a frame, and its own place and length where they cannot be.
fn seal(bytes: &mut [u8]) {
    for at in (0..bytes.len()).step_by(BLOCK).filter(|at| *at + BLOCK <= bytes.len()).collect::<Vec<_>>() {
        if !bytes[at..].starts_with(b"ILKFRAME") {
            continue;
        }
        let field = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        let length = field(at + 76) as usize;
        if let Some(payload) = bytes.get(at + HEADER..at + HEADER + length) {
            let crc = crc32c::crc32c(payload);
            bytes[at + 80..at + 84].copy_from_slice(&crc.to_le_bytes());
        }
        let crc = crc32c::crc32c(&bytes[at..at + 92]);
        bytes[at + 92..at + 96].copy_from_slice(&crc.to_le_bytes());
    }
}
