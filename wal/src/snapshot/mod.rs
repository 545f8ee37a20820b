//! A snapshot: the images of all slots of a core, each with the number of the record up to which it holds, in one section or in
//! several pieces.
//!
//! ```text
//! header                                        section, one for each piece
//!  0  magic        8   "ILKSNAPS"                0  slot         2
//!  8  version      2   2                         2  kind         2   1: the last or only piece, 3: another follows
//! 10  core         2                             4  piece bytes  4
//! 12  epoch        4                             8  lsn          8   the same in all pieces of a slot
//! 16  id          16   of the directory         16  piece crc    4
//! 32  number       8                            20  crc          4   of bytes 0 to 20
//! 40  begin        8   lsn when it was begun    24  piece
//! 48  reserved    12   0
//! 60  crc          4   of bytes 0 to 60         end, as long as a section's fixed part
//!                                                0  slot         2   0xffff
//!                                                2  kind         2   2
//!                                                4  sections     4
//!                                                8  end          8   lsn when it was ended
//!                                               16  chain        4   CRC-32C of the header's crc and all sections' crcs
//!                                               20  crc          4   of bytes 0 to 20
//! ```

mod reader;
mod writer;

use crate::limits::SLOTS;
use crate::types::Lsn;

pub(crate) use reader::{read, read_open};
pub(crate) use writer::Encoder;

pub(crate) const MAGIC: [u8; 8] = *b"ILKSNAPS";
pub(crate) const VERSION: u16 = 2;
pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const SECTION_BYTES: usize = 24;
const KIND_SLOT: u16 = 1;
const KIND_END: u16 = 2;
/// Since version 2.
const KIND_PIECE: u16 = 3;
const NO_SLOT: u16 = 0xffff;

/// A bitmap of slots.
#[derive(Debug, Clone)]
pub(crate) struct SlotSet([u64; SLOTS as usize / 64]);

impl SlotSet {
    pub(crate) const fn new() -> SlotSet {
        SlotSet([0; SLOTS as usize / 64])
    }

    /// Adds a slot below [`SLOTS`]; `false` if it was there.
    pub(crate) fn insert(&mut self, slot: u16) -> bool {
        let (word, bit) = (usize::from(slot) / 64, 1 << (slot % 64));
        let new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        new
    }
}

/// A snapshot that was read to its end and found whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its number; the newest has the highest.
    pub number: u64,
    /// The last record when it was begun: all images hold at least up to here.
    pub begin: Lsn,
    /// The last record when it was ended: no image holds more.
    pub end: Lsn,
    /// Slots in it.
    pub slots: u32,
    /// Size of the file.
    pub bytes: u64,
    /// The version of its format.
    pub version: u16,
}

impl SnapshotInfo {
    /// An earlier version of the program wrote it. The next one is of a format that such a program refuses.
    pub const fn is_of_earlier_version(&self) -> bool {
        self.version < VERSION
    }
}

#[cfg(test)]
mod tests;
