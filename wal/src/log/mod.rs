//! The write-ahead log of one core while it runs.

mod batch;
mod segments;
mod snapshots;

use std::fmt;

use crate::core_dir::DirLock;
use crate::disk::{Disk, Event, JobError};
use crate::error::DiskError;
use crate::follow::Reach;
use crate::frame::Owner;
use crate::limits::{BLOCK_BYTES, EXHAUSTED_BYTES, IDLE_CLOSE_MS};
use crate::options::Options;
use crate::recover::Recovered;
use crate::types::{Lsn, Millis};

use batch::Batch;
use segments::{SegmentJob, Segments};
use snapshots::{SnapshotJob, Snapshots};

pub use snapshots::{SlotWriter, SnapshotState};

/// The room that a log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// No room: run no operation that appends.
    Exhausted,
    /// Only the reserve is left: no new sales; payments, releases, expiry and messages go on.
    Reserve,
    /// Enough.
    Plenty,
}

/// Counts since start, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Frames written, closing ones included.
    pub frames: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Closing frames written.
    pub closing_frames: u64,
    /// Segments created, full of zeros.
    pub segments_created: u64,
    /// Segments recycled.
    pub segments_recycled: u64,
    /// Segments removed.
    pub segments_removed: u64,
    /// Times that a segment could not be made because the disk was full.
    pub segments_refused: u64,
    /// Snapshots completed.
    pub snapshots: u64,
    /// Snapshots that were given up.
    pub snapshots_abandoned: u64,
}

/// The write-ahead log of one core. All its I/O goes through its [`Disk`]; it never blocks and reads no clock.
///
/// The methods are of four kinds:
///
/// - Records go in by [`append`](Log::append), once for each record of a group, and then [`end_group`](Log::end_group). Ask before:
///   with [`Space::Exhausted`] no group may begin, with [`Space::Reserve`] no sale, and none with
///   [`backlog_bytes`](Log::backlog_bytes) at its limit. Nothing but `append` may come between the records of a group.
/// - The disk moves by [`poll`](Log::poll): it takes completions and starts the next write and the next job.
///   [`complete`](Log::complete) takes completions alone, for a caller that delays its commit. Both can be called at any time
///   between groups, and must be called when the disk's [`wake_fd`](Disk::wake_fd) is readable and at
///   [`next_wake`](Log::next_wake). An error from either is final.
/// - The snapshot is fed by [`snapshot_wants`](Log::snapshot_wants), between groups, until it returns `None`; appending may go on
///   between two slots. (`snapshot_begin`, `snapshot_slot` and `snapshot_end` are its steps, for a caller that takes one when
///   none is due.)
/// - The rest are getters, and change nothing.
///
/// One turn of a caller, in this order:
///
/// 1. `complete`; then read [`durable`](Log::durable): whatever waits for records up to it may go out.
/// 2. `append` and `end_group`, as often as there is work, room and backlog.
/// 3. `snapshot_wants`, for as many slots as one turn may take.
/// 4. `poll`, or later if the commit is delayed; then wait as `wake_fd` and `next_wake` say.
///
/// To stop, go on polling until [`is_quiet`](Log::is_quiet) and no snapshot is under way, then drop the log.
pub struct Log<D: Disk> {
    disk: D,
    owner: Owner,
    batch: Batch,
    segments: Segments,
    snapshots: Snapshots,
    options: Options,
    appended: Lsn,
    /// The last record given to the disk.
    written: Lsn,
    durable: Lsn,
    previous_crc: u32,
    flight: Option<WriteInFlight>,
    /// The job under way: at most one, so that none of them rests on another that may fail.
    job: Option<CurrentJob>,
    /// The last frame is a closing frame.
    closed: bool,
    /// The time of the last completed write; 0 before the first.
    last_written_at: Millis,
    now: Millis,
    keep_from: Lsn,
    failed: Option<DiskError>,
    stats: Stats,
    _lock: DirLock,
}

/// The write under way.
#[derive(Debug)]
struct WriteInFlight {
    /// The last record in it.
    last: Lsn,
    bytes: usize,
    closing: bool,
}

/// The job under way.
#[derive(Debug, Clone, Copy)]
enum CurrentJob {
    Segments(SegmentJob),
    Snapshot(SnapshotJob),
}

impl<D: Disk> fmt::Debug for Log<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log")
            .field("core", &self.owner.core)
            .field("appended", &self.appended)
            .field("durable", &self.durable)
            .finish_non_exhaustive()
    }
}

impl<D: Disk> Log<D> {
    pub(crate) fn new(at: Recovered, options: &Options, disk: D, lock: DirLock) -> Log<D> {
        Log {
            disk,
            owner: at.owner,
            batch: Batch::new(options.segment_bytes),
            segments: Segments::new(&at, options),
            snapshots: Snapshots::new(at.owner, &at.snapshot, at.log_bytes),
            options: options.clone(),
            appended: at.last,
            written: at.last,
            durable: at.last,
            previous_crc: at.previous_crc,
            flight: None,
            job: None,
            closed: at.closed,
            last_written_at: Millis(0),
            now: Millis(0),
            keep_from: Lsn::MAX,
            failed: None,
            stats: Stats::default(),
            _lock: lock,
        }
    }

    /// The last record appended.
    pub fn appended(&self) -> Lsn {
        self.appended
    }

    /// The last record that is on the disk, with all before it.
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// The reach: how far followers may read.
    pub fn reach(&self) -> Reach {
        let (generation, offset) = self.segments.durable_end();
        Reach { lsn: self.durable, generation, offset }
    }

    /// Bytes of frames that are not durable. From [`crate::limits::BACKLOG_BYTES_MAX`] on, take no new work.
    pub fn backlog_bytes(&self) -> usize {
        self.batch.bytes() + self.flight.as_ref().map_or(0, |flight| flight.bytes)
    }

    /// Records wait, and no write is in flight: [`poll`](Log::poll) would start one.
    pub fn is_writable(&self) -> bool {
        self.flight.is_none() && !self.batch.is_empty()
    }

    /// The room that is left once everything in memory is written.
    pub fn space(&self) -> Space {
        let room = self.segments.room_behind(self.batch.bytes());
        if room < EXHAUSTED_BYTES {
            Space::Exhausted
        } else if room <= self.segments.reserve_bytes() || self.is_over_budget() {
            Space::Reserve
        } else {
            Space::Plenty
        }
    }

    /// Bytes of log that a snapshot or a follower still needs.
    pub fn needed_bytes(&self) -> u64 {
        self.segments.needed_bytes()
    }

    /// The last record that the newest snapshot holds for every slot: whoever reads the snapshot reads the log behind it.
    pub fn snapshot_holds(&self) -> Lsn {
        self.snapshots.holds()
    }

    /// Bytes of all segments, spare ones included.
    pub fn kept_bytes(&self) -> u64 {
        self.segments.kept_bytes()
    }

    /// Followers need records that the snapshot holds: but for them, they could go.
    pub fn is_kept_for_followers(&self) -> bool {
        self.followed() < self.snapshots.holds()
    }

    fn is_over_budget(&self) -> bool {
        self.segments.needed_bytes() >= self.options.budget_bytes
    }

    /// True if no write is in flight, the batch is empty and the closing frame is written (or has no room). With no snapshot under
    /// way, this is the time to stop.
    pub fn is_quiet(&self) -> bool {
        self.flight.is_none() && self.batch.is_empty() && (self.closed || !self.segments.can_close())
    }

    /// The latest time for the next poll, even if no completion comes.
    pub fn next_wake(&self) -> Option<Millis> {
        let closing =
            if self.wants_to_close() { Some(self.last_written_at.after(IDLE_CLOSE_MS)) } else { None };
        [closing, self.segments.retry_at(), self.snapshots.retry_at()].into_iter().flatten().min()
    }

    /// Counts since start.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// The disk, for the one who waits for it.
    pub fn disk(&self) -> &D {
        &self.disk
    }

    /// The disk, for tests and simulators that drive it.
    pub fn disk_mut(&mut self) -> &mut D {
        &mut self.disk
    }

    /// Adds a record to the batch and numbers it. It is durable when [`durable`](Log::durable) has reached the number.
    ///
    /// # Panics
    /// When the records of the open group exceed [`crate::limits::GROUP_BYTES_MAX`], or the backlog exceeds
    /// [`crate::limits::BACKLOG_BYTES_HARD`]: bugs of a caller that did not look at
    /// [`backlog_bytes`](Log::backlog_bytes) and [`space`](Log::space).
    pub fn append(&mut self, record: &[u8]) -> Lsn {
        self.batch.push(record);
        self.appended = self.appended.next();
        self.appended
    }

    /// The records appended since the last call belong together: a crash keeps all of them or none.
    pub fn end_group(&mut self) {
        self.batch.end_group();
    }

    /// Keeps the log from this record on, even when a snapshot has passed it. [`Lsn::MAX`], the default, keeps nothing beyond the
    /// snapshot; `Lsn(1)` keeps everything that is still there.
    pub fn keep_from(&mut self, lsn: Lsn) {
        self.keep_from = lsn;
    }

    /// The writer for the next slot of the snapshot, which begins here when one is due. `None` when none is due, when the one
    /// under way waits for the disk or has all its slots, and when it was abandoned: it is due again later.
    ///
    /// ```text
    /// while let Some(writer) = log.snapshot_wants() {
    ///     match owned.get(writer.slots()) {
    ///         Some(slot) => writer.piece(slot.id, &slot.image(), true),
    ///         None => writer.end(),
    ///     }
    /// }
    /// ```
    pub fn snapshot_wants(&mut self) -> Option<SlotWriter<'_>> {
        if self.snapshot_due() {
            self.snapshot_begin();
        }
        self.snapshots.slot_writer(self.appended)
    }

    /// The snapshot under way waits for a slot and not for the disk: [`snapshot_wants`](Log::snapshot_wants) gives a writer.
    pub fn snapshot_awaits_slot(&self) -> bool {
        self.snapshots.awaits_slot()
    }

    /// A snapshot is due: the log has grown by [`Options::snapshot_log_bytes`] since the last one, or by more where that one was large,
    /// or room runs out and a snapshot would free segments.
    pub fn snapshot_due(&self) -> bool {
        if !self.snapshots.may_begin(self.now) {
            return false;
        }
        let gains = self.segments.gains_from(self.durable.min(self.followed()));
        let due_log_bytes = self.options.due_log_bytes(self.snapshots.newest_bytes());
        self.snapshots.log_bytes() >= due_log_bytes || (self.space() != Space::Plenty && gains)
    }

    /// The state of the snapshot under way.
    pub fn snapshot_state(&self) -> SnapshotState {
        self.snapshots.state()
    }

    /// Begins a snapshot.
    ///
    /// # Panics
    /// When one is under way: a bug.
    pub fn snapshot_begin(&mut self) {
        self.snapshots.begin(self.appended);
    }

    /// Takes completions, starts the next write if none is in flight, and starts the next job: spare segments, parts of the
    /// snapshot, pruning. Never blocks.
    ///
    /// # Errors
    /// Fatal: the caller must stop answering and exit. Every later call returns the same error.
    ///
    /// # Panics
    /// When a group is open: a bug.
    pub fn poll(&mut self, now: Millis) -> Result<(), DiskError> {
        self.complete(now)?;
        self.poll_write();
        self.poll_job();
        Ok(())
    }

    /// Takes completions and starts nothing: for a caller that is about to append more, so that the next write carries it.
    ///
    /// # Errors
    /// As [`Log::poll`].
    ///
    /// # Panics
    /// When a group is open: a bug.
    pub fn complete(&mut self, now: Millis) -> Result<(), DiskError> {
        assert!(!self.batch.has_open_group(), "poll between groups");
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.now = now;
        self.segments.handle_time(now);
        self.snapshots.handle_time(now);
        while let Some(event) = self.disk.take() {
            let handled = match event {
                Event::Written { buffer, result } => {
                    self.batch.recycle(buffer);
                    result.map(|()| self.handle_written())
                }
                Event::Done(result) => self.handle_done(result),
            };
            if let Err(error) = handled {
                self.failed = Some(error.clone());
                return Err(error);
            }
        }
        Ok(())
    }

    fn handle_written(&mut self) {
        let flight = self.flight.take().expect("a write was in flight");
        self.durable = flight.last;
        self.closed = flight.closing;
        self.last_written_at = self.now;
        self.segments.written();
        self.snapshots.count_log_bytes(flight.bytes);
        self.stats.frames += 1;
        self.stats.bytes += flight.bytes as u64;
        self.stats.closing_frames += u64::from(flight.closing);
    }

    fn handle_done(&mut self, result: Result<(), JobError>) -> Result<(), DiskError> {
        let current = self.job.take().expect("a job was under way");
        match (current, result) {
            (_, Err(JobError::Fatal(error))) => return Err(error),
            (CurrentJob::Segments(job), Ok(())) => {
                self.segments.done(job);
                match job {
                    SegmentJob::Open => {}
                    SegmentJob::Create => self.stats.segments_created += 1,
                    SegmentJob::Recycle => self.stats.segments_recycled += 1,
                    SegmentJob::Remove => self.stats.segments_removed += 1,
                }
            }
            (CurrentJob::Segments(job), Err(JobError::NoSpace(_))) => {
                self.stats.segments_refused += 1;
                self.segments.refused(job);
            }
            (CurrentJob::Segments(_), Err(JobError::Abandoned(error))) => return Err(error),
            (CurrentJob::Snapshot(job), Ok(())) => {
                if self.snapshots.done(job) {
                    self.stats.snapshots += 1;
                    self.segments.keep_spares(self.options.spares_kept(self.snapshots.newest_bytes()));
                }
            }
            (CurrentJob::Snapshot(_), Err(JobError::NoSpace(_) | JobError::Abandoned(_))) => {
                self.stats.snapshots_abandoned += 1;
                self.snapshots.abandon(self.now);
            }
        }
        Ok(())
    }

    fn wants_to_close(&self) -> bool {
        let idle = self.flight.is_none() && self.batch.is_empty();
        idle && !self.closed && self.segments.is_open() && self.segments.can_close()
    }

    /// Starts the next write: what waits, or a closing frame when the log has been idle.
    fn poll_write(&mut self) {
        if self.flight.is_some() {
            return;
        }
        let closing = self.batch.is_empty();
        if closing && !(self.wants_to_close() && self.now >= self.last_written_at.after(IDLE_CLOSE_MS)) {
            return;
        }
        let bytes = if closing { BLOCK_BYTES } else { self.batch.next_frame_bytes() };
        let Some(position) = self.segments.take(bytes, self.written.0) else { return };
        let frame = self.batch.take();
        let first = self.written.next();
        let last = Lsn(self.written.0 + u64::from(frame.records()));
        let sealed = frame.seal(self.owner, position, first.0, self.durable.0, self.previous_crc);
        assert_eq!(sealed.bytes, bytes, "the frame has the size that room was taken for");
        assert_eq!(self.durable, self.written, "one write at a time");
        self.previous_crc = sealed.crc;
        self.written = last;
        self.flight = Some(WriteInFlight { last, bytes, closing });
        self.disk.write(position.generation, position.offset, sealed.buffer, bytes);
    }

    /// Starts the next job, the most needed first.
    fn poll_job(&mut self) {
        self.segments.release(self.snapshots.holds().min(self.followed()));
        if self.job.is_some() {
            return;
        }
        let segments = |(current, job)| (CurrentJob::Segments(current), job);
        let snapshot = |(current, job)| (CurrentJob::Snapshot(current), job);
        let next = (self.segments.urgent_job().map(segments))
            .or_else(|| self.snapshots.job(self.durable).map(snapshot))
            .or_else(|| self.segments.prune(0).map(segments));
        if let Some((current, job)) = next {
            self.job = Some(current);
            self.disk.start(job);
        }
    }

    /// The last record that no follower needs.
    fn followed(&self) -> Lsn {
        Lsn(self.keep_from.0.saturating_sub(1))
    }
}
