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
    /// The time at which the next segment was begun; that of the start for one that was full before it.
    full_at: Millis,
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
    /// Bytes of the full ones.
    full_bytes: u64,
    /// The first so many of the full ones nobody needs: a snapshot holds what is in them, and so does every follower.
    unneeded: usize,
    unneeded_bytes: u64,
    /// The last record that nobody needs.
    floor: Lsn,
    /// The time for which segments are kept that nobody needs.
    keep_ms: u64,
    /// And only while all segments together have no more bytes.
    budget_bytes: u64,
    now: Millis,
    current: Current,
    /// The segment of the last durable frame, and the end of that frame.
    durable_end: (u64, u64),
    /// Spare ones, all of the option's size.
    spares: u64,
    segment_bytes: u64,
    spares_wanted: u64,
    spares_kept: u64,
    reserve_bytes: u64,
    /// Segments from before the start that the disk has not opened yet; the current one is opened first.
    unopened: u64,
    retry_at: Option<Millis>,
    /// It was the making of a new segment that the disk refused.
    create_refused: bool,
}

impl Segments {
    pub(super) fn new(at: &Recovered, options: &Options) -> Segments {
        let (current, full) = at.segments.split_last().expect("a log has a segment");
        let spares = at.spares.len() as u64;
        let full: VecDeque<_> = full
            .iter()
            .map(|(file, last_lsn)| Full {
                generation: file.generation,
                bytes: file.bytes,
                last_lsn: *last_lsn,
                full_at: Millis(0),
            })
            .collect();
        Segments {
            full_bytes: full.iter().map(|full| full.bytes).sum(),
            full,
            unneeded: 0,
            unneeded_bytes: 0,
            floor: Lsn::NONE,
            keep_ms: options.keep_ms,
            budget_bytes: options.budget_bytes,
            now: Millis(0),
            current: Current {
                generation: current.0.generation,
                bytes: current.0.bytes,
                offset: at.offset,
                holds: true,
            },
            durable_end: (current.0.generation, at.offset),
            spares,
            segment_bytes: options.segment_bytes,
            spares_wanted: u64::from(options.spare_segments),
            spares_kept: options.spares_kept(at.snapshot.bytes) as u64,
            reserve_bytes: options.reserve(),
            unopened: 1 + spares,
            retry_at: None,
            create_refused: false,
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
        self.full.push_back(Full {
            generation: full.generation,
            bytes: full.bytes,
            last_lsn,
            full_at: self.now,
        });
        self.full_bytes += full.bytes;
    }

    /// A frame in the current segment is durable.
    pub(super) fn written(&mut self) {
        self.current.holds = true;
        self.durable_end = (self.current.generation, self.current.offset);
    }

    pub(super) fn durable_end(&self) -> (u64, u64) {
        self.durable_end
    }

    /// There is room for a closing frame.
    pub(super) fn can_close(&self) -> bool {
        self.room_behind(0) >= BLOCK_BYTES as u64
    }

    /// The disk has opened the segments from before the start. Nothing is written earlier.
    pub(super) fn is_open(&self) -> bool {
        self.unopened == 0
    }

    /// Nobody needs the records up to `floor`.
    pub(super) fn release(&mut self, floor: Lsn) {
        if floor < self.floor {
            (self.unneeded, self.unneeded_bytes) = (0, 0);
        }
        self.floor = floor;
        while self.can_release(self.unneeded, floor) {
            self.unneeded_bytes += self.full[self.unneeded].bytes;
            self.unneeded += 1;
        }
    }

    /// Nobody needs the full segment at `index`, where nobody needs the records up to `floor`.
    fn can_release(&self, index: usize, floor: Lsn) -> bool {
        // The log never becomes empty: the segment behind has frames that are durable.
        let is_followed = index + 1 < self.full.len() || self.current.holds;
        is_followed && self.full.get(index).is_some_and(|full| full.last_lsn <= floor.0)
    }

    /// Bytes of all segments.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.full_bytes + self.current.bytes + self.spares * self.segment_bytes
    }

    /// Bytes that a snapshot or a follower still needs.
    pub(super) fn needed_bytes(&self) -> u64 {
        self.full_bytes - self.unneeded_bytes + self.current.offset
    }

    /// The oldest segment can go: nobody needs it, and it is old, or its room is wanted.
    fn has_prunable(&self, wanted_bytes: u64) -> bool {
        self.unneeded > 0
            && (self.now >= self.full[0].full_at.after(self.keep_ms)
                || self.kept_bytes() + wanted_bytes > self.budget_bytes
                || self.create_refused)
    }

    /// A snapshot would free a segment where there is none to free: nobody would need the records up to `floor_then`.
    pub(super) fn gains_from(&self, floor_then: Lsn) -> bool {
        self.unneeded == 0 && self.can_release(0, floor_then)
    }

    /// The time at which a spare segment is tried again.
    pub(super) fn retry_at(&self) -> Option<Millis> {
        self.retry_at
    }

    /// The job that goes before all others: opens a segment from before the start, or makes a missing spare one.
    pub(super) fn urgent_job(&self) -> Option<(SegmentJob, Job)> {
        if self.unopened > 0 {
            let last = self.current.generation + self.spares;
            return Some((SegmentJob::Open, Job::OpenSegment { generation: last + 1 - self.unopened }));
        }
        if self.spares >= self.spares_wanted {
            return None;
        }
        if self.has_prunable(self.segment_bytes) {
            return self.prune(self.segment_bytes);
        }
        if self.must_wait() {
            return None;
        }
        let generation = self.current.generation + self.spares + 1;
        Some((SegmentJob::Create, Job::CreateSegment { generation, bytes: self.segment_bytes }))
    }

    /// Recycles or removes the oldest segment if it can go. `wanted_bytes` more are wanted.
    pub(super) fn prune(&self, wanted_bytes: u64) -> Option<(SegmentJob, Job)> {
        // Where no new segment could be made there is nothing to wait for: an old one needs no room.
        let must_wait = self.must_wait() && !self.create_refused;
        if !self.is_open() || must_wait || !self.has_prunable(wanted_bytes) {
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
    fn must_wait(&self) -> bool {
        self.retry_at.is_some_and(|at| self.now < at)
    }

    /// A job is done.
    pub(super) fn done(&mut self, job: SegmentJob) {
        self.retry_at = None;
        self.create_refused = false;
        match job {
            SegmentJob::Open => {
                self.unopened -= 1;
            }
            SegmentJob::Create => self.spares += 1,
            SegmentJob::Recycle => {
                self.drop_oldest();
                self.spares += 1;
            }
            SegmentJob::Remove => self.drop_oldest(),
        }
    }

    fn drop_oldest(&mut self) {
        let bytes = self.full.pop_front().expect("it was the oldest").bytes;
        self.full_bytes -= bytes;
        // Where the floor went down meanwhile it counts as needed, and is gone all the same.
        if self.unneeded > 0 {
            self.unneeded -= 1;
            self.unneeded_bytes -= bytes;
        }
    }

    /// Takes the time, and clears a retry time that has passed, so that it wakes nobody again.
    pub(super) fn handle_time(&mut self, now: Millis) {
        if self.now == Millis(0) {
            self.full.iter_mut().for_each(|full| full.full_at = now);
        }
        self.now = now;
        self.retry_at = self.retry_at.filter(|at| now < *at);
    }

    /// The disk is full: tries again later.
    pub(super) fn refused(&mut self, job: SegmentJob) {
        self.retry_at = Some(self.now.after(SPARE_RETRY_MS));
        self.create_refused = job == SegmentJob::Create;
    }
}
