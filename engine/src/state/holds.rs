//! The holds of a partition: found by their ids, and in the order in which their times come.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Hold;
use super::schedule::{Place, Schedule};
use crate::answer::HoldStatus;
use crate::ids::{HoldId, Time};

/// See the module. An id is kept once; everything else names a hold by its place.
#[derive(Debug, Default)]
pub(super) struct Holds {
    by_id: HashTable<Entry>,
    hasher: DefaultHashBuilder,
    /// Boxed: the table grows by copying its places, and holds come by the thousand.
    places: Vec<Option<Box<Kept>>>,
    /// Used again once their holds are forgotten.
    free: Vec<Place>,
    /// When live holds expire; derived.
    deadlines: Schedule,
    /// When ended holds may be forgotten, of which nothing has still to be told; derived.
    ended: Schedule,
}

/// Where a hold is, and the hash of its id, so that a table which grows asks for neither.
#[derive(Clone, Copy, Debug)]
struct Entry {
    hash: u32,
    place: Place,
}

impl Entry {
    /// The table looks at the lowest bits and at the highest ones.
    fn wide_hash(self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
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
        self.deadlines.first().map(|(at, _)| at)
    }

    pub(super) fn next_end(&self) -> Option<Time> {
        self.ended.first().map(|(at, _)| at)
    }

    pub(super) fn ended_len(&self) -> usize {
        self.ended.len()
    }

    /// # Panics
    /// When there is one of that id.
    pub(super) fn insert(&mut self, id: HoldId, hold: Hold) {
        let hash = self.hash(&id);
        assert!(self.find(hash, &id).is_none(), "a hold is made once");
        let place = self.free.pop().unwrap_or(self.places.len() as Place);
        let kept = Kept { id, hold, untold: 0 };
        self.note(place, &kept);
        let kept = Some(Box::new(kept));
        match self.places.get_mut(place as usize) {
            Some(free) => *free = kept,
            None => self.places.push(kept),
        }
        let entry = Entry { hash, place };
        self.by_id.insert_unique(entry.wide_hash(), entry, |other| other.wide_hash());
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
        let place = self.place(id).expect("a forgotten hold was there");
        let entry = Entry { hash: self.hash(id), place };
        let found = self.by_id.find_entry(entry.wide_hash(), |other| other.place == place);
        found.expect("a place that is found has an entry").remove();
        let kept = self.places[place as usize].take().expect("a place that is found is taken");
        self.unnote(place, &kept);
        self.free.push(place);
        kept.hold
    }

    fn place(&self, id: &HoldId) -> Option<Place> {
        self.find(self.hash(id), id)
    }

    fn find(&self, hash: u32, id: &HoldId) -> Option<Place> {
        let entry = Entry { hash, place: 0 };
        let is_it = |other: &Entry| other.hash == hash && self.kept(other.place).id == *id;
        self.by_id.find(entry.wide_hash(), is_it).map(|entry| entry.place)
    }

    fn hash(&self, id: &HoldId) -> u32 {
        let hash = self.hasher.hash_one(id.as_str());
        (hash ^ hash >> 32) as u32
    }

    fn kept(&self, place: Place) -> &Kept {
        at(&self.places, place)
    }

    fn in_order<'a>(&'a self, schedule: &'a Schedule) -> impl Iterator<Item = (Time, &'a HoldId, &'a Hold)> {
        schedule.iter().map(|(time, place)| {
            let kept = self.kept(place);
            (time, &kept.id, &kept.hold)
        })
    }

    /// Where a hold stands on the schedule that its status puts it on.
    fn note(&mut self, place: Place, kept: &Kept) {
        if let Some((schedule, at)) = self.schedule(kept) {
            schedule.insert((at, place));
        }
    }

    fn unnote(&mut self, place: Place, kept: &Kept) {
        if let Some((schedule, at)) = self.schedule(kept) {
            schedule.remove((at, place));
        }
    }

    fn schedule(&mut self, Kept { hold, untold, .. }: &Kept) -> Option<(&mut Schedule, Time)> {
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
