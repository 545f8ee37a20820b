//! Every limit of the log by name, and the relations that hold between them.

/// The block: log writes are aligned to it and a multiple of it. It is the largest logical block of the disks in use.
pub const BLOCK_BYTES: usize = 4096;

/// Slots of a data directory, fixed for its life.
pub const SLOTS: u16 = 4096;

/// Cores that a data directory can be distributed over.
pub const CORES_MAX: u16 = 1024;

/// The largest frame, header and padding included. A torn write reaches no further, and recovery relies on that: it may grow,
/// but must not shrink without a new format version.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// The largest group of records, [`RECORD_FRAMING_BYTES`] counted for each. A larger one is a bug of the caller.
pub const GROUP_BYTES_MAX: usize = 128 << 10;

/// Bytes of a frame that each record takes in addition to its own.
pub const RECORD_FRAMING_BYTES: usize = 4;

/// The smallest segment.
pub const SEGMENT_BYTES_MIN: u64 = 256 << 10;
/// The largest segment.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// The most spare segments that can be asked for.
pub const SPARE_SEGMENTS_MAX: u32 = 64;

/// The smallest budget of a log, in segments: one that is written, two spare ones, and the rest for what a snapshot leaves.
pub const BUDGET_SEGMENTS_MIN: u64 = 6;

/// Backlog: bytes in memory that wait for the disk. From here on the caller takes no new work.
pub const BACKLOG_BYTES_MAX: usize = 8 << 20;

/// The backlog at which an assertion stops a caller that ignored [`BACKLOG_BYTES_MAX`].
pub const BACKLOG_BYTES_HARD: usize = 4 * BACKLOG_BYTES_MAX;

/// A log with less room than this is exhausted: a frame with one more group might not fit.
pub const EXHAUSTED_BYTES: u64 = (GROUP_BYTES_MAX + 2 * BLOCK_BYTES) as u64;

/// A log that gets no record for this long writes one empty frame, the closing frame, as proof that everything before it is
/// durable.
pub const IDLE_CLOSE_MS: u64 = 20;

/// Delay before a spare segment is tried again on a full disk.
pub const SPARE_RETRY_MS: u64 = 1_000;

/// Delay before the next snapshot is due after one was abandoned.
pub const SNAPSHOT_RETRY_MS: u64 = 30_000;

/// Bytes of a snapshot buffered in memory. The caller adds slots only while there are fewer.
pub const SNAPSHOT_BUFFER_BYTES_MAX: usize = 4 << 20;

/// The largest image of one slot.
pub const SLOT_IMAGE_BYTES_MAX: usize = 256 << 20;

/// The piece in which new segments are written and files are read.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Sinks that a directory can have.
pub const SINKS_MAX: usize = 16;

/// The longest name of a sink.
pub const SINK_NAME_BYTES_MAX: usize = 64;

/// The window of a follower: the most that it reads at once.
pub const FOLLOW_READ_BYTES: usize = 256 << 10;

/// Recovery waits this long for writes that a dead process left in flight.
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
