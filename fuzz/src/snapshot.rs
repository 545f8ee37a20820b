//! Target: the reader of snapshots, and of the slot images in them.

use engine::ids::SlotId;
use engine::state::Slot;
use wal::{DataDir, Lsn, Recover};

use crate::frames::{CORE, complete_all, empty_directory, open_log, options};

/// Reads the slot images, as a shard does, and collects their pieces.
#[derive(Debug, Default)]
struct Taken {
    pieces: Vec<(u16, Lsn, Vec<u8>)>,
    /// The slot of the last piece.
    slot: Option<Slot>,
}

impl Recover for Taken {
    fn piece(&mut self, slot: u16, lsn: Lsn, image: &[u8]) -> Result<(), String> {
        let goes_on = self.pieces.last().is_some_and(|(last, ..)| *last == slot);
        let begun = if goes_on { self.slot.take() } else { None };
        let mut read = begun.unwrap_or_else(|| Slot::new(SlotId::new(slot)));
        if !image.is_empty() {
            read.restore_piece(image).map_err(|error| error.to_string())?;
            let mut written = Vec::new();
            read.encode(&mut written);
            let again = Slot::decode(&written).expect("what is written is read");
            assert_eq!(
                (again.id(), again.seq(), again.memory_estimate()),
                (read.id(), read.seq(), read.memory_estimate())
            );
        }
        self.slot = Some(read);
        self.pieces.push((slot, lsn, image.to_vec()));
        Ok(())
    }

    fn record(&mut self, _: Lsn, _: &[u8]) -> Result<(), String> {
        panic!("the log is empty");
    }
}

fn snapshot_name(number: u64) -> String {
    format!("{CORE}/snapshot-{number:020}")
}

/// A sound snapshot: a blank slot, one without an image, and the slot of `image` in pieces of one element.
///
/// # Panics
/// Never: nothing fails in memory.
#[must_use]
pub fn example_snapshot(image: &[u8]) -> Vec<u8> {
    let files = empty_directory();
    let (_dir, mut log) = open_log(&files);
    let mut blank = Vec::new();
    Slot::new(SlotId::new(3)).encode(&mut blank);
    log.snapshot_begin();
    for (slot, image) in [(3, &blank[..]), (4, &[])] {
        log.snapshot_wants().expect("it waits for a slot").piece(slot, image, true);
    }
    let mut slot = Slot::decode(image).expect("a sound image");
    slot.begin_image();
    let mut is_last = false;
    while !is_last {
        let mut piece = Vec::new();
        is_last = slot.next_piece(1, &mut piece);
        log.snapshot_wants().expect("it waits for a piece").piece(slot.id().get(), &piece, is_last);
    }
    log.snapshot_wants().expect("it waits for its end").end();
    complete_all(&mut log, 0);
    let mut bytes = files.contents()[&snapshot_name(1)].clone().expect("a file");
    bytes.insert(0, 1);
    bytes
}

/// An odd first byte has the checksums made right; the rest of the input is a snapshot.
///
/// # Panics
/// When the reader gives what is not in the bytes.
pub fn snapshot(data: &[u8]) {
    let Some((mode, content)) = data.split_first() else { return };
    let mut bytes = content.to_vec();
    if mode & 1 == 1 {
        fix_checksums(&mut bytes);
    }
    let files = empty_directory();
    // The number is in the header: a new directory has snapshot 0, and an example is the next one.
    let number = u64::from(bytes.get(32) == Some(&1));
    let first = snapshot_name(0);
    if number == 1 {
        wal::files::Files::rename(&files, &first, &snapshot_name(1)).expect("files in memory");
    }
    files.tamper(&snapshot_name(number), |file| file.clone_from(&bytes));
    drop(wal::inspect::check_on(&files));
    let dir = DataDir::open_on(files, &options()).expect("the superblock is sound");
    let mut taken = Taken::default();
    let Ok(at) = dir.recover(0, &mut taken) else { return };
    let mut slots: Vec<_> = taken.pieces.iter().map(|(slot, lsn, _)| (*slot, *lsn)).collect();
    slots.dedup();
    assert_eq!(at.snapshot.slots as usize, slots.len(), "pieces of a slot are together, and of one record");
    assert_eq!(at.snapshot.bytes as usize, bytes.len());
    for (slot, _, image) in &taken.pieces {
        let inside = image.is_empty() || bytes.windows(image.len()).any(|window| window == image);
        assert!(inside, "the image of slot {slot} is not in the snapshot");
    }
    slots.sort_unstable();
    slots.dedup_by_key(|(slot, _)| *slot);
    assert_eq!(slots.len(), at.snapshot.slots as usize, "each slot once");
}

/// Makes all checksums right, as far as the lengths lead.
fn fix_checksums(bytes: &mut [u8]) {
    const HEADER: usize = 64;
    const SECTION: usize = 24;
    if bytes.len() < HEADER {
        return;
    }
    let crc = crc32c::crc32c(&bytes[..60]).to_le_bytes();
    bytes[60..64].copy_from_slice(&crc);
    let mut chain = crc32c::crc32c(&crc);
    let mut at = HEADER;
    while at + SECTION <= bytes.len() {
        let is_end = bytes[at + 2] == 2;
        let length = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().expect("four bytes")) as usize;
        let image = if is_end { 0 } else { length };
        let end = (at + SECTION).saturating_add(image);
        let inner = if is_end { Some(chain) } else { bytes.get(at + SECTION..end).map(crc32c::crc32c) };
        let Some(inner) = inner else { return };
        bytes[at + 16..at + 20].copy_from_slice(&inner.to_le_bytes());
        let own = crc32c::crc32c(&bytes[at..at + 20]).to_le_bytes();
        bytes[at + 20..at + 24].copy_from_slice(&own);
        chain = crc32c::crc32c_append(chain, &own);
        at = end;
    }
}
