//! Reader of snapshots: gives the pieces of a file, and refuses one that is not whole.

use super::{
    HEADER_BYTES, KIND_END, KIND_PIECE, KIND_SLOT, MAGIC, NO_SLOT, SECTION_BYTES, SlotSet, SnapshotInfo,
    VERSION,
};
use crate::bytes::{array, is_zero, u16_at, u32_at, u64_at};
use crate::error::{During, OpenError};
use crate::files::{File, Files, open_listed};
use crate::frame::Owner;
use crate::limits::{SLOT_IMAGE_BYTES_MAX, SLOTS};
use crate::replay::Recover;
use crate::types::Lsn;

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
    read_open(open_listed(files, path)?, owner, number, sink)
}

/// As [`read`], of a file that is open: with its name and its size.
pub(crate) fn read_open<T: File>(
    (file, name, bytes): (T, String, u64),
    owner: &Owner,
    number: u64,
    sink: &mut dyn Recover,
) -> Result<SnapshotInfo, OpenError> {
    let mut reader = Reader { file, name, at: 0, bytes, buffer: Vec::new() };
    reader.whole(owner, number, sink)
}

pub(super) struct Reader<T: File> {
    pub(super) file: T,
    pub(super) name: String,
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) buffer: Vec<u8>,
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
    pub(super) fn take(&mut self, length: usize) -> Result<(), OpenError> {
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
                return self.end(&section, number, &header, &progress);
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
        header: &Header,
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
            begin: Lsn(header.begin),
            end: Lsn(end.lsn),
            slots: read.slots,
            bytes: self.bytes,
            version: header.version,
        })
    }
}
