//! Requests that may be rejected, since the OS may reject the allocator's own: null is an answer
//! then. All else is checked as ever; after a null nothing may have changed.

use std::ffi::c_void;

use drystone_workloads::errno;

use crate::checked::block::{Block, Origin};
use crate::checked::check::Asked;
use crate::checked::worker::Checked;
use crate::checked::wrong;
use crate::counters::{Count, Doing};
use crate::journal::Call;
use crate::violation::{self, Kind};

impl Checked<'_> {
    /// `malloc(size)`; none if rejected.
    pub fn try_malloc(&mut self, size: usize) -> Option<Block> {
        self.write_down(Call::Malloc { size });
        self.begin(Doing::Malloc);
        errno::set(0);
        // SAFETY: malloc takes any size.
        let address = unsafe { (self.allocator.calls().malloc)(size) };
        self.granted(address, Doing::Malloc)?;
        Some(self.allocated(address, Asked { size, alignment: 1 }, Origin::Plain))
    }

    /// `calloc(1, size)`; none if rejected.
    pub fn try_calloc(&mut self, size: usize) -> Option<Block> {
        self.write_down(Call::Calloc { count: 1, size });
        self.begin(Doing::Calloc);
        errno::set(0);
        // SAFETY: calloc takes any numbers.
        let address = unsafe { (self.allocator.calls().calloc)(1, size) };
        self.granted(address, Doing::Calloc)?;
        Some(self.allocated_zeroed(address, 1, size))
    }

    /// `aligned_alloc(alignment, size)`, for a size that is a multiple of the alignment; none if
    /// rejected.
    pub fn try_aligned_alloc(&mut self, alignment: usize, size: usize) -> Option<Block> {
        self.write_down(Call::AlignedAlloc { alignment, size });
        self.begin(Doing::AlignedAlloc);
        errno::set(0);
        // SAFETY: the alignment is a power of two.
        let address = unsafe { (self.allocator.calls().aligned_alloc)(alignment, size) };
        self.granted(address, Doing::AlignedAlloc)?;
        let origin = Origin::AlignedAlloc(alignment.ilog2() as u8);
        Some(self.allocated(address, Asked { size, alignment }, origin))
    }

    /// `realloc(block, size)`, for a size that is not 0.
    ///
    /// # Errors
    /// Rejected: the old block, which was read through and is what it was.
    pub fn try_realloc(&mut self, block: Block, size: usize) -> Result<Block, Block> {
        self.write_down(Call::Realloc { block: block.name(), size });
        self.read(&block);
        self.leave(&block);
        self.begin(Doing::Realloc);
        errno::set(0);
        // SAFETY: the block is live and ours, and given up here, unless it is rejected.
        let address = unsafe { (self.allocator.calls().realloc)(block.address.cast(), size) };
        if self.granted(address, Doing::Realloc).is_some() {
            return Ok(self.resized(address, &block, size));
        }
        // It never was anybody else's.
        if let Err(shared) = self.overlap.insert(block.address.addr(), block.extent()) {
            wrong::overlapping(block, shared, self.board.workers());
        }
        self.read(&block);
        Err(block)
    }

    /// None if rejected, which must be told by `errno`.
    fn granted(&self, address: *mut c_void, doing: Doing) -> Option<()> {
        if !address.is_null() {
            return Some(());
        }
        let error = errno::get();
        self.write_address(address);
        self.row.add(Count::FailedRequests, 1);
        if error != libc::ENOMEM {
            // As for impossible sizes: told of a foreign one, not judged.
            self.board.note(&format!("{} fails without ENOMEM", doing.name()), 1);
            if self.allocator.promises().errno {
                let expected = format!("ENOMEM ({}) with null", libc::ENOMEM);
                violation::raise(Kind::Errno, &expected, format!("errno {error}"));
            }
        }
        None
    }
}
