//! Replay: what recovery reads from the disk, given to the owner of the state.

use crate::types::Lsn;

/// Receives what recovery reads, in order: the slots of the snapshot, then the records of the log.
pub trait Recover {
    /// A piece of the image of a slot, which holds all records of that slot up to `lsn`. All pieces of a slot come one after another.
    fn piece(&mut self, slot: u16, lsn: Lsn, image: &[u8]) -> Result<(), String>;
    /// A record. Slots are imaged one after the other while the log goes on, so some images already hold the first records.
    /// Skip a record whose slot has an image of this number or a later one: only the receiver knows a record's slot.
    fn record(&mut self, lsn: Lsn, record: &[u8]) -> Result<(), String>;
}
