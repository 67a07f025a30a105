//! Resizing: in place where the block can stay, else a new block and a copy.

use core::ptr;

use super::allocate::block_size;
use super::header::{Block, HEADER, Header, MIN_BLOCK, Status};
use super::lookup::Live;
use super::regions::{Kind, Mapping};
use super::state::{Ground, HUGE, State, huge_block};
use crate::misuse::Misuse;
use crate::os::{Os, PAGE};
use crate::probe::Probe;

impl State {
    /// Makes the block at `payload` one of at least `size` bytes, at a multiple of `align` if it
    /// has to move. `Ok(None)`: there is no memory for it, and the block is as it was.
    pub fn resize(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        payload: *mut u8,
        size: usize,
        align: usize,
    ) -> Result<Option<*mut u8>, Misuse> {
        let live = self.look_up(payload)?;
        ground.probe.pause();
        let Some(need) = block_size(size) else { return Ok(None) };
        Ok(match live {
            Live::Block(block, header) => {
                if self.resize_in_place(ground, block, header, need) {
                    return Ok(Some(payload));
                }
                let old = header.size as usize - HEADER;
                self.move_block(ground, payload, live, old, size, align)
            }
            Live::Huge(mapping) => self.resize_huge(ground, payload, mapping, size, align),
        })
    }

    /// Resizes `block` where it is, if its size or a free neighbour allows it; whether it did.
    fn resize_in_place(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        block: Block,
        header: Header,
        need: usize,
    ) -> bool {
        let (size, before) = (header.size as usize, header.before as usize);
        if need <= size {
            self.shrink(ground, block, size, before, need);
            return true;
        }
        let next = self.behind(block, size);
        match self.seal.read_in_row(next) {
            Some((neighbour, links))
                if neighbour.status.is_free() && size + neighbour.size as usize >= need =>
            {
                self.unlist(next, neighbour, links);
                self.seal.wipe(next);
                let total = size + neighbour.size as usize;
                if total - need < MIN_BLOCK {
                    self.set_before(block, total);
                }
                let now = self.carve(block, total, before, need, neighbour.status);
                self.counts.live_bytes += now - size;
                true
            }
            Some(_) => false,
            None => {
                self.note_corrupt(next);
                false
            }
        }
    }

    /// Cuts `block` down to `need` bytes, if what is cut off can hold a block.
    fn shrink(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        block: Block,
        size: usize,
        before: usize,
        need: usize,
    ) {
        if size - need < MIN_BLOCK {
            return;
        }
        self.seal.write(block, need, before, Status::LIVE);
        self.counts.live_bytes -= size - need;
        self.merge_and_list(ground, self.behind(block, need), size - need, need);
    }

    /// Resizes a huge block: by remapping it, or by a move. `None`: there is no memory for it.
    fn resize_huge(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        payload: *mut u8,
        mapping: Mapping,
        size: usize,
        align: usize,
    ) -> Option<*mut u8> {
        let old = mapping.end() - payload as usize;
        let live = Live::Huge(mapping);
        // Much smaller, and at home in a region: it moves there, if there is room. Half, so that
        // sizes around the bound do not go to and fro.
        if size <= HUGE / 2 && size <= old && align <= PAGE {
            let moved = self.move_block(ground, payload, live, old, size, align);
            return Some(moved.unwrap_or(payload));
        }
        let offset = payload as usize - mapping.start;
        let bytes = offset.checked_add(size.max(1))?.checked_next_multiple_of(PAGE)?;
        if bytes == mapping.bytes {
            return Some(payload);
        }
        match self.remap(ground, mapping, bytes, offset == 0 && align <= PAGE) {
            Some(start) => Some(start.wrapping_add(offset)),
            None if size <= old => Some(payload),
            None => self.move_block(ground, payload, live, old, size, align),
        }
    }

    /// Grows or shrinks a huge block's mapping; returns its start. `None`: the OS
    /// or the limit has no memory for it, and nothing has changed.
    fn remap(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        mapping: Mapping,
        bytes: usize,
        may_move: bool,
    ) -> Option<*mut u8> {
        self.admit(ground, bytes.saturating_sub(mapping.bytes))?;
        let old = ptr::with_exposed_provenance_mut(mapping.start);
        // SAFETY: the whole mapping; its block is the caller's, who learns the new address from us.
        let start = unsafe { ground.os.remap(old, mapping.bytes, bytes, may_move) };
        if start.is_null() {
            return None;
        }
        let offset = huge_block(&mapping) - mapping.start;
        self.regions.remove(mapping.start);
        if start != old {
            self.regions.bury(mapping.start, mapping.bytes, Some(huge_block(&mapping)));
        }
        let kind = Kind::Huge(start as usize + offset);
        self.regions.insert(Mapping { start: start as usize, bytes, kind });
        // First up, then down: what is taken off is part of the sum.
        self.counts.block_mappings = self.counts.block_mappings + bytes - mapping.bytes;
        self.counts.live_bytes = self.counts.live_bytes + bytes - mapping.bytes;
        Some(start)
    }

    /// Allocates a new block, copies the bytes that fit, frees the old one.
    fn move_block(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        payload: *mut u8,
        mut live: Live,
        old: usize,
        size: usize,
        align: usize,
    ) -> Option<*mut u8> {
        let new = self.allocate(ground, size, align)?;
        // SAFETY: both blocks are live and distinct, `old` and `size` bytes long at the least.
        unsafe { ptr::copy_nonoverlapping(payload, new.payload, old.min(size)) };
        // The allocation may have split the block in front of the old one, so its header is read
        // again.
        if let Live::Block(block, header) = &mut live
            && let Some((now, _)) = self.seal.read(*block)
        {
            *header = now;
        }
        self.free_live(ground, live);
        Some(new.payload)
    }
}
