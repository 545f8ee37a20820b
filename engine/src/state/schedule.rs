//! Places in the order of their times. Nearly all come with a later time than those before, and leave from the front.

use alloc::collections::{BTreeSet, VecDeque};

use crate::ids::Time;

/// Names what is scheduled.
pub(super) type Place = u32;
type Entry = (Time, Place);

/// Gaps that are left in the run whatever their share of it is.
const GAPS_MIN: usize = 64;

/// Flat, so that it takes 16 bytes.
#[derive(Debug)]
struct Scheduled {
    at: Time,
    place: Place,
    is_gap: bool,
}

impl Scheduled {
    fn entry(&self) -> Entry {
        (self.at, self.place)
    }
}

/// A set of times and places, in order.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// In rising order. What is taken out of the middle leaves a gap; the first and the last are none.
    run: VecDeque<Scheduled>,
    gaps: usize,
    /// What came before something that was there.
    strays: BTreeSet<Entry>,
}

impl Schedule {
    pub(super) fn len(&self) -> usize {
        self.run.len() - self.gaps + self.strays.len()
    }

    #[cfg(test)]
    pub(super) fn strays_len(&self) -> usize {
        self.strays.len()
    }

    pub(super) fn first(&self) -> Option<Entry> {
        let (run, stray) = (self.run.front().map(Scheduled::entry), self.strays.first().copied());
        match (run, stray) {
            (Some(run), Some(stray)) => Some(run.min(stray)),
            (run, stray) => run.or(stray),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Entry> {
        let mut run = self.run.iter().filter(|other| !other.is_gap).map(Scheduled::entry).peekable();
        let mut strays = self.strays.iter().copied().peekable();
        core::iter::from_fn(move || match (run.peek(), strays.peek()) {
            (Some(from_run), Some(stray)) if stray < from_run => strays.next(),
            (Some(_), _) => run.next(),
            (None, _) => strays.next(),
        })
    }

    /// It must not be there.
    pub(super) fn insert(&mut self, entry: Entry) {
        if self.run.back().is_none_or(|last| last.entry() < entry) {
            let (at, place) = entry;
            self.run.push_back(Scheduled { at, place, is_gap: false });
        } else {
            self.strays.insert(entry);
        }
    }

    /// It must be there.
    pub(super) fn remove(&mut self, entry: Entry) {
        if self.strays.remove(&entry) {
            return;
        }
        let found = self.run.binary_search_by_key(&entry, Scheduled::entry);
        let found = &mut self.run[found.expect("what is removed is there")];
        assert!(!found.is_gap, "what is removed is there");
        found.is_gap = true;
        self.gaps += 1;
        while self.run.pop_front_if(|other| other.is_gap).is_some() {
            self.gaps -= 1;
        }
        while self.run.pop_back_if(|other| other.is_gap).is_some() {
            self.gaps -= 1;
        }
        if self.gaps > GAPS_MIN.max(self.run.len() / 2) {
            self.run.retain(|other| !other.is_gap);
            self.gaps = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    /// Numbers that look random, by the multiplier of Knuth's MMIX.
    fn next(state: &mut u64) -> u64 {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    /// A schedule is a set in order, whatever share of what comes is late, and wherever it is taken out.
    #[test]
    fn a_schedule_is_a_set_in_order() {
        for late_one_in in [1, 2, 10, u64::MAX] {
            for front_one_in in [1, 3, u64::MAX] {
                let (mut schedule, mut model, mut random) = (Schedule::default(), BTreeSet::new(), 7);
                for step in 0..4_000_u64 {
                    let wanted = if step < 1_000 { 1 } else { next(&mut random) % 2 };
                    if wanted == 1 || model.is_empty() {
                        let is_late = next(&mut random).is_multiple_of(late_one_in);
                        let time = if is_late { next(&mut random) % (step + 1) } else { step / 3 };
                        let entry = (Time(time), (next(&mut random) % 50) as Place);
                        if model.insert(entry) {
                            schedule.insert(entry);
                        }
                    } else {
                        let is_first = next(&mut random).is_multiple_of(front_one_in);
                        let at = if is_first { 0 } else { next(&mut random) as usize % model.len() };
                        let entry = *model.iter().nth(at).expect("one of them");
                        model.remove(&entry);
                        schedule.remove(entry);
                    }
                    assert_eq!((schedule.len(), schedule.first()), (model.len(), model.first().copied()));
                    if step % 100 == 0 {
                        assert!(schedule.iter().eq(model.iter().copied()), "in step {step}");
                    }
                    assert!(schedule.gaps <= GAPS_MIN.max(schedule.run.len() / 2), "in step {step}");
                }
            }
        }
    }

    #[test]
    fn what_is_taken_out_of_the_middle_takes_no_room_for_long() {
        let mut schedule = Schedule::default();
        schedule.insert((Time(0), 0));
        for time in 1..100_000 {
            schedule.insert((Time(time), 1));
            schedule.insert((Time(time), 2));
            schedule.remove((Time(time), 1));
            schedule.remove((Time(time), 2));
        }
        assert_eq!(schedule.iter().collect::<Vec<_>>(), [(Time(0), 0)]);
        assert!(schedule.run.len() <= 2 * GAPS_MIN, "{} entries", schedule.run.len());
    }

    #[test]
    #[should_panic(expected = "is there")]
    fn what_is_not_there_is_not_removed() {
        let mut schedule = Schedule::default();
        schedule.insert((Time(1), 1));
        schedule.remove((Time(1), 2));
    }

    #[test]
    #[should_panic(expected = "is there")]
    fn what_was_removed_is_not_removed_again() {
        let mut schedule = Schedule::default();
        (1..=3).for_each(|time| schedule.insert((Time(time), 0)));
        schedule.remove((Time(2), 0));
        schedule.remove((Time(2), 0));
    }
}
