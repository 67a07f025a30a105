//! Taking blocks back: a live block becomes a free one, merged with its free neighbours.

use core::ptr;

use super::header::{Block, HEADER, Status};
use super::lookup::Live;
use super::state::{Ground, State, huge_block};
use crate::misuse::Misuse;
use crate::os::Os;
use crate::probe::Probe;

impl State {
    /// Frees the block at `payload`.
    pub fn free(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        payload: *mut u8,
    ) -> Result<(), Misuse> {
        let live = self.look_up(payload)?;
        ground.probe.pause();
        self.free_live(ground, live);
        Ok(())
    }

    /// Frees a block that [`look_up`](Self::look_up) has found.
    pub(super) fn free_live(&mut self, ground: &Ground<impl Os, impl Probe>, live: Live) {
        self.counts.live_blocks -= 1;
        match live {
            Live::Block(block, header) => {
                self.counts.live_bytes -= header.size as usize - HEADER;
                self.merge_and_list(ground, block, header.size as usize, header.before as usize);
            }
            Live::Huge(mapping) => {
                self.counts.live_bytes -= mapping.end() - huge_block(&mapping);
                self.counts.huge_blocks -= 1;
                self.unmap_huge(ground, mapping);
            }
        }
    }

    /// Lists `block`, no longer live, together with free neighbours; a region that is then wholly
    /// free goes back to the OS unless it is the one that is kept.
    pub(super) fn merge_and_list(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        mut block: Block,
        mut size: usize,
        mut before: usize,
    ) {
        let next = self.behind(block, size);
        match self.seal.read_in_row(next) {
            Some((header, links)) if header.status.is_free() => {
                self.unlist(next, header, links);
                self.seal.wipe(next);
                size += header.size as usize;
            }
            Some(_) => {}
            None => self.note_corrupt(next),
        }
        if before > 0 {
            // SAFETY: `before`, covered by the block's check value, is the size of the block in
            // front, which lies in the same region.
            let front = unsafe { Block::at(block.address().sub(before)) };
            match self.seal.read_in_row(front) {
                Some((header, links))
                    if header.status.is_free() && header.size as usize == before =>
                {
                    self.unlist(front, header, links);
                    self.seal.wipe(block);
                    block = front;
                    size += before;
                    before = header.before as usize;
                }
                Some(_) => {}
                None => self.note_corrupt(front),
            }
        }
        if before == 0 && self.ends_region(block, size) && !self.keep_region(ground, block, size) {
            return;
        }
        self.list(block, size, before, Status::FREE);
        self.set_before(block, size);
    }

    /// Decides whether a wholly free region, whose one block is in no list, is kept: one is, the
    /// largest. False: this one has gone back.
    fn keep_region(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        block: Block,
        size: usize,
    ) -> bool {
        if self.spare != 0 {
            // SAFETY: the spare region is mapped, and begins with its one free block.
            let spare = unsafe { Block::at(ptr::with_exposed_provenance_mut(self.spare)) };
            match self.seal.read(spare) {
                Some((header, links))
                    if header.status.is_free() && (header.size as usize) < size =>
                {
                    self.unlist(spare, header, links);
                    if !self.release_region(ground, spare) {
                        self.list(spare, header.size as usize, 0, header.status);
                    }
                }
                _ if self.release_region(ground, block) => return false,
                _ => {}
            }
        }
        self.spare = block.address() as usize;
        true
    }

    /// Whether `block`, of `size` bytes, is the last of its region.
    fn ends_region(&self, block: Block, size: usize) -> bool {
        let behind = self.seal.read(self.behind(block, size));
        behind.is_some_and(|(header, _)| header.status == Status::END)
    }
}
