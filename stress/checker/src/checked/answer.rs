//! What becomes of an answer: the block is checked, entered among the live, and stamped.

use std::ffi::c_void;

use crate::checked::block::{Block, Origin};
use crate::checked::check::Asked;
use crate::checked::worker::Checked;
use crate::checked::wrong;
use crate::checks::Check;
use crate::counters::Count;
use crate::identity::{self, Identity};

impl Checked<'_> {
    /// Checks a fresh block, enters it and stamps it.
    pub(super) fn allocated(
        &mut self,
        address: *mut c_void,
        asked: Asked,
        origin: Origin,
    ) -> Block {
        let entered = self.enter(address, asked, origin);
        self.stamped(entered)
    }

    /// Checks a fresh block of zeroes, enters it and stamps it.
    pub(super) fn allocated_zeroed(
        &mut self,
        address: *mut c_void,
        count: usize,
        size: usize,
    ) -> Block {
        let asked = Asked { size: count * size, alignment: 1 };
        let entered = self.enter(address, asked, Origin::Plain);
        self.check_zero(&entered, count, size);
        self.stamped(entered)
    }

    /// Checks a block that was resized, enters it and stamps it.
    pub(super) fn resized(&mut self, address: *mut c_void, block: &Block, size: usize) -> Block {
        let asked = Asked { size, alignment: 1 };
        let entered = self.enter_as(address, asked, Origin::Plain, block.identity.resized());
        self.check_prefix(&entered, block, size);
        self.stamped(entered)
    }

    fn enter(&mut self, address: *mut c_void, asked: Asked, origin: Origin) -> Block {
        let identity = Identity::new(self.worker, self.sequence);
        self.sequence += 1;
        self.enter_as(address, asked, origin, identity)
    }

    /// Checks what an address alone tells of a block, and enters it among the live.
    fn enter_as(
        &mut self,
        address: *mut c_void,
        asked: Asked,
        origin: Origin,
        identity: Identity,
    ) -> Block {
        if address.is_null() {
            wrong::null(asked.size, asked.alignment);
        }
        self.write_address(address);
        self.check_alignment(address, asked);
        let usable = self.check_usable(address, asked);
        let block = Block::new(address.cast(), asked.size, usable, origin, identity);
        self.count(Count::BytesAllocated, asked.size as u64);
        if self.checks.has(Check::Overlap)
            && let Err(shared) = self.overlap.insert(block.address.addr(), block.extent())
        {
            wrong::overlapping(block, shared, self.board.workers());
        }
        block
    }

    fn stamped(&self, block: Block) -> Block {
        if !self.checks.has(Check::Identity) {
            return block;
        }
        // SAFETY: the allocator says that the block's bytes are ours; if that is not so, the other
        // owner will find our stamp.
        unsafe { identity::stamp(block.address, block.size(), block.identity) };
        block
    }
}
