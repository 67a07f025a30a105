//! Rust's interface: `#[global_allocator]`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use crate::engine::global::instance::Drystone;
use crate::policy;

// SAFETY: blocks are exclusive, of the layout's size and alignment, until freed or resized; no
// method unwinds; realloc keeps contents and, when there is no memory, the block.
unsafe impl GlobalAlloc for Drystone {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.aligned_fast(layout.size(), layout.align()) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow_and_reports(layout.size(), layout.align(), false),
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.zeroed_fast(layout.size(), layout.align()) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow_and_reports(layout.size(), layout.align(), true),
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller gives up a block of this allocator.
        unsafe { self.free(block) }
    }

    #[inline]
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
