//! A few blocks for whoever allocates while the next allocator is still being looked up: `dlsym`
//! itself may call `calloc`.
//!
//! A bump arena in the library's own zeroed memory, known by its address range. Nothing is ever
//! taken back and nothing in it is recorded. Called by [`next`](crate::next) and the exports.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

const BYTES: usize = 64 << 10;
/// Each block is preceded by its size, in a granule of its own.
const GRANULE: usize = 16;

#[repr(C, align(4096))]
struct Memory(UnsafeCell<[u8; BYTES]>);

// SAFETY: every part of the memory is given away once, by the one counter below, and from then on
// is touched only by the block's holder.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; BYTES]));
static USED: AtomicUsize = AtomicUsize::new(0);

fn base() -> *mut u8 {
    MEMORY.0.get().cast()
}

/// A zeroed block of `size` bytes on a boundary of `align` (a power of two, at most 4096), or null.
pub(crate) fn allocate(size: usize, align: usize) -> *mut c_void {
    let align = align.max(GRANULE);
    if size > BYTES || align > 4096 {
        return ptr::null_mut();
    }
    // Room for the size, the alignment's loss, and the next block's header on its boundary.
    let room = (size + GRANULE + align).next_multiple_of(GRANULE);
    // Relaxed: the counter alone decides who owns what, and no data is passed through it.
    let start = USED.fetch_add(room, Ordering::Relaxed);
    if start.checked_add(room).is_none_or(|end| end > BYTES) {
        return ptr::null_mut();
    }
    let block = (start + GRANULE).next_multiple_of(align);
    // SAFETY: `block + size` is at most `start + room`, inside the memory; the granule before
    // `block` is at or after `start`, so it is this block's as well, and 16-aligned.
    unsafe {
        base().add(block - GRANULE).cast::<usize>().write(size);
        base().add(block).cast()
    }
}

/// Whether `block` came from here.
pub(crate) fn owns(block: *mut c_void) -> bool {
    (block as usize).wrapping_sub(base() as usize) < BYTES
}

/// The size of a block of this arena, in bytes.
///
/// # Safety
/// `block` was returned by [`allocate`].
pub(crate) unsafe fn size(block: *mut c_void) -> usize {
    // SAFETY: `allocate` wrote the size in the granule before the block.
    unsafe { block.cast::<u8>().sub(GRANULE).cast::<usize>().read() }
}
