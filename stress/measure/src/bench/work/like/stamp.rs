//! What blocks hold, so that a block with two owners, or one that lost its bytes, is seen.

use drystone_workloads::heap::Heap;

/// The least size of a block with a stamp, in bytes.
pub(super) const LEAST: usize = 8;

/// A live block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Where it begins.
    pub at: *mut u8,
    /// Its bytes, at least [`LEAST`].
    pub size: usize,
}

// SAFETY: an address and a number; whoever has a block alone uses it, and it goes to one thread at
// a time.
unsafe impl Send for Block {}

impl Block {
    /// Allocates a block and stamps it. `size` is at least [`LEAST`].
    pub(super) fn malloc(heap: Heap, size: usize, key: u64) -> Self {
        debug_assert!(size >= LEAST);
        Self { at: heap.malloc_untouched(size), size }.stamped(key)
    }

    /// The same with calloc, whose zeros are looked at in the stamp's places.
    pub(super) fn calloc(heap: Heap, size: usize, key: u64) -> Self {
        let block = Self { at: heap.calloc_untouched(size), size };
        assert!(block.is(0), "calloc({size}) is not zeroed");
        block.stamped(key)
    }

    /// Takes the block to another size, what it held kept.
    pub(super) fn realloc(self, heap: Heap, size: usize, key: u64) -> Self {
        self.check(key);
        // SAFETY: the block is live and not used again; `size` is not 0.
        let at = unsafe { heap.realloc_untouched(self.at, size) };
        // SAFETY: both sizes are at least `LEAST`, so the stamp's first eight bytes were kept.
        let first = unsafe { at.cast::<u64>().read_unaligned() };
        assert_eq!(first, self.word(key), "realloc lost what the block held");
        Self { at, size }.stamped(key)
    }

    /// Looks at the stamp and frees the block.
    pub(super) fn free(self, heap: Heap, key: u64) {
        self.check(key);
        // SAFETY: the block is live, and not used again.
        unsafe { heap.free(self.at) }
    }

    /// Panics if the block does not bear this stamp.
    pub(super) fn check(self, key: u64) {
        assert!(self.is(self.word(key)), "a block of {} bytes was overwritten", self.size);
    }

    fn word(self, key: u64) -> u64 {
        // Weyl's constant, as SplitMix64 has it: neighbouring keys differ in many bits.
        (key + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ self.at.addr() as u64
    }

    fn stamped(self, key: u64) -> Self {
        let word = self.word(key);
        // SAFETY: the block is live, this thread's alone, and has `size` bytes, at least eight. The
        // last byte is written first: it may be one of the first eight.
        unsafe {
            self.at.add(self.size - 1).write((word >> 56) as u8);
            self.at.cast::<u64>().write_unaligned(word);
        }
        self
    }

    fn is(self, word: u64) -> bool {
        // SAFETY: the block is live, this thread's alone, and has `size` bytes, at least eight;
        // calloc's bytes and stamped ones are initialised.
        unsafe {
            let (first, last) =
                (self.at.cast::<u64>().read_unaligned(), self.at.add(self.size - 1).read());
            // The last of eight bytes is the word's own, and of more the same value.
            first == word && last == (word >> 56) as u8
        }
    }
}
