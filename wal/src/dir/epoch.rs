//! Epochs: one distribution of the slots over cores each. An epoch is built completely before the superblock names it, and
//! removed after the superblock names another.

use std::io;

use super::origin::{FinishedEpoch, Origin};
use crate::buffer::Buffer;
use crate::core_dir::CoreDir;
use crate::disk::jobs::zeroed_file;
use crate::error::{During, OpenError};
use crate::files::{File, Files, join};
use crate::frame::{Builder, Owner, Position};
use crate::limits::CHUNK_BYTES;
use crate::names;
use crate::options::Options;
use crate::snapshot::{Encoder, SlotSet};
use crate::superblock::Superblock;

/// The number of the snapshot that an epoch begins with.
const FIRST_SNAPSHOT: u64 = 0;

/// Writes the first snapshot of a core in a new epoch: takes the images of the slots that the core is to own.
pub struct SnapshotSink<'a> {
    file: &'a dyn File,
    name: &'a str,
    encoder: Encoder,
    buffer: Vec<u8>,
    offset: u64,
    /// Slots of all cores so far: each has one owner.
    seen: &'a mut SlotSet,
}

impl std::fmt::Debug for SnapshotSink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SnapshotSink").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SnapshotSink<'_> {
    /// Adds a slot.
    ///
    /// # Errors
    /// When the file cannot be written. Return it from the closure.
    ///
    /// # Panics
    /// When the slot is out of range, has been added before, for this core or another, or its image is too large.
    pub fn slot(&mut self, slot: u16, image: &[u8]) -> Result<(), OpenError> {
        self.encoder.piece(&mut self.buffer, slot, 0, image, true);
        assert!(self.seen.insert(slot), "slot {slot} has an owner already");
        if self.buffer.len() >= CHUNK_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), OpenError> {
        self.file.write_at(&self.buffer, self.offset).during("write", self.name)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Builds the epoch that `superblock` is going to name: a snapshot at record 0 and a first segment with one empty frame for each
/// core. Everything is durable when this returns.
pub(super) fn build<F: Files>(
    files: &F,
    superblock: &Superblock,
    previous: Option<FinishedEpoch>,
    options: &Options,
    mut images: impl FnMut(u16, &mut SnapshotSink<'_>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let epoch = superblock.epoch;
    let mut seen = SlotSet::new();
    make_dir(files, &names::epoch_dir(epoch))?;
    for number in 0..superblock.cores {
        let core = CoreDir::new(files, epoch, number);
        let owner = Owner { id: superblock.id, epoch, core: number };
        make_dir(files, &core.dir)?;
        snapshot(&core, &owner, &mut seen, |sink| images(number, sink))?;
        segment(&core, owner, options.segment_bytes)?;
        sync_dir(files, &core.dir)?;
    }
    let Superblock { id: directory, cores, life, .. } = *superblock;
    Origin { directory, epoch, cores, life, previous }.write(files)?;
    sync_dir(files, &names::epoch_dir(epoch))?;
    sync_dir(files, "")
}

/// Removes the other epochs: one that was left unfinished, and those before that are not needed.
pub(crate) fn remove_others<F: Files>(
    files: &F,
    epoch: u32,
    is_needed: impl Fn(u32) -> bool,
) -> Result<(), OpenError> {
    let goes = |other: u32| other > epoch || (other < epoch && !is_needed(other));
    let root = files.display("");
    let found = files.list("").during("list", &root)?.unwrap_or_default();
    let mut any = false;
    for name in found.iter().filter(|name| names::parse_epoch(name).is_some_and(goes)) {
        for core in list(files, name)? {
            let core = join(name, &core);
            if core.ends_with(names::ORIGIN) {
                files.remove(&core).during("remove", &files.display(&core))?;
                continue;
            }
            for file in list(files, &core)? {
                let file = join(&core, &file);
                files.remove(&file).during("remove", &files.display(&file))?;
            }
            remove_dir(files, &core)?;
        }
        remove_dir(files, name)?;
        any = true;
    }
    if any { sync_dir(files, "") } else { Ok(()) }
}

fn snapshot<F: Files>(
    core: &CoreDir<F>,
    owner: &Owner,
    seen: &mut SlotSet,
    images: impl FnOnce(&mut SnapshotSink<'_>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let path = core.path(names::SNAPSHOT_NEW);
    let name = core.files.display(&path);
    let file = core.files.create(&path).during("create", &name)?;
    let mut buffer = Vec::new();
    let encoder = Encoder::begin(&mut buffer, owner, FIRST_SNAPSHOT, 0);
    let mut sink = SnapshotSink { file: &file, name: &name, encoder, buffer, offset: 0, seen };
    images(&mut sink)?;
    let mut rest = sink.buffer;
    sink.encoder.end(&mut rest, 0);
    file.write_at(&rest, sink.offset).during("write", &name)?;
    file.sync().during("sync", &name)?;
    rename(core, names::SNAPSHOT_NEW, &names::snapshot(FIRST_SNAPSHOT))
}

/// The first segment. It begins with an empty frame: a log always has a frame, so a missing log is noticed.
fn segment<F: Files>(core: &CoreDir<F>, owner: Owner, bytes: u64) -> Result<(), OpenError> {
    let new = names::segment_new(1);
    let name = core.files.display(&core.path(&new));
    let file = zeroed_file(core, &new, bytes).or_else(|(op, _, error)| Err(error).during(op, &name))?;
    let position = Position { generation: 1, offset: 0, segment_bytes: bytes };
    let frame = Builder::new(Buffer::zeroed(0)).seal(owner, position, 1, 0, 0);
    file.write_at(&frame.buffer[..frame.bytes], 0).during("write", &name)?;
    file.sync().during("sync", &name)?;
    rename(core, &new, &names::segment(1))
}

fn rename<F: Files>(core: &CoreDir<F>, from: &str, to: &str) -> Result<(), OpenError> {
    let (from, to) = (core.path(from), core.path(to));
    core.files.rename(&from, &to).during("rename", &core.files.display(&from))
}

fn make_dir<F: Files>(files: &F, dir: &str) -> Result<(), OpenError> {
    files.make_dir(dir).during("make", &files.display(dir))
}

fn remove_dir<F: Files>(files: &F, dir: &str) -> Result<(), OpenError> {
    files.remove_dir(dir).during("remove", &files.display(dir))
}

fn sync_dir<F: Files>(files: &F, dir: &str) -> Result<(), OpenError> {
    files.sync_dir(dir).during("sync", &files.display(dir))
}

/// The names in a directory that was listed a moment ago. Not a directory: an error.
fn list<F: Files>(files: &F, dir: &str) -> Result<Vec<String>, OpenError> {
    let gone = || io::Error::from(io::ErrorKind::NotFound);
    let found = files.list(dir).and_then(|found| found.ok_or_else(gone));
    found.during("list", &files.display(dir))
}
