//! The conformance suite of every [`Disk`], whatever is below it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wal::disk::{Disk, Event, Job, JobError};
use wal::files::{File, Files};
use wal::{Buffer, DataDir, DiskError, Log, Lsn, Millis, SnapshotState, inspect, limits};

use super::common::{CORE, SLOTS, State, Taken, append, chance, options, record};
use super::disks::Bench;
use super::{cases, run};

const SEGMENT: u64 = limits::SEGMENT_BYTES_MIN;
const BLOCK: usize = limits::BLOCK_BYTES;

/// Runs the suite, each case on a bench of its own.
pub(crate) fn run_disk_tests<B: Bench>(fresh: impl Fn() -> B) {
    run::<B>(
        cases![
            nothing_completes_that_was_not_started,
            a_created_segment_is_zeros_of_its_size,
            segments_are_recycled_and_removed,
            a_write_changes_its_range_alone_and_gives_its_buffer_back,
            writes_go_on_in_segments_that_jobs_have_opened,
            a_segment_that_is_open_for_writes_is_not_recycled,
            a_write_to_a_segment_that_no_job_has_opened_is_a_bug,
            jobs_are_done_in_the_order_in_which_they_are_started,
            a_write_and_jobs_are_under_way_together,
            a_snapshot_is_written_part_by_part_and_then_named,
            a_snapshot_that_cannot_be_written_is_abandoned,
            a_job_whose_file_is_gone_is_fatal,
            what_is_complete_is_there_after_a_crash,
            a_log_runs_on_it,
            a_log_is_dropped_with_a_write_in_flight,
        ],
        fresh,
    );
}

/// A disk on a data directory that was just made, with segment 1 and snapshot 0.
struct Core<B: Bench> {
    disk: B::Disk,
    _dir: DataDir<B::Files>,
    bench: B,
}

impl<B: Bench> Core<B> {
    fn new(bench: B) -> Core<B> {
        let dir = DataDir::open_on(bench.files(), &options()).unwrap();
        Core { disk: bench.disk(&dir), _dir: dir, bench }
    }

    /// The next completion.
    fn next(&mut self) -> Event {
        loop {
            if let Some(event) = self.disk.take() {
                return event;
            }
            self.bench.wait(&mut self.disk);
        }
    }

    fn job(&mut self, job: Job) -> Result<(), JobError> {
        self.disk.start(job);
        match self.next() {
            Event::Done(result) => result,
            other => panic!("{other:?}"),
        }
    }

    /// Writes so many blocks of one byte, and gives back the buffer.
    fn write(&mut self, generation: u64, offset: usize, blocks: usize, byte: u8) -> Buffer {
        self.start_write(generation, offset, blocks, byte);
        match self.next() {
            Event::Written { buffer, result } => result.map(|()| buffer).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The buffer has one block more than is written.
    fn start_write(&mut self, generation: u64, offset: usize, blocks: usize, byte: u8) {
        let mut buffer = Buffer::zeroed((blocks + 1) * BLOCK);
        buffer.fill(byte);
        self.disk.write(generation, offset as u64, buffer, blocks * BLOCK);
    }

    fn names(&self) -> Vec<String> {
        self.bench.files().list(CORE).unwrap().unwrap()
    }

    fn read(&self, name: &str) -> Vec<u8> {
        read(&self.bench, name)
    }

    fn crash(self) -> B {
        let Core { disk, _dir: dir, bench } = self;
        drop((disk, dir));
        bench.crash()
    }
}

fn read<B: Bench>(bench: &B, name: &str) -> Vec<u8> {
    let file = bench.files().open_read(&format!("{CORE}/{name}")).unwrap().expect("it is there");
    let mut bytes = vec![0; file.size().unwrap() as usize];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn segment(generation: u64) -> String {
    format!("log-{generation:020}")
}

fn snapshot(number: u64) -> String {
    format!("snapshot-{number:020}")
}

/// Runs of equal bytes: how many, and of which.
fn runs(bytes: &[u8]) -> Vec<(usize, u8)> {
    bytes.chunk_by(|a, b| a == b).map(|run| (run.len(), run[0])).collect()
}

fn nothing_completes_that_was_not_started<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    assert!(core.disk.take().is_none());
    core.job(Job::OpenSegment { generation: 1 }).unwrap();
    core.write(1, 0, 1, 7);
    assert!(core.disk.take().is_none(), "each completes once");
}

fn a_created_segment_is_zeros_of_its_size<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    for (generation, bytes) in [(2, SEGMENT), (3, 5 * SEGMENT + BLOCK as u64)] {
        core.job(Job::CreateSegment { generation, bytes }).unwrap();
        assert_eq!(runs(&core.read(&segment(generation))), [(bytes as usize, 0)]);
    }
    assert_eq!(core.names(), [segment(1), segment(2), segment(3), snapshot(0)], "nothing beside them");
}

fn segments_are_recycled_and_removed<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    let before = core.read(&segment(1));
    core.job(Job::RecycleSegment { from: 1, to: 2 }).unwrap();
    assert_eq!(core.names(), [segment(2), snapshot(0)]);
    assert!(core.read(&segment(2)) == before, "it keeps what it holds");
    core.job(Job::RemoveSegment { generation: 2 }).unwrap();
    core.job(Job::RemoveSnapshot { number: 0 }).unwrap();
    assert_eq!(core.names(), [""; 0]);
}

fn a_write_changes_its_range_alone_and_gives_its_buffer_back<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    core.job(Job::CreateSegment { generation: 2, bytes: SEGMENT }).unwrap();
    let buffer = core.write(2, 3 * BLOCK, 2, 7);
    assert_eq!(runs(&buffer), [(3 * BLOCK, 7)], "as it was given, with what was not written");
    let last = SEGMENT as usize - BLOCK;
    core.write(2, last, 1, 8);
    let expected = [(3 * BLOCK, 0), (2 * BLOCK, 7), (last - 5 * BLOCK, 0), (BLOCK, 8)];
    assert_eq!(runs(&core.read(&segment(2))), expected);
}

fn writes_go_on_in_segments_that_jobs_have_opened<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    core.job(Job::OpenSegment { generation: 1 }).unwrap();
    core.job(Job::CreateSegment { generation: 2, bytes: SEGMENT }).unwrap();
    core.write(1, 0, 64, 1);
    core.write(2, 0, 1, 2);
    core.job(Job::RecycleSegment { from: 1, to: 3 }).unwrap();
    core.write(2, BLOCK, 1, 2);
    core.write(3, 0, 1, 3);
    let rest = SEGMENT as usize - BLOCK;
    assert_eq!(runs(&core.read(&segment(2))), [(2 * BLOCK, 2), (rest - BLOCK, 0)]);
    assert_eq!(runs(&core.read(&segment(3))), [(BLOCK, 3), (rest, 1)]);
}

/// A driver closes a segment when a later one is written: by then nobody writes to it any more.
fn a_segment_that_is_open_for_writes_is_not_recycled<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    core.job(Job::OpenSegment { generation: 1 }).unwrap();
    let result = core.job(Job::RecycleSegment { from: 1, to: 2 });
    assert!(matches!(result, Err(JobError::Fatal(DiskError { op: "open", .. }))), "{result:?}");
}

fn a_write_to_a_segment_that_no_job_has_opened_is_a_bug<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    let panic = catch_unwind(AssertUnwindSafe(|| core.start_write(1, 0, 1, 1))).unwrap_err();
    let text = panic.downcast_ref::<String>().expect("a message");
    assert!(text.contains("opened by a job"), "{text}");
}

fn jobs_are_done_in_the_order_in_which_they_are_started<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    core.disk.start(Job::RecycleSegment { from: 1, to: 2 });
    core.disk.start(Job::RemoveSegment { generation: 9 });
    core.disk.start(Job::CreateSegment { generation: 1, bytes: SEGMENT });
    core.disk.start(Job::RemoveSegment { generation: 2 });
    let results: Vec<_> = (0..4).map(|_| matches!(core.next(), Event::Done(Ok(())))).collect();
    assert_eq!(results, [true, false, true, true], "one that fails does not hold up the next");
    assert_eq!(core.names(), [segment(1), snapshot(0)]);
}

fn a_write_and_jobs_are_under_way_together<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    core.job(Job::OpenSegment { generation: 1 }).unwrap();
    for generation in 2..6 {
        core.disk.start(Job::CreateSegment { generation, bytes: SEGMENT });
    }
    core.start_write(1, BLOCK, 1, 7);
    let (mut written, mut done) = (0, 0);
    while written + done < 5 {
        match core.next() {
            Event::Written { result, .. } => written += usize::from(result.is_ok()),
            Event::Done(result) => done += usize::from(result.is_ok()),
        }
    }
    assert_eq!((written, done), (1, 4));
}

fn a_snapshot_is_written_part_by_part_and_then_named<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    // The first part makes the file anew: of one that was given up nothing is left.
    core.job(Job::WriteSnapshot { offset: 0, bytes: vec![9; 10_000] }).unwrap();
    for (offset, length, byte) in [(0, 1_000, 1), (1_000, 5, 2), (1_005, 70_000, 3)] {
        core.job(Job::WriteSnapshot { offset, bytes: vec![byte; length] }).unwrap();
    }
    assert_eq!(core.names(), [segment(1), snapshot(0), "snapshot.new".to_owned()]);
    core.job(Job::PublishSnapshot { number: 1 }).unwrap();
    core.job(Job::RemoveSnapshot { number: 0 }).unwrap();
    assert_eq!(core.names(), [segment(1), snapshot(1)]);
    assert_eq!(runs(&core.read(&snapshot(1))), [(1_000, 1), (5, 2), (70_000, 3)]);
}

fn a_snapshot_that_cannot_be_written_is_abandoned<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    let in_the_way = format!("{CORE}/snapshot.new");
    core.bench.files().make_dir(&in_the_way).unwrap();
    let result = core.job(Job::WriteSnapshot { offset: 0, bytes: vec![1; 10] });
    assert!(matches!(result, Err(JobError::Abandoned(DiskError { op: "create", .. }))), "{result:?}");
    core.bench.files().remove_dir(&in_the_way).unwrap();
    core.job(Job::WriteSnapshot { offset: 0, bytes: vec![1; 10] }).unwrap();
}

fn a_job_whose_file_is_gone_is_fatal<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    let mut check = |job: Job, op: &str| match core.job(job) {
        Err(JobError::Fatal(error)) => assert_eq!(error.op, op, "{error}"),
        other => panic!("{other:?}"),
    };
    check(Job::OpenSegment { generation: 9 }, "open");
    check(Job::RecycleSegment { from: 9, to: 10 }, "rename");
    check(Job::RemoveSegment { generation: 9 }, "remove");
    check(Job::RemoveSnapshot { number: 9 }, "remove");
    check(Job::PublishSnapshot { number: 9 }, "rename");
}

fn what_is_complete_is_there_after_a_crash<B: Bench>(bench: B) {
    let mut core = Core::new(bench);
    core.job(Job::OpenSegment { generation: 1 }).unwrap();
    core.job(Job::CreateSegment { generation: 2, bytes: SEGMENT }).unwrap();
    core.write(1, 0, 64, 1);
    core.write(2, BLOCK, 2, 2);
    core.job(Job::RecycleSegment { from: 1, to: 3 }).unwrap();
    core.job(Job::WriteSnapshot { offset: 0, bytes: vec![4; 5_000] }).unwrap();
    core.job(Job::PublishSnapshot { number: 1 }).unwrap();
    core.job(Job::RemoveSnapshot { number: 0 }).unwrap();
    let bench = core.crash();
    let names = bench.files().list(CORE).unwrap().unwrap();
    assert_eq!(names, [segment(2), segment(3), snapshot(1)]);
    let rest = SEGMENT as usize - 3 * BLOCK;
    assert_eq!(runs(&read(&bench, &segment(2))), [(BLOCK, 0), (2 * BLOCK, 2), (rest, 0)]);
    assert_eq!(runs(&read(&bench, &segment(3))), [(SEGMENT as usize, 1)]);
    assert_eq!(runs(&read(&bench, &snapshot(1))), [(5_000, 4)]);
}

fn start<B: Bench>(bench: &B) -> (Log<B::Disk>, Taken, Lsn) {
    let dir = DataDir::open_on(bench.files(), &options()).unwrap();
    let mut taken = Taken::default();
    let at = dir.recover(0, &mut taken).unwrap();
    let last = at.last;
    (dir.log(0, at, bench.disk(&dir)).unwrap(), taken, last)
}

fn until<B: Bench>(bench: &B, log: &mut Log<B::Disk>, now: Millis, done: impl Fn(&Log<B::Disk>) -> bool) {
    log.poll(now).unwrap();
    while !done(log) {
        bench.wait(log.disk_mut());
        log.poll(now).unwrap();
    }
}

fn until_durable<B: Bench>(bench: &B, log: &mut Log<B::Disk>) {
    until(bench, log, Millis(0), |log| log.durable() == log.appended());
}

fn a_log_runs_on_it<B: Bench>(mut bench: B) {
    let mut state = State::default();
    let mut rng = fastrand::Rng::with_seed(1);
    let mut value = 0;
    for _ in 0..3 {
        let (mut log, taken, last) = start(&bench);
        assert_eq!((last, taken.state()), (Lsn(value), state.clone()));
        for _ in 0..80 {
            for _ in 0..rng.u64(1..6) {
                value += 1;
                let bytes = record((value % u64::from(SLOTS)) as u16, value, rng.usize(..9_000));
                state.apply(&bytes).unwrap();
                assert_eq!(append(&mut log, &bytes), Lsn(value));
            }
            log.poll(Millis(0)).unwrap();
            if chance(&mut rng, 50) {
                until_durable(&bench, &mut log);
            }
            while let Some(writer) = log.snapshot_wants() {
                match writer.slots() as u16 {
                    SLOTS => writer.end(),
                    slot => writer.piece(slot, &state.image(slot), true),
                }
            }
            until(&bench, &mut log, Millis(0), |log| log.snapshot_state() == SnapshotState::Idle);
        }
        until_durable(&bench, &mut log);
        if chance(&mut rng, 50) {
            until(&bench, &mut log, Millis(1_000), Log::is_quiet);
        }
        // The log was long enough for a snapshot, and the snapshot for segments that nobody needs any more.
        assert!(log.stats().snapshots > 0);
        until(&bench, &mut log, Millis(1_000), |log| log.stats().segments_recycled > 0);
        drop(log);
        bench = bench.crash();
    }
    let report = inspect::check_on(&bench.files()).unwrap();
    assert!(report.is_sound(), "{:?}", report.cores[0].problem);
    assert_eq!(report.cores[0].last, Lsn(value));
    let kept = inspect::records_on(bench.files()).unwrap().last().unwrap().unwrap();
    assert_eq!((kept.core, kept.lsn), (0, Lsn(value)));
    assert_eq!(start(&bench).1.state(), state);
}

/// Everything durable is there, and the next start waits for the write to land.
fn a_log_is_dropped_with_a_write_in_flight<B: Bench>(mut bench: B) {
    let (mut durable, mut appended) = (Lsn::NONE, Lsn::NONE);
    for round in 0..20 {
        let (mut log, _, last) = start(&bench);
        assert!(last >= durable && last <= appended, "{durable} {last} {appended}");
        append(&mut log, &record(0, round, 20_000));
        until_durable(&bench, &mut log);
        append(&mut log, &record(0, round, 100_000));
        log.poll(Millis(0)).unwrap();
        (durable, appended) = (log.durable(), log.appended());
        drop(log);
        bench = bench.crash();
    }
}
