//! Options of a data directory and its logs.

use crate::error::OpenError;
use crate::limits;

/// Options for opening a data directory. `cores` and `entropy` matter only when it is created; the others may change from one
/// start to the next.
#[derive(Debug, Clone)]
pub struct Options {
    /// Cores of a new data directory. One that exists keeps its own until [`crate::DataDir::redistribute`].
    pub cores: u16,
    /// Size of new segments, a multiple of [`limits::BLOCK_BYTES`].
    pub segment_bytes: u64,
    /// Segments made ahead, ready to be written.
    pub spare_segments: u32,
    /// [`crate::Space::Reserve`] is reported when no more than this much room is left. `None` means the size of one segment: the
    /// reserve begins when the last spare segment is being written.
    pub reserve_bytes: Option<u64>,
    /// Log bytes after which a snapshot is due, or twice the size of the last one where that is more: however large the state is, the
    /// disk then takes at most half as many bytes for snapshots as for the log.
    pub snapshot_log_bytes: u64,
    /// Log bytes after which one is due however large the last one was: what a start has to read.
    pub snapshot_log_bytes_max: u64,
    /// The time for which segments are kept that neither a snapshot nor a follower needs, as far as the budget allows; 0: not at all.
    pub keep_ms: u64,
    /// Bytes that the segments of one core may take. What nobody needs goes before they are more; where what is needed reaches them,
    /// [`crate::Space::Reserve`] is reported.
    pub budget_bytes: u64,
    /// The random bits of a new data directory: 16 bytes of id, 16 bytes of secret, 8 bytes of life. `None` takes them from the system;
    /// a simulator gives its own.
    pub entropy: Option<[u8; 40]>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            cores: 1,
            segment_bytes: 32 << 20,
            spare_segments: 2,
            reserve_bytes: None,
            snapshot_log_bytes: 256 << 20,
            snapshot_log_bytes_max: 4 << 30,
            keep_ms: 0,
            budget_bytes: u64::MAX,
            entropy: None,
        }
    }
}

impl Options {
    /// The size of the reserve in bytes.
    pub fn reserve(&self) -> u64 {
        self.reserve_bytes.unwrap_or(self.segment_bytes)
    }

    /// Log bytes after which a snapshot is due, where the last one had so many.
    pub(crate) fn due_log_bytes(&self, snapshot_bytes: u64) -> u64 {
        let most = self.snapshot_log_bytes_max.max(self.snapshot_log_bytes);
        let due = snapshot_bytes.saturating_mul(2).clamp(self.snapshot_log_bytes, most);
        // What a snapshot leaves in the log is needed: it must not come near the budget.
        due.min(self.budget_bytes / 2)
    }

    /// Spare segments to keep when old ones are recycled: enough for the log between two snapshots, so that a steady load never
    /// has to write segments of zeros.
    pub(crate) fn spares_kept(&self, snapshot_bytes: u64) -> usize {
        let between_snapshots = self.due_log_bytes(snapshot_bytes).div_ceil(self.segment_bytes);
        self.spare_segments as usize + between_snapshots.min(1024) as usize
    }

    /// The most spare segments that a log keeps; each is an open file.
    pub fn spares_kept_max(&self) -> usize {
        self.spares_kept(u64::MAX)
    }

    pub(crate) fn check(&self) -> Result<(), OpenError> {
        let wrong = |text: String| Err(OpenError::Options { reason: text });
        if self.cores == 0 || self.cores > limits::CORES_MAX {
            return wrong(format!("cores must be 1 to {}, not {}", limits::CORES_MAX, self.cores));
        }
        if self.segment_bytes < limits::SEGMENT_BYTES_MIN || self.segment_bytes > limits::SEGMENT_BYTES_MAX {
            return wrong(format!(
                "segment_bytes must be {} to {}, not {}",
                limits::SEGMENT_BYTES_MIN,
                limits::SEGMENT_BYTES_MAX,
                self.segment_bytes
            ));
        }
        if !self.segment_bytes.is_multiple_of(limits::BLOCK_BYTES as u64) {
            return wrong(format!("segment_bytes must be a multiple of {}", limits::BLOCK_BYTES));
        }
        if self.spare_segments == 0 || self.spare_segments > limits::SPARE_SEGMENTS_MAX {
            return wrong(format!("spare_segments must be 1 to {}", limits::SPARE_SEGMENTS_MAX));
        }
        if self.reserve() <= limits::EXHAUSTED_BYTES {
            return wrong(format!("reserve_bytes must be more than {}", limits::EXHAUSTED_BYTES));
        }
        // Otherwise a log with all its spare segments would still report the reserve.
        if self.reserve() > self.segment_bytes * u64::from(self.spare_segments) {
            return wrong("reserve_bytes must not be more than all spare segments".to_owned());
        }
        if self.budget_bytes < limits::BUDGET_SEGMENTS_MIN * self.segment_bytes {
            return wrong(format!(
                "the log of a core needs a budget of {} segments at least, {} bytes",
                limits::BUDGET_SEGMENTS_MIN,
                limits::BUDGET_SEGMENTS_MIN * self.segment_bytes
            ));
        }
        if self.snapshot_log_bytes < self.segment_bytes {
            return wrong("snapshot_log_bytes must be at least segment_bytes".to_owned());
        }
        Ok(())
    }
}
