//! The batch: records that wait for the disk, in frames.

use std::collections::VecDeque;

use crate::buffer::Buffer;
use crate::frame::{Builder, HEADER_BYTES, frame_bytes};
use crate::limits::{
    BACKLOG_BYTES_HARD, BLOCK_BYTES, FRAME_BYTES_MAX, GROUP_BYTES_MAX, RECORD_FRAMING_BYTES,
};

/// Buffers kept for use again: one that is written, one that fills, and one between them.
const POOL_BUFFERS: usize = 3;

/// The open batch: full frames, and one that fills. A group's records are in one of them.
#[derive(Debug)]
pub(super) struct Batch {
    full: VecDeque<Builder>,
    open: Builder,
    /// Offset of the open group in the open frame's payload, and the number of its records.
    group_at: usize,
    group_records: u32,
    /// Bytes of frames, counted whole, that have not been taken.
    frames_bytes: usize,
    frame_bytes_max: usize,
    pool: Vec<Buffer>,
}

impl Batch {
    pub(super) fn new(segment_bytes: u64) -> Batch {
        let frame_bytes_max = usize::try_from(segment_bytes).unwrap_or(usize::MAX).min(FRAME_BYTES_MAX);
        Batch {
            full: VecDeque::new(),
            open: Builder::new(Buffer::zeroed(BLOCK_BYTES)),
            group_at: 0,
            group_records: 0,
            frames_bytes: 0,
            frame_bytes_max,
            pool: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.records() == 0
    }

    pub(super) fn has_open_group(&self) -> bool {
        self.group_records > 0
    }

    /// Bytes that the waiting frames take on the disk.
    pub(super) fn bytes(&self) -> usize {
        self.frames_bytes + if self.open.records() == 0 { 0 } else { self.open.frame_bytes() }
    }

    pub(super) fn push(&mut self, record: &[u8]) {
        let length = RECORD_FRAMING_BYTES + record.len();
        let group_bytes = self.open.payload_bytes() - self.group_at + length;
        assert!(group_bytes <= GROUP_BYTES_MAX, "the records of one group have {group_bytes} bytes");
        if frame_bytes(self.open.payload_bytes() + length) > self.frame_bytes_max {
            self.move_group_on();
        }
        self.open.push(record);
        self.group_records += 1;
        assert!(self.bytes() <= BACKLOG_BYTES_HARD, "{} bytes of log wait for the disk", self.bytes());
    }

    pub(super) fn end_group(&mut self) {
        self.group_at = self.open.payload_bytes();
        self.group_records = 0;
    }

    /// The open frame is full: the open group goes to the next one as a whole.
    fn move_group_on(&mut self) {
        let buffer = self.spare_buffer();
        let next = self.open.split_off(self.group_at, self.group_records, buffer);
        let full = std::mem::replace(&mut self.open, next);
        assert!(full.records() > 0, "a group fits into a frame");
        self.group_at = 0;
        self.frames_bytes += full.frame_bytes();
        self.full.push_back(full);
    }

    /// The size of the frame that [`Batch::take`] would give.
    pub(super) fn next_frame_bytes(&self) -> usize {
        self.full.front().unwrap_or(&self.open).frame_bytes()
    }

    /// The next frame; an empty one if nothing waits.
    pub(super) fn take(&mut self) -> Builder {
        assert!(!self.has_open_group(), "a group is open");
        if let Some(full) = self.full.pop_front() {
            self.frames_bytes -= full.frame_bytes();
            return full;
        }
        self.group_at = 0;
        let buffer = self.spare_buffer();
        std::mem::replace(&mut self.open, Builder::new(buffer))
    }

    fn spare_buffer(&mut self) -> Buffer {
        self.pool.pop().unwrap_or_else(|| Buffer::zeroed(HEADER_BYTES))
    }

    /// Takes a buffer back that has been written.
    pub(super) fn recycle(&mut self, buffer: Buffer) {
        if self.pool.len() < POOL_BUFFERS {
            self.pool.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{BACKLOG_BYTES_MAX, SEGMENT_BYTES_MIN};

    #[test]
    fn a_group_is_never_split() {
        let mut batch = Batch::new(SEGMENT_BYTES_MIN);
        let record = vec![7; 50_000];
        for _ in 0..5 {
            batch.push(&record);
            batch.push(&record);
            batch.end_group();
        }
        let mut records = Vec::new();
        while !batch.is_empty() {
            let (bytes, next) = (batch.bytes(), batch.next_frame_bytes());
            assert!(next as u64 <= SEGMENT_BYTES_MIN);
            records.push(batch.take().records());
            assert_eq!(batch.bytes(), bytes - next);
        }
        // 262,144 bytes have room for five records, so for two groups.
        assert_eq!(records, [4, 4, 2]);
        assert_eq!(batch.bytes(), 0);
    }

    #[test]
    fn the_largest_group_fits_behind_a_nearly_full_frame() {
        let mut batch = Batch::new(SEGMENT_BYTES_MIN);
        batch.push(&vec![1; GROUP_BYTES_MAX - 4]);
        batch.end_group();
        batch.push(&vec![1; GROUP_BYTES_MAX - 4]);
        batch.end_group();
        assert_eq!((batch.take().records(), batch.take().records()), (1, 1));
    }

    #[test]
    #[should_panic(expected = "the records of one group")]
    fn a_group_beyond_the_limit_is_a_bug() {
        let mut batch = Batch::new(SEGMENT_BYTES_MIN);
        batch.push(&vec![1; GROUP_BYTES_MAX - 4]);
        batch.push(b"");
    }

    #[test]
    fn a_frame_is_filled_to_its_last_byte() {
        let mut batch = Batch::new(SEGMENT_BYTES_MIN);
        let half = (SEGMENT_BYTES_MIN as usize - HEADER_BYTES) / 2;
        for length in [half - RECORD_FRAMING_BYTES, half - RECORD_FRAMING_BYTES, 0] {
            batch.push(&vec![1; length]);
            batch.end_group();
        }
        assert_eq!(batch.next_frame_bytes() as u64, SEGMENT_BYTES_MIN);
        assert_eq!((batch.take().records(), batch.take().records()), (2, 1));
    }

    #[test]
    fn buffers_are_used_again_and_not_hoarded() {
        let mut batch = Batch::new(SEGMENT_BYTES_MIN);
        for _ in 0..POOL_BUFFERS + 2 {
            batch.recycle(Buffer::zeroed(100_000));
        }
        assert_eq!(batch.pool.len(), POOL_BUFFERS);
        let (_, large) = (batch.take(), batch.spare_buffer());
        assert!(large.len() >= 100_000);
        assert_eq!(batch.pool.len(), POOL_BUFFERS - 2);
    }

    #[test]
    fn the_last_group_below_the_limit_is_taken() {
        let mut batch = Batch::new(SEGMENT_BYTES_MIN);
        while batch.bytes() < BACKLOG_BYTES_MAX {
            batch.push(&[1; GROUP_BYTES_MAX - 4]);
            batch.end_group();
        }
        assert!(batch.bytes() > BACKLOG_BYTES_MAX + BLOCK_BYTES);
    }

    #[test]
    #[should_panic(expected = "wait for the disk")]
    fn a_backlog_beyond_the_limit_is_a_bug() {
        let mut batch = Batch::new(SEGMENT_BYTES_MIN);
        for _ in 0..=BACKLOG_BYTES_HARD / 100_000 {
            batch.push(&[1; 100_000]);
            batch.end_group();
        }
    }
}
