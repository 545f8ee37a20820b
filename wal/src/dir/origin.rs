//! The origin of an epoch: the life that it belongs to, and where each log of the epoch before ended. A follower that comes from the
//! epoch before knows by it what it has still to read there.
//!
//! ```text
//!  0  magic            8   "ILKEPOCH"
//!  8  version          2   1
//! 10  cores            2
//! 12  epoch            4
//! 16  directory id    16
//! 32  life             8
//! 40  previous epoch   4   0: this is the first epoch
//! 44  previous cores   2
//! 46  reserved         2   0
//! 48  previous life    8
//! 56  last lsn         8   of each previous core
//!     crc              4   CRC-32C of all before
//! ```
//!
//! An epoch that version 1 of the directory made has no such file: its life is 0.

use crate::bytes::{array, put, u16_at, u32_at, u64_at};
use crate::error::{During, OpenError};
use crate::files::{File, Files, join, open_listed};
use crate::limits::CORES_MAX;
use crate::names;
use crate::types::Lsn;

pub(crate) const MAGIC: [u8; 8] = *b"ILKEPOCH";
pub(crate) const VERSION: u16 = 1;
const FIXED_BYTES: usize = 56;
const CRC_BYTES: usize = 4;
const BYTES_MAX: usize = FIXED_BYTES + 8 * CORES_MAX as usize + CRC_BYTES;

/// An epoch whose logs are complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FinishedEpoch {
    pub(crate) epoch: u32,
    pub(crate) life: u64,
    /// The last record of each core's log.
    pub(crate) ends: Vec<Lsn>,
}

/// The origin of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) directory: [u8; 16],
    pub(crate) epoch: u32,
    pub(crate) cores: u16,
    pub(crate) life: u64,
    pub(crate) previous: Option<FinishedEpoch>,
}

impl Origin {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; FIXED_BYTES];
        put(&mut bytes, 0, &MAGIC);
        put(&mut bytes, 8, &VERSION.to_le_bytes());
        put(&mut bytes, 10, &self.cores.to_le_bytes());
        put(&mut bytes, 12, &self.epoch.to_le_bytes());
        put(&mut bytes, 16, &self.directory);
        put(&mut bytes, 32, &self.life.to_le_bytes());
        if let Some(previous) = &self.previous {
            put(&mut bytes, 40, &previous.epoch.to_le_bytes());
            put(&mut bytes, 44, &(previous.ends.len() as u16).to_le_bytes());
            put(&mut bytes, 48, &previous.life.to_le_bytes());
            previous.ends.iter().for_each(|end| bytes.extend(end.0.to_le_bytes()));
        }
        let crc = crc32c::crc32c(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes
    }

    /// Writes the origin of an epoch that is being made. The caller syncs its directory.
    pub(super) fn write<F: Files>(&self, files: &F) -> Result<(), OpenError> {
        let path = path(self.epoch);
        let name = files.display(&path);
        let file = files.create(&path).during("create", &name)?;
        file.write_at(&self.encode(), 0).during("write", &name)?;
        file.sync().during("sync", &name)
    }

    /// Reads the origin of an epoch of this directory; `None` where version 1 made the epoch.
    pub(crate) fn read<F: Files>(
        files: &F,
        directory: [u8; 16],
        epoch: u32,
    ) -> Result<Option<Origin>, OpenError> {
        let path = path(epoch);
        let listed = files.list(&names::epoch_dir(epoch)).during("list", &files.display(&path))?;
        if !listed.is_some_and(|names| names.iter().any(|name| name == names::ORIGIN)) {
            return Ok(None);
        }
        let (file, name, size) = open_listed(files, &path)?;
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(BYTES_MAX + 1)];
        let length = file.read_at(&mut bytes, 0).during("read", &name)?;
        bytes.truncate(length);
        decode(&bytes, directory, epoch).map(Some).map_err(|defect| match defect {
            Defect::Newer(version) => OpenError::Newer { file: name, version, supported: VERSION },
            Defect::Damaged(reason) => OpenError::damaged(&name, 0, reason),
        })
    }
}

fn path(epoch: u32) -> String {
    join(&names::epoch_dir(epoch), names::ORIGIN)
}

#[derive(Debug, PartialEq, Eq)]
enum Defect {
    Newer(u16),
    Damaged(&'static str),
}

fn decode(bytes: &[u8], directory: [u8; 16], epoch: u32) -> Result<Origin, Defect> {
    if bytes.len() < FIXED_BYTES + CRC_BYTES {
        return Err(Defect::Damaged("the origin of the epoch is cut off"));
    }
    let crc_at = bytes.len() - CRC_BYTES;
    if bytes[..8] != MAGIC {
        return Err(Defect::Damaged("this is no origin of an epoch"));
    }
    if crc32c::crc32c(&bytes[..crc_at]) != u32_at(bytes, crc_at) {
        return Err(Defect::Damaged("the origin of the epoch fails its checksum"));
    }
    match u16_at(bytes, 8) {
        VERSION => {}
        version if version > VERSION => return Err(Defect::Newer(version)),
        _ => return Err(Defect::Damaged("the origin of the epoch holds values that cannot be")),
    }
    let (previous, cores) = (u32_at(bytes, 40), usize::from(u16_at(bytes, 44)));
    let held = Origin {
        directory: array(bytes, 16),
        epoch: u32_at(bytes, 12),
        cores: u16_at(bytes, 10),
        life: u64_at(bytes, 32),
        previous: (previous != 0).then(|| FinishedEpoch {
            epoch: previous,
            life: u64_at(bytes, 48),
            ends: (FIXED_BYTES..crc_at).step_by(8).take(cores).map(|at| Lsn(u64_at(bytes, at))).collect(),
        }),
    };
    let is_whole = crc_at == FIXED_BYTES + 8 * cores && u16_at(bytes, 46) == 0;
    let follows = previous < epoch && (previous == 0) == (cores == 0);
    if !is_whole || !follows || (held.directory, held.epoch) != (directory, epoch) {
        return Err(Defect::Damaged("the origin of the epoch holds values that cannot be"));
    }
    Ok(held)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        let previous = FinishedEpoch { epoch: 2, life: 7, ends: vec![Lsn(5), Lsn(0), Lsn(9)] };
        Origin { directory: *b"0123456789abcdef", epoch: 3, cores: 4, life: 8, previous: Some(previous) }
    }

    #[test]
    fn what_is_written_is_read() {
        let first = Origin { epoch: 1, previous: None, ..origin() };
        for origin in [origin(), first] {
            let read = decode(&origin.encode(), origin.directory, origin.epoch);
            assert_eq!(read.as_ref(), Ok(&origin));
        }
    }

    #[test]
    fn fields_are_where_the_table_says() {
        let bytes = origin().encode();
        let check =
            |at: usize, expected: &[u8]| assert_eq!(&bytes[at..at + expected.len()], expected, "at {at}");
        check(0, b"ILKEPOCH");
        check(8, &[1, 0, 4, 0, 3, 0, 0, 0]);
        check(16, b"0123456789abcdef");
        check(32, &[8, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
        check(56, &[5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        check(80, &crc32c::crc32c(&bytes[..80]).to_le_bytes());
        assert_eq!(bytes.len(), 84);
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_seen() {
        let sound = origin().encode();
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bytes, origin().directory, 3).is_err(), "bit {bit}");
        }
        for length in 0..sound.len() {
            assert!(decode(&sound[..length], origin().directory, 3).is_err(), "{length} bytes");
        }
        assert!(decode(&[&sound[..], &[0]].concat(), origin().directory, 3).is_err());
    }

    /// Each has the right checksum, as no program of ours writes it.
    #[test]
    fn values_that_cannot_be_are_damage() {
        let check = |at: usize, field: &[u8], expected: Option<Defect>| {
            let mut bytes = origin().encode();
            put(&mut bytes, at, field);
            let crc = crc32c::crc32c(&bytes[..80]);
            put(&mut bytes, 80, &crc.to_le_bytes());
            assert_eq!(decode(&bytes, origin().directory, 3).err(), expected, "at {at}");
        };
        let cannot_be = || Some(Defect::Damaged("the origin of the epoch holds values that cannot be"));
        check(8, &[1, 0], None);
        check(8, &[0, 0], cannot_be());
        check(8, &[2, 0], Some(Defect::Newer(2)));
        check(12, &[4], cannot_be());
        check(16, b"x", cannot_be());
        check(40, &[3], cannot_be());
        check(40, &[0], cannot_be());
        check(44, &[2], cannot_be());
        check(46, &[1], cannot_be());
    }
}
