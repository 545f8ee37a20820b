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

use crate::bytes::{array, is_zero, put, u16_at, u32_at, u64_at};
use crate::error::{During, OpenError};
use crate::files::{File, Files, open_listed};
use crate::frame::Owner;
use crate::limits::{SLOT_IMAGE_BYTES_MAX, SLOTS};
use crate::replay::Recover;
use crate::types::Lsn;

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

fn section(to: &mut Vec<u8>, slot: u16, kind: u16, bytes: u32, lsn: u64, crc: u32) -> u32 {
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
}

/// The header of a snapshot file, as far as its contents depend on it.
struct Header {
    version: u16,
    begin: u64,
    crc: u32,
}

/// Sections and slots of a snapshot file, as they are read.
struct Progress {
    seen: SlotSet,
    sections: u32,
    slots: u32,
    /// The slot that lacks its last piece, and its LSN.
    open: Option<(u16, u64)>,
    last: u64,
    chain: u32,
}

/// Reads a snapshot to its end and gives each image to `sink`.
pub(crate) fn read<F: Files>(
    files: &F,
    path: &str,
    owner: &Owner,
    number: u64,
    sink: &mut dyn Recover,
) -> Result<SnapshotInfo, OpenError> {
    let (file, name, bytes) = open_listed(files, path)?;
    let mut reader = Reader { file, name, at: 0, bytes, buffer: Vec::new() };
    reader.whole(owner, number, sink)
}

struct Reader<T: File> {
    file: T,
    name: String,
    at: u64,
    bytes: u64,
    buffer: Vec<u8>,
}

/// The fixed part of a section.
struct Section {
    at: u64,
    slot: u16,
    kind: u16,
    count: u32,
    lsn: u64,
    crc: u32,
    own_crc: u32,
}

impl<T: File> Reader<T> {
    fn damaged<V>(&self, at: u64, reason: impl Into<String>) -> Result<V, OpenError> {
        Err(OpenError::damaged(&self.name, at, reason))
    }

    /// Reads `length` more bytes into the buffer.
    fn take(&mut self, length: usize) -> Result<(), OpenError> {
        // Before memory is taken for it.
        if length as u64 > self.bytes - self.at {
            return self.damaged(self.at, "the snapshot is cut off");
        }
        self.buffer.resize(length, 0);
        let read = self.file.read_at(&mut self.buffer, self.at).during("read", &self.name)?;
        if read < length {
            return self.damaged(self.at, "the snapshot is cut off");
        }
        self.at += length as u64;
        Ok(())
    }

    fn whole(
        &mut self,
        owner: &Owner,
        number: u64,
        sink: &mut dyn Recover,
    ) -> Result<SnapshotInfo, OpenError> {
        let header = self.header(owner, number)?;
        let mut progress = Progress {
            seen: SlotSet::new(),
            sections: 0,
            slots: 0,
            open: None,
            last: header.begin,
            chain: crc32c::crc32c(&header.crc.to_le_bytes()),
        };
        loop {
            let section = self.section(header.version)?;
            if section.lsn < progress.last {
                return self.damaged(section.at, "a record number is lower than the one before");
            }
            progress.last = section.lsn;
            if section.kind == KIND_END {
                return self.end(&section, number, header.begin, &progress);
            }
            self.follows(&section, &mut progress)?;
            self.image(&section, sink)?;
            progress.chain = crc32c::crc32c_append(progress.chain, &section.own_crc.to_le_bytes());
            progress.sections += 1;
        }
    }

    /// The section goes on with the slot that lacks pieces, or begins one that was not there.
    fn follows(&self, section: &Section, progress: &mut Progress) -> Result<(), OpenError> {
        match progress.open {
            Some(open) if open != (section.slot, section.lsn) => {
                return self.damaged(section.at, format!("the last piece of slot {} is missing", open.0));
            }
            None if !progress.seen.insert(section.slot) => {
                return self.damaged(section.at, format!("slot {} comes twice", section.slot));
            }
            _ => {}
        }
        let is_last = section.kind == KIND_SLOT;
        progress.slots += u32::from(is_last);
        progress.open = (!is_last).then_some((section.slot, section.lsn));
        Ok(())
    }

    fn header(&mut self, owner: &Owner, number: u64) -> Result<Header, OpenError> {
        self.take(HEADER_BYTES)?;
        let header = &self.buffer;
        let crc = u32_at(header, 60);
        if header[..8] != MAGIC {
            return self.damaged(0, "this is no snapshot");
        }
        if crc32c::crc32c(&header[..60]) != crc {
            return self.damaged(0, "the snapshot header fails its checksum");
        }
        let version = u16_at(header, 8);
        if version > VERSION {
            return Err(OpenError::Newer { file: self.name.clone(), version, supported: VERSION });
        }
        let found = Owner { id: array(header, 16), epoch: u32_at(header, 12), core: u16_at(header, 10) };
        if version == 0 || !is_zero(&header[48..60]) {
            return self.damaged(0, "the snapshot header holds values that cannot be");
        }
        if found != *owner || u64_at(header, 32) != number {
            return self.damaged(0, "the snapshot belongs to another directory, epoch, core or number");
        }
        Ok(Header { version, begin: u64_at(header, 40), crc })
    }

    fn section(&mut self, version: u16) -> Result<Section, OpenError> {
        let at = self.at;
        self.take(SECTION_BYTES)?;
        let fixed = &self.buffer;
        let section = Section {
            at,
            slot: u16_at(fixed, 0),
            kind: u16_at(fixed, 2),
            count: u32_at(fixed, 4),
            lsn: u64_at(fixed, 8),
            crc: u32_at(fixed, 16),
            own_crc: u32_at(fixed, 20),
        };
        if crc32c::crc32c(&fixed[..20]) != section.own_crc {
            return self.damaged(at, "a section of the snapshot fails its checksum");
        }
        match (section.kind, section.slot) {
            (KIND_SLOT | KIND_PIECE, 0..SLOTS)
                if section.count as usize <= SLOT_IMAGE_BYTES_MAX
                    && (section.kind == KIND_SLOT || version >= 2) =>
            {
                Ok(section)
            }
            (KIND_END, NO_SLOT) => Ok(section),
            _ => self.damaged(at, "a section of the snapshot holds values that cannot be"),
        }
    }

    fn image(&mut self, section: &Section, sink: &mut dyn Recover) -> Result<(), OpenError> {
        self.take(section.count as usize)?;
        if crc32c::crc32c(&self.buffer) != section.crc {
            return self
                .damaged(section.at, format!("the image of slot {} fails its checksum", section.slot));
        }
        let taken = sink.piece(section.slot, Lsn(section.lsn), &self.buffer);
        taken.map_err(|reason| OpenError::Refused {
            file: self.name.clone(),
            offset: section.at,
            what: format!("slot {}", section.slot),
            reason,
        })
    }

    fn end(
        &self,
        end: &Section,
        number: u64,
        begin: u64,
        read: &Progress,
    ) -> Result<SnapshotInfo, OpenError> {
        if let Some((slot, _)) = read.open {
            return self.damaged(end.at, format!("the last piece of slot {slot} is missing"));
        }
        if end.count != read.sections || end.crc != read.chain {
            return self.damaged(end.at, "sections of the snapshot are missing or changed");
        }
        if self.at != self.bytes {
            return self.damaged(self.at, "bytes behind the end of the snapshot");
        }
        Ok(SnapshotInfo {
            number,
            begin: Lsn(begin),
            end: Lsn(end.lsn),
            slots: read.slots,
            bytes: self.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;

    type Slots = Vec<(u16, u64, Vec<u8>)>;

    struct Taken(Slots);

    impl Recover for Taken {
        fn piece(&mut self, slot: u16, lsn: Lsn, image: &[u8]) -> Result<(), String> {
            self.0.push((slot, lsn.0, image.to_vec()));
            Ok(())
        }

        fn record(&mut self, _: Lsn, _: &[u8]) -> Result<(), String> {
            Err("a snapshot has no records".to_owned())
        }
    }

    fn owner() -> Owner {
        Owner { id: *b"0123456789abcdef", epoch: 3, core: 2 }
    }

    fn example() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::begin(&mut bytes, &owner(), 5, 40);
        encoder.piece(&mut bytes, 9, 41, b"nine", true);
        encoder.piece(&mut bytes, 8, 43, b"", true);
        encoder.end(&mut bytes, 44);
        bytes
    }

    fn read_back(bytes: &[u8]) -> Result<(SnapshotInfo, Slots), OpenError> {
        let files = MemoryFiles::new();
        files.make_dir("").unwrap();
        files.create("s").unwrap().write_at(bytes, 0).unwrap();
        let mut taken = Taken(Vec::new());
        read(&files, "s", &owner(), 5, &mut taken).map(|info| (info, taken.0))
    }

    #[test]
    fn fields_are_where_the_table_says() {
        let bytes = example();
        let check =
            |at: usize, expected: &[u8]| assert_eq!(&bytes[at..at + expected.len()], expected, "at {at}");
        check(0, b"ILKSNAPS");
        check(8, &[2, 0, 2, 0, 3, 0, 0, 0]);
        check(16, b"0123456789abcdef");
        check(32, &5u64.to_le_bytes());
        check(40, &40u64.to_le_bytes());
        check(48, &[0; 12]);
        check(60, &crc32c::crc32c(&bytes[..60]).to_le_bytes());
        check(64, &[9, 0, 1, 0, 4, 0, 0, 0, 41, 0, 0, 0, 0, 0, 0, 0]);
        check(80, &crc32c::crc32c(b"nine").to_le_bytes());
        check(84, &crc32c::crc32c(&bytes[64..84]).to_le_bytes());
        check(88, b"nine");
        check(92, &[8, 0, 1, 0, 0, 0, 0, 0, 43, 0, 0, 0, 0, 0, 0, 0]);
        check(116, &[0xff, 0xff, 2, 0, 2, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0]);
        let crcs = [&bytes[60..64], &bytes[84..88], &bytes[112..116]].concat();
        check(132, &crc32c::crc32c(&crcs).to_le_bytes());
        assert_eq!(bytes.len(), 140);
    }

    #[test]
    fn what_is_written_is_read() {
        let (info, slots) = read_back(&example()).unwrap();
        assert_eq!((info.begin, info.end, info.slots, info.bytes), (Lsn(40), Lsn(44), 2, 140));
        assert_eq!(slots, [(9, 41, b"nine".to_vec()), (8, 43, Vec::new())]);
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        for sound in [example(), pieces()] {
            for bit in 0..sound.len() * 8 {
                let mut bytes = sound.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                assert!(read_back(&bytes).is_err(), "bit {bit}");
            }
            for length in 0..sound.len() {
                assert!(read_back(&sound[..length]).is_err(), "length {length}");
            }
            assert!(read_back(&[sound.as_slice(), b"\0"].concat()).is_err());
        }
    }

    /// Slot 9 in three pieces, slot 8 in one.
    fn pieces() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::begin(&mut bytes, &owner(), 5, 40);
        encoder.piece(&mut bytes, 9, 41, b"ni", false);
        encoder.piece(&mut bytes, 9, 42, b"", false);
        assert_eq!(encoder.slots(), 0);
        encoder.piece(&mut bytes, 9, 43, b"ne", true);
        encoder.piece(&mut bytes, 8, 43, b"eight", true);
        assert_eq!(encoder.slots(), 2);
        encoder.end(&mut bytes, 44);
        bytes
    }

    #[test]
    fn pieces_of_a_slot_hold_what_the_first_one_does() {
        let (info, pieces) = read_back(&pieces()).unwrap();
        assert_eq!((info.slots, info.end), (2, Lsn(44)));
        let piece = |slot, lsn, bytes: &[u8]| (slot, lsn, bytes.to_vec());
        let expected = [piece(9, 41, b"ni"), piece(9, 41, b""), piece(9, 41, b"ne"), piece(8, 43, b"eight")];
        assert_eq!(pieces, expected);
    }

    /// A file of sections as they are given: slot, kind, LSN.
    fn of_sections(version: u16, sections: &[(u16, u16, u64)]) -> Result<(SnapshotInfo, Slots), OpenError> {
        let mut bytes = Vec::new();
        Encoder::begin(&mut bytes, &owner(), 5, 40);
        put(&mut bytes, 8, &version.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..60]);
        put(&mut bytes, 60, &crc.to_le_bytes());
        let mut chain = crc32c::crc32c(&crc.to_le_bytes());
        for (slot, kind, lsn) in sections {
            let crc = section(&mut bytes, *slot, *kind, 1, *lsn, crc32c::crc32c(b"x"));
            bytes.push(b'x');
            chain = crc32c::crc32c_append(chain, &crc.to_le_bytes());
        }
        section(&mut bytes, NO_SLOT, KIND_END, sections.len() as u32, 44, chain);
        read_back(&bytes)
    }

    #[test]
    fn a_file_of_version_1_has_no_pieces() {
        let (info, slots) = of_sections(1, &[(9, KIND_SLOT, 41), (8, KIND_SLOT, 43)]).unwrap();
        assert_eq!((info.slots, slots.len()), (2, 2));
        let refused = of_sections(1, &[(9, KIND_PIECE, 41), (9, KIND_SLOT, 41)]).unwrap_err().to_string();
        assert!(refused.contains("values that cannot be"), "{refused}");
    }

    #[test]
    fn pieces_that_do_not_belong_together_are_refused() {
        let check = |sections: &[(u16, u16, u64)], expected: &str| {
            let refused = of_sections(2, sections).unwrap_err().to_string();
            assert!(refused.contains(expected), "{sections:?}: {refused}");
        };
        const MISSING: &str = "the last piece of slot 9 is missing";
        check(&[(9, KIND_PIECE, 41)], MISSING);
        check(&[(9, KIND_PIECE, 41), (8, KIND_SLOT, 41)], MISSING);
        check(&[(9, KIND_PIECE, 41), (9, KIND_SLOT, 42)], MISSING);
        check(&[(9, KIND_PIECE, 41), (9, KIND_SLOT, 41), (9, KIND_SLOT, 41)], "slot 9 comes twice");
        check(&[(9, KIND_SLOT, 41), (9, KIND_PIECE, 41)], "slot 9 comes twice");
    }

    /// The example with one field changed, and the checksum of what it is in made right again.
    fn changed(at: usize, field: &[u8], part: std::ops::Range<usize>) -> OpenError {
        let mut bytes = example();
        put(&mut bytes, at, field);
        let crc = crc32c::crc32c(&bytes[part.start..part.end]);
        put(&mut bytes, part.end, &crc.to_le_bytes());
        read_back(&bytes).expect_err("changed")
    }

    #[test]
    fn values_that_cannot_be_are_refused_for_what_they_are() {
        let check = |error: OpenError, at: u64, expected: &str| match error {
            OpenError::Damaged { offset, reason, .. } => {
                assert!(offset == at && reason.contains(expected), "{offset}: {reason}")
            }
            other => panic!("{other}"),
        };
        let header = |at: usize, field: &[u8]| changed(at, field, 0..60);
        assert!(matches!(header(8, &[3, 0]), OpenError::Newer { version: 3, supported: 2, .. }));
        check(header(8, &[0, 0]), 0, "values that cannot be");
        check(header(59, &[1]), 0, "values that cannot be");
        check(header(10, &[1]), 0, "belongs to another");
        check(header(32, &[6]), 0, "belongs to another");
        let beyond = (SLOT_IMAGE_BYTES_MAX as u32 + 1).to_le_bytes();
        check(changed(68, &beyond, 64..84), 64, "values that cannot be");
        check(changed(120, &[3], 116..136), 116, "missing or changed");
        check(changed(132, &[0; 4], 116..136), 116, "missing or changed");
    }

    /// A file that has another length than when it was looked at.
    #[test]
    fn what_is_beyond_the_end_is_not_read() {
        let files = MemoryFiles::new();
        files.make_dir("").unwrap();
        files.create("s").unwrap().write_at(&[7; 100], 0).unwrap();
        let reader = |bytes: u64| {
            let file = files.open_read("s").unwrap().unwrap();
            Reader { file, name: "s".to_owned(), at: 0, bytes, buffer: Vec::new() }
        };
        let mut shorter = reader(200);
        shorter.take(100).unwrap();
        assert!(matches!(shorter.take(100), Err(OpenError::Damaged { offset: 100, .. })));
        let mut longer = reader(60);
        longer.take(40).unwrap();
        assert!(matches!(longer.take(21), Err(OpenError::Damaged { offset: 40, .. })));
        longer.take(20).unwrap();
        assert_eq!(longer.buffer, [7; 20]);
    }

    #[test]
    fn each_slot_is_seen_once() {
        let mut slots = SlotSet::new();
        assert!((0..SLOTS).all(|slot| slots.insert(slot)));
        assert!(!(0..SLOTS).any(|slot| slots.insert(slot)));
    }

    #[test]
    fn a_section_taken_out_is_missed() {
        let sound = example();
        assert!(read_back(&[&sound[..64], &sound[92..]].concat()).is_err());
    }
}
