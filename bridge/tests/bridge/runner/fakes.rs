//! A sink and a source in memory that fail when they are told to, and check how they are called.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, mpsc};
use std::time::Duration;

use bridge::health::Health;
use bridge::runner::Stop;
use bridge::sink::{Batch, Sink, SinkError, Start, Trouble};
use bridge::source::{Followed, Source, SourceError};
use engine::ids::{SlotId, Time};
use engine::record::{Body, Record, TellId};
use engine::state::Slot;
use engine::text::Text;
use wal::Lsn;
use wal::follow::Cursor;

use crate::support::{DIRECTORY, LIFE};

/// Records that one batch has at most.
const BATCH_RECORDS: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    Never,
    /// That call of the sink, before it has done anything.
    SinkBefore(usize),
    /// That call of the sink, after it has done everything.
    SinkAfter(usize),
    /// That call of the source.
    Source(usize),
}

impl Failure {
    pub(crate) fn all_at(call: usize) -> [Failure; 3] {
        [Failure::SinkBefore(call), Failure::SinkAfter(call), Failure::Source(call)]
    }
}

/// What a sink keeps, whoever has it open.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    cursor: Option<Cursor>,
    /// Core and number.
    records: Vec<(u16, u64)>,
    copied: BTreeSet<u16>,
    was_emptied: bool,
    calls: usize,
    writes: usize,
    has_failed: bool,
    is_broken: bool,
}

impl Memory {
    /// Core and sequence.
    pub(crate) fn first_record(&self) -> Option<(u16, u64)> {
        self.lock().records.first().copied()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap()
    }

    pub(crate) fn cursor(&self) -> Option<Cursor> {
        self.lock().cursor.clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.lock().calls
    }

    pub(crate) fn writes(&self) -> usize {
        self.lock().writes
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.lock().has_failed
    }

    pub(crate) fn was_emptied(&self) -> bool {
        self.lock().was_emptied
    }

    /// Every call fails from now on, or none.
    pub(crate) fn break_down(&self, is_broken: bool) {
        self.lock().is_broken = is_broken;
    }

    /// The copy, and every record behind it once.
    #[track_caller]
    pub(crate) fn assert_has_all_of(&self, log: &Log) {
        let (kept, log) = (self.lock(), log.lock());
        assert_eq!(kept.copied, (0..log.cores.len() as u16).collect(), "the copy is whole");
        let mut records = kept.records.clone();
        records.sort_unstable();
        let wanted = (0_u16..).zip(&log.cores).flat_map(|(core, records)| {
            let behind = (1..).zip(records).skip(log.copied_at);
            behind.filter(|(_, is_wanted)| **is_wanted).map(move |(lsn, _)| (core, lsn))
        });
        assert_eq!(records, wanted.collect::<Vec<_>>());
    }
}

/// It writes into its memory at once, as a database does when it commits.
pub(crate) struct FakeSink {
    memory: Memory,
    failure: Failure,
    is_open: bool,
    pub(crate) is_refilled: bool,
    pub(crate) start: Start,
}

impl FakeSink {
    pub(crate) fn new(memory: &Memory, failure: Failure) -> FakeSink {
        FakeSink { memory: memory.clone(), failure, is_open: false, is_refilled: false, start: Start::Copy }
    }

    fn call<T>(&mut self, work: impl FnOnce(&mut Kept) -> T) -> Result<T, SinkError> {
        assert!(self.is_open, "it is opened first, and again after an error");
        let mut kept = self.memory.lock();
        let call = kept.calls;
        kept.calls += 1;
        let error = SinkError::new(Trouble::Failed, "told to fail");
        let result = if kept.is_broken || self.failure == Failure::SinkBefore(call) {
            Err(error)
        } else {
            let done = work(&mut kept);
            if self.failure == Failure::SinkAfter(call) { Err(error) } else { Ok(done) }
        };
        self.is_open = result.is_ok();
        kept.has_failed |= result.is_err();
        result
    }
}

impl Sink for FakeSink {
    fn name(&self) -> &'static str {
        "fake"
    }

    fn start(&self) -> Start {
        self.start
    }

    fn is_refilled(&self) -> bool {
        self.is_refilled
    }

    fn open(&mut self) -> Result<Option<Cursor>, SinkError> {
        self.is_open = true;
        self.call(|kept| kept.cursor.clone())
    }

    fn discard(&mut self) -> Result<(), SinkError> {
        // Whether it is open or not: what it has may be what keeps it from being opened.
        self.is_open = true;
        self.call(|kept| *kept = Kept { calls: kept.calls, ..Kept::default() })?;
        self.is_open = false;
        Ok(())
    }

    fn begin_copy(&mut self) -> Result<(), SinkError> {
        self.call(|kept| {
            *kept = Kept { was_emptied: true, ..std::mem::take(kept) };
            kept.cursor = None;
            kept.records.clear();
            kept.copied.clear();
        })
    }

    fn copy_slot(&mut self, slot: &Slot, life: u64) -> Result<(), SinkError> {
        assert_eq!(life, LIFE);
        self.call(|kept| assert!(kept.copied.insert(slot.id().get()), "a slot is copied once"))
    }

    fn end_copy(&mut self, cursor: &Cursor) -> Result<(), SinkError> {
        self.call(|kept| kept.cursor = Some(cursor.clone()))
    }

    fn write(&mut self, batch: &Batch, cursor: &Cursor) -> Result<(), SinkError> {
        assert_eq!(batch.life, LIFE);
        self.call(|kept| {
            let before = kept.cursor.replace(cursor.clone()).expect("only a whole one is written to");
            for record in &batch.records {
                let core = record.slot.get();
                assert!(record.seq > before.cores[usize::from(core)].0, "it has that record");
                assert!(record.seq <= cursor.cores[usize::from(core)].0, "the cursor is behind the batch");
                kept.records.push((core, record.seq));
            }
            kept.writes += 1;
        })
    }
}

/// The log of a few cores, each with one slot: for each record whether a sink wants it.
#[derive(Clone)]
pub(crate) struct Log(Arc<Mutex<Logged>>);

struct Logged {
    cores: Vec<Vec<bool>>,
    /// Records of each core that the copy has.
    copied_at: usize,
    calls: usize,
    has_failed: bool,
    refuses: Option<Trouble>,
}

impl Log {
    /// With so many records for each core; the third of each is passed over.
    pub(crate) fn of(records: &[usize]) -> Log {
        let cores = records.iter().map(|records| (1..=*records).map(|nth| nth % 3 != 0).collect()).collect();
        Log(Arc::new(Mutex::new(Logged { cores, copied_at: 2, calls: 0, has_failed: false, refuses: None })))
    }

    fn lock(&self) -> MutexGuard<'_, Logged> {
        self.0.lock().unwrap()
    }

    pub(crate) fn append(&self, core: usize, records: usize) {
        self.lock().cores[core].extend((0..records).map(|_| true));
    }

    pub(crate) fn append_passed_over(&self, core: usize, records: usize) {
        self.lock().cores[core].extend((0..records).map(|_| false));
    }

    pub(crate) fn refuse(&self, trouble: Option<Trouble>) {
        self.lock().refuses = trouble;
    }

    pub(crate) fn calls(&self) -> usize {
        self.lock().calls
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.lock().has_failed
    }
}

/// Nobody waits for the health as long as this.
const ASKED_MAX: Duration = Duration::from_secs(30);

pub(crate) struct FakeSource {
    log: Log,
    failure: Failure,
    pub(crate) stops_in_copy: Option<Arc<Stop>>,
    /// Whoever holds what the source waits for may ask for this first.
    pub(crate) health: Arc<OnceLock<Arc<Health>>>,
}

impl FakeSource {
    pub(crate) fn new(log: &Log, failure: Failure) -> FakeSource {
        FakeSource { log: log.clone(), failure, stops_in_copy: None, health: Arc::default() }
    }

    fn call(&self) -> Result<(), SourceError> {
        let mut log = self.log.lock();
        log.calls += 1;
        let fails = self.failure == Failure::Source(log.calls - 1);
        log.has_failed |= fails;
        if fails { Err(SourceError("told to fail".into())) } else { Ok(()) }
    }
}

fn cursor(cores: impl Iterator<Item = usize>) -> Cursor {
    let cores = cores.map(|lsn| Lsn(lsn as u64)).collect();
    Cursor { directory: DIRECTORY, life: LIFE, epoch: 1, cores }
}

fn time_of(lsn: usize) -> Time {
    Time(1_000 * lsn as u64)
}

impl Source for FakeSource {
    fn oldest(&mut self) -> Result<Cursor, SourceError> {
        self.call()?;
        let cores = self.log.lock().cores.len();
        Ok(cursor(std::iter::repeat_n(self.log.lock().copied_at, cores)))
    }

    fn admit(&mut self, _: Option<&Cursor>) -> Result<(), SinkError> {
        self.call()?;
        match self.log.lock().refuses {
            Some(trouble) => Err(SinkError::new(trouble, "refused")),
            None => Ok(()),
        }
    }

    /// One core after the other.
    fn follow(&mut self, at: &Cursor, _: usize) -> Result<Followed, SourceError> {
        self.call()?;
        let log = self.log.lock();
        let mut after: Vec<usize> = at.cores.iter().map(|lsn| lsn.0 as usize).collect();
        let mut records = Vec::new();
        let mut last_time = None;
        for (core, logged) in log.cores.iter().enumerate() {
            while after[core] < logged.len() && records.len() < BATCH_RECORDS {
                let is_wanted = logged[after[core]];
                after[core] += 1;
                last_time = Some(time_of(after[core]));
                if is_wanted {
                    records.push(Record {
                        slot: SlotId::new(core as u16),
                        seq: after[core] as u64,
                        time: time_of(after[core]),
                        trace: Text::from(""),
                        body: Body::TellsAcked { tells: vec![TellId(1)] },
                    });
                }
            }
        }
        let batch = Batch { life: LIFE, records };
        Ok(Followed { batch, cursor: cursor(after.into_iter()), last_time })
    }

    fn copy(
        &mut self,
        each: &mut dyn FnMut(Slot, u64) -> Result<(), SinkError>,
    ) -> Result<Cursor, SinkError> {
        self.call()?;
        let (cores, copied_at) = {
            let log = self.log.lock();
            (log.cores.len(), log.copied_at)
        };
        for core in 0..cores {
            each(Slot::new(SlotId::new(core as u16)), LIFE)?;
            if let Some(stop) = &self.stops_in_copy {
                stop.set();
            }
        }
        self.call()?;
        Ok(cursor((0..cores).map(|_| copied_at)))
    }

    fn backlog(&mut self, at: &Cursor) -> u64 {
        if let Some(health) = self.health.get().cloned() {
            let (told, answer) = mpsc::channel();
            std::thread::spawn(move || told.send(health.report()).is_ok());
            answer.recv_timeout(ASKED_MAX).expect("the health can be asked for while the source is");
        }
        let log = self.log.lock();
        let behind = log.cores.iter().zip(&at.cores).map(|(core, lsn)| core.len() as u64 - lsn.0);
        behind.sum()
    }

    fn wait(&mut self, _: Duration) {}
}

/// The log of a world, with one core.
pub(crate) struct WorldSource(Appender);

#[derive(Clone)]
pub(crate) struct Appender(Arc<Mutex<Vec<Record>>>);

impl Appender {
    pub(crate) fn set(&self, log: &[Rc<Record>]) {
        *self.0.lock().unwrap() = log.iter().map(|record| (**record).clone()).collect();
    }
}

impl WorldSource {
    pub(crate) fn new(log: &[Rc<Record>]) -> WorldSource {
        let appender = Appender(Arc::default());
        appender.set(log);
        WorldSource(appender)
    }

    pub(crate) fn appender(&self) -> Appender {
        self.0.clone()
    }
}

impl Source for WorldSource {
    fn oldest(&mut self) -> Result<Cursor, SourceError> {
        unreachable!("it is copied")
    }

    fn admit(&mut self, _: Option<&Cursor>) -> Result<(), SinkError> {
        Ok(())
    }

    fn follow(&mut self, at: &Cursor, _: usize) -> Result<Followed, SourceError> {
        let log = self.0.0.lock().unwrap();
        let records = log[at.cores[0].0 as usize..].to_vec();
        let last_time = records.last().map(|record| record.time);
        let batch = Batch { life: LIFE, records };
        Ok(Followed { batch, cursor: crate::support::cursor(log.len() as u64), last_time })
    }

    fn copy(&mut self, _: &mut dyn FnMut(Slot, u64) -> Result<(), SinkError>) -> Result<Cursor, SinkError> {
        Ok(crate::support::cursor(0))
    }

    fn backlog(&mut self, at: &Cursor) -> u64 {
        self.0.0.lock().unwrap().len() as u64 - at.cores[0].0
    }

    fn wait(&mut self, timeout: Duration) {
        std::thread::park_timeout(timeout);
    }
}
