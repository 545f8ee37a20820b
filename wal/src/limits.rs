//! Every limit of the log by name, and the relations that hold between them.

/// What a log write is a multiple of, and aligned to: the largest logical block of the disks in use.
pub const BLOCK_BYTES: usize = 4096;

/// Slots of a data directory, fixed for its life.
pub const SLOTS: u16 = 4096;

/// Cores that a data directory can be distributed over.
pub const CORES_MAX: u16 = 1024;

/// The largest frame, header and padding included. It is also how far a torn write can reach, so it may grow but never
/// shrink without a new format version.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// The records of one group together, [`RECORD_FRAMING_BYTES`] counted for each. More is a bug of the caller.
pub const GROUP_BYTES_MAX: usize = 128 << 10;

/// What one record takes in a frame beside its own bytes.
pub const RECORD_FRAMING_BYTES: usize = 4;

/// The smallest and the largest segment.
pub const SEGMENT_BYTES_MIN: u64 = 256 << 10;
/// See [`SEGMENT_BYTES_MIN`].
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// The most spare segments that can be asked for.
pub const SPARE_SEGMENTS_MAX: u32 = 64;

/// Bytes that wait in memory for the disk: beyond it the caller takes no new work.
pub const BACKLOG_BYTES_MAX: usize = 8 << 20;

/// Where a caller that did not stop at [`BACKLOG_BYTES_MAX`] is stopped by an assertion.
pub const BACKLOG_BYTES_HARD: usize = 4 * BACKLOG_BYTES_MAX;

/// Below this much room a log counts as exhausted: a frame with one more group might not fit.
pub const EXHAUSTED_BYTES: u64 = (GROUP_BYTES_MAX + 2 * BLOCK_BYTES) as u64;

/// A log without a new record for this long writes one empty frame, which says that all before it is durable.
pub const IDLE_CLOSE_MS: u64 = 20;

/// How long to wait after a full disk before a spare segment is tried again.
pub const SPARE_RETRY_MS: u64 = 1_000;

/// How long to wait after an abandoned snapshot before the next one is due.
pub const SNAPSHOT_RETRY_MS: u64 = 30_000;

/// Snapshot bytes in memory: the caller adds slots only while less than this is buffered.
pub const SNAPSHOT_BUFFER_BYTES_MAX: usize = 4 << 20;

/// The largest image of one slot.
pub const SLOT_IMAGE_BYTES_MAX: usize = 256 << 20;

/// How much is written to a new segment, and read from a file, at a time.
pub const CHUNK_BYTES: usize = 1 << 20;

/// How long recovery waits for writes that a process which died has still in flight.
pub const CLAIM_WAIT_MS: u64 = 10_000;

const _: () = {
    assert!(FRAME_BYTES_MAX.is_multiple_of(BLOCK_BYTES));
    assert!(CHUNK_BYTES.is_multiple_of(BLOCK_BYTES));
    assert!(SEGMENT_BYTES_MIN.is_multiple_of(BLOCK_BYTES as u64));
    assert!(SEGMENT_BYTES_MAX.is_multiple_of(BLOCK_BYTES as u64));
    // A group fits into a frame of the smallest segment, with its header.
    assert!(GROUP_BYTES_MAX + BLOCK_BYTES <= SEGMENT_BYTES_MIN as usize);
    assert!(GROUP_BYTES_MAX + BLOCK_BYTES <= FRAME_BYTES_MAX);
    // An exhausted log can still take what was decided before the caller looked.
    assert!(EXHAUSTED_BYTES as usize >= GROUP_BYTES_MAX + BLOCK_BYTES);
    assert!(EXHAUSTED_BYTES <= SEGMENT_BYTES_MIN);
    assert!(BACKLOG_BYTES_MAX >= FRAME_BYTES_MAX);
    assert!(BACKLOG_BYTES_HARD > BACKLOG_BYTES_MAX);
};
