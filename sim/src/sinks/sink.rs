//! One sink: what it has got, and how far it has that durably. What it has not said to be durable a crash may take back.

use wal::files::MemoryFiles;
use wal::follow::{Cursor, FollowError, Follower, Reach};

use super::place::Place;
use crate::checks::logs::Logs;
use crate::rng::Rng;

/// The standing of a sink with the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The next start registers it.
    New,
    Registered,
    Detached,
}

#[derive(Debug)]
pub(crate) struct Sink {
    pub name: &'static str,
    pub standing: Standing,
    /// Of a thousand steps it follows in so many.
    pub pace: u32,
    /// Where it is. `None`: it has nothing, and copies the state first.
    pub place: Option<Place>,
    /// The place of the state that it has copied: what had left before, it does not have.
    pub copied: Option<Place>,
    /// Its commits since the one that it has said to be durable, which is the first.
    commits: Vec<Place>,
    follower: Option<Follower<MemoryFiles>>,
    /// The place up to which the registry relies on it.
    pub relied: Option<Place>,
    /// And before that: an old report may still come.
    pub before: Option<Place>,
    /// Places that the registry was told since, and has perhaps kept.
    pub told: Vec<Place>,
    /// A process has ended since it last followed.
    pub is_restarted: bool,
}

/// The outcome of one look at the logs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Followed {
    pub records: u64,
    pub epochs: u64,
    pub pieces: u64,
    /// There was nothing more.
    pub is_at_end: bool,
}

impl Sink {
    /// A sink that the next start registers. `place`: it begins there, with all that has ever happened.
    pub(crate) fn new(name: &'static str, place: Option<Place>) -> Sink {
        Sink {
            name,
            standing: Standing::New,
            pace: 0,
            commits: place.iter().cloned().collect(),
            place,
            copied: None,
            follower: None,
            relied: None,
            before: None,
            told: Vec::new(),
            is_restarted: false,
        }
    }

    /// The place up to which it has said that it has everything durably.
    pub(crate) fn durable(&self) -> Option<&Place> {
        self.commits.first()
    }

    /// The place that its readers see.
    pub(crate) fn committed(&self) -> Option<&Place> {
        self.commits.last()
    }

    /// Commits where it is.
    pub(crate) fn commit(&mut self) {
        self.commits.extend(self.place.clone());
    }

    /// All that it has committed is durable.
    pub(crate) fn sync(&mut self) {
        self.commits.drain(..self.commits.len().saturating_sub(1));
    }

    /// It has copied the state.
    pub(crate) fn begin_with(&mut self, copied: Place) {
        self.place = Some(copied.clone());
        self.copied = Some(copied);
    }

    /// The process ends: some commit since the durable one is what is left.
    pub(crate) fn end(&mut self, rng: &mut Rng) {
        self.follower = None;
        if !self.commits.is_empty() {
            self.commits.truncate(1 + rng.below(self.commits.len()));
            self.sync();
        }
        self.place = self.commits.first().cloned();
        self.is_restarted = true;
    }

    /// Follows the logs for so many frames at most; sometimes only for a part of one.
    ///
    /// # Errors
    /// A file cannot be read. It goes on later.
    ///
    /// # Panics
    /// When it is given what is not so, or is refused what it needs.
    pub(crate) fn follow(
        &mut self,
        from: &Source<'_>,
        frames_max: u64,
        rng: &mut Rng,
    ) -> Result<Followed, FollowError> {
        let mut done = Followed::default();
        let place = self.place.as_mut().expect("it has copied the state");
        while done.pieces < frames_max {
            let opened = match self.follower.take() {
                Some(follower) => Ok(follower),
                None => Follower::new(from.files.clone(), place.cursor(from.newest), from.newest),
            };
            let mut follower = opened?;
            let Some(next) = follower.next(from.reach)? else {
                done.epochs += place.enter(follower.cursor().epoch, from.logs);
                let durable: Vec<_> = from.reach.iter().map(|reach| reach.lsn.0).collect();
                assert_eq!(place.cores, durable, "a follower says that there is no more");
                self.follower = Some(follower);
                done.is_at_end = true;
                break;
            };
            let (core, first) = (next.core, next.first.0);
            let records: Vec<Vec<u8>> = next.map(<[u8]>::to_vec).collect();
            let some =
                if rng.percent(20) { rng.between(1, records.len() as u64) } else { records.len() as u64 };
            done.epochs += place.enter(follower.cursor().epoch, from.logs);
            place.take(core, first, &records[..some as usize], from.logs);
            done.pieces += 1;
            done.records += some;
            // Where it took only some of them, another follower goes on in the middle of the frame.
            if some == records.len() as u64 {
                assert_eq!(Place::of(follower.cursor()), *place, "the follower's own place");
                self.follower = Some(follower);
            }
        }
        Ok(done)
    }
}

/// The logs as a process offers them.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    pub files: &'a MemoryFiles,
    pub newest: &'a Cursor,
    pub reach: &'a [Reach],
    /// The model that they are held against.
    pub logs: &'a Logs,
}
