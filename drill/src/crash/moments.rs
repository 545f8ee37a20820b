//! Named moments, found by looking at the data directory from outside: the kernel tells which names come and go.

use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::io::Errno;

/// What a server was about when it was killed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Moment {
    /// Anything.
    Random,
    /// A snapshot is being written.
    Snapshot,
    /// A snapshot has just got its name; what it makes superfluous is about to go.
    SnapshotNamed,
    /// A segment is being made, or has just got its name.
    Segment,
    /// It was asked to stop.
    Stopping,
    /// It starts for the first time, on an empty directory.
    FirstStart,
    /// It starts.
    Start,
    /// It starts and has begun to deal the slots out to another number of cores.
    Redistribution,
}

impl Moment {
    pub const ALL: [Moment; 8] = [
        Moment::Random,
        Moment::Snapshot,
        Moment::SnapshotNamed,
        Moment::Segment,
        Moment::Stopping,
        Moment::FirstStart,
        Moment::Start,
        Moment::Redistribution,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Moment::Random => "random",
            Moment::Snapshot => "snapshot being written",
            Moment::SnapshotNamed => "snapshot named",
            Moment::Segment => "segment change",
            Moment::Stopping => "stopping",
            Moment::FirstStart => "first start",
            Moment::Start => "start",
            Moment::Redistribution => "redistribution",
        }
    }

    /// Whether a name that comes means that the moment is there. Moments without a name of their own have none.
    fn is_announced_by(self, name: &str) -> bool {
        match self {
            Moment::Snapshot => name == "snapshot.new",
            Moment::SnapshotNamed => name.starts_with("snapshot-"),
            Moment::Segment => name.starts_with("log-"),
            Moment::Redistribution => name.starts_with("epoch-"),
            Moment::Random | Moment::Stopping | Moment::FirstStart | Moment::Start => false,
        }
    }
}

/// Looks at directories from the moment on at which it is made.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// The top of a data directory: where epochs come and go.
    #[must_use]
    pub fn top(data: &Path) -> Watch {
        let watch = Watch(inotify::init(inotify::CreateFlags::NONBLOCK).expect("an inotify"));
        watch.add(data);
        watch
    }

    /// The directories of the cores: where segments and snapshots come and go.
    #[must_use]
    pub fn cores(data: &Path) -> Watch {
        let watch = Watch(inotify::init(inotify::CreateFlags::NONBLOCK).expect("an inotify"));
        for epoch in dirs(data, "epoch-") {
            dirs(&epoch, "core-").iter().for_each(|core| watch.add(core));
        }
        watch
    }

    fn add(&self, dir: &Path) {
        let flags = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        inotify::add_watch(&self.0, dir, flags)
            .unwrap_or_else(|e| panic!("cannot watch {}: {e}", dir.display()));
    }

    /// Waits for a moment, from now on; whether it came in time. `is_over` ends the waiting early.
    pub fn wait(&self, moment: Moment, at_most: Duration, mut is_over: impl FnMut() -> bool) -> bool {
        self.forget();
        let started = Instant::now();
        while started.elapsed() < at_most && !is_over() {
            let tick = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
            let _ = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&tick));
            if self.read(|name| moment.is_announced_by(name)) {
                return true;
            }
        }
        false
    }

    /// What came before counts no more.
    fn forget(&self) {
        self.read(|_| false);
    }

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

/// How many cores the newest epoch of a data directory has.
#[must_use]
pub fn cores_on_disk(data: &Path) -> usize {
    dirs(data, "epoch-").into_iter().max().map_or(0, |epoch| dirs(&epoch, "core-").len())
}

fn dirs(parent: &Path, prefix: &str) -> Vec<std::path::PathBuf> {
    let entries =
        std::fs::read_dir(parent).unwrap_or_else(|e| panic!("cannot list {}: {e}", parent.display()));
    let named = |path: &std::path::PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    entries.map(|entry| entry.expect("a readable entry").path()).filter(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_come_are_seen_and_earlier_ones_are_not() {
        let top = std::env::temp_dir().join(format!("drill-moments-{}", std::process::id()));
        let core = top.join("epoch-0000000001/core-00000");
        std::fs::create_dir_all(&core).expect("directories");
        let watch = Watch::cores(&top);
        std::fs::write(core.join("snapshot.new"), "").expect("a file");
        let never = || false;
        assert!(!watch.wait(Moment::Snapshot, Duration::from_millis(20), never), "that was before");
        let come = |moment, change: &dyn Fn()| {
            std::thread::scope(|scope| {
                let waiting = scope.spawn(|| watch.wait(moment, Duration::from_secs(20), never));
                while !waiting.is_finished() {
                    change();
                }
                waiting.join().expect("no panic")
            })
        };
        assert!(come(Moment::Snapshot, &|| {
            let _ = std::fs::remove_file(core.join("snapshot.new"));
            std::fs::write(core.join("snapshot.new"), "").expect("a file");
        }));
        assert!(come(Moment::SnapshotNamed, &|| {
            std::fs::write(core.join("snapshot.new"), "").expect("a file");
            std::fs::rename(core.join("snapshot.new"), core.join("snapshot-1")).expect("a name");
        }));
        std::fs::remove_dir_all(&top).expect("removed");
    }
}
