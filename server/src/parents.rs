//! The directories above the data directory, where they are missing.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

use thiserror::Error;

#[derive(Debug, Error)]
#[error("cannot make the directory {path} for the data directory: {source}")]
pub(crate) struct ParentError {
    path: String,
    source: io::Error,
}

/// Makes what is missing above `dir`, from the top down. Each name is on the disk before anything is made below it, so that the
/// data directory is found again after a power cut. `dir` itself is its owner's.
pub(crate) fn make_parents(dir: &Path) -> Result<(), ParentError> {
    let dir = std::path::absolute(dir).map_err(|source| failed(dir, source))?;
    let mut missing: Vec<&Path> = dir.ancestors().skip(1).take_while(|above| !above.exists()).collect();
    missing.reverse();
    missing.into_iter().try_for_each(|path| make(path).map_err(|source| failed(path, source)))
}

fn make(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

fn failed(path: &Path, source: io::Error) -> ParentError {
    ParentError { path: path.display().to_string(), source }
}
