//! Kill points: moments of a server's work that are found from outside. The kernel (inotify) reports the names that
//! come and go in the data directory.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::io::Errno;

/// The work of a server at the moment when it was killed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum KillPoint {
    /// Anything: a random moment under load.
    Random,
    /// A snapshot is being written.
    Snapshot,
    /// A snapshot has just got its name; older files are about to be removed.
    SnapshotNamed,
    /// A segment is being made, or has just got its name.
    Segment,
    /// SIGTERM was sent.
    Stopping,
    /// A start on an empty directory.
    FirstStart,
    /// A start.
    Start,
    /// A start that has begun to redistribute the slots over another number of cores.
    Redistribution,
}

impl KillPoint {
    pub const ALL: [KillPoint; 8] = [
        KillPoint::Random,
        KillPoint::Snapshot,
        KillPoint::SnapshotNamed,
        KillPoint::Segment,
        KillPoint::Stopping,
        KillPoint::FirstStart,
        KillPoint::Start,
        KillPoint::Redistribution,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            KillPoint::Random => "random",
            KillPoint::Snapshot => "snapshot being written",
            KillPoint::SnapshotNamed => "snapshot named",
            KillPoint::Segment => "segment change",
            KillPoint::Stopping => "stopping",
            KillPoint::FirstStart => "first start",
            KillPoint::Start => "start",
            KillPoint::Redistribution => "redistribution",
        }
    }

    /// True for a new name in the data directory that marks the kill point.
    fn is_marked_by(self, name: &str) -> bool {
        match self {
            KillPoint::Snapshot => name == "snapshot.new",
            KillPoint::SnapshotNamed => name.starts_with("snapshot-"),
            KillPoint::Segment => name.starts_with("log-"),
            KillPoint::Redistribution => name.starts_with("epoch-"),
            KillPoint::Random | KillPoint::Stopping | KillPoint::FirstStart | KillPoint::Start => false,
        }
    }
}

/// Watches directories, from its creation on.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// The top of a data directory: where epochs come and go.
    #[must_use]
    pub fn top(data: &Path) -> Watch {
        Watch::on(&[data.to_owned()])
    }

    /// The directories of the cores: where segments and snapshots come and go.
    #[must_use]
    pub fn cores(data: &Path) -> Watch {
        let epochs = dirs(data, "epoch-");
        Watch::on(&epochs.iter().flat_map(|epoch| dirs(epoch, "core-")).collect::<Vec<_>>())
    }

    fn on(dirs: &[PathBuf]) -> Watch {
        let watch = Watch(inotify::init(inotify::CreateFlags::NONBLOCK).expect("an inotify"));
        for dir in dirs {
            let flags = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
            inotify::add_watch(&watch.0, dir, flags)
                .unwrap_or_else(|e| panic!("cannot watch {}: {e}", dir.display()));
        }
        watch
    }

    /// Waits for a kill point from now on; names that came before do not count. True if it came in time; `is_over` ends
    /// the wait early.
    pub fn wait(&self, kill_point: KillPoint, at_most: Duration, mut is_over: impl FnMut() -> bool) -> bool {
        self.read(|_| false);
        let started = Instant::now();
        while started.elapsed() < at_most && !is_over() {
            let tick = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
            let _ = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&tick));
            if self.read(|name| kill_point.is_marked_by(name)) {
                return true;
            }
        }
        false
    }

    /// Takes the names that came, and says if one of them is looked for.
    fn read(&self, mut is_it: impl FnMut(&str) -> bool) -> bool {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        let mut found = false;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| name.to_string_lossy().into_owned());
                    found |= name.is_some_and(|name| is_it(&name));
                }
                Err(Errno::AGAIN) => return found,
                Err(error) => panic!("the data directory cannot be watched: {error}"),
            }
        }
    }
}

/// The number of cores of the newest epoch of a data directory.
#[must_use]
pub fn cores_on_disk(data: &Path) -> usize {
    dirs(data, "epoch-").into_iter().max().map_or(0, |epoch| dirs(&epoch, "core-").len())
}

fn dirs(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(parent).unwrap_or_else(|e| panic!("cannot list {}: {e}", parent.display()));
    let named =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    entries.map(|entry| entry.expect("a readable entry").path()).filter(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_come_are_seen_and_earlier_ones_are_not() {
        let top = std::env::temp_dir().join(format!("drill-kill-points-{}", std::process::id()));
        let core = top.join("epoch-0000000001/core-00000");
        std::fs::create_dir_all(&core).expect("directories");
        let watch = Watch::cores(&top);
        std::fs::write(core.join("snapshot.new"), "").expect("a file");
        let never = || false;
        assert!(!watch.wait(KillPoint::Snapshot, Duration::from_millis(20), never), "that was before");
        let come = |kill_point, change: &dyn Fn()| {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| watch.wait(kill_point, Duration::from_secs(20), never));
                while !waiting.is_finished() {
                    change();
                }
                waiting.join().expect("no panic")
            })
        };
        assert!(come(KillPoint::Snapshot, &|| {
            let _ = std::fs::remove_file(core.join("snapshot.new"));
            std::fs::write(core.join("snapshot.new"), "").expect("a file");
        }));
        assert!(come(KillPoint::SnapshotNamed, &|| {
            std::fs::write(core.join("snapshot.new"), "").expect("a file");
            std::fs::rename(core.join("snapshot.new"), core.join("snapshot-1")).expect("a name");
        }));
        std::fs::remove_dir_all(&top).expect("removed");
    }
}
