//! Writer of snapshots: into memory, for whoever has the file.

use super::{HEADER_BYTES, KIND_END, KIND_PIECE, KIND_SLOT, MAGIC, NO_SLOT, SECTION_BYTES, SlotSet, VERSION};
use crate::bytes::put;
use crate::frame::Owner;
use crate::limits::{SLOT_IMAGE_BYTES_MAX, SLOTS};

/// Writes a snapshot piece by piece to the end of a buffer.
#[derive(Debug)]
pub(crate) struct Encoder {
    chain: u32,
    sections: u32,
    /// Slots that have all of their pieces.
    slots: usize,
    /// The slot that has some of its pieces, and its LSN.
    open: Option<(u16, u64)>,
    seen: Box<SlotSet>,
}

impl Encoder {
    pub(crate) fn begin(to: &mut Vec<u8>, owner: &Owner, number: u64, begin: u64) -> Encoder {
        let mut header = [0; HEADER_BYTES];
        put(&mut header, 0, &MAGIC);
        put(&mut header, 8, &VERSION.to_le_bytes());
        put(&mut header, 10, &owner.core.to_le_bytes());
        put(&mut header, 12, &owner.epoch.to_le_bytes());
        put(&mut header, 16, &owner.id);
        put(&mut header, 32, &number.to_le_bytes());
        put(&mut header, 40, &begin.to_le_bytes());
        let crc = crc32c::crc32c(&header[..60]);
        put(&mut header, 60, &crc.to_le_bytes());
        to.extend_from_slice(&header);
        let chain = crc32c::crc32c(&crc.to_le_bytes());
        Encoder { chain, sections: 0, slots: 0, open: None, seen: Box::new(SlotSet::new()) }
    }

    /// Adds a piece of a slot's image. All of them hold what the first does: the records up to `lsn` as it was given with that one.
    ///
    /// # Panics
    /// When the slot is out of range or was added before, another one lacks its last piece, or the piece is too large.
    pub(crate) fn piece(&mut self, to: &mut Vec<u8>, slot: u16, lsn: u64, image: &[u8], is_last: bool) {
        assert!(slot < SLOTS, "slot {slot} of {SLOTS}");
        assert!(image.len() <= SLOT_IMAGE_BYTES_MAX, "the image of slot {slot} has {} bytes", image.len());
        let lsn = match self.open {
            Some((open, lsn)) => {
                assert!(open == slot, "slot {open} lacks its last piece, and slot {slot} begins");
                lsn
            }
            None => {
                assert!(self.seen.insert(slot), "slot {slot} is in this snapshot already");
                lsn
            }
        };
        let bytes = u32::try_from(image.len()).expect("within the limit");
        let kind = if is_last { KIND_SLOT } else { KIND_PIECE };
        let crc = section(to, slot, kind, bytes, lsn, crc32c::crc32c(image));
        to.extend_from_slice(image);
        self.chain = crc32c::crc32c_append(self.chain, &crc.to_le_bytes());
        self.sections += 1;
        self.slots += usize::from(is_last);
        self.open = (!is_last).then_some((slot, lsn));
    }

    /// Slots that have all of their pieces.
    pub(crate) fn slots(&self) -> usize {
        self.slots
    }

    /// # Panics
    /// When a slot lacks its last piece.
    pub(crate) fn end(self, to: &mut Vec<u8>, end: u64) {
        assert!(self.open.is_none(), "slot {:?} lacks its last piece", self.open);
        section(to, NO_SLOT, KIND_END, self.sections, end, self.chain);
    }
}

pub(super) fn section(to: &mut Vec<u8>, slot: u16, kind: u16, bytes: u32, lsn: u64, crc: u32) -> u32 {
    let mut fixed = [0; SECTION_BYTES];
    put(&mut fixed, 0, &slot.to_le_bytes());
    put(&mut fixed, 2, &kind.to_le_bytes());
    put(&mut fixed, 4, &bytes.to_le_bytes());
    put(&mut fixed, 8, &lsn.to_le_bytes());
    put(&mut fixed, 16, &crc.to_le_bytes());
    let own = crc32c::crc32c(&fixed[..20]);
    put(&mut fixed, 20, &own.to_le_bytes());
    to.extend_from_slice(&fixed);
    own
}
