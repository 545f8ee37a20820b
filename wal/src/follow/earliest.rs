//! The first record that is still there.

use super::{Cursor, FollowError, Reach};
use crate::core_dir::CoreDir;
use crate::dir::origin::Origin;
use crate::error::{During, OpenError};
use crate::files::{File, Files};
use crate::frame::{self, Candidate, Owner, Position};
use crate::limits::BLOCK_BYTES;
use crate::names;
use crate::types::Lsn;

/// The place before the first record that the directory still has, in the oldest epoch that is kept. `newest` is the beginning of the epoch
/// that it is in. Whoever writes may recycle what is found here before it is read.
///
/// # Errors
/// When a file is damaged or cannot be read.
pub fn earliest<F: Files>(files: &F, newest: &Cursor) -> Result<Cursor, FollowError> {
    let mut cursor = newest.clone();
    loop {
        let origin = Origin::read(files, cursor.directory, cursor.epoch)?;
        let Some(previous) = origin.and_then(|origin| origin.previous) else { break };
        let dir = names::epoch_dir(previous.epoch);
        if files.list(&dir).during("list", &files.display(&dir))?.is_none() {
            break;
        }
        let cores = previous.ends.len() as u16;
        cursor = Cursor::beginning(cursor.directory, previous.life, previous.epoch, cores);
    }
    for core in 0..cursor.cores.len() {
        cursor.cores[core] = before_first(files, &cursor, core as u16)?;
    }
    Ok(cursor)
}

/// The record before the first one of a core's oldest segment.
fn before_first<F: Files>(files: &F, epoch: &Cursor, core: u16) -> Result<Lsn, OpenError> {
    let dir = CoreDir::new(files, epoch.epoch, core);
    let name = files.display(&dir.dir);
    let listed = files.list(&dir.dir).during("list", &name)?.unwrap_or_default();
    let oldest = listed.iter().filter_map(|name| names::parse_segment(name)).min();
    let Some(generation) = oldest else { return Ok(Lsn::NONE) };
    let path = dir.path(&names::segment(generation));
    let name = files.display(&path);
    let Some(file) = files.open_follow(&path).during("open", &name)? else { return Ok(Lsn::NONE) };
    let mut block = vec![0; BLOCK_BYTES];
    let segment_bytes = file.size().during("read", &name)?;
    let length = file.read_at(&mut block, 0).during("read", &name)?;
    let owner = Owner { id: epoch.directory, epoch: epoch.epoch, core };
    let position = Position { generation, offset: 0, segment_bytes };
    match frame::classify(&block[..length], &owner, &position) {
        Candidate::Sound(header, _) => Ok(Lsn(header.first_lsn - 1)),
        _ => Err(OpenError::damaged(&name, 0, "the log does not begin with a sound frame")),
    }
}

/// A directory that nobody has open, and how far its logs go. Nobody can open it meanwhile.
pub struct Stopped<F: Files> {
    /// The beginning of the epoch that it is in.
    pub newest: Cursor,
    /// The end of each core's log.
    pub reach: Vec<Reach>,
    pub(crate) _lock: F::Lock,
}

impl<F: Files> std::fmt::Debug for Stopped<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stopped").field("newest", &self.newest).finish_non_exhaustive()
    }
}
