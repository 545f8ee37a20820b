//! Errors of the database, sorted.

use std::io;

use mysql_async::{Error, IoError};

use super::limits::STATEMENT_TIMEOUT;
use super::tables::{Row, Table};
use crate::sink::{SinkError, Trouble};

/// Error codes of MySQL and MariaDB.
const DEADLOCK: u16 = 1213;
const LOCK_WAIT_TIMEOUT: u16 = 1205;
const NO_SUCH_TABLE: u16 = 1146;
const DISK_FULL: u16 = 1021;
const TABLE_FULL: u16 = 1114;
const CHECK_VIOLATED: u16 = 3819;
const JSON_INVALID: u16 = 3140;
/// Classes of SQL states: data that a column cannot have, a constraint, a trigger that refused.
const STATES_OF_ROWS: [&str; 3] = ["22", "23", "45"];

/// Why a transaction came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    Database(Error),
    /// While these rows were written.
    OfRows {
        error: Error,
        table: &'static Table,
        rows: Vec<Row>,
    },
    Refused(SinkError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Database(error)
    }
}

impl From<SinkError> for Failure {
    fn from(error: SinkError) -> Failure {
        Failure::Refused(error)
    }
}

impl Failure {
    /// Nothing is wrong: the database gave it up for another transaction's sake.
    pub(super) fn is_deadlock(&self) -> bool {
        let (Failure::Database(error) | Failure::OfRows { error, .. }) = self else { return false };
        matches!(code(error), Some(DEADLOCK | LOCK_WAIT_TIMEOUT))
    }

    pub(super) fn into_trouble(self, doing: &str) -> SinkError {
        match self {
            Failure::Database(error) | Failure::OfRows { error, .. } => trouble(doing, &error),
            Failure::Refused(error) => error,
        }
    }
}

pub(super) fn trouble(doing: &str, error: &Error) -> SinkError {
    let trouble = match code(error) {
        Some(DEADLOCK | LOCK_WAIT_TIMEOUT) => Trouble::Busy,
        Some(DISK_FULL | TABLE_FULL) => Trouble::Full,
        _ if is_of_a_row(error) => Trouble::Rejected,
        _ => Trouble::Failed,
    };
    SinkError::new(trouble, format!("cannot {doing}: {error}"))
}

/// The database refuses what a row has, and would again.
pub(super) fn is_of_a_row(error: &Error) -> bool {
    let Error::Server(error) = error else { return false };
    let is_refused = STATES_OF_ROWS.iter().any(|class| error.state.starts_with(class));
    is_refused || matches!(error.code, CHECK_VIOLATED | JSON_INVALID)
}

pub(super) fn is_missing_table(error: &Error) -> bool {
    code(error) == Some(NO_SUCH_TABLE)
}

fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Server(error) => Some(error.code),
        _ => None,
    }
}

/// A statement that is not waited for without end.
pub(super) async fn within<T>(statement: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    within_time(STATEMENT_TIMEOUT, statement).await
}

pub(super) async fn within_time<T>(
    timeout: std::time::Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let silent = |_| {
        let text = format!("no answer within {} seconds", timeout.as_secs());
        Error::Io(IoError::Io(io::Error::new(io::ErrorKind::TimedOut, text)))
    };
    tokio::time::timeout(timeout, work).await.map_err(silent)?
}
