//! Huge blocks: each a mapping of its own, looked up by its first unit, grown by `mremap`, and kept
//! for a while when freed. Everything here is under the span lock.
//!
//! The page map names a block's [header] for the unit in which the block starts. No two
//! blocks start in one unit, since each is larger than one.
//!
//! Most blocks fill their mappings. One that grows gets room, and then grows by a note in its
//! header. When it is freed its mapping is kept with what is resident, so the next one that grows
//! finds pages there; what that one has not grown into by the time that idle memory goes back, goes
//! back with it.
//!
//! # Invariants
//! ```text
//! count  = live blocks                bytes      = sum of their sizes
//! excess = sum of used - size         kept_bytes = sum of the kept mappings' used
//! kept_bytes + excess <= KEPT_BYTES   whenever a mapping is kept
//! ```

pub mod header;

use core::ptr;

use crate::engine::huge::header::{HugeBlock, HugeRef};
use crate::os::{Os, PAGE};

/// Freed mappings that are kept, and how many bytes may be resident there and behind live blocks
/// together.
const KEPT: usize = 16;
const KEPT_BYTES: usize = 32 << 20;

/// Freed blocks that are remembered, for the sake of those who free them again: so many sets, to
/// which an address belongs by its hash, of so many, of which the last freed stay.
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
    /// The first of the live blocks.
    live: Option<HugeRef>,
    /// Headers without a block.
    pool: Option<HugeRef>,
    /// Live blocks.
    pub count: usize,
    /// Bytes of the live blocks.
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
            live: None,
            pool: None,
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

    /// A kept mapping of which at least `bytes` bytes may be resident, and at most an eighth more:
    /// the one with the fewest.
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

    /// Keeps a mapping, if there is room for it beside what is kept and what lies idle behind live
    /// blocks.
    pub fn keep(&mut self, mapping: Mapping) -> bool {
        if self.kept_bytes + self.excess + mapping.used > KEPT_BYTES {
            return false;
        }
        let Some(place) = self.kept.iter_mut().find(|kept| kept.bytes == 0) else { return false };
        *place = mapping;
        self.kept_bytes += mapping.used;
        true
    }

    /// Gives back the kept mappings, and what lies idle behind live blocks. Returns the bytes that
    /// may have been resident. What the OS fails to take stays.
    pub fn drop_kept<O: Os>(&mut self, os: &O) -> usize {
        let before = self.kept_bytes + self.excess;
        for kept in &mut self.kept {
            // SAFETY: a whole mapping that no block lives in.
            if kept.bytes > 0 && unsafe { os.unmap(kept.start, kept.bytes) } {
                self.kept_bytes -= kept.used;
                *kept = NONE;
            }
        }
        let mut next = self.live;
        while let Some(header) = next
            && self.excess > 0
        {
            let block = self.block(header);
            next = block.next;
            let behind = ptr::with_exposed_provenance_mut(block.start + block.size);
            let idle = block.excess();
            // SAFETY: part of a mapping of this OS; nobody refers to what lies behind a block.
            if idle > 0 && unsafe { os.decommit(behind, idle) } {
                block.used = block.size;
                self.excess -= idle;
            }
        }
        before - self.kept_bytes - self.excess
    }

    /// Takes the room from all live blocks: address space, where that is short.
    pub fn cut_rooms<O: Os>(&mut self, os: &O) {
        let mut next = self.live;
        while let Some(header) = next {
            let block = self.block(header);
            next = block.next;
            let start = ptr::with_exposed_provenance_mut(block.start);
            if block.mapped > block.used
                // SAFETY: a whole mapping, of which the part that is cut off was never used.
                && !unsafe { os.remap(start, block.mapped, block.used, false) }.is_null()
            {
                block.mapped = block.used;
            }
        }
    }

    /// The block whose header it is. The table is reached through the span lock alone, so whoever
    /// has it is alone with every header.
    pub fn block(&mut self, header: HugeRef) -> &mut HugeBlock {
        // SAFETY: headers live as long as the engine. `&mut self` is only to be had under the span
        // lock, and the result borrows it: no other reference to a header is in use.
        unsafe { header.open() }
    }

    /// The live block whose header it is, if it starts at `address` and nothing holds it.
    pub fn free_to_use(&mut self, header: HugeRef, address: usize) -> Option<&mut HugeBlock> {
        let block = self.block(header);
        (block.start == address && !block.held).then_some(block)
    }

    /// A header without a block, from the pool.
    pub fn pooled(&mut self) -> Option<HugeRef> {
        let header = self.pool?;
        self.pool = self.block(header).next;
        Some(header)
    }

    /// Registers a block of so many usable bytes at the start of `mapping`, in a header without
    /// one.
    pub fn add(&mut self, header: HugeRef, mapping: Mapping, bytes: usize) {
        self.unbury(mapping.start.addr());
        let first = self.live.replace(header);
        *self.block(header) = HugeBlock { next: first, ..HugeBlock::new() };
        if let Some(first) = first {
            self.block(first).previous = Some(header);
        }
        self.count += 1;
        self.resize(header, mapping, bytes);
    }

    /// Remembers that a block of so many bytes was at `start`.
    fn bury(&mut self, start: usize, bytes: usize) {
        let graves = self.graves_of(start);
        graves.rotate_right(1);
        graves[0] = (start, bytes);
    }

    /// Forgets it: a block is there. Graves that lie under the rest of that are not looked for
    /// while it is live.
    fn unbury(&mut self, start: usize) {
        for grave in self.graves_of(start) {
            if grave.0 == start {
                *grave = (0, 0);
            }
        }
    }

    /// Says that a block has moved from `from`, where it had `before` bytes, to `to`: who frees it
    /// at its old place frees it twice.
    pub fn moved(&mut self, from: usize, before: usize, to: usize) {
        self.bury(from, before);
        self.unbury(to);
    }

    /// Says in which mapping a block is now, from its start, and how many bytes it has.
    pub fn resize(&mut self, header: HugeRef, mapping: Mapping, bytes: usize) {
        let block = self.block(header);
        let (size, excess) = (block.size, block.excess());
        block.start = mapping.start.addr();
        block.size = bytes;
        block.used = mapping.used.max(bytes);
        block.mapped = mapping.bytes;
        let now = block.excess();
        self.bytes = self.bytes - size + bytes;
        self.excess = self.excess - excess + now;
    }

    /// Unregisters a block, remembers it, and pools its header.
    pub fn remove(&mut self, header: HugeRef) -> Mapping {
        let HugeBlock { size, previous, next, .. } = *self.block(header);
        let mapping = Mapping::of(self.block(header));
        match previous {
            None => self.live = next,
            Some(previous) => self.block(previous).next = next,
        }
        if let Some(next) = next {
            self.block(next).previous = previous;
        }
        self.count -= 1;
        self.bytes -= size;
        self.excess -= mapping.used - size;
        self.bury(mapping.start.addr(), size);
        let rest = self.pool.replace(header);
        *self.block(header) = HugeBlock { next: rest, ..HugeBlock::new() };
        mapping
    }

    /// The block that `address` lies in: where it starts, and how many bytes it has.
    pub fn around(&mut self, address: usize) -> Option<(usize, usize)> {
        let mut next = self.live;
        while let Some(header) = next {
            let block = self.block(header);
            if address.wrapping_sub(block.start) < block.size {
                return Some((block.start, block.size));
            }
            next = block.next;
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
        // Fibonacci hashing of the page's number: Knuth, The Art of Computer Programming, vol. 3,
        // 6.4.
        let hash = ((start / PAGE) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        &mut self.graves[hash as usize % SETS]
    }

    /// Gives everything back.
    pub fn release<O: Os>(&mut self, os: &O) {
        self.drop_kept(os);
        while let Some(header) = self.live {
            let mapping = self.remove(header);
            // SAFETY: the engine ends: its blocks with it.
            unsafe { os.unmap(mapping.start, mapping.bytes) };
        }
    }
}

impl Mapping {
    /// That of a live block.
    pub fn of(block: &HugeBlock) -> Mapping {
        Mapping {
            start: ptr::with_exposed_provenance_mut(block.start),
            bytes: block.mapped,
            used: block.used,
        }
    }

    /// Whether it is worth being reused for a block of `bytes` bytes.
    fn fits(&self, bytes: usize) -> bool {
        self.used >= bytes && self.used - bytes <= bytes / 8
    }
}

/// Bytes of the mapping for a block that grows and has `bytes` now: four times as many, and at most
/// 64 MiB more.
pub fn room_for(bytes: usize) -> usize {
    bytes + (3 * bytes).min(64 << 20)
}

/// Bytes of the mapping for a block of `size`; `None` beyond `PTRDIFF_MAX`.
pub fn mapping_bytes(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(PAGE).filter(|&bytes| bytes <= isize::MAX as usize)
}

#[cfg(test)]
mod tests;
