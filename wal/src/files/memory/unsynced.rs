//! Enumeration of crashes: the moments at which one can come, and what is not durable at each. Changes nothing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::sectors::sectors;
use super::{Inode, MemoryFiles, Node, Volume};
use crate::bytes::is_zero;
use crate::limits::BLOCK_BYTES;

/// One thing that a crash keeps or loses as a whole: a sector of an unsynced write, or an unsynced change of names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsynced {
    /// Counts the writes and changes; the sectors of one write have the same number.
    pub change: usize,
    /// Offset of the sector's bytes in the file; `None` for a change of names.
    pub offset: Option<usize>,
    /// All names that the file has, had when they were last synced, or is to have; those that are changed.
    pub names: Vec<String>,
    /// Kept or lost, the disk is the same: these bytes are there already, and nothing unsynced lies between.
    pub is_idle: bool,
}

impl MemoryFiles {
    /// All that is not durable, in the order in which [`MemoryFiles::crash`] asks about it.
    pub fn unsynced(&self) -> Vec<Unsynced> {
        let state = self.lock_state();
        let mut all = Vec::new();
        let mut change = 0;
        for (number, inode) in state.inodes.iter().enumerate().filter(|(_, inode)| !inode.pending.is_empty())
        {
            let names = names_of(&state, number);
            for (place, (offset, bytes)) in inode.pending.iter().enumerate() {
                for part in sectors(*offset, bytes.len()) {
                    let at = offset + part.start;
                    let is_idle = is_idle(inode, place, at, &bytes[part]);
                    all.push(Unsynced { change, offset: Some(at), names: names.clone(), is_idle });
                }
                change += 1;
            }
        }
        for rename in &state.pending {
            let names = rename.names.iter().map(|(path, _)| path.clone()).collect();
            all.push(Unsynced { change, offset: None, names, is_idle: false });
            change += 1;
        }
        all
    }

    /// A number that is the same for the same names and contents, durable, as they are seen and on their way, and hardly
    /// ever for others.
    pub fn fingerprint(&self) -> u64 {
        let state = self.lock_state();
        let mut hasher = DefaultHasher::new();
        let durable =
            state.durable.nodes.iter().filter(|(path, node)| state.live.nodes.get(*path) != Some(*node));
        for (path, node) in state.live.nodes.iter().chain(durable) {
            (path, state.durable.nodes.get(path) == Some(node)).hash(&mut hasher);
            let Node::File(inode) = *node else { continue };
            let inode = &state.inodes[inode];
            hash_contents(&inode.durable, &mut hasher);
            if !Arc::ptr_eq(&inode.durable, &inode.live) {
                hash_contents(&inode.live, &mut hasher);
            }
            for (offset, bytes) in &inode.pending {
                offset.hash(&mut hasher);
                hash_contents(bytes, &mut hasher);
            }
        }
        for rename in &state.pending {
            rename.names.iter().for_each(|(path, node)| (path, node.is_some()).hash(&mut hasher));
        }
        hasher.finish()
    }

    /// From now on a copy is kept from before each changing operation.
    pub fn remember_moments(&self) {
        self.lock_state().moments = Some(Vec::new());
    }

    /// The copies kept so far, the oldest first. None is kept any more.
    pub fn take_moments(&self) -> Vec<MemoryFiles> {
        self.lock_state().moments.take().unwrap_or_default()
    }

    /// The number of copies kept so far.
    pub fn moments(&self) -> usize {
        self.lock_state().moments.as_ref().map_or(0, Vec::len)
    }
}

impl Volume {
    /// Before a changing operation.
    pub(super) fn remember(&mut self) {
        if let Some(mut moments) = self.moments.take() {
            moments.push(self.fork());
            self.moments = Some(moments);
        }
    }
}

fn hash_contents(bytes: &[u8], hasher: &mut DefaultHasher) {
    bytes.len().hash(hasher);
    for (number, block) in bytes.chunks(BLOCK_BYTES).enumerate().filter(|(_, block)| !is_zero(block)) {
        (number, crc32c::crc32c(block)).hash(hasher);
    }
}

fn names_of(state: &Volume, inode: usize) -> Vec<String> {
    let seen = state.live.nodes.iter().chain(&state.durable.nodes).map(|(path, node)| (path, Some(*node)));
    let coming = state.pending.iter().flat_map(|rename| &rename.names).map(|(path, node)| (path, *node));
    let ours = seen.chain(coming).filter(|(_, node)| *node == Some(Node::File(inode)));
    let mut names: Vec<_> = ours.map(|(path, _)| path.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// True if these bytes of the pending write at index `place` are durable already, and no earlier pending write changes them.
fn is_idle(inode: &Inode, place: usize, at: usize, bytes: &[u8]) -> bool {
    let end = at + bytes.len();
    let crossed =
        inode.pending[..place].iter().any(|(offset, earlier)| *offset < end && at < offset + earlier.len());
    !crossed && inode.durable.get(at..end).is_some_and(|durable| durable == bytes)
}
