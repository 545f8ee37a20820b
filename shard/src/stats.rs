//! What the loop has done, in plain counters.

use engine::tally::Tally;

/// Counts since the start of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Records by kind.
    pub tally: Tally,
    pub commands: u64,
    pub commands_refused: u64,
    pub messages_sent: u64,
    pub tells_resent: u64,
    pub asks_repeated: u64,
    pub snapshots: u64,
    /// Frames written to the log, and their bytes.
    pub log_frames: u64,
    pub log_bytes: u64,
}
