//! Reading a core's snapshot and log.

use crate::types::Lsn;

/// Takes what recovery reads, in order: first the slots of the snapshot, then the records.
pub trait Recover {
    /// The image of a slot, which holds all records of that slot up to `lsn`.
    fn slot(&mut self, slot: u16, lsn: Lsn, image: &[u8]) -> Result<(), String>;
    /// A record. Slots were imaged one after the other, so the first records may be in some images already: the record of
    /// a slot whose image has this number or a later one is skipped by the taker, who alone knows a record's slot.
    fn record(&mut self, lsn: Lsn, record: &[u8]) -> Result<(), String>;
}

/// A torn tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub file: String,
    /// Where the torn frame begins.
    pub offset: u64,
    /// Its length if its header can be read, otherwise that of its first block.
    pub bytes: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// What recovery found.
#[derive(Debug)]
pub struct Recovered {
    /// The last record; it and all before it are durable.
    pub last: Lsn,
    /// The torn tail, if there was one. It was never acknowledged.
    pub cut: Option<Cut>,
}
