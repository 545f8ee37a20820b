//! Properties of real files beside those of all files, which the conformance suite tries: names, space, devices that refuse, locks of
//! readers.

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
