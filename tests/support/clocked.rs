//! The kernel's memory under a clock that a test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use drystone::internals::{Mmap, Os};

/// The OS, except its milliseconds.
pub struct Clocked(pub Arc<AtomicU64>);

// SAFETY: memory is `Mmap`'s.
unsafe impl Os for Clocked {
    fn map(&self, bytes: usize) -> *mut u8 {
        Mmap.map(bytes)
    }

    unsafe fn unmap(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the mapping is the caller's, and nobody uses it any more.
        unsafe { Mmap.unmap(start, bytes) }
    }

    unsafe fn remap(&self, start: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        // SAFETY: `start` and `old` are a mapping of the caller's, which gives it up for the
        // result.
        unsafe { Mmap.remap(start, old, new, may_move) }
    }

    fn reserve(&self, bytes: usize, align: usize) -> *mut u8 {
        Mmap.reserve(bytes, align)
    }

    unsafe fn decommit(&self, start: *mut u8, bytes: usize) -> bool {
        // SAFETY: the pages are the caller's, and nobody needs what is in them.
        unsafe { Mmap.decommit(start, bytes) }
    }

    fn milliseconds(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn entropy(&self) -> u64 {
        0
    }
}
