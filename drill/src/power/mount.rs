//! The drill's disk where the kernel shows it, and a power cut from beginning to end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::BackgroundSession;

use super::fs::Disk;
use super::store::{ROOT, Store};
use super::survival::Survival;
use crate::{Rng, Server, until};

/// The reason why no disk can be mounted below `parent`; `None` where one can.
#[must_use]
pub fn mount_error(parent: &Path) -> Option<String> {
    let at = parent.join("disk");
    let made = std::fs::create_dir_all(&at).and_then(|()| Disk::new(Store::default()).mount(&at));
    made.and_then(BackgroundSession::umount_and_join).err().map(|error| error.to_string())
}

/// A mounted disk. Unmounted when dropped; a copy is kept when that is by a panic.
#[derive(Debug)]
pub struct Mount {
    disk: Arc<Disk>,
    at: PathBuf,
    session: Option<BackgroundSession>,
}

impl Mount {
    /// Mounts an empty disk below `parent`.
    ///
    /// # Panics
    /// When it cannot be mounted.
    #[must_use]
    pub fn new(parent: &Path) -> Mount {
        let at = parent.join("disk");
        std::fs::create_dir_all(&at).expect("a directory to mount on");
        let mut mount = Mount { disk: Disk::new(Store::default()), at, session: None };
        mount.mount();
        mount
    }

    #[must_use]
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.at.join("data")
    }

    fn mount(&mut self) {
        let mounted = self.disk.mount(&self.at);
        let session = mounted.unwrap_or_else(|e| panic!("cannot mount on {}: {e}", self.at.display()));
        self.session = Some(session);
    }

    fn unmount(&mut self) {
        let Some(session) = self.session.take() else { return };
        // A process that died may hold a file for a moment longer.
        until("the disk to be unmounted", || {
            rustix::mount::unmount(&self.at, rustix::mount::UnmountFlags::empty()).ok()
        });
        session.join().expect("the session of a disk that is unmounted ends");
    }

    /// An empty disk in place of this one.
    pub fn replace(&mut self) {
        self.unmount();
        self.disk = Disk::new(Store::default());
        self.mount();
    }

    /// Cuts the power, whatever is under way, and switches it on again. The server is dead when this returns.
    ///
    /// The order matters: the disk stops first, so that nothing of what the dying process does still reaches it.
    /// Operations that wait for the disk fail only once SIGKILL is sent, so that the process cannot act on their errors.
    pub fn cut(&mut self, server: &mut Server, rng: &mut Rng) -> Survival {
        self.disk.switch_off();
        server.send_kill();
        self.disk.fail_waiting();
        server.kill_now();
        self.unmount();
        let mut survival = Survival::draw(rng);
        self.disk.switch_on(&mut survival);
        self.mount();
        survival
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = self.at.with_extension("kept");
            match self.disk.with(|store| store.copy_out(ROOT, &kept)) {
                Ok(()) => eprintln!("a copy of the disk, unsynced bytes included: {}", kept.display()),
                Err(error) => eprintln!("the disk cannot be copied to {}: {error}", kept.display()),
            }
        }
        self.disk.fail_waiting();
        if self.session.take().is_some() {
            let _ = rustix::mount::unmount(&self.at, rustix::mount::UnmountFlags::DETACH);
        }
    }
}
