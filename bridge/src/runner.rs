//! The loop of a sink: opens it, copies the state where it has nothing, follows the log, and tries again after errors.
//!
//! One thread for each sink. Nothing that a sink or its source does ends it; only [`Stop`] does.

mod backoff;
mod requests;
mod stop;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use engine::ids::Time;
use wal::follow::Cursor;

pub use backoff::{BACKOFF_MAX, BACKOFF_MIN};
pub use requests::Requests;
pub use stop::Stop;

use crate::health::{Health, State};
use crate::sink::{Batch, Sink, SinkError, Start, Trouble};
use crate::source::{Followed, Source};
pub(crate) use backoff::Backoff;

/// Bytes of log that one batch is made of.
pub const BATCH_BYTES_MAX: usize = 4 << 20;
/// The pause between two batches while the backlog is small: a batch costs a read and a sync, however little is in it.
pub const GATHER: Duration = Duration::from_millis(50);
/// From so many records behind on, batches follow each other without a pause.
pub const BACKLOG_AT_ONCE: u64 = 4_000;
/// The longest wait for more in one go. It stops no later than after that.
pub const WAIT_MAX: Duration = Duration::from_millis(100);
/// The pause between two looks at what has been kept for long enough.
pub const TIDY_INTERVAL: Duration = Duration::from_secs(10);
/// A cursor that passed over records, none of which the sink wants, is written this often.
pub const CURSOR_INTERVAL: Duration = Duration::from_secs(1);

/// The moment of a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    pub wall: Time,
    /// Since the runner started, on a clock that does not jump.
    pub running: Duration,
}

/// The wait before the next step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    AtOnce,
    /// Wait until the source has more, at most so long.
    WaitForMore(Duration),
    Pause(Duration),
    /// It was told to stop.
    Stop,
}

#[derive(Debug)]
enum Phase {
    Closed,
    /// Open, and wants a copy of the state.
    Empty,
    Following(Following),
}

#[derive(Debug)]
struct Following {
    at: Cursor,
    /// The sink's own cursor, and when it was written: what was passed over since has still to be.
    durable: Cursor,
    written_at: Duration,
}

#[derive(Debug)]
pub struct Runner<K, S> {
    sink: K,
    source: S,
    stop: Arc<Stop>,
    requests: Arc<Requests>,
    health: Arc<Health>,
    backoff: Backoff,
    phase: Phase,
    /// The next moment at which it is looked after, and what was kept for long enough is looked for.
    tidy_at: Duration,
}

impl<K: Sink, S: Source> Runner<K, S> {
    /// `seed` is for the jitter of its pauses.
    pub fn new(sink: K, source: S, stop: Arc<Stop>, seed: u64) -> Runner<K, S> {
        Runner {
            sink,
            source,
            stop,
            requests: Arc::default(),
            health: Arc::new(Health::default()),
            backoff: Backoff::new(seed),
            phase: Phase::Closed,
            tidy_at: TIDY_INTERVAL,
        }
    }

    #[must_use]
    pub fn health(&self) -> Arc<Health> {
        Arc::clone(&self.health)
    }

    #[must_use]
    pub fn requests(&self) -> Arc<Requests> {
        Arc::clone(&self.requests)
    }

    /// Until it is told to stop.
    pub fn run(mut self) {
        let start = Instant::now();
        loop {
            let wall = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
            let wall = Time(u64::try_from(wall.as_millis()).unwrap_or(u64::MAX));
            match self.step(Now { wall, running: start.elapsed() }) {
                Next::AtOnce => {}
                Next::WaitForMore(timeout) => self.source.wait(timeout),
                Next::Pause(pause) => self.stop.wait(pause),
                Next::Stop => return,
            }
        }
    }

    /// One step: opens, copies, or writes one batch.
    pub fn step(&mut self, now: Now) -> Next {
        if self.stop.is_set() {
            return Next::Stop;
        }
        let phase = std::mem::replace(&mut self.phase, Phase::Closed);
        let damage = self.requests.damage();
        let stepped = match phase {
            _ if self.requests.is_pending() => self.discard(),
            _ if damage.is_some() => Err(SinkError::new(Trouble::Unreadable, damage.unwrap_or_default())),
            Phase::Closed => self.open(),
            Phase::Empty => self.begin(now),
            Phase::Following(following) => self.follow(following, now),
        };
        match stepped {
            Ok((phase, next)) => {
                self.phase = phase;
                next
            }
            Err(error) if error.trouble == Trouble::Stopped => Next::Stop,
            Err(error) => self.fail(&error, now),
        }
    }

    /// From here on nothing is known of it; it is opened next.
    fn discard(&mut self) -> Result<(Phase, Next), SinkError> {
        self.sink.discard()?;
        self.health.update(|report| (report.position, report.seen) = (None, None));
        self.requests.done();
        Ok((Phase::Closed, Next::AtOnce))
    }

    fn open(&mut self) -> Result<(Phase, Next), SinkError> {
        let mut cursor = self.sink.open()?;
        match self.source.admit(cursor.as_ref()) {
            Err(error) if error.trouble == Trouble::Behind && self.sink.is_refilled() => cursor = None,
            admitted => admitted?,
        }
        self.health.update(|report| {
            report.position.clone_from(&cursor);
            report.seen.clone_from(&cursor);
        });
        let phase = match cursor {
            None => Phase::Empty,
            // Written long ago, for all that is known.
            Some(at) => Phase::Following(Following { durable: at.clone(), at, written_at: Duration::ZERO }),
        };
        Ok((phase, Next::AtOnce))
    }

    fn begin(&mut self, now: Now) -> Result<(Phase, Next), SinkError> {
        let cursor = match self.sink.start() {
            Start::Copy => self.copy()?,
            Start::OldestRecord => self.begin_with_oldest()?,
        };
        self.succeed(&cursor);
        let backlog = self.source.backlog(&cursor);
        self.health.update(|report| {
            report.last_time = Some(now.wall);
            report.backlog = backlog;
            report.seen = Some(cursor.clone());
        });
        let following = Following { at: cursor.clone(), durable: cursor, written_at: now.running };
        Ok((Phase::Following(following), Next::AtOnce))
    }

    fn begin_with_oldest(&mut self) -> Result<Cursor, SinkError> {
        let Runner { sink, source, health, .. } = self;
        let cursor = source.oldest()?;
        sink.end_copy(&cursor)?;
        health.update(|report| report.began_behind = Some(cursor.clone()));
        let (sink, epoch, cores) = (sink.name(), cursor.epoch, &cursor.cores);
        if cores.iter().any(|lsn| *lsn > wal::Lsn::NONE) {
            tracing::warn!(
                sink,
                epoch,
                ?cores,
                "begins behind these records: what came before them is not in the log any more, and is not sent"
            );
        }
        Ok(cursor)
    }

    fn copy(&mut self) -> Result<Cursor, SinkError> {
        let Runner { sink, source, stop, health, .. } = self;
        tracing::info!(sink = sink.name(), "copying the state");
        health.update(|report| {
            report.state = State::Copying;
            report.slots_copied = 0;
        });
        sink.begin_copy()?;
        let cursor = source.copy(&mut |slot, life| {
            if stop.is_set() {
                return Err(SinkError::new(Trouble::Stopped, "told to stop"));
            }
            sink.copy_slot(&slot, life)?;
            health.update(|report| report.slots_copied += 1);
            Ok(())
        })?;
        sink.end_copy(&cursor)?;
        health.update(|report| report.moved_aside = sink.moved_aside().to_vec());
        tracing::info!(sink = sink.name(), "the state is copied");
        Ok(cursor)
    }

    fn follow(&mut self, mut following: Following, now: Now) -> Result<(Phase, Next), SinkError> {
        let Followed { batch, cursor, last_time } = self.source.follow(&following.at, BATCH_BYTES_MAX)?;
        let has_moved = cursor != following.at;
        following.at = cursor;
        let is_due = following.at != following.durable
            && now.running.saturating_sub(following.written_at) >= CURSOR_INTERVAL;
        if !batch.records.is_empty() || is_due {
            self.write(&mut following, &batch, now)?;
        }
        self.succeed(&following.durable);
        let backlog = self.source.backlog(&following.at);
        self.health.update(|report| {
            report.state = State::Following;
            report.backlog = backlog;
            report.seen = Some(following.at.clone());
            report.last_time = last_time.or(report.last_time);
        });
        self.look_after(backlog, now)?;
        let next = match (has_moved, backlog) {
            (false, _) => Next::WaitForMore(WAIT_MAX),
            (true, ..BACKLOG_AT_ONCE) => Next::Pause(GATHER),
            (true, _) => Next::AtOnce,
        };
        Ok((Phase::Following(following), next))
    }

    /// Only while nothing waits to be written. By the time of what was recorded last, however far the wall clock is.
    fn look_after(&mut self, backlog: u64, now: Now) -> Result<(), SinkError> {
        if now.running < self.tidy_at || backlog >= BACKLOG_AT_ONCE {
            return Ok(());
        }
        self.sink.check()?;
        let last_time = self.health.report().last_time;
        let has_more = last_time.map_or(Ok(false), |last_time| self.sink.tidy(last_time.min(now.wall)))?;
        self.tidy_at = now.running + if has_more { GATHER } else { TIDY_INTERVAL };
        Ok(())
    }

    fn write(&mut self, following: &mut Following, batch: &Batch, now: Now) -> Result<(), SinkError> {
        self.sink.write(batch, &following.at)?;
        following.durable.clone_from(&following.at);
        following.written_at = now.running;
        let notice = self.sink.notice();
        self.health.update(|report| {
            report.records_written += batch.records.len() as u64;
            report.notice = notice;
        });
        Ok(())
    }

    fn succeed(&mut self, durable: &Cursor) {
        self.backoff.reset();
        let mut was_down = false;
        self.health.update(|report| {
            was_down = report.state == State::Down;
            report.state = State::Following;
            if report.position.as_ref() != Some(durable) {
                report.position = Some(durable.clone());
            }
        });
        if was_down {
            tracing::info!(sink = self.sink.name(), "up again");
        }
    }

    /// Down; opened again after a pause.
    fn fail(&mut self, error: &SinkError, now: Now) -> Next {
        // Asked before: the source may wait for somebody who asks for the health.
        let backlog = self.health.report().position.map(|position| self.source.backlog(&position));
        let mut is_new = false;
        self.health.update(|report| {
            is_new = report.fail(error, now.wall);
            report.backlog = backlog.unwrap_or(report.backlog);
        });
        let pause = self.backoff.next();
        if is_new {
            let trouble = error.trouble.wire_name();
            tracing::warn!(sink = self.sink.name(), trouble, error = %error, "down; tried again until it works");
        }
        Next::Pause(pause)
    }
}
