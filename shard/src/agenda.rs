//! Which slots want attention when.

use std::collections::BTreeSet;

use engine::ids::{SlotId, Time};

/// Slots by the time at which they want attention.
pub(crate) type Agenda = BTreeSet<(Time, SlotId)>;

/// Moves a slot from where it stands, if it does, to where it should.
pub(crate) fn move_on(agenda: &mut Agenda, slot: SlotId, at: &mut Option<Time>, next: Option<Time>) {
    if *at == next {
        return;
    }
    if let Some(old) = *at {
        agenda.remove(&(old, slot));
    }
    if let Some(new) = next {
        agenda.insert((new, slot));
    }
    *at = next;
}
