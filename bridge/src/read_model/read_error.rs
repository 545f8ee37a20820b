//! Why the read model has no answer.

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("the read model cannot be read: {0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("the read model is still being filled")]
    NotWhole,
    #[error("the read model has a row that makes no sense: {0}")]
    Row(String),
}
