//! Errors of a feed: each names the file, and the line if there is one.

use std::fmt;

/// A feed or a formations file is refused. Displays as `file:line: what is wrong`, or `file: what is wrong` if the whole file is
/// meant (a missing one has no lines).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadError {
    pub file: String,
    /// From 1; the first line of a record that spans several.
    pub line: Option<u64>,
    pub what: String,
}

impl LoadError {
    pub(crate) fn whole(file: impl Into<String>, what: impl Into<String>) -> LoadError {
        LoadError { file: file.into(), line: None, what: what.into() }
    }

    pub(crate) fn at(file: impl Into<String>, line: u64, what: impl Into<String>) -> LoadError {
        LoadError { file: file.into(), line: Some(line), what: what.into() }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

impl std::error::Error for LoadError {}
