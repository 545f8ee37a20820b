//! Gaps: the free segments around a span, counted for 64 seats at once with bit-sliced counters.
//!
//! Going away from the span segment by segment, a seat's run goes on while it is free. One count for each seat is kept
//! sliced by bit (plane `p` holds bit `p` of all 64 counts), so that one step costs a few word operations whatever the number
//! of seats. As long as no run has ended all counts are equal, and one number does for all: the usual case where
//! little is sold.

use core::ops::Range;

use crate::SEGMENTS_MAX;

/// Bits of the largest count: a gap leaves out at least the one segment of the span.
const PLANES: usize = u16::BITS as usize - (SEGMENTS_MAX - 1).leading_zeros() as usize;

/// One more than the largest gap.
pub(crate) const GAPS: usize = SEGMENTS_MAX as usize;

const _: () = assert!(GAPS <= 1 << PLANES);

/// The gaps of the free seats of one group. Those of other seats mean nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gaps {
    /// The part of the count that all free seats share.
    common: u32,
    /// The rest of each count, sliced by bit.
    planes: [u64; PLANES],
    /// The number of planes in use; the others are 0.
    used: usize,
}

impl Gaps {
    /// `taken` by segment; `free` are the seats that are free on all of the span, at least one.
    pub(crate) fn measure(taken: &[u64], free: u64, span: Range<usize>) -> Gaps {
        debug_assert!(free != 0);
        let mut gaps = Gaps { common: 0, planes: [0; PLANES], used: 0 };
        gaps.widen(free, taken[..span.start].iter().rev());
        gaps.widen(free, taken[span.end..].iter());
        gaps
    }

    /// The gap of one free seat, by its bit's index.
    pub(crate) fn of(&self, bit: u32) -> u32 {
        let planes = self.planes[..self.used].iter().enumerate();
        self.common + planes.map(|(weight, plane)| ((plane >> bit & 1) as u32) << weight).sum::<u32>()
    }

    /// The smallest gap among free seats, at least one, and the lowest bit that has it.
    pub(crate) fn smallest(&self, free: u64) -> (u32, u32) {
        let (mut among, mut gap) = (free, self.common);
        for (weight, plane) in self.planes[..self.used].iter().enumerate().rev() {
            match among & !plane {
                0 => gap += 1 << weight,
                smaller => among = smaller,
            }
        }
        (gap, among.trailing_zeros())
    }

    /// Counts the run of each seat in one direction.
    fn widen<'a>(&mut self, free: u64, outwards: impl Iterator<Item = &'a u64>) {
        let mut run = free;
        for taken in outwards {
            run &= !taken;
            if run == free {
                self.common += 1;
            } else if run == 0 {
                return;
            } else {
                self.add(run);
            }
        }
    }

    /// Adds one to the counts of these seats.
    fn add(&mut self, seats: u64) {
        let mut carry = seats;
        for plane in &mut self.planes[..self.used] {
            (*plane, carry) = (*plane ^ carry, *plane & carry);
            if carry == 0 {
                return;
            }
        }
        self.planes[self.used] = carry;
        self.used += 1;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// `seats`: one string for each, `x` where it is taken; the gap of each that is free on the span.
    fn check(seats: &[&str], span: Range<usize>, expected: &[u32], smallest: (u32, u32)) {
        let segments = seats[0].len();
        let taken: Vec<u64> = (0..segments)
            .map(|segment| {
                let bits =
                    seats.iter().enumerate().map(|(bit, seat)| (seat.as_bytes()[segment] == b'x', bit));
                bits.fold(0, |word, (taken, bit)| word | u64::from(taken) << bit)
            })
            .collect();
        let is_free = |bit: &usize| !seats[*bit][span.clone()].contains('x');
        let free: Vec<usize> = (0..seats.len()).filter(is_free).collect();
        let mask = free.iter().fold(0, |mask, bit| mask | 1u64 << bit);
        let gaps = Gaps::measure(&taken, mask, span);
        let counts: Vec<u32> = free.iter().map(|&bit| gaps.of(bit as u32)).collect();
        assert_eq!(counts, expected);
        assert_eq!(gaps.smallest(mask), smallest);
    }

    #[test]
    fn runs_to_the_left_and_right() {
        check(&["....", "x...", "...x", "x..x", "..x."], 1..2, &[3, 2, 2, 1, 1], (1, 3));
        check(&["....", "x..x", "x..x"], 1..3, &[2, 0, 0], (0, 1));
        check(&["....", "...."], 0..4, &[0, 0], (0, 0));
    }

    #[test]
    fn a_run_ends_at_the_first_taken_segment() {
        check(&[".x......", "......x."], 3..4, &[5, 5], (5, 0));
    }

    #[test]
    fn seats_taken_on_the_span_are_left_out() {
        check(&["xxx", "...", ".x.", "..x"], 1..2, &[2, 1], (1, 3));
    }

    #[test]
    fn the_longest_gap() {
        let free = ".".repeat(64);
        let taken = ".".repeat(63) + "x";
        check(&[&free, &free], 0..1, &[63, 63], (63, 0));
        check(&[&free, &taken], 0..1, &[63, 62], (62, 1));
        check(&[&free, &("..x".repeat(22)[..64])], 0..1, &[63, 1], (1, 1));
    }
}
