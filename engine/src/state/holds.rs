//! The holds of a partition: by id, and by the time at which each is due.

use alloc::boxed::Box;
use core::ops::ControlFlow;

use super::Hold;
use super::imaged_map::ImagedMap;
use crate::due_index::DueIndex;
use crate::ids::{HoldId, Time};
use crate::status::HoldStatus;

/// A map from ids, and two timer queues: a live hold is due at its deadline, an ended one when it may be forgotten. Every
/// change goes through [`Holds::change_entry`], so that the queues follow.
#[derive(Debug, Default)]
pub(super) struct Holds {
    /// Boxed: entries move within the map whenever others come and go.
    by_id: ImagedMap<HoldId, Box<HoldEntry>>,
    /// Live holds by deadline; derived.
    deadlines: DueIndex<HoldId>,
    /// Ended holds without an unacknowledged tell, by when they may be forgotten; derived.
    ended: DueIndex<HoldId>,
}

#[derive(Clone, Debug)]
struct HoldEntry {
    hold: Hold,
    /// Facts about it that stand in the outbox; derived.
    unacknowledged_tells: u32,
}

impl HoldEntry {
    fn deadline(&self) -> Option<Time> {
        (self.hold.status == HoldStatus::Held).then_some(self.hold.deadline)
    }

    fn forgettable_at(&self) -> Option<Time> {
        let has_ended = matches!(self.hold.status, HoldStatus::Released | HoldStatus::Expired);
        (has_ended && self.unacknowledged_tells == 0).then_some(self.hold.keep_until)
    }
}

impl Holds {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn get(&self, id: &HoldId) -> Option<&Hold> {
        self.by_id.get(id).map(|entry| &entry.hold)
    }

    /// Every hold with its id, in the order of ids.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&HoldId, &Hold)> {
        self.by_id.iter().map(|(id, entry)| (id, &entry.hold))
    }

    /// Live holds, the one whose deadline comes first, first.
    pub(super) fn by_deadline(&self) -> impl Iterator<Item = (Time, &HoldId, &Hold)> {
        self.deadlines.iter().map(|(at, id)| (at, id, &self.by_id[id].hold))
    }

    /// Ended holds without an unacknowledged tell, the one that may be forgotten first, first.
    pub(super) fn by_end(&self) -> impl Iterator<Item = (Time, &HoldId)> {
        self.ended.iter()
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
        let entry = HoldEntry { hold, unacknowledged_tells: 0 };
        self.deadlines.reschedule(&id, None, entry.deadline());
        self.ended.reschedule(&id, None, entry.forgettable_at());
        let before = self.by_id.insert(id, Box::new(entry));
        assert!(before.is_none(), "a hold is made once");
    }

    /// # Panics
    /// When there is none of that id.
    pub(super) fn change(&mut self, id: &HoldId, change: impl FnOnce(&mut Hold)) {
        let found = self.change_entry(id, |entry| change(&mut entry.hold));
        assert!(found, "a logged change is of a hold that is there");
    }

    /// A fact about the hold joined the outbox. One about a hold that was forgotten before counts for nothing.
    pub(super) fn tell_recorded(&mut self, id: &HoldId) {
        self.change_entry(id, |entry| entry.unacknowledged_tells += 1);
    }

    /// A fact about the hold left the outbox.
    pub(super) fn tell_acknowledged(&mut self, id: &HoldId) {
        self.change_entry(id, |entry| {
            entry.unacknowledged_tells = entry.unacknowledged_tells.saturating_sub(1);
        });
    }

    /// False where there is none of that id.
    fn change_entry(&mut self, id: &HoldId, change: impl FnOnce(&mut HoldEntry)) -> bool {
        let Some(entry) = self.by_id.get_mut(id) else { return false };
        let (deadline, forgettable_at) = (entry.deadline(), entry.forgettable_at());
        change(entry);
        self.deadlines.reschedule(id, deadline, entry.deadline());
        self.ended.reschedule(id, forgettable_at, entry.forgettable_at());
        true
    }

    /// # Panics
    /// When there is none of that id.
    pub(super) fn remove(&mut self, id: &HoldId) -> Hold {
        let entry = self.by_id.remove(id).expect("a forgotten hold was there");
        self.deadlines.reschedule(id, entry.deadline(), None);
        self.ended.reschedule(id, entry.forgettable_at(), None);
        entry.hold
    }

    pub(super) fn last_id(&self) -> Option<&HoldId> {
        self.by_id.last_key_value().map(|(id, _)| id)
    }

    pub(super) fn begin_image(&mut self) {
        self.by_id.begin_image();
    }

    pub(super) fn drop_image(&mut self) {
        self.by_id.drop_image();
    }

    /// As [`ImagedMap::give_image`].
    pub(super) fn give_image(&mut self, mut give: impl FnMut(&HoldId, &Hold) -> ControlFlow<()>) -> bool {
        self.by_id.give_image(|id, entry| give(id, &entry.hold))
    }
}
