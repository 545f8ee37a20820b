//! Write buffers for O_DIRECT: aligned to blocks and a whole number of blocks long.

use std::fmt;

use crate::limits::BLOCK_BYTES;

#[derive(Clone, Copy)]
#[repr(C, align(4096))]
struct Block([u8; BLOCK_BYTES]);

/// A growable buffer of aligned blocks. New blocks are zero; a buffer that is used again keeps its old bytes.
pub struct Buffer {
    blocks: Vec<Block>,
}

impl Buffer {
    /// Room for `bytes`, rounded up to blocks, all zero.
    pub fn zeroed(bytes: usize) -> Buffer {
        Buffer { blocks: vec![Block([0; BLOCK_BYTES]); bytes.div_ceil(BLOCK_BYTES)] }
    }

    /// Grows to at least `bytes`.
    pub fn grow(&mut self, bytes: usize) {
        let blocks = bytes.div_ceil(BLOCK_BYTES);
        if blocks > self.blocks.len() {
            self.blocks.resize(blocks, Block([0; BLOCK_BYTES]));
        }
    }
}

impl std::ops::Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `Block` is `repr(C)` over bytes with size equal to its alignment, so the vector is one run of initialised
        // bytes, borrowed for as long as `self` is.
        unsafe { std::slice::from_raw_parts(self.blocks.as_ptr().cast(), self.blocks.len() * BLOCK_BYTES) }
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; every byte pattern is a valid `Block`.
        unsafe {
            std::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast(), self.blocks.len() * BLOCK_BYTES)
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len())
    }
}
