//! Huge blocks: each a mapping of its own, looked up by its first unit, grown by `mremap`, and kept for a while
//! when freed. Everything here is under the span lock.
//!
//! A huge block's header is a slab's, of class [`HUGE`](super::slab::HUGE), that nobody owns; the page map names it for the
//! unit in which the block starts. No two blocks start in one unit, since each is larger than one.

use core::ptr;

use super::heap::List;
use super::slab::Slab;
use crate::os::{Os, PAGE};
use crate::sync::Ordering;

/// Freed mappings that are kept, and how large they may be together.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 32 << 20;

/// Freed blocks that are remembered, for the sake of those who free them again: so many sets, to which an address
/// belongs by its hash, of so many, of which the last freed stay.
const SETS: usize = if cfg!(loom) { 2 } else { 1024 };
const WAYS: usize = 8;

/// A mapping without a block.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// Its first byte.
    pub start: *mut u8,
    /// Its length, a multiple of a page.
    pub bytes: usize,
}

const NONE: Mapping = Mapping { start: ptr::null_mut(), bytes: 0 };

/// See the [module](self).
pub struct Huge {
    /// The blocks.
    pub live: List,
    /// How many.
    pub count: usize,
    /// Bytes of their mappings.
    pub bytes: usize,
    kept: [Mapping; KEPT],
    /// Bytes of the kept ones.
    pub kept_bytes: usize,
    /// Start and length; a length of 0 is no grave.
    graves: [[(usize, usize); WAYS]; SETS],
}

impl Huge {
    /// None.
    pub const fn new() -> Huge {
        Huge {
            live: List::new(),
            count: 0,
            bytes: 0,
            kept: [NONE; KEPT],
            kept_bytes: 0,
            graves: [[(0, 0); WAYS]; SETS],
        }
    }

    /// Whether [`reuse`](Self::reuse) would find one.
    pub fn has(&self, bytes: usize) -> bool {
        self.kept.iter().any(|mapping| mapping.bytes >= bytes && mapping.bytes - bytes <= bytes / 8)
    }

    /// A kept mapping of at least `bytes` bytes, and at most an eighth more: the shortest.
    pub fn reuse(&mut self, bytes: usize) -> Option<Mapping> {
        let fits =
            |mapping: &&mut Mapping| mapping.bytes >= bytes && mapping.bytes - bytes <= bytes / 8;
        let best = self.kept.iter_mut().filter(fits).min_by_key(|mapping| mapping.bytes)?;
        let mapping = core::mem::replace(best, NONE);
        self.kept_bytes -= mapping.bytes;
        Some(mapping)
    }

    /// Keeps a mapping, if there is room for it.
    pub fn keep(&mut self, mapping: Mapping) -> bool {
        if self.kept_bytes + mapping.bytes > KEPT_BYTES {
            return false;
        }
        let Some(room) = self.kept.iter_mut().find(|kept| kept.bytes == 0) else { return false };
        *room = mapping;
        self.kept_bytes += mapping.bytes;
        true
    }

    /// Gives the kept mappings back. Returns their bytes. What the OS refuses to take stays.
    pub fn drop_kept<O: Os>(&mut self, os: &O) -> usize {
        let before = self.kept_bytes;
        for kept in &mut self.kept {
            // SAFETY: a whole mapping that no block lives in.
            if kept.bytes > 0 && unsafe { os.unmap(kept.start, kept.bytes) } {
                self.kept_bytes -= kept.bytes;
                *kept = NONE;
            }
        }
        before - self.kept_bytes
    }

    /// Registers the block at `start`.
    pub fn add(&mut self, slab: *const Slab, start: usize, bytes: usize) {
        self.unbury(start);
        // SAFETY: a header from the pool; the lock is held.
        unsafe {
            self.resize(slab, start, bytes, 0);
            self.live.push_front(slab);
        }
        self.count += 1;
    }

    /// Remembers that a block of so many bytes was at `start`.
    fn bury(&mut self, start: usize, bytes: usize) {
        let graves = self.graves_of(start);
        graves.rotate_right(1);
        graves[0] = (start, bytes);
    }

    /// Forgets it: a block is there. Graves that lie under the rest of that are not looked for while it is live.
    fn unbury(&mut self, start: usize) {
        for grave in self.graves_of(start) {
            if grave.0 == start {
                *grave = (0, 0);
            }
        }
    }

    /// Says that a block has moved from `from`, where it had `before` bytes, to `to`: who frees it at its old place
    /// frees it twice.
    pub fn moved(&mut self, from: usize, before: usize, to: usize) {
        self.bury(from, before);
        self.unbury(to);
    }

    /// Says where a block, that had `before` bytes, is now, and how large.
    pub fn resize(&mut self, slab: *const Slab, start: usize, bytes: usize, before: usize) {
        // SAFETY: headers live for ever.
        let slab = unsafe { &*slab };
        slab.set_huge(start, bytes);
        self.bytes = self.bytes - before + bytes;
    }

    /// Unregisters a block, and remembers it.
    pub fn remove(&mut self, slab: *const Slab) -> Mapping {
        // SAFETY: a live block's header; the lock is held.
        let (start, bytes) = unsafe {
            self.live.remove(slab);
            ((*slab).start(), (*slab).bytes.load(Ordering::Relaxed))
        };
        self.count -= 1;
        self.bytes -= bytes;
        self.bury(start, bytes);
        // SAFETY: as above. An old pointer to the header finds no block at its address.
        unsafe { (*slab).set_huge(0, 0) };
        Mapping { start: ptr::with_exposed_provenance_mut(start), bytes }
    }

    /// The block that `address` lies in.
    pub fn around(&self, address: usize) -> Option<*const Slab> {
        let mut slab = self.live.first;
        while !slab.is_null() {
            // SAFETY: headers live for ever; the lock is held.
            unsafe {
                let offset = address.wrapping_sub((*slab).start());
                if offset < (*slab).bytes.load(Ordering::Relaxed) {
                    return Some(slab);
                }
                slab = (*slab).local.with(|local| local.next);
            }
        }
        None
    }

    /// Bytes of the block that was at `address` and is free.
    pub fn grave(&mut self, address: usize) -> Option<usize> {
        self.graves_of(address)
            .iter()
            .find(|grave| grave.0 == address && grave.1 > 0)
            .map(|grave| grave.1)
    }

    /// The set of graves that `start` belongs to.
    fn graves_of(&mut self, start: usize) -> &mut [(usize, usize); WAYS] {
        // Fibonacci hashing of the page's number: Knuth, The Art of Computer Programming, vol. 3, 6.4.
        let hash = ((start / PAGE) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        &mut self.graves[hash as usize % SETS]
    }

    /// Gives everything back.
    pub fn release<O: Os>(&mut self, os: &O) {
        self.drop_kept(os);
        while !self.live.first.is_null() {
            let slab = self.live.first;
            let mapping = self.remove(slab);
            // SAFETY: the engine ends: its blocks with it.
            unsafe { os.unmap(mapping.start, mapping.bytes) };
        }
    }
}

/// Bytes of the mapping for a block of `size`; `None` beyond `PTRDIFF_MAX`.
pub fn mapping_bytes(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(PAGE).filter(|&bytes| bytes <= isize::MAX as usize)
}

#[cfg(test)]
mod tests;
