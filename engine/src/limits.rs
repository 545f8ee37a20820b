//! Every bound of the engine, by name. What lies beyond one is refused, never stored.

/// Slots of a data directory; fixed for its life.
pub const SLOTS: u16 = 4_096;

/// Bytes of an `idempotency_key`, `partition_key` or `hold_id`.
pub const KEY_BYTES_MAX: usize = 128;
/// Bytes of a `provider_txn_id`.
pub const TXN_ID_BYTES_MAX: usize = 128;
/// Bytes of an order id as a client may write it.
pub const ORDER_ID_BYTES_MAX: usize = 64;
/// Bytes of a refund's settlement reference.
pub const REFERENCE_BYTES_MAX: usize = 128;
/// Bytes of a trace id kept in a record; a longer one is cut at the edge.
pub const TRACE_ID_BYTES_MAX: usize = 64;

/// Seats of one hold.
pub const QUANTITY_MAX: u32 = 2_000;
/// Seats of an ad hoc partition.
pub const AD_HOC_CAPACITY_MAX: u32 = allocator::AD_HOC_SEATS_MAX;

/// Partitions that one slot keeps open.
pub const PARTITIONS_PER_SLOT_MAX: usize = 1 << 16;
/// Holds, live and ended, that one partition remembers.
pub const HOLDS_PER_PARTITION_MAX: usize = 1 << 20;
/// Ended holds that one partition remembers; beyond it the oldest are forgotten before their time.
pub const ENDED_HOLDS_PER_PARTITION_MAX: usize = 1 << 18;
/// Bytes of memory that one slot takes, as estimated, before it takes no new sale. What goes on beyond it (money,
/// releases) has the rest of a slot image's bound for itself.
pub const SLOT_BYTES_MAX: usize = 192 << 20;
/// Orders that one slot remembers.
pub const ORDERS_PER_SLOT_MAX: usize = 1 << 20;
/// Claimed transaction ids that one slot remembers.
pub const CLAIMS_PER_SLOT_MAX: usize = 1 << 20;
/// Refunds, owed and settled, that one slot remembers.
pub const REFUNDS_PER_SLOT_MAX: usize = 1 << 20;
/// Tells waiting in one slot's outbox before it takes no new sale.
pub const OUTBOX_PER_SLOT_MAX: usize = 1 << 16;

/// Holds that one expiry record ends.
pub const EXPIRED_PER_RECORD_MAX: usize = 64;
/// Seats, over all its holds, that one expiry record frees. A single hold may exceed it on its own.
pub const EXPIRED_SEATS_PER_RECORD_MAX: usize = 2_000;
/// Ended holds that one record forgets.
pub const FORGOTTEN_PER_RECORD_MAX: usize = 256;
/// Orders that one record gives up before their time.
pub const ABANDONED_PER_RECORD_MAX: usize = 256;
/// An order that never had a hold or money is given up no younger, however short memory is.
pub const ABANDONED_AGE_MIN_MS: u64 = 600_000;
/// Orders that one record forgets, and refunds.
pub const LEFT_PER_RECORD_MAX: usize = 256;
/// Orders whose time has come that are looked at for one record.
pub const LEAVING_SEEN_MAX: usize = 1_024;
/// Transaction ids of an order that leaves; one with more stays.
pub const LEAVING_TXNS_MAX: usize = 256;
/// An answer of the read model about a payment counts for so long. A settled refund of an order that has left is kept for as long at least, so that it is in one of both.
pub const LOOKED_UP_MS_MAX: u64 = 30_000;
/// An ad hoc partition with sold seats is kept for so long after the date of its key begins: that day and three more.
pub const AD_HOC_KEPT_PAST_DATE_MS: u64 = 4 * 86_400_000;
/// Refunds in one page of a listing.
pub const REFUNDS_PAGE_MAX: usize = 1_000;

const _: () = assert!(SLOTS.is_power_of_two());
const _: () = assert!(ENDED_HOLDS_PER_PARTITION_MAX < HOLDS_PER_PARTITION_MAX);
const _: () = assert!(QUANTITY_MAX <= AD_HOC_CAPACITY_MAX);
const _: () = assert!(EXPIRED_SEATS_PER_RECORD_MAX >= QUANTITY_MAX as usize);
const _: () = assert!(KEY_BYTES_MAX >= OrderIdText::LEN);

/// The text form of an order id is also the hold id of an order that names none.
struct OrderIdText;
impl OrderIdText {
    const LEN: usize = 36;
}
