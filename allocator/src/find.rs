//! The choice of seats. [`Inventory::find`](crate::Inventory::find) states the rules.
//!
//! - The *gap* of a seat: the number of consecutive free segments just before the span and just after it. The seat with the
//!   smallest gap leaves the least unsold around it, and is chosen first (best fit). `gaps.rs` counts them.
//! - A *group*: 64 seats with consecutive numbers, whose bits on one segment share a word of the bitmap. It has nothing to do
//!   with passengers who travel together.

use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use crate::bitmap::{Bitmaps, GROUP_SEATS, union};
use crate::gaps::{GAPS, Gaps};
use crate::layout::{Layout, SeatNo};

/// Free seats, and their closeness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// In the order of their numbers.
    pub seats: Vec<SeatNo>,
    /// The rule by which they were found.
    pub together: Together,
}

/// The closeness of seats, closest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Together {
    /// There is only one.
    Single,
    /// Side by side in one row.
    Row,
    /// In one coach.
    Coach,
    /// In several coaches.
    Anywhere,
}

pub(crate) fn find(layout: &Layout, taken: &Bitmaps, span: Range<usize>, quantity: u32) -> Option<Found> {
    match quantity {
        0 => None,
        1 => single(taken, span).map(|seat| Found { seats: vec![seat], together: Together::Single }),
        _ => {
            let mut search = Search::new(layout, taken, span);
            if search.available() < quantity {
                return None;
            }
            Some(search.side_by_side(quantity).unwrap_or_else(|| search.by_coaches(quantity)))
        }
    }
}

fn single(taken: &Bitmaps, span: Range<usize>) -> Option<SeatNo> {
    let mut best: Option<(u32, SeatNo)> = None;
    for (group, first) in taken.groups().zip((0..).step_by(GROUP_SEATS as usize)) {
        let free = !union(&group[span.clone()]);
        if free == 0 {
            continue;
        }
        let (gap, bit) = Gaps::measure(group, free, span.clone()).smallest(free);
        // Only a smaller one: among equals the lowest number stays.
        if best.is_none_or(|(smallest, _)| gap < smallest) {
            best = Some((gap, SeatNo(first + bit)));
        }
        if gap == 0 {
            break;
        }
    }
    best.map(|(_, seat)| seat)
}

/// The search for several seats.
struct Search<'a> {
    layout: &'a Layout,
    taken: &'a Bitmaps,
    span: Range<usize>,
    /// The seats that are free on the whole span, by group.
    free: Vec<u64>,
    /// The gaps of the groups looked at last, at the group's parity: seats are walked upwards and a row touches no more
    /// than two groups, so that each is measured once in a walk.
    gaps: [Option<(usize, Gaps)>; 2],
}

impl<'a> Search<'a> {
    fn new(layout: &'a Layout, taken: &'a Bitmaps, span: Range<usize>) -> Search<'a> {
        let free = taken.groups().map(|group| !union(&group[span.clone()])).collect();
        Search { layout, taken, span, free, gaps: [None, None] }
    }

    fn available(&self) -> u32 {
        self.free.iter().map(|word| word.count_ones()).sum()
    }

    fn side_by_side(&mut self, quantity: u32) -> Option<Found> {
        let mut best: Option<(u32, u32)> = None;
        let layout = self.layout;
        for rows in layout.row_blocks().filter(|rows| rows.row_seats >= quantity) {
            let Some(smallest) = self.smallest_gap(&rows.seats) else { continue };
            // No row of these has less. Most trains are mostly empty: they end with the first row.
            let least = quantity * smallest;
            for row in rows.each() {
                if best.is_some_and(|(sum, _)| sum <= least) {
                    break;
                }
                self.tightest_in_row(&row, quantity, &mut best);
            }
            if best.is_some_and(|(sum, _)| sum == 0) {
                break;
            }
        }
        let (_, first) = best?;
        Some(Found { seats: (first..first + quantity).map(SeatNo).collect(), together: Together::Row })
    }

    /// The smallest gap among the free seats of the groups that have seats of a range, if there are any.
    fn smallest_gap(&mut self, seats: &Range<u32>) -> Option<u32> {
        let groups = (seats.start / GROUP_SEATS) as usize..=((seats.end - 1) / GROUP_SEATS) as usize;
        let with_free = groups.filter_map(|group| match self.free[group] {
            0 => None,
            free => Some(self.gaps(group).smallest(free).0),
        });
        with_free.min()
    }

    /// The sum and the first seat of those side by side in a row, if the sum is smaller than the best.
    fn tightest_in_row(&mut self, row: &Range<u32>, quantity: u32, best: &mut Option<(u32, u32)>) {
        let mut starts = starts_of_runs(self.free_in_row(row), quantity);
        let mut before: Option<(u32, u32)> = None;
        while starts != 0 {
            let first = row.start + starts.trailing_zeros();
            starts &= starts - 1;
            let sum = match before {
                // One seat further: the first goes, and one comes.
                Some((sum, of)) if of + 1 == first => sum - self.gap(of) + self.gap(of + quantity),
                _ => (first..first + quantity).map(|seat| self.gap(seat)).sum(),
            };
            before = Some((sum, first));
            if best.is_none_or(|(smallest, _)| sum < smallest) {
                *best = before;
            }
        }
    }

    /// There are enough seats.
    fn by_coaches(&mut self, quantity: u32) -> Found {
        let coaches = self.layout.coach_ranges();
        let mut coaches: Vec<(u32, Range<u32>)> =
            coaches.map(|coach| (self.count_free_in(&coach), coach)).collect();
        coaches.sort_unstable_by_key(|(free, coach)| (Reverse(*free), coach.start));

        let mut rest = quantity;
        let mut seats = Vec::with_capacity(quantity as usize);
        let mut whole = 0;
        while coaches[whole].0 < rest {
            let (free, coach) = &coaches[whole];
            seats.extend(self.free_in(coach));
            rest -= free;
            whole += 1;
        }
        let (_, last) = coaches[whole..]
            .iter()
            .filter(|(free, _)| *free >= rest)
            .min_by_key(|(free, coach)| (*free, coach.start))
            .expect("the first of them has enough");
        self.tightest(last, rest, &mut seats);
        seats.sort_unstable();
        let together = if whole == 0 { Together::Coach } else { Together::Anywhere };
        Found { seats, together }
    }

    /// Of the free seats in a coach, which are enough, those with the smallest gaps.
    fn tightest(&mut self, coach: &Range<u32>, quantity: u32, seats: &mut Vec<SeatNo>) {
        let mut with_gap = [0u32; GAPS];
        let gaps: Vec<(SeatNo, usize)> = {
            let free: Vec<SeatNo> = self.free_in(coach).collect();
            free.into_iter().map(|seat| (seat, self.gap(seat.0) as usize)).collect()
        };
        gaps.iter().for_each(|&(_, gap)| with_gap[gap] += 1);

        // All below the limit are wanted, and the first few that are at it.
        let (mut limit, mut at_limit) = (0, quantity);
        while with_gap[limit] < at_limit {
            at_limit -= with_gap[limit];
            limit += 1;
        }
        for (seat, gap) in gaps {
            if gap < limit {
                seats.push(seat);
            } else if gap == limit && at_limit > 0 {
                at_limit -= 1;
                seats.push(seat);
            }
        }
    }

    /// The free seats in a range of numbers, upwards.
    fn free_in(&self, range: &Range<u32>) -> impl Iterator<Item = SeatNo> {
        range.clone().map(SeatNo).filter(|seat| {
            let word = self.free[(seat.0 / GROUP_SEATS) as usize];
            word >> (seat.0 % GROUP_SEATS) & 1 != 0
        })
    }

    /// The number of free seats in a range, which is not empty.
    fn count_free_in(&self, range: &Range<u32>) -> u32 {
        let (first, last) = (range.start, range.end - 1);
        let (first_group, last_group) = ((first / GROUP_SEATS) as usize, (last / GROUP_SEATS) as usize);
        let from_first = u64::MAX << (first % GROUP_SEATS);
        let to_last = u64::MAX >> (GROUP_SEATS - 1 - last % GROUP_SEATS);
        if first_group == last_group {
            return (self.free[first_group] & from_first & to_last).count_ones();
        }
        let between: u32 = self.free[first_group + 1..last_group].iter().map(|word| word.count_ones()).sum();
        let ends = (self.free[first_group] & from_first).count_ones()
            + (self.free[last_group] & to_last).count_ones();
        between + ends
    }

    /// The free seats of a row, its first seat in the lowest bit.
    fn free_in_row(&self, row: &Range<u32>) -> u64 {
        let (group, bit) = ((row.start / GROUP_SEATS) as usize, row.start % GROUP_SEATS);
        let beyond = self.free.get(group + 1).copied().unwrap_or(0);
        let both = u128::from(beyond) << GROUP_SEATS | u128::from(self.free[group]);
        (both >> bit) as u64 & (u64::MAX >> (GROUP_SEATS - row.len() as u32))
    }

    /// The gap of a free seat.
    fn gap(&mut self, seat: u32) -> u32 {
        self.gaps((seat / GROUP_SEATS) as usize).of(seat % GROUP_SEATS)
    }

    /// The gaps of a group with free seats.
    fn gaps(&mut self, group: usize) -> &Gaps {
        let cached = &mut self.gaps[group % 2];
        if !matches!(cached, Some((of, _)) if *of == group) {
            let gaps = Gaps::measure(self.taken.group(group), self.free[group], self.span.clone());
            *cached = Some((group, gaps));
        }
        &cached.as_ref().expect("measured above").1
    }
}

/// The indexes at which `length` consecutive bits begin, found by doubling the length.
fn starts_of_runs(bits: u64, length: u32) -> u64 {
    let (mut starts, mut have) = (bits, 1);
    while have < length {
        let more = have.min(length - have);
        starts &= starts >> more;
        have += more;
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_bits() {
        let check = |bits, length, expected: u64| assert_eq!(starts_of_runs(bits, length), expected);
        check(0b1011_0111, 1, 0b1011_0111);
        check(0b1011_0111, 2, 0b0001_0011);
        check(0b1011_0111, 3, 0b0000_0001);
        check(0b1011_0111, 4, 0);
        check(u64::MAX, 64, 1);
        check(u64::MAX >> 14, 50, 1);
        check(u64::MAX >> 14, 49, 0b11);
        check(u64::MAX >> 14, 51, 0);
    }
}
