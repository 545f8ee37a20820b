//! The logs as they were written, record by record: what a sink is given is held against them. A frame counts from the moment that it is
//! given to the disk, is durable when the disk says so, and is gone where a start does not find it.

use std::collections::{BTreeMap, BTreeSet};

use wal::files::MemoryFiles;

use super::model::frame;
use super::model::state::RecordPlace;

/// The end of a frame: the segment, the offset behind it, and the last record so far.
#[derive(Debug, Clone, Copy)]
struct FrameEnd {
    generation: u64,
    offset: u64,
    last: u64,
    is_empty: bool,
}

#[derive(Debug, Default)]
struct CoreLog {
    /// The record with number n is at n - 1.
    records: Vec<Vec<u8>>,
    durable: usize,
    frames: Vec<FrameEnd>,
    /// The segment that the running process writes.
    generation: Option<u64>,
}

fn segment_path(epoch: u32, core: u16, generation: u64) -> String {
    format!("epoch-{epoch:010}/core-{core:05}/log-{generation:020}")
}

/// All logs of a directory, by epoch and core.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    epochs: BTreeMap<u32, Vec<CoreLog>>,
}

impl Logs {
    /// The epoch that the directory is in.
    pub(crate) fn epoch(&self) -> u32 {
        self.epochs.last_key_value().map_or(0, |(epoch, _)| *epoch)
    }

    /// An epoch begins, unless it has before: so many empty logs.
    pub(crate) fn begin(&mut self, epoch: u32, cores: usize) {
        let before = self.epoch();
        assert!(epoch == before || epoch == before + 1, "epoch {epoch} comes behind {before}");
        let logs =
            self.epochs.entry(epoch).or_insert_with(|| (0..cores).map(|_| CoreLog::default()).collect());
        assert_eq!(logs.len(), cores, "cores of epoch {epoch}");
    }

    /// The place of the next record that a core writes.
    pub(crate) fn next(&self, core: u16) -> RecordPlace {
        let epoch = self.epoch();
        RecordPlace { epoch, core, lsn: self.epochs[&epoch][usize::from(core)].records.len() as u64 + 1 }
    }

    fn newest(&mut self, core: u16) -> &mut CoreLog {
        let (_, logs) = self.epochs.iter_mut().next_back().expect("an epoch has begun");
        &mut logs[usize::from(core)]
    }

    /// A core has given this frame to its disk, for the segment at `path`.
    pub(crate) fn written(&mut self, core: u16, path: &str, offset: usize, bytes: &[u8]) {
        let (_, generation) = path.rsplit_once("log-").expect("a log write goes to a segment");
        let generation = generation.parse().expect("a segment has a number");
        let log = self.newest(core);
        log.generation = Some(generation);
        let records = frame::records(bytes);
        let is_empty = records.is_empty();
        log.records.extend(records.into_iter().map(<[u8]>::to_vec));
        let (offset, last) = ((offset + bytes.len()) as u64, log.records.len() as u64);
        log.frames.push(FrameEnd { generation, offset, last, is_empty });
    }

    /// Everything that the core has given to its disk is durable.
    pub(crate) fn durable(&mut self, core: u16) {
        let log = self.newest(core);
        log.durable = log.records.len();
    }

    /// A start has read the logs of an epoch up to these records. What is behind them never was.
    ///
    /// # Panics
    /// When something durable is missing, or something is there that was not written.
    pub(crate) fn recovered(&mut self, epoch: u32, ends: &[u64]) {
        self.begin(epoch, ends.len());
        for (core, end) in (0..).zip(ends) {
            let log = self.newest(core);
            let (durable, written) = (log.durable as u64, log.records.len() as u64);
            let found = format!("the log of core {core} in epoch {epoch} comes back with {end} records");
            assert!(*end >= durable, "{found}, and {durable} were durable");
            assert!(*end <= written, "{found}, and {written} were written");
            log.records.truncate(*end as usize);
            log.frames.retain(|frame| frame.last <= *end);
            // Whether an empty one at the end has survived does not show.
            while log.frames.pop_if(|frame| frame.is_empty).is_some() {}
            log.durable = *end as usize;
            log.generation = None;
        }
    }

    /// Segments that are not there any more were pruned.
    pub(crate) fn retain_segments(&mut self, files: &MemoryFiles) {
        let there: BTreeSet<String> = files.sizes().into_iter().map(|(path, _)| path).collect();
        let epoch = self.epoch();
        for core in 0..self.epochs[&epoch].len() as u16 {
            let is_there = |frame: &FrameEnd| there.contains(&segment_path(epoch, core, frame.generation));
            self.newest(core).frames.retain(is_there);
        }
    }

    /// The number of the last durable record of each core.
    pub(crate) fn ends(&self, epoch: u32) -> Vec<u64> {
        let logs = self.epochs.get(&epoch).unwrap_or_else(|| panic!("there was no epoch {epoch}"));
        logs.iter().map(|log| log.durable as u64).collect()
    }

    /// The durable records of a core up to one of them.
    pub(crate) fn records_until(&self, core: u16, last: u64) -> &[Vec<u8>] {
        let log = &self.epochs[&self.epoch()][usize::from(core)];
        assert!(last <= log.durable as u64, "record {last} of core {core} is not durable");
        &log.records[..last as usize]
    }

    /// Holds what a sink was given against the log.
    ///
    /// # Panics
    /// When it is something else, or not durable.
    pub(crate) fn check(&self, epoch: u32, core: u16, first: u64, given: &[Vec<u8>]) {
        let log = &self.epochs[&epoch][usize::from(core)];
        for (number, bytes) in (first..).zip(given) {
            let at = format!("record {number} of core {core} in epoch {epoch}");
            assert!(number <= log.durable as u64, "{at} is passed on, and is not durable");
            assert_eq!(*bytes, log.records[number as usize - 1], "{at} is passed on as it never was");
        }
    }

    /// Segments that lie ahead of the one that is written; 0 where no frame has shown which that is.
    pub(crate) fn spare_segments(&self, core: u16, files: &MemoryFiles) -> u64 {
        let epoch = self.epoch();
        let Some(written) = self.epochs[&epoch][usize::from(core)].generation else { return 0 };
        let ahead = |step: u64| segment_path(epoch, core, written + step);
        let there: BTreeSet<String> = files.sizes().into_iter().map(|(path, _)| path).collect();
        (1..).take_while(|step| there.contains(&ahead(*step))).count() as u64
    }

    /// Bytes of a core's log from the segment on that has the record behind `floor`.
    pub(crate) fn bytes_behind(&self, core: u16, floor: u64, segment_bytes: u64) -> u64 {
        let frames = &self.epochs[&self.epoch()][usize::from(core)].frames;
        let Some(last) = frames.last() else { return 0 };
        let needed = frames.iter().find(|frame| frame.last > floor);
        needed.map_or(0, |first| (last.generation - first.generation) * segment_bytes + last.offset)
    }
}
