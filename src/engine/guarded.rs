//! Guarded blocks, as programs free and ask about them. Each call looks first whether a block is
//! one.

use crate::engine::classes::{MIN_ALIGN, class_of};
use crate::engine::engine::Engine;
use crate::engine::heap::Heap;
use crate::guard::{GUARD, READY};
use crate::misuse::Misuse;
use crate::os::Os;
use crate::probe::Probe;
use crate::stats::Stats;
use crate::sync::RawLock;

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Frees the block at `block`, in the guard's pool.
    ///
    /// # Safety
    /// If it is live, nothing uses it after this call.
    #[cold]
    pub unsafe fn free_guarded(&self, block: *mut u8) -> Result<(), Misuse> {
        // SAFETY: a live block is given up by the caller.
        unsafe { GUARD.free(block, |misuse| self.defer(misuse)) }
            .or_else(|misuse| self.reject(misuse))
    }

    /// Bytes of the live block at `block`, in the guard's pool.
    #[cold]
    pub fn guarded_size(&self, block: *mut u8) -> Result<usize, Misuse> {
        GUARD.size(block.addr()).or_else(|misuse| self.reject(misuse))
    }

    /// Rejects a sized free of the block at `block`, in the guard's pool, that names another size
    /// or alignment than it was asked for with.
    #[cold]
    pub fn judge_guarded_size(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<(), Misuse> {
        let had = self.guarded_size(block)?;
        let is_aligned = align.is_power_of_two() && block.addr().is_multiple_of(align);
        // The C++ runtimes ask for a byte instead of none, and at an alignment for its multiple.
        let asked = size.max(1);
        let could = asked == had.max(1)
            || align > MIN_ALIGN && asked.checked_next_multiple_of(align) == Some(had)
            || self.has_stayed() && size <= had;
        if is_aligned && could {
            return Ok(());
        }
        self.reject_size(block.addr(), had)
    }

    /// Blocks that the fast paths have for a request of `size` bytes at `align`, or [`READY`] if
    /// there are more.
    ///
    /// # Safety
    /// The calling thread owns `heap`.
    pub unsafe fn ready(&self, heap: &Heap, size: usize, align: usize) -> usize {
        let Some(class) = class_of(size, align) else { return 0 };
        // SAFETY: the calling thread owns the heap.
        unsafe { heap.owner() }.with(|own| own.current[class].count_free(READY))
    }

    /// Defers the writes beside live guarded blocks that nobody has seen.
    pub fn judge_guarded(&self) {
        GUARD.judge(|misuse| self.defer(misuse));
    }

    /// The engine's figures, and the guarded blocks.
    pub fn with_guarded(&self, mut stats: Stats) -> Stats {
        let (blocks, bytes) = GUARD.live();
        stats.live_blocks += blocks;
        stats.live_bytes += bytes;
        stats
    }
}
