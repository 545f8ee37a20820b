//! One bitmap of seats for each segment.
//!
//! The words of the same 64 seats (a group) lie side by side, segment after segment, because a choice asks "these seats,
//! on the segments of a span, and then on those to the left and to the right of it": a short run of neighbouring words.

use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use crate::layout::SeatNo;

/// Seats in one word.
pub(crate) const GROUP_SEATS: u32 = u64::BITS;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Bitmaps {
    segments: usize,
    /// `words[group * segments + segment]`, lowest bit for the lowest seat.
    words: Vec<u64>,
}

impl Bitmaps {
    /// All clear.
    pub(crate) fn new(seats: u32, segments: u16) -> Bitmaps {
        let segments = usize::from(segments);
        Bitmaps { segments, words: vec![0; seats.div_ceil(GROUP_SEATS) as usize * segments] }
    }

    /// The words of every group, one group after the other; in each one word for each segment.
    pub(crate) fn groups(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.words.chunks_exact(self.segments)
    }

    /// The words of one group by segment.
    pub(crate) fn group(&self, group: usize) -> &[u64] {
        &self.words[group * self.segments..][..self.segments]
    }

    /// The number of bits in a segment, up to the end of the last group.
    pub(crate) fn bits(&self) -> u32 {
        (self.words.len() / self.segments) as u32 * GROUP_SEATS
    }

    /// The number of seats whose bit is set on any of the segments.
    pub(crate) fn count_any(&self, segments: Range<usize>) -> u32 {
        // The largest partitions have one segment; without the ranges the compiler counts several words at once.
        if self.segments == 1 {
            return self.words.iter().map(|word| word.count_ones()).sum();
        }
        self.groups().map(|group| union(&group[segments.clone()]).count_ones()).sum()
    }

    /// True if the seat's bit is set on any of the segments.
    pub(crate) fn any(&self, seat: SeatNo, segments: Range<usize>) -> bool {
        let (group, bit) = word_and_bit(seat);
        self.group(group)[segments].iter().any(|word| word & bit != 0)
    }

    /// True if the seat's bit is set on all of the segments.
    pub(crate) fn all(&self, seat: SeatNo, segments: Range<usize>) -> bool {
        let (group, bit) = word_and_bit(seat);
        self.group(group)[segments].iter().all(|word| word & bit != 0)
    }

    pub(crate) fn set(&mut self, seat: SeatNo, segments: Range<usize>) {
        let (group, bit) = word_and_bit(seat);
        self.group_mut(group)[segments].iter_mut().for_each(|word| *word |= bit);
    }

    pub(crate) fn clear(&mut self, seat: SeatNo, segments: Range<usize>) {
        let (group, bit) = word_and_bit(seat);
        self.group_mut(group)[segments].iter_mut().for_each(|word| *word &= !bit);
    }

    fn group_mut(&mut self, group: usize) -> &mut [u64] {
        &mut self.words[group * self.segments..][..self.segments]
    }
}

/// The seats of a group whose bit is set on any of these segments.
pub(crate) fn union(words: &[u64]) -> u64 {
    words.iter().fold(0, |union, word| union | word)
}

fn word_and_bit(seat: SeatNo) -> (usize, u64) {
    ((seat.0 / GROUP_SEATS) as usize, 1 << (seat.0 % GROUP_SEATS))
}
