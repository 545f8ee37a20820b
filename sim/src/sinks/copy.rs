//! A sink that has nothing copies the state first: every slot of every core's newest snapshot, held against the model of slots, and against
//! the log that the copy stands for.

use std::collections::BTreeMap;

use engine::ids::SlotId;
use engine::record::Record;
use engine::state::Slot;
use wal::files::MemoryFiles;
use wal::follow::{Cursor, read_snapshot};
use wal::{Lsn, OpenError, Recover};

use super::place::Place;
use crate::checks::logs::Logs;
use crate::checks::model::Model;

#[derive(Debug, Default)]
struct Images {
    slots: BTreeMap<SlotId, Slot>,
}

impl Recover for Images {
    fn piece(&mut self, slot: u16, _: Lsn, image: &[u8]) -> Result<(), String> {
        let id = SlotId::new(slot);
        let slot = self.slots.entry(id).or_insert_with(|| Slot::new(id));
        // A slot to which nothing ever happened has an empty image.
        if image.is_empty() { Ok(()) } else { slot.restore_piece(image).map_err(|error| error.to_string()) }
    }

    fn record(&mut self, _: Lsn, _: &[u8]) -> Result<(), String> {
        Err("a snapshot has no records".to_owned())
    }
}

/// The record up to which the newest snapshot of a core holds everything.
///
/// # Panics
/// When it cannot be read.
pub(super) fn snapshot_begin(files: &MemoryFiles, newest: &Cursor, core: u16) -> u64 {
    let begin = read_snapshot(files, newest, core, &mut Images::default());
    begin.unwrap_or_else(|error| panic!("the snapshot of core {core} cannot be read: {error}")).0
}

/// Copies the state, and returns the place behind which to follow.
///
/// # Errors
/// A file cannot be read.
///
/// # Panics
/// When a slot is as it never was, or lacks a record at or before that place.
pub(crate) fn state(
    files: &MemoryFiles,
    newest: &Cursor,
    model: &Model,
    logs: &Logs,
) -> Result<Place, OpenError> {
    let mut place = Place::of(newest);
    for core in 0..newest.cores.len() as u16 {
        let mut images = Images::default();
        let begin = read_snapshot(files, newest, core, &mut images)?;
        for slot in images.slots.values().filter(|slot| !slot.is_blank()) {
            assert!(model.compare(slot), "slot {} is copied as it never was", slot.id().get());
        }
        for bytes in logs.records_until(core, begin.0) {
            let Record { slot, seq, .. } = Record::decode(bytes).expect("a record that was written");
            let copied = images.slots.get(&slot).map_or(0, Slot::seq);
            assert!(copied >= seq, "record {seq} of slot {} is not in the copy", slot.get());
        }
        place.cores[usize::from(core)] = begin.0;
    }
    Ok(place)
}
