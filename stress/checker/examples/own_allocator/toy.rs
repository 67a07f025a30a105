//! A small allocator with a fault on demand: a bump pointer, and a stack of freed blocks for each
//! power of two. The stacks stand beside the arena, so that a fault harms blocks and not the
//! allocator.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::Mutex;

/// What the allocator does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Now and then a new block begins within the one before.
    Overlap,
    /// Now and then a freed block that is allocated again stays among the freed: it is allocated
    /// twice.
    TwoOwners,
    /// A free writes a byte behind the end of the freed block, into its neighbour.
    Corruption,
    /// Every block begins a byte too late.
    Misaligned,
    /// `alloc_zeroed` does not clear what was used before.
    NotZeroed,
    /// `realloc` copies a byte too few.
    PrefixLost,
    /// Each block beyond the hundredth is null.
    Null,
}

const ARENA: usize = 4 << 20;
/// Blocks are of `1 << class` bytes.
const CLASSES: usize = 20;
const SMALLEST: usize = 16;
/// A fault that comes now and then does so at one in so many allocations.
const ONE_IN: usize = 20;

#[repr(align(4096))]
struct Arena(UnsafeCell<[u8; ARENA]>);

struct State {
    /// Bytes of the arena that were given out at least once.
    used: usize,
    /// Offsets of the freed blocks of each class, the last on top.
    free: [Vec<usize>; CLASSES],
    allocations: usize,
    /// How many blocks were cut from the arena, and where the last one begins.
    bumps: usize,
    last: usize,
}

/// The allocator.
pub struct Toy {
    fault: Fault,
    arena: Arena,
    state: Mutex<State>,
}

// SAFETY: the arena's bytes are those of blocks, each its holder's, or are touched under the lock.
unsafe impl Sync for Toy {}

impl Toy {
    /// An allocator that does this one thing wrong.
    pub const fn new(fault: Fault) -> Self {
        let state = State {
            used: 0,
            free: [const { Vec::new() }; CLASSES],
            allocations: 0,
            bumps: 0,
            last: 0,
        };
        Self { fault, arena: Arena(UnsafeCell::new([0; ARENA])), state: Mutex::new(state) }
    }

    fn at(&self, offset: usize) -> *mut u8 {
        assert!(offset < ARENA, "the offset lies outside the arena");
        // SAFETY: the offset lies in the arena.
        unsafe { self.arena.0.get().cast::<u8>().add(offset) }
    }

    fn take(&self, size: usize) -> Option<usize> {
        let mut state = self.state.lock().unwrap();
        state.allocations += 1;
        let now_and_then = state.allocations.is_multiple_of(ONE_IN);
        let class = size.ilog2() as usize;
        if let Some(&offset) = state.free.get(class)?.last() {
            if !(self.fault == Fault::TwoOwners && now_and_then) {
                state.free[class].pop();
            }
            return Some(offset);
        }
        // A block is aligned to its size.
        let mut start = state.used.next_multiple_of(size);
        state.bumps += 1;
        if self.fault == Fault::Overlap && state.bumps.is_multiple_of(ONE_IN) {
            start = state.last + SMALLEST / 2;
        }
        if self.fault == Fault::Null && state.allocations > 100 || start + size > ARENA {
            return None;
        }
        state.used = state.used.max(start + size);
        state.last = start;
        Some(start)
    }
}

fn block_size(layout: Layout) -> usize {
    layout.size().max(layout.align()).max(SMALLEST).next_power_of_two()
}

// SAFETY: as far as the fault is `None`, blocks lie apart, in the arena, aligned to their size.
// Else the arena is still all that is given out, which the checker needs.
unsafe impl GlobalAlloc for Toy {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // The fault of alignment needs a byte of room.
        let shift = usize::from(self.fault == Fault::Misaligned);
        match self.take(block_size(layout) << shift) {
            Some(offset) => self.at(offset + shift),
            None => null_mut(),
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let size = block_size(layout);
        if self.fault == Fault::Misaligned {
            return;
        }
        let offset = block.addr() - self.at(0).addr();
        self.state.lock().unwrap().free[size.ilog2() as usize].push(offset);
        if self.fault == Fault::Corruption {
            // SAFETY: the byte lies in the arena.
            unsafe { self.at(offset + size).write(0xa5) };
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the layout's size is not zero, as `alloc` wants it too.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() && self.fault != Fault::NotZeroed {
            // SAFETY: the block was just allocated, with as many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller says that the new size makes a layout.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the new size is not zero, as `realloc` wants it.
        let resized = unsafe { self.alloc(new) };
        if !resized.is_null() {
            let kept = layout.size().min(new_size);
            let copied = if self.fault == Fault::PrefixLost { kept - 1 } else { kept };
            // SAFETY: both blocks are as long, and this one is new.
            unsafe { block.copy_to(resized, copied) };
            // SAFETY: the caller gives the block up.
            unsafe { self.dealloc(block, layout) };
        }
        resized
    }
}
