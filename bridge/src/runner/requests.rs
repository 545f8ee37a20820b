//! Requests to a runner from outside.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared by a runner and whoever asks.
#[derive(Debug, Default)]
pub struct Requests {
    rebuild: AtomicBool,
    rebuilds: AtomicU64,
    /// The damage that was found in the sink.
    damage: Mutex<Option<String>>,
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

    /// The number of rebuilds: what it had was thrown away. Whoever has it open opens it anew when this changes.
    #[must_use]
    pub fn rebuilds(&self) -> u64 {
        self.rebuilds.load(Ordering::SeqCst)
    }

    /// Damage was found in the sink: it is down from here on, until it is rebuilt or the process starts again.
    pub fn distrust(&self, damage: String) {
        *self.lock() = Some(damage);
    }

    pub(super) fn damage(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.damage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn done(&self) {
        *self.lock() = None;
        self.rebuilds.fetch_add(1, Ordering::SeqCst);
        self.rebuild.store(false, Ordering::SeqCst);
    }
}
