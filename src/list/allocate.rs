//! Allocating: the best fitting free block, cut to size; else a new region, or a mapping of its
//! own.

use core::ptr::{self, NonNull};

use super::header::{Block, END_BYTES, HEADER, Header, MAX_BLOCK, MIN_BLOCK, Seal, Status};
use super::index::{Index, Tables};
use super::regions::{Kind, Mapping};
use super::state::{FIRST_REGION, Ground, HUGE, LAST_REGION, State, TABLES_BYTES};
use crate::os::{Os, PAGE};
use crate::probe::Probe;

/// How many lists are looked into for a block that is aligned as it lies.
const ALIGNED_LOOKS: usize = 16;

/// A block just allocated.
#[derive(Clone, Copy, Debug)]
pub struct Allocation {
    pub payload: *mut u8,
    /// How many of its first bytes may not be zero; the others are as the OS gave them.
    pub dirty: usize,
}

impl State {
    /// Allocates a block of at least `size` bytes at a multiple of `align`, a power of two. `None`:
    /// too large, beyond the limit, or the OS has no memory; then nothing has changed.
    pub fn allocate(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        size: usize,
        align: usize,
    ) -> Option<Allocation> {
        let need = block_size(size)?;
        // Room to move the block's start up to an aligned place that leaves a whole block before
        // it.
        let room =
            if align > HEADER { need.checked_add(align)?.checked_add(HEADER)? } else { need };
        if room > HUGE {
            return self.allocate_huge(ground, size, align);
        }
        let (block, header) = loop {
            let aligned =
                if align > HEADER { self.take_aligned(ground, need, align) } else { None };
            if let Some(found) = aligned.or_else(|| self.take_fit(ground, room)) {
                break found;
            }
            self.grow(ground, room)?;
        };
        Some(self.place(block, header, need, align))
    }

    /// Takes the best fitting free block of at least `size` bytes out of its list.
    fn take_fit(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        size: usize,
    ) -> Option<(Block, Header)> {
        loop {
            let index = self.index.as_mut()?;
            let fit = index.smallest_fit(size)?;
            let head = index.head(fit)?;
            ground.probe.visit();
            match self.seal.read(head) {
                Some((header, links)) if header.status.is_free() && header.size as usize == fit => {
                    self.unlist(head, header, links);
                    return Some((head, header));
                }
                _ => {
                    index.give_up(fit);
                    self.note_corrupt(head);
                }
            }
        }
    }

    /// Takes the smallest of the first
    /// [`ALIGNED_LOOKS`] lists' heads that has room for `size` bytes at a multiple of `align`. What
    /// lies further back in a list, or in further lists, is not looked at.
    fn take_aligned(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        size: usize,
        align: usize,
    ) -> Option<(Block, Header)> {
        let index = self.index.as_mut()?;
        let mut from = size;
        for _ in 0..ALIGNED_LOOKS {
            let fit = index.smallest_fit(from)?;
            let head = index.head(fit)?;
            ground.probe.visit();
            if gap_to_alignment(head.payload() as usize, align) + size <= fit
                && let Some((header, links)) = self.seal.read(head)
                && header.status.is_free()
                && header.size as usize == fit
            {
                self.unlist(head, header, links);
                return Some((head, header));
            }
            from = fit + HEADER;
            if from > MAX_BLOCK {
                return None;
            }
        }
        None
    }

    /// Makes `block`, out of its list, a live one of `need` bytes, and lists the remainders before
    /// and behind it.
    fn place(&mut self, mut block: Block, header: Header, need: usize, align: usize) -> Allocation {
        if block.address() as usize == self.spare {
            self.spare = 0;
        }
        let (mut total, mut before) = (header.size as usize, header.before as usize);
        let gap = gap_to_alignment(block.payload() as usize, align);
        if gap > 0 {
            self.list(block, gap, before, header.status);
            // SAFETY: `room` in `allocate` left space for the gap: the block behind it lies within
            // the free block, 16-aligned because gap is a multiple of 16.
            block = unsafe { Block::at(block.address().add(gap)) };
            (total, before) = (total - gap, gap);
            if total - need < MIN_BLOCK {
                self.set_before(block, total);
            }
        }
        let size = self.carve(block, total, before, need, header.status);
        self.counts.live_bytes += size - HEADER;
        self.counts.live_blocks += 1;
        let links = MIN_BLOCK - HEADER;
        let dirty = if header.status == Status::FRESH { links } else { usize::MAX };
        Allocation { payload: block.payload(), dirty }
    }

    /// Writes `block`, of `total` bytes and in no list, as a live one of `need` bytes; a remainder
    /// that can hold a block is listed with `status`. Returns the block's size.
    pub(super) fn carve(
        &mut self,
        block: Block,
        total: usize,
        before: usize,
        need: usize,
        status: Status,
    ) -> usize {
        let excess = total - need;
        if excess < MIN_BLOCK {
            self.seal.write(block, total, before, Status::LIVE);
            return total;
        }
        self.seal.write(block, need, before, Status::LIVE);
        let remainder = self.behind(block, need);
        self.list(remainder, excess, need, status);
        self.set_before(remainder, excess);
        need
    }

    /// Maps a new region with room for a block of `size` bytes, and lists it as one free block.
    #[cold]
    fn grow(&mut self, ground: &Ground<impl Os, impl Probe>, size: usize) -> Option<()> {
        let least = (size + END_BYTES).next_multiple_of(PAGE);
        self.admit(ground, least)?;
        self.prepare(ground)?;
        let wanted = (FIRST_REGION << self.counts.regions.min(16)).min(LAST_REGION).max(least);
        let (start, bytes) = [wanted, least]
            .into_iter()
            .find_map(|bytes| Some((self.map(ground, bytes)?, bytes)))?;
        self.regions.insert(Mapping { start: start as usize, bytes, kind: Kind::Region });
        self.counts.regions += 1;
        let size = bytes - END_BYTES;
        // SAFETY: the new mapping is page-aligned; its last END_BYTES are no block's.
        let (block, end) = unsafe { (Block::at(start), Block::at(start.add(size))) };
        self.seal.write(end, 0, size, Status::END);
        self.list(block, size, 0, Status::FRESH);
        Some(())
    }

    /// Maps the index and draws the secret, the first time; makes room in the table of regions.
    fn prepare(&mut self, ground: &Ground<impl Os, impl Probe>) -> Option<()> {
        if self.index.is_none() {
            let tables = NonNull::new(ground.os.map(TABLES_BYTES))?;
            // SAFETY: freshly mapped for this index, zeroed, and long enough.
            self.index = Some(unsafe { Index::new(tables.cast::<Tables>()) });
            self.seal = Seal::new(ground.os.entropy());
        }
        self.regions.reserve_one(&ground.os).then_some(())
    }

    /// Whether the limit has room for `bytes` more, once idle memory has gone back if need be.
    pub(super) fn admit(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        bytes: usize,
    ) -> Option<()> {
        let room =
            |state: &State| ground.limit.saturating_sub(state.counts.block_mappings) >= bytes;
        (room(self) || (self.trim(ground) > 0 && room(self))).then_some(())
    }

    /// Maps `bytes`, once idle memory has gone back if need be.
    fn map(&mut self, ground: &Ground<impl Os, impl Probe>, bytes: usize) -> Option<*mut u8> {
        self.admit(ground, bytes)?;
        let mut start = ground.os.map(bytes);
        if start.is_null() && self.trim(ground) > 0 {
            start = ground.os.map(bytes);
        }
        if start.is_null() {
            return None;
        }
        self.counts.block_mappings += bytes;
        Some(start)
    }

    /// Allocates a block with a mapping of its own.
    fn allocate_huge(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        size: usize,
        align: usize,
    ) -> Option<Allocation> {
        // At least a byte, or the block could begin where the mapping ends.
        let bytes =
            size.max(1).checked_add(align.saturating_sub(PAGE))?.checked_next_multiple_of(PAGE)?;
        self.admit(ground, bytes)?;
        self.prepare(ground)?;
        let start = self.map(ground, bytes)? as usize;
        let block = start.next_multiple_of(align);
        self.regions.insert(Mapping { start, bytes, kind: Kind::Huge(block) });
        self.counts.huge_blocks += 1;
        self.counts.live_blocks += 1;
        self.counts.live_bytes += start + bytes - block;
        Some(Allocation { payload: ptr::with_exposed_provenance_mut(block), dirty: 0 })
    }
}

/// Bytes of a block that serves `size`; `None` over `PTRDIFF_MAX`, beyond which C's pointer
/// differences overflow.
pub fn block_size(size: usize) -> Option<usize> {
    if size > isize::MAX as usize {
        return None;
    }
    Some((size + HEADER).next_multiple_of(HEADER).max(MIN_BLOCK))
}

/// Bytes to skip from `payload` to a multiple of `align`: none, or enough for a block.
fn gap_to_alignment(payload: usize, align: usize) -> usize {
    match payload.next_multiple_of(align) - payload {
        gap if gap == 0 || gap >= MIN_BLOCK => gap,
        gap => gap + align,
    }
}
