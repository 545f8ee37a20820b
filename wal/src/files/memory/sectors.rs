//! Sectors: the parts that a write can be torn into.

use std::ops::Range;
use std::sync::Arc;

const SECTOR_BYTES: usize = 512;

/// Applies the sectors of a write that are kept.
pub(super) fn tear(to: &mut Arc<Vec<u8>>, offset: usize, bytes: &[u8], keep: &mut impl FnMut() -> bool) {
    for part in sectors(offset, bytes.len()) {
        if keep() {
            put(to, offset + part.start, &bytes[part]);
        }
    }
}

/// The parts of a write of `length` bytes at `offset` that lie in one sector each, as ranges of the write.
pub(super) fn sectors(offset: usize, length: usize) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let end = ((offset + at) / SECTOR_BYTES + 1) * SECTOR_BYTES - offset;
        let part = at..end.min(length);
        at = part.end;
        (!part.is_empty()).then_some(part)
    })
}

pub(super) fn put(to: &mut Arc<Vec<u8>>, offset: usize, bytes: &[u8]) {
    let to = Arc::make_mut(to);
    if to.len() < offset + bytes.len() {
        to.resize(offset + bytes.len(), 0);
    }
    to[offset..offset + bytes.len()].copy_from_slice(bytes);
}
