//! A backup: what a data directory held at one moment, in a directory of its own.
//!
//! It has an image of every slot, as an epoch whose logs have no record, and the superblock under another name, which comes last: what is
//! not whole is no backup, and nobody sells from one. A restore copies the images into a new epoch of a new life.

use crate::bytes::u64_at;
use crate::core_dir::{CoreDir, DirLock};
use crate::error::{During, OpenError};
use crate::files::{Files, OsFiles, open_listed};
use crate::follow::Cursor;
use crate::follow::state::newest_snapshot;
use crate::frame::Owner;
use crate::limits::SEGMENT_BYTES_MIN;
use crate::names;
use crate::options::Options;
use crate::recover::recover;
use crate::replay::Recover;
use crate::sinks::{self, Sink, Sinks};
use crate::snapshot::{self, SnapshotInfo};
use crate::superblock::{self, Superblock};

use super::epoch::{self, SnapshotSink};
use super::open::{EMPTY, lock, random};

/// The newest snapshot of each core of a directory that others may have open. Once they are opened they are read as they are, whatever
/// takes their place.
pub struct Snapshots<F: Files = OsFiles> {
    superblock: Superblock,
    read_model_bytes: Option<u64>,
    cores: Vec<OpenSnapshot<F>>,
}

struct OpenSnapshot<F: Files> {
    file: (F::File, String, u64),
    owner: Owner,
    number: u64,
}

impl<F: Files> std::fmt::Debug for Snapshots<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshots").field("superblock", &self.superblock).finish_non_exhaustive()
    }
}

impl<F: Files> Snapshots<F> {
    /// Opens them.
    ///
    /// # Errors
    /// It is no data directory, or a file cannot be opened.
    pub fn open(files: &F) -> Result<Snapshots<F>, OpenError> {
        let missing = || OpenError::Missing {
            file: files.display(names::SUPERBLOCK),
            reason: "without one this is no data directory".to_owned(),
        };
        let superblock = superblock::read(files)?.ok_or_else(missing)?.superblock;
        let beginning = beginning(&superblock);
        let open = |core| {
            newest_snapshot(files, &beginning, core, |dir, owner, number| {
                let file = open_listed(files, &dir.path(&names::snapshot(number)))?;
                Ok(OpenSnapshot { file, owner: *owner, number })
            })
        };
        let cores = (0..superblock.cores).map(open).collect::<Result<_, _>>()?;
        // Where it cannot be read, the next start decides anew.
        let sinks = sinks::read(files, superblock.id).ok().flatten().unwrap_or_default();
        Ok(Snapshots { superblock, read_model_bytes: sinks.read_model_bytes, cores })
    }

    /// The beginning of the epoch that they are of.
    pub fn beginning(&self) -> Cursor {
        beginning(&self.superblock)
    }

    /// The key of the placement of slots.
    pub fn secret(&self) -> [u8; 16] {
        self.superblock.secret
    }

    /// Takes the snapshots out, core by core. Each is given to a sink by [`Snapshot::read`].
    pub fn into_cores(self) -> impl Iterator<Item = Snapshot<F>> {
        self.cores.into_iter().map(Snapshot)
    }

    /// The writer of a backup of this directory.
    pub fn begin_backup(&self) -> BackupWriter {
        let epoch = self.superblock.epoch + 1;
        let superblock = Superblock { epoch, sequence: 1, ..self.superblock };
        BackupWriter { superblock, read_model_bytes: self.read_model_bytes }
    }
}

/// The snapshot of one core, open.
pub struct Snapshot<F: Files = OsFiles>(OpenSnapshot<F>);

impl<F: Files> std::fmt::Debug for Snapshot<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Snapshot").field(&self.0.file.1).finish()
    }
}

impl<F: Files> Snapshot<F> {
    /// Gives it to `sink`. Follow behind its beginning: each slot holds its own up to that record or a later one, and none up to a later one than
    /// its end.
    ///
    /// # Errors
    /// The file is damaged or cannot be read; what `sink` refuses.
    pub fn read(self, sink: &mut dyn Recover) -> Result<SnapshotInfo, OpenError> {
        let OpenSnapshot { file, owner, number } = self.0;
        snapshot::read_open(file, &owner, number, sink)
    }
}

/// Writes a backup.
#[derive(Debug, Clone)]
pub struct BackupWriter {
    superblock: Superblock,
    read_model_bytes: Option<u64>,
}

impl BackupWriter {
    /// The beginning of the epoch that the backup has.
    pub fn beginning(&self) -> Cursor {
        beginning(&self.superblock)
    }

    /// Writes the images of all slots into a directory that is there. `images` is called once for each core, in order.
    ///
    /// # Errors
    /// A file cannot be written, or `images` returns an error.
    pub fn write<F: Files>(
        &self,
        to: &F,
        images: impl FnMut(u16, &mut SnapshotSink<'_>) -> Result<(), OpenError>,
    ) -> Result<(), OpenError> {
        // Nothing is ever written to its logs.
        let options = Options { segment_bytes: SEGMENT_BYTES_MIN, ..Options::default() };
        epoch::build(to, &self.superblock, None, &options, images)
    }

    /// From here on it is a backup. Durable when it returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish<F: Files>(&self, to: &F) -> Result<(), OpenError> {
        let sinks = Sinks { read_model_bytes: self.read_model_bytes, ..Sinks::default() };
        sinks::write(to, self.superblock.id, &sinks)?;
        to.sync_all().during("sync", &to.display(""))?;
        superblock::make(to, names::BACKUP_NEW, names::BACKUP, &self.superblock)
    }
}

/// A backup that is whole.
#[derive(Debug)]
pub struct Backup<F: Files = OsFiles> {
    files: F,
    superblock: Superblock,
}

impl<F: Files> Backup<F> {
    /// Opens it.
    ///
    /// # Errors
    /// It is none, or was never finished.
    pub fn open(files: &F) -> Result<Backup<F>, OpenError> {
        let missing = || OpenError::Missing {
            file: files.display(names::BACKUP),
            reason: "this is no backup, or one that was never finished".to_owned(),
        };
        let superblock = superblock::read_file(files, names::BACKUP)?.ok_or_else(missing)?.superblock;
        Ok(Backup { files: files.clone(), superblock })
    }

    /// The beginning of the epoch that it has.
    pub fn beginning(&self) -> Cursor {
        beginning(&self.superblock)
    }

    /// The key of the placement of slots.
    pub fn secret(&self) -> [u8; 16] {
        self.superblock.secret
    }

    /// Gives the images of one core to `sink`.
    ///
    /// # Errors
    /// A file that is damaged, missing or unreadable; what `sink` refuses.
    pub fn read(&self, core: u16, sink: &mut dyn Recover) -> Result<(), OpenError> {
        let Superblock { id, epoch, .. } = self.superblock;
        let owner = Owner { id, epoch, core };
        recover(&CoreDir::new(&self.files, epoch, core), owner, sink).map(drop)
    }
}

/// Makes a data directory of a backup, in a directory that is absent or empty: the next epoch, of a new life. `images` is called once for
/// each core, in order; `beside` is told the beginning of that epoch, and makes what belongs beside it, the read model at that place: it is
/// relied on, under the name of its sink. The directory counts once all is done.
///
/// # Errors
/// There is something in the directory, or it cannot be written; what `images` and `beside` return. What was written stays.
pub fn restore<F: Files, T: Files, E: From<OpenError>>(
    backup: &Backup<F>,
    to: &T,
    options: &Options,
    read_model: &str,
    images: impl FnMut(u16, &mut SnapshotSink<'_>) -> Result<(), OpenError>,
    beside: impl FnOnce(&Cursor) -> Result<(), E>,
) -> Result<Cursor, E> {
    let _lock: DirLock = claim(to)?;
    let mut life = [0; 8];
    random(&mut life).during("take random bits for", &to.display(""))?;
    let Superblock { epoch, .. } = backup.superblock;
    let superblock =
        Superblock { epoch: epoch + 1, life: u64_at(&life, 0), sequence: 1, ..backup.superblock };
    epoch::build(to, &superblock, None, options, images)?;
    let beginning = beginning(&superblock);
    beside(&beginning)?;
    let of_backup = sinks::read(&backup.files, superblock.id)?.unwrap_or_default();
    let read_model = Sink { name: read_model.to_owned(), relied: Some(beginning.clone()) };
    sinks::write(to, superblock.id, &Sinks { sinks: vec![read_model], log_budget_bytes: None, ..of_backup })?;
    to.sync_all().during("sync", &to.display(""))?;
    superblock::make(to, names::SUPERBLOCK_NEW, names::SUPERBLOCK, &superblock)?;
    Ok(beginning)
}

/// Makes and locks a directory with nothing in it.
fn claim<F: Files>(files: &F) -> Result<DirLock, OpenError> {
    let root = files.display("");
    let check = || {
        let found = files.list("").during("list", &root)?.unwrap_or_default();
        match found.iter().find(|name| !EMPTY.contains(&name.as_str())) {
            Some(found) => Err(OpenError::NotEmpty { path: root.clone(), found: found.clone() }),
            None => Ok(()),
        }
    };
    check()?;
    files.make_dir("").during("make", &root)?;
    let lock = lock(files)?;
    check()?;
    Ok(lock)
}

fn beginning(superblock: &Superblock) -> Cursor {
    let Superblock { id, life, epoch, cores, .. } = *superblock;
    Cursor::beginning(id, life, epoch, cores)
}
