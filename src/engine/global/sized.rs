//! Frees that name the size, and perhaps the alignment, that the block was asked for with: C23's
//! `free_sized` and `free_aligned_sized`, C++'s sized `operator delete`.
//!
//! A size that the block can't have been asked for with is a
//! [`SizeMismatch`](MisuseKind::SizeMismatch), and the block stays live. What can be told apart is
//! what the engine tells apart itself:
//!
//! | the block | sizes that pass |
//! |---|---|
//! | in a slab | those of its class; and, since [`realloc`](crate::engine::resize) leaves a block where it is while more than half of it is used, all above half of it and up to it |
//! | in a slab, at an alignment above 16 | those of its class at that alignment: C23 takes no block here that was resized |
//! | a mapping of its own | those whose mapping is as large, or at most an eighth smaller: kept mappings are given out so; up to the largest class, what realloc leaves there too |
//!
//! Once a `realloc` to a smaller size has found no memory, and has left its block as large as it
//! was, every size up to the block's passes: [`Engine::has_stayed`]. So no correct program is
//! accused. The fast path costs a table look-up and a comparison more than that of free.

use crate::engine::classes::{LARGEST, MIN_ALIGN, SMALL, class_of, class_of_small, size_of};
use crate::engine::engine::Engine;
use crate::engine::global::fast::{Drystone, Fast, free_owned, owned_slab};
use crate::engine::huge::mapping_bytes;
use crate::engine::pagemap::Header;
use crate::engine::resize::fits;
use crate::guard::GUARD;
use crate::misuse::Misuse;
use crate::os::Os;
use crate::probe::Probe;
use crate::sync::RawLock;

impl Drystone {
    /// Frees the block of `size` bytes; null is fine. An error changes nothing.
    ///
    /// ```
    /// use drystone::{Drystone, MisuseKind};
    ///
    /// let block = Drystone.malloc(100);
    /// // SAFETY: `block` is live; a size that it can't have is rejected.
    /// let misuse = unsafe { Drystone.try_free_sized(block, 1000) }.unwrap_err();
    /// assert_eq!(misuse.kind, MisuseKind::SizeMismatch);
    /// // SAFETY: `block` is live.
    /// unsafe { Drystone.try_free_sized(block, 100) }.unwrap();
    /// ```
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[inline(never)]
    pub unsafe fn try_free_sized(&self, block: *mut u8, size: usize) -> Result<(), Misuse> {
        // SAFETY: a live block is given up by the caller.
        match unsafe { self.free_sized_fast(block, size) } {
            Fast::Done => {}
            // SAFETY: this thread's last free was of this block, and came to `Moves`.
            Fast::Moves => unsafe { self.free_moves(block) },
            // SAFETY: a live block is given up by the caller.
            Fast::Slow => return unsafe { self.free_sized_slow(block, size, MIN_ALIGN) },
        }
        Ok(())
    }

    /// As [`try_free_sized`](Self::try_free_sized), of a block that was asked for at a multiple of
    /// `align` bytes. An alignment that is not a power of two is a mismatch, as is one that the
    /// block does not have. As in C23, a block that was resized need not pass at an alignment above
    /// 16.
    ///
    /// # Safety
    /// As there.
    #[inline(never)]
    pub unsafe fn try_free_aligned_sized(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<(), Misuse> {
        // SAFETY: a live block is given up by the caller.
        match unsafe { self.free_aligned_sized_fast(block, size, align) } {
            Fast::Done => {}
            // SAFETY: this thread's last free was of this block, and came to `Moves`.
            Fast::Moves => unsafe { self.free_moves(block) },
            // SAFETY: a live block is given up by the caller.
            Fast::Slow => return unsafe { self.free_sized_slow(block, size, align) },
        }
        Ok(())
    }

    /// The fast path: of a live block of this thread's own, of the class of `size`.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[doc(hidden)]
    #[inline(always)]
    pub unsafe fn free_sized_fast(&self, block: *mut u8, size: usize) -> Fast {
        if size > SMALL {
            return Fast::Slow;
        }
        // SAFETY: a live block is given up by the caller.
        unsafe { self.free_of_class(block, class_of_small(size)) }
    }

    /// As [`free_sized_fast`](Self::free_sized_fast), at an alignment.
    ///
    /// # Safety
    /// As there.
    #[doc(hidden)]
    #[inline]
    pub unsafe fn free_aligned_sized_fast(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Fast {
        let is_aligned = align.is_power_of_two() && block.addr().is_multiple_of(align);
        match class_of(size, align.max(1)).filter(|_| is_aligned) {
            // SAFETY: a live block is given up by the caller.
            Some(class) => unsafe { self.free_of_class(block, class) },
            None => Fast::Slow,
        }
    }

    /// As the fast path of free, if the slab is one of `class`.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[inline(always)]
    unsafe fn free_of_class(&self, block: *mut u8, class: usize) -> Fast {
        let address = block.expose_provenance();
        match owned_slab(address) {
            // SAFETY: the caller gives the block up.
            Some(slab) if slab.class() == class => unsafe { free_owned(slab, address) },
            _ => Fast::Slow,
        }
    }

    /// What a sized free does when the fast path can't: all of it.
    ///
    /// # Safety
    /// As [`try_free`](Self::try_free).
    #[doc(hidden)]
    #[cold]
    #[inline(never)]
    pub unsafe fn free_sized_slow(
        &self,
        block: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<(), Misuse> {
        if block.is_null() {
            return Ok(());
        }
        if GUARD.owns(block.addr()) {
            self.engine().judge_guarded_size(block, size, align)?;
        } else {
            self.engine().judge_size(block, size, align)?;
        }
        // SAFETY: a live block is given up by the caller. Should another thread free the block
        // after the look at its size, this free is the one that is rejected.
        unsafe { self.free_slow(block) }
    }
}

impl<O: Os, P: Probe, L: RawLock> Engine<O, P, L> {
    /// Rejects a live block that can't have been asked for with `size` bytes at `align`, and
    /// whatever is not live.
    #[doc(hidden)]
    pub fn judge_size(&self, block: *mut u8, size: usize, align: usize) -> Result<(), Misuse> {
        let usable = self.usable_size(block)?;
        let own_mapping = matches!(self.page_map.look_up(block.addr()), Header::Huge(_));
        let aligned = align.is_power_of_two() && block.addr().is_multiple_of(align);
        let could = can_be(size, align.max(MIN_ALIGN), usable, own_mapping)
            || (self.has_stayed() && size <= usable);
        if aligned && could {
            return Ok(());
        }
        self.reject_size(block.addr(), usable)
    }
}

/// Whether a block that can hold `usable` bytes can have been asked for with `size` bytes at
/// `align`, a power of two of at least 16.
fn can_be(size: usize, align: usize, usable: usize, own_mapping: bool) -> bool {
    if align == MIN_ALIGN && usable <= LARGEST && fits(size, usable) {
        return true; // resized in place, if not asked for
    }
    if !own_mapping {
        return class_of(size, align).map(size_of) == Some(usable);
    }
    // At 16 no block of half of the largest class or less is one, and none becomes one by realloc.
    if align == MIN_ALIGN && size <= LARGEST / 2 {
        return false;
    }
    // The size that the C++ runtimes ask for at an alignment is one of its multiples, and never 0.
    let least = mapping_bytes(size.max(LARGEST / 2));
    let most = size.max(1).checked_next_multiple_of(align).map(|size| size.max(LARGEST / 2));
    let most = most.and_then(mapping_bytes).map(|bytes| bytes + bytes / 8);
    least.zip(most).is_some_and(|(least, most)| (least..=most).contains(&usable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_can_be_what_its_class_is_for_and_what_realloc_leaves_in_it() {
        assert!(can_be(100, 16, 112, false));
        assert!(can_be(97, 16, 112, false) && can_be(112, 16, 112, false));
        // Resized in place.
        assert!(can_be(57, 16, 112, false));
        assert!(!can_be(56, 16, 112, false) && !can_be(113, 16, 112, false));
        for size in 0..=32 {
            assert!(can_be(size, 16, 32, false), "{size}");
        }
        assert!(!can_be(33, 16, 32, false) && !can_be(17, 16, 16, false));
    }

    #[test]
    fn at_an_alignment_the_class_must_be_right() {
        assert!(can_be(100, 4096, 4096, false) && can_be(4096, 4096, 4096, false));
        assert!(!can_be(4097, 4096, 4096, false) && !can_be(3000, 16, 8192, false));
        assert!(!can_be(100, 64, 192, false) && can_be(100, 64, 128, false));
    }

    #[test]
    fn a_mapping_is_at_most_an_eighth_longer_than_the_size_needs() {
        const MIB: usize = 1 << 20;
        assert!(can_be(4 * MIB, 16, 4 * MIB, true) && can_be(4 * MIB - 4095, 16, 4 * MIB, true));
        assert!(can_be(4 * MIB, 16, 4 * MIB + MIB / 2, true));
        assert!(!can_be(4 * MIB + 1, 16, 4 * MIB, true));
        assert!(!can_be(3 * MIB, 16, 4 * MIB, true));
        assert!(!can_be(100, 16, MIB / 2, true));
        // A block of 100 bytes at 2 MiB, asked for as such, or as the multiple.
        for size in [0, 100] {
            assert!(can_be(size, 2 * MIB, MIB / 2, true) && can_be(size, 2 * MIB, 2 * MIB, true));
        }
        // What realloc leaves in one that is no larger than the largest class.
        assert!(can_be(500_000, 16, 876_544, true) && !can_be(430_000, 16, 876_544, true));
        assert!(!can_be(usize::MAX, 16, 4 * MIB, true));
    }
}
