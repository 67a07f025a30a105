//! [`Drystone`] as programs call it.

pub mod fast;
mod global_alloc;
pub mod instance;
mod process;
mod sized;
mod slow;
mod tls;

use core::ptr::{self, NonNull};

use crate::engine::classes::MIN_ALIGN;
use crate::engine::global::fast::{DIRECT, Fast};
use crate::engine::global::instance::{Drystone, ENGINE, QUARANTINE};
use crate::engine::resize::{fits, gets_room};
use crate::engine::slab::owner::Freed;
use crate::misuse::Misuse;
use crate::probe::NoProbe;
use crate::stats::{Broken, Stats};
use crate::sync::Ordering;

impl Drystone {
    /// Allocates a block of at least `size` bytes at a multiple of 16. `size` 0 gives a pointer of its own
    /// too, that can be freed. Null when there is no memory.
    #[inline]
    pub fn malloc(&self, size: usize) -> *mut u8 {
        let fast = if size <= DIRECT { self.malloc_fast(size) } else { self.malloc_medium(size) };
        match fast {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow(size, MIN_ALIGN, false),
        }
    }

    /// As [`malloc`](Self::malloc), at a multiple of `align`, in bytes. Null as well when `align` is not a power of two.
    #[inline]
    pub fn malloc_aligned(&self, size: usize, align: usize) -> *mut u8 {
        match self.aligned_fast(size, align) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow(size, align, false),
        }
    }

    /// Allocates a block of `count * size` bytes, all zero. Null when there is no memory or when the product overflows.
    #[inline]
    pub fn calloc(&self, count: usize, size: usize) -> *mut u8 {
        count.checked_mul(size).map_or(ptr::null_mut(), |size| self.malloc_zeroed(size, MIN_ALIGN))
    }

    /// As [`malloc_aligned`](Self::malloc_aligned), all zero. PageMap fresh from the OS are not written.
    #[inline]
    pub fn malloc_zeroed(&self, size: usize, align: usize) -> *mut u8 {
        match self.zeroed_fast(size, align) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow(size, align, true),
        }
    }

    /// Frees the block; null is fine. An error changes nothing.
    ///
    /// # Safety
    /// If `block` is live, nothing uses it after this call. If it is anything else, no more is asked
    /// for: it is rejected.
    #[inline]
    pub unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: as the caller promises.
        match unsafe { self.free_fast(block) } {
            Fast::Done => {}
            // SAFETY: just so.
            Fast::Moves => unsafe { self.free_moves(block) },
            // SAFETY: as the caller promises.
            Fast::Slow => return unsafe { self.free_slow(block) },
        }
        Ok(())
    }

    /// Frees the block; a misuse goes to the [policy].
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[inline]
    pub unsafe fn free(&self, block: *mut u8) {
        // SAFETY: as the caller promises.
        match unsafe { self.free_fast(block) } {
            Fast::Done => {}
            // SAFETY: just so.
            Fast::Moves => unsafe { self.free_moves_and_reports(block) },
            // SAFETY: as the caller promises.
            Fast::Slow => unsafe { self.free_or_report(block) },
        }
    }

    /// Makes the block one of at least `size` bytes, keeping its contents up to the smaller size, in place where it
    /// can. Null: as [`malloc`](Self::malloc). `size` 0: frees it, and the result is null. `Ok(null)` else:
    /// no memory, and the block is as it was. An error changes nothing.
    ///
    /// # Safety
    /// If `block` is live, nothing uses it after this call, unless the call fails or finds no memory; then
    /// as before.
    pub unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse> {
        if size == 0 && !block.is_null() {
            // SAFETY: as the caller promises.
            return unsafe { self.try_free(block) }.map(|()| ptr::null_mut());
        }
        // SAFETY: as the caller promises.
        unsafe { self.try_realloc_aligned(block, size, MIN_ALIGN) }
    }

    /// The fast path of realloc: a live block of this thread's own, that need not move, or can move to a block
    /// current.
    ///
    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    #[inline]
    unsafe fn realloc_fast(&self, block: *mut u8, size: usize) -> Option<NonNull<u8>> {
        let address = block.expose_provenance();
        let slab = ENGINE.page_map.slab_near(address);
        // SAFETY: as in `free_fast`; the new block is this call's alone, and both hold what is copied.
        unsafe {
            if !tls::is_fast((*slab).owner.load(Ordering::Relaxed)) {
                return None;
            }
            let number = (*slab).number_as_owner(address)?;
            if !(*slab).is_live(number) {
                return None;
            }
            let usable = (*slab).size_as_owner();
            if fits(size, usable) {
                return NonNull::new(block);
            }
            if gets_room(size, usable) {
                return None;
            }
            let new = match size <= DIRECT {
                true => self.malloc_fast(size)?,
                false => self.malloc_medium(size)?,
            };
            ptr::copy_nonoverlapping(block, new.as_ptr(), usable.min(size));
            match (*slab).free(number, address, &NoProbe) {
                Ok(Freed::Fine) => {}
                Ok(Freed::Move) => self.free_moves(block),
                Err(_) => {
                    // Another thread has freed the block meanwhile: a misuse, which the slow way tells.
                    self.free(new.as_ptr());
                    return None;
                }
            }
            Some(new)
        }
    }

    /// As [`try_realloc`](Self::try_realloc), at a multiple of `align` should it have to move; and `size` 0
    /// is a size like any other.
    ///
    /// # Safety
    /// As there.
    pub unsafe fn try_realloc_aligned(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<*mut u8, Misuse> {
        let align = align.max(MIN_ALIGN);
        if align == MIN_ALIGN {
            // SAFETY: as the caller promises.
            if let Some(resized) = unsafe { self.realloc_fast(block, size) } {
                return Ok(resized.as_ptr());
            }
        }
        // SAFETY: as the caller promises; the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe {
            if QUARANTINE.is_on() {
                return QUARANTINE.realloc(&ENGINE, heap, block, size, align);
            }
            ENGINE.try_realloc(heap, block, size, align)
        })
        .unwrap_or(Ok(ptr::null_mut()))
    }

    /// Bytes that the live block can hold: at least what was asked for.
    pub fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
        ENGINE.usable_size(block)
    }

    /// The process's figures: exact while no other thread allocates or frees.
    pub fn stats(&self) -> Stats {
        ENGINE.stats()
    }

    /// Walks what all threads share, and the calling thread's heap, and names the first invariant that
    /// does not hold.
    pub fn check(&self) -> Result<(), Broken> {
        // SAFETY: the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe { ENGINE.check(heap) }).unwrap_or(Ok(()))
    }

    /// Gives idle memory back to the OS: the calling thread's, what exited threads left, and what all
    /// share; returns the bytes that went. Other threads' empty slabs wait for their owners.
    pub fn trim(&self) -> usize {
        // SAFETY: the heap is the calling thread's for the time of the call.
        self.with_heap(|heap| unsafe { ENGINE.trim(heap) }).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
