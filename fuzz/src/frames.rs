//! Target: the reader of log segments.

use std::sync::OnceLock;

use wal::disk::{Lane, MemoryDisk};
use wal::files::MemoryFiles;
use wal::{DataDir, Log, Lsn, Millis, Options, Recover, limits};

const BLOCK: usize = limits::BLOCK_BYTES;
const HEADER: usize = 96;
pub(crate) const CORE: &str = "epoch-0000000001/core-00000";

pub(crate) fn options() -> Options {
    Options {
        segment_bytes: limits::SEGMENT_BYTES_MIN,
        spare_segments: 1,
        reserve_bytes: Some(limits::EXHAUSTED_BYTES + BLOCK as u64),
        snapshot_log_bytes: limits::SEGMENT_BYTES_MIN,
        entropy: Some(*b"the id of a test, and its secret, a life"),
        ..Options::default()
    }
}

/// Collects what recovery gives, and refuses nothing.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    records: Vec<(Lsn, Vec<u8>)>,
}

impl Recover for Taken {
    fn piece(&mut self, _: u16, _: Lsn, _: &[u8]) -> Result<(), String> {
        Ok(())
    }

    fn record(&mut self, lsn: Lsn, record: &[u8]) -> Result<(), String> {
        self.records.push((lsn, record.to_vec()));
        Ok(())
    }
}

/// A directory with one empty log, made once.
pub(crate) fn empty_directory() -> MemoryFiles {
    static DIRECTORY: OnceLock<MemoryFiles> = OnceLock::new();
    DIRECTORY.get_or_init(|| directory_with(&[])).fork()
}

/// A directory whose log has the records of these commands, one frame for each, and then fell idle.
fn directory_with(commands: &[&[&[u8]]]) -> MemoryFiles {
    let files = MemoryFiles::new();
    let (dir, mut log) = open_log(&files);
    complete_all(&mut log, 0);
    for records in commands {
        records.iter().for_each(|record| _ = log.append(record));
        log.end_group();
        complete_all(&mut log, 0);
    }
    complete_all(&mut log, limits::IDLE_CLOSE_MS);
    drop((log, dir));
    files.restart()
}

/// Opens a directory whose log is empty.
pub(crate) fn open_log(files: &MemoryFiles) -> (DataDir<MemoryFiles>, Log<MemoryDisk>) {
    let dir = DataDir::open_on(files.clone(), &options()).expect("a sound directory");
    let at = dir.recover(0, &mut Taken::default()).expect("an empty log");
    let log = dir.log(0, at, MemoryDisk::new(dir.core_dir(0))).expect("an empty log");
    (dir, log)
}

/// Completes every write and job that is under way, and those that follow from them.
pub(crate) fn complete_all(log: &mut Log<MemoryDisk>, now: u64) {
    log.poll(Millis(now)).expect("nothing fails");
    while log.disk_mut().finish(Lane::Jobs) || log.disk_mut().finish(Lane::Write) {
        log.poll(Millis(now)).expect("nothing fails");
    }
}

/// A sound segment: an opening frame, frames of several sizes, a closing frame.
#[must_use]
pub fn example_segment() -> Vec<u8> {
    let files = directory_with(&[&[b"one"], &[b"", b"two", b"three"], &[&[7; 5_000]], &[b"last"]]);
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

/// An odd first byte has the checksums made right, so that what lies behind them is reached as well; the rest of the input
/// is the beginning of a segment.
///
/// # Panics
/// When recovery gives what is not in the bytes, or something else when it is repeated.
pub fn frames(data: &[u8]) {
    let Some((mode, content)) = data.split_first() else { return };
    let size = options().segment_bytes as usize;
    let length = content.len().min(size);
    let mut bytes = content[..length].to_vec();
    bytes.resize(size, 0);
    if mode & 1 == 1 {
        fix_checksums(&mut bytes);
    }
    let files = empty_directory();
    files.tamper(&segment_name(), |segment| segment.clone_from(&bytes));
    drop(wal::inspect::check_on(&files));
    let dir = DataDir::open_on(files.clone(), &options()).expect("the superblock is sound");
    let mut taken = Taken::default();
    let Ok(at) = dir.recover(0, &mut taken) else { return };
    assert_eq!(at.records, taken.records.len() as u64);
    for (number, (lsn, record)) in taken.records.iter().enumerate() {
        assert_eq!(lsn.0, taken.records[0].0.0 + number as u64, "records follow one another");
        // The segment is filled up with zeros behind the input.
        let used = record.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let inside = used == 0 || bytes[..length].windows(used).any(|window| window == &record[..used]);
        assert!(inside, "record {lsn} is not in the segment");
    }
    let last = at.last;
    assert!(taken.records.last().is_none_or(|(lsn, _)| *lsn == last));
    // The log goes on from there, and a second recovery gives the same.
    let log = dir.log(0, at, MemoryDisk::new(dir.core_dir(0))).expect("files in memory do not fail");
    drop((log, dir));
    let files = files.restart().crash(|| false);
    let dir = DataDir::open_on(files, &options()).expect("the superblock is sound");
    let mut again = Taken::default();
    let at = dir.recover(0, &mut again).expect("what was read once is read again");
    assert_eq!((at.last, again), (last, taken));
}

/// Makes the checksums right of everything that begins like a frame.
fn fix_checksums(bytes: &mut [u8]) {
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
