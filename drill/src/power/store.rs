//! A whole disk: files and directories that lose what was not synced, a size that can run out, and faults on demand.
//! It does not know how it is mounted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::{fs, io};

use rustix::io::Errno;

use super::dir::{Dir, Ino};
use super::file::File;
use super::survival::Survival;

pub const ROOT: Ino = 1;

#[derive(Clone, Debug)]
pub enum Inode {
    File(File),
    Dir(Dir),
}

/// An operation that fails, once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// A write with O_DSYNC: the log's.
    DurableWrite,
    /// The sync of a directory.
    DirSync,
    /// The sync of a snapshot that is being written.
    SnapshotSync,
}

#[derive(Clone, Debug)]
pub struct Store {
    inodes: BTreeMap<Ino, Inode>,
    next: Ino,
    /// Bytes that files may take.
    pub capacity: u64,
    /// The next operation of this kind fails.
    pub fault: Option<Fault>,
    /// Faults that have happened.
    pub faults: u64,
    /// Writes and names that were made durable.
    pub syncs: u64,
}

impl Default for Store {
    fn default() -> Store {
        let inodes = BTreeMap::from([(ROOT, Inode::Dir(Dir::default()))]);
        Store { inodes, next: ROOT + 1, capacity: u64::MAX, fault: None, faults: 0, syncs: 0 }
    }
}

impl Store {
    pub fn inode(&self, ino: Ino) -> Result<&Inode, Errno> {
        self.inodes.get(&ino).ok_or(Errno::NOENT)
    }

    pub fn dir(&self, ino: Ino) -> Result<&Dir, Errno> {
        match self.inode(ino)? {
            Inode::Dir(dir) => Ok(dir),
            Inode::File(_) => Err(Errno::NOTDIR),
        }
    }

    pub fn file(&self, ino: Ino) -> Result<&File, Errno> {
        match self.inode(ino)? {
            Inode::File(file) => Ok(file),
            Inode::Dir(_) => Err(Errno::ISDIR),
        }
    }

    fn dir_mut(&mut self, ino: Ino) -> Result<&mut Dir, Errno> {
        match self.inodes.get_mut(&ino) {
            Some(Inode::Dir(dir)) => Ok(dir),
            Some(Inode::File(_)) => Err(Errno::NOTDIR),
            None => Err(Errno::NOENT),
        }
    }

    fn file_mut(&mut self, ino: Ino) -> Result<&mut File, Errno> {
        match self.inodes.get_mut(&ino) {
            Some(Inode::File(file)) => Ok(file),
            Some(Inode::Dir(_)) => Err(Errno::ISDIR),
            None => Err(Errno::NOENT),
        }
    }

    pub fn look_up(&self, parent: Ino, name: &str) -> Result<Ino, Errno> {
        self.dir(parent)?.names().get(name).copied().ok_or(Errno::NOENT)
    }

    /// A new file or directory.
    pub fn make(&mut self, parent: Ino, name: &str, inode: Inode) -> Result<Ino, Errno> {
        if self.look_up(parent, name).is_ok() {
            return Err(Errno::EXIST);
        }
        let ino = self.next;
        self.dir_mut(parent)?.add(name, ino);
        self.inodes.insert(ino, inode);
        self.next += 1;
        Ok(ino)
    }

    /// Removes a name; a directory's only when it is empty. The file stays for those who have it open.
    pub fn remove(&mut self, parent: Ino, name: &str) -> Result<(), Errno> {
        if let Inode::Dir(dir) = self.inode(self.look_up(parent, name)?)?
            && !dir.names().is_empty()
        {
            return Err(Errno::NOTEMPTY);
        }
        self.dir_mut(parent)?.remove(name);
        Ok(())
    }

    /// Within one directory: the engine renames in no other way.
    pub fn rename(&mut self, parent: Ino, from: &str, to_parent: Ino, to: &str) -> Result<(), Errno> {
        if parent != to_parent {
            return Err(Errno::XDEV);
        }
        self.look_up(parent, from)?;
        self.dir_mut(parent)?.rename(from, to);
        Ok(())
    }

    pub fn write(&mut self, ino: Ino, offset: usize, bytes: &[u8]) -> Result<(), Errno> {
        self.check_room(ino, offset + bytes.len())?;
        self.file_mut(ino)?.write(offset, bytes);
        Ok(())
    }

    /// Makes a file longer or shorter.
    pub fn resize(&mut self, ino: Ino, len: usize) -> Result<(), Errno> {
        self.check_room(ino, len)?;
        self.file_mut(ino)?.resize(len);
        Ok(())
    }

    /// Refuses that a file grows to `len` where the disk has no room for it.
    fn check_room(&self, ino: Ino, len: usize) -> Result<(), Errno> {
        let grows = len.saturating_sub(self.file(ino)?.len()) as u64;
        if grows > 0 && self.used() + grows > self.capacity { Err(Errno::NOSPC) } else { Ok(()) }
    }

    /// The bytes of all files that have a name.
    #[must_use]
    pub fn used(&self) -> u64 {
        let reachable = self.reachable();
        let len = |(ino, inode): (&Ino, &Inode)| match inode {
            Inode::File(file) if reachable.contains(ino) => file.len() as u64,
            _ => 0,
        };
        self.inodes.iter().map(len).sum()
    }

    /// Makes a range of a file durable.
    pub fn sync_range(
        &mut self,
        ino: Ino,
        from: usize,
        to: usize,
        survival: &mut Survival,
    ) -> Result<(), Errno> {
        self.fail_on_demand(Fault::DurableWrite, ino, survival)?;
        self.file_mut(ino)?.sync_range(from, to);
        self.syncs += 1;
        Ok(())
    }

    pub fn sync_file(&mut self, ino: Ino, survival: &mut Survival) -> Result<(), Errno> {
        if self.name(ino).is_some_and(|name| name == "snapshot.new") {
            self.fail_on_demand(Fault::SnapshotSync, ino, survival)?;
        }
        self.file_mut(ino)?.sync();
        self.syncs += 1;
        Ok(())
    }

    pub fn sync_dir(&mut self, ino: Ino, survival: &mut Survival) -> Result<(), Errno> {
        self.fail_on_demand(Fault::DirSync, ino, survival)?;
        self.dir_mut(ino)?.sync();
        self.syncs += 1;
        Ok(())
    }

    fn fail_on_demand(&mut self, fault: Fault, ino: Ino, survival: &mut Survival) -> Result<(), Errno> {
        if self.fault != Some(fault) {
            return Ok(());
        }
        self.fault = None;
        self.faults += 1;
        if let Ok(file) = self.file_mut(ino) {
            file.lose(survival);
        }
        Err(Errno::IO)
    }

    fn name(&self, ino: Ino) -> Option<&str> {
        self.inodes.values().find_map(|inode| match inode {
            Inode::Dir(dir) => {
                dir.names().iter().find(|(_, other)| **other == ino).map(|(name, _)| name.as_str())
            }
            Inode::File(_) => None,
        })
    }

    /// Cuts the power: what was synced is there, of the rest what `survival` keeps, and nothing is open.
    pub fn cut(&mut self, survival: &mut Survival) {
        for inode in self.inodes.values_mut() {
            match inode {
                Inode::File(file) => file.cut(survival),
                Inode::Dir(dir) => dir.cut(survival),
            }
        }
        let reachable = self.reachable();
        self.inodes.retain(|ino, _| reachable.contains(ino));
        self.fault = None;
    }

    /// Copies everything that reads see to a directory of another file system.
    ///
    /// # Errors
    /// Those of the other file system.
    pub fn copy_out(&self, ino: Ino, to: &Path) -> io::Result<()> {
        match self.inodes.get(&ino) {
            Some(Inode::File(file)) => fs::write(to, file.read(0, usize::MAX)),
            Some(Inode::Dir(dir)) => {
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
            if let Some(Inode::Dir(dir)) = self.inodes.get(&ino) {
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
        let survival = &mut Survival::fixed(0);
        let dir = store.make(ROOT, "d", Inode::Dir(Dir::default())).expect("made");
        store.sync_dir(ROOT, survival).expect("synced");
        let file = store.make(dir, "f", Inode::File(File::default())).expect("made");
        store.write(file, 0, b"bytes").expect("written");
        store.sync_file(file, survival).expect("synced");
        let mut cut = store.clone();
        cut.cut(survival);
        assert_eq!(cut.look_up(dir, "f"), Err(Errno::NOENT));
        store.sync_dir(dir, survival).expect("synced");
        store.cut(survival);
        assert_eq!(store.look_up(dir, "f"), Ok(file));
        assert_eq!(store.file(file).expect("a file").read(0, 9), b"bytes");
    }

    #[test]
    fn a_full_disk_takes_nothing_more_and_takes_it_again_when_there_is_room() {
        let mut store = Store { capacity: 1_000, ..Store::default() };
        let file = store.make(ROOT, "f", Inode::File(File::default())).expect("made");
        store.write(file, 0, &[1; 900]).expect("written");
        assert_eq!(store.write(file, 900, &[1; 200]), Err(Errno::NOSPC));
        store.write(file, 100, &[2; 800]).expect("what has its place is written");
        let other = store.make(ROOT, "g", Inode::File(File::default())).expect("made");
        assert_eq!(store.resize(other, 200), Err(Errno::NOSPC));
        store.remove(ROOT, "f").expect("removed");
        store.resize(other, 200).expect("there is room");
    }

    #[test]
    fn a_fault_happens_once() {
        let mut store = Store { fault: Some(Fault::DurableWrite), ..Store::default() };
        let survival = &mut Survival::fixed(0);
        let file = store.make(ROOT, "f", Inode::File(File::default())).expect("made");
        store.write(file, 0, &[1; 512]).expect("written");
        assert_eq!(store.sync_range(file, 0, 512, survival), Err(Errno::IO));
        assert_eq!(store.sync_range(file, 0, 512, survival), Ok(()));
        assert_eq!(store.faults, 1);
    }
}
