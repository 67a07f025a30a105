//! Huge blocks: each a mapping of its own, looked up by its first unit, grown by `mremap`, and
//! [kept] for a while when freed. Everything here is under the span lock.
//!
//! The page map names a block's [header] for the unit in which the block starts. No two
//! blocks start in one unit, since each is larger than one.
//!
//! Most blocks fill their mappings. One that grows gets room, and then grows by a note in its
//! header. When it is freed its mapping is kept with what is resident, so the next one that grows
//! finds pages there; what that one has not grown into by the time that idle memory goes back, goes
//! back with it.
//!
//! What is kept may be half as much as what is live, and 32 MiB whatever is live: a program that
//! replaces large blocks needs about as much for the sizes that come and go. Of that, what nobody
//! needed for a [while](WHILE) goes back.
//!
//! # Invariants
//! ```text
//! count  = live blocks                bytes = sum of their sizes
//! excess = sum of used - size
//! kept.bytes + excess <= max(KEPT_BYTES, bytes / 2)   after a block is freed, if its pieces and
//!                                                     those that go in exchange are few
//! ```

pub mod header;
pub mod kept;
pub mod mapping;
#[cfg(not(loom))]
mod rebuild;

use core::ptr;

use crate::engine::huge::header::{HugeBlock, HugeRef};
use crate::engine::huge::kept::{KEPT_BYTES, Kept, WHILE};
use crate::engine::huge::mapping::{Mapping, Pieces, Seams, pieces_of};
use crate::os::{Os, PAGE, STEP, whole_steps};
use crate::sync::step;

/// Freed blocks that are remembered, for the sake of those who free them again: so many sets, to
/// which an address belongs by its hash, of so many, of which the last freed stay.
const SETS: usize = if cfg!(loom) { 2 } else { 1024 };
const WAYS: usize = 8;

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
    /// Mappings without a block.
    pub kept: Kept,
    /// When what is kept last decayed, in [milliseconds](Os::milliseconds).
    decayed: u64,
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
            kept: Kept::new(),
            decayed: 0,
            excess: 0,
            graves: [[(0, 0); WAYS]; SETS],
        }
    }

    /// Keeps a freed block's mapping. Returns what goes back instead: of it, or of what was kept.
    pub fn keep(&mut self, freed: Freed, now: u64) -> Pieces {
        let mut gone = Pieces::new();
        for &piece in pieces_of(freed.mapping, &freed.seams).all() {
            if let Some(shortest) = self.kept.put(piece) {
                gone.push(shortest);
            }
        }
        let mut idle = 0;
        if now.saturating_sub(self.decayed) >= WHILE {
            self.decayed = now;
            idle = self.kept.decay();
        }
        let target = (self.kept.bytes - idle).min(self.bound().saturating_sub(self.excess));
        self.cut(target, &mut gone);
        gone
    }

    /// As time passes: what nobody needed since the last time. Returns what goes back.
    pub fn decay<O: Os>(&mut self, os: &O, now: u64) -> Pieces {
        let mut gone = Pieces::new();
        if now.saturating_sub(self.decayed) >= WHILE {
            self.decayed = now;
            let target = self.kept.bytes - self.kept.decay();
            self.cut(target, &mut gone);
            self.drop_excess(os);
        }
        gone
    }

    /// Bytes that may lie idle, kept or behind live blocks.
    fn bound(&self) -> usize {
        KEPT_BYTES.max(self.bytes / 2)
    }

    /// Takes pieces out until `target` bytes at most are kept. What `gone` has no room for stays
    /// for the next call.
    fn cut(&mut self, target: usize, gone: &mut Pieces) {
        while self.kept.bytes > target && gone.has_room() {
            let excess = (self.kept.bytes - target).next_multiple_of(PAGE);
            let Some(piece) = self.kept.cut(excess) else { break };
            gone.push(piece);
        }
    }

    /// Gives back the kept mappings, and what lies idle behind live blocks. Returns the bytes that
    /// may have been resident. What the OS fails to take stays.
    pub fn drop_kept<O: Os>(&mut self, os: &O) -> usize {
        let before = self.kept.bytes + self.excess;
        // SAFETY: whole mappings that no block lives in.
        self.kept.retain(|piece| !unsafe { os.unmap(piece.start, piece.bytes) });
        self.drop_excess(os);
        before - self.kept.bytes - self.excess
    }

    /// Gives back what lies idle behind live blocks.
    fn drop_excess<O: Os>(&mut self, os: &O) {
        let mut next = self.live;
        while let Some(header) = next
            && self.excess > 0
        {
            let block = self.block(header);
            next = block.next;
            let idle = block.excess();
            // Less than a step at either end stays resident, and is not counted.
            // SAFETY: part of a mapping of this OS; nobody refers to what lies behind a block.
            let gone =
                whole_steps(block.start + block.size, idle).is_none_or(|(start, bytes)| unsafe {
                    os.decommit(ptr::with_exposed_provenance_mut(start), bytes)
                });
            if gone {
                block.used = block.size;
                self.excess -= idle;
            }
        }
    }

    /// Takes the room from all live blocks: address space, where that is short.
    pub fn cut_rooms<O: Os>(&mut self, os: &O) {
        let mut next = self.live;
        while let Some(header) = next {
            let block = self.block(header);
            next = block.next;
            let start = ptr::with_exposed_provenance_mut(block.start);
            let before = block.mapped;
            if before == block.used {
                continue;
            }
            // First: a forked child must not take for the block's what is somebody else's by then.
            block.mapped = block.used;
            step();
            // SAFETY: a whole mapping, of which the part that is cut off was never used.
            if unsafe { os.remap(start, before, block.used, false) }.is_null() {
                block.mapped = before;
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

    /// Registers a block of so many usable bytes at the start of `mapping`, whose pieces begin at
    /// `seams`, in a header without one.
    pub fn add(&mut self, header: HugeRef, mapping: Mapping, seams: Seams, bytes: usize) {
        self.unbury(mapping.start.addr());
        let first = self.live.replace(header);
        *self.block(header) = HugeBlock { next: first, seams, ..HugeBlock::new() };
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
        // A forked child takes a header only where it starts at the map's place: not the old for
        // the new.
        block.start = 0;
        step();
        block.size = bytes;
        block.used = mapping.used.max(bytes);
        block.mapped = mapping.bytes;
        step();
        block.start = mapping.start.addr();
        let now = block.excess();
        self.bytes = self.bytes - size + bytes;
        self.excess = self.excess - excess + now;
    }

    /// Says that a block is in nobody's hands but the caller's, until [`resize`](Self::resize): its
    /// mapping may become another.
    pub fn lift(&mut self, header: HugeRef) {
        self.block(header).start = 0;
        step();
    }

    /// Unregisters a block, remembers it, and pools its header.
    pub fn remove(&mut self, header: HugeRef) -> Freed {
        let HugeBlock { size, previous, next, seams, .. } = *self.block(header);
        let mapping = self.block(header).mapping();
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
        Freed { mapping, seams }
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
            let Mapping { start, bytes, .. } = self.remove(header).mapping;
            // SAFETY: the engine ends: its blocks with it.
            unsafe { os.unmap(start, bytes) };
        }
    }
}

/// What a freed block leaves.
#[derive(Clone, Copy, Debug)]
pub struct Freed {
    /// Its mapping.
    pub mapping: Mapping,
    /// Where the mapping's pieces begin.
    pub seams: Seams,
}

/// Bytes of the mapping for a block that grows and has `bytes` now: four times as many, and at most
/// 64 MiB more.
pub fn room_for(bytes: usize) -> usize {
    bytes + bytes.saturating_mul(3).min(64 << 20)
}

/// Bytes of the mapping for a block of `size`: whole steps, since parts of it are cut off and
/// moved. `None` beyond `PTRDIFF_MAX`.
pub fn mapping_bytes(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(STEP).filter(|&bytes| bytes <= isize::MAX as usize)
}

#[cfg(test)]
mod tests;
