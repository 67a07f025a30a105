//! [`Drystone`] as programs call it.
//!
//! | file | holds |
//! |---|---|
//! | `tls` | a thread's two words: which heap its fast paths use, and which is its own |
//! | `stay` | a plug-in with the allocator inside stays loaded |
//! | `process` | the first call of a thread and its last; the process's start, fork and exit |
//! | `fast`, `slow` | the process's one engine, and what a call can decide at once; all the rest |
//! | `mod`, `realloc`, `sized`, `global_alloc` | the calls themselves |

pub mod fast;
mod global_alloc;
mod process;
mod realloc;
mod sized;
mod slow;
#[cfg(not(any(loom, feature = "initial-exec")))]
mod stay;
mod tls;

use core::ptr;

use crate::engine::account::Account;
use crate::engine::classes::MIN_ALIGN;
use crate::engine::global::fast::{DIRECT, Drystone, ENGINE, Fast};
use crate::guard::GUARD;
use crate::misuse::Misuse;
use crate::stats::{Broken, Stats};

impl Drystone {
    /// Allocates a block of at least `size` bytes at a multiple of 16. `size` 0 gives a pointer of
    /// its own too, that can be freed. Null when there is no memory.
    #[inline(never)]
    pub fn malloc(&self, size: usize) -> *mut u8 {
        let fast = if size <= DIRECT { self.malloc_fast(size) } else { self.malloc_medium(size) };
        match fast {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow(size, MIN_ALIGN, false),
        }
    }

    /// As [`malloc`](Self::malloc), at a multiple of `align`, in bytes. Null as well when `align`
    /// is not a power of two.
    #[inline(never)]
    pub fn malloc_aligned(&self, size: usize, align: usize) -> *mut u8 {
        match self.aligned_fast(size, align) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow(size, align, false),
        }
    }

    /// Allocates a block of `count * size` bytes, all zero. Null when there is no memory or when
    /// the product overflows.
    #[inline(never)]
    pub fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        count.checked_mul(size).map_or(ptr::null_mut(), |size| self.malloc_zeroed(size, MIN_ALIGN))
    }

    /// As [`malloc_aligned`](Self::malloc_aligned), all zero. Pages fresh from the OS are not
    /// written.
    #[inline(never)]
    pub fn malloc_zeroed(&self, size: usize, align: usize) -> *mut u8 {
        match self.zeroed_fast(size, align) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow(size, align, true),
        }
    }

    /// Frees the block; null is fine. An error changes nothing.
    ///
    /// # Safety
    /// If `block` is live, nothing uses it after this call. If it is anything else, no more is
    /// asked for: it is rejected.
    #[inline(never)]
    pub unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: a live block is given up by the caller.
        match unsafe { self.free_fast(block) } {
            Fast::Done => {}
            // SAFETY: this thread's last free was of this block, and came to `Moves`.
            Fast::Moves => unsafe { self.free_moves(block) },
            // SAFETY: a live block is given up by the caller.
            Fast::Slow => return unsafe { self.free_slow(block) },
        }
        Ok(())
    }

    /// Frees the block; a misuse goes to the [policy](crate::policy).
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[inline(never)]
    pub unsafe fn free(&self, block: *mut u8) {
        // SAFETY: a live block is given up by the caller.
        match unsafe { self.free_fast(block) } {
            Fast::Done => {}
            // SAFETY: this thread's last free was of this block, and came to `rest`; the caller
            // gives a live block up.
            rest => unsafe { self.free_rest(block, rest) },
        }
    }

    /// Bytes that the live block can hold: at least what was asked for.
    pub fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
        if GUARD.owns(block.addr()) {
            return ENGINE.guarded_size(block);
        }
        ENGINE.usable_size(block)
    }

    /// The process's figures: exact while no other thread allocates or frees.
    pub fn stats(&self) -> Stats {
        ENGINE.with_guarded(ENGINE.stats())
    }

    /// Walks what all threads share, and the calling thread's heap, and names the first invariant
    /// that does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        // SAFETY: the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe { ENGINE.check(heap) }).unwrap_or(Ok(()))
    }

    /// The figures, as texts for people and tools.
    #[doc(hidden)]
    pub fn account(&self) -> Account {
        Account { stats: self.stats(), layers: ENGINE.layer_stats(), sound: self.check() }
    }

    /// Gives idle memory back to the OS: the calling thread's, what exited threads left, and what
    /// all share; returns the bytes that went. Other threads' empty slabs wait for their owners.
    pub fn trim(&self) -> usize {
        // SAFETY: the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe { ENGINE.trim(heap) }).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
