//! A whole disk: files and directories that forget what was not synced, a size that can run out, and faults on demand.
//! It knows nothing of how it is mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use super::dir::{Dir, Ino};
use super::file::File;
use super::luck::Luck;

pub const ROOT: Ino = 1;

#[derive(Clone, Debug)]
pub enum Node {
    File(File),
    Dir(Dir),
}

/// Why an operation is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    NotFound,
    Exists,
    NotEmpty,
    NotADirectory,
    IsADirectory,
    CrossDirectory,
    NoSpace,
    /// A fault that was asked for, or the power is off.
    Io,
}

/// What fails, once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A write that was to be durable when it is answered: the log's.
    DurableWrite,
    /// The sync of a directory.
    DirSync,
    /// The sync of a snapshot under way.
    SnapshotSync,
}

#[derive(Clone, Debug)]
pub struct Store {
    nodes: BTreeMap<Ino, Node>,
    next: Ino,
    /// Bytes that files may take.
    pub capacity: u64,
    /// The next operation of this kind fails.
    pub fault: Option<Fault>,
    /// Faults that have struck.
    pub struck: u64,
    /// Operations that were made durable.
    pub syncs: u64,
}

impl Default for Store {
    fn default() -> Store {
        let nodes = BTreeMap::from([(ROOT, Node::Dir(Dir::default()))]);
        Store { nodes, next: ROOT + 1, capacity: u64::MAX, fault: None, struck: 0, syncs: 0 }
    }
}

impl Store {
    pub fn node(&self, ino: Ino) -> Result<&Node, Refusal> {
        self.nodes.get(&ino).ok_or(Refusal::NotFound)
    }

    pub fn dir(&self, ino: Ino) -> Result<&Dir, Refusal> {
        match self.node(ino)? {
            Node::Dir(dir) => Ok(dir),
            Node::File(_) => Err(Refusal::NotADirectory),
        }
    }

    pub fn file(&self, ino: Ino) -> Result<&File, Refusal> {
        match self.node(ino)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(Refusal::IsADirectory),
        }
    }

    fn dir_mut(&mut self, ino: Ino) -> Result<&mut Dir, Refusal> {
        match self.nodes.get_mut(&ino) {
            Some(Node::Dir(dir)) => Ok(dir),
            Some(Node::File(_)) => Err(Refusal::NotADirectory),
            None => Err(Refusal::NotFound),
        }
    }

    fn file_mut(&mut self, ino: Ino) -> Result<&mut File, Refusal> {
        match self.nodes.get_mut(&ino) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => Err(Refusal::IsADirectory),
            None => Err(Refusal::NotFound),
        }
    }

    pub fn look_up(&self, parent: Ino, name: &str) -> Result<Ino, Refusal> {
        self.dir(parent)?.names().get(name).copied().ok_or(Refusal::NotFound)
    }

    /// A new file or directory.
    pub fn make(&mut self, parent: Ino, name: &str, node: Node) -> Result<Ino, Refusal> {
        if self.look_up(parent, name).is_ok() {
            return Err(Refusal::Exists);
        }
        let ino = self.next;
        self.dir_mut(parent)?.add(name, ino);
        self.nodes.insert(ino, node);
        self.next += 1;
        Ok(ino)
    }

    /// Takes a name away; a directory's only when it is empty. The file lives on for those who have it open.
    pub fn remove(&mut self, parent: Ino, name: &str) -> Result<(), Refusal> {
        if let Node::Dir(dir) = self.node(self.look_up(parent, name)?)?
            && !dir.names().is_empty()
        {
            return Err(Refusal::NotEmpty);
        }
        self.dir_mut(parent)?.remove(name);
        Ok(())
    }

    /// Within one directory: the engine renames in no other way.
    pub fn rename(&mut self, parent: Ino, from: &str, to_parent: Ino, to: &str) -> Result<(), Refusal> {
        if parent != to_parent {
            return Err(Refusal::CrossDirectory);
        }
        self.look_up(parent, from)?;
        self.dir_mut(parent)?.rename(from, to);
        Ok(())
    }

    pub fn write(&mut self, ino: Ino, offset: usize, bytes: &[u8]) -> Result<(), Refusal> {
        self.claim(ino, offset + bytes.len())?;
        self.file_mut(ino)?.write(offset, bytes);
        Ok(())
    }

    /// Makes a file longer or shorter.
    pub fn resize(&mut self, ino: Ino, len: usize) -> Result<(), Refusal> {
        self.claim(ino, len)?;
        self.file_mut(ino)?.resize(len);
        Ok(())
    }

    /// A file cannot grow to `len` if that is more than there is.
    fn claim(&self, ino: Ino, len: usize) -> Result<(), Refusal> {
        let grows = len.saturating_sub(self.file(ino)?.len()) as u64;
        if grows > 0 && self.used() + grows > self.capacity { Err(Refusal::NoSpace) } else { Ok(()) }
    }

    /// Bytes of all files that have a name.
    #[must_use]
    pub fn used(&self) -> u64 {
        let reachable = self.reachable();
        let len = |(ino, node): (&Ino, &Node)| match node {
            Node::File(file) if reachable.contains(ino) => file.len() as u64,
            _ => 0,
        };
        self.nodes.iter().map(len).sum()
    }

    /// Makes a range of a file durable.
    pub fn sync_range(&mut self, ino: Ino, from: usize, to: usize, luck: &mut Luck) -> Result<(), Refusal> {
        self.strike(Fault::DurableWrite, ino, luck)?;
        self.file_mut(ino)?.sync_range(from, to);
        self.syncs += 1;
        Ok(())
    }

    pub fn sync_file(&mut self, ino: Ino, luck: &mut Luck) -> Result<(), Refusal> {
        if self.name(ino).is_some_and(|name| name == "snapshot.new") {
            self.strike(Fault::SnapshotSync, ino, luck)?;
        }
        self.file_mut(ino)?.sync();
        self.syncs += 1;
        Ok(())
    }

    pub fn sync_dir(&mut self, ino: Ino, luck: &mut Luck) -> Result<(), Refusal> {
        self.strike(Fault::DirSync, ino, luck)?;
        self.dir_mut(ino)?.sync();
        self.syncs += 1;
        Ok(())
    }

    fn strike(&mut self, fault: Fault, ino: Ino, luck: &mut Luck) -> Result<(), Refusal> {
        if self.fault != Some(fault) {
            return Ok(());
        }
        self.fault = None;
        self.struck += 1;
        if let Ok(file) = self.file_mut(ino) {
            file.lose(luck);
        }
        Err(Refusal::Io)
    }

    fn name(&self, ino: Ino) -> Option<&str> {
        self.nodes.values().find_map(|node| match node {
            Node::Dir(dir) => {
                dir.names().iter().find(|(_, other)| **other == ino).map(|(name, _)| name.as_str())
            }
            Node::File(_) => None,
        })
    }

    /// The power is cut: what was synced is there, of the rest what luck keeps, and nobody has anything open.
    pub fn cut(&mut self, luck: &mut Luck) {
        for node in self.nodes.values_mut() {
            match node {
                Node::File(file) => file.cut(luck),
                Node::Dir(dir) => dir.cut(luck),
            }
        }
        let reachable = self.reachable();
        self.nodes.retain(|ino, _| reachable.contains(ino));
        self.fault = None;
    }

    /// Copies everything that is seen to a directory of another file system.
    ///
    /// # Errors
    /// What that one says.
    pub fn copy_out(&self, ino: Ino, to: &Path) -> io::Result<()> {
        match self.nodes.get(&ino) {
            Some(Node::File(file)) => fs::write(to, file.read(0, usize::MAX)),
            Some(Node::Dir(dir)) => {
                fs::create_dir_all(to)?;
                dir.names().iter().try_for_each(|(name, child)| self.copy_out(*child, &to.join(name)))
            }
            None => Ok(()),
        }
    }

    fn reachable(&self) -> BTreeSet<Ino> {
        let mut found = BTreeSet::from([ROOT]);
        let mut waiting = vec![ROOT];
        while let Some(ino) = waiting.pop() {
            if let Some(Node::Dir(dir)) = self.nodes.get(&ino) {
                waiting.extend(dir.names().values().filter(|child| found.insert(**child)));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_synced_file_whose_name_is_not_synced_may_be_gone() {
        let mut store = Store::default();
        let luck = &mut Luck::certain(0);
        let dir = store.make(ROOT, "d", Node::Dir(Dir::default())).expect("made");
        store.sync_dir(ROOT, luck).expect("synced");
        let file = store.make(dir, "f", Node::File(File::default())).expect("made");
        store.write(file, 0, b"bytes").expect("written");
        store.sync_file(file, luck).expect("synced");
        let mut cut = store.clone();
        cut.cut(luck);
        assert_eq!(cut.look_up(dir, "f"), Err(Refusal::NotFound));
        store.sync_dir(dir, luck).expect("synced");
        store.cut(luck);
        assert_eq!(store.look_up(dir, "f"), Ok(file));
        assert_eq!(store.file(file).expect("a file").read(0, 9), b"bytes");
    }

    #[test]
    fn a_full_disk_takes_nothing_more_and_takes_it_again_when_there_is_room() {
        let mut store = Store { capacity: 1_000, ..Store::default() };
        let file = store.make(ROOT, "f", Node::File(File::default())).expect("made");
        store.write(file, 0, &[1; 900]).expect("written");
        assert_eq!(store.write(file, 900, &[1; 200]), Err(Refusal::NoSpace));
        store.write(file, 100, &[2; 800]).expect("what has its place is written");
        let other = store.make(ROOT, "g", Node::File(File::default())).expect("made");
        assert_eq!(store.resize(other, 200), Err(Refusal::NoSpace));
        store.remove(ROOT, "f").expect("removed");
        store.resize(other, 200).expect("there is room");
    }

    #[test]
    fn a_fault_strikes_once() {
        let mut store = Store { fault: Some(Fault::DurableWrite), ..Store::default() };
        let luck = &mut Luck::certain(0);
        let file = store.make(ROOT, "f", Node::File(File::default())).expect("made");
        store.write(file, 0, &[1; 512]).expect("written");
        assert_eq!(store.sync_range(file, 0, 512, luck), Err(Refusal::Io));
        assert_eq!(store.sync_range(file, 0, 512, luck), Ok(()));
        assert_eq!(store.struck, 1);
    }
}
