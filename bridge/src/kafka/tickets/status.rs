//! The status of the ticket worker, for whoever asks: `/worker/status`, metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The end of a message that an order is paid, or that cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The order has its ticket, durably.
    Ticketed,
    /// There is no such order: it has left, ticketed, or was never here.
    Unknown,
    /// The order is not paid.
    Refused,
    /// Nobody can read it: it was put aside.
    Unreadable,
}

impl Outcome {
    pub const ALL: [Outcome; 4] =
        [Outcome::Ticketed, Outcome::Unknown, Outcome::Refused, Outcome::Unreadable];

    #[must_use]
    pub const fn wire_name(self) -> &'static str {
        match self {
            Outcome::Ticketed => "ticketed",
            Outcome::Unknown => "unknown",
            Outcome::Refused => "refused",
            Outcome::Unreadable => "unreadable",
        }
    }
}

/// Messages by what became of them, and the trouble there is.
#[derive(Debug, Default)]
pub struct TicketWorkerStatus {
    /// In the order of [`Outcome::ALL`].
    messages: [AtomicU64; Outcome::ALL.len()],
    trouble: Mutex<Option<String>>,
}

impl TicketWorkerStatus {
    /// Messages since the start; one that was read again counts again.
    #[must_use]
    pub fn messages(&self, outcome: Outcome) -> u64 {
        self.messages[outcome as usize].load(Ordering::Relaxed)
    }

    /// The reason why no message is read; `None` as soon as they are.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.lock().clone()
    }

    pub(super) fn count(&self, outcome: Outcome) {
        self.messages[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// True if it was well before.
    pub(super) fn fail(&self, why: &str) -> bool {
        self.lock().replace(why.to_owned()).is_none()
    }

    /// True if it was not before.
    pub(super) fn succeed(&self) -> bool {
        self.lock().take().is_some()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
