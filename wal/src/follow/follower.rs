//! A follower: the records of all cores of an epoch, behind a cursor.

use super::stream::{Frame, Stream};
use super::{Cursor, FollowError, Reach};
use crate::core_dir::CoreDir;
use crate::dir::origin::{FinishedEpoch, Origin};
use crate::files::{Files, OsFiles};
use crate::frame::{Owner, Records};
use crate::types::Lsn;

/// Reads committed records behind a cursor, core by core, each in the order of its log, while others write.
///
/// An epoch that is over is read to its end, all cores of it; then the cursor stands at the beginning of the next.
pub struct Follower<F: Files = OsFiles> {
    files: F,
    cursor: Cursor,
    /// The epoch that the directory is in.
    newest: Cursor,
    streams: Vec<Stream<F>>,
    /// For an epoch that is over, how far each of its logs goes, and the epoch that follows it.
    finished: Option<(Vec<Reach>, Cursor)>,
    /// The core to look at next.
    turn: usize,
}

impl<F: Files> std::fmt::Debug for Follower<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

/// Records of one core that follow one another.
#[derive(Debug)]
pub struct Followed<'a> {
    /// The core whose log they are in.
    pub core: u16,
    /// The life that they belong to.
    pub life: u64,
    /// The number of the first.
    pub first: Lsn,
    records: Records<'a>,
}

impl<'a> Iterator for Followed<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        self.records.next()
    }
}

impl<F: Files> Follower<F> {
    /// A follower that goes on behind `cursor`. `newest` is the beginning of the epoch that the directory is in.
    ///
    /// # Errors
    /// A cursor of another directory or life, or in an epoch that is not there.
    pub fn new(files: F, cursor: Cursor, newest: &Cursor) -> Result<Follower<F>, FollowError> {
        if cursor.directory != newest.directory {
            return Err(FollowError::OtherDirectory);
        }
        if cursor.epoch > newest.epoch {
            return Err(FollowError::Ahead { epoch: cursor.epoch, newest: newest.epoch });
        }
        let mut follower = Follower {
            files,
            cursor: cursor.clone(),
            newest: newest.clone(),
            streams: Vec::new(),
            finished: None,
            turn: 0,
        };
        follower.enter(cursor)?;
        Ok(follower)
    }

    /// The place behind what was given.
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// The next records of some core; the cores take turns. `reach` says for each core of the newest epoch how far its log is durable.
    /// `None`: there is nothing yet.
    ///
    /// # Errors
    /// Damage, by file and offset, and records that are gone from the log. Later calls return the same or more of it.
    pub fn next(&mut self, reach: &[Reach]) -> Result<Option<Followed<'_>>, FollowError> {
        let Some(core) = self.core_with_more(reach)? else { return Ok(None) };
        let to = self.reach(reach, core);
        let stream = &mut self.streams[core];
        // Seen a moment ago.
        let Some(Frame { first, last, records }) = stream.next(&to)? else { return Ok(None) };
        self.cursor.cores[core] = last;
        self.turn = core + 1;
        Ok(Some(Followed { core: core as u16, life: self.cursor.life, first, records }))
    }

    /// The next core, in turn, that has records behind the cursor. Where the epoch is over and has none, the next epoch is entered.
    fn core_with_more(&mut self, reach: &[Reach]) -> Result<Option<usize>, FollowError> {
        loop {
            let cores = self.streams.len();
            let in_turn = (0..cores).map(|step| (self.turn + step) % cores);
            let found =
                in_turn.into_iter().find(|core| self.cursor.cores[*core] < self.reach(reach, *core).lsn);
            match (found, &self.finished) {
                (None, Some((_, next))) => self.enter(next.clone())?,
                _ => return Ok(found),
            }
        }
    }

    fn reach(&self, newest: &[Reach], core: usize) -> Reach {
        match &self.finished {
            Some((ends, _)) => ends[core],
            None => newest.get(core).copied().unwrap_or(Reach::NOTHING),
        }
    }

    /// Goes to a place in an epoch. Where that cannot be, it stays where it is.
    fn enter(&mut self, cursor: Cursor) -> Result<(), FollowError> {
        let (life, cores, finished) = if cursor.epoch == self.newest.epoch {
            (self.newest.life, self.newest.cores.len(), None)
        } else {
            let (previous, next) = self.find_end(cursor.epoch)?;
            let reaches: Vec<_> = previous.ends.iter().map(|end| Reach::of_closed(*end)).collect();
            (previous.life, reaches.len(), Some((reaches, next)))
        };
        if cursor.life != life {
            return Err(FollowError::OtherLife);
        }
        if cursor.cores.len() != cores {
            return Err(FollowError::OtherCores { epoch: cursor.epoch });
        }
        let stream = |(core, after): (u16, &Lsn)| {
            let owner = Owner { id: cursor.directory, epoch: cursor.epoch, core };
            Stream::new(CoreDir::new(&self.files, cursor.epoch, core), owner, *after)
        };
        self.streams = (0..).zip(&cursor.cores).map(stream).collect();
        self.turn = 0;
        self.finished = finished;
        self.cursor = cursor;
        Ok(())
    }

    /// Finds out where the logs of an epoch that is over end, and what comes behind it, from the origin of the next one.
    fn find_end(&self, epoch: u32) -> Result<(FinishedEpoch, Cursor), FollowError> {
        let gone = || FollowError::EpochGone { epoch };
        let directory = self.newest.directory;
        let origin = Origin::read(&self.files, directory, epoch + 1)?.ok_or_else(gone)?;
        let next = Cursor::beginning(directory, origin.life, origin.epoch, origin.cores);
        let previous = origin.previous.filter(|previous| previous.epoch == epoch).ok_or_else(gone)?;
        Ok((previous, next))
    }
}
