//! An allocator as the benchmarks call it: every request is granted or the process panics, and the
//! first byte of every block is written, as every program does: an allocator that leaves the page
//! fault or the cache miss to the program must not look faster for it.

use std::hint::black_box;

use crate::calls::Calls;

/// The byte written at the beginning of every block.
pub const MARK: u8 = 0xA5;

/// An allocator's functions, opaque to the compiler.
#[derive(Clone, Copy, Debug)]
pub struct Heap(Calls);

impl Heap {
    /// Hides from the compiler which functions these are.
    pub fn opaque(calls: Calls) -> Heap {
        Heap(black_box(calls))
    }

    /// `malloc(size)`, its first byte written.
    ///
    /// # Safety
    ///
    /// `size` is at least 1.
    #[inline(always)]
    pub unsafe fn malloc(self, size: usize) -> *mut u8 {
        // SAFETY: the block has a first byte.
        unsafe { marked(self.malloc_untouched(size)) }
    }

    /// `malloc(size)`, not written to; `size` may be 0.
    #[inline(always)]
    pub fn malloc_untouched(self, size: usize) -> *mut u8 {
        // SAFETY: malloc takes any size.
        granted(unsafe { (self.0.malloc)(size) }.cast(), size)
    }

    /// `calloc(1, size)`, checked to begin with a zero, then written there.
    ///
    /// # Safety
    ///
    /// `size` is at least 1.
    #[inline(always)]
    pub unsafe fn calloc(self, size: usize) -> *mut u8 {
        let block = self.calloc_untouched(size);
        // SAFETY: the block has a first byte, which calloc initialised.
        assert_eq!(unsafe { block.read() }, 0, "calloc({size}) is not zeroed");
        // SAFETY: `size` is at least 1: the block has a first byte, and is the caller's.
        unsafe { marked(block) }
    }

    /// `calloc(1, size)`, not written to; `size` may be 0.
    #[inline(always)]
    pub fn calloc_untouched(self, size: usize) -> *mut u8 {
        // SAFETY: calloc takes any sizes.
        granted(unsafe { (self.0.calloc)(1, size) }.cast(), size)
    }

    /// `realloc(block, size)`, its first byte written.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap, not used again. `size` is at least 1.
    #[inline(always)]
    pub unsafe fn realloc(self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the block is live and this heap's; the new one has a first byte.
        unsafe { marked(granted((self.0.realloc)(block.cast(), size).cast(), size)) }
    }

    /// `realloc(block, size)`, not written to.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap, not used again. `size` is at least 1.
    #[inline(always)]
    pub unsafe fn realloc_untouched(self, block: *mut u8, size: usize) -> *mut u8 {
        // SAFETY: the block is live and this heap's.
        granted(unsafe { (self.0.realloc)(block.cast(), size) }.cast(), size)
    }

    /// `aligned_alloc(align, size)`, not written to; `size` may be 0.
    ///
    /// # Safety
    ///
    /// `align` is a power of two.
    #[inline(always)]
    pub unsafe fn aligned_alloc(self, align: usize, size: usize) -> *mut u8 {
        // SAFETY: the alignment is a power of two.
        granted(unsafe { (self.0.aligned_alloc)(align, size) }.cast(), size)
    }

    /// `free(block)`.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap, not used again.
    #[inline(always)]
    pub unsafe fn free(self, block: *mut u8) {
        // SAFETY: the block is live and this heap's.
        unsafe { (self.0.free)(block.cast()) }
    }

    /// One live block of at least 100 bytes from each function that allocates blocks, with the
    /// function's name. Checks on the way what the functions promise of a block.
    ///
    /// # Panics
    ///
    /// If a promise is broken.
    pub fn one_from_each_function(self) -> [(&'static str, *mut u8); 4] {
        // SAFETY: all sizes are at least 1; each block is live until realloc ends it or the caller
        // does; blocks are read and written within their sizes.
        unsafe {
            let plain = self.malloc(100);
            let zeroed = self.calloc(100);
            assert!((1..100).all(|at| zeroed.add(at).read() == 0), "calloc(100) is not zeroed");
            let short = self.malloc(50);
            short.add(49).write(MARK);
            let grown = self.realloc(short, 5000);
            assert_eq!(
                grown.add(49).read(),
                MARK,
                "realloc(50 to 5000) loses the block's contents"
            );
            let aligned = self.aligned_alloc(256, 512);
            assert!(aligned.addr().is_multiple_of(256), "aligned_alloc(256, 512) is not aligned");
            let usable_size = self.0.usable_size.expect("every allocator has it");
            for (block, size) in [(plain, 100), (zeroed, 100), (grown, 5000), (aligned, 512)] {
                assert!(usable_size(block.cast()) >= size, "a usable size below {size}");
            }
            [("malloc", plain), ("calloc", zeroed), ("realloc", grown), ("aligned_alloc", aligned)]
        }
    }
}

/// Writes the block's first byte.
///
/// # Safety
///
/// `block` has one, and nobody else uses it.
#[inline(always)]
unsafe fn marked(block: *mut u8) -> *mut u8 {
    // SAFETY: the block has a first byte, and nobody else uses it.
    unsafe { block.write(MARK) };
    block
}

#[inline(always)]
fn granted(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() {
        failed(size);
    }
    block
}

#[cold]
#[inline(never)]
fn failed(size: usize) -> ! {
    panic!("the allocator failed a request of {size} bytes: what follows would measure failures")
}
