//! The machine outlives a process: its files and its clocks.

use shard::Clocks;
use wal::files::MemoryFiles;

/// When the world begins, as a wall clock shows it.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

#[derive(Debug)]
pub(crate) struct Machine {
    pub files: MemoryFiles,
    /// Microseconds since the Unix epoch; may jump.
    pub wall_us: u64,
    /// Microseconds since the machine was switched on; never jumps.
    pub steady_us: u64,
}

impl Machine {
    #[must_use]
    pub(crate) fn new() -> Machine {
        Machine { files: MemoryFiles::new(), wall_us: START_MS * 1_000, steady_us: 1_000_000 }
    }

    #[must_use]
    pub(crate) fn clocks(&self) -> Clocks {
        Clocks { wall_ms: self.wall_us / 1_000, steady_us: self.steady_us }
    }

    pub(crate) fn pass_us(&mut self, us: u64) {
        self.wall_us += us;
        self.steady_us += us;
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.pass_us(ms * 1_000);
    }

    /// Bytes that the files take together.
    #[must_use]
    pub(crate) fn used(&self) -> u64 {
        self.files.sizes().iter().map(|(_, bytes)| *bytes as u64).sum()
    }
}

impl Default for Machine {
    fn default() -> Machine {
        Machine::new()
    }
}
