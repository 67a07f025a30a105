//! The calls of [`ListHeap`] for a program that does not want to see a `Result`, those of
//! `GlobalAlloc` among them. Here, and only here, a misuse meets the [policy], and
//! may stop the program.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use super::ListHeap;
use crate::os::Os;
use crate::policy;
use crate::probe::Probe;
use crate::sync::{Ordering, RawLock};

impl<O: Os, P: Probe, L: RawLock> ListHeap<O, P, L> {
    /// Frees the block at `payload`; a misuse goes to the [policy].
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    pub unsafe fn free(&self, payload: *mut u8) {
        // SAFETY: the caller gives the block up, if it is this heap's.
        if let Err(misuse) = unsafe { self.try_free(payload) } {
            policy::misuse(&misuse);
        }
        self.report_late();
    }

    /// Resizes the block at `payload` as [`try_realloc`](Self::try_realloc) does; a misuse goes to
    /// the [policy], and if that goes on, the result is null.
    ///
    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    pub unsafe fn realloc(&self, payload: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the caller gives the block up, if it is this heap's, unless the result is null.
        let resized = unsafe { self.try_realloc(payload, size) }.unwrap_or_else(|misuse| {
            policy::misuse(&misuse);
            ptr::null_mut()
        });
        self.report_late();
        resized
    }

    /// Hands deferred misuses to the [policy]. Calls that leave misuses to that make it after each
    /// operation; one relaxed load when there is none.
    #[inline]
    pub fn report_late(&self) {
        if self.deferred.load(Ordering::Relaxed) {
            self.sweep(policy::misuse);
        }
    }
}

// SAFETY: blocks are exclusive, of the layout's size and alignment, until freed or resized; no
// method unwinds; realloc keeps contents and, when it fails, the block.
unsafe impl<O, P, L> GlobalAlloc for ListHeap<O, P, L>
where
    O: Os + Sync,
    P: Probe + Sync,
    L: RawLock + Sync,
{
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = self.malloc_aligned(layout.size(), layout.align());
        self.report_late();
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let block = self.malloc_zeroed(layout.size(), layout.align());
        self.report_late();
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller gives up a block of this allocator.
        unsafe { self.free(block) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller gives up a block of this allocator, unless the result is null.
        let resized = unsafe { self.try_realloc_aligned(block, size, layout.align()) };
        let resized = resized.unwrap_or_else(|misuse| {
            policy::misuse(&misuse);
            ptr::null_mut()
        });
        self.report_late();
        resized
    }
}
