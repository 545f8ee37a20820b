//! The sinks of a directory: who follows its log, and how far that is relied on. What a sink has not got is kept for it, whether it
//! runs or not, until it is detached.

mod cursor_file;
mod format;
mod registry;

use crate::error::{During, OpenError};
use crate::files::{File, Files, open_listed};
use crate::follow::Cursor;
use crate::names;
use crate::types::Lsn;

use format::Defect;

pub use cursor_file::CursorFile;
pub use registry::SinkRegistry;

/// One sink that is registered with a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// The place up to which the directory has relied on it: what is at or before it may be gone from the log. `None`: on nothing yet.
    pub relied: Option<Cursor>,
}

/// The sinks of a directory, and what was decided at the first start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sinks {
    /// In the order in which they were registered.
    pub sinks: Vec<Sink>,
    /// Bytes that the logs of all cores may take; `None`: not decided.
    pub log_budget_bytes: Option<u64>,
    /// Bytes that the read model may take before its oldest rows leave; `None`: not decided.
    pub read_model_bytes: Option<u64>,
}

impl Sinks {
    /// The sink of this name.
    pub fn get(&self, name: &str) -> Option<&Sink> {
        self.sinks.iter().find(|sink| sink.name == name)
    }

    /// An earlier epoch has something that a sink may not have got.
    pub(crate) fn need_epoch(&self, epoch: u32) -> bool {
        self.sinks.iter().any(|sink| sink.relied.as_ref().is_none_or(|relied| relied.epoch <= epoch))
    }

    /// For each core of the current epoch, the last record that every sink has.
    fn floors(&self, epoch: u32, cores: u16) -> Vec<Lsn> {
        let floor = |core: u16| {
            let of = |sink: &Sink| match &sink.relied {
                Some(relied) if relied.epoch == epoch => relied.cores[usize::from(core)],
                _ => Lsn::NONE,
            };
            self.sinks.iter().map(of).min().unwrap_or(Lsn::MAX)
        };
        (0..cores).map(floor).collect()
    }
}

/// Reads the file of sinks. `None`: there is none, and so no sink.
pub(crate) fn read<F: Files>(files: &F, directory: [u8; 16]) -> Result<Option<Sinks>, OpenError> {
    read_file(files, names::SINKS, directory)
}

fn read_file<F: Files>(files: &F, file: &str, directory: [u8; 16]) -> Result<Option<Sinks>, OpenError> {
    let root = files.display("");
    let listed = files.list("").during("list", &root)?.unwrap_or_default();
    if !listed.iter().any(|name| name == file) {
        return Ok(None);
    }
    let (file, name, size) = open_listed(files, file)?;
    let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(format::FILE_BYTES_MAX)];
    let length = file.read_at(&mut bytes, 0).during("read", &name)?;
    bytes.truncate(length);
    format::decode(&bytes, directory).map(Some).map_err(|defect| match defect {
        Defect::Newer(version) => OpenError::Newer { file: name, version, supported: format::VERSION },
        Defect::Damaged(reason) => OpenError::damaged(&name, 0, reason),
    })
}

/// Replaces the file. Durable when it returns.
pub(crate) fn write<F: Files>(files: &F, directory: [u8; 16], sinks: &Sinks) -> Result<(), OpenError> {
    write_file(files, names::SINKS, &format::encode(sinks, directory))
}

fn write_file<F: Files>(files: &F, file: &str, bytes: &[u8]) -> Result<(), OpenError> {
    let new = format!("{file}{}", names::NEW);
    let name = files.display(&new);
    let written = files.create(&new).during("create", &name)?;
    written.write_at(bytes, 0).during("write", &name)?;
    written.sync().during("sync", &name)?;
    files.rename(&new, file).during("rename", &name)?;
    files.sync_dir("").during("sync", &files.display(""))
}
