//! The operations on real files one by one: what each does, and that what the system refuses is an error and not an answer.

use std::fs;
use std::io::{self, ErrorKind};

use wal::files::{File, Files, OsFiles};

fn temp() -> (tempfile::TempDir, OsFiles) {
    let temp = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let files = OsFiles::new(temp.path().join("data")).unwrap();
    (temp, files)
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.kind(),
    }
}

#[test]
fn names_are_those_of_the_file_system() {
    let (temp, files) = temp();
    let root = temp.path().join("data");
    assert_eq!(files.display(""), root.display().to_string());
    assert_eq!(files.display("a/b"), root.join("a/b").display().to_string());
}

#[test]
fn directories_are_made_listed_and_removed() {
    let (_temp, files) = temp();
    assert_eq!(files.list("").unwrap(), None, "absent");
    assert_eq!(kind(files.make_dir("a")), ErrorKind::NotFound, "in one that is absent");
    for _ in 0..2 {
        files.make_dir("").unwrap();
    }
    assert_eq!(files.list("").unwrap(), Some(Vec::new()));
    for name in ["b", "a", "b"] {
        files.make_dir(name).unwrap();
    }
    files.create("c").unwrap();
    assert_eq!(files.list("").unwrap().unwrap(), ["a", "b", "c"]);
    assert_eq!(kind(files.list("c")), ErrorKind::NotADirectory, "there, and no directory");
    files.create("a/file").unwrap();
    assert_eq!(kind(files.remove_dir("a")), ErrorKind::DirectoryNotEmpty);
    files.remove("a/file").unwrap();
    files.remove_dir("a").unwrap();
    assert_eq!(files.list("").unwrap().unwrap(), ["b", "c"]);
    assert_eq!(kind(files.remove("absent")), ErrorKind::NotFound);
    files.sync_dir("b").unwrap();
    assert_eq!(kind(files.sync_dir("absent")), ErrorKind::NotFound);
}

#[test]
fn everything_is_synced_only_where_there_is_something() {
    let (_temp, files) = temp();
    assert_eq!(kind(files.sync_all()), ErrorKind::NotFound);
    files.make_dir("").unwrap();
    files.sync_all().unwrap();
}

#[test]
fn files_are_written_read_and_renamed() {
    let (_temp, files) = temp();
    files.make_dir("").unwrap();
    assert!(files.open_read("a").unwrap().is_none());
    assert_eq!(kind(files.open_write("a")), ErrorKind::NotFound);
    let file = files.create("a").unwrap();
    file.write_at(b"0123456789", 0).unwrap();
    file.write_at(b"xyz", 3).unwrap();
    file.sync().unwrap();
    assert_eq!(file.size().unwrap(), 10);
    let read = |name: &str, offset: u64, length: usize| {
        let mut bytes = vec![0; length];
        let read = files.open_read(name).unwrap().unwrap().read_at(&mut bytes, offset).unwrap();
        bytes.truncate(read);
        bytes
    };
    assert_eq!(read("a", 2, 5), b"2xyz6");
    assert_eq!(read("a", 7, 100), b"789", "up to the end");
    assert_eq!(read("a", 10, 1), b"");
    files.create("b").unwrap();
    files.rename("a", "b").unwrap();
    assert!(files.open_read("a").unwrap().is_none());
    assert_eq!(read("b", 0, 4), b"012x");
    assert_eq!(kind(files.rename("a", "c")), ErrorKind::NotFound);
    assert_eq!(files.create("b").unwrap().size().unwrap(), 0, "what was there is gone");
    let mut bytes = [0; 1];
    files.make_dir("dir").unwrap();
    assert_eq!(kind(files.open_read("b/c")), ErrorKind::NotADirectory, "not the same as absent");
    assert_eq!(
        kind(files.open_read("dir").unwrap().unwrap().read_at(&mut bytes, 0)),
        ErrorKind::IsADirectory
    );
}

/// A file system that cannot take space ahead says so, and then it is the writes that find out.
#[test]
fn space_is_taken_ahead() {
    let (_temp, files) = temp();
    files.make_dir("").unwrap();
    let flags = rustix::fs::FallocateFlags::empty();
    let probe = fs::File::create(files.display("probe")).unwrap();
    if let Err(error) = rustix::fs::fallocate(&probe, flags, 0, 4096) {
        eprintln!("not tried: this file system takes no space ahead ({error})");
        return;
    }
    let file = files.create("a").unwrap();
    file.allocate(1 << 20).unwrap();
    let blocks = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(files.display("a")).unwrap());
    assert!(blocks * 512 >= 1 << 20, "{blocks} blocks");
    assert!(file.allocate(1 << 62).is_err(), "more than there is");
}

/// Devices refuse what files do not.
#[test]
fn a_sync_or_a_write_that_fails_is_an_error() {
    let devices = OsFiles::new("/dev").unwrap();
    let full = devices.open_write("full").unwrap();
    assert_eq!(kind(full.write_at(b"x", 0)), ErrorKind::StorageFull);
    assert_eq!(kind(full.sync()), ErrorKind::InvalidInput);
}

#[test]
fn a_lock_is_had_by_one_writer_or_by_readers() {
    let (_temp, files) = temp();
    assert_eq!(kind(files.lock("lock", true)), ErrorKind::NotFound, "without a directory");
    files.make_dir("").unwrap();
    assert!(matches!(files.lock("lock", false), Ok(Ok(None))), "a reader makes no file");
    assert_eq!(files.list("").unwrap(), Some(Vec::new()));
    files.create("file").unwrap();
    assert_eq!(kind(files.lock("file/lock", false)), ErrorKind::NotADirectory, "not the same as absent");
    let holder = Err(format!("process {}", std::process::id()));
    {
        let locked = files.lock("lock", true).unwrap().unwrap();
        assert!(locked.is_some());
        assert_eq!(files.lock("lock", true).unwrap().map(drop), holder);
        assert_eq!(files.lock("lock", false).unwrap().map(drop), holder);
    }
    let readers = [files.lock("lock", false), files.lock("lock", false)];
    assert!(readers.iter().all(|reader| matches!(reader, Ok(Ok(Some(_))))));
    assert!(files.lock("lock", true).unwrap().is_err());
    drop(readers);
    assert!(files.lock("lock", true).unwrap().is_ok());
}
