//! The holds of a partition: found by their ids, and in the order in which their times come.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Hold;
use crate::answer::HoldStatus;
use crate::ids::{HoldId, Time};

/// A place in the table, used again once its hold is forgotten.
type Place = u32;

/// See the module. An id is kept once; everything else names a hold by its place.
#[derive(Debug, Default)]
pub(super) struct Holds {
    by_id: HashTable<Place>,
    hasher: DefaultHashBuilder,
    /// Boxed: the table grows by copying its places, and holds come by the thousand.
    places: Vec<Option<Box<Kept>>>,
    free: Vec<Place>,
    /// When live holds expire; derived.
    deadlines: BTreeSet<(Time, Place)>,
    /// When ended holds may be forgotten, of which nothing has still to be told; derived.
    ended: BTreeSet<(Time, Place)>,
}

#[derive(Debug)]
struct Kept {
    id: HoldId,
    hold: Hold,
    /// How many facts about it stand in the outbox; derived.
    untold: u32,
}

impl Holds {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, id: &HoldId) -> Option<&Hold> {
        self.place(id).map(|place| &self.kept(place).hold)
    }

    /// Every hold with its id, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&HoldId, &Hold)> {
        self.places.iter().flatten().map(|kept| (&kept.id, &kept.hold))
    }

    /// Live holds, the one whose deadline comes first, first.
    pub(super) fn by_deadline(&self) -> impl Iterator<Item = (Time, &HoldId, &Hold)> {
        self.in_order(&self.deadlines)
    }

    /// Ended holds of which nothing has still to be told, the one that may be forgotten first, first.
    pub(super) fn by_end(&self) -> impl Iterator<Item = (Time, &HoldId, &Hold)> {
        self.in_order(&self.ended)
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    pub(super) fn next_end(&self) -> Option<Time> {
        self.ended.first().map(|(at, _)| *at)
    }

    pub(super) fn ended_len(&self) -> usize {
        self.ended.len()
    }

    /// # Panics
    /// When there is one of that id.
    pub(super) fn insert(&mut self, id: HoldId, hold: Hold) {
        let hash = self.hasher.hash_one(&id);
        let before = self.by_id.find(hash, |place| self.kept(*place).id == id);
        assert!(before.is_none(), "a hold is made once");
        let place = self.free.pop().unwrap_or(self.places.len() as Place);
        let kept = Kept { id, hold, untold: 0 };
        self.note(place, &kept);
        let kept = Some(Box::new(kept));
        match self.places.get_mut(place as usize) {
            Some(free) => *free = kept,
            None => self.places.push(kept),
        }
        let (places, hasher) = (&self.places, &self.hasher);
        self.by_id.insert_unique(hash, place, |other| hasher.hash_one(&at(places, *other).id));
    }

    /// # Panics
    /// When there is none of that id.
    pub(super) fn change(&mut self, id: &HoldId, change: impl FnOnce(&mut Hold)) {
        let place = self.place(id).expect("a logged change is of a hold that is there");
        self.change_at(place, |kept| change(&mut kept.hold));
    }

    /// A fact about the hold stands in the outbox from now on, or does no longer. One that was forgotten before does not care.
    pub(super) fn count_untold(&mut self, id: &HoldId, count: impl FnOnce(u32) -> u32) {
        if let Some(place) = self.place(id) {
            self.change_at(place, |kept| kept.untold = count(kept.untold));
        }
    }

    fn change_at(&mut self, place: Place, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.places[place as usize].take().expect("a place that is found is taken");
        self.unnote(place, &kept);
        change(&mut kept);
        self.note(place, &kept);
        self.places[place as usize] = Some(kept);
    }

    /// # Panics
    /// When there is none of that id.
    pub(super) fn remove(&mut self, id: &HoldId) -> Hold {
        let hash = self.hasher.hash_one(id);
        let found = self.by_id.find_entry(hash, |place| at(&self.places, *place).id == *id);
        let (place, _) = found.expect("a forgotten hold was there").remove();
        let kept = self.places[place as usize].take().expect("a place that is found is taken");
        self.unnote(place, &kept);
        self.free.push(place);
        kept.hold
    }

    fn place(&self, id: &HoldId) -> Option<Place> {
        let hash = self.hasher.hash_one(id);
        self.by_id.find(hash, |place| self.kept(*place).id == *id).copied()
    }

    fn kept(&self, place: Place) -> &Kept {
        at(&self.places, place)
    }

    fn in_order<'a>(
        &'a self,
        agenda: &'a BTreeSet<(Time, Place)>,
    ) -> impl Iterator<Item = (Time, &'a HoldId, &'a Hold)> {
        agenda.iter().map(|(time, place)| {
            let kept = self.kept(*place);
            (*time, &kept.id, &kept.hold)
        })
    }

    /// Where a hold stands on the agenda that its status puts it on.
    fn note(&mut self, place: Place, kept: &Kept) {
        if let Some((agenda, at)) = self.agenda(kept) {
            agenda.insert((at, place));
        }
    }

    fn unnote(&mut self, place: Place, kept: &Kept) {
        if let Some((agenda, at)) = self.agenda(kept) {
            agenda.remove(&(at, place));
        }
    }

    fn agenda(&mut self, Kept { hold, untold, .. }: &Kept) -> Option<(&mut BTreeSet<(Time, Place)>, Time)> {
        match hold.status {
            HoldStatus::Held => Some((&mut self.deadlines, hold.deadline)),
            HoldStatus::Released | HoldStatus::Expired if *untold == 0 => {
                Some((&mut self.ended, hold.keep_until))
            }
            HoldStatus::Released | HoldStatus::Expired | HoldStatus::Confirmed => None,
        }
    }
}

fn at(places: &[Option<Box<Kept>>], place: Place) -> &Kept {
    places[place as usize].as_deref().expect("a place that is named is taken")
}
