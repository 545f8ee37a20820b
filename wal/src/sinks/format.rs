//! The bytes of the file of sinks: two copies, one behind the other. The file is replaced as a whole, so the copies are always the same;
//! the second is there for the day on which the first cannot be read.
//!
//! ```text
//!  0  magic              8   "ILKSINKS"
//!  8  version            2   1
//! 10  copy               2   0 or 1
//! 12  copy bytes         4   of this copy, its crc included
//! 16  directory id      16
//! 32  log budget bytes   8   0: not decided
//! 40  read model bytes   8   0: not decided
//! 48  sinks              4
//! 52  reserved           4   0
//! 56  for each sink:
//!      0  name bytes     2
//!      2  name               UTF-8
//!         known          2   0: nothing is known of its place; 1: the following is its place
//!         life           8
//!         epoch          4
//!         cores          2
//!         lsn            8   of each core
//!     crc                4   CRC-32C of all before
//! ```

use super::{Sink, Sinks};
use crate::bytes::{array, put, u16_at, u32_at, u64_at};
use crate::follow::Cursor;
use crate::limits::{CORES_MAX, SINK_NAME_BYTES_MAX, SINKS_MAX};
use crate::types::Lsn;

pub(super) const MAGIC: [u8; 8] = *b"ILKSINKS";
pub(super) const VERSION: u16 = 1;
const FIXED_BYTES: usize = 56;
const CRC_BYTES: usize = 4;
/// The largest copy.
const COPY_BYTES_MAX: usize =
    FIXED_BYTES + SINKS_MAX * (18 + SINK_NAME_BYTES_MAX + 8 * CORES_MAX as usize) + CRC_BYTES;
/// The largest file.
pub(super) const FILE_BYTES_MAX: usize = 2 * COPY_BYTES_MAX;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Defect {
    Newer(u16),
    Damaged(&'static str),
}

const CANNOT_BE: Defect = Defect::Damaged("both copies hold values that cannot be");

/// Both copies.
pub(super) fn encode(sinks: &Sinks, directory: [u8; 16]) -> Vec<u8> {
    let mut bytes = encode_copy(sinks, directory, 0);
    bytes.extend(encode_copy(sinks, directory, 1));
    bytes
}

fn encode_copy(sinks: &Sinks, directory: [u8; 16], copy: u16) -> Vec<u8> {
    let mut bytes = vec![0; FIXED_BYTES];
    for sink in &sinks.sinks {
        bytes.extend((sink.name.len() as u16).to_le_bytes());
        bytes.extend(sink.name.as_bytes());
        let nowhere = Cursor::beginning(directory, 0, 0, 0);
        let place = sink.relied.as_ref().unwrap_or(&nowhere);
        bytes.extend(u16::from(sink.relied.is_some()).to_le_bytes());
        bytes.extend(place.life.to_le_bytes());
        bytes.extend(place.epoch.to_le_bytes());
        bytes.extend((place.cores.len() as u16).to_le_bytes());
        place.cores.iter().for_each(|lsn| bytes.extend(lsn.0.to_le_bytes()));
    }
    put(&mut bytes, 0, &MAGIC);
    put(&mut bytes, 8, &VERSION.to_le_bytes());
    put(&mut bytes, 10, &copy.to_le_bytes());
    let length = (bytes.len() + CRC_BYTES) as u32;
    put(&mut bytes, 12, &length.to_le_bytes());
    put(&mut bytes, 16, &directory);
    put(&mut bytes, 32, &sinks.log_budget_bytes.unwrap_or(0).to_le_bytes());
    put(&mut bytes, 40, &sinks.read_model_bytes.unwrap_or(0).to_le_bytes());
    put(&mut bytes, 48, &(sinks.sinks.len() as u32).to_le_bytes());
    let crc = crc32c::crc32c(&bytes);
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// The contents of the first sound copy. The copies are of one length, so the second begins in the middle whatever the first says.
pub(super) fn decode(bytes: &[u8], directory: [u8; 16]) -> Result<Sinks, Defect> {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let (first, second) = (decode_copy(first, directory, 0), decode_copy(second, directory, 1));
    match (first, second) {
        (Err(Defect::Newer(version)), _) | (_, Err(Defect::Newer(version))) => Err(Defect::Newer(version)),
        (Ok(sinks), _) | (_, Ok(sinks)) => Ok(sinks),
        (Err(defect), Err(_)) => Err(defect),
    }
}

fn decode_copy(bytes: &[u8], directory: [u8; 16], copy: u16) -> Result<Sinks, Defect> {
    if bytes.len() < FIXED_BYTES + CRC_BYTES || u32_at(bytes, 12) as usize != bytes.len() {
        return Err(Defect::Damaged("both copies are cut off"));
    }
    let body = &bytes[..bytes.len() - CRC_BYTES];
    if bytes[..8] != MAGIC || crc32c::crc32c(body) != u32_at(bytes, body.len()) {
        return Err(Defect::Damaged("both copies fail their checksums"));
    }
    match u16_at(bytes, 8) {
        VERSION => {}
        version if version > VERSION => return Err(Defect::Newer(version)),
        _ => return Err(CANNOT_BE),
    }
    if array::<16>(bytes, 16) != directory {
        return Err(Defect::Damaged("it is of another directory"));
    }
    let count = u32_at(bytes, 48) as usize;
    if u16_at(bytes, 10) != copy || u32_at(bytes, 52) != 0 || count > SINKS_MAX {
        return Err(CANNOT_BE);
    }
    let mut rest = Rest(&body[FIXED_BYTES..]);
    let sinks = (0..count).map(|_| rest.sink(directory)).collect::<Option<Vec<_>>>().ok_or(CANNOT_BE)?;
    if !rest.0.is_empty() {
        return Err(CANNOT_BE);
    }
    let decided = |at: usize| Some(u64_at(bytes, at)).filter(|bytes| *bytes > 0);
    Ok(Sinks { sinks, log_budget_bytes: decided(32), read_model_bytes: decided(40) })
}

/// The rest that is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, bytes: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn sink(&mut self, directory: [u8; 16]) -> Option<Sink> {
        let length = u16_at(self.take(2)?, 0);
        let name = String::from_utf8(self.take(usize::from(length))?.to_vec()).ok()?;
        let fixed = self.take(16)?;
        let cores = usize::from(u16_at(fixed, 14));
        let lsns = self.take(8 * cores)?;
        let cursor = Cursor {
            directory,
            life: u64_at(fixed, 2),
            epoch: u32_at(fixed, 10),
            cores: (0..cores).map(|core| Lsn(u64_at(lsns, 8 * core))).collect(),
        };
        let relied = match u16_at(fixed, 0) {
            0 if cores == 0 => None,
            1 if cores > 0 && cursor.epoch > 0 => Some(cursor),
            _ => return None,
        };
        Some(Sink { name, relied })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIRECTORY: [u8; 16] = *b"0123456789abcdef";

    fn sinks() -> Sinks {
        let place = Cursor { directory: DIRECTORY, life: 7, epoch: 2, cores: vec![Lsn(5), Lsn(9)] };
        Sinks {
            sinks: vec![
                Sink { name: "read-model".to_owned(), relied: Some(place) },
                Sink { name: "kafka".to_owned(), relied: None },
            ],
            log_budget_bytes: Some(1 << 30),
            read_model_bytes: Some(1 << 31),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for sinks in [sinks(), Sinks::default()] {
            assert_eq!(decode(&encode(&sinks, DIRECTORY), DIRECTORY), Ok(sinks));
        }
    }

    #[test]
    fn fields_are_where_the_table_says() {
        let bytes = encode(&sinks(), DIRECTORY);
        let half = bytes.len() / 2;
        let check =
            |at: usize, expected: &[u8]| assert_eq!(&bytes[at..at + expected.len()], expected, "at {at}");
        check(0, b"ILKSINKS");
        check(8, &[1, 0, 0, 0]);
        check(12, &(half as u32).to_le_bytes());
        check(16, &DIRECTORY);
        check(32, &(1u64 << 30).to_le_bytes());
        check(40, &(1u64 << 31).to_le_bytes());
        check(48, &[2, 0, 0, 0, 0, 0, 0, 0, 10, 0]);
        check(58, b"read-model");
        check(68, &[1, 0, 7, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0]);
        check(84, &[5, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        check(100, &[5, 0]);
        check(102, b"kafka");
        check(107, &[0; 16]);
        check(123, &crc32c::crc32c(&bytes[..123]).to_le_bytes());
        assert_eq!(half, 127);
        check(half, b"ILKSINKS");
        check(half + 8, &[1, 0, 1, 0]);
    }

    #[test]
    fn one_copy_is_enough_and_none_is_not() {
        let sound = encode(&sinks(), DIRECTORY);
        let half = sound.len() / 2;
        for bit in 0..half * 8 {
            let flip = |bytes: &mut [u8], at: usize| bytes[at + bit / 8] ^= 1 << (bit % 8);
            for at in [0, half] {
                let mut bytes = sound.clone();
                flip(&mut bytes, at);
                assert_eq!(decode(&bytes, DIRECTORY), Ok(sinks()), "bit {bit} of the copy at {at}");
            }
            let mut bytes = sound.clone();
            flip(&mut bytes, 0);
            flip(&mut bytes, half);
            assert!(matches!(decode(&bytes, DIRECTORY), Err(Defect::Damaged(_))), "bit {bit}");
        }
        for length in 0..sound.len() {
            assert!(decode(&sound[..length], DIRECTORY).is_err(), "{length} bytes");
        }
        assert!(decode(&sound, *b"another director").is_err());
    }

    /// Each has the right checksums, as no program of ours writes it.
    #[test]
    fn values_that_cannot_be_are_damage() {
        let check = |at: usize, field: &[u8], expected: Result<Sinks, Defect>| {
            let mut bytes = encode(&sinks(), DIRECTORY);
            let half = bytes.len() / 2;
            for copy in [0, half] {
                put(&mut bytes, copy + at, field);
                let crc = crc32c::crc32c(&bytes[copy..copy + half - 4]);
                put(&mut bytes, copy + half - 4, &crc.to_le_bytes());
            }
            assert_eq!(decode(&bytes, DIRECTORY), expected, "at {at}");
        };
        check(8, &[1, 0], Ok(sinks()));
        check(8, &[2, 0], Err(Defect::Newer(2)));
        for (at, field) in [
            (8, &[0, 0][..]),
            (10, &[2, 0]),
            (48, &[1, 0, 0, 0]),
            (48, &[3, 0, 0, 0]),
            (48, &[255, 255, 0, 0]),
            (52, &[1]),
            (56, &[11, 0]),
            (58, &[0xff]),
            (68, &[0, 0]),
            (68, &[2, 0]),
            (78, &[0, 0, 0, 0]),
            (82, &[0, 0]),
            (82, &[3, 0]),
        ] {
            check(at, field, Err(CANNOT_BE));
        }
    }
}
