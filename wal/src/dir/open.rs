//! Opening: recognises a directory before it touches anything in it, locks it, and initialises a new one.
//!
//! A new directory is made in this order, so that after a crash the next start begins again or continues: the lock file; a
//! superblock without an epoch; the first epoch; the superblock that names it.

use std::sync::Arc;

use super::epoch;
use crate::bytes::{array, u64_at};
use crate::core_dir::DirLock;
use crate::error::{During, OpenError};
use crate::files::Files;
use crate::names;
use crate::options::Options;
use crate::sinks::{self, Sinks};
use crate::superblock::{self, Superblock};

/// Names that an empty directory may contain: those of an initialisation that a crash cut short, and one that file systems make.
pub(super) const EMPTY: [&str; 3] = [names::LOCK, names::SUPERBLOCK_NEW, "lost+found"];

/// An open directory. Both copies of the superblock agree and name an epoch.
pub(super) struct Opened {
    pub(super) lock: DirLock,
    pub(super) superblock: Superblock,
    /// Its sinks, or why they are not known.
    pub(super) sinks: Result<Sinks, String>,
}

/// Opens or makes the directory.
pub(super) fn open<F: Files>(files: &F, options: &Options) -> Result<Opened, OpenError> {
    if recognise(files)?.is_none() {
        files.make_dir("").during("make", &files.display(""))?;
    }
    let lock = lock(files)?;
    // Sync first: a dead process may have written things that are not on the disk yet.
    files.sync_all().during("sync", &files.display(""))?;
    // Another process may have changed it, or made it, before the lock was ours.
    let read = match recognise(files)? {
        Some(read) => read,
        None => begin(files, options)?,
    };
    let mut superblock = read.superblock;
    if !read.both_agree {
        superblock::write(files, &superblock)?;
    }
    let sinks = read_sinks(files, superblock.id)?;
    let is_needed = |epoch| sinks.as_ref().map_or(true, |sinks| sinks.need_epoch(epoch));
    epoch::remove_others(files, superblock.epoch, is_needed)?;
    if superblock.epoch == 0 {
        let next =
            Superblock { cores: options.cores, epoch: 1, sequence: superblock.sequence + 1, ..superblock };
        epoch::build(files, &next, None, options, |_, _| Ok(()))?;
        superblock::write(files, &next)?;
        superblock = next;
    }
    Ok(Opened { lock, superblock, sinks })
}

/// A file of sinks that is damaged or cannot be read does not stop a start: everything is kept, and the start says so. One of a later
/// version does.
fn read_sinks<F: Files>(files: &F, directory: [u8; 16]) -> Result<Result<Sinks, String>, OpenError> {
    match sinks::read(files, directory) {
        Ok(sinks) => Ok(Ok(sinks.unwrap_or_default())),
        Err(error @ OpenError::Newer { .. }) => Err(error),
        Err(error) => Ok(Err(error.to_string())),
    }
}

/// The superblock of a data directory; `None` for a directory that is absent or has nothing in it that counts. Anything else is an
/// error. Changes nothing.
fn recognise<F: Files>(files: &F) -> Result<Option<superblock::Loaded>, OpenError> {
    let root = files.display("");
    let found = files.list("").during("list", &root)?.unwrap_or_default();
    if found.iter().any(|name| name == names::SUPERBLOCK) {
        return superblock::read(files)?.map(Some).ok_or_else(|| no_superblock(files));
    }
    if found.iter().any(|name| name == names::BACKUP) {
        return Err(OpenError::IsBackup { path: root });
    }
    let Some(other) = found.iter().find(|name| !EMPTY.contains(&name.as_str())) else {
        return Ok(None);
    };
    // The superblock is there before the first epoch is, so this is no beginning that was cut short.
    if names::parse_epoch(other).is_some() && found.iter().any(|name| name == names::LOCK) {
        return Err(no_superblock(files));
    }
    Err(OpenError::Foreign { path: root, found: other.clone() })
}

fn no_superblock<F: Files>(files: &F) -> OpenError {
    let reason = "the directory holds logs, and only the superblock says whose".to_owned();
    OpenError::Missing { file: files.display(names::SUPERBLOCK), reason }
}

pub(super) fn lock<F: Files>(files: &F) -> Result<DirLock, OpenError> {
    let locked = files.lock(names::LOCK, true).during("lock", &files.display(names::LOCK))?;
    match locked {
        Ok(lock) => Ok(Arc::new(lock)),
        Err(holder) => Err(OpenError::Locked { path: files.display(""), holder }),
    }
}

/// Writes the superblock of a directory that has no epoch yet.
fn begin<F: Files>(files: &F, options: &Options) -> Result<superblock::Loaded, OpenError> {
    let name = files.display(names::SUPERBLOCK_NEW);
    let mut entropy = [0; 40];
    match options.entropy {
        Some(given) => entropy = given,
        None => random(&mut entropy).during("take random bits for", &name)?,
    }
    let superblock = Superblock {
        cores: 0,
        id: array(&entropy, 0),
        secret: array(&entropy, 16),
        sequence: 1,
        epoch: 0,
        life: u64_at(&entropy, 32),
    };
    superblock::make(files, names::SUPERBLOCK_NEW, names::SUPERBLOCK, &superblock)?;
    Ok(superblock::Loaded { superblock, both_agree: true })
}

pub(super) fn random(to: &mut [u8]) -> std::io::Result<()> {
    let mut done = 0;
    while done < to.len() {
        match rustix::rand::getrandom(&mut to[done..], rustix::rand::GetRandomFlags::empty()) {
            Ok(taken) => done += taken,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
