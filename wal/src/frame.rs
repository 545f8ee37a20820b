//! A frame: one log write. A header, the records of whole groups, padding to the block.
//!
//! ```text
//!  0  magic           8   "ILKFRAME"
//!  8  version         2   1
//! 10  core            2
//! 12  epoch           4
//! 16  directory id   16
//! 32  generation      8   of the segment that it was written to
//! 40  offset          8   of this frame in that segment
//! 48  segment bytes   8   size of that segment
//! 56  first lsn       8   number of its first record; of the next record to come if it has none
//! 64  durable         8   last record known durable when it was written
//! 72  records         4
//! 76  payload bytes   4
//! 80  payload crc     4   CRC-32C of the payload
//! 84  previous crc    4   header crc of the frame before it, 0 for the first of an epoch
//! 88  reserved        4   0
//! 92  header crc      4   CRC-32C of bytes 0 to 92, and through the payload crc of the payload too
//! 96  payload             for each record: length 4, bytes
//! ```

use crate::buffer::Buffer;
use crate::bytes::{array, put, u16_at, u32_at, u64_at};
use crate::limits::{BLOCK_BYTES, FRAME_BYTES_MAX, RECORD_FRAMING_BYTES};

pub(crate) const MAGIC: [u8; 8] = *b"ILKFRAME";
pub(crate) const VERSION: u16 = 1;
pub(crate) const HEADER_BYTES: usize = 96;

/// The log that a frame belongs to: directory, epoch and core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) id: [u8; 16],
    pub(crate) epoch: u32,
    pub(crate) core: u16,
}

/// The place a frame is written to. Stored in its header, so that a header counts at this place only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) generation: u64,
    pub(crate) offset: u64,
    pub(crate) segment_bytes: u64,
}

/// The fields of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) owner: Owner,
    pub(crate) position: Position,
    pub(crate) first_lsn: u64,
    pub(crate) durable: u64,
    pub(crate) records: u32,
    pub(crate) payload_bytes: u32,
    pub(crate) payload_crc: u32,
    pub(crate) previous_crc: u32,
}

/// A block where a frame may begin, classified by its header alone for one position of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Candidate {
    /// A sound header for this position, and its crc.
    Sound(Header, u32),
    /// A sound header of this log for a later generation than its segment has.
    LaterGeneration(u64),
    /// A sound header of this log and generation for another offset: the disk has misdirected a write.
    OtherOffset(u64),
    /// A sound header of a later format version.
    NewerVersion(u16),
    /// A header for this position that fails its checksum.
    Corrupt(&'static str),
    /// No header that counts: zeros, payload, or a frame of an older generation.
    Absent,
}

impl Header {
    /// Bytes of the frame on the disk.
    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(self.payload_bytes as usize)
    }

    /// The number after its last record.
    pub(crate) fn next_lsn(&self) -> u64 {
        self.first_lsn + u64::from(self.records)
    }

    /// Writes the header and returns its crc.
    pub(crate) fn encode(&self, to: &mut [u8]) -> u32 {
        let to = &mut to[..HEADER_BYTES];
        to.fill(0);
        put(to, 0, &MAGIC);
        put(to, 8, &VERSION.to_le_bytes());
        put(to, 10, &self.owner.core.to_le_bytes());
        put(to, 12, &self.owner.epoch.to_le_bytes());
        put(to, 16, &self.owner.id);
        put(to, 32, &self.position.generation.to_le_bytes());
        put(to, 40, &self.position.offset.to_le_bytes());
        put(to, 48, &self.position.segment_bytes.to_le_bytes());
        put(to, 56, &self.first_lsn.to_le_bytes());
        put(to, 64, &self.durable.to_le_bytes());
        put(to, 72, &self.records.to_le_bytes());
        put(to, 76, &self.payload_bytes.to_le_bytes());
        put(to, 80, &self.payload_crc.to_le_bytes());
        put(to, 84, &self.previous_crc.to_le_bytes());
        let crc = crc32c::crc32c(&to[..92]);
        put(to, 92, &crc.to_le_bytes());
        crc
    }

    fn decode(from: &[u8]) -> Header {
        Header {
            owner: Owner { id: array(from, 16), epoch: u32_at(from, 12), core: u16_at(from, 10) },
            position: Position {
                generation: u64_at(from, 32),
                offset: u64_at(from, 40),
                segment_bytes: u64_at(from, 48),
            },
            first_lsn: u64_at(from, 56),
            durable: u64_at(from, 64),
            records: u32_at(from, 72),
            payload_bytes: u32_at(from, 76),
            payload_crc: u32_at(from, 80),
            previous_crc: u32_at(from, 84),
        }
    }

    /// Checks fields whose checksum is right for values that no correct program writes.
    pub(crate) fn validate(&self) -> Result<(), &'static str> {
        let end = self.position.offset.checked_add(self.frame_bytes() as u64);
        if self.frame_bytes() > FRAME_BYTES_MAX {
            return Err("a frame longer than the limit");
        }
        if end.is_none_or(|end| end > self.position.segment_bytes) {
            return Err("a frame that leaves its segment");
        }
        if self.first_lsn == 0 || self.first_lsn.checked_add(u64::from(self.records)).is_none() {
            return Err("a frame whose record numbers are out of range");
        }
        if self.durable >= self.first_lsn {
            return Err("a frame that calls its own records durable");
        }
        Ok(())
    }
}

/// Bytes on the disk of a frame with that much payload.
pub(crate) fn frame_bytes(payload: usize) -> usize {
    (HEADER_BYTES + payload).next_multiple_of(BLOCK_BYTES)
}

/// Classifies the header at the beginning of a block, as seen from `position` in the log of `owner`.
pub(crate) fn classify(block: &[u8], owner: &Owner, position: &Position) -> Candidate {
    if block.len() < HEADER_BYTES {
        return Candidate::Absent;
    }
    let header = Header::decode(block);
    let magic = block[..8] == MAGIC;
    let stored = u32_at(block, 92);
    if magic && crc32c::crc32c(&block[..92]) == stored {
        return classify_sound(block, header, stored, owner, position);
    }
    // One damaged field leaves the others intact: a header that names this exact position is not from an older generation.
    let here = header.position == *position;
    let ours = header.owner.id == owner.id;
    let generation = header.position.generation == position.generation;
    match (magic, ours, here) {
        (true, true, _) if generation => Candidate::Corrupt("the frame header fails its checksum"),
        (true, false, true) | (false, true, true) => {
            Candidate::Corrupt("the frame header fails its checksum")
        }
        // A damaged header at its own offset may be a stale frame, or one of this generation with a corrupt generation field.
        // Report damage rather than guess.
        (true, true, false) if header.position.offset == position.offset => {
            Candidate::Corrupt("the frame header fails its checksum")
        }
        _ => Candidate::Absent,
    }
}

fn classify_sound(block: &[u8], header: Header, crc: u32, owner: &Owner, position: &Position) -> Candidate {
    let version = u16_at(block, 8);
    if header.owner.id != owner.id {
        return Candidate::Absent;
    }
    if version > VERSION {
        return Candidate::NewerVersion(version);
    }
    if version == 0 || header.owner != *owner {
        return Candidate::Absent;
    }
    if header.position.generation > position.generation {
        return Candidate::LaterGeneration(header.position.generation);
    }
    if header.position.generation < position.generation {
        return Candidate::Absent;
    }
    if header.position.offset != position.offset {
        return Candidate::OtherOffset(header.position.offset);
    }
    Candidate::Sound(header, crc)
}

/// Splits a payload into its records; an error if the lengths do not add up.
pub(crate) fn records(payload: &[u8], count: u32) -> Result<Records<'_>, &'static str> {
    let mut rest = payload;
    for _ in 0..count {
        let Some((length, tail)) = rest.split_first_chunk::<RECORD_FRAMING_BYTES>() else {
            return Err("a record length is cut off");
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > tail.len() {
            return Err("a record is longer than its frame");
        }
        rest = &tail[length..];
    }
    if rest.is_empty() {
        Ok(Records { rest: payload })
    } else {
        Err("a frame has bytes behind its last record")
    }
}

/// Iterates over the records of a checked payload.
#[derive(Debug, Clone)]
pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// The records of a payload that [`records`] has found whole.
    pub(crate) fn checked(payload: &'a [u8]) -> Records<'a> {
        Records { rest: payload }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, tail) = self.rest.split_first_chunk::<RECORD_FRAMING_BYTES>()?;
        let (record, rest) = tail.split_at(u32::from_le_bytes(*length) as usize);
        self.rest = rest;
        Some(record)
    }
}

/// A frame being filled. Its header is written last, when its position is known.
#[derive(Debug)]
pub(crate) struct Builder {
    buffer: Buffer,
    payload_bytes: usize,
    records: u32,
}

impl Builder {
    pub(crate) fn new(buffer: Buffer) -> Builder {
        Builder { buffer, payload_bytes: 0, records: 0 }
    }

    pub(crate) fn payload_bytes(&self) -> usize {
        self.payload_bytes
    }

    pub(crate) fn records(&self) -> u32 {
        self.records
    }

    pub(crate) fn frame_bytes(&self) -> usize {
        frame_bytes(self.payload_bytes)
    }

    pub(crate) fn push(&mut self, record: &[u8]) {
        let at = HEADER_BYTES + self.payload_bytes;
        let end = at + RECORD_FRAMING_BYTES + record.len();
        if end > self.buffer.len() {
            self.buffer.grow(end.max(self.buffer.len() * 2).min(FRAME_BYTES_MAX).max(end));
        }
        let length = u32::try_from(record.len()).expect("a record is smaller than a frame");
        put(&mut self.buffer, at, &length.to_le_bytes());
        put(&mut self.buffer, at + RECORD_FRAMING_BYTES, record);
        self.payload_bytes = end - HEADER_BYTES;
        self.records += 1;
    }

    /// Moves the records from `payload_at` on, `records` of them, to an empty frame.
    pub(crate) fn split_off(&mut self, payload_at: usize, records: u32, buffer: Buffer) -> Builder {
        let mut tail = Builder::new(buffer);
        let moved = &self.buffer[HEADER_BYTES + payload_at..HEADER_BYTES + self.payload_bytes];
        tail.buffer.grow(HEADER_BYTES + moved.len());
        put(&mut tail.buffer, HEADER_BYTES, moved);
        tail.payload_bytes = moved.len();
        tail.records = records;
        self.payload_bytes = payload_at;
        self.records -= records;
        tail
    }

    /// Completes the frame: the buffer, how much of it is the frame, and the crc that the next frame carries.
    pub(crate) fn seal(
        mut self,
        owner: Owner,
        position: Position,
        first: u64,
        durable: u64,
        previous: u32,
    ) -> Sealed {
        let end = HEADER_BYTES + self.payload_bytes;
        let bytes = frame_bytes(self.payload_bytes);
        self.buffer.grow(bytes);
        self.buffer[end..bytes].fill(0);
        let header = Header {
            owner,
            position,
            first_lsn: first,
            durable,
            records: self.records,
            payload_bytes: u32::try_from(self.payload_bytes).expect("a payload is smaller than a frame"),
            payload_crc: crc32c::crc32c(&self.buffer[HEADER_BYTES..end]),
            previous_crc: previous,
        };
        debug_assert_eq!(header.validate(), Ok(()));
        let crc = header.encode(&mut self.buffer);
        Sealed { buffer: self.buffer, bytes, crc }
    }
}

/// A frame ready to be written.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) buffer: Buffer,
    pub(crate) bytes: usize,
    pub(crate) crc: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner { id: *b"0123456789abcdef", epoch: 3, core: 2 }
    }

    fn position() -> Position {
        Position { generation: 7, offset: 8192, segment_bytes: 256 << 10 }
    }

    fn frame(records: &[&[u8]]) -> Sealed {
        let mut builder = Builder::new(Buffer::zeroed(0));
        for record in records {
            builder.push(record);
        }
        builder.seal(owner(), position(), 41, 40, 0xaabb_ccdd)
    }

    #[test]
    fn fields_are_where_the_table_says() {
        let sealed = frame(&[b"one", b""]);
        let check = |at: usize, expected: &[u8]| {
            assert_eq!(&sealed.buffer[at..at + expected.len()], expected, "at {at}")
        };
        check(0, b"ILKFRAME");
        check(8, &[1, 0, 2, 0, 3, 0, 0, 0]);
        check(16, b"0123456789abcdef");
        check(32, &7u64.to_le_bytes());
        check(40, &8192u64.to_le_bytes());
        check(48, &(256u64 << 10).to_le_bytes());
        check(56, &41u64.to_le_bytes());
        check(64, &40u64.to_le_bytes());
        check(72, &2u32.to_le_bytes());
        check(76, &11u32.to_le_bytes());
        check(80, &crc32c::crc32c(b"\x03\0\0\0one\0\0\0\0").to_le_bytes());
        check(84, &0xaabb_ccdd_u32.to_le_bytes());
        check(88, &[0; 4]);
        check(92, &crc32c::crc32c(&sealed.buffer[..92]).to_le_bytes());
        check(92, &sealed.crc.to_le_bytes());
        check(96, b"\x03\0\0\0one\0\0\0\0");
        assert_eq!(sealed.bytes, BLOCK_BYTES);
        assert!(sealed.buffer[107..4096].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn crc_is_the_castagnoli_one() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_header_counts_only_at_its_own_place() {
        let sealed = frame(&[b"x"]);
        let check = |owner: Owner, position: Position, expected: &dyn Fn(Candidate) -> bool| {
            let candidate = classify(&sealed.buffer, &owner, &position);
            assert!(expected(candidate), "{owner:?} {position:?} {candidate:?}");
        };
        let nothing = &|candidate| candidate == Candidate::Absent;
        check(
            owner(),
            position(),
            &|candidate| matches!(candidate, Candidate::Sound(header, _) if header.first_lsn == 41),
        );
        check(owner(), Position { generation: 8, ..position() }, nothing);
        check(owner(), Position { generation: 6, ..position() }, &|candidate| {
            candidate == Candidate::LaterGeneration(7)
        });
        check(owner(), Position { offset: 4096, ..position() }, &|candidate| {
            candidate == Candidate::OtherOffset(8192)
        });
        check(Owner { core: 1, ..owner() }, position(), nothing);
        check(Owner { epoch: 4, ..owner() }, position(), nothing);
        check(Owner { id: [0; 16], ..owner() }, position(), nothing);
    }

    #[test]
    fn one_flipped_bit_of_a_header_spoils_it() {
        let sealed = frame(&[b"x"]);
        for bit in 0..HEADER_BYTES * 8 {
            let mut block = sealed.buffer[..BLOCK_BYTES].to_vec();
            block[bit / 8] ^= 1 << (bit % 8);
            let candidate = classify(&block, &owner(), &position());
            assert!(matches!(candidate, Candidate::Corrupt(_)), "bit {bit}: {candidate:?}");
        }
    }

    #[test]
    fn a_header_of_another_version_is_newer_or_nothing() {
        let check = |version: u16, expected: Candidate| {
            let mut block = frame(&[b"x"]).buffer[..BLOCK_BYTES].to_vec();
            put(&mut block, 8, &version.to_le_bytes());
            let crc = crc32c::crc32c(&block[..92]);
            put(&mut block, 92, &crc.to_le_bytes());
            assert_eq!(classify(&block, &owner(), &position()), expected, "version {version}");
        };
        check(VERSION + 1, Candidate::NewerVersion(VERSION + 1));
        check(u16::MAX, Candidate::NewerVersion(u16::MAX));
        check(0, Candidate::Absent);
    }

    #[test]
    fn a_header_is_seen_when_it_is_whole() {
        let sealed = frame(&[b"x"]);
        let check = |bytes: usize| classify(&sealed.buffer[..bytes], &owner(), &position());
        assert!(matches!(check(HEADER_BYTES), Candidate::Sound(..)));
        assert_eq!(check(HEADER_BYTES - 1), Candidate::Absent);
    }

    /// A recycled segment is full of frames of older generations, and damage of those is of no interest.
    #[test]
    fn a_spoiled_header_of_another_place_and_generation_is_nothing() {
        let mut block = frame(&[b"x"]).buffer[..BLOCK_BYTES].to_vec();
        block[60] ^= 1;
        let check = |generation: u64, offset: u64| {
            classify(&block, &owner(), &Position { generation, offset, ..position() })
        };
        assert_eq!(check(8, 4096), Candidate::Absent);
        assert!(matches!(check(7, 4096), Candidate::Corrupt(_)), "of this generation");
        assert!(matches!(check(8, 8192), Candidate::Corrupt(_)), "at this offset");
    }

    #[test]
    fn a_header_that_makes_no_sense_says_why() {
        let bytes = FRAME_BYTES_MAX as u64;
        let sound = Header {
            owner: owner(),
            position: Position { generation: 7, offset: bytes, segment_bytes: 2 * bytes },
            first_lsn: 41,
            durable: 40,
            records: 1,
            payload_bytes: (FRAME_BYTES_MAX - HEADER_BYTES) as u32,
            payload_crc: 0,
            previous_crc: 0,
        };
        let check = |header: Header, expected: Result<(), &str>| {
            assert_eq!(header.validate(), expected, "{header:?}")
        };
        // Each at the last value that is in range, and at the first that is not.
        check(sound, Ok(()));
        check(
            Header { payload_bytes: sound.payload_bytes + 1, ..sound },
            Err("a frame longer than the limit"),
        );
        let position = Position { segment_bytes: 2 * bytes - 1, ..sound.position };
        check(Header { position, ..sound }, Err("a frame that leaves its segment"));
        let position = Position { offset: u64::MAX - 4095, ..sound.position };
        check(Header { position, ..sound }, Err("a frame that leaves its segment"));
        let out_of_range = Err("a frame whose record numbers are out of range");
        check(Header { first_lsn: 0, durable: 0, ..sound }, out_of_range);
        check(Header { first_lsn: u64::MAX, ..sound }, out_of_range);
        check(Header { first_lsn: u64::MAX - 1, ..sound }, Ok(()));
        check(Header { durable: 41, ..sound }, Err("a frame that calls its own records durable"));
    }

    #[test]
    fn records_must_fill_the_payload() {
        let check = |payload: &[u8], count: u32, expected: Result<&[&[u8]], &str>| {
            let got = records(payload, count).map(|records| records.collect::<Vec<_>>());
            assert_eq!(got.as_deref().map_err(|error| *error), expected);
        };
        check(b"", 0, Ok(&[]));
        check(b"\x01\0\0\0a\0\0\0\0", 2, Ok(&[b"a", b""]));
        check(b"\x01\0\0\0a", 0, Err("a frame has bytes behind its last record"));
        check(b"\x01\0\0\0ab", 1, Err("a frame has bytes behind its last record"));
        check(b"\x02\0\0\0a", 1, Err("a record is longer than its frame"));
        check(b"\xff\xff\xff\xffa", 1, Err("a record is longer than its frame"));
        check(b"\x01\0\0", 1, Err("a record length is cut off"));
    }

    #[test]
    fn a_split_moves_whole_records() {
        let mut builder = Builder::new(Buffer::zeroed(0));
        builder.push(b"first");
        let at = builder.payload_bytes();
        builder.push(b"second");
        builder.push(b"third");
        let tail = builder.split_off(at, 2, Buffer::zeroed(0));
        assert_eq!((builder.records(), builder.payload_bytes()), (1, 9));
        assert_eq!((tail.records(), tail.payload_bytes()), (2, 19));
        let sealed = tail.seal(owner(), position(), 2, 1, 0);
        let got: Vec<_> = records(&sealed.buffer[96..96 + 19], 2).unwrap().collect();
        assert_eq!(got, [b"second".as_slice(), b"third"]);
    }
}
