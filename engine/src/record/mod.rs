//! Records: what is logged. Outcomes, never intentions; each record changes one slot and is enough by itself for whoever
//! follows the log: keys, seats, labels, amounts, deadlines and reasons are all in it.
//!
//! One file for each version of the bytes. The newest is what the engine works with and writes; an older one has the types
//! that have changed since, and is converted when it is read.

mod label;
mod v1;
mod v2;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rkyv::rancor;

pub use label::{Kind, Label};
pub(crate) use v1::{
    OrderRow as OrderRowV1, RefundRow as RefundRowV1, Reservation as ReservationV1,
    RunDefinition as RunDefinitionV1,
};
pub use v2::*;

use crate::ids::OrderKey;
pub use crate::status::ReleaseReason;
use crate::status::{CancelReason, OrderStatus};

/// The first byte of every record that is written. A change of any archived type needs a new one.
pub const RECORD_VERSION: u8 = 2;

impl Body {
    /// It takes memory for a new sale: what only makes way for one (expiry, forgetting) does not.
    #[must_use]
    pub const fn is_new_sale(&self) -> bool {
        matches!(
            self,
            Body::PartitionOpened(_) | Body::HoldMade(_) | Body::OrderCreated(_) | Body::PurchaseMade(_)
        )
    }
}

impl OrderRow {
    /// It was made with its hold, and lives in the slot of its run.
    #[must_use]
    pub const fn is_purchase(&self) -> bool {
        matches!(self.key, OrderKey::OfRun { .. })
    }

    /// The order as it is once cancelled. It has no seats any more; a repeat is compared with how many they were, and where.
    pub(crate) fn cancelled(&self, reason: CancelReason) -> OrderRow {
        let mut row = self.clone();
        row.status = OrderStatus::Cancelled;
        row.cancel_reason = Some(reason);
        if let Some(reservation) = &mut row.reservation {
            reservation.labels = Vec::new();
        }
        row
    }
}

/// Bytes that are no record or no slot image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DecodeError(pub String);

impl core::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for DecodeError {}

impl DecodeError {
    pub(crate) fn of(error: rancor::Error) -> DecodeError {
        DecodeError(error.to_string())
    }
}

/// Reads an archive: `Result<$type, DecodeError>`.
macro_rules! from_archive {
    ($type:ty, $archive:expr) => {
        rkyv::from_bytes::<$type, rkyv::rancor::Error>($archive).map_err($crate::record::DecodeError::of)
    };
}
pub(crate) use from_archive;

impl Record {
    /// The version byte, the label, then the rkyv archive; appended to `out`.
    ///
    /// # Panics
    /// Never in practice: an archive of owned data fails only when memory does.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend([RECORD_VERSION, self.body.label().byte()]);
        encode_archive(self, out);
    }

    /// rkyv's validation makes this memory-safe. Integrity is the business of the log's checksum, consistency with the slot
    /// that of [`Slot::check`](crate::state::Slot::check).
    ///
    /// # Errors
    /// The bytes are of an unknown version or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Record, DecodeError> {
        match versioned("record", bytes)? {
            (1, archive) => Ok(from_archive!(v1::Record, archive)?.into()),
            (RECORD_VERSION, labelled) => {
                let (label, archive) = Label::split(labelled)?;
                let record = from_archive!(Record, archive)?;
                if record.body.label() != label {
                    return Err(DecodeError("a record that is not what its label says".to_string()));
                }
                Ok(record)
            }
            (version, _) => Err(unknown_version("record", version, RECORD_VERSION)),
        }
    }
}

type Serializer<'a> =
    rkyv::api::high::HighSerializer<Vec<u8>, rkyv::ser::allocator::ArenaHandle<'a>, rancor::Error>;

pub(crate) fn encode_versioned<T>(version: u8, value: &T, out: &mut Vec<u8>)
where
    T: for<'a> rkyv::Serialize<Serializer<'a>>,
{
    out.push(version);
    encode_archive(value, out);
}

/// Appends an archive.
fn encode_archive<T>(value: &T, out: &mut Vec<u8>)
where
    T: for<'a> rkyv::Serialize<Serializer<'a>>,
{
    let buffer = core::mem::take(out);
    // The archive is unaligned with relative pointers: it may start anywhere.
    *out = rkyv::api::high::to_bytes_in::<_, rancor::Error>(value, buffer).expect("an archive in memory");
}

/// The version byte, and the archive behind it.
pub(crate) fn versioned<'a>(what: &str, bytes: &'a [u8]) -> Result<(u8, &'a [u8]), DecodeError> {
    match bytes.split_first() {
        Some((version, archive)) => Ok((*version, archive)),
        None => Err(DecodeError(format!("an empty {what}"))),
    }
}

pub(crate) fn unknown_version(what: &str, version: u8, newest: u8) -> DecodeError {
    DecodeError(format!("{what} version {version}, expected 1 to {newest}"))
}
