//! The holds of a partition: found by their ids, and in the order in which their times come.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Hold;
use super::schedule::{Place, Schedule};
use crate::ids::{HoldId, Time};
use crate::status::HoldStatus;

/// See the module. An id is kept once; everything else names a hold by its place.
#[derive(Debug, Default)]
pub(super) struct Holds {
    by_id: HashTable<Found>,
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

/// Where a hold is, and the hash of its id, so that a table which grows asks no hold for its id.
#[derive(Clone, Copy, Debug)]
struct Found {
    hash: u32,
    place: Place,
}

impl Found {
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
        self.schedule(None, due(&kept), place);
        let kept = Some(Box::new(kept));
        match self.places.get_mut(place as usize) {
            Some(free) => *free = kept,
            None => self.places.push(kept),
        }
        let found = Found { hash, place };
        self.by_id.insert_unique(found.wide_hash(), found, |other| other.wide_hash());
    }

    /// # Panics
    /// When there is none of that id.
    pub(super) fn change(&mut self, id: &HoldId, change: impl FnOnce(&mut Hold)) {
        let place = self.place(id).expect("a logged change is of a hold that is there");
        self.change_at(place, |kept| change(&mut kept.hold));
    }

    /// A fact about the hold joined the outbox. One about a hold that was forgotten before counts for nothing.
    pub(super) fn tell_recorded(&mut self, id: &HoldId) {
        if let Some(place) = self.place(id) {
            self.change_at(place, |kept| kept.untold += 1);
        }
    }

    /// A fact about the hold left the outbox.
    pub(super) fn tell_acknowledged(&mut self, id: &HoldId) {
        if let Some(place) = self.place(id) {
            self.change_at(place, |kept| kept.untold = kept.untold.saturating_sub(1));
        }
    }

    fn change_at(&mut self, place: Place, change: impl FnOnce(&mut Kept)) {
        let mut kept = self.places[place as usize].take().expect("a place that is found is taken");
        let before = due(&kept);
        change(&mut kept);
        self.schedule(before, due(&kept), place);
        self.places[place as usize] = Some(kept);
    }

    /// # Panics
    /// When there is none of that id.
    pub(super) fn remove(&mut self, id: &HoldId) -> Hold {
        let hash = self.hash(id);
        let place = self.find(hash, id).expect("a forgotten hold was there");
        let found = Found { hash, place };
        let found = self.by_id.find_entry(found.wide_hash(), |other| other.place == place);
        found.expect("a place that is found is in the table").remove();
        let kept = self.places[place as usize].take().expect("a place that is found is taken");
        self.schedule(due(&kept), None, place);
        self.free.push(place);
        kept.hold
    }

    fn place(&self, id: &HoldId) -> Option<Place> {
        self.find(self.hash(id), id)
    }

    fn find(&self, hash: u32, id: &HoldId) -> Option<Place> {
        let wanted = Found { hash, place: 0 };
        let is_it = |other: &Found| other.hash == hash && self.kept(other.place).id == *id;
        self.by_id.find(wanted.wide_hash(), is_it).map(|found| found.place)
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

    /// Moves a hold to where it is due. One that stays is not touched: taken out and put back, it would come behind others.
    fn schedule(&mut self, before: Option<Due>, after: Option<Due>, place: Place) {
        if before == after {
            return;
        }
        match before {
            Some(Due::Deadline(at)) => self.deadlines.remove((at, place)),
            Some(Due::End(at)) => self.ended.remove((at, place)),
            None => {}
        }
        match after {
            Some(Due::Deadline(at)) => self.deadlines.insert((at, place)),
            Some(Due::End(at)) => self.ended.insert((at, place)),
            None => {}
        }
    }
}

/// The schedule that a hold is on, and its time there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Due {
    Deadline(Time),
    End(Time),
}

fn due(Kept { hold, untold, .. }: &Kept) -> Option<Due> {
    match hold.status {
        HoldStatus::Held => Some(Due::Deadline(hold.deadline)),
        HoldStatus::Released | HoldStatus::Expired if *untold == 0 => Some(Due::End(hold.keep_until)),
        HoldStatus::Released | HoldStatus::Expired | HoldStatus::Confirmed => None,
    }
}

fn at(places: &[Option<Box<Kept>>], place: Place) -> &Kept {
    places[place as usize].as_deref().expect("a place that is named is taken")
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use allocator::{SeatNo, Span};

    use super::*;

    fn id(number: u32) -> HoldId {
        HoldId::parse(&format!("hold-{number}")).expect("an id")
    }

    fn held(number: u32) -> Hold {
        Hold {
            span: Span::new(0, 1).expect("a span"),
            seats: [SeatNo(number)].into(),
            status: HoldStatus::Held,
            owner: None,
            deadline: Time(number.into()),
            txn: None,
            release_reason: None,
            keep_until: Time(0),
        }
    }

    /// Its order acknowledges it when younger ones are there already.
    #[test]
    fn a_hold_that_is_told_of_keeps_its_place() {
        const HOLDS: u32 = 10;
        let mut holds = Holds::default();
        (0..HOLDS).for_each(|number| holds.insert(id(number), held(number)));
        for number in 0..HOLDS {
            holds.tell_recorded(&id(number));
            holds.tell_acknowledged(&id(number));
        }
        assert!(holds.by_deadline().map(|(_, id, _)| id).eq((0..HOLDS).map(id).collect::<Vec<_>>().iter()));
        assert_eq!(holds.deadlines.strays_len(), 0, "in a queue of its own");
    }
}
