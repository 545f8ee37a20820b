//! Coalescing cross-core wake-up: an atomic flag in front of an eventfd, so that many signals cost one write. Generic over
//! the flag and the event, so that loom explores every interleaving of this code.
//!
//! It knows nothing of what was published: publish first, then wake.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag that threads share. [`swap`](Flag::swap) acquires and releases: who swaps sees all that other threads did before
/// their earlier swaps.
pub trait Flag {
    /// Sets it, and returns what it was.
    fn swap(&self, value: bool) -> bool;
}

impl Flag for AtomicBool {
    fn swap(&self, value: bool) -> bool {
        AtomicBool::swap(self, value, Ordering::AcqRel)
    }
}

/// A wake-up that is pending or not. Any number of threads [`wake`](CoalescedWake::wake), one
/// [`wait`](CoalescedWake::wait)s in a loop and looks at what was published after each wait.
#[derive(Debug, Default)]
pub struct CoalescedWake<F = AtomicBool> {
    pending: F,
}

impl<F: Flag> CoalescedWake<F> {
    /// Nothing is pending yet: `pending` must be `false`.
    pub const fn new(pending: F) -> CoalescedWake<F> {
        CoalescedWake { pending }
    }

    /// Calls `signal`, which makes the event readable, unless somebody has since the waiter last woke.
    pub fn wake(&self, signal: impl FnOnce()) {
        if !self.pending.swap(true) {
            signal();
        }
    }

    /// Ends once there was a wake-up since the last call ended. `readable` ends when there was a signal since the last `drain`.
    ///
    /// # Errors
    /// Those of `readable`.
    pub async fn wait(&self, readable: impl AsyncFn() -> io::Result<()>, drain: impl Fn()) -> io::Result<()> {
        while !self.pending.swap(false) {
            readable().await?;
            drain();
        }
        // The waking thread may still be on its way to the event: then the next wait turns once for nothing.
        drain();
        Ok(())
    }
}
