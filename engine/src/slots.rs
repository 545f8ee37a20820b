//! Placement: the keyed hash that places every key in a slot, and slots on cores.
//!
//! SipHash-2-4 under the data directory's secret, over one domain byte and the key; the low 12 bits are the slot.

use core::hash::Hasher;

use siphasher::sip::SipHasher24;

use crate::ids::{IdempotencyKey, OrderId, OrderKey, OrderName, PartitionKey, SlotId, TxnId};
use crate::limits::SLOTS;

/// Places keys in slots. Fixed for the life of a data directory, because its secret is.
#[derive(Clone, Debug)]
pub struct SlotHash {
    secret: [u8; 16],
}

impl SlotHash {
    #[must_use]
    pub const fn new(secret: [u8; 16]) -> SlotHash {
        SlotHash { secret }
    }

    /// A key shaped `train|date|class` goes where its run goes, so that a run's classes are together; any other
    /// goes by itself.
    #[must_use]
    pub fn partition(&self, key: &PartitionKey) -> SlotId {
        self.run_or_ad_hoc(key.run_or_self())
    }

    /// `train|date` of a run.
    #[must_use]
    pub fn run(&self, run: &str) -> SlotId {
        self.run_or_ad_hoc(run)
    }

    #[must_use]
    pub fn idempotency_key(&self, key: &IdempotencyKey) -> SlotId {
        self.place(b'o', key.as_str())
    }

    /// A purchase goes where its run goes.
    #[must_use]
    pub fn order_key(&self, key: &OrderKey) -> SlotId {
        match key {
            OrderKey::Plain(key) => self.idempotency_key(key),
            OrderKey::OfRun { run, .. } => self.run_or_ad_hoc(run.as_str()),
        }
    }

    /// An order's id carries its slot; a name that is no order's id still has a place, for what is recorded about it.
    #[must_use]
    pub fn order_name(&self, name: &OrderName) -> SlotId {
        match OrderId::parse(name.as_str()) {
            Some(order) => order.slot(),
            None => self.place(b'n', name.as_str()),
        }
    }

    #[must_use]
    pub fn txn(&self, txn: &TxnId) -> SlotId {
        self.place(b't', txn.as_str())
    }

    fn run_or_ad_hoc(&self, key: &str) -> SlotId {
        self.place(b'p', key)
    }

    fn place(&self, domain: u8, key: &str) -> SlotId {
        let mut hasher = SipHasher24::new_with_key(&self.secret);
        hasher.write_u8(domain);
        hasher.write(key.as_bytes());
        let slot = hasher.finish() % u64::from(SLOTS);
        SlotId::new(slot as u16)
    }
}

/// The core that owns a slot.
#[must_use]
pub fn core_of(slot: SlotId, cores: u16) -> u16 {
    slot.get() % cores
}

/// The place of a slot among those of its core.
#[must_use]
pub fn place_of(slot: SlotId, cores: u16) -> usize {
    usize::from(slot.get() / cores)
}
