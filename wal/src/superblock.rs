//! The superblock: identity and epoch of a data directory, in two copies of one block each.
//!
//! ```text
//!    0  magic        8   "ILKSUPER"
//!    8  version      2   2, the format of the whole directory
//!   10  slots        2   4096
//!   12  cores        2   0 while there is no epoch
//!   14  copy         2   0 or 1, in that order in the file
//!   16  id          16   random
//!   32  secret      16   random, keys the placement of slots
//!   48  sequence     8   counts the writings; of two sound copies the higher one counts
//!   56  epoch        4   0: the directory is being made
//!   60  life         8   random; 0 in version 1, which has none
//!   68  reserved         0
//! 4092  crc          4   CRC-32C of bytes 0 to 4092
//! ```

use crate::bytes::{array, is_zero, put, u16_at, u32_at, u64_at};
use crate::error::{During, OpenError};
use crate::files::{File, Files};
use crate::limits::{BLOCK_BYTES, CORES_MAX, SLOTS};
use crate::names;

pub(crate) const MAGIC: [u8; 8] = *b"ILKSUPER";
pub(crate) const VERSION: u16 = 2;
pub(crate) const FILE_BYTES: usize = 2 * BLOCK_BYTES;
const CRC_AT: usize = BLOCK_BYTES - 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superblock {
    pub(crate) cores: u16,
    pub(crate) id: [u8; 16],
    pub(crate) secret: [u8; 16],
    pub(crate) sequence: u64,
    pub(crate) epoch: u32,
    /// The life that the epoch belongs to.
    pub(crate) life: u64,
}

/// One copy, decoded.
enum DecodedCopy {
    Sound(Superblock),
    Newer(u16),
    Damaged(&'static str),
}

impl Superblock {
    pub(crate) fn encode(&self, copy: u16) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        put(&mut block, 0, &MAGIC);
        put(&mut block, 8, &VERSION.to_le_bytes());
        put(&mut block, 10, &SLOTS.to_le_bytes());
        put(&mut block, 12, &self.cores.to_le_bytes());
        put(&mut block, 14, &copy.to_le_bytes());
        put(&mut block, 16, &self.id);
        put(&mut block, 32, &self.secret);
        put(&mut block, 48, &self.sequence.to_le_bytes());
        put(&mut block, 56, &self.epoch.to_le_bytes());
        put(&mut block, 60, &self.life.to_le_bytes());
        let crc = crc32c::crc32c(&block[..CRC_AT]);
        put(&mut block, CRC_AT, &crc.to_le_bytes());
        block
    }
}

fn decode(block: &[u8], copy: u16) -> DecodedCopy {
    if block.len() < BLOCK_BYTES {
        return DecodedCopy::Damaged("the superblock copy is cut off");
    }
    if block[..8] != MAGIC {
        return DecodedCopy::Damaged("this is no superblock");
    }
    if crc32c::crc32c(&block[..CRC_AT]) != u32_at(block, CRC_AT) {
        return DecodedCopy::Damaged("the superblock copy fails its checksum");
    }
    let version = u16_at(block, 8);
    if version > VERSION {
        return DecodedCopy::Newer(version);
    }
    let superblock = Superblock {
        cores: u16_at(block, 12),
        id: array(block, 16),
        secret: array(block, 32),
        sequence: u64_at(block, 48),
        epoch: u32_at(block, 56),
        life: if version == 1 { 0 } else { u64_at(block, 60) },
    };
    // With its checksum right, wrong contents mean that some program wrote nonsense.
    let cores_fit = superblock.cores <= CORES_MAX && (superblock.cores == 0) == (superblock.epoch == 0);
    if version == 0 || u16_at(block, 10) != SLOTS || u16_at(block, 14) != copy || !cores_fit {
        return DecodedCopy::Damaged("the superblock copy holds values that cannot be");
    }
    let reserved_at = if version == 1 { 60 } else { 68 };
    if !is_zero(&block[reserved_at..CRC_AT]) {
        return DecodedCopy::Damaged("the superblock copy has reserved bytes that are not zero");
    }
    DecodedCopy::Sound(superblock)
}

/// The superblock that counts, and whether both copies agree on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loaded {
    pub(crate) superblock: Superblock,
    pub(crate) both_agree: bool,
}

/// Reads both copies. Nothing is written.
pub(crate) fn read<F: Files>(files: &F) -> Result<Option<Loaded>, OpenError> {
    read_file(files, names::SUPERBLOCK)
}

/// As [`read`], from a file of any name.
pub(crate) fn read_file<F: Files>(files: &F, path: &str) -> Result<Option<Loaded>, OpenError> {
    let name = files.display(path);
    let Some(file) = files.open_read(path).during("open", &name)? else {
        return Ok(None);
    };
    let mut bytes = [0; FILE_BYTES + 1];
    let length = file.read_at(&mut bytes, 0).during("read", &name)?;
    let bytes = &bytes[..length];
    let copies = [
        decode(&bytes[..length.min(BLOCK_BYTES)], 0),
        decode(&bytes[length.min(BLOCK_BYTES)..length.min(FILE_BYTES)], 1),
    ];
    for copy in &copies {
        if let DecodedCopy::Newer(version) = *copy {
            return Err(OpenError::Newer { file: name, version, supported: VERSION });
        }
    }
    let superblock = match &copies {
        [DecodedCopy::Damaged(reason), DecodedCopy::Damaged(_)] => {
            return Err(OpenError::damaged(&name, 0, *reason));
        }
        [DecodedCopy::Sound(a), DecodedCopy::Sound(b)] if (a.id, a.secret) != (b.id, b.secret) => {
            return Err(OpenError::damaged(
                &name,
                BLOCK_BYTES as u64,
                "the two copies are of different directories",
            ));
        }
        [DecodedCopy::Sound(a), DecodedCopy::Sound(b)] if a.sequence >= b.sequence => *a,
        [_, DecodedCopy::Sound(b)] => *b,
        [DecodedCopy::Sound(a), _] => *a,
        _ => unreachable!("newer copies are refused above"),
    };
    let sound = |copy: &DecodedCopy| matches!(copy, DecodedCopy::Sound(held) if *held == superblock);
    Ok(Some(Loaded { superblock, both_agree: length == FILE_BYTES && copies.iter().all(sound) }))
}

/// Makes the file, whole or not at all: under another name first.
pub(crate) fn make<F: Files>(
    files: &F,
    new: &str,
    path: &str,
    superblock: &Superblock,
) -> Result<(), OpenError> {
    let name = files.display(new);
    let file = files.create(new).during("create", &name)?;
    let both = [superblock.encode(0), superblock.encode(1)];
    file.write_at(both.as_flattened(), 0).during("write", &name)?;
    file.sync().during("sync", &name)?;
    files.rename(new, path).during("rename", &name)?;
    files.sync_dir("").during("sync", &files.display(""))
}

/// Writes both copies, each synced before the next is begun, so that one of them is sound at every moment.
pub(crate) fn write<F: Files>(files: &F, superblock: &Superblock) -> Result<(), OpenError> {
    let name = files.display(names::SUPERBLOCK);
    let file = files.open_write(names::SUPERBLOCK).during("open", &name)?;
    for copy in copies_to_write(&file, superblock).during("read", &name)? {
        let block = superblock.encode(copy);
        file.write_at(&block, u64::from(copy) * BLOCK_BYTES as u64).during("write", &name)?;
        file.sync().during("sync", &name)?;
    }
    Ok(())
}

/// The copies to write, in order: a damaged or older copy before the one that counts.
fn copies_to_write(file: &impl File, superblock: &Superblock) -> std::io::Result<Vec<u16>> {
    let mut found = Vec::new();
    for copy in 0..2 {
        let mut block = [0; BLOCK_BYTES];
        let length = file.read_at(&mut block, u64::from(copy) * BLOCK_BYTES as u64)?;
        let sequence = match decode(&block[..length], copy) {
            DecodedCopy::Sound(held) if held == *superblock => continue,
            DecodedCopy::Sound(held) => Some(held.sequence),
            _ => None,
        };
        found.push((sequence, copy));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, copy)| copy).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> Superblock {
        Superblock {
            cores: 3,
            id: *b"0123456789abcdef",
            secret: *b"fedcba9876543210",
            sequence: 9,
            epoch: 2,
            life: 0x0807_0605_0403_0201,
        }
    }

    #[test]
    fn fields_are_where_the_table_says() {
        let block = superblock().encode(1);
        let check =
            |at: usize, expected: &[u8]| assert_eq!(&block[at..at + expected.len()], expected, "at {at}");
        check(0, b"ILKSUPER");
        check(8, &[2, 0, 0, 16, 3, 0, 1, 0]);
        check(16, b"0123456789abcdef");
        check(32, b"fedcba9876543210");
        check(48, &[9, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]);
        check(60, &[1, 2, 3, 4, 5, 6, 7, 8]);
        check(68, &[0; CRC_AT - 68]);
        check(CRC_AT, &crc32c::crc32c(&block[..CRC_AT]).to_le_bytes());
    }

    /// Each has the right checksum, as no program of ours writes it.
    #[test]
    fn values_that_cannot_be_are_damage() {
        let check = |at: usize, field: &[u8]| {
            let mut block = superblock().encode(0);
            put(&mut block, at, field);
            let crc = crc32c::crc32c(&block[..CRC_AT]);
            put(&mut block, CRC_AT, &crc.to_le_bytes());
            decode(&block, 0)
        };
        assert!(
            matches!(check(12, &CORES_MAX.to_le_bytes()), DecodedCopy::Sound(held) if held.cores == CORES_MAX)
        );
        assert!(matches!(check(12, &[0, 0, 0, 0]), DecodedCopy::Damaged(_)), "an epoch without cores");
        assert!(matches!(check(12, &(CORES_MAX + 1).to_le_bytes()), DecodedCopy::Damaged(_)));
        assert!(matches!(check(56, &[0; 4]), DecodedCopy::Damaged(_)), "cores without an epoch");
        assert!(matches!(check(8, &[0, 0]), DecodedCopy::Damaged(_)), "version 0");
        assert!(matches!(check(8, &[3, 0]), DecodedCopy::Newer(3)));
        assert!(matches!(check(8, &[1, 0]), DecodedCopy::Damaged(_)), "version 1 has no life");
        assert!(matches!(check(10, &[0, 8]), DecodedCopy::Damaged(_)), "other slots");
        assert!(matches!(check(14, &[1, 0]), DecodedCopy::Damaged(_)), "another copy's number");
        assert!(matches!(check(68, &[1]), DecodedCopy::Damaged(_)), "reserved bytes");
        assert!(matches!(check(CRC_AT - 1, &[1]), DecodedCopy::Damaged(_)), "reserved bytes");
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let sound = superblock().encode(0);
        assert!(matches!(decode(&sound, 0), DecodedCopy::Sound(held) if held == superblock()));
        assert!(matches!(decode(&sound, 1), DecodedCopy::Damaged(_)), "the copies are not interchangeable");
        for bit in 0..BLOCK_BYTES * 8 {
            let mut block = sound;
            block[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(decode(&block, 0), DecodedCopy::Damaged(_)), "bit {bit}");
        }
    }

    /// A damaged or older copy is written first, while the other one counts.
    #[test]
    fn copies_are_written_in_the_order_that_keeps_one_sound() {
        let next = superblock();
        let [older, oldest] = [8, 7].map(|sequence| Superblock { sequence, ..next });
        let check = |copies: [Option<&Superblock>; 2], expected: &[u16]| {
            let files = crate::files::MemoryFiles::new();
            files.make_dir("").unwrap();
            let file = files.create(names::SUPERBLOCK).unwrap();
            for (copy, at) in [0, 1].into_iter().zip([0, BLOCK_BYTES as u64]) {
                let block = copies[usize::from(copy)].map_or([0; BLOCK_BYTES], |held| held.encode(copy));
                file.write_at(&block, at).unwrap();
            }
            assert_eq!(copies_to_write(&file, &next).unwrap(), expected, "{copies:?}");
            write(&files, &next).unwrap();
            assert_eq!(
                read(&files).unwrap(),
                Some(Loaded { superblock: next, both_agree: true }),
                "{copies:?}"
            );
        };
        check([Some(&next), Some(&next)], &[]);
        check([Some(&next), Some(&older)], &[1]);
        check([Some(&older), Some(&next)], &[0]);
        check([Some(&older), Some(&oldest)], &[1, 0]);
        check([Some(&oldest), Some(&older)], &[0, 1]);
        check([Some(&older), Some(&older)], &[0, 1]);
        check([None, Some(&older)], &[0, 1]);
        check([Some(&older), None], &[1, 0]);
        check([Some(&next), None], &[1]);
    }
}
