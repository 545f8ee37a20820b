//! The snapshot under way: encoded into memory, written part by part, and named once the log is durable up to its end.

use crate::disk::Job;
use crate::frame::Owner;
use crate::limits::{SNAPSHOT_BUFFER_BYTES_MAX, SNAPSHOT_RETRY_MS};
use crate::snapshot::{Encoder, SnapshotInfo};
use crate::types::{Lsn, Millis};

/// A part of the file is at least this long, except the last one: each costs a sync.
const PART_BYTES_MIN: usize = 1 << 20;

/// The state of the snapshot under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotState {
    /// None is under way, or one was just abandoned: the caller starts over when the next one is due.
    Idle,
    /// Between begin and end.
    Open {
        /// Bytes that wait for the disk. Add slots while it is below [`crate::limits::SNAPSHOT_BUFFER_BYTES_MAX`].
        buffered_bytes: usize,
    },
    /// After the end: being written, or waiting for the log to be durable up to it.
    Finishing,
}

/// Takes the next slot of the snapshot under way, or its end: given by [`Log::snapshot_wants`](super::Log::snapshot_wants).
/// Dropped without either it changes nothing, and the snapshot goes on later.
#[derive(Debug)]
pub struct SlotWriter<'a> {
    snapshots: &'a mut Snapshots,
    appended: Lsn,
    slots: usize,
}

impl SlotWriter<'_> {
    /// Slots that the snapshot has whole: the index of the next one, or of the one that lacks pieces, in the caller's list of its slots.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// Adds a piece of the image of one slot. All of them together hold the slot's records up to
    /// [`Log::appended`](super::Log::appended) as it was at the first piece, and nothing of later ones.
    ///
    /// # Panics
    /// When the slot is out of range or was added before, another one lacks its last piece, or the piece exceeds
    /// [`crate::limits::SLOT_IMAGE_BYTES_MAX`].
    pub fn piece(self, slot: u16, image: &[u8], is_last: bool) {
        self.snapshots.piece(slot, image, is_last, self.appended);
    }

    /// Ends the snapshot: it has every slot that the core owns.
    pub fn end(self) {
        self.snapshots.end(self.appended);
    }
}

/// The job under way, if it is one on snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SnapshotJob {
    Write { bytes: usize },
    Publish,
    Remove,
}

#[derive(Debug)]
enum Phase {
    Idle,
    Open(Encoder),
    Finishing { end: u64 },
}

#[derive(Debug)]
pub(super) struct Snapshots {
    owner: Owner,
    phase: Phase,
    /// The newest snapshot that counts, and the last record that all of its images hold.
    number: u64,
    holds: Lsn,
    /// The size of its file.
    newest_bytes: u64,
    /// The number of the one before, while its file is still there.
    older: Option<u64>,
    begin: u64,
    buffer: Vec<u8>,
    /// Bytes given to the disk, done or not.
    submitted: u64,
    /// Bytes that the disk has not done.
    in_flight: usize,
    /// Log bytes since the newest one that counts was begun, and those of them from before the one under way.
    log_bytes: u64,
    log_bytes_before: u64,
    retry_at: Option<Millis>,
}

impl Snapshots {
    pub(super) fn new(owner: Owner, newest: &SnapshotInfo, log_bytes: u64) -> Snapshots {
        Snapshots {
            owner,
            phase: Phase::Idle,
            number: newest.number,
            holds: newest.begin,
            newest_bytes: newest.bytes,
            older: None,
            begin: 0,
            buffer: Vec::new(),
            submitted: 0,
            in_flight: 0,
            log_bytes,
            log_bytes_before: 0,
            retry_at: None,
        }
    }

    /// The last record that the newest snapshot holds for every slot.
    pub(super) fn holds(&self) -> Lsn {
        self.holds
    }

    /// The size of the newest snapshot that counts.
    pub(super) fn newest_bytes(&self) -> u64 {
        self.newest_bytes
    }

    pub(super) fn log_bytes(&self) -> u64 {
        self.log_bytes
    }

    pub(super) fn count_log_bytes(&mut self, bytes: usize) {
        self.log_bytes += bytes as u64;
    }

    /// A snapshot may begin: none is under way, and the delay after an abandoned one is over.
    pub(super) fn may_begin(&self, now: Millis) -> bool {
        matches!(self.phase, Phase::Idle) && self.retry_at.is_none_or(|at| now >= at)
    }

    /// Clears a retry time that has passed, so that it wakes nobody again.
    pub(super) fn handle_time(&mut self, now: Millis) {
        self.retry_at = self.retry_at.filter(|at| now < *at);
    }

    pub(super) fn retry_at(&self) -> Option<Millis> {
        self.retry_at
    }

    pub(super) fn state(&self) -> SnapshotState {
        match self.phase {
            Phase::Idle => SnapshotState::Idle,
            Phase::Open(_) => SnapshotState::Open { buffered_bytes: self.buffer.len() + self.in_flight },
            Phase::Finishing { .. } => SnapshotState::Finishing,
        }
    }

    /// An open snapshot that has room in its buffer waits for a slot, not for the disk.
    pub(super) fn awaits_slot(&self) -> bool {
        matches!(self.state(), SnapshotState::Open { buffered_bytes } if buffered_bytes < SNAPSHOT_BUFFER_BYTES_MAX)
    }

    /// The writer for the next slot, if one is waited for.
    pub(super) fn slot_writer(&mut self, appended: Lsn) -> Option<SlotWriter<'_>> {
        let Phase::Open(encoder) = &self.phase else { return None };
        let slots = encoder.slots();
        self.awaits_slot().then_some(SlotWriter { snapshots: self, appended, slots })
    }

    pub(super) fn begin(&mut self, appended: Lsn) {
        assert!(matches!(self.phase, Phase::Idle), "a snapshot is under way");
        self.retry_at = None;
        self.begin = appended.0;
        self.submitted = 0;
        self.log_bytes_before = self.log_bytes;
        self.phase = Phase::Open(Encoder::begin(&mut self.buffer, &self.owner, self.number + 1, appended.0));
    }

    pub(super) fn piece(&mut self, slot: u16, image: &[u8], is_last: bool, appended: Lsn) {
        if let Phase::Open(encoder) = &mut self.phase {
            encoder.piece(&mut self.buffer, slot, appended.0, image, is_last);
        }
    }

    pub(super) fn end(&mut self, appended: Lsn) {
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Open(encoder) => {
                encoder.end(&mut self.buffer, appended.0);
                self.phase = Phase::Finishing { end: appended.0 };
            }
            other => self.phase = other,
        }
    }

    /// The next job, if there is one.
    pub(super) fn job(&mut self, durable: Lsn) -> Option<(SnapshotJob, Job)> {
        if let Some(number) = self.older {
            return Some((SnapshotJob::Remove, Job::RemoveSnapshot { number }));
        }
        let finishing = match self.phase {
            Phase::Idle => return None,
            Phase::Open(_) => None,
            Phase::Finishing { end } => Some(end),
        };
        if self.buffer.len() >= PART_BYTES_MIN || (finishing.is_some() && !self.buffer.is_empty()) {
            let bytes = std::mem::take(&mut self.buffer);
            let offset = self.submitted;
            self.submitted += bytes.len() as u64;
            self.in_flight = bytes.len();
            return Some((SnapshotJob::Write { bytes: bytes.len() }, Job::WriteSnapshot { offset, bytes }));
        }
        // It counts only once the log is durable up to it.
        match finishing {
            Some(end) if durable.0 >= end => {
                Some((SnapshotJob::Publish, Job::PublishSnapshot { number: self.number + 1 }))
            }
            _ => None,
        }
    }

    /// A job is done. Returns true if the snapshot counts from now on.
    pub(super) fn done(&mut self, job: SnapshotJob) -> bool {
        match job {
            SnapshotJob::Write { bytes } => self.in_flight -= bytes,
            SnapshotJob::Remove => self.older = None,
            SnapshotJob::Publish => {
                self.older = Some(self.number);
                self.number += 1;
                self.holds = Lsn(self.begin);
                self.newest_bytes = self.submitted;
                self.log_bytes -= self.log_bytes_before;
                self.phase = Phase::Idle;
                return true;
            }
        }
        false
    }

    /// A job failed: the snapshot is abandoned, its file is gone, and another is due later.
    pub(super) fn abandon(&mut self, now: Millis) {
        self.phase = Phase::Idle;
        self.buffer = Vec::new();
        self.in_flight = 0;
        self.retry_at = Some(now.after(SNAPSHOT_RETRY_MS));
    }
}
