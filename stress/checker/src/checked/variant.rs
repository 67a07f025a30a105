//! Which function makes a call where several do the same: drawn from the block's name, so that a
//! replay, which knows the name, makes the same one.

use std::ffi::c_void;
use std::ptr::null_mut;

use drystone_workloads::errno;
use drystone_workloads::splitmix::splitmix;

use crate::checked::block::{Block, Origin};
use crate::checked::worker::Checked;
use crate::counters::Doing;
use crate::violation::{self, Flaw};

/// What a result that no function may write to looks like.
const SENTINEL: usize = 0x5e47_19e1;

/// What stands for `std::nothrow`.
static NOTHROW: u8 = 0;

impl Checked<'_> {
    /// A number that hangs on the worker's next block alone.
    fn draw(&self, salt: u64) -> u64 {
        let mut state = (self.worker as u64) << 48 ^ self.sequence ^ salt << 40;
        splitmix(&mut state)
    }

    /// A number that hangs on a block and how often it was resized.
    fn draw_of(block: &Block, salt: u64) -> u64 {
        let identity = block.identity;
        let mut state = (identity.owner() as u64) << 48
            ^ identity.sequence()
            ^ identity.generation() << 36
            ^ salt << 40;
        splitmix(&mut state)
    }

    /// `malloc(size)`, or `operator new(size)`.
    pub(super) fn call_malloc(&self, size: usize) -> (*mut c_void, Origin) {
        let new = self.allocator.more().new.filter(|_| self.draw(1).is_multiple_of(8));
        let Some(new) = new else {
            let malloc = self.allocator.calls().malloc;
            // SAFETY: malloc takes any size.
            return (self.timed(Doing::Malloc, size, 1, || unsafe { malloc(size) }), Origin::Plain);
        };
        let nothrow = (&raw const NOTHROW).cast();
        // SAFETY: operator new takes any size; what the second argument refers to is not read.
        let address = self.timed(Doing::New, size, 1, || unsafe { new(size, nothrow) });
        (address, Origin::New)
    }

    /// `aligned_alloc(alignment, size)`, `posix_memalign` or `memalign`.
    pub(super) fn call_aligned(&self, alignment: usize, size: usize) -> (*mut c_void, Origin) {
        let more = self.allocator.more();
        let log = alignment.ilog2() as u8;
        match (self.draw(2) % 4, more.posix_memalign, more.memalign) {
            (0, Some(posix_memalign), _) if alignment >= size_of::<*mut c_void>() => {
                let mut result = null_mut();
                let failed = self.timed(Doing::PosixMemalign, size, alignment, || {
                    // SAFETY: the result is writable, and the alignment is a power of two and a
                    // multiple of a pointer's size.
                    unsafe { posix_memalign(&raw mut result, alignment, size) }
                });
                let result = if failed == 0 { result } else { null_mut() };
                (result, Origin::Aligned(log))
            }
            (1, _, Some(memalign)) => {
                let address = self.timed(Doing::Memalign, size, alignment, || {
                    // SAFETY: the alignment is a power of two.
                    unsafe { memalign(alignment, size) }
                });
                (address, Origin::Aligned(log))
            }
            _ => {
                let aligned_alloc = self.allocator.calls().aligned_alloc;
                let address = self.timed(Doing::AlignedAlloc, size, alignment, || {
                    // SAFETY: the alignment is a power of two.
                    unsafe { aligned_alloc(alignment, size) }
                });
                (address, Origin::AlignedAlloc(log))
            }
        }
    }

    /// `realloc(block, size)` or `reallocarray`; of what `operator new` made the same by hand.
    pub(super) fn call_realloc(&self, block: &Block, size: usize) -> *mut c_void {
        let old = block.address.cast::<c_void>();
        let bytes = block.size().max(size);
        if block.origin() == Origin::New {
            let malloc = self.allocator.calls().malloc;
            // SAFETY: malloc takes any size.
            let moved = self.timed(Doing::Malloc, bytes, 1, || unsafe { malloc(size.max(1)) });
            if !moved.is_null() {
                let kept = block.size().min(size);
                // SAFETY: both blocks are ours and have so many bytes, if the allocator is right;
                // if they overlap, the check of the prefix says so.
                unsafe { std::ptr::copy(block.address, moved.cast::<u8>(), kept) };
                self.call_free(block);
            }
            return moved;
        }
        let (others, alignment) = (self.is_anothers(block), block.origin().alignment());
        match self.allocator.more().reallocarray {
            Some(reallocarray) if size > 0 && Self::draw_of(block, 3).is_multiple_of(4) => {
                let (count, size) = if size.is_multiple_of(8) { (size / 8, 8) } else { (1, size) };
                self.timed_on(Doing::Reallocarray, bytes, alignment, others, || {
                    // SAFETY: the block is live and ours, and given up here.
                    unsafe { reallocarray(old, count, size) }
                })
            }
            _ => {
                let realloc = self.allocator.calls().realloc;
                self.timed_on(Doing::Realloc, bytes, alignment, others, || {
                    // SAFETY: the block is live and ours, and given up here.
                    unsafe { realloc(old, size) }
                })
            }
        }
    }

    /// `free(block)`, or what else may free a block of its origin.
    pub(super) fn call_free(&self, block: &Block) {
        let (more, draw) = (self.allocator.more(), Self::draw_of(block, 4));
        let (old, size) = (block.address.cast::<c_void>(), block.size());
        let (others, alignment) = (self.is_anothers(block), block.origin().alignment());
        // SAFETY, of all five: the block is live and ours, and given up here; it was made by a
        // function whose blocks this one frees, with that size and alignment.
        match block.origin() {
            Origin::Plain if draw.is_multiple_of(4) && more.free_sized.is_some() => {
                let Some(free_sized) = more.free_sized else { return };
                self.timed_on(Doing::FreeSized, size, alignment, others, || {
                    // SAFETY: the block is ours, given up here, and of that size.
                    unsafe { free_sized(old, size) };
                });
            }
            Origin::AlignedAlloc(_)
                if draw.is_multiple_of(2) && more.free_aligned_sized.is_some() =>
            {
                let Some(free_aligned_sized) = more.free_aligned_sized else { return };
                self.timed_on(Doing::FreeAlignedSized, size, alignment, others, || {
                    // SAFETY: the block is ours, given up here, of that size and alignment.
                    unsafe { free_aligned_sized(old, alignment, size) };
                });
            }
            Origin::New => self.call_delete(block, draw.is_multiple_of(2), others),
            _ => {
                let free = self.allocator.calls().free;
                self.timed_on(Doing::Free, size, alignment, others, || {
                    // SAFETY: the block is ours, given up here, and of a function that free serves.
                    unsafe { free(old) };
                });
            }
        }
    }

    fn call_delete(&self, block: &Block, sized: bool, others: bool) {
        let more = self.allocator.more();
        let (old, size) = (block.address.cast::<c_void>(), block.size());
        match (more.delete_sized.filter(|_| sized), more.delete) {
            (Some(delete), _) => self.timed_on(Doing::DeleteSized, size, 1, others, || {
                // SAFETY: the block is live and ours, given up here, and of operator new.
                unsafe { delete(old, size) };
            }),
            (None, Some(delete)) => self.timed_on(Doing::Delete, size, 1, others, || {
                // SAFETY: the block is live and ours, given up here, and of operator new.
                unsafe { delete(old) };
            }),
            // The one is never there without the other.
            (None, None) => {
                let free = self.allocator.calls().free;
                self.timed_on(Doing::Free, size, 1, others, || {
                    // SAFETY: without an operator new of its own the block is malloc's; given up
                    // here.
                    unsafe { free(old) };
                });
            }
        }
    }

    fn is_anothers(&self, block: &Block) -> bool {
        block.identity.owner() != self.worker
    }

    /// `posix_memalign` where it must fail: it says so by what it returns, and leaves the result as
    /// it was, or null (POSIX.1-2017). Null if it failed.
    pub(super) fn failing_memalign(&self, alignment: usize, size: usize) -> Option<*mut c_void> {
        let posix_memalign = self.allocator.more().posix_memalign?;
        let untouched = std::ptr::without_provenance_mut::<c_void>(SENTINEL);
        let mut result = untouched;
        self.doing(Doing::PosixMemalign);
        // SAFETY: the result is writable; it takes any numbers, and says of what it does not take.
        let error = unsafe { posix_memalign(&raw mut result, alignment, size) };
        if error == 0 {
            return Some(result);
        }
        errno::set(error);
        if result.is_null() {
            self.board.note("posix_memalign writes null when it fails", 1);
        } else if result != untouched {
            violation::raise_unless_suppressed(
                Flaw::ResultOnFailure,
                &format!("posix_memalign({alignment}, {size}) to leave its result as it was"),
                format!("error {error}, and {result:p} written"),
            );
        }
        Some(null_mut())
    }

    /// An alignment that is no power of two, which `posix_memalign` must not take.
    pub(super) fn odd_alignment(&self) {
        match self.failing_memalign(24, 64) {
            Some(block) if !block.is_null() => {
                self.board.note("posix_memalign takes an alignment of 24", 1);
                // SAFETY: the block was just made, and is nobody's.
                unsafe { (self.allocator.calls().free)(block) };
            }
            _ => {}
        }
    }

    /// Now and then: what does nothing to any block, and takes the allocator's locks.
    #[inline]
    pub(super) fn look_around(&self) {
        const ONE_IN: u64 = 1 << 15;
        if self.sequence % ONE_IN == ONE_IN - 1 {
            self.look_around_now();
        }
    }

    #[cold]
    fn look_around_now(&self) {
        let more = self.allocator.more();
        if let Some(mallinfo2) = more.mallinfo2 {
            self.doing(Doing::Mallinfo);
            // SAFETY: takes nothing.
            let _figures = unsafe { mallinfo2() };
        }
        if let Some(trim) = more.malloc_trim.filter(|_| self.draw(5).is_multiple_of(4)) {
            self.doing(Doing::Trim);
            // SAFETY: takes any number.
            unsafe { trim(0) };
        }
    }
}
