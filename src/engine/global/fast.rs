//! The fast paths of malloc, calloc, free and realloc. What they can't do is [`slow`](super::slow)'s.

use core::ptr::{self, NonNull};

use crate::engine::classes::{LARGEST, MIN_ALIGN, SMALL, class_of_large, class_of_small};
use crate::engine::global::instance::{Drystone, ENGINE};
use crate::engine::global::tls;
pub use crate::engine::heap::DIRECT;
use crate::engine::slab::Slab;
use crate::engine::slab::owner::Freed;
use crate::probe::NoProbe;
use crate::sync::Ordering;

/// What the fast path of free came to.
#[derive(Debug)]
pub enum Fast {
    /// The block is freed.
    Done,
    /// The block is freed, and the slab must move: [`Drystone::free_moves`].
    Moves,
    /// Nothing is done: [`Drystone::free_slow`].
    Slow,
}

impl Drystone {
    /// The fast path of malloc: the next block current, for requests up to [`DIRECT`] bytes.
    #[inline(always)]
    pub fn malloc_fast(&self, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the heap is the calling thread's, or the empty one.
        unsafe { if size <= DIRECT { (*(*tls::fast()).current_for(size)).pop() } else { None } }
    }

    /// As [`malloc_fast`](Self::malloc_fast), for requests that it is not for: above [`DIRECT`] bytes.
    #[inline]
    pub fn malloc_medium(&self, size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the heap is the calling thread's, or the empty one.
        unsafe {
            if size <= SMALL {
                (*(*tls::fast()).current(class_of_small(size))).pop()
            } else if size <= LARGEST {
                (*(*tls::fast()).current(class_of_large(size))).pop()
            } else {
                None
            }
        }
    }

    /// A block current of at least `size` bytes at a multiple of `align`, if there is one.
    #[inline]
    pub(super) fn aligned_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        if align <= MIN_ALIGN && align.is_power_of_two() {
            return if size <= DIRECT { self.malloc_fast(size) } else { self.malloc_medium(size) };
        }
        if align.is_power_of_two() && align <= 4096 && size <= SMALL - align {
            // The multiple that holds the size: its class may have a block current that is aligned.
            let class = class_of_small((size.max(1) + align - 1) & !(align - 1));
            if crate::engine::classes::size_of(class).is_multiple_of(align) {
                // SAFETY: the heap is the calling thread's, or the empty one.
                return unsafe { (*(*tls::fast()).current(class)).pop() };
            }
        }
        None
    }

    /// As [`malloc_fast`](Self::malloc_fast), all zero.
    #[inline(always)]
    pub fn zeroed_direct(&self, size: usize) -> Option<NonNull<u8>> {
        let block = self.malloc_fast(size)?;
        // SAFETY: the block is ours alone until it is returned, and at least `size` bytes long.
        unsafe { clear(block.as_ptr(), size) };
        Some(block)
    }

    /// As [`aligned_fast`](Self::aligned_fast), all zero.
    #[inline]
    pub(super) fn zeroed_fast(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        // Above this, the memory may be fresh, which the slow way knows, and need not be written to.
        if size > SMALL {
            return None;
        }
        if size <= DIRECT && align <= MIN_ALIGN && align.is_power_of_two() {
            return self.zeroed_direct(size);
        }
        let block = self.aligned_fast(size, align)?;
        // SAFETY: as there.
        unsafe { ptr::write_bytes(block.as_ptr(), 0, size) };
        Some(block)
    }

    /// The fast path of free: of a live block of this thread's own.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[inline(always)]
    pub unsafe fn free_fast(&self, block: *mut u8) -> Fast {
        let address = block.expose_provenance();
        let slab = ENGINE.page_map.slab_near(address);
        // SAFETY: headers live for ever. Whoever reads its own heap as the owner is the owner; and the
        // address lies in the slab, or many GiB away.
        unsafe {
            if !tls::is_fast((*slab).owner.load(Ordering::Relaxed)) {
                return Fast::Slow;
            }
            Self::free_in(slab, address)
        }
    }

    /// The free of the block at `address`, if one that is live starts there.
    ///
    /// # Safety
    /// The calling thread owns `slab`, and `address` lies there, or many GiB away.
    #[inline(always)]
    pub(super) unsafe fn free_in(slab: *const Slab, address: usize) -> Fast {
        // SAFETY: as the caller promises; the number is just so.
        unsafe {
            let Some(number) = (*slab).number_as_owner(address) else { return Fast::Slow };
            match (*slab).free(number, address, &NoProbe) {
                Ok(Freed::Fine) => Fast::Done,
                Ok(Freed::Move) => Fast::Moves,
                Err(_) => Fast::Slow,
            }
        }
    }
}

/// Fills the first `size` bytes of a block with zeroes, and maybe some more: those of its last 16. Small ones
/// without a call of the C library's `memset`, which takes as long as all the rest of `calloc`.
///
/// # Safety
/// A block of at least `size` bytes starts at `block`, and nobody else uses it.
#[inline(always)]
pub(super) unsafe fn clear(block: *mut u8, size: usize) {
    const STEP: usize = 16;
    // A block is at least one step, and a whole number of them.
    let end = (size.max(1) + STEP - 1) & !(STEP - 1);
    // SAFETY: every store lies in the block, as the branch above it says.
    unsafe {
        let store = |at: usize| ptr::write_bytes(block.add(at), 0, STEP);
        if end > 8 * STEP {
            return ptr::write_bytes(block, 0, size);
        }
        store(0);
        store(end - STEP);
        if end > 2 * STEP {
            store(STEP);
            store(end - 2 * STEP);
        }
        if end > 4 * STEP {
            store(2 * STEP);
            store(3 * STEP);
            store(end - 3 * STEP);
            store(end - 4 * STEP);
        }
    }
}
