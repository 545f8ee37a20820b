//! Recovery: the slots of a core, from its snapshot and its log.

use engine::effect::Effect;
use engine::ids::{SlotId, Time};
use engine::limits::SLOTS;
use engine::record::Record;
use engine::slots::{core_of, place_of};
use engine::state::Slot;
use wal::{Lsn, Recover};

use crate::slots::slots_of;

/// The slots of one core while they are read back.
#[derive(Debug)]
pub struct Recovery {
    core: u16,
    cores: u16,
    /// Boxed: there are thousands, and they are moved several times before they are at work.
    slots: Vec<(Box<Slot>, Lsn)>,
    records: u64,
    /// The slots are there already, as they were just written: what is read must be whole, and is not decoded.
    is_dealt: bool,
    /// Not performed: what is still to be done stands in the state.
    effects: Vec<Effect>,
}

impl Recovery {
    /// Blank slots of core `core` of `cores`.
    #[must_use]
    pub fn new(core: u16, cores: u16) -> Recovery {
        let slots = slots_of(core, cores).map(|slot| (Box::new(Slot::new(slot)), Lsn(0))).collect();
        Recovery { core, cores, slots, records: 0, is_dealt: false, effects: Vec::new() }
    }

    /// Slots whose images were just written to a new epoch, for [`Recovery::push`] to bring them.
    pub(crate) fn dealt(core: u16, cores: u16) -> Recovery {
        Recovery { core, cores, slots: Vec::new(), records: 0, is_dealt: true, effects: Vec::new() }
    }

    /// The next of its slots, in order.
    pub(crate) fn push(&mut self, slot: Box<Slot>) {
        self.slots.push((slot, Lsn(0)));
    }

    pub fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().map(|(slot, _)| &**slot)
    }

    #[must_use]
    pub fn into_slots(self) -> Vec<Box<Slot>> {
        self.slots.into_iter().map(|(slot, _)| slot).collect()
    }

    /// Records that were applied over the snapshot.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The time of the last record of all.
    #[must_use]
    pub fn last_time(&self) -> Time {
        self.slots.iter().map(|(slot, _)| slot.time()).max().unwrap_or_default()
    }

    fn entry(&mut self, slot: SlotId) -> Result<&mut (Box<Slot>, Lsn), String> {
        if core_of(slot, self.cores) != self.core {
            return Err(format!("slot {} is not core {}'s", slot.get(), self.core));
        }
        self.slots
            .get_mut(place_of(slot, self.cores))
            .ok_or_else(|| format!("there is no slot {}", slot.get()))
    }
}

impl Recover for Recovery {
    fn piece(&mut self, slot: u16, lsn: Lsn, image: &[u8]) -> Result<(), String> {
        if slot >= SLOTS {
            return Err(format!("there is no slot {slot}"));
        }
        let id = SlotId::new(slot);
        let is_dealt = self.is_dealt;
        let entry = self.entry(id)?;
        entry.1 = lsn;
        if is_dealt {
            return Ok(());
        }
        // A blank one stands there already.
        if image.is_empty() {
            return Ok(());
        }
        entry.0.restore_piece(image).map_err(|e| e.to_string())
    }

    fn record(&mut self, lsn: Lsn, record: &[u8]) -> Result<(), String> {
        let record = Record::decode(record).map_err(|e| e.to_string())?;
        let mut effects = std::mem::take(&mut self.effects);
        let (slot, image) = self.entry(record.slot)?;
        if lsn <= *image {
            return Ok(());
        }
        if record.seq != slot.seq() + 1 {
            return Err(format!("record {} of slot {} follows {}", record.seq, slot.id().get(), slot.seq()));
        }
        let refused = |reason| format!("record {} of slot {}: {reason}", record.seq, record.slot.get());
        slot.check(&record).map_err(refused)?;
        slot.apply(&record, &mut effects);
        effects.clear();
        self.effects = effects;
        self.records += 1;
        Ok(())
    }
}
