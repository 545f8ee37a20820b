//! Both drivers on a real file system.

mod common;

use std::os::fd::AsFd;
use std::path::Path;

use common::{Rng, SLOTS, State, Taken, options, record};
use rustix::event::{PollFd, PollFlags, poll};
use wal::disk::{Choice, Disk, Driver, Kind, Preference, choose};
use wal::{DataDir, Log, Lsn, Millis, Options, SnapshotState};

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

#[test]
fn a_log_lives_on_both_drivers() {
    let temp = temp();
    for (number, choice) in choices(temp.path()).iter().enumerate() {
        let path = temp.path().join(number.to_string());
        let mut state = State::default();
        let mut rng = Rng::new(number as u64 + 1);
        let mut value = 0;
        for _ in 0..3 {
            let (mut log, taken, last) = start(&path, &options(), choice);
            assert_eq!((last, taken.state()), (Lsn(value), state.clone()), "{choice}");
            for _ in 0..80 {
                for _ in 0..1 + rng.below(5) {
                    value += 1;
                    let bytes = record((value % u64::from(SLOTS)) as u16, value, rng.below(9_000) as usize);
                    state.apply(&bytes).unwrap();
                    assert_eq!(log.append(&bytes), Lsn(value));
                    log.end_command();
                }
                log.poll(Millis(0)).unwrap();
                if rng.chance(50) {
                    until(&mut log, Millis(0), |log| log.durable() == log.appended());
                }
                if log.snapshot_due() {
                    log.snapshot_begin();
                    for slot in 0..SLOTS {
                        log.snapshot_slot(slot, &state.image(slot));
                    }
                    log.snapshot_end();
                    until(&mut log, Millis(0), |log| log.snapshot_state() == SnapshotState::Idle);
                }
            }
            until(&mut log, Millis(0), |log| log.durable() == log.appended());
            if rng.chance(50) {
                until(&mut log, Millis(1_000), Log::is_quiet);
            }
            // The log was long enough for a snapshot, and the snapshot for segments that nobody needs any more.
            assert!(log.stats().snapshots > 0);
            until(&mut log, Millis(1_000), |log| log.stats().segments_recycled > 0);
        }
        let report = wal::inspect::check(&path).unwrap();
        assert!(report.is_sound(), "{:?}", report.cores[0].problem);
        assert_eq!(report.cores[0].last, Lsn(value));
        let mut taken = Taken::default();
        wal::inspect::replay(&path, 0, &mut taken).unwrap();
        assert_eq!(taken.state(), state, "{choice}");
        let kept = wal::inspect::records(&path).unwrap().last().unwrap().unwrap();
        assert_eq!((kept.core, kept.lsn), (0, Lsn(value)));
    }
}

/// Dropped with a write in flight: what was durable is there, and the next start waits for the write to land.
#[test]
fn a_log_that_is_dropped_in_the_middle_of_a_write() {
    let temp = temp();
    for (number, choice) in choices(temp.path()).iter().enumerate() {
        let path = temp.path().join(number.to_string());
        let mut durable = Lsn::NONE;
        let mut appended = Lsn::NONE;
        for round in 0..20 {
            let (mut log, _, last) = start(&path, &options(), choice);
            assert!(last >= durable && last <= appended, "{choice}: {durable} {last} {appended}");
            log.append(&record(0, round, 20_000));
            log.end_command();
            until(&mut log, Millis(0), |log| log.durable() == log.appended());
            log.append(&record(0, round, 100_000));
            log.end_command();
            log.poll(Millis(0)).unwrap();
            (durable, appended) = (log.durable(), log.appended());
        }
    }
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
                log.append(b"0123456789");
                log.end_command();
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
