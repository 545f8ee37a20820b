//! Numbers that would be confused if they were plain integers.

use std::fmt;

/// The number of a record within the log of one core in one epoch. 1 is the first record, 0 stands for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before the first record.
    pub const NONE: Lsn = Lsn(0);
    /// Beyond every record.
    pub const MAX: Lsn = Lsn(u64::MAX);

    /// The number after this one.
    pub const fn next(self) -> Lsn {
        Lsn(self.0 + 1)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Milliseconds on a clock of the caller that does not go backwards. Only differences matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Millis(pub u64);

impl Millis {
    /// This much later.
    pub const fn after(self, millis: u64) -> Millis {
        Millis(self.0.saturating_add(millis))
    }
}
