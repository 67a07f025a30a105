//! From a caller's pointer to the live block that it is, or to what is wrong with it.
//!
//! The address is looked up in the table of regions first; only memory of the heap's own regions is
//! read.

use core::ptr;

use super::header::{Block, END_BYTES, HEADER, Header, Status};
use super::regions::{Kind, Mapping};
use super::state::State;
use crate::misuse::{BlockState, Found, Misuse, MisuseKind};

/// A live block that a caller's pointer was found to be.
#[derive(Clone, Copy)]
pub(super) enum Live {
    Block(Block, Header),
    Huge(Mapping),
}

impl State {
    /// Usable bytes of the live block at `payload`.
    pub fn usable_size(&mut self, payload: *mut u8) -> Result<usize, Misuse> {
        Ok(match self.look_up(payload)? {
            Live::Block(_, header) => header.size as usize - HEADER,
            Live::Huge(mapping) => mapping.end() - payload as usize,
        })
    }

    /// The live block that `payload` is, or what is wrong with it. The address is looked up first;
    /// only memory of the heap's own regions is read.
    pub(super) fn look_up(&mut self, payload: *mut u8) -> Result<Live, Misuse> {
        let address = payload as usize;
        let found = self.regions.find(address);
        match found {
            Some(mapping) if mapping.kind == Kind::Huge(address) => return Ok(Live::Huge(mapping)),
            Some(mapping)
                if mapping.kind == Kind::Region
                    && address.is_multiple_of(HEADER)
                    && address > mapping.start =>
            {
                // SAFETY: 16-aligned, in a region, and so is the header 16 bytes before. The
                // address is the mapping's, whatever the caller's pointer was made from.
                let block =
                    unsafe { Block::at(ptr::with_exposed_provenance_mut(address - HEADER)) };
                if let Some((header, _)) = self.seal.read(block)
                    && header.status == Status::LIVE
                {
                    return Ok(Live::Block(block, header));
                }
            }
            _ => {}
        }
        self.counts.misuses_at_call += 1;
        Err(self.diagnose(address, found))
    }

    /// Says what `address`, which is no live block, is instead. Walks the region: this path is for
    /// programs that are already wrong.
    #[cold]
    fn diagnose(&self, address: usize, found: Option<Mapping>) -> Misuse {
        use BlockState::{Free, Live, Returned, Unknown};
        use MisuseKind::{DoubleFree, ForeignPointer, InteriorPointer, UnalignedPointer};
        let inside = |block, kind| {
            if address == block {
                DoubleFree
            } else if address.is_multiple_of(HEADER) {
                kind
            } else {
                UnalignedPointer
            }
        };
        let (kind, size, state) = match found {
            None => match self.regions.grave_at(address) {
                // In a grave of a region, what was a block's start is not known any more: a free
                // into freed memory is called a double free.
                Some(grave) => {
                    let (block, size) = grave.block.unzip();
                    let other = if block.is_some() { InteriorPointer } else { DoubleFree };
                    (inside(block.unwrap_or(0), other), size, Returned)
                }
                None => (ForeignPointer, None, Unknown),
            },
            Some(mapping) => match mapping.kind {
                Kind::Huge(block) => {
                    (inside(block, InteriorPointer), Some(mapping.end() - block), Live)
                }
                Kind::Stranded(block) => {
                    (inside(block, InteriorPointer), Some(mapping.end() - block), Free)
                }
                Kind::Region => self.diagnose_in_region(address, mapping),
            },
        };
        Misuse { kind, address, size, state, found: Found::AtCall }
    }

    fn diagnose_in_region(
        &self,
        address: usize,
        mapping: Mapping,
    ) -> (MisuseKind, Option<usize>, BlockState) {
        if address >= mapping.end() - END_BYTES {
            let aligned = address.is_multiple_of(HEADER);
            let kind =
                if aligned { MisuseKind::InteriorPointer } else { MisuseKind::UnalignedPointer };
            return (kind, None, BlockState::Unknown);
        }
        // A free block's own start needs no walk, which could meet another's corrupt header.
        if address.is_multiple_of(HEADER) && address > mapping.start {
            // SAFETY: 16-aligned, and in a region.
            let block = unsafe { Block::at(ptr::with_exposed_provenance_mut(address - HEADER)) };
            if let Some((header, _)) = self.seal.read(block)
                && header.status.is_free()
            {
                let size = header.size as usize - HEADER;
                return (MisuseKind::DoubleFree, Some(size), BlockState::Free);
            }
        }
        let Some(header) = self.block_around(address, mapping) else {
            return (MisuseKind::CorruptHeader, None, BlockState::Unknown);
        };
        let size = Some(header.size as usize - HEADER);
        let state = if header.status.is_free() { BlockState::Free } else { BlockState::Live };
        let kind = if !address.is_multiple_of(HEADER) {
            MisuseKind::UnalignedPointer
        } else if state == BlockState::Free && self.is_wiped(address, mapping) {
            MisuseKind::DoubleFree
        } else {
            MisuseKind::InteriorPointer
        };
        (kind, size, state)
    }

    /// Whether a block once began 16 bytes before `address`, and nothing was written there since.
    fn is_wiped(&self, address: usize, mapping: Mapping) -> bool {
        if address < mapping.start + HEADER {
            return false;
        }
        // SAFETY: 16-aligned and in a region.
        let block = unsafe { Block::at(ptr::with_exposed_provenance_mut(address - HEADER)) };
        matches!(self.seal.read(block), Some((header, _)) if header.status == Status::WIPED)
    }

    /// The header of the block whose bytes, header included, `address` is among. `None` when a
    /// header on the way is not believable.
    fn block_around(&self, address: usize, mapping: Mapping) -> Option<Header> {
        // SAFETY: a region begins with a block.
        let mut block = unsafe { Block::at(ptr::with_exposed_provenance_mut(mapping.start)) };
        loop {
            let (header, _) = self.seal.read_in_row(block)?;
            if header.status == Status::END {
                return None;
            }
            let next = self.behind(block, header.size as usize);
            if address < next.address() as usize {
                return Some(header);
            }
            block = next;
        }
    }
}
