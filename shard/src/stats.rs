//! Counts of the shard's work, for metrics.

use engine::tally::Tally;

/// Counts since the start of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    pub tally: Tally,
    pub commands: u64,
    /// Parcels of batches, and the commands in them, which count as commands as well.
    pub batches: u64,
    pub batched_commands: u64,
    pub commands_refused: u64,
    pub messages_sent: u64,
    pub tells_resent: u64,
    pub asks_repeated: u64,
    pub snapshots: u64,
    /// Pieces of slot images that another one follows.
    pub image_pieces: u64,
    /// Frames written to the log, and their bytes.
    pub log_frames: u64,
    pub log_bytes: u64,
}
