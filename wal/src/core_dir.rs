//! The directory of one core's files in one epoch, and the lock that its log shares with the data directory.

use std::any::Any;
use std::sync::Arc;

use crate::files::{Files, OsFiles, join};
use crate::names;

/// The lock of the data directory. The directory and every log of it hold a share; the last one to go releases it.
pub(crate) type DirLock = Arc<dyn Any + Send + Sync>;

/// The directory of one core's files in one epoch.
#[derive(Debug, Clone)]
pub struct CoreDir<F: Files = OsFiles> {
    pub(crate) files: F,
    pub(crate) dir: String,
}

impl<F: Files> CoreDir<F> {
    pub(crate) fn new(files: &F, epoch: u32, core: u16) -> CoreDir<F> {
        CoreDir { files: files.clone(), dir: names::core_dir(epoch, core) }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        join(&self.dir, name)
    }
}
