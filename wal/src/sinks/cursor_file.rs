//! The cursor of a sink that cannot keep one itself.

use super::{Sink, Sinks, format, read_file, write_file};
use crate::error::{During, OpenError};
use crate::files::{Files, OsFiles};
use crate::follow::Cursor;

/// A file of the data directory, in the format of the file of sinks (two copies), with that sink alone.
#[derive(Debug)]
pub struct CursorFile<F: Files = OsFiles> {
    files: F,
    directory: [u8; 16],
    sink: String,
    name: String,
}

impl<F: Files> CursorFile<F> {
    /// Of a sink. Nothing is read or made yet.
    pub fn new(files: &F, directory: [u8; 16], sink: &str) -> CursorFile<F> {
        let name = format!("cursor-{sink}");
        CursorFile { files: files.clone(), directory, sink: sink.to_owned(), name }
    }

    /// `None`: there is no file. One that cannot be read is not an absent one.
    ///
    /// # Errors
    /// It is damaged, of a later version or of another directory, or cannot be read.
    pub fn read(&self) -> Result<Option<Cursor>, OpenError> {
        let Some(sinks) = read_file(&self.files, &self.name, self.directory)? else { return Ok(None) };
        match sinks.get(&self.sink).and_then(|sink| sink.relied.clone()) {
            Some(cursor) => Ok(Some(cursor)),
            None => Err(OpenError::damaged(&self.files.display(&self.name), 0, "it has no cursor")),
        }
    }

    /// Replaces it. Durable when it returns.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, cursor: &Cursor) -> Result<(), OpenError> {
        let sink = Sink { name: self.sink.clone(), relied: Some(cursor.clone()) };
        let sinks = Sinks { sinks: vec![sink], ..Sinks::default() };
        write_file(&self.files, &self.name, &format::encode(&sinks, self.directory))
    }

    /// Removes it, where it is.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&self) -> Result<(), OpenError> {
        let name = self.files.display(&self.name);
        match self.files.remove(&self.name) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            removed => removed.during("remove", &name)?,
        }
        self.files.sync_dir("").during("sync", &self.files.display(""))
    }
}
