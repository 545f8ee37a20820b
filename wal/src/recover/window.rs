//! A read window: reads a file forwards in large pieces.

use crate::error::{During, OpenError};
use crate::files::{File, Files, open_listed};
use crate::limits::{BLOCK_BYTES, CHUNK_BYTES};

/// The first piece is smaller, because recovery looks only at the first header of most segments.
const FIRST_BYTES: usize = BLOCK_BYTES;

/// An open file and the piece of it that is in memory.
pub(crate) struct Window<T: File> {
    file: T,
    pub(crate) name: String,
    pub(crate) size: u64,
    start: u64,
    bytes: Vec<u8>,
}

impl<T: File> Window<T> {
    pub(crate) fn open<F: Files<File = T>>(files: &F, path: &str) -> Result<Window<T>, OpenError> {
        let (file, name, size) = open_listed(files, path)?;
        Ok(Window { file, name, size, start: 0, bytes: Vec::new() })
    }

    /// The bytes from `offset` on, `length` of them or as many as the file has.
    pub(crate) fn get(&mut self, offset: u64, length: usize) -> Result<&[u8], OpenError> {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = length.min(left);
        if length == 0 {
            return Ok(&[]);
        }
        let held = offset >= self.start && offset + length as u64 <= self.start + self.bytes.len() as u64;
        if !held {
            let piece = if self.bytes.is_empty() { FIRST_BYTES } else { CHUNK_BYTES };
            self.bytes.resize(left.min(length.max(piece)), 0);
            let read = self.file.read_at(&mut self.bytes, offset).during("read", &self.name)?;
            // The file is shorter than a moment ago. The caller sees that its bytes end here.
            self.bytes.truncate(read);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).expect("within the piece");
        let to = (from + length).min(self.bytes.len());
        Ok(&self.bytes[from..to])
    }
}
