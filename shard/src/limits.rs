//! Every bound of the loop, by name.

/// Commands waiting for their turn; beyond it they are refused as busy.
pub const COMMANDS_WAITING_MAX: usize = 16_384;
/// Commands and messages that one turn takes before it looks at the disk again.
pub const TAKEN_PER_TURN_MAX: usize = 1_024;
/// Of so many pieces of work that one turn takes, one is a command, however many messages wait.
pub const COMMANDS_ONE_IN: usize = 16;
/// Messages that wait for their turn before no more are taken from other cores.
pub const MESSAGES_WAITING_MAX: usize = 16_384;
/// Operations that wait for another slot.
pub const OPERATIONS_MAX: usize = 65_536;
/// Commands of one batch.
pub const BATCH_OPERATIONS_MAX: usize = 8_192;
/// Batches under way; beyond it they are refused as busy.
pub const BATCHES_MAX: usize = 64;
/// Commands of batches that one turn begins, behind those that came alone: a part of a millisecond.
pub const BATCHED_PER_TURN_MAX: usize = 128;
/// Bytes that wait for the disk from which on no command of a batch begins: those that come alone do not wait behind a long write.
pub const BATCHED_BACKLOG_BYTES_MAX: usize = 256 * 1_024;
/// Commands of one batch in a row before another one has its turn.
pub const BATCH_RUN: usize = 64;
/// Operations queued for one order, the one under way included.
pub const OPERATIONS_PER_ORDER_MAX: usize = 16;
/// Callers that wait for one operation.
pub const WAITERS_MAX: usize = 64;
/// Times that one operation may ask other slots.
pub const ASKS_MAX: u32 = 16;
/// Records that one run of one operation may cause in its slot; expiry of what is due counts.
pub const RECORDS_PER_RUN_MAX: u32 = 65_536;
/// Records that time alone causes in one turn.
pub const DUE_RECORDS_PER_TURN_MAX: usize = 64;
/// A tell that was not acknowledged is sent again after this long.
pub const RESEND_MS: u64 = 1_000;
/// Tells sent again in one turn.
pub const RESENT_PER_TURN_MAX: usize = 256;
/// Tells looked at in one turn for whether they have to be sent again.
pub const RESENDS_SEEN_PER_TURN_MAX: usize = 16_384;
/// The time between two sweeps for overdue orders.
pub const SWEEP_MS: u64 = 1_000;
/// Overdue orders that one sweep asks after.
pub const OVERDUE_PER_SWEEP_MAX: usize = 1_024;
/// Memory that is short is made free until so many parts less one of its limit are taken.
pub const RECLAIM_PARTS: u64 = 16;
/// Records that free memory at a time; where the state is still full, it goes on until the log has to be waited for.
pub const RECLAIM_RECORDS_MAX: usize = 64;
/// Pause before memory is looked for again, after nothing could be freed, or when something ends.
pub const RECLAIM_PAUSE_MS: u64 = 1_000;
/// Records in one turn that let something leave.
pub const LEFT_RECORDS_PER_TURN_MAX: usize = 64;
/// Slots in one turn that are looked at for what may leave.
pub const LEFT_SLOTS_PER_TURN_MAX: usize = 256;
/// Orders of a slot that ask at a time how long their seats are kept.
pub const ASKED_PER_SLOT_MAX: usize = 4;
/// Tells that one record notes as acknowledged.
pub const ACKS_PER_RECORD_MAX: usize = 1_024;
/// Bytes of slot images that one turn gives to a snapshot, in pieces: some 200 holds, a small part of a millisecond.
pub const IMAGE_BYTES_PER_TURN: usize = 32 * 1_024;
/// Slots that one turn gives to a snapshot.
pub const SNAPSHOT_SLOTS_PER_TURN: usize = 64;
/// The longest that a commit waits for company.
pub const COMMIT_DELAY_MAX_US: u64 = 1_000;
/// Turns in a row without work after which a commit waits no longer: a client needs a moment to ask again.
pub const IDLE_TURNS_MAX: u32 = 3;
/// For nodes to quiesce once every edge has closed.
pub const QUIESCE_TIMEOUT_US: u64 = 5_000_000;
/// Bytes of records kept together in one frame of the log at most; more than that is split between records.
pub const GROUP_BYTES_MAX: usize = 64 * 1_024;

const _: () = assert!(BATCHED_BACKLOG_BYTES_MAX < wal::limits::BACKLOG_BYTES_MAX);
const _: () = assert!(engine::limits::SLOT_BYTES_MAX + GROUP_BYTES_MAX < wal::limits::SLOT_IMAGE_BYTES_MAX);
const _: () =
    assert!(DUE_RECORDS_PER_TURN_MAX * engine::limits::EXPIRED_PER_RECORD_MAX < MESSAGES_WAITING_MAX);
