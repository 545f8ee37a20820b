//! The drivers on a real file system: which one is chosen, and the threads beside it. What each does is tried by the conformance
//! suite.

mod common;

use std::os::fd::AsFd;
use std::path::Path;

use common::{Taken, append, options, record};
use rustix::event::{PollFd, PollFlags, poll};
use wal::disk::{Choice, Disk, Driver, Kind, Preference, choose};
use wal::{DataDir, Log, Lsn, Millis, Options};

fn temp() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The drivers that this machine has.
fn choices(dir: &Path) -> Vec<Choice> {
    let plain = choose(dir, Preference::Plain).unwrap();
    assert_eq!(plain.kind, Kind::Plain);
    let buffered = Choice { direct: false, ..plain.clone() };
    match choose(dir, Preference::Uring) {
        Ok(uring) => vec![uring, plain, buffered],
        Err(reason) => {
            eprintln!("not tried: {reason}");
            let auto = choose(dir, Preference::Auto).unwrap();
            assert_eq!(auto.kind, Kind::Plain);
            vec![plain, buffered]
        }
    }
}

/// Waits for the disk as a runtime does: until the eventfd is readable, then reads it.
fn wait(log: &Log<Driver>) {
    let wake = log.disk().wake_fd().unwrap();
    poll(&mut [PollFd::new(&wake, PollFlags::IN)], None).unwrap();
    let mut count = [0; 8];
    rustix::io::read(wake.as_fd(), &mut count).unwrap();
}

fn start(path: &Path, options: &Options, choice: &Choice) -> (Log<Driver>, Taken, Lsn) {
    let dir = DataDir::open(path, options).unwrap();
    let mut taken = Taken::default();
    let at = dir.recover(0, &mut taken).unwrap();
    let last = at.last;
    let disk = dir.disk(0, choice).unwrap();
    (dir.log(0, at, disk).unwrap(), taken, last)
}

fn until(log: &mut Log<Driver>, now: Millis, done: impl Fn(&Log<Driver>) -> bool) {
    log.poll(now).unwrap();
    while !done(log) {
        wait(log);
        log.poll(now).unwrap();
    }
}

/// A directory that is only looked at is found by its path.
#[test]
fn a_directory_is_inspected_by_its_path() {
    let temp = temp();
    let path = temp.path().join("data");
    let (mut log, ..) = start(&path, &options(), &choose(temp.path(), Preference::Plain).unwrap());
    let records: Vec<_> = (1..4).map(|value| record(0, value, 10)).collect();
    for record in &records {
        append(&mut log, record);
    }
    until(&mut log, Millis(0), |log| log.durable() == log.appended());
    drop(log);
    let report = wal::inspect::check(&path).unwrap();
    assert!(report.is_sound() && report.cores[0].last == Lsn(3), "{report:?}");
    let mut taken = Taken::default();
    wal::inspect::replay(&path, 0, &mut taken).unwrap();
    assert_eq!(taken.state().0[&0], [1, 2, 3]);
    let entries = wal::inspect::records(&path).unwrap().map(|entry| entry.unwrap().bytes);
    assert!(entries.eq(records));
}

/// A directory is read by several threads; a log goes to the thread that owns it.
#[test]
fn types_go_where_they_are_needed() {
    fn check_sync<T: Sync>() {}
    fn check_send<T: Send>() {}
    check_sync::<DataDir>();
    check_send::<Log<Driver>>();
    check_send::<wal::Recovered>();
}

#[test]
fn the_choice_says_why() {
    let temp = temp();
    let text = choose(temp.path(), Preference::Plain).unwrap().to_string();
    assert!(text.starts_with("log writes by a thread with ") && text.ends_with("asked for"), "{text}");
    let auto = choose(temp.path(), Preference::Auto).unwrap();
    assert!(!auto.reason.is_empty());
    assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0, "it leaves nothing behind");
    let absent = choose(&temp.path().join("absent"), Preference::Uring).unwrap_err();
    assert!(absent.contains("has no O_DIRECT"), "{absent}");
}

/// A pinned thread starts a driver; its helpers are not pinned.
#[test]
fn helper_threads_leave_the_core() {
    let temp = temp();
    let allowed = rustix::thread::sched_getaffinity(None).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut one = rustix::thread::CpuSet::new();
            one.set((0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| allowed.is_set(*cpu)).unwrap());
            rustix::thread::sched_setaffinity(None, &one).unwrap();
            for (number, choice) in choices(temp.path()).iter().enumerate() {
                let (mut log, ..) = start(&temp.path().join(number.to_string()), &options(), choice);
                // Once a job is done, the helper has left.
                append(&mut log, b"0123456789");
                until(&mut log, Millis(0), |log| log.durable() == Lsn(1));
                for id in helpers() {
                    // Helpers of the tests beside this one come and go.
                    let Ok(status) = std::fs::read_to_string(format!("/proc/self/task/{id}/status")) else {
                        continue;
                    };
                    let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list")).unwrap();
                    let own = std::fs::read_to_string("/proc/self/status").unwrap();
                    // The whole line: the list of one core may be the beginning of the list of all.
                    assert!(own.lines().any(|own| own == line), "{line}");
                }
            }
        });
    });
}

fn helpers() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let id = |task: std::io::Result<std::fs::DirEntry>| task.unwrap().file_name().into_string().unwrap();
    let is_helper = |id: &String| {
        std::fs::read_to_string(format!("/proc/self/task/{id}/comm"))
            .is_ok_and(|name| name.starts_with("wal-"))
    };
    tasks.map(id).filter(is_helper).collect()
}
