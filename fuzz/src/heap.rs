//! The two allocators, called in one way. Blocks are addresses: they go from thread to thread.

use drystone::{Broken, Drystone, ListHeap, Misuse};

/// An allocator under test.
///
/// All methods that take a block answer for any address. Of a live one they ask that nobody uses it
/// afterwards, where they free or move it: so they are unsafe.
#[expect(clippy::missing_safety_doc, reason = "it stands above, once")]
pub trait Heap: Sync {
    /// The heap is walked after one program in so many, by their lengths.
    const CHECK_ONE_IN: usize;
    /// A block of `size` bytes; 0 if there is none.
    fn malloc(&self, size: usize) -> usize;
    /// At a multiple of `align`.
    fn malloc_aligned(&self, size: usize, align: usize) -> usize;
    /// All zero.
    fn calloc(&self, count: usize, size: usize) -> usize;
    /// All zero, at a multiple of `align`.
    fn malloc_zeroed(&self, size: usize, align: usize) -> usize;
    /// Frees a block.
    unsafe fn try_free(&self, block: usize) -> Result<(), Misuse>;
    /// Frees a block that was asked for with this size and alignment.
    unsafe fn try_free_sized(&self, block: usize, size: usize, align: usize) -> Result<(), Misuse>;
    /// Resizes a block.
    unsafe fn try_realloc(&self, block: usize, size: usize) -> Result<usize, Misuse>;
    /// Resizes a block; at a multiple of `align`, if it moves.
    unsafe fn try_realloc_aligned(
        &self,
        block: usize,
        size: usize,
        align: usize,
    ) -> Result<usize, Misuse>;
    /// Bytes that a block can hold.
    fn usable_size(&self, block: usize) -> Result<usize, Misuse>;
    /// Whether the heap's invariants hold.
    fn check(&self) -> Result<(), Broken>;
    /// Gives idle memory back.
    fn trim(&self);
    /// Live blocks.
    fn live_blocks(&self) -> usize;
    /// Misuses that were found late and not told yet.
    fn late(&self) -> usize;
}

/// [`Drystone`], which is one for the process: what a program leaves there the next one finds.
#[derive(Debug)]
pub struct Production;

/// The methods that both allocators have under one name.
macro_rules! common {
    ($heap:expr) => {
        fn malloc(&self, size: usize) -> usize {
            $heap(self).malloc(size).expose_provenance()
        }
        fn malloc_aligned(&self, size: usize, align: usize) -> usize {
            $heap(self).malloc_aligned(size, align).expose_provenance()
        }
        fn calloc(&self, count: usize, size: usize) -> usize {
            $heap(self).calloc(count, size).expose_provenance()
        }
        fn malloc_zeroed(&self, size: usize, align: usize) -> usize {
            $heap(self).malloc_zeroed(size, align).expose_provenance()
        }
        unsafe fn try_free(&self, block: usize) -> Result<(), Misuse> {
            // SAFETY: a live block is given up by the caller; of others nothing is asked.
            unsafe { $heap(self).try_free(block as *mut u8) }
        }
        unsafe fn try_realloc(&self, block: usize, size: usize) -> Result<usize, Misuse> {
            // SAFETY: a live block is given up by the caller, unless the call fails.
            unsafe { $heap(self).try_realloc(block as *mut u8, size) }
                .map(<*mut u8>::expose_provenance)
        }
        unsafe fn try_realloc_aligned(
            &self,
            block: usize,
            size: usize,
            align: usize,
        ) -> Result<usize, Misuse> {
            // SAFETY: a live block is given up by the caller, unless the call fails.
            unsafe { $heap(self).try_realloc_aligned(block as *mut u8, size, align) }
                .map(<*mut u8>::expose_provenance)
        }
        fn usable_size(&self, block: usize) -> Result<usize, Misuse> {
            $heap(self).usable_size(block as *mut u8)
        }
        fn check(&self) -> Result<(), Broken> {
            $heap(self).check()
        }
        fn trim(&self) {
            $heap(self).trim();
        }
        fn live_blocks(&self) -> usize {
            $heap(self).stats().live_blocks
        }
        fn late(&self) -> usize {
            $heap(self).sweep(|_| {})
        }
    };
}

impl Heap for Production {
    const CHECK_ONE_IN: usize = 1;

    common!(|_: &Production| Drystone);

    unsafe fn try_free_sized(&self, block: usize, size: usize, align: usize) -> Result<(), Misuse> {
        let block = block as *mut u8;
        if align > 16 {
            // SAFETY: a live block is given up by the caller; of others nothing is asked.
            return unsafe { Drystone.try_free_aligned_sized(block, size, align) };
        }
        // SAFETY: a live block is given up by the caller; of others nothing is asked.
        unsafe { Drystone.try_free_sized(block, size) }
    }
}

impl Heap for ListHeap {
    /// The walk over the lists of all sizes takes longer than all else.
    const CHECK_ONE_IN: usize = 16;

    common!(std::convert::identity::<&ListHeap>);

    /// It has no such function.
    unsafe fn try_free_sized(&self, block: usize, _: usize, _: usize) -> Result<(), Misuse> {
        // SAFETY: a live block is given up by the caller; of others nothing is asked.
        unsafe { self.try_free(block as *mut u8) }
    }
}
