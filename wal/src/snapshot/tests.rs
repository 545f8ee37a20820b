use super::reader::Reader;
use super::writer::section;
use super::*;
use crate::bytes::put;
use crate::error::OpenError;
use crate::files::{File as _, Files as _, MemoryFiles};
use crate::frame::Owner;
use crate::limits::SLOT_IMAGE_BYTES_MAX;
use crate::replay::Recover;

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
    let check = |at: usize, expected: &[u8]| assert_eq!(&bytes[at..at + expected.len()], expected, "at {at}");
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
