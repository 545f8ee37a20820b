//! What the tests share: a log over files in memory, and a model that says what must come back.
#![allow(dead_code, unreachable_pub, reason = "each test uses its own part of this")]

use std::collections::BTreeMap;

use wal::disk::{Disk, Lane, MemoryDisk};
use wal::files::{Files, MemoryFiles};
use wal::follow::Cursor;
use wal::{
    DataDir, DiskError, Log, Lsn, Millis, OpenError, Options, Recover, Recovered, SnapshotState, limits,
};

/// The directory of core 0.
pub const CORE: &str = "epoch-0000000001/core-00000";

pub fn segment(generation: u64) -> String {
    format!("{CORE}/log-{generation:020}")
}

pub fn snapshot(number: u64) -> String {
    format!("{CORE}/snapshot-{number:020}")
}

/// The numbers of the files of core 0 whose names begin with this.
pub fn numbers(files: &MemoryFiles, prefix: &str) -> Vec<u64> {
    let list = files.list(CORE).unwrap().unwrap();
    list.iter().filter_map(|name| name.strip_prefix(prefix)?.parse().ok()).collect()
}

/// Few slots, so that each has several records.
pub const SLOTS: u16 = 5;
/// Of a slot's image: three values. The second piece has the rest.
const FIRST_PIECE_BYTES: usize = 24;

pub fn options() -> Options {
    Options {
        cores: 1,
        segment_bytes: limits::SEGMENT_BYTES_MIN,
        spare_segments: 2,
        reserve_bytes: Some(limits::EXHAUSTED_BYTES + 4096),
        snapshot_log_bytes: 2 * limits::SEGMENT_BYTES_MIN,
        snapshot_log_bytes_max: 16 * limits::SEGMENT_BYTES_MIN,
        keep_ms: 0,
        budget_bytes: u64::MAX,
        entropy: Some(*b"the id of a test, and its secret, a life"),
    }
}

/// True in so many of a hundred cases.
pub fn chance(rng: &mut fastrand::Rng, percent: u8) -> bool {
    rng.u8(..100) < percent
}

/// A record: its slot, its value, and filling.
pub fn record(slot: u16, value: u64, size: usize) -> Vec<u8> {
    let mut bytes = slot.to_le_bytes().to_vec();
    bytes.extend(value.to_le_bytes());
    bytes.resize(bytes.len() + size, value as u8);
    bytes
}

/// The state of all slots: which values each took, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State(pub BTreeMap<u16, Vec<u64>>);

impl State {
    pub fn apply(&mut self, record: &[u8]) -> Result<(), String> {
        let (slot, value) = parse(record)?;
        self.0.entry(slot).or_default().push(value);
        Ok(())
    }

    pub fn image(&self, slot: u16) -> Vec<u8> {
        self.0.get(&slot).into_iter().flatten().flat_map(|value| value.to_le_bytes()).collect()
    }
}

fn parse(record: &[u8]) -> Result<(u16, u64), String> {
    if record.len() < 10 {
        return Err("too short".to_owned());
    }
    let slot = u16::from_le_bytes(record[..2].try_into().unwrap());
    let value = u64::from_le_bytes(record[2..10].try_into().unwrap());
    if record[10..].iter().any(|byte| *byte != value as u8) {
        return Err("filling that was never written".to_owned());
    }
    Ok((slot, value))
}

/// A replay into a model, by the rule of [`Recover::record`].
#[derive(Debug, Default)]
pub struct Taken {
    pub state: State,
    images: BTreeMap<u16, Lsn>,
    pub records: Vec<(Lsn, Vec<u8>)>,
}

impl Recover for Taken {
    fn piece(&mut self, slot: u16, lsn: Lsn, image: &[u8]) -> Result<(), String> {
        assert!(self.records.is_empty(), "images come before records");
        let values = image.chunks(8).map(|value| u64::from_le_bytes(value.try_into().unwrap())).collect();
        let values: Vec<u64> = values;
        match self.images.insert(slot, lsn) {
            None => drop(self.state.0.insert(slot, values)),
            Some(before) => {
                assert_eq!(before, lsn, "pieces of one image");
                self.state.0.entry(slot).or_default().extend(values);
            }
        }
        Ok(())
    }

    fn record(&mut self, lsn: Lsn, record: &[u8]) -> Result<(), String> {
        if let Some((last, _)) = self.records.last() {
            assert_eq!(lsn, last.next(), "records come in order");
        }
        self.records.push((lsn, record.to_vec()));
        let (slot, _) = parse(record)?;
        if self.images.get(&slot).is_none_or(|image| lsn > *image) {
            self.state.apply(record)?;
        }
        Ok(())
    }
}

impl Taken {
    /// The state without slots that nothing happened to.
    pub fn state(&self) -> State {
        let mut state = self.state.clone();
        state.0.retain(|_, values| !values.is_empty());
        state
    }
}

/// Opens core 0 of a directory in memory and starts its log.
pub fn start(
    files: &MemoryFiles,
    options: &Options,
) -> Result<(Log<MemoryDisk>, Taken, Lsn, Option<wal::Cut>), OpenError> {
    let dir = DataDir::open_on(files.clone(), options)?;
    let mut taken = Taken::default();
    let at: Recovered = dir.recover(0, &mut taken)?;
    let (last, cut) = (at.last, at.cut.clone());
    let log = dir.log(0, at, MemoryDisk::new(dir.core_dir(0)))?;
    Ok((log, taken, last, cut))
}

/// Reads core 0 and gives the directory free again.
pub fn read(files: &MemoryFiles, options: &Options) -> Result<(Taken, Recovered), OpenError> {
    let dir = DataDir::open_on(files.clone(), options)?;
    let mut taken = Taken::default();
    let at = dir.recover(0, &mut taken)?;
    Ok((taken, at))
}

/// Finishes and polls until nothing is under way.
pub fn finish_all(log: &mut Log<MemoryDisk>, now: Millis) -> Result<(), DiskError> {
    loop {
        log.poll(now)?;
        let write = log.disk_mut().finish(Lane::Write);
        let job = log.disk_mut().finish(Lane::Jobs);
        if !write && !job {
            return log.poll(now);
        }
    }
}

/// Finishes log writes only.
pub fn finish_writes(log: &mut Log<MemoryDisk>, now: Millis) -> Result<(), DiskError> {
    loop {
        log.poll(now)?;
        if !log.disk_mut().finish(Lane::Write) {
            return log.poll(now);
        }
    }
}

/// Appends one record as a group.
pub fn append<D: Disk>(log: &mut Log<D>, record: &[u8]) -> Lsn {
    let lsn = log.append(record);
    log.end_group();
    lsn
}

/// A log with a model of what it must hold.
pub struct Pair {
    pub files: MemoryFiles,
    pub options: Options,
    pub log: Log<MemoryDisk>,
    /// All records ever appended that the log may still hold, from 1.
    pub history: Vec<Vec<u8>>,
    /// Last record numbers of groups.
    pub groups: Vec<Lsn>,
    pub state: State,
    pub now: Millis,
    /// The highest number that was ever reported durable.
    pub durable: Lsn,
    snapshot_slot: Option<u16>,
    /// What the slot's image has still to give.
    snapshot_rest: Option<Vec<u8>>,
    value: u64,
}

impl Pair {
    pub fn new(files: &MemoryFiles, options: Options) -> Pair {
        let (log, taken, ..) = start(files, &options).unwrap();
        assert!(taken.records.is_empty());
        Pair {
            files: files.clone(),
            options,
            log,
            history: Vec::new(),
            groups: vec![Lsn::NONE],
            state: State::default(),
            now: Millis(1_000),
            durable: Lsn::NONE,
            snapshot_slot: None,
            snapshot_rest: None,
            value: 0,
        }
    }

    pub fn group(&mut self, sizes: &[usize]) {
        for size in sizes {
            self.value += 1;
            let bytes = record((self.value % u64::from(SLOTS)) as u16, self.value, *size);
            let lsn = self.log.append(&bytes);
            self.state.apply(&bytes).unwrap();
            self.history.push(bytes);
            assert_eq!(lsn.0, self.history.len() as u64);
        }
        self.log.end_group();
        self.groups.push(self.log.appended());
    }

    pub fn poll(&mut self) -> Result<(), DiskError> {
        let result = self.log.poll(self.now);
        assert!(self.log.durable() >= self.durable, "durable goes back");
        self.durable = self.log.durable();
        result
    }

    /// One step of a snapshot: begins one, adds a piece of a slot, or ends it.
    pub fn snapshot_step(&mut self) {
        match (self.log.snapshot_state(), self.snapshot_slot) {
            (SnapshotState::Idle, _) => {
                self.log.snapshot_begin();
                (self.snapshot_slot, self.snapshot_rest) = (Some(0), None);
            }
            (SnapshotState::Open { .. }, Some(slot)) if slot < SLOTS => {
                // The image is of the moment of its first piece, whatever is appended between.
                let (piece, rest) = match self.snapshot_rest.take() {
                    Some(rest) => (rest, Vec::new()),
                    None => {
                        let mut first = self.state.image(slot);
                        let rest = first.split_off(first.len().min(FIRST_PIECE_BYTES));
                        (first, rest)
                    }
                };
                let is_last = rest.is_empty();
                self.log.snapshot_wants().expect("it waits for a slot").piece(slot, &piece, is_last);
                self.snapshot_slot = Some(slot + u16::from(is_last));
                self.snapshot_rest = (!is_last).then_some(rest);
            }
            (SnapshotState::Open { .. }, _) => self.log.snapshot_wants().expect("it waits for its end").end(),
            (SnapshotState::Finishing, _) => {}
        }
    }

    pub fn finish_all(&mut self) -> Result<(), DiskError> {
        finish_all(&mut self.log, self.now)?;
        self.durable = self.log.durable();
        Ok(())
    }

    /// How many slots the snapshot under way has, while more can be added.
    pub fn snapshot_slots(&self) -> Option<u16> {
        self.snapshot_slot.filter(|_| matches!(self.log.snapshot_state(), SnapshotState::Open { .. }))
    }

    /// Takes one whole snapshot.
    pub fn snapshot(&mut self) {
        self.snapshot_step();
        while self.log.snapshot_state() != SnapshotState::Finishing {
            self.snapshot_step();
        }
        self.finish_all().unwrap();
        assert_eq!(self.log.snapshot_state(), SnapshotState::Idle);
    }

    /// The state after record `last`.
    pub fn state_at(&self, last: Lsn) -> State {
        let mut state = State::default();
        for record in &self.history[..last.0 as usize] {
            state.apply(record).unwrap();
        }
        state
    }

    /// Holds what was recovered against the model.
    pub fn check(&self, taken: &Taken, last: Lsn) {
        assert!(last >= self.durable, "record {} was reported durable, {last} came back", self.durable);
        assert!(last.0 <= self.history.len() as u64, "{last} was never written");
        assert!(self.groups.contains(&last), "{last} is in the middle of a group");
        for (lsn, record) in &taken.records {
            assert!(*record == self.history[lsn.0 as usize - 1], "record {lsn} is not what was written");
        }
        assert_eq!(taken.state(), self.state_at(last), "after record {last}");
    }

    /// The same model with a log of its own, on files that hold all of it.
    pub fn beside(&self, files: MemoryFiles) -> Pair {
        let (log, taken, last, _) = start(&files, &self.options).unwrap();
        self.check(&taken, last);
        Pair {
            files,
            log,
            options: self.options.clone(),
            history: self.history.clone(),
            groups: self.groups.clone(),
            state: self.state.clone(),
            snapshot_rest: self.snapshot_rest.clone(),
            ..*self
        }
    }

    /// Starts anew on `files` after a crash, and holds what comes back against the model.
    pub fn restart(&mut self, files: MemoryFiles) -> Result<(), OpenError> {
        self.files = files;
        let (log, taken, last, _) = start(&self.files, &self.options)?;
        self.check(&taken, last);
        self.state = self.state_at(last);
        self.history.truncate(last.0 as usize);
        self.groups.retain(|group| *group <= last);
        (self.log, self.snapshot_slot, self.snapshot_rest, self.durable) = (log, None, None, last);
        Ok(())
    }
}

/// Runs some work with a crash at every step, with nothing, all, or some of what was not durable surviving; then `check`
/// looks at what is there.
pub fn crash_everywhere(
    begin: &MemoryFiles,
    work: impl Fn(&MemoryFiles),
    mut check: impl FnMut(MemoryFiles),
) {
    let whole = begin.fork();
    let before = whole.steps();
    work(&whole);
    for step in before..=whole.steps() {
        for pattern in 0..4 {
            let files = begin.fork();
            files.stop_at(step);
            work(&files);
            let mut rng = fastrand::Rng::with_seed(step * 4 + pattern);
            check(match pattern {
                0 => files.crash(|| false),
                1 => files.crash(|| true),
                2 => files.restart(),
                _ => files.crash(|| chance(&mut rng, 50)),
            });
        }
    }
}

/// Recovers all cores into one state.
pub fn recover_all(dir: &DataDir<MemoryFiles>) -> Taken {
    let mut all = Taken::default();
    for core in 0..dir.cores() {
        let mut taken = Taken::default();
        dir.recover(core, &mut taken).unwrap();
        for (slot, values) in taken.state.0 {
            assert!(all.state.0.insert(slot, values).is_none(), "slot {slot} has two owners");
        }
    }
    all
}

pub fn redistribute(files: &MemoryFiles, cores: u16) -> Result<(), OpenError> {
    let mut dir = DataDir::open_on(files.clone(), &options())?;
    let all = recover_all(&dir);
    let ends: Vec<_> =
        (0..dir.cores()).map(|core| dir.recover(core, &mut Taken::default()).unwrap().last).collect();
    dir.redistribute(cores, &ends, |core, sink| {
        for slot in (0..SLOTS).filter(|slot| slot % cores == core) {
            sink.slot(slot, &all.state.image(slot))?;
        }
        Ok(())
    })
}

/// The beginning of the epoch that a directory of these tests is in.
pub fn beginning(files: &MemoryFiles) -> Cursor {
    DataDir::open_on(files.clone(), &options()).unwrap().beginning()
}
