//! Which driver can write the logs of a directory.
/// A driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A ring.
    Uring,
    /// A thread.
    Plain,
}

/// What is wished for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preference {
    /// The ring where it is permitted, otherwise the thread.
    #[default]
    Auto,
    /// The ring or nothing.
    Uring,
    /// The thread.
    Plain,
}

/// What is taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The driver.
    pub kind: Kind,
    /// Why, for the operator.
    pub reason: String,
}

/// Tries.
pub fn choose(dir: &std::path::Path, preference: Preference) -> Result<Choice, String> {
    unimplemented!("{dir:?} {preference:?}")
}
