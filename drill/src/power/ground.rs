//! Crash drills on a disk whose power is cut, or that fails first.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fuser::BackgroundSession;

use super::fs::Disk;
use super::luck::Luck;
use super::store::{Fault, ROOT, Store};
use crate::crash::ground::Ground;
use crate::{Rng, Server, chance, until};

/// What the process ends with after a failed write or sync.
pub const EXIT_FATAL: i32 = 70;
/// A snapshot that is to fail is waited for this long.
const SNAPSHOT_MAX: Duration = Duration::from_secs(3);

/// Why no disk can be mounted here, where that is so.
#[must_use]
pub fn why_not(parent: &Path) -> Option<String> {
    let at = parent.join("disk");
    let made = std::fs::create_dir_all(&at).and_then(|()| Disk::new(Store::default()).mount(&at));
    made.and_then(BackgroundSession::umount_and_join).err().map(|error| error.to_string())
}

/// A mounted disk. Unmounted when dropped.
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
        until("the disk to be let go", || {
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

    /// The power goes, whatever is under way; the server dies with it. Then it comes back.
    pub fn cut(&mut self, server: &mut Server, rng: &mut Rng) -> Luck {
        self.disk.switch_off();
        server.send_kill();
        self.disk.let_go();
        server.kill_now();
        self.unmount();
        let mut luck = Luck::of_cut(rng);
        self.disk.switch_on(&mut luck);
        self.mount();
        luck
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let kept = self.at.with_extension("kept");
            match self.disk.with(|store| store.copy_out(ROOT, &kept)) {
                Ok(()) => eprintln!("the disk as it was last seen: {}", kept.display()),
                Err(error) => eprintln!("the disk cannot be copied to {}: {error}", kept.display()),
            }
        }
        self.disk.let_go();
        if self.session.take().is_some() {
            let _ = rustix::mount::unmount(&self.at, rustix::mount::UnmountFlags::DETACH);
        }
    }
}

/// Every crash is a power cut.
#[derive(Debug)]
pub struct PowerCuts {
    mount: Mount,
    seed: u64,
    rng: Rng,
    pub cuts: u64,
    /// Unsynced sectors, sizes and names that survived, and that did not.
    pub kept: u64,
    pub lost: u64,
    syncs: u64,
}

impl PowerCuts {
    #[must_use]
    pub fn new(parent: &Path, seed: u64) -> PowerCuts {
        PowerCuts {
            mount: Mount::new(parent),
            seed,
            rng: Rng::with_seed(seed),
            cuts: 0,
            kept: 0,
            lost: 0,
            syncs: 0,
        }
    }

    /// In short.
    #[must_use]
    pub fn line(&self) -> String {
        let syncs = self.syncs + self.mount.disk.with(|store| store.syncs);
        format!(
            "{} power cuts: {} unsynced sectors and names survived, {} were lost; {syncs} durable writes and syncs",
            self.cuts, self.kept, self.lost
        )
    }

    fn cut(&mut self, server: &mut Server) {
        let luck = self.mount.cut(server, &mut self.rng);
        self.cuts += 1;
        self.kept += luck.kept;
        self.lost += luck.lost;
    }
}

impl Ground for PowerCuts {
    fn fresh(&mut self, first: u64) -> PathBuf {
        self.rng = chance::of_part(!self.seed, first);
        self.syncs += self.mount.disk.with(|store| store.syncs);
        self.mount.replace();
        self.mount.data()
    }

    fn crash(&mut self, server: &mut Server) {
        self.cut(server);
    }

    fn crash_starting(&mut self, server: &mut Server) {
        self.cut(server);
    }
}

/// Every crash under load begins with a write or a sync that fails; then the power is cut.
#[derive(Debug)]
pub struct Faults {
    cuts: PowerCuts,
    rng: Rng,
    /// Faults that struck, by the kind of fault: log write, directory, snapshot.
    pub struck: [u64; 3],
}

/// Durable writes and syncs that show that the server goes on: more than can have been under way.
const GOES_ON_SYNCS: u64 = 20;
const FAULTS: [Fault; 3] = [Fault::DurableWrite, Fault::DirSync, Fault::SnapshotSync];

impl Faults {
    #[must_use]
    pub fn new(parent: &Path, seed: u64) -> Faults {
        Faults { cuts: PowerCuts::new(parent, seed), rng: Rng::with_seed(seed), struck: [0; 3] }
    }

    /// In short.
    #[must_use]
    pub fn line(&self) -> String {
        let [write, dir, snapshot] = self.struck;
        format!(
            "{write} failed log writes and {dir} failed syncs of a directory, after each of which the server ended with \
             {EXIT_FATAL}; {snapshot} failed syncs of a snapshot, each of which it survived; {}",
            self.cuts.line()
        )
    }
}

impl Ground for Faults {
    fn fresh(&mut self, first: u64) -> PathBuf {
        let place = self.cuts.fresh(first);
        self.rng = self.cuts.rng.fork();
        place
    }

    fn crash(&mut self, server: &mut Server) {
        let kind = self.rng.usize(..FAULTS.len());
        let disk = self.cuts.mount.disk.clone();
        let struck = disk.with(|store| store.struck);
        disk.with(|store| store.fault = Some(FAULTS[kind]));
        let has_struck = || disk.with(|store| store.struck) > struck;
        if FAULTS[kind] == Fault::SnapshotSync {
            let begun = std::time::Instant::now();
            while !has_struck() && begun.elapsed() < SNAPSHOT_MAX && server.ended().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let syncs = disk.with(|store| store.syncs);
            until("it to go on writing", || {
                (server.ended().is_some() || disk.with(|store| store.syncs) > syncs + GOES_ON_SYNCS)
                    .then_some(())
            });
            // It may have been asked to stop.
            let code = server.ended().map_or(Some(0), |status| status.code());
            assert_eq!(code, Some(0), "a snapshot that fails is no end: {}", server.log_tail());
        } else {
            let status = until("the server to end after a fault", || server.ended());
            // One that was asked to stop may be gone before it meets the fault.
            let expected = if has_struck() { EXIT_FATAL } else { 0 };
            assert_eq!(status.code(), Some(expected), "after {:?}: {}", FAULTS[kind], server.log_tail());
        }
        self.struck[kind] += disk.with(|store| store.struck) - struck;
        self.cuts.cut(server);
    }

    fn crash_starting(&mut self, server: &mut Server) {
        self.cuts.cut(server);
    }
}
