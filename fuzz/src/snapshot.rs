//! The reader of snapshots, and the images of slots within.

use engine::ids::SlotId;
use engine::state::Slot;
use wal::disk::{Lane, MemoryDisk};
use wal::{DataDir, Lsn, Millis, Recover};

use crate::frames::{CORE, directory, options};

/// Decodes the images, as a shard does.
#[derive(Debug, Default, PartialEq, Eq)]
struct Taken {
    images: Vec<(u16, Lsn, Vec<u8>)>,
}

impl Recover for Taken {
    fn slot(&mut self, slot: u16, lsn: Lsn, image: &[u8]) -> Result<(), String> {
        if !image.is_empty() {
            let read = Slot::decode(image).map_err(|error| error.to_string())?;
            let mut written = Vec::new();
            read.encode(&mut written);
            let again = Slot::decode(&written).expect("what is written is read");
            assert_eq!(
                (again.id(), again.seq(), again.memory_estimate()),
                (read.id(), read.seq(), read.memory_estimate())
            );
        }
        self.images.push((slot, lsn, image.to_vec()));
        Ok(())
    }

    fn record(&mut self, _: Lsn, _: &[u8]) -> Result<(), String> {
        panic!("the log is empty");
    }
}

fn snapshot_name(number: u64) -> String {
    format!("{CORE}/snapshot-{number:020}")
}

/// What a sound snapshot looks like: a blank slot, one without an image, and what `image` holds.
///
/// # Panics
/// Never: nothing fails in memory.
#[must_use]
pub fn example_snapshot(image: &[u8]) -> Vec<u8> {
    let files = directory();
    let dir = DataDir::open_on(files.clone(), &options()).expect("a sound directory");
    let at = dir.recover(0, &mut Taken::default()).expect("an empty log");
    let mut log = dir.log(0, at, MemoryDisk::new(dir.core_dir(0))).expect("an empty log");
    let mut blank = Vec::new();
    Slot::new(SlotId::new(3)).encode(&mut blank);
    log.snapshot_begin();
    for (slot, image) in [(3, &blank[..]), (4, &[]), (0x5a5, image)] {
        log.snapshot_slot(slot, image);
    }
    log.snapshot_end();
    log.poll(Millis(0)).expect("nothing fails");
    while log.disk_mut().finish(Lane::Jobs) {
        log.poll(Millis(0)).expect("nothing fails");
    }
    let mut bytes = files.contents()[&snapshot_name(1)].clone().expect("a file");
    bytes.insert(0, 1);
    bytes
}

/// The first byte says whether checksums are made right; the rest is a snapshot.
///
/// # Panics
/// When the reader gives what is not in the bytes.
pub fn snapshot(data: &[u8]) {
    let Some((mode, content)) = data.split_first() else { return };
    let mut bytes = content.to_vec();
    if mode & 1 == 1 {
        seal(&mut bytes);
    }
    let files = directory();
    // The number stands in the header: the first snapshot is 0, and examples are the next.
    let number = u64::from(bytes.get(32) == Some(&1));
    let first = snapshot_name(0);
    if number == 1 {
        wal::files::Files::rename(&files, &first, &snapshot_name(1)).expect("files in memory");
    }
    files.tamper(&snapshot_name(number), |file| file.clone_from(&bytes));
    drop(wal::inspect::check_on(&files));
    let Ok(dir) = DataDir::open_on(files, &options()) else { panic!("the superblock is sound") };
    let mut taken = Taken::default();
    let Ok(at) = dir.recover(0, &mut taken) else { return };
    assert_eq!(at.snapshot.slots as usize, taken.images.len());
    assert_eq!(at.snapshot.bytes as usize, bytes.len());
    for (slot, _, image) in &taken.images {
        let inside = image.is_empty() || bytes.windows(image.len()).any(|window| window == image);
        assert!(inside, "the image of slot {slot} is not in the snapshot");
    }
    let mut slots: Vec<_> = taken.images.iter().map(|(slot, ..)| *slot).collect();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), taken.images.len(), "each slot once");
}

/// Makes all checksums right as far as the lengths lead.
fn seal(bytes: &mut [u8]) {
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
