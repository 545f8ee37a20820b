//! The store as a file system of the kernel (FUSE), with a power switch.
//!
//! Every open file bypasses the page cache (`FOPEN_DIRECT_IO`) and names are not cached, so that no cache survives a cut.
//! The kernel passes the flags of each write along: one with O_DSYNC is written at once and durable a millisecond later,
//! when it is answered. A cut in between meets a write that is under way.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    AccessFlags, BackgroundSession, BsdFileFlags, Config, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, InitFlags, KernelConfig, LockOwner, MountOption, OpenFlags, RenameFlags,
    ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::dir::Dir;
use super::file::File;
use super::store::{Inode, ROOT, Store};
use super::survival::Survival;

/// The time of a durable write or a sync: long enough that most cuts meet one under way.
const SYNC_TIME: Duration = Duration::from_millis(1);
/// The kernel caches neither names nor attributes.
const NO_CACHING: Duration = Duration::ZERO;
const BLOCK: u32 = 4_096;
/// The size that an unlimited file system reports.
const BLOCKS_MAX: u64 = 1 << 28;

/// A disk and its power switch. [`Disk::switch_off`], [`Disk::fail_waiting`] and [`Disk::switch_on`] in this order are a
/// power cut; `Mount::cut` says what comes between them.
#[derive(Debug)]
pub struct Disk {
    state: Mutex<DiskState>,
    changed: Condvar,
}

#[derive(Debug)]
struct DiskState {
    store: Store,
    power: Power,
    survival: Survival,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Power {
    On,
    /// Nothing more reaches the disk, and operations wait.
    Off,
    /// Nothing more reaches the disk, and operations fail.
    Failing,
}

impl Disk {
    #[must_use]
    pub fn new(store: Store) -> Arc<Disk> {
        let state = DiskState { store, power: Power::On, survival: Survival::fixed(50) };
        Arc::new(Disk { state: Mutex::new(state), changed: Condvar::new() })
    }

    fn lock(&self) -> MutexGuard<'_, DiskState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Reads or sets the store's counters and limits, whatever the power is.
    pub fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> T {
        work(&mut self.lock().store)
    }

    /// From here on nothing reaches the disk, and no operation on it ends.
    pub fn switch_off(&self) {
        self.lock().power = Power::Off;
    }

    /// Operations fail now, those that wait as well, so that a process that was killed can die.
    pub fn fail_waiting(&self) {
        self.lock().power = Power::Failing;
        self.changed.notify_all();
    }

    /// The disk is back, with what survived.
    pub fn switch_on(&self, survival: &mut Survival) {
        let mut state = self.lock();
        state.store.cut(survival);
        state.power = Power::On;
    }

    /// Does one operation on the store, if the power is on.
    fn run<T>(&self, work: impl FnOnce(&mut Store, &mut Survival) -> Result<T, Errno>) -> Result<T, Errno> {
        let mut state = self.lock();
        while state.power == Power::Off {
            state = self.changed.wait(state).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        if state.power == Power::Failing {
            return Err(Errno::IO);
        }
        let DiskState { store, survival, .. } = &mut *state;
        work(store, survival)
    }

    /// Mounts it.
    ///
    /// # Errors
    /// When the kernel does not let this process mount (it takes root, or `fusermount3`).
    pub fn mount(self: &Arc<Disk>, at: &Path) -> io::Result<BackgroundSession> {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("drill".to_owned()), MountOption::NoAtime];
        fuser::spawn_mount(MountedDisk(self.clone()), at, &config)
    }
}

struct MountedDisk(Arc<Disk>);

fn errno(error: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(error.raw_os_error())
}

fn attributes(store: &Store, ino: u64) -> Result<FileAttr, Errno> {
    let (kind, size) = match store.inode(ino)? {
        Inode::File(file) => (FileType::RegularFile, file.len() as u64),
        Inode::Dir(_) => (FileType::Directory, 0),
    };
    Ok(FileAttr {
        ino: INodeNo(ino),
        size,
        blocks: size.div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: if kind == FileType::Directory { 0o755 } else { 0o644 },
        nlink: 1,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        blksize: BLOCK,
        flags: 0,
    })
}

fn text(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

fn at(offset: u64) -> usize {
    usize::try_from(offset).expect("files here are small")
}

impl MountedDisk {
    fn reply_entry(&self, made: Result<FileAttr, Errno>, reply: ReplyEntry) {
        match made {
            Ok(attr) => reply.entry(&NO_CACHING, &attr, Generation(0)),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn reply_attributes(&self, attributes: Result<FileAttr, Errno>, reply: ReplyAttr) {
        match attributes {
            Ok(attr) => reply.attr(&NO_CACHING, &attr),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn reply_done(&self, done: Result<(), Errno>, reply: ReplyEmpty) {
        match done {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(errno(error)),
        }
    }

    /// A sync that takes its time, in which the power can be cut.
    fn sync(&self, work: impl FnOnce(&mut Store, &mut Survival) -> Result<(), Errno>) -> Result<(), Errno> {
        // Not in place of a condition: it is how long this disk takes.
        std::thread::sleep(SYNC_TIME);
        self.0.run(work)
    }
}

impl Filesystem for MountedDisk {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // A frame of the log arrives in one piece, where the kernel allows it.
        let _ = config.set_max_write(1 << 20);
        // Without it a write through io_uring blocks its thread until it is done, and nothing else happens meanwhile.
        let async_writes = config.add_capabilities(InitFlags::FUSE_ASYNC_DIO);
        async_writes.map_err(|_| io::Error::other("this kernel has no asynchronous direct writes on FUSE"))
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.0.run(|store, _| attributes(store, store.look_up(parent.0, &text(name))?));
        self.reply_entry(found, reply);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.reply_attributes(self.0.run(|store, _| attributes(store, ino.0)), reply);
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        _: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<SystemTime>,
        _: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let changed = self.0.run(|store, _| {
            if let Some(size) = size {
                store.resize(ino.0, at(size))?;
            }
            attributes(store, ino.0)
        });
        self.reply_attributes(changed, reply);
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, reply: ReplyEntry) {
        let made = self.0.run(|store, _| {
            let ino = store.make(parent.0, &text(name), Inode::Dir(Dir::default()))?;
            attributes(store, ino)
        });
        self.reply_entry(made, reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.reply_done(self.0.run(|store, _| store.remove(parent.0, &text(name))), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        self.reply_done(self.0.run(|store, _| store.remove(parent.0, &text(name))), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (text(name), text(new_name));
        self.reply_done(self.0.run(|store, _| store.rename(parent.0, &from, new_parent.0, &to)), reply);
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, _: u32, _: u32, _: i32, reply: ReplyCreate) {
        let made = self.0.run(|store, _| {
            let ino = store.make(parent.0, &text(name), Inode::File(File::default()))?;
            attributes(store, ino)
        });
        match made {
            Ok(attr) => {
                reply.created(&NO_CACHING, &attr, Generation(0), FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.0.run(|store, _| Ok(store.file(ino.0)?.read(at(offset), size as usize).to_vec())) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        flags: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let from = at(offset);
        let flags = OFlags::from_bits_retain(flags.0.cast_unsigned());
        let mut written = self.0.run(|store, _| store.write(ino.0, from, data));
        if written.is_ok() && flags.contains(OFlags::DSYNC) {
            written = self.sync(|store, survival| store.sync_range(ino.0, from, from + data.len(), survival));
        }
        match written {
            Ok(()) => reply.written(u32::try_from(data.len()).expect("a write is small")),
            Err(error) => reply.error(errno(error)),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.reply_done(self.sync(|store, survival| store.sync_file(ino.0, survival)), reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        self.reply_done(self.sync(|store, survival| store.sync_dir(ino.0, survival)), reply);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.0.run(|store, _| {
            let mut listed = vec![(ino.0, FileType::Directory, ".".to_owned())];
            listed.push((ROOT, FileType::Directory, "..".to_owned()));
            for (name, child) in store.dir(ino.0)?.names() {
                listed.push((*child, attributes(store, *child)?.kind, name.clone()));
            }
            Ok(listed)
        });
        match listed {
            Ok(listed) => {
                for (i, (child, kind, name)) in listed.into_iter().enumerate().skip(at(offset)) {
                    if reply.add(INodeNo(child), i as u64 + 1, kind, name) {
                        break;
                    }
                }
                reply.ok();
            }
            Err(error) => reply.error(errno(error)),
        }
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let (used, capacity) = self.0.with(|store| (store.used(), store.capacity));
        let blocks = (capacity / u64::from(BLOCK)).min(BLOCKS_MAX);
        let free = blocks.saturating_sub(used / u64::from(BLOCK));
        reply.statfs(blocks, free, free, 0, 0, BLOCK, 255, BLOCK);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        if mode != 0 {
            return reply.error(errno(Errno::OPNOTSUPP));
        }
        let done = self.0.run(|store, _| {
            let len = at(offset + length).max(store.file(ino.0)?.len());
            store.resize(ino.0, len)
        });
        self.reply_done(done, reply);
    }
}
