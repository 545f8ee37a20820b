//! The conformance suite of every kind of [`Files`]: what it does, and what it refuses.

use std::io::{self, ErrorKind};

use wal::files::{File, Files, MemoryFiles, OsFiles};

use super::{cases, run, temp};

/// Runs the suite, each case on files of its own, whose directory is absent.
fn run_files_tests<F: Files>(fresh: impl Fn() -> F) {
    run::<F>(
        cases![
            directories_are_made_listed_and_removed,
            everything_is_synced_only_where_there_is_something,
            files_are_written_and_read,
            ranges_are_filled_with_zeros,
            files_are_made_anew_renamed_and_removed,
            what_is_no_file_is_not_taken_for_an_absent_one,
            a_lock_is_had_by_one,
        ],
        fresh,
    );
}

#[test]
fn memory() {
    run_files_tests(MemoryFiles::new);
}

#[test]
fn os() {
    let temp = temp();
    let number = std::cell::Cell::new(0);
    run_files_tests(|| {
        number.set(number.get() + 1);
        OsFiles::new(temp.path().join(number.get().to_string())).unwrap()
    });
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => error.kind(),
    }
}

fn read<F: Files>(files: &F, name: &str, offset: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let read = files.open_read(name).unwrap().unwrap().read_at(&mut bytes, offset).unwrap();
    bytes.truncate(read);
    bytes
}

fn directories_are_made_listed_and_removed<F: Files>(files: F) {
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
    files.create("a/file").unwrap();
    assert_eq!(files.list("a").unwrap().unwrap(), ["file"]);
    assert_eq!(kind(files.remove_dir("a")), ErrorKind::DirectoryNotEmpty);
    files.remove("a/file").unwrap();
    files.remove_dir("a").unwrap();
    assert_eq!(files.list("").unwrap().unwrap(), ["b", "c"]);
    files.sync_dir("b").unwrap();
    assert_eq!(kind(files.sync_dir("absent")), ErrorKind::NotFound);
}

fn everything_is_synced_only_where_there_is_something<F: Files>(files: F) {
    assert_eq!(kind(files.sync_all()), ErrorKind::NotFound);
    files.make_dir("").unwrap();
    files.sync_all().unwrap();
}

fn files_are_written_and_read<F: Files>(files: F) {
    files.make_dir("").unwrap();
    assert!(files.open_read("a").unwrap().is_none());
    assert_eq!(kind(files.open_write("a")), ErrorKind::NotFound);
    let file = files.create("a").unwrap();
    file.allocate(4).unwrap();
    file.write_at(b"0123456789", 0).unwrap();
    file.write_at(b"xyz", 3).unwrap();
    file.sync().unwrap();
    assert_eq!(file.size().unwrap(), 10);
    assert_eq!(read(&files, "a", 2, 5), b"2xyz6");
    assert_eq!(read(&files, "a", 7, 100), b"789", "up to the end");
    assert_eq!(read(&files, "a", 10, 1), b"");
    files.open_write("a").unwrap().write_at(b"!", 12).unwrap();
    assert_eq!(read(&files, "a", 8, 100), b"89\0\0!", "zeros in between");
}

fn ranges_are_filled_with_zeros<F: Files>(files: F) {
    files.make_dir("").unwrap();
    let file = files.create("a").unwrap();
    file.write_at(b"01234567", 0).unwrap();
    file.fill(2, 5).unwrap();
    file.fill(6, 6).unwrap();
    assert_eq!(read(&files, "a", 0, 100), b"01\0\0\x00567");
}

fn files_are_made_anew_renamed_and_removed<F: Files>(files: F) {
    files.make_dir("").unwrap();
    files.create("a").unwrap().write_at(b"first", 0).unwrap();
    files.create("b").unwrap().write_at(b"second", 0).unwrap();
    files.rename("a", "b").unwrap();
    assert!(files.open_read("a").unwrap().is_none());
    assert_eq!(read(&files, "b", 0, 100), b"first");
    assert_eq!(kind(files.rename("a", "c")), ErrorKind::NotFound);
    assert_eq!(files.create("b").unwrap().size().unwrap(), 0, "what was there is gone");
    files.remove("b").unwrap();
    assert_eq!(files.list("").unwrap(), Some(Vec::new()));
    assert_eq!(kind(files.remove("b")), ErrorKind::NotFound);
}

fn what_is_no_file_is_not_taken_for_an_absent_one<F: Files>(files: F) {
    files.make_dir("").unwrap();
    files.create("file").unwrap();
    files.make_dir("dir").unwrap();
    assert_eq!(kind(files.list("file")), ErrorKind::NotADirectory);
    assert_eq!(kind(files.open_read("file/b")), ErrorKind::NotADirectory);
    assert_eq!(kind(files.create("file/b")), ErrorKind::NotADirectory);
    assert_eq!(kind(files.create("dir")), ErrorKind::IsADirectory);
    let read = files.open_read("dir").and_then(|file| file.unwrap().read_at(&mut [0; 1], 0));
    assert_eq!(kind(read), ErrorKind::IsADirectory, "at the latest when it is read");
}

fn a_lock_is_had_by_one<F: Files>(files: F) {
    assert_eq!(kind(files.lock("lock", true)), ErrorKind::NotFound, "without a directory");
    files.make_dir("").unwrap();
    let held = files.lock("lock", true).unwrap();
    assert!(held.is_ok());
    assert_eq!(files.list("").unwrap().unwrap(), ["lock"]);
    for exclusive in [true, false] {
        assert!(files.lock("lock", exclusive).unwrap().is_err());
    }
    drop(held);
    assert!(files.lock("lock", true).unwrap().is_ok());
}
