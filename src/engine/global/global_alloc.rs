//! Rust's interface: `#[global_allocator]`.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use crate::engine::classes::MIN_ALIGN;
use crate::engine::global::fast::{Drystone, Fast};
use crate::policy;
use crate::process::calls::{self, Function};

// SAFETY: blocks are exclusive, of the layout's size and alignment, until freed or resized; no
// method unwinds; realloc keeps contents and, when there is no memory, the block.
unsafe impl GlobalAlloc for Drystone {
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match self.aligned_fast(layout.size(), layout.align()) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow_and_reports(layout.size(), layout.align(), false),
        }
    }

    #[inline(never)]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.zeroed_fast(layout.size(), layout.align()) {
            Some(block) => block.as_ptr(),
            None => self.malloc_slow_and_reports(layout.size(), layout.align(), true),
        }
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the caller gives up a block of this allocator.
        match unsafe { self.free_fast(block) } {
            Fast::Done => {}
            // SAFETY: this thread's last free was of this block, and came to `rest`; the caller
            // gives the block up.
            rest => unsafe { self.dealloc_rest(block, rest) },
        }
    }

    #[inline(never)]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() <= MIN_ALIGN {
            // SAFETY: the caller gives up a block of this allocator, unless the result is null.
            if let Some(resized) = unsafe { self.realloc_fast(block, size) } {
                // Where the block was, a slab may have ended, and a misuse have come to light.
                self.report_late();
                return resized.as_ptr();
            }
        }
        // SAFETY: the caller gives up a block of this allocator, unless the result is null.
        unsafe { self.realloc_or_report(block, size, layout.align().max(MIN_ALIGN)) }
    }
}

impl Drystone {
    /// # Safety
    /// As [`free_rest`](Self::free_rest).
    #[cold]
    #[inline(never)]
    unsafe fn dealloc_rest(&self, block: *mut u8, fast: Fast) {
        if matches!(fast, Fast::Slow) {
            calls::pass(Function::Dealloc);
        }
        // SAFETY: this thread's last free was of this block, and came to `fast`; the caller gives
        // the block up.
        unsafe { self.free_rest(block, fast) }
    }

    /// # Safety
    /// As [`try_realloc`](Self::try_realloc).
    #[cold]
    #[inline(never)]
    unsafe fn realloc_or_report(&self, block: *mut u8, size: usize, align: usize) -> *mut u8 {
        calls::pass(Function::Realloc);
        // SAFETY: a live block is given up by the caller.
        let resized = unsafe { self.realloc_slow(block, size, align) };
        let resized = resized.unwrap_or_else(|misuse| {
            policy::misuse(&misuse);
            ptr::null_mut()
        });
        self.report_late();
        resized
    }
}
