//! What outlives a process: the files and the clocks.

use wal::files::MemoryFiles;

/// When the world begins, as a wall clock shows it.
pub(crate) const START_MS: u64 = 1_800_000_000_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    pub files: MemoryFiles,
    /// May jump.
    pub wall_ms: u64,
    /// Since the machine was switched on; never jumps.
    pub steady_ms: u64,
}

impl Machine {
    #[must_use]
    pub(crate) fn new() -> Machine {
        Machine { files: MemoryFiles::new(), wall_ms: START_MS, steady_ms: 1_000 }
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.wall_ms += ms;
        self.steady_ms += ms;
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
