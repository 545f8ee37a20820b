//! The state behind a log: for a follower that has nothing yet, or has lost what it had.

use super::Cursor;
use crate::core_dir::CoreDir;
use crate::error::OpenError;
use crate::files::Files;
use crate::frame::Owner;
use crate::names;
use crate::recover::listing::Listing;
use crate::replay::Recover;
use crate::snapshot;
use crate::types::Lsn;

/// A newer snapshot may take the place of the one that was listed, so many times in a row.
const TRIES: usize = 5;

/// Gives the newest snapshot of one core to `sink`, while others write the log. Returns the record behind which to follow: each slot holds
/// its own up to that one or a later one. A snapshot that counts is durable, and so is the log up to it.
///
/// Keep the log from the beginning on meanwhile: what the snapshot passed may be pruned as soon as the next one is there.
///
/// # Errors
/// When a file is damaged or cannot be read, by file and offset; what `sink` refuses.
pub fn read_snapshot<F: Files>(
    files: &F,
    epoch: &Cursor,
    core: u16,
    sink: &mut dyn Recover,
) -> Result<Lsn, OpenError> {
    newest_snapshot(files, epoch, core, |dir, owner, number| {
        snapshot::read(files, &dir.path(&names::snapshot(number)), owner, number, sink).map(|info| info.begin)
    })
}

/// Gives the newest snapshot of one core to `read`, by its directory, its owner and its number.
pub(crate) fn newest_snapshot<F: Files, T>(
    files: &F,
    epoch: &Cursor,
    core: u16,
    mut read: impl FnMut(&CoreDir<F>, &Owner, u64) -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    let owner = Owner { id: epoch.directory, epoch: epoch.epoch, core };
    let dir = CoreDir::new(files, epoch.epoch, core);
    let mut tries = 0;
    loop {
        tries += 1;
        let listing = Listing::read(&dir);
        let number = match &listing {
            Ok(listing) => *listing.snapshots.last().expect("checked by the listing"),
            // Segments are renamed while they are listed: one may be seen under no name.
            Err(OpenError::Missing { .. }) if tries < TRIES => continue,
            Err(_) => return Err(listing.expect_err("seen")),
        };
        match read(&dir, &owner, number) {
            Err(OpenError::Missing { .. }) if tries < TRIES => {}
            read => return read,
        }
    }
}
