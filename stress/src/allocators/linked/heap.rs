//! A heap of Drystone's, as the functions of C need it.

use drystone::internals::{Os, Probe, RawLock};
use drystone::{Broken, ListHeap, Misuse, Stats};

/// A heap that C's functions can be put in front of. The methods are those of [`ListHeap`].
#[allow(missing_docs, reason = "the methods are those of ListHeap")]
pub trait Linked: Sync {
    fn malloc(&self, size: usize) -> *mut u8;
    fn calloc(&self, count: usize, size: usize) -> *mut u8;
    fn malloc_aligned(&self, size: usize, alignment: usize) -> *mut u8;
    /// # Safety
    /// As [`ListHeap::try_free`].
    unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse>;
    /// # Safety
    /// As [`ListHeap::try_realloc`].
    unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse>;
    fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse>;
    fn stats(&self) -> Stats;
    fn check(&self) -> Result<(), Broken>;
    fn sweep(&self) -> usize;
    fn trim(&self) -> usize;
    /// Whether the three below do their part, or there is nothing for them to do.
    fn survives_forks(&self) -> bool {
        false
    }
    fn fork_prepare(&self) {}
    /// # Safety
    /// As [`ListHeap::fork_parent`].
    unsafe fn fork_parent(&self) {}
    /// # Safety
    /// As [`ListHeap::fork_child`].
    unsafe fn fork_child(&self) {}
}

/// The methods of [`Linked`] by the type's own of the same names.
macro_rules! own_methods {
    () => {
        fn malloc(&self, size: usize) -> *mut u8 {
            Self::malloc(self, size)
        }

        fn calloc(&self, count: usize, size: usize) -> *mut u8 {
            Self::calloc(self, count, size)
        }

        fn malloc_aligned(&self, size: usize, alignment: usize) -> *mut u8 {
            Self::malloc_aligned(self, size, alignment)
        }

        unsafe fn try_free(&self, block: *mut u8) -> Result<(), Misuse> {
            // SAFETY: `block` is live and given up, or the heap rejects it.
            unsafe { Self::try_free(self, block) }
        }

        unsafe fn try_realloc(&self, block: *mut u8, size: usize) -> Result<*mut u8, Misuse> {
            // SAFETY: `block` is live and given up for the result, or the heap rejects it.
            unsafe { Self::try_realloc(self, block, size) }
        }

        fn usable_size(&self, block: *mut u8) -> Result<usize, Misuse> {
            Self::usable_size(self, block)
        }

        fn stats(&self) -> Stats {
            Self::stats(self)
        }

        fn check(&self) -> Result<(), Broken> {
            Self::check(self)
        }

        fn sweep(&self) -> usize {
            Self::sweep(self, |_| {})
        }

        fn trim(&self) -> usize {
            Self::trim(self)
        }
    };
}
pub(crate) use own_methods;

impl<O: Os + Sync, P: Probe + Sync, L: RawLock + Sync> Linked for ListHeap<O, P, L> {
    own_methods!();

    fn survives_forks(&self) -> bool {
        true
    }

    fn fork_prepare(&self) {
        Self::fork_prepare(self);
    }

    unsafe fn fork_parent(&self) {
        // SAFETY: this thread has called `fork_prepare`, and this is the parent.
        unsafe { Self::fork_parent(self) }
    }

    unsafe fn fork_child(&self) {
        // SAFETY: the thread that forked has called `fork_prepare`, and this is the child.
        unsafe { Self::fork_child(self) }
    }
}
