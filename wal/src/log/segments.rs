//! The segments of a log: full ones, the one being written, spare ones ahead. A generation follows the other without a gap.

use std::collections::VecDeque;

use crate::disk::Job;
use crate::frame::Position;
use crate::limits::{BLOCK_BYTES, SPARE_RETRY_MS};
use crate::options::Options;
use crate::recover::Recovered;
use crate::types::{Lsn, Millis};

/// A full segment.
#[derive(Debug)]
struct Full {
    generation: u64,
    bytes: u64,
    /// The last record in it, or a later one: never an earlier one.
    last_lsn: u64,
}

/// The segment being written.
#[derive(Debug)]
struct Current {
    generation: u64,
    bytes: u64,
    offset: u64,
    /// A frame in it is durable.
    holds: bool,
}

/// The job under way, if it is one on segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SegmentJob {
    Open,
    Create,
    Recycle,
    Remove,
}

#[derive(Debug)]
pub(super) struct Segments {
    full: VecDeque<Full>,
    current: Current,
    /// Spare ones, all of the option's size.
    spares: u64,
    segment_bytes: u64,
    spares_wanted: u64,
    spares_kept: u64,
    reserve_bytes: u64,
    /// Segments from before the start that the disk has not opened yet; the current one is opened first.
    unopened: u64,
    retry_at: Option<Millis>,
}

impl Segments {
    pub(super) fn new(at: &Recovered, options: &Options) -> Segments {
        let (current, full) = at.segments.split_last().expect("a log has a segment");
        let spares = at.spares.len() as u64;
        Segments {
            full: full
                .iter()
                .map(|(file, last_lsn)| Full {
                    generation: file.generation,
                    bytes: file.bytes,
                    last_lsn: *last_lsn,
                })
                .collect(),
            current: Current {
                generation: current.0.generation,
                bytes: current.0.bytes,
                offset: at.offset,
                holds: true,
            },
            spares,
            segment_bytes: options.segment_bytes,
            spares_wanted: u64::from(options.spare_segments),
            spares_kept: options.spares_kept(at.snapshot.bytes) as u64,
            reserve_bytes: options.reserve(),
            unopened: 1 + spares,
            retry_at: None,
        }
    }

    /// The room behind `waiting` bytes. The rest of the current segment does not count if they may not fit into it.
    pub(super) fn room_behind(&self, waiting: usize) -> u64 {
        let waiting = waiting as u64;
        let left = self.current.bytes - self.current.offset;
        let left = if waiting <= left { left } else { 0 };
        (left + self.spares * self.segment_bytes).saturating_sub(waiting)
    }

    /// So many spare segments are enough from here on.
    pub(super) fn keep_spares(&mut self, count: usize) {
        self.spares_kept = count as u64;
    }

    pub(super) fn reserve_bytes(&self) -> u64 {
        self.reserve_bytes
    }

    /// Takes room for a frame, from the next segment if the current one has not enough. `last_lsn` is the last record
    /// written so far. `None` if there is no room, or none that the disk has opened.
    pub(super) fn take(&mut self, bytes: usize, last_lsn: u64) -> Option<Position> {
        if !self.is_open() {
            return None;
        }
        let bytes = bytes as u64;
        if self.current.offset + bytes > self.current.bytes {
            if self.spares == 0 {
                return None;
            }
            self.advance(last_lsn);
        }
        let Current { generation, offset, bytes: segment_bytes, .. } = self.current;
        assert!(offset + bytes <= segment_bytes, "a frame fits into an empty segment");
        self.current.offset += bytes;
        Some(Position { generation, offset, segment_bytes })
    }

    fn advance(&mut self, last_lsn: u64) {
        self.spares -= 1;
        let next = Current {
            generation: self.current.generation + 1,
            bytes: self.segment_bytes,
            offset: 0,
            holds: false,
        };
        let full = std::mem::replace(&mut self.current, next);
        self.full.push_back(Full { generation: full.generation, bytes: full.bytes, last_lsn });
    }

    /// A frame in the current segment is durable.
    pub(super) fn written(&mut self) {
        self.current.holds = true;
    }

    /// There is room for a closing frame.
    pub(super) fn can_close(&self) -> bool {
        self.room_behind(0) >= BLOCK_BYTES as u64
    }

    /// The disk has opened the segments from before the start. Nothing is written earlier.
    pub(super) fn is_open(&self) -> bool {
        self.unopened == 0
    }

    /// The oldest segment can go: nobody needs a record up to `floor`.
    fn has_prunable(&self, floor: Lsn) -> bool {
        let Some(oldest) = self.full.front() else { return false };
        // The log never becomes empty: the segment behind has frames that are durable.
        let followed = self.full.len() > 1 || self.current.holds;
        followed && oldest.last_lsn <= floor.0
    }

    /// A snapshot would free a segment: it would move the floor from `floor` to `floor_then`.
    pub(super) fn gains_from(&self, floor: Lsn, floor_then: Lsn) -> bool {
        self.has_prunable(floor_then) && !self.has_prunable(floor)
    }

    /// The time at which a spare segment is tried again.
    pub(super) fn retry_at(&self) -> Option<Millis> {
        self.retry_at
    }

    /// The job that goes before all others: opens a segment from before the start, or makes a missing spare one.
    pub(super) fn urgent_job(&self, floor: Lsn, now: Millis) -> Option<(SegmentJob, Job)> {
        if self.unopened > 0 {
            let last = self.current.generation + self.spares;
            return Some((SegmentJob::Open, Job::OpenSegment { generation: last + 1 - self.unopened }));
        }
        if self.spares >= self.spares_wanted || self.must_wait(now) {
            return None;
        }
        if self.has_prunable(floor) {
            return self.prune(floor, now);
        }
        let generation = self.current.generation + self.spares + 1;
        Some((SegmentJob::Create, Job::CreateSegment { generation, bytes: self.segment_bytes }))
    }

    /// Recycles or removes the oldest segment.
    pub(super) fn prune(&self, floor: Lsn, now: Millis) -> Option<(SegmentJob, Job)> {
        if !self.is_open() || !self.has_prunable(floor) || self.must_wait(now) {
            return None;
        }
        let oldest = self.full.front().expect("seen above");
        if oldest.bytes == self.segment_bytes && self.spares < self.spares_kept {
            let to = self.current.generation + self.spares + 1;
            return Some((SegmentJob::Recycle, Job::RecycleSegment { from: oldest.generation, to }));
        }
        Some((SegmentJob::Remove, Job::RemoveSegment { generation: oldest.generation }))
    }

    /// The disk was full a moment ago.
    fn must_wait(&self, now: Millis) -> bool {
        self.retry_at.is_some_and(|at| now < at)
    }

    /// A job is done.
    pub(super) fn done(&mut self, job: SegmentJob) {
        self.retry_at = None;
        match job {
            SegmentJob::Open => {
                self.unopened -= 1;
            }
            SegmentJob::Create => self.spares += 1,
            SegmentJob::Recycle => {
                self.full.pop_front();
                self.spares += 1;
            }
            SegmentJob::Remove => {
                self.full.pop_front();
            }
        }
    }

    /// Clears a retry time that has passed, so that it wakes nobody again.
    pub(super) fn handle_time(&mut self, now: Millis) {
        self.retry_at = self.retry_at.filter(|at| now < *at);
    }

    /// The disk is full: tries again later.
    pub(super) fn refused(&mut self, now: Millis) {
        self.retry_at = Some(now.after(SPARE_RETRY_MS));
    }
}
