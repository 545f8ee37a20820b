//! Telling a runner to stop, wherever it waits.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Shared by a runner and whoever stops it.
#[derive(Debug, Default)]
pub struct Stop {
    is_set: Mutex<bool>,
    set: Condvar,
}

impl Stop {
    pub fn set(&self) {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.set.notify_all();
    }

    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.is_set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// At most so long, and no longer than until it is set.
    pub fn wait(&self, timeout: Duration) {
        let is_set = self.is_set.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.set.wait_timeout_while(is_set, timeout, |is_set| !*is_set));
    }
}
