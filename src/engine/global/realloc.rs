//! realloc, as programs call it.

use core::ptr::{self, NonNull};

use crate::engine::classes::MIN_ALIGN;
use crate::engine::global::fast::{DIRECT, Drystone, ENGINE, owned_slab};
use crate::engine::quarantine::QUARANTINE;
use crate::engine::resize::{fits, gets_room, leaves_tail};
use crate::engine::slab::owner::{Freed, NotLive};
use crate::guard::GUARD;
use crate::misuse::Misuse;
use crate::probe::NoProbe;
use crate::sync::Ordering;

impl Drystone {
    /// Makes the block one of at least `size` bytes, keeping its contents up to the smaller size,
    /// in place where it can. Null: as [`malloc`](Self::malloc). `size` 0: frees it, and the result
    /// is null. `Ok(null)` else: no memory, and the block is as it was. An error changes nothing.
    ///
    /// # Safety
    /// If `block` is live, nothing uses it after this call, unless the call fails or finds no
    /// memory; then as before.
    pub unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse> {
        if size == 0 && !block.is_null() {
            // SAFETY: a live block is given up by the caller.
            return unsafe { self.try_free(block) }.map(|()| ptr::null_mut());
        }
        // SAFETY: a live block is given up by the caller.
        unsafe { self.try_realloc_aligned(block, size, MIN_ALIGN) }
    }

    /// The fast path of realloc: a live block of this thread's own, that need not move, or can move
    /// to a block of a current slab. `size` 0 is a size like any other.
    ///
    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn realloc_fast(&self, block: *mut u8, size: usize) -> Option<NonNull<u8>> {
        let address = block.expose_provenance();
        let slab = owned_slab(address)?;
        let number = slab.number_of(address)?;
        // SAFETY: the number of the address.
        if !unsafe { slab.is_live(number) } {
            return None;
        }
        let usable = slab.block_size();
        if fits(size, usable) {
            return if leaves_tail(size, usable) { None } else { NonNull::new(block) };
        }
        if gets_room(size, usable) {
            return None;
        }
        let new = match size <= DIRECT {
            true => self.malloc_fast(size)?,
            false => self.malloc_medium(size)?,
        };
        // SAFETY: the new block is this call's alone, and both hold what is copied; the old one's
        // number.
        unsafe {
            ptr::copy_nonoverlapping(block, new.as_ptr(), usable.min(size));
            match slab.free(number, address, &NoProbe) {
                Ok(Freed::Fine) => {}
                Ok(Freed::Move) => self.free_moves(block),
                Err(NotLive) => {
                    // Another thread has freed the block meanwhile: a misuse, which the slow way
                    // tells.
                    self.free(new.as_ptr());
                    return None;
                }
            }
        }
        Some(new)
    }

    /// As [`try_realloc`](Self::try_realloc), at a multiple of `align` should it have to move; and
    /// `size` 0 is a size like any other. `Ok(null)` as well when `align` is not a power of two.
    ///
    /// # Safety
    /// As there.
    pub unsafe fn try_realloc_aligned(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<*mut u8, Misuse> {
        if !align.is_power_of_two() {
            return Ok(ptr::null_mut());
        }
        let align = align.max(MIN_ALIGN);
        if align == MIN_ALIGN {
            // SAFETY: a live block is given up by the caller.
            if let Some(resized) = unsafe { self.realloc_fast(block, size) } {
                return Ok(resized.as_ptr());
            }
        }
        // SAFETY: a live block is given up by the caller.
        unsafe { self.realloc_slow(block, size, align) }
    }

    /// What realloc does when the fast path can't: all of it. `align` is at least [`MIN_ALIGN`];
    /// `size` 0 is a size like any other.
    ///
    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    #[doc(hidden)]
    pub unsafe fn realloc_slow(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<*mut u8, Misuse> {
        if GUARD.owns(block.addr()) {
            // SAFETY: a live block is given up by the caller.
            return unsafe { self.realloc_guarded(block, size, align) };
        }
        if block.is_null() {
            return Ok(self.malloc_slow(size, align, false));
        }
        if GUARD.is_due() {
            // SAFETY: a live block is given up by the caller.
            let grown = unsafe { self.grow_guarded(block, size, align) }?;
            if let Some(grown) = grown {
                return Ok(grown);
            }
        }
        // SAFETY: a live block is given up by the caller; the heap is the calling thread's for the
        // time of the call.
        self.with_heap(|heap| unsafe {
            if QUARANTINE.is_on() {
                return QUARANTINE.realloc(&ENGINE, heap, block, size, align);
            }
            ENGINE.try_realloc(heap, block, size, align)
        })
        .unwrap_or(Ok(ptr::null_mut()))
    }

    /// Makes a block that grows a guarded one, if there is a slot for it.
    ///
    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    #[cold]
    unsafe fn grow_guarded(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<Option<*mut u8>, Misuse> {
        let had = ENGINE.usable_size(block)?;
        let grown = if size > had { GUARD.sample(size, align) } else { None };
        let Some(new) = grown else { return Ok(None) };
        // SAFETY: the new block is this call's alone and longer than the old one, which the caller
        // gives up.
        unsafe {
            ptr::copy_nonoverlapping(block, new, had);
            if let Err(misuse) = self.try_free(block) {
                // Another thread has freed it meanwhile.
                self.free(new);
                return Err(misuse);
            }
        }
        Ok(Some(new))
    }

    /// Makes a block in the guard's pool one of `size` bytes, elsewhere: its edge must be the
    /// block's.
    ///
    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    #[cold]
    unsafe fn realloc_guarded(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<*mut u8, Misuse> {
        let had = ENGINE.guarded_size(block)?;
        let is_aligned = block.addr().is_multiple_of(align);
        if size == had && is_aligned {
            return Ok(block);
        }
        let new = self.malloc_slow(size, align, false);
        if new.is_null() {
            if size < had && is_aligned {
                // Relaxed: stands alone.
                ENGINE.stayed.store(true, Ordering::Relaxed);
                return Ok(block);
            }
            return Ok(new);
        }
        // SAFETY: the new block is this call's alone, and both hold what is copied; the caller
        // gives the old one up.
        unsafe {
            ptr::copy_nonoverlapping(block, new, had.min(size));
            if let Err(misuse) = ENGINE.free_guarded(block) {
                // Another thread has freed it meanwhile.
                self.free(new);
                return Err(misuse);
            }
        }
        Ok(new)
    }
}
