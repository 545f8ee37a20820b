//! Injected faults beyond those of [`super::Trouble`]: failing reads, short writes, lost and misdirected bytes. For simulators.

use std::io;

use super::{MemoryFiles, Node, Volume, put};

/// Faults to come, beside [`super::Trouble`].
#[derive(Debug, Default)]
pub(super) struct Faults {
    reads: u64,
    read: Option<(u64, i32)>,
    short: Option<Short>,
}

/// A write that gets so far and no further.
#[derive(Debug, Clone, Copy)]
struct Short {
    step: u64,
    bytes: usize,
    errno: i32,
}

impl Faults {
    /// None is to come any more.
    pub(super) fn forgive(&mut self) {
        *self = Faults { reads: self.reads, ..Faults::default() };
    }

    /// Counts a read, and fails it if that is foreseen.
    pub(super) fn read(&mut self) -> io::Result<()> {
        let nth = self.reads;
        self.reads += 1;
        match self.read {
            Some((fails, errno)) if fails == nth => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }

    /// If the write at `step` is to stop short: the number of bytes written, and the error.
    pub(super) fn short(&self, step: u64) -> Option<(usize, io::Error)> {
        let short = self.short.filter(|short| short.step == step)?;
        Some((short.bytes, io::Error::from_raw_os_error(short.errno)))
    }
}

impl MemoryFiles {
    /// Reads so far.
    pub fn reads(&self) -> u64 {
        self.lock_state().faults.reads
    }

    /// The read with this number, counted from 0 over the life of the files, fails.
    pub fn fail_read(&self, nth: u64, errno: i32) {
        self.lock_state().faults.read = Some((nth, errno));
    }

    /// The write at this step puts its first bytes down and fails then.
    pub fn short_write(&self, step: u64, bytes: usize, errno: i32) {
        self.lock_state().faults.short = Some(Short { step, bytes, errno });
    }

    /// Nothing fails or stops any more.
    pub fn forgive(&self) {
        let mut state = self.lock_state();
        state.faults.forgive();
        state.stop_at = None;
        state.trouble.clear();
    }

    /// The bytes of a file from `offset` on, fewer where it ends; `None` if there is no such file.
    pub fn peek(&self, file: &str, offset: usize, length: usize) -> Option<Vec<u8>> {
        let state = self.lock_state();
        let Some(Node::File(inode)) = state.live.nodes.get(file).copied() else { return None };
        let live = &state.inodes[inode].live;
        let from = offset.min(live.len());
        Some(live[from..live.len().min(from + length)].to_vec())
    }

    /// Puts bytes into a file directly and durably. `false` if there is no such file.
    pub fn poke(&self, file: &str, offset: usize, bytes: &[u8]) -> bool {
        let mut state = self.lock_state();
        let Some(Node::File(inode)) = state.live.nodes.get(file).copied() else { return false };
        let inode = &mut state.inodes[inode];
        put(&mut inode.live, offset, bytes);
        put(&mut inode.durable, offset, bytes);
        true
    }

    /// Names and lengths of all files that are there.
    pub fn sizes(&self) -> Vec<(String, usize)> {
        let state = self.lock_state();
        let size = |(path, node): (&String, &Node)| match *node {
            Node::File(inode) => Some((path.clone(), state.inodes[inode].live.len())),
            Node::Dir => None,
        };
        state.live.nodes.iter().filter_map(size).collect()
    }
}

impl Volume {
    /// Frees what no name leads to any more. Only when every handle is dead.
    pub(super) fn free_unnamed(&mut self) {
        let mut named = vec![false; self.inodes.len()];
        let pending =
            self.pending.iter().flat_map(|rename| rename.names.iter().filter_map(|(_, node)| *node));
        let nodes = self.live.nodes.values().chain(self.durable.nodes.values()).copied();
        for node in nodes.chain(pending) {
            if let Node::File(inode) = node {
                named[inode] = true;
            }
        }
        for (inode, _) in self.inodes.iter_mut().zip(named).filter(|(_, named)| !named) {
            *inode = super::Inode::default();
        }
    }
}
