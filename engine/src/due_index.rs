//! A timer queue: keys ordered by the time at which each is due.

use alloc::collections::BTreeSet;

use crate::ids::Time;

/// Keys by due time; keys due at the same time come in their own order. Each key has at most one time.
///
/// The owner keeps each key's time and passes the old one in: [`DueIndex::reschedule`] moves a key from there to its new time.
/// Nothing fires by itself: ask [`DueIndex::first`] when to come back, and walk [`DueIndex::due`] then.
#[derive(Clone, Debug)]
pub struct DueIndex<K>(BTreeSet<(Time, K)>);

impl<K> Default for DueIndex<K> {
    fn default() -> DueIndex<K> {
        DueIndex(BTreeSet::new())
    }
}

impl<K: Ord + Clone> DueIndex<K> {
    /// Moves `key` from its time `old` to `new`; `None` is: not in the index.
    ///
    /// # Panics
    /// When `old` is not the key's time.
    pub fn reschedule(&mut self, key: &K, old: Option<Time>, new: Option<Time>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            assert!(self.0.remove(&(old, key.clone())), "the old time of a key is the one it has");
        }
        if let Some(new) = new {
            assert!(self.0.insert((new, key.clone())), "a key is scheduled once");
        }
    }

    /// The key that is due first, and when.
    #[must_use]
    pub fn first(&self) -> Option<(Time, &K)> {
        self.0.first().map(|(at, key)| (*at, key))
    }

    pub fn iter(&self) -> impl Iterator<Item = (Time, &K)> + Clone {
        self.0.iter().map(|(at, key)| (*at, key))
    }

    /// Keys whose time has come at `now`, the longest due first.
    pub fn due(&self, now: Time) -> impl Iterator<Item = &K> + Clone {
        self.iter().take_while(move |(at, _)| *at <= now).map(|(_, key)| key)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn index(entries: &[(u64, u8)]) -> DueIndex<u8> {
        let mut index = DueIndex::default();
        entries.iter().for_each(|(at, key)| index.reschedule(key, None, Some(Time(*at))));
        index
    }

    fn entries(index: &DueIndex<u8>) -> Vec<(u64, u8)> {
        index.iter().map(|(at, key)| (at.0, *key)).collect()
    }

    #[test]
    fn keys_come_by_time_and_then_by_themselves() {
        let index = index(&[(2, 7), (1, 9), (2, 3)]);
        assert_eq!(entries(&index), [(1, 9), (2, 3), (2, 7)]);
        assert_eq!((index.first(), index.len()), (Some((Time(1), &9)), 3));
    }

    /// A time that has come is due; the moment after is not.
    #[test]
    fn due_is_what_has_come() {
        let index = index(&[(1, 1), (2, 2), (3, 3)]);
        for (now, due) in [(0, &[][..]), (1, &[1]), (2, &[1, 2]), (9, &[1, 2, 3])] {
            assert_eq!(index.due(Time(now)).copied().collect::<Vec<_>>(), due, "at {now}");
        }
    }

    #[test]
    fn a_key_moves_from_time_to_time_and_out() {
        let mut index = index(&[(5, 1), (6, 2)]);
        index.reschedule(&1, Some(Time(5)), Some(Time(7)));
        assert_eq!(entries(&index), [(6, 2), (7, 1)]);
        index.reschedule(&1, Some(Time(7)), Some(Time(7)));
        index.reschedule(&2, Some(Time(6)), None);
        assert_eq!(entries(&index), [(7, 1)]);
        index.reschedule(&1, Some(Time(7)), None);
        index.reschedule(&1, None, None);
        assert!(index.is_empty());
    }

    #[test]
    #[should_panic(expected = "the one it has")]
    fn another_time_than_the_keys_own_is_a_mistake() {
        index(&[(5, 1)]).reschedule(&1, Some(Time(6)), None);
    }
}
