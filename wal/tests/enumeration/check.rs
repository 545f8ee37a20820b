//! What must hold after a crash, whatever survived.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;

use wal::Lsn;
use wal::disk::Lane;
use wal::files::MemoryFiles;

use super::common::{Pair, State, Taken, append, finish_all, options, read, record, start};
use super::subsets::{Subsets, UNITS_MAX};
use super::workload::{Moment, Workload, run};

/// Units of subsets where a crash comes into the recovery from a crash: none, all, and what lies between.
const SECOND_UNITS_MAX: usize = 4;

/// Exact for up to two operations, where a frame of two blocks is torn in all ways; with a third one in front, in the ways
/// that are different for a recovery.
fn units_max(workload: &Workload) -> usize {
    if workload.operations() < 3 { UNITS_MAX } else { 5 }
}

/// What was tried.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Moments at which a crash came, and how many of them were different.
    moments: u64,
    different: u64,
    /// Subsets that survived one, and the different disks that they left: each was recovered and held against the model.
    subsets: u64,
    disks: u64,
    /// Moments with more subsets than were tried.
    cut: u64,
    /// Crashes within a recovery, and the subsets that survived those.
    second_moments: u64,
    second_subsets: u64,
    /// Recoveries that brought back less than was appended, more than was reported durable, and that cut a torn frame.
    lost: u64,
    gained: u64,
    torn: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: &Counts) {
        self.moments += other.moments;
        self.different += other.different;
        self.subsets += other.subsets;
        self.disks += other.disks;
        self.cut += other.cut;
        self.second_moments += other.second_moments;
        self.second_subsets += other.second_subsets;
        self.lost += other.lost;
        self.gained += other.gained;
        self.torn += other.torn;
    }

    /// Less than this means that something is no longer tried. How many subsets there are varies a little: of two workloads
    /// that come to the same moment, one is cut down and the other is not.
    pub(super) fn check_nothing_shrank(&self) {
        assert!(self.moments >= 45_000 && self.different >= 5_500, "{self:?}");
        assert!(self.subsets >= 150_000 && self.disks >= 45_000, "{self:?}");
        assert!(self.second_moments >= 4_000 && self.second_subsets >= 40_000, "{self:?}");
        assert!(self.lost >= 40_000 && self.gained >= 1_000 && self.torn >= 20_000, "{self:?}");
    }
}

/// Disks that were held against the same knowledge before: many crashes of many workloads leave the same one.
#[derive(Default)]
pub(super) struct Seen(Mutex<HashSet<u64>>);

impl Seen {
    /// Whether this is the first time.
    fn add(&self, moment: &Moment, model: &Pair, files: &MemoryFiles) -> bool {
        let mut hasher = DefaultHasher::new();
        (files.fingerprint(), moment.durable, moment.appended).hash(&mut hasher);
        (&model.history, &model.groups).hash(&mut hasher);
        self.0.lock().expect("nobody panics with it").insert(hasher.finish())
    }
}

/// Tries every crash of the last operation of a workload.
pub(super) fn try_all(workload: &Workload, base: &Pair, seen: &Seen, counts: &mut Counts) {
    let (moments, model) = run(workload, base);
    let mut model = Model { model, states: HashMap::new() };
    for (number, moment) in moments.iter().enumerate() {
        counts.moments += 1;
        if !seen.add(moment, &model.model, &moment.files) {
            continue;
        }
        let subsets = Subsets::of(&moment.files, units_max(workload));
        counts.different += 1;
        counts.cut += u64::from(subsets.is_cut);
        for subset in 0..subsets.count() {
            let files = subsets.crash(&moment.files, subset);
            let context = || format!("crash {number} of {workload}, subset {subset:b} survives");
            counts.subsets += 1;
            if !seen.add(moment, &model.model, &files) {
                continue;
            }
            counts.disks += 1;
            let twice = (workload.operations() == 1).then(|| files.fork());
            let (last, torn) = model.check(moment, files, &context);
            counts.lost += u64::from(last < moment.appended);
            counts.gained += u64::from(last > moment.durable);
            counts.torn += u64::from(torn);
            if let Some(files) = twice {
                model.crash_in_recovery(moment, &files, counts, &context);
            }
        }
    }
}

struct Model {
    model: Pair,
    states: HashMap<Lsn, State>,
}

impl Model {
    /// Recovers, holds what comes back against the model, goes on with another record, and recovers again. The last record
    /// that came back, and whether a torn frame was cut.
    fn check(&mut self, moment: &Moment, files: MemoryFiles, context: &dyn Fn() -> String) -> (Lsn, bool) {
        let started = start(&files, &options());
        let (mut log, taken, last, cut) =
            started.unwrap_or_else(|error| panic!("{}: refused: {error}", context()));
        self.hold(moment, &taken, last, context);
        let now = wal::Millis(0);
        finish_all(&mut log, now).expect("nothing fails here");
        let another = record(1, 77, 10);
        append(&mut log, &another);
        log.poll(now).expect("nothing fails here");
        assert!(log.disk().is_waiting(Lane::Write), "{}: the log does not go on", context());
        // The new record is lost again, or is the only one more.
        self.same(&files.fork().crash(|| false), &taken, last, context);
        finish_all(&mut log, now).expect("nothing fails here");
        let (mut more, end) = (taken.state(), log.durable());
        assert_eq!(end, last.next(), "{}: the log does not go on", context());
        more.apply(&another).expect("a record of ours");
        let (again, at) = read(&files.crash(|| false), &options())
            .unwrap_or_else(|error| panic!("{}: refused when it has gone on: {error}", context()));
        assert_eq!((at.last, again.state()), (end, more), "{}: when it has gone on", context());
        (last, cut.is_some())
    }

    fn hold(&mut self, moment: &Moment, taken: &Taken, last: Lsn, context: &dyn Fn() -> String) {
        let Model { model, states } = self;
        assert!(last >= moment.durable, "{}: {} was durable, {last} came back", context(), moment.durable);
        assert!(last <= moment.appended, "{}: {last} was never appended", context());
        assert!(model.groups.contains(&last), "{}: {last} is in the middle of a group", context());
        for (lsn, record) in &taken.records {
            assert!(*record == model.history[lsn.0 as usize - 1], "{}: another record {lsn}", context());
        }
        let expected = states.entry(last).or_insert_with(|| model.state_at(last));
        assert_eq!(taken.state(), *expected, "{}: after record {last}", context());
    }

    fn same(&self, files: &MemoryFiles, taken: &Taken, last: Lsn, context: &dyn Fn() -> String) {
        let (again, at) = read(files, &options())
            .unwrap_or_else(|error| panic!("{}: refused the second time: {error}", context()));
        assert_eq!((at.last, again.state()), (last, taken.state()), "{}: the second time", context());
    }

    /// Another crash before each change that the recovery makes.
    fn crash_in_recovery(
        &mut self,
        moment: &Moment,
        files: &MemoryFiles,
        counts: &mut Counts,
        context: &dyn Fn() -> String,
    ) {
        files.remember_moments();
        drop(start(files, &options()));
        for (number, files) in files.take_moments().iter().enumerate() {
            let subsets = Subsets::of(files, SECOND_UNITS_MAX);
            counts.second_moments += 1;
            for subset in 0..subsets.count() {
                let context = || format!("{}, and again at {number}, {subset:b} survives", context());
                counts.second_subsets += 1;
                let files = subsets.crash(files, subset);
                let (taken, at) =
                    read(&files, &options()).unwrap_or_else(|error| panic!("{}: {error}", context()));
                self.hold(moment, &taken, at.last, &context);
            }
        }
    }
}
