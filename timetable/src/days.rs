//! Days: the sets of them on which services run, and the window of them that is on sale.

use jiff::civil::{Date, date};

use crate::limits::SERVICE_DAYS_MAX;

/// The dates that are on sale: a half-open range of runs' dates.
///
/// A run keeps the date of its first departure while it is under way. To go on selling the night trains that left yesterday,
/// start the window yesterday ([`DateWindow::selling`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DateWindow {
    first: i32,
    until: i32,
}

impl DateWindow {
    /// All dates of the feed.
    pub const WHOLE: DateWindow = DateWindow { first: i32::MIN, until: i32::MAX };

    /// `days` dates from `first` on.
    #[must_use]
    pub fn new(first: Date, days: u32) -> DateWindow {
        let first = day_of(first);
        DateWindow { first, until: first.saturating_add_unsigned(days) }
    }

    /// The dates on sale on `today`: `days` dates from it on, and yesterday, whose runs may still be under way.
    #[must_use]
    pub fn selling(today: Date, days: u32) -> DateWindow {
        let DateWindow { first, until } = DateWindow::new(today, days);
        DateWindow { first: first - 1, until }
    }

    #[must_use]
    pub fn contains(&self, date: Date) -> bool {
        self.has(day_of(date))
    }

    pub(crate) fn has(&self, day: i32) -> bool {
        self.first <= day && day < self.until
    }
}

const EPOCH: Date = date(1970, 1, 1);
const SECONDS_PER_DAY: i64 = 86_400;

/// Days since 1970-01-01.
pub(crate) fn day_of(date: Date) -> i32 {
    // The whole range of civil dates is less than 2^23 days on either side.
    (date.duration_since(EPOCH).as_secs() / SECONDS_PER_DAY) as i32
}

/// The date of a day that came from a date.
pub(crate) fn date_of(day: i32) -> Date {
    EPOCH.checked_add(jiff::Span::new().days(day)).expect("a day that came from a date")
}

/// A set of days, as bits from its first day on.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct DaySet {
    first: i32,
    bits: Box<[u64]>,
}

impl DaySet {
    /// An empty set with room for the days of `first..=last`.
    pub(crate) fn with_room(first: i32, last: i32) -> DaySet {
        assert!(first <= last && last - first < SERVICE_DAYS_MAX, "room for {first}..={last}");
        let words = (last - first) as usize / 64 + 1;
        DaySet { first, bits: vec![0; words].into_boxed_slice() }
    }

    /// The number of days that there is room for.
    pub(crate) fn room(&self) -> u64 {
        self.bits.len() as u64 * 64
    }

    /// The word and bit of a day within the room.
    fn word_and_bit(&self, day: i32) -> Option<(usize, u64)> {
        let offset = usize::try_from(i64::from(day) - i64::from(self.first)).ok()?;
        (offset / 64 < self.bits.len()).then(|| (offset / 64, 1 << (offset % 64)))
    }

    pub(crate) fn has(&self, day: i32) -> bool {
        self.word_and_bit(day).is_some_and(|(word, bit)| self.bits[word] & bit != 0)
    }

    pub(crate) fn insert(&mut self, day: i32) {
        let (word, bit) = self.word_and_bit(day).expect("a day within the room");
        self.bits[word] |= bit;
    }

    /// Days without room are not in the set to begin with.
    pub(crate) fn remove(&mut self, day: i32) {
        if let Some((word, bit)) = self.word_and_bit(day) {
            self.bits[word] &= !bit;
        }
    }

    /// The days of the set, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = i32> + '_ {
        self.bits.iter().enumerate().flat_map(move |(word, bits)| {
            let first = self.first + (word * 64) as i32;
            let mut left = *bits;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros() as i32)?;
                left &= left - 1;
                Some(first + bit)
            })
        })
    }

    /// The days of the set within a window, in order.
    pub(crate) fn within(&self, window: DateWindow) -> impl DoubleEndedIterator<Item = i32> + '_ {
        let room_end = i64::from(self.first) + self.bits.len() as i64 * 64;
        let first = i64::from(window.first).max(i64::from(self.first));
        let until = i64::from(window.until).min(room_end).max(first);
        // Both lie in the room or in the window, so they are days.
        (first as i32..until as i32).filter(|day| self.has(*day))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_count_from_the_epoch() {
        assert_eq!(day_of(date(1970, 1, 1)), 0);
        assert_eq!(day_of(date(1969, 12, 31)), -1);
        assert_eq!(day_of(date(2000, 3, 1)), 11_017);
        assert_eq!(date_of(11_017), date(2000, 3, 1));
        assert!(DateWindow::WHOLE.contains(Date::MIN) && DateWindow::WHOLE.contains(Date::MAX));
    }

    #[test]
    fn a_window_is_half_open_and_selling_begins_yesterday() {
        let window = DateWindow::new(date(2026, 2, 27), 3);
        let days: Vec<bool> =
            [26, 27, 28].map(|day| window.contains(date(2026, 2, day))).into_iter().collect();
        assert_eq!(days, [false, true, true]);
        assert!(window.contains(date(2026, 3, 1)) && !window.contains(date(2026, 3, 2)));
        let selling = DateWindow::selling(date(2026, 2, 27), 3);
        assert!(selling.contains(date(2026, 2, 26)) && !selling.contains(date(2026, 3, 2)));
    }

    proptest! {
        #[test]
        fn a_day_set_is_a_set(
            first in -200i32..200,
            room in 0i32..300,
            inserted in prop::collection::vec(0i32..300, 0..40),
            removed in prop::collection::vec(-500i32..700, 0..40),
            from in -400i32..600,
            length in 0i32..500,
        ) {
            let mut set = DaySet::with_room(first, first + room);
            let mut model = std::collections::BTreeSet::new();
            for day in inserted.iter().filter(|day| **day <= room) {
                set.insert(first + day);
                model.insert(first + day);
            }
            for day in &removed {
                set.remove(*day);
                model.remove(day);
            }
            prop_assert!((-600..800).all(|day| set.has(day) == model.contains(&day)));
            prop_assert!(set.iter().eq(model.iter().copied()));
            let window = DateWindow { first: from, until: from + length };
            prop_assert!(set.within(window).eq(model.range(from..from + length).copied()));
            prop_assert!(set.within(DateWindow::WHOLE).eq(model.iter().copied()));
        }
    }
}
