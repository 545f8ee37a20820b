//! The slots of one core: the state that this core alone changes, and how much memory it takes.

use engine::effect::Effect;
use engine::ids::SlotId;
use engine::limits::SLOTS;
use engine::record::Record;
use engine::slots::{core_of, place_of};
use engine::state::Slot;
use wal::Lsn;

/// The slots that a core owns, in order.
pub(crate) fn slots_of(core: u16, cores: u16) -> impl Iterator<Item = SlotId> {
    (0..SLOTS).map(SlotId::new).filter(move |slot| core_of(*slot, cores) == core)
}

/// A slot, and the last record that changed it since the start.
#[derive(Debug)]
pub(crate) struct OwnedSlot {
    pub(crate) slot: Box<Slot>,
    pub(crate) last_lsn: Lsn,
}

#[derive(Debug)]
pub(crate) struct OwnedSlots {
    core: u16,
    cores: u16,
    slots: Vec<OwnedSlot>,
    /// As estimated.
    state_bytes: u64,
}

impl OwnedSlots {
    /// `slots` are those of [`slots_of`], in that order.
    pub(crate) fn new(core: u16, cores: u16, slots: impl IntoIterator<Item = Box<Slot>>) -> OwnedSlots {
        let slots = slots.into_iter().map(|slot| OwnedSlot { slot, last_lsn: Lsn(0) });
        let slots: Vec<_> = slots.collect();
        let state_bytes = slots.iter().map(|owned| owned.slot.memory_estimate() as u64).sum();
        OwnedSlots { core, cores, slots, state_bytes }
    }

    pub(crate) fn get(&self, slot: SlotId) -> &OwnedSlot {
        &self.slots[self.place(slot)]
    }

    /// The slot at a place in the order of slots, for its image.
    pub(crate) fn nth_mut(&mut self, place: usize) -> Option<&mut Slot> {
        self.slots.get_mut(place).map(|owned| &mut *owned.slot)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().map(|owned| &*owned.slot)
    }

    pub(crate) fn apply(&mut self, record: &Record, lsn: Lsn, effects: &mut Vec<Effect>) {
        let place = self.place(record.slot);
        let owned = &mut self.slots[place];
        let before = owned.slot.memory_estimate() as u64;
        owned.slot.apply(record, effects);
        owned.last_lsn = lsn;
        self.state_bytes = self.state_bytes - before + owned.slot.memory_estimate() as u64;
    }

    pub(crate) fn state_bytes(&self) -> u64 {
        self.state_bytes
    }

    /// The place of a slot among those of this core.
    pub(crate) fn place(&self, slot: SlotId) -> usize {
        assert_eq!(core_of(slot, self.cores), self.core, "a slot has one owner");
        place_of(slot, self.cores)
    }
}
