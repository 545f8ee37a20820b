//! The process's memory: the allocator by its shortest way, and pages that are there before they are needed.

use std::alloc::{GlobalAlloc, Layout};
use std::io;
use std::ptr;

use libmimalloc_sys::{
    mi_free, mi_malloc, mi_malloc_aligned, mi_option_set, mi_option_t, mi_realloc, mi_realloc_aligned,
    mi_zalloc, mi_zalloc_aligned,
};
use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

/// mimalloc. The crate of that name asks for the alignment of each object, also where every object has it, which takes the
/// allocator three times as long.
pub(crate) struct Heap;

/// Every object that is as large is aligned so (`MI_MAX_ALIGN_SIZE`).
const USUAL_ALIGN: usize = 16;

const fn is_usual(layout: Layout) -> bool {
    layout.align() <= USUAL_ALIGN && layout.align() <= layout.size()
}

// SAFETY: mimalloc's functions keep the contract of `GlobalAlloc`: they answer null where there is no memory, never unwind,
// and each of them frees and resizes what any of them gave.
unsafe impl GlobalAlloc for Heap {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: any size and any power of two will do.
        unsafe { if is_usual(layout) { mi_malloc(size) } else { mi_malloc_aligned(size, align) } }.cast()
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        // SAFETY: as above.
        unsafe { if is_usual(layout) { mi_zalloc(size) } else { mi_zalloc_aligned(size, align) } }.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, object: *mut u8, _: Layout) {
        // SAFETY: the caller had it from here.
        unsafe { mi_free(object.cast()) }
    }

    #[inline]
    unsafe fn realloc(&self, object: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let (object, align) = (object.cast(), layout.align());
        let is_usual = align <= USUAL_ALIGN && align <= size;
        // SAFETY: the caller had it from here.
        unsafe { if is_usual { mi_realloc(object, size) } else { mi_realloc_aligned(object, size, align) } }
            .cast()
    }
}

/// The allocator takes memory from the system in pieces of this size, at multiples of it.
const PIECE_BYTES: usize = 32 << 20;
/// What surely takes one piece for itself and no second one: sizes are rounded up to whole MiB, and what a piece holds is
/// said at its beginning.
const OBJECT_BYTES: usize = 31 << 20;
/// `mi_option_purge_delay`, which the bindings leave out. -1: never.
const PURGE_DELAY: mi_option_t = 15;

/// Makes memory ready, rounded up to whole pieces: what is sold later then finds its room without a page fault. From then on
/// the allocator gives hardly anything back to the system.
///
/// # Errors
/// The system has not so much, or forbids the allocator to take memory by the GiB.
pub(crate) fn prefault(bytes: u64) -> io::Result<()> {
    let pieces = usize::try_from(bytes.div_ceil(PIECE_BYTES as u64)).map_err(io::Error::other)?;
    if pieces == 0 {
        return Ok(());
    }
    refuse_the_impossible(pieces)?;
    // SAFETY: an option that is there.
    unsafe { mi_option_set(PURGE_DELAY, -1) };
    // What is taken and touched here is free again at the end, and stays touched.
    let mut taken = Vec::new();
    taken.try_reserve_exact(pieces).map_err(io::Error::other)?;
    (0..pieces).try_for_each(|_| {
        taken.push(Touched::new()?);
        Ok(())
    })
}

/// Asked for at once, the system refuses what it can never have, unless it is told to promise anything
/// (`vm.overcommit_memory=1`); piece by piece it would kill the process over it.
fn refuse_the_impossible(pieces: usize) -> io::Result<()> {
    let length = pieces.checked_mul(PIECE_BYTES).ok_or(io::ErrorKind::OutOfMemory)?;
    let protection = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping, where the kernel chooses, that nobody uses.
    unsafe { munmap(mmap_anonymous(ptr::null_mut(), length, protection, MapFlags::PRIVATE)?, length)? };
    Ok(())
}

/// An object that takes a piece, all of whose pages are there.
struct Touched(*mut u8);

impl Touched {
    const LAYOUT: Layout = match Layout::from_size_align(OBJECT_BYTES, 1) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    fn new() -> io::Result<Touched> {
        // SAFETY: its size is not 0.
        let object = Touched(unsafe { Heap.alloc(Touched::LAYOUT) });
        if object.0.is_null() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let piece = object.0.map_addr(|addr| addr - addr % PIECE_BYTES);
        // SAFETY: this makes pages ready and changes none of them, whoever has them.
        unsafe { madvise(piece.cast(), PIECE_BYTES, Advice::LinuxPopulateWrite)? };
        Ok(object)
    }
}

impl Drop for Touched {
    fn drop(&mut self) {
        // SAFETY: it came from there, with that layout.
        unsafe { Heap.dealloc(self.0, Touched::LAYOUT) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Page faults of this thread that needed no disk, as the system counts them.
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").expect("the thread's figures");
        let behind_name = stat.rsplit(") ").next().expect("fields");
        behind_name.split(' ').nth(7).and_then(|field| field.parse().ok()).expect("a number")
    }

    #[test]
    fn a_thread_finds_its_room_without_page_faults() {
        const OBJECTS: usize = 100_000;
        const OBJECT_BYTES: usize = 256;
        // Large pages would hide most of what is not there.
        rustix::thread::disable_transparent_huge_pages(true).expect("a process may do without");
        prefault(16 * PIECE_BYTES as u64).expect("so little memory");
        // A thread of its own begins with pieces of its own.
        let met = std::thread::spawn(|| {
            let mut objects: Vec<Box<[u8; OBJECT_BYTES]>> = Vec::with_capacity(OBJECTS);
            let before = faults();
            objects.resize_with(OBJECTS, || Box::new([1; OBJECT_BYTES]));
            faults() - before
        });
        let met = met.join().expect("the thread");
        const PAGE_BYTES: usize = 4_096;
        let pages = (OBJECTS * OBJECT_BYTES / PAGE_BYTES) as u64;
        assert!(met < pages / 10, "{met} page faults for {pages} pages");
    }

    #[test]
    fn objects_are_aligned_and_kept_whatever_their_size() {
        for align in (0..=13).map(|power| 1 << power) {
            for size in [1, 2, 3, 7, 8, 9, 15, 16, 17, 24, 31, 100, 1_000, 4_096, 5_000, 70_000, 3 << 20] {
                let layout = Layout::from_size_align(size, align).expect("a layout");
                let (larger, smaller) = (2 * size, size.div_ceil(2));
                // SAFETY: the object is used within its size, and freed once with its last layout.
                unsafe {
                    let whole = |object: *mut u8, bytes: usize, holds: u8| {
                        assert!(object.addr().is_multiple_of(align), "{size} bytes by {align}");
                        std::slice::from_raw_parts(object, bytes).iter().all(|byte| *byte == holds)
                    };
                    let zeroed = Heap.alloc_zeroed(layout);
                    assert!(whole(zeroed, size, 0));
                    let object = Heap.alloc(layout);
                    object.write_bytes(7, size);
                    let object = Heap.realloc(object, layout, larger);
                    assert!(whole(object, size, 7));
                    let layout = Layout::from_size_align(larger, align).expect("a layout");
                    let object = Heap.realloc(object, layout, smaller);
                    assert!(whole(object, smaller, 7));
                    assert!(whole(zeroed, size, 0), "nobody else's");
                    Heap.dealloc(object, Layout::from_size_align(smaller, align).expect("a layout"));
                    Heap.dealloc(zeroed, Layout::from_size_align(size, align).expect("a layout"));
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_had_is_an_error() {
        for bytes in [u64::MAX, 1 << 60, 1 << 48] {
            assert!(prefault(bytes).is_err(), "{bytes}");
        }
    }
}
