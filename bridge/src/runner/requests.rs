//! What is asked of a runner from outside.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by a runner and whoever asks.
#[derive(Debug, Default)]
pub struct Requests {
    rebuild: AtomicBool,
    rebuilds: AtomicU64,
}

impl Requests {
    /// Throw away what the sink has, and fill it anew from the state.
    pub fn rebuild(&self) {
        self.rebuild.store(true, Ordering::SeqCst);
    }

    /// It was asked for, and what the sink had is still there.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.rebuild.load(Ordering::SeqCst)
    }

    /// How often what it had was thrown away. Whoever has it open opens it anew when this changes.
    #[must_use]
    pub fn rebuilds(&self) -> u64 {
        self.rebuilds.load(Ordering::SeqCst)
    }

    pub(super) fn done(&self) {
        self.rebuilds.fetch_add(1, Ordering::SeqCst);
        self.rebuild.store(false, Ordering::SeqCst);
    }
}
