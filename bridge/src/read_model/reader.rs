//! Readers: questions and their answers, a read transaction each.

use std::path::{Path, PathBuf};

use engine::read_model::{Question, Reading, Unavailable};
use rusqlite::Connection;

use super::read_error::ReadError;
use super::{history, open, orders, refunds};

/// Answers questions from a connection of its own, beside the writer and other readers.
///
/// It opens when it is first asked, and again after an error.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    connection: Option<Connection>,
}

impl Reader {
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Reader {
        Reader { path: path.into(), connection: None }
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// # Errors
    /// The database cannot be read, or a copy of the state is not whole yet.
    pub fn answer(&mut self, question: &Question) -> Result<Reading, Unavailable> {
        let answered = self.connect().and_then(|mut connection| {
            let reading = answer(&mut connection, question)?;
            Ok((connection, reading))
        });
        let (connection, reading) = answered.map_err(|error| Unavailable { reason: error.to_string() })?;
        self.connection = Some(connection);
        Ok(reading)
    }

    fn connect(&mut self) -> Result<Connection, ReadError> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => Ok(open::reader(&self.path)?),
        }
    }
}

fn answer(connection: &mut Connection, question: &Question) -> Result<Reading, ReadError> {
    let transaction = connection.transaction()?;
    let whole = "SELECT EXISTS (SELECT 1 FROM cursor)";
    if !transaction.prepare_cached(whole)?.query_row([], |row| row.get::<_, bool>(0))? {
        return Err(ReadError::NotWhole);
    }
    match question {
        Question::Order(order) => Ok(Reading::Order(orders::one(&transaction, *order)?.map(Box::new))),
        Question::Payment { order, txn } => {
            Ok(Reading::Payment(Box::new(refunds::payment(&transaction, order, txn)?)))
        }
        Question::Refunds(question) => Ok(Reading::Refunds(refunds::page(&transaction, question)?)),
        Question::Orders(question) => Ok(Reading::Orders(orders::page(&transaction, question)?)),
        Question::History(question) => Ok(Reading::History(history::page(&transaction, question)?)),
    }
}
