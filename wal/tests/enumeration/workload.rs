//! The operations, how they follow one another, and where they begin.

use std::fmt;
use std::str::FromStr;

use wal::disk::Lane;
use wal::files::MemoryFiles;
use wal::{Lsn, SnapshotState, limits};

use super::common::{Pair, SLOTS, options};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// A group of one small record.
    Small,
    /// A group of two records that reaches into a second block.
    Wide,
    /// Two groups that take a segment together: the log goes on in the next one.
    Turn,
    /// Time passes: a log that is idle and not closed writes its closing frame.
    Idle,
    /// A snapshot is begun, and has some of its slots.
    Begin,
    /// The snapshot has all of its slots, and is ended.
    End,
    /// Nobody needs the log any more beside the snapshot: what it has passed is recycled and removed.
    Prune,
    /// The process dies, the machine goes on, and the next process recovers.
    Restart,
}

use Operation::{Begin, End, Idle, Prune, Restart, Small, Turn, Wide};

const OPERATIONS: [(Operation, &str); 8] = [
    (Small, "small"),
    (Wide, "wide"),
    (Turn, "turn"),
    (Idle, "idle"),
    (Begin, "begin"),
    (End, "end"),
    (Prune, "prune"),
    (Restart, "restart"),
];

/// An operation, and whether the next one begins while it is under way.
type Step = (Operation, bool);

/// Where a workload begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Base {
    /// A directory that was just made.
    New,
    /// The segments were used before; several that the snapshot has passed are still kept.
    Recycled,
}

impl Base {
    pub(super) const ALL: [Base; 2] = [Base::New, Base::Recycled];
}

/// What is finished first at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    Writes,
    Jobs,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Workload {
    pub(super) base: Base,
    first: First,
    steps: Vec<Step>,
}

impl Workload {
    /// All workloads of so many operations.
    pub(super) fn all(operations: usize) -> Vec<Workload> {
        let mut all = Vec::new();
        for base in Base::ALL {
            for first in [First::Writes, First::Jobs] {
                all.push(Workload { base, first, steps: Vec::new() });
            }
        }
        for place in 1..=operations {
            // The last one is always waited for: crashes while it is under way come before.
            let ways: &[bool] = if place < operations { &[false, true] } else { &[false] };
            let longer = all.iter().flat_map(|workload| {
                OPERATIONS.iter().flat_map(move |(operation, _)| {
                    ways.iter().map(move |left| {
                        let mut longer = workload.clone();
                        longer.steps.push((*operation, *left));
                        longer
                    })
                })
            });
            all = longer.collect();
        }
        all
    }

    pub(super) fn operations(&self) -> usize {
        self.steps.len()
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.base == Base::New { "new" } else { "recycled" })?;
        f.write_str(if self.first == First::Writes { " writes" } else { " jobs" })?;
        for (operation, left) in &self.steps {
            let (_, name) = OPERATIONS.iter().find(|(other, _)| other == operation).expect("all have names");
            write!(f, " {name}{}", if *left { "+" } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for Workload {
    type Err = String;

    fn from_str(text: &str) -> Result<Workload, String> {
        let mut words = text.split(' ');
        let base = match words.next() {
            Some("new") => Base::New,
            Some("recycled") => Base::Recycled,
            other => return Err(format!("no beginning: {other:?}")),
        };
        let first = match words.next() {
            Some("writes") => First::Writes,
            Some("jobs") => First::Jobs,
            other => return Err(format!("nothing to be finished first: {other:?}")),
        };
        let step = |word: &str| {
            let (name, left) = word.strip_suffix('+').map_or((word, false), |name| (name, true));
            let found = OPERATIONS.iter().find(|(_, other)| *other == name);
            found.map(|(operation, _)| (*operation, left)).ok_or_else(|| format!("no operation {name:?}"))
        };
        Ok(Workload { base, first, steps: words.map(step).collect::<Result<_, _>>()? })
    }
}

/// A moment at which a crash can come.
pub(super) struct Moment {
    pub(super) files: MemoryFiles,
    /// The last record that was reported durable by then, and the last that was appended.
    pub(super) durable: Lsn,
    pub(super) appended: Lsn,
}

/// A workload under way.
struct Run {
    pair: Pair,
    /// For each moment so far: what was durable and appended.
    known: Vec<(Lsn, Lsn)>,
}

/// Runs a workload. The moments of its last operation, and the model of everything.
pub(super) fn run(workload: &Workload, base: &Pair) -> (Vec<Moment>, Pair) {
    let pair = base.beside(base.files.fork());
    let mut run = Run { pair, known: Vec::new() };
    run.hold_the_log();
    let (last, before) = workload.steps.split_last().expect("a workload has an operation");
    for (operation, left) in before {
        run.operate(*operation);
        if !left {
            run.finish(First::Writes);
        }
    }
    run.pair.files.remember_moments();
    run.operate(last.0);
    run.finish(workload.first);
    let files = run.pair.files.take_moments();
    assert_eq!(files.len(), run.known.len(), "of each moment it is known what was durable");
    let moment = |(files, (durable, appended))| Moment { files, durable, appended };
    let mut moments: Vec<_> = files.into_iter().zip(run.known).map(moment).collect();
    let (durable, appended) = (run.pair.durable, run.pair.log.appended());
    moments.push(Moment { files: run.pair.files.fork(), durable, appended });
    (moments, run.pair)
}

impl Run {
    /// Nothing is pruned before the operation that is for it.
    fn hold_the_log(&mut self) {
        self.pair.log.keep_from(Lsn(1));
    }

    fn operate(&mut self, operation: Operation) {
        match operation {
            Small => self.pair.group(&[20]),
            // Nine sectors of a frame of two blocks are not zero.
            Wide => self.pair.group(&[3, 4_000]),
            Turn => {
                self.pair.group(&[130_500]);
                self.pair.group(&[130_500]);
            }
            Idle => self.pair.now = self.pair.now.after(limits::IDLE_CLOSE_MS),
            Begin => self.image(2),
            End => {
                self.image(SLOTS);
                if matches!(self.pair.log.snapshot_state(), SnapshotState::Open { .. }) {
                    self.pair.snapshot_step();
                }
            }
            Prune => self.pair.log.keep_from(Lsn::MAX),
            Restart => return self.restart(),
        }
        self.poll();
    }

    /// Begins a snapshot if none is under way, and adds slots to it until it has so many.
    fn image(&mut self, slots: u16) {
        if self.pair.log.snapshot_state() == SnapshotState::Idle {
            self.pair.snapshot_step();
        }
        while self.pair.snapshot_slots().is_some_and(|added| added < slots) {
            self.pair.snapshot_step();
        }
    }

    fn restart(&mut self) {
        let (durable, appended) = (self.pair.durable, self.pair.log.appended());
        let files = self.pair.files.restart();
        self.pair.restart(files).expect("nothing was lost");
        self.know(durable, appended);
        self.hold_the_log();
    }

    fn poll(&mut self) {
        let durable = self.pair.durable;
        self.pair.poll().expect("nothing fails here");
        self.know(durable, self.pair.log.appended());
    }

    /// The moments since the last call: that is what was durable and appended then.
    fn know(&mut self, durable: Lsn, appended: Lsn) {
        self.known.resize(self.pair.files.moments(), (durable, appended));
    }

    fn finish(&mut self, first: First) {
        let lanes = match first {
            First::Writes => [Lane::Write, Lane::Jobs],
            First::Jobs => [Lane::Jobs, Lane::Write],
        };
        loop {
            let any = lanes.into_iter().any(|lane| self.pair.log.disk_mut().finish(lane));
            self.know(self.pair.durable, self.pair.log.appended());
            self.poll();
            if !any && !lanes.iter().any(|lane| self.pair.log.disk().is_waiting(*lane)) {
                return;
            }
        }
    }
}

/// The beginnings, built once.
pub(super) struct Bases {
    new: Pair,
    recycled: Pair,
}

impl Bases {
    pub(super) fn build() -> Bases {
        let new = Pair::new(&MemoryFiles::new(), options());
        Bases { new, recycled: recycled() }
    }

    pub(super) fn of(&self, base: Base) -> &Pair {
        match base {
            Base::New => &self.new,
            Base::Recycled => &self.recycled,
        }
    }
}

/// A log in recycled segments, with a frame in each block so that an old header is at every place where a new frame can
/// begin. Its snapshot has passed full segments that are kept.
fn recycled() -> Pair {
    let mut pair = Pair::new(&MemoryFiles::new(), options());
    let small = |pair: &mut Pair, frames: usize| {
        for _ in 0..frames {
            pair.group(&[20]);
            pair.finish_all().expect("nothing fails here");
        }
    };
    while pair.log.stats().segments_recycled < 6 {
        small(&mut pair, 100);
        pair.snapshot();
    }
    // The next segments are recycled ones. They fill and are passed, and none of them is given up.
    pair.log.keep_from(pair.log.appended());
    small(&mut pair, 3 * 64 + 10);
    pair.snapshot();
    small(&mut pair, 2);
    pair
}
