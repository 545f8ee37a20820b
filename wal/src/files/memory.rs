//! A file system in memory that can crash. A write is visible at once and durable after a sync. A crash keeps any chosen subset of
//! what is not durable: sectors of writes, and changes to directories.

mod faults;
mod sectors;
mod unsynced;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use self::faults::Faults;
use self::sectors::{put, tear};
pub use self::unsynced::Unsynced;
use super::{File, Files, parent};

/// An injected failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// The changing operation that fails, counted from 0 over the life of the files.
    pub step: u64,
    /// The error number. The operation changes nothing.
    pub errno: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

/// Contents are shared until they are changed: copies of a disk are many, and differ little.
#[derive(Debug, Default, Clone)]
struct Inode {
    live: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    pending: Vec<(usize, Arc<Vec<u8>>)>,
}

#[derive(Debug, Clone, Default)]
struct Names {
    nodes: BTreeMap<String, Node>,
}

/// A change to names that happens as a whole.
#[derive(Debug, Clone)]
struct NameChange {
    dir: String,
    names: Vec<(String, Option<Node>)>,
}

#[derive(Debug, Default)]
struct Volume {
    inodes: Vec<Inode>,
    live: Names,
    durable: Names,
    pending: Vec<NameChange>,
    locked: bool,
    /// Counts crashes and restarts: files and locks of an earlier life are dead.
    life: u64,
    steps: u64,
    stop_at: Option<u64>,
    trouble: Vec<Trouble>,
    faults: Faults,
    capacity: Option<u64>,
    /// Copies from before each changing operation, if they are asked for.
    moments: Option<Vec<MemoryFiles>>,
}

/// Files in memory. Clones see the same ones.
#[derive(Debug, Clone)]
pub struct MemoryFiles {
    state: Arc<Mutex<Volume>>,
    life: u64,
}

/// An open file in memory.
#[derive(Debug)]
pub struct MemoryFile {
    files: MemoryFiles,
    inode: usize,
}

/// Held while the directory is in use.
#[derive(Debug)]
pub struct MemoryLock(MemoryFiles);

impl Drop for MemoryLock {
    fn drop(&mut self) {
        let mut state = self.0.lock_state();
        if state.life == self.0.life {
            state.locked = false;
        }
    }
}

impl Default for MemoryFiles {
    fn default() -> MemoryFiles {
        MemoryFiles::new()
    }
}

/// For tests and simulators.
impl MemoryFiles {
    /// A data directory that is absent.
    pub fn new() -> MemoryFiles {
        MemoryFiles { state: Arc::default(), life: 0 }
    }

    /// A crash of the machine. Of each sector of an unsynced write, and of each unsynced change to a directory, `keep` says
    /// whether it survives. All earlier handles are dead.
    pub fn crash(&self, mut keep: impl FnMut() -> bool) -> MemoryFiles {
        let mut state = self.lock_state();
        let Volume { inodes, live, durable, pending, .. } = &mut *state;
        for inode in inodes.iter_mut() {
            for (offset, bytes) in std::mem::take(&mut inode.pending) {
                tear(&mut inode.durable, offset, &bytes, &mut keep);
            }
            inode.live = inode.durable.clone();
        }
        for rename in pending.drain(..) {
            if keep() {
                durable.apply(&rename);
            }
        }
        // A name in a directory that did not survive is not there.
        let names = durable.nodes.clone();
        durable.nodes.retain(|path, _| parents(path).all(|dir| names.get(dir) == Some(&Node::Dir)));
        *live = durable.clone();
        self.next_life(state)
    }

    /// The process dies and the machine goes on: what was written is seen, and is no more durable than before.
    pub fn restart(&self) -> MemoryFiles {
        let state = self.lock_state();
        self.next_life(state)
    }

    fn next_life(&self, mut state: MutexGuard<'_, Volume>) -> MemoryFiles {
        state.life += 1;
        state.locked = false;
        state.stop_at = None;
        state.trouble.clear();
        state.faults.forgive();
        state.free_unnamed();
        MemoryFiles { state: self.state.clone(), life: state.life }
    }

    /// An independent copy, with nothing locked.
    pub fn fork(&self) -> MemoryFiles {
        self.lock_state().fork()
    }

    /// Changing operations so far.
    pub fn steps(&self) -> u64 {
        self.lock_state().steps
    }

    /// Every changing operation from this one on fails and changes nothing, as if the process had died before it.
    pub fn stop_at(&self, step: u64) {
        self.lock_state().stop_at = Some(step);
    }

    /// Injects a failure.
    pub fn trouble(&self, trouble: Trouble) {
        self.lock_state().trouble.push(trouble);
    }

    /// The capacity in bytes of all files together; `None` is unlimited.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.lock_state().capacity = bytes;
    }

    /// All that is there now: files with their contents, directories without.
    pub fn contents(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let state = self.lock_state();
        let content = |node: &Node| match *node {
            Node::Dir => None,
            Node::File(inode) => Some(state.inodes[inode].live.to_vec()),
        };
        state.live.nodes.iter().map(|(path, node)| (path.clone(), content(node))).collect()
    }

    /// Changes a file directly and durably, as rot does.
    ///
    /// # Panics
    /// When there is no such file.
    pub fn tamper(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock_state();
        let Some(Node::File(inode)) = state.live.nodes.get(file).copied() else { panic!("no file {file}") };
        let inode = &mut state.inodes[inode];
        inode.durable = Arc::default();
        change(Arc::make_mut(&mut inode.live));
        inode.durable = inode.live.clone();
        inode.pending.clear();
    }

    fn lock_state(&self) -> MutexGuard<'_, Volume> {
        self.state.lock().expect("no holder of this lock panics")
    }

    fn alive(&self) -> io::Result<MutexGuard<'_, Volume>> {
        let state = self.lock_state();
        if state.life == self.life {
            Ok(state)
        } else {
            Err(io::Error::other("a handle from before the crash"))
        }
    }

    /// Counts a changing operation, and fails it if that is foreseen.
    fn change(&self) -> io::Result<MutexGuard<'_, Volume>> {
        let mut state = self.alive()?;
        let step = state.steps;
        state.remember();
        state.steps += 1;
        if state.stop_at.is_some_and(|stop| step >= stop) {
            return Err(io::Error::other("stopped here by the test"));
        }
        match state.trouble.iter().find(|trouble| trouble.step == step) {
            Some(trouble) => Err(io::Error::from_raw_os_error(trouble.errno)),
            None => Ok(state),
        }
    }
}

impl Names {
    fn apply(&mut self, rename: &NameChange) {
        for (path, node) in &rename.names {
            match node {
                Some(node) => self.nodes.insert(path.clone(), *node),
                None => self.nodes.remove(path),
            };
        }
    }
}

impl Volume {
    fn fork(&self) -> MemoryFiles {
        let copy = Volume {
            inodes: self.inodes.clone(),
            live: self.live.clone(),
            durable: self.durable.clone(),
            pending: self.pending.clone(),
            steps: self.steps,
            capacity: self.capacity,
            ..Volume::default()
        };
        MemoryFiles { state: Arc::new(Mutex::new(copy)), life: 0 }
    }

    fn change_names(&mut self, names: Vec<(String, Option<Node>)>) {
        let rename = NameChange { dir: parent(&names[0].0).to_owned(), names };
        self.live.apply(&rename);
        // The data directory itself is durable as soon as it is made, like that of the real file system.
        if rename.names[0].0.is_empty() {
            self.durable.apply(&rename);
        } else {
            self.pending.push(rename);
        }
    }

    fn node(&self, path: &str) -> io::Result<Node> {
        if let Some(node) = self.live.nodes.get(path) {
            return Ok(*node);
        }
        let through_a_file = matches!(self.live.nodes.get(parent(path)), Some(Node::File(_)));
        Err(if through_a_file { io::ErrorKind::NotADirectory } else { io::ErrorKind::NotFound }.into())
    }

    fn in_dir(&self, path: &str) -> io::Result<()> {
        match self.node(parent(path))? {
            Node::Dir => Ok(()),
            Node::File(_) => Err(io::Error::from(io::ErrorKind::NotADirectory)),
        }
    }

    fn file(&self, path: &str) -> io::Result<usize> {
        match self.node(path)? {
            Node::File(inode) => Ok(inode),
            Node::Dir => Err(io::Error::from(io::ErrorKind::IsADirectory)),
        }
    }

    fn has_room(&self, inode: usize, length: usize) -> io::Result<()> {
        let Some(capacity) = self.capacity else { return Ok(()) };
        let bytes = |node: &Node| match *node {
            Node::File(other) if other != inode => self.inodes[other].live.len() as u64,
            _ => 0,
        };
        let others: u64 = self.live.nodes.values().map(bytes).sum();
        let own = self.inodes[inode].live.len();
        if length > own && others + length as u64 > capacity {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        Ok(())
    }
}

/// The directories that a path is in, the data directory itself (which is in none) included.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    let first = if path.is_empty() { None } else { Some(parent(path)) };
    std::iter::successors(first, |dir| if dir.is_empty() { None } else { Some(parent(dir)) })
}

impl Files for MemoryFiles {
    type File = MemoryFile;
    type Lock = MemoryLock;

    fn display(&self, path: &str) -> String {
        format!("memory:{path}")
    }

    fn list(&self, dir: &str) -> io::Result<Option<Vec<String>>> {
        let state = self.alive()?;
        match state.live.nodes.get(dir) {
            Some(Node::Dir) => {}
            Some(Node::File(_)) => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
            None => return Ok(None),
        }
        let within = state.live.nodes.keys().filter(|path| !path.is_empty() && parent(path) == dir);
        let name = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
        Ok(Some(within.map(name).collect()))
    }

    fn make_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.change()?;
        if state.live.nodes.get(dir) != Some(&Node::Dir) {
            if !dir.is_empty() {
                state.in_dir(dir)?;
            }
            state.change_names(vec![(dir.to_owned(), Some(Node::Dir))]);
        }
        Ok(())
    }

    fn open_read(&self, file: &str) -> io::Result<Option<MemoryFile>> {
        let state = self.alive()?;
        match state.file(file) {
            Ok(inode) => Ok(Some(MemoryFile { files: self.clone(), inode })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_write(&self, file: &str) -> io::Result<MemoryFile> {
        let inode = self.alive()?.file(file)?;
        Ok(MemoryFile { files: self.clone(), inode })
    }

    fn create(&self, file: &str) -> io::Result<MemoryFile> {
        let mut state = self.change()?;
        state.in_dir(file)?;
        if state.node(file).is_ok_and(|node| node == Node::Dir) {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        // A new inode even where the name is taken: an unsynced truncation may be undone by a crash.
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.change_names(vec![(file.to_owned(), Some(Node::File(inode)))]);
        Ok(MemoryFile { files: self.clone(), inode })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        assert_eq!(parent(from), parent(to), "names are changed within one directory");
        let mut state = self.change()?;
        let node = state.node(from)?;
        state.change_names(vec![(to.to_owned(), Some(node)), (from.to_owned(), None)]);
        Ok(())
    }

    fn remove(&self, file: &str) -> io::Result<()> {
        let mut state = self.change()?;
        state.file(file)?;
        state.change_names(vec![(file.to_owned(), None)]);
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.change()?;
        if state.node(dir)? != Node::Dir {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        if state.live.nodes.keys().any(|path| !path.is_empty() && parent(path) == dir) {
            return Err(io::Error::from(io::ErrorKind::DirectoryNotEmpty));
        }
        state.change_names(vec![(dir.to_owned(), None)]);
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> io::Result<()> {
        let mut state = self.change()?;
        state.node(dir)?;
        let (ours, others): (Vec<_>, Vec<_>) = state.pending.drain(..).partition(|rename| rename.dir == dir);
        state.pending = others;
        for rename in &ours {
            state.durable.apply(rename);
        }
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        let mut state = self.change()?;
        state.node("")?;
        for inode in &mut state.inodes {
            inode.flush();
        }
        for rename in std::mem::take(&mut state.pending) {
            state.durable.apply(&rename);
        }
        Ok(())
    }

    fn lock(&self, file: &str, exclusive: bool) -> io::Result<Result<MemoryLock, String>> {
        let absent = self.alive()?.file(file).is_err();
        if absent && exclusive {
            self.create(file)?;
        }
        let mut state = self.alive()?;
        if state.locked {
            return Ok(Err("another one".to_owned()));
        }
        state.locked = true;
        Ok(Ok(MemoryLock(self.clone())))
    }
}

impl Inode {
    fn flush(&mut self) {
        for (offset, bytes) in std::mem::take(&mut self.pending) {
            put(&mut self.durable, offset, &bytes);
        }
    }

    /// Makes one range durable as it is seen now, and nothing else.
    fn flush_range(&mut self, from: usize, to: usize) {
        for (offset, bytes) in std::mem::take(&mut self.pending) {
            let end = offset + bytes.len();
            if offset < from.min(end) {
                self.pending.push((offset, Arc::new(bytes[..from.min(end) - offset].to_vec())));
            }
            if to.max(offset) < end {
                self.pending.push((to.max(offset), Arc::new(bytes[to.max(offset) - offset..].to_vec())));
            }
        }
        put(&mut self.durable, from, &self.live[from..to]);
    }
}

impl MemoryFile {
    /// Completes a write that is durable on its own, as one with O_DSYNC is.
    pub(crate) fn make_durable(&self, offset: u64, length: usize) -> io::Result<()> {
        let from = usize::try_from(offset).expect("files in memory are small");
        self.files.change()?.inodes[self.inode].flush_range(from, from + length);
        Ok(())
    }
}

impl File for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.files.alive()?.inodes[self.inode].live.len() as u64)
    }

    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.files.alive()?;
        state.faults.read()?;
        let live = &state.inodes[self.inode].live;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(live.len());
        let length = buf.len().min(live.len() - from);
        buf[..length].copy_from_slice(&live[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.files.change()?;
        let offset = usize::try_from(offset).expect("files in memory are small");
        state.has_room(self.inode, offset + buf.len())?;
        let short = state.faults.short(state.steps - 1);
        let length = short.as_ref().map_or(buf.len(), |(bytes, _)| buf.len().min(*bytes));
        let inode = &mut state.inodes[self.inode];
        put(&mut inode.live, offset, &buf[..length]);
        inode.pending.push((offset, Arc::new(buf[..length].to_vec())));
        short.map_or(Ok(()), |(_, error)| Err(error))
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let length = usize::try_from(bytes).expect("files in memory are small");
        self.files.change()?.has_room(self.inode, length)
    }

    fn sync(&self) -> io::Result<()> {
        self.files.change()?.inodes[self.inode].flush();
        Ok(())
    }

    fn wait_for_writes(&self, _wait: Duration) -> io::Result<bool> {
        Ok(true)
    }
}
