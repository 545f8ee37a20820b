//! How one core wakes another: a flag that says that it has been rung, and an event that can be waited for. What carries them
//! (an atomic and an eventfd, or their models) is given, so that every order of steps can be tried on this very code.
//!
//! It knows nothing of what was published. Whoever publishes does so before it rings.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// A flag of several threads. An exchange sees what was done before the ones before it.
pub trait Flag {
    /// Sets it, and says what it was.
    fn swap(&self, value: bool) -> bool;
}

impl Flag for AtomicBool {
    fn swap(&self, value: bool) -> bool {
        AtomicBool::swap(self, value, Ordering::AcqRel)
    }
}

/// See the module. Any number of threads ring, one waits.
#[derive(Debug, Default)]
pub struct Chime<F = AtomicBool> {
    rung: F,
}

impl<F: Flag> Chime<F> {
    /// Not rung yet; `rung` says `false`.
    pub const fn new(rung: F) -> Chime<F> {
        Chime { rung }
    }

    /// Calls `signal`, which makes the event readable, unless somebody has since the waiter last woke.
    pub fn ring(&self, signal: impl FnOnce()) {
        if !self.rung.swap(true) {
            signal();
        }
    }

    /// Ends once it has been rung since the last call ended. `readable` ends when there was a signal since the last `drain`.
    ///
    /// # Errors
    /// Those of `readable`.
    pub async fn wait(&self, readable: impl AsyncFn() -> io::Result<()>, drain: impl Fn()) -> io::Result<()> {
        while !self.rung.swap(false) {
            readable().await?;
            drain();
        }
        // The ringer may still be on its way to the event: then the next wait turns once for nothing.
        drain();
        Ok(())
    }
}
