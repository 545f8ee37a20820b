//! A small disk for the read model alone: a file system in memory (tmpfs) that is full as soon as it is told so. Mounting it needs root.

use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};

use crate::until;

/// Room for the orders of a directory's life, and for SQLite's own log beside them.
const BYTES: u64 = 2 << 30;

#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts an empty one.
    ///
    /// # Errors
    /// This machine lets us mount nothing.
    pub fn mount(at: &Path) -> Result<SmallDisk, Errno> {
        std::fs::create_dir_all(at).expect("a directory to mount on");
        let options = std::ffi::CString::new(format!("size={BYTES}")).expect("text without a zero");
        mount("drill", at, "tmpfs", MountFlags::empty(), options.as_c_str())?;
        Ok(SmallDisk { at: at.to_owned() })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Takes away all that is free.
    pub fn fill(&self) {
        // Whoever writes meanwhile makes what is used larger than what it is cut to, and it is refused.
        until("the disk to be full", || {
            let used = statvfs(&self.at).map(|disk| (disk.f_blocks - disk.f_bfree) * disk.f_frsize);
            self.resize(used.expect("the size of a disk")).ok()
        });
    }

    /// Gives it back.
    pub fn free(&self) {
        self.resize(BYTES).expect("a larger disk");
    }

    fn resize(&self, bytes: u64) -> Result<(), Errno> {
        // No size at all would be no limit.
        mount_remount(&self.at, MountFlags::empty(), format!("size={}", bytes.max(1)))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = self.at.with_extension("kept");
            let copied = std::process::Command::new("cp").arg("-r").arg(&self.at).arg(&kept).status();
            eprintln!("a copy of the read model's disk ({copied:?}): {}", kept.display());
        }
        let _ = unmount(&self.at, UnmountFlags::DETACH);
    }
}
