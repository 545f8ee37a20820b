//! What a start finds and leaves: names that count as nothing, segments that nobody needs, writes that are still in flight.

mod common;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{CORE, Pair, Taken, numbers, options, read, segment, snapshot, start};
use wal::files::{File, Files, MemoryFile, MemoryFiles, MemoryLock};
use wal::{DataDir, Lsn, Millis, OpenError};

fn run(pair: &mut Pair, groups: usize, size: usize) {
    for _ in 0..groups {
        pair.group(&[size]);
        pair.finish_all().unwrap();
    }
}

#[test]
fn what_counts_as_nothing_is_removed() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    let first = snapshot(0);
    let before = files.contents()[&first].clone().unwrap();
    run(&mut pair, 3, 30);
    pair.snapshot();
    let files = files.restart();
    // As a crash leaves them: two that were being written, and a snapshot that was about to be removed.
    for name in ["snapshot.new", "log-00000000000000000004.new", "notes"] {
        files.create(&format!("{CORE}/{name}")).unwrap();
    }
    files.create(&first).unwrap().write_at(&before, 0).unwrap();
    pair.restart(files.clone()).unwrap();
    let expected = [1, 2, 3].map(|generation| format!("log-{generation:020}"));
    let mut expected = expected.to_vec();
    expected.extend(["notes".to_owned(), format!("snapshot-{:020}", 1)]);
    assert_eq!(files.list(CORE).unwrap().unwrap(), expected);
}

#[test]
fn spare_segments_of_another_size_are_made_anew() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    run(&mut pair, 1, 30);
    let larger = wal::Options { segment_bytes: 512 << 10, ..options() };
    let files = files.restart();
    drop(start(&files, &larger).unwrap());
    let size = |generation: u64| files.open_read(&segment(generation)).unwrap().unwrap().size().unwrap();
    assert_eq!([1, 2, 3].map(size), [256 << 10, 512 << 10, 512 << 10]);
    assert_eq!(numbers(&files, "log-"), [1, 2, 3]);
}

/// Records 1 to 7 are in the first segment, 8 to 15 in the second, 16 to 23 in the third, 24 to 31 in the fourth.
#[test]
fn a_segment_that_was_read_or_passed_over_goes_when_its_last_record_may() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    pair.log.keep_from(Lsn(1));
    run(&mut pair, 10, 30_000);
    pair.snapshot();
    run(&mut pair, 20, 30_000);
    assert_eq!(numbers(&files, "log-")[0], 1);
    // The second segment is the first that this start reads, because the snapshot holds record 10.
    pair.restart(files.restart()).unwrap();
    pair.log.keep_from(Lsn(15));
    pair.finish_all().unwrap();
    pair.snapshot();
    assert_eq!(numbers(&pair.files, "log-")[0], 2, "record 15 is in the second");
    pair.log.keep_from(Lsn(16));
    pair.finish_all().unwrap();
    assert_eq!(numbers(&pair.files, "log-")[0], 3);
    // The fourth, because the snapshot holds record 30: the third is passed over.
    pair.restart(pair.files.restart()).unwrap();
    pair.log.keep_from(Lsn(23));
    pair.finish_all().unwrap();
    assert_eq!(numbers(&pair.files, "log-")[0], 3, "record 23 is in the third");
    pair.log.keep_from(Lsn(24));
    pair.finish_all().unwrap();
    assert_eq!(numbers(&pair.files, "log-")[0], 4);
}

#[test]
fn the_log_behind_the_snapshot_is_counted() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    run(&mut pair, 3, 5_000);
    pair.snapshot();
    let counted = |pair: &Pair| {
        let (_, at) = read(&pair.files.fork(), &options()).unwrap();
        (at.snapshot.begin, at.last, at.records, at.log_bytes)
    };
    assert_eq!(counted(&pair), (Lsn(3), Lsn(3), 0, 0));
    run(&mut pair, 1, 30);
    assert_eq!(counted(&pair), (Lsn(3), Lsn(4), 1, 4096));
    pair.group(&[30, 5_000]);
    pair.finish_all().unwrap();
    assert_eq!(counted(&pair), (Lsn(3), Lsn(6), 3, 3 * 4096));
}

/// What the system says of a file that is written to.
type Answer = fn() -> io::Result<bool>;

/// Files of which some are still written to by a process that died. What is asked of them is noted.
#[derive(Clone)]
struct InFlight {
    files: MemoryFiles,
    /// The file that is not settled.
    busy: Option<(String, Answer)>,
    /// Where reading ends, whatever the size of a file is.
    ends: u64,
    asked: Arc<Mutex<Vec<String>>>,
}

struct InFlightFile {
    file: MemoryFile,
    name: String,
    of: InFlight,
}

impl InFlight {
    fn file(&self, file: MemoryFile, name: &str) -> InFlightFile {
        InFlightFile { file, name: name.to_owned(), of: self.clone() }
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }
}

impl Files for InFlight {
    type File = InFlightFile;
    type Lock = MemoryLock;

    fn display(&self, path: &str) -> String {
        self.files.display(path)
    }

    fn list(&self, dir: &str) -> io::Result<Option<Vec<String>>> {
        self.files.list(dir)
    }

    fn make_dir(&self, dir: &str) -> io::Result<()> {
        self.files.make_dir(dir)
    }

    fn open_read(&self, file: &str) -> io::Result<Option<InFlightFile>> {
        Ok(self.files.open_read(file)?.map(|opened| self.file(opened, file)))
    }

    fn open_write(&self, file: &str) -> io::Result<InFlightFile> {
        Ok(self.file(self.files.open_write(file)?, file))
    }

    fn create(&self, file: &str) -> io::Result<InFlightFile> {
        Ok(self.file(self.files.create(file)?, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.files.rename(from, to)
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        self.files.remove(file)
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        self.files.remove_dir(dir)
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        self.files.sync_dir(dir)
    }

    fn sync_all(&self) -> io::Result<()> {
        self.files.sync_all()
    }

    fn lock(&self, file: &str, exclusive: bool) -> io::Result<Result<MemoryLock, String>> {
        self.files.lock(file, exclusive)
    }
}

impl File for InFlightFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.of.note(format!("read {}", self.name));
        let length =
            usize::try_from(self.of.ends.saturating_sub(offset)).unwrap_or(usize::MAX).min(buf.len());
        self.file.read_at(&mut buf[..length], offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_at(buf, offset)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        self.file.allocate(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn wait_for_writes(&self, wait: Duration) -> io::Result<bool> {
        assert!(wait >= Duration::from_secs(1), "a write takes its time");
        self.of.note(format!("settled {}", self.name));
        match &self.of.busy {
            Some((busy, answer)) if *busy == self.name => answer(),
            _ => Ok(true),
        }
    }
}

#[test]
fn writes_in_flight_are_waited_for_before_anything_is_read() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    run(&mut pair, 1, 30);
    let segments = [1, 2, 3].map(segment);
    let recover = |busy| {
        let asked = Arc::default();
        let files = InFlight { files: files.restart(), busy, ends: u64::MAX, asked: Arc::clone(&asked) };
        let dir = DataDir::open_on(files, &options()).unwrap();
        asked.lock().unwrap().clear();
        let result = dir.recover(0, &mut Taken::default());
        drop(dir);
        (result, asked.lock().unwrap().clone())
    };
    let (result, asked) = recover(None);
    assert_eq!(result.unwrap().last, Lsn(1));
    assert_eq!(asked[..3], segments.clone().map(|name| format!("settled {name}")));
    assert!(asked[3].starts_with("read "), "{asked:?}");
    for name in segments {
        match recover(Some((name.clone(), || Ok(false)))).0 {
            Err(OpenError::Locked { path, holder }) => {
                assert_eq!(path, format!("memory:{name}"));
                assert!(holder.contains("still in flight"), "{holder}");
            }
            other => panic!("{other:?}"),
        }
        let failed = recover(Some((name, || Err(io::Error::from_raw_os_error(5))))).0;
        assert!(matches!(failed, Err(OpenError::Io { op: "lock", .. })), "{failed:?}");
    }
}

/// A segment that ends in the middle of a frame, although it has its whole length: not a torn write, which leaves blocks.
#[test]
fn a_segment_that_is_cut_off_while_it_is_read_is_refused() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    run(&mut pair, 1, 10_000);
    let files = InFlight { files: files.restart(), busy: None, ends: 2 * 4096 + 100, asked: Arc::default() };
    let dir = DataDir::open_on(files, &options()).unwrap();
    match dir.recover(0, &mut Taken::default()) {
        Err(OpenError::Damaged { offset: 4096, reason, .. }) => {
            assert!(reason.contains("cut off"), "{reason}")
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_start_from_a_closed_log_writes_nothing_before_the_first_record() {
    let files = MemoryFiles::new();
    let mut pair = Pair::new(&files, options());
    run(&mut pair, 1, 30);
    pair.now = Millis(10_000);
    pair.finish_all().unwrap();
    let files = files.restart();
    let (mut log, _, last, cut) = start(&files, &options()).unwrap();
    let before = files.contents();
    common::finish_all(&mut log, Millis(20_000)).unwrap();
    assert_eq!((last, cut, log.stats().frames), (Lsn(1), None, 0));
    assert_eq!(files.contents(), before);
}
