//! Memory that goes back to the OS: huge blocks, wholly free regions, and mappings that the OS
//! failed to take before.

use core::ptr;

use super::header::{Block, END_BYTES};
use super::regions::{Kind, Mapping};
use super::state::{Ground, State, huge_block};
use crate::os::Os;
use crate::probe::Probe;

impl State {
    /// Gives idle memory back: wholly free regions, and mappings that the OS did not take before.
    /// Returns the bytes that went.
    pub fn trim(&mut self, ground: &Ground<impl Os, impl Probe>) -> usize {
        let before = self.counts.block_mappings;
        let mut next = 0;
        while let Some(mapping) = self.regions.all().get(next).copied() {
            let gone = match mapping.kind {
                Kind::Region => self.trim_region(ground, mapping),
                Kind::Stranded(_) => {
                    self.unmap_huge(ground, mapping);
                    self.regions.all().get(next) != Some(&mapping)
                }
                Kind::Huge(_) => false,
            };
            next += !gone as usize;
        }
        before - self.counts.block_mappings
    }

    /// Gives the region back if it is wholly free; whether it went.
    fn trim_region(&mut self, ground: &Ground<impl Os, impl Probe>, mapping: Mapping) -> bool {
        // SAFETY: a region begins with a block.
        let block = unsafe { Block::at(ptr::with_exposed_provenance_mut(mapping.start)) };
        match self.seal.read(block) {
            Some((header, links))
                if header.status.is_free() && header.size as usize == mapping.bytes - END_BYTES =>
            {
                self.unlist(block, header, links);
                if block.address() as usize == self.spare {
                    self.spare = 0;
                }
                let gone = self.release_region(ground, block);
                if !gone {
                    self.list(block, header.size as usize, 0, header.status);
                }
                gone
            }
            _ => false,
        }
    }

    /// Gives back the region whose only block, in no list, is `block`. False when the OS fails to.
    #[cold]
    pub(super) fn release_region(
        &mut self,
        ground: &Ground<impl Os, impl Probe>,
        block: Block,
    ) -> bool {
        let Some(mapping) = self.regions.find(block.address() as usize) else { return false };
        // SAFETY: the whole mapping; its one block is free and in no list, so nothing refers to it.
        if !unsafe { ground.os.unmap(block.address(), mapping.bytes) } {
            return false;
        }
        self.regions.remove(mapping.start);
        self.regions.bury(mapping.start, mapping.bytes, None);
        self.counts.block_mappings -= mapping.bytes;
        self.counts.regions -= 1;
        true
    }

    /// Gives a huge block's mapping back. If the OS fails to, it is stranded until a
    /// [`trim`](Self::trim).
    pub(super) fn unmap_huge(&mut self, ground: &Ground<impl Os, impl Probe>, mapping: Mapping) {
        let block = huge_block(&mapping);
        // SAFETY: the whole mapping of a block that is live no more.
        if unsafe {
            ground.os.unmap(ptr::with_exposed_provenance_mut(mapping.start), mapping.bytes)
        } {
            self.regions.remove(mapping.start);
            self.regions.bury(mapping.start, mapping.bytes, Some(block));
            self.counts.block_mappings -= mapping.bytes;
        } else {
            let kind = Kind::Stranded(block);
            self.regions.replace(mapping.start, Mapping { kind, ..mapping });
        }
    }
}
