//! A heap whose calls are counted, for rows whose number of calls follows from what they compute.

use drystone_workloads::heap::Heap;

use crate::bench::work::passes::{Clock, Work, timed};

/// A heap, and how many calls a pass has made.
pub(super) struct Meter {
    heap: Heap,
    calls: u64,
}

/// One pass of a row.
pub(super) type Pass = Box<dyn FnMut(&mut Meter)>;

impl Meter {
    /// `malloc(size)`, not written to.
    pub(super) fn malloc(&mut self, size: usize) -> *mut u8 {
        self.calls += 1;
        self.heap.malloc_untouched(size)
    }

    /// `calloc(1, size)`.
    pub(super) fn calloc(&mut self, size: usize) -> *mut u8 {
        self.calls += 1;
        self.heap.calloc_untouched(size)
    }

    /// `realloc(block, size)`.
    ///
    /// # Safety
    /// `block` is a live block of this heap, not used again; `size` is at least 1.
    pub(super) unsafe fn realloc(&mut self, block: *mut u8, size: usize) -> *mut u8 {
        self.calls += 1;
        // SAFETY: the block is live and not used again, and the size is not 0.
        unsafe { self.heap.realloc_untouched(block, size) }
    }

    /// `free(block)`.
    ///
    /// # Safety
    /// `block` is a live block of this heap, not used again.
    pub(super) unsafe fn free(&mut self, block: *mut u8) {
        self.calls += 1;
        // SAFETY: the block is live and not used again.
        unsafe { self.heap.free(block) }
    }
}

/// A row on one thread. `start` allocates what is live before the first pass; each pass makes
/// `calls` calls.
pub(super) fn counted(calls: u64, start: impl FnOnce(&mut Meter) -> Pass + 'static) -> Work {
    let start = move |heap: Heap| {
        let mut meter = Meter { heap, calls: 0 };
        let mut pass = start(&mut meter);
        timed(move || {
            meter.calls = 0;
            pass(&mut meter);
            assert_eq!(meter.calls, calls, "a pass made another number of calls");
        })
    };
    Work { operations: calls, clock: Clock::Processor, start: Box::new(start) }
}
