//! The calls, for requests that every allocator must meet.

use std::ptr::null_mut;

use drystone_workloads::errno;

use crate::checked::block::{Block, Origin};
use crate::checked::check::{Asked, UNTOUCHED};
use crate::checked::worker::Checked;
use crate::checks::Check;
use crate::counters::Doing;
use crate::identity;
use crate::journal::Call;

impl Checked<'_> {
    /// `malloc(size)`
    pub fn malloc(&mut self, size: usize) -> Block {
        self.write_down(Call::Malloc { size });
        self.begin(Doing::Malloc);
        let (address, origin) = self.call_malloc(size);
        self.allocated(address, Asked { size, alignment: 1 }, origin)
    }

    /// `calloc(count, size)`, whose product is below `PTRDIFF_MAX`.
    pub fn calloc(&mut self, count: usize, size: usize) -> Block {
        self.write_down(Call::Calloc { count, size });
        self.begin(Doing::Calloc);
        let calloc = self.allocator.calls().calloc;
        let bytes = count * size;
        // SAFETY: calloc takes any numbers.
        let address = self.timed(Doing::Calloc, bytes, 1, || unsafe { calloc(count, size) });
        self.allocated_zeroed(address, count, size)
    }

    /// `aligned_alloc(alignment, size)`, with the size rounded up for allocators that may fail
    /// others.
    pub fn aligned_alloc(&mut self, alignment: usize, size: usize) -> Block {
        self.write_down(Call::AlignedAlloc { alignment, size });
        self.begin(Doing::AlignedAlloc);
        // C11 wanted a multiple of the alignment; what others do with odd sizes is not judged.
        let size = match self.allocator.promises().aligned_sizes {
            true => size,
            false => size.next_multiple_of(alignment).max(alignment),
        };
        let (address, origin) = self.call_aligned(alignment, size);
        self.allocated(address, Asked { size, alignment }, origin)
    }

    /// `realloc(null, size)`, which is a malloc.
    pub fn realloc_null(&mut self, size: usize) -> Block {
        self.write_down(Call::ReallocNull { size });
        self.begin(Doing::Realloc);
        let realloc = self.allocator.calls().realloc;
        // SAFETY: realloc takes null, and any size.
        let address = self.timed(Doing::Realloc, size, 1, || unsafe { realloc(null_mut(), size) });
        self.allocated(address, Asked { size, alignment: 1 }, Origin::Plain)
    }

    /// `free(null)`, which does nothing.
    pub fn free_null(&mut self) {
        self.write_down(Call::FreeNull);
        self.begin(Doing::Free);
        // SAFETY: free takes null.
        unsafe { (self.allocator.calls().free)(null_mut()) };
    }

    /// `realloc(block, size)`. None if the block was freed: only for a size of 0.
    pub fn realloc(&mut self, block: Block, size: usize) -> Option<Block> {
        self.write_down(Call::Realloc { block: block.name(), size });
        self.read(&block);
        self.leave(&block);
        self.begin(Doing::Realloc);
        let address = self.call_realloc(&block, size);
        if size == 0 {
            // C23 leaves it undefined; allocators differ, and both answers are common.
            let freed = address.is_null();
            self.board.note(
                if freed { "realloc(p, 0) frees" } else { "realloc(p, 0) returns a block" },
                1,
            );
            if freed {
                self.write_address(address);
                return None;
            }
        }
        Some(self.resized(address, &block, size))
    }

    /// `free(block)`
    pub fn free(&mut self, block: Block) {
        self.write_down(Call::Free { block: block.name() });
        self.read(&block);
        self.leave(&block);
        self.begin(Doing::Free);
        if self.checks.has(Check::Errno) {
            errno::set(UNTOUCHED);
        }
        self.call_free(&block);
        if self.checks.has(Check::Errno) {
            self.check_errno_kept();
        }
        self.look_around();
    }

    /// Gives a block up to a workload that frees it by other means: reads it, and takes it out from
    /// among the live.
    pub fn give_up(&self, block: Block) -> *mut u8 {
        self.write_down(Call::GiveUp { block: block.name() });
        self.read(&block);
        self.leave(&block);
        block.address
    }

    /// Reads the whole block, which stays.
    pub fn verify(&self, block: &Block) {
        self.write_down(Call::Verify { block: block.name() });
        self.read(block);
    }

    /// Reads the whole block and writes all its bytes anew, as they were: stores, for what hangs on
    /// them.
    pub fn rewrite(&self, block: &Block) {
        self.verify(block);
        // SAFETY: the block is live and ours.
        unsafe { identity::stamp(block.address, block.size(), block.identity) };
    }
}
