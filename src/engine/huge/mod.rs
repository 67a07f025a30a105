//! Huge blocks: each a mapping of its own, looked up by its first unit, grown by `mremap`, and kept for a while
//! when freed. Everything here is under the span lock.
//!
//! A huge block's header is a slab's, of class [`HUGE`](super::slab::HUGE), that nobody owns; the page map names it for the
//! unit in which the block starts. No two blocks start in one unit, since each is larger than one.
//!
//! ```text
//!  start            start + size         start + used                        start + bytes
//!  +----------------+--------------------+-----------------------------------+
//!  | the block      | excess: may be     | room: untouched address space      |
//!  |                | resident, and idle | for a block that grows by realloc  |
//!  +----------------+--------------------+-----------------------------------+
//! ```
//!
//! Most blocks fill their mappings. One that grows gets room, and then grows by a note in its header. When it is
//! freed its mapping is kept with what is resident, so the next one that grows finds pages there; what that one has not
//! grown into by the time that idle memory goes back, goes back with it.

use core::ptr;

use crate::engine::slab::Slab;
use crate::engine::slab::list::List;
use crate::os::{Os, PAGE};
use crate::sync::Ordering;

/// Freed mappings that are kept, and how many bytes may be resident there and behind live blocks together.
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
    /// So much of it, from its start, may be resident: a multiple of a page.
    pub used: usize,
}

const NONE: Mapping = Mapping { start: ptr::null_mut(), bytes: 0, used: 0 };

/// See the [module](self).
pub struct Huge {
    /// The blocks.
    pub live: List,
    /// How many.
    pub count: usize,
    /// Bytes of their mappings.
    pub bytes: usize,
    kept: [Mapping; KEPT],
    /// Bytes of the kept ones that may be resident.
    pub kept_bytes: usize,
    /// Bytes behind live blocks that may be resident.
    pub excess: usize,
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
            excess: 0,
            graves: [[(0, 0); WAYS]; SETS],
        }
    }

    /// Whether [`reuse`](Self::reuse) would find one.
    pub fn has(&self, bytes: usize) -> bool {
        self.kept.iter().any(|mapping| mapping.fits(bytes))
    }

    /// A kept mapping of which at least `bytes` bytes may be resident, and at most an eighth more: the one with the
    /// fewest.
    pub fn reuse(&mut self, bytes: usize) -> Option<Mapping> {
        let kept = self.kept.iter_mut().filter(|mapping| mapping.fits(bytes));
        let best = kept.min_by_key(|mapping| mapping.used)?;
        self.kept_bytes -= best.used;
        Some(core::mem::replace(best, NONE))
    }

    /// A kept mapping for a block of `bytes` bytes that grows: the longest.
    pub fn reuse_to_grow(&mut self, bytes: usize) -> Option<Mapping> {
        let kept = self.kept.iter_mut().filter(|mapping| mapping.bytes >= bytes);
        let longest = kept.max_by_key(|mapping| mapping.bytes)?;
        self.kept_bytes -= longest.used;
        Some(core::mem::replace(longest, NONE))
    }

    /// Keeps a mapping, if there is room for it beside what is kept and what lies idle behind live blocks.
    pub fn keep(&mut self, mapping: Mapping) -> bool {
        if self.kept_bytes + self.excess + mapping.used > KEPT_BYTES {
            return false;
        }
        let Some(place) = self.kept.iter_mut().find(|kept| kept.bytes == 0) else { return false };
        *place = mapping;
        self.kept_bytes += mapping.used;
        true
    }

    /// Gives back the kept mappings, and what lies idle behind live blocks. Returns the bytes that may have been
    /// resident. What the OS fails to take stays.
    pub fn drop_kept<O: Os>(&mut self, os: &O) -> usize {
        let before = self.kept_bytes + self.excess;
        for kept in &mut self.kept {
            // SAFETY: a whole mapping that no block lives in.
            if kept.bytes > 0 && unsafe { os.unmap(kept.start, kept.bytes) } {
                self.kept_bytes -= kept.used;
                *kept = NONE;
            }
        }
        let mut slab = self.live.first;
        while !slab.is_null() && self.excess > 0 {
            // SAFETY: headers live for ever; the lock is held. Nobody refers to what lies behind a block.
            unsafe {
                let (mapping, size) = (Mapping::of(&*slab), (*slab).size.load(Ordering::Relaxed));
                let idle = mapping.used - size;
                if idle > 0 && os.decommit(mapping.start.wrapping_add(size), idle) {
                    self.excess -= idle;
                    (*slab).set_mapping(mapping.bytes, size);
                }
                slab = (*slab).local.with(|local| local.next);
            }
        }
        before - self.kept_bytes - self.excess
    }

    /// Takes the room from all live blocks: address space, where that is short.
    pub fn cut_rooms<O: Os>(&mut self, os: &O) {
        let mut slab = self.live.first;
        while !slab.is_null() {
            // SAFETY: headers live for ever; the lock is held. A whole mapping, of which the part that is cut off was
            // never used.
            unsafe {
                let mapping = Mapping::of(&*slab);
                if mapping.bytes > mapping.used
                    && !os.remap(mapping.start, mapping.bytes, mapping.used, false).is_null()
                {
                    (*slab).set_mapping(mapping.used, mapping.used);
                }
                slab = (*slab).local.with(|local| local.next);
            }
        }
    }

    /// Registers a block of so many usable bytes at the start of `mapping`.
    pub fn add(&mut self, slab: *const Slab, mapping: Mapping, bytes: usize) {
        let start = mapping.start.addr();
        self.unbury(start);
        // SAFETY: a header from the pool; the lock is held.
        unsafe {
            (*slab).set_huge(start, 0);
            (*slab).set_mapping(0, 0);
            self.live.push_front(slab);
        }
        self.count += 1;
        self.resize(slab, mapping, bytes);
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

    /// Says in which mapping a block is now, from its start, and how many bytes it has.
    pub fn resize(&mut self, slab: *const Slab, mapping: Mapping, bytes: usize) {
        // SAFETY: headers live for ever; the lock is held.
        let slab = unsafe { &*slab };
        // SAFETY: as above.
        let before = (slab.size.load(Ordering::Relaxed), unsafe { slab.mapping() }.1);
        let used = mapping.used.max(bytes);
        self.bytes = self.bytes - before.0 + bytes;
        self.excess = self.excess - (before.1 - before.0) + (used - bytes);
        slab.set_huge(mapping.start.addr(), bytes);
        // SAFETY: as above.
        unsafe { slab.set_mapping(mapping.bytes, used) };
    }

    /// Unregisters a block, and remembers it.
    pub fn remove(&mut self, slab: *const Slab) -> Mapping {
        // SAFETY: a live block's header; the lock is held.
        unsafe {
            self.live.remove(slab);
            let (mapping, bytes) = (Mapping::of(&*slab), (*slab).size.load(Ordering::Relaxed));
            self.count -= 1;
            self.bytes -= bytes;
            self.excess -= mapping.used - bytes;
            self.bury(mapping.start.addr(), bytes);
            // An old pointer to the header finds no block at its address.
            (*slab).set_huge(0, 0);
            mapping
        }
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

impl Mapping {
    /// That of a live block.
    ///
    /// # Safety
    /// The caller has the span lock.
    pub unsafe fn of(slab: &Slab) -> Mapping {
        // SAFETY: as the caller promises.
        let (bytes, used) = unsafe { slab.mapping() };
        Mapping { start: ptr::with_exposed_provenance_mut(slab.start()), bytes, used }
    }

    /// Whether it is worth being reused for a block of `bytes` bytes.
    fn fits(&self, bytes: usize) -> bool {
        self.used >= bytes && self.used - bytes <= bytes / 8
    }
}

/// Bytes of the mapping for a block that grows and has `bytes` now: four times as many, and at most 64 MiB more.
pub fn room_for(bytes: usize) -> usize {
    bytes + (3 * bytes).min(64 << 20)
}

/// Bytes of the mapping for a block of `size`; `None` beyond `PTRDIFF_MAX`.
pub fn mapping_bytes(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(PAGE).filter(|&bytes| bytes <= isize::MAX as usize)
}

#[cfg(test)]
mod tests;
