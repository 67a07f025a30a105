//! A program on a heap, every answer looked at.

use drystone::{Misuse, MisuseKind};

use crate::heap::Heap;
use crate::oracle::{Oracle, assert_zero};
use crate::program::{Operation, Program};

/// Bytes that are live at most, so that a heap has no reason to fail.
const MOST_BYTES: usize = 16 << 20;
/// Bytes of many blocks at once, so that a program takes a millisecond.
const MANY_BYTES: usize = 1 << 20;
/// Blocks that are live at most.
const MOST_BLOCKS: usize = 4096;

/// Plays the program, then frees all that is live.
///
/// # Panics
/// If the heap gives a wrong answer.
pub fn play<H: Heap>(heap: &H, program: &Program) {
    let mut player = Player { heap, oracle: Oracle::default() };
    player.all(&program.0);
    player.oracle.verify_all();
    while player.oracle.count() > 0 {
        player.free(player.oracle.count() - 1);
    }
    assert_eq!(heap.late(), 0, "misuses were found late, and there was none");
    assert_eq!(heap.live_blocks(), 0, "blocks are live, and all are freed");
    heap.trim();
    if program.0.len().is_multiple_of(H::CHECK_ONE_IN) {
        heap.check().expect("the heap is sound when all is freed");
    }
}

struct Player<'a, H> {
    heap: &'a H,
    oracle: Oracle,
}

impl<H: Heap> Player<'_, H> {
    fn all(&mut self, mut operations: &[Operation]) {
        while let Some((&operation, rest)) = operations.split_first() {
            operations = rest;
            if let Operation::Elsewhere { calls } = operation {
                let (there, here) = rest.split_at(rest.len().min(calls.into()));
                operations = here;
                std::thread::scope(|scope| {
                    let thread = scope.spawn(|| there.iter().for_each(|&one| self.one(one)));
                    thread.join().expect("the other thread's answers are right");
                });
            } else {
                self.one(operation);
            }
        }
    }

    fn one(&mut self, operation: Operation) {
        use Operation::*;
        let heap = self.heap;
        match operation {
            Malloc { size } => self.made(size, 16, false, || heap.malloc(size)),
            Aligned { size, align } => {
                self.made(size, align, false, || heap.malloc_aligned(size, align));
            }
            Calloc { count, size } => {
                let bytes = count.saturating_mul(size);
                self.made(bytes, 16, true, || heap.calloc(count, size));
            }
            ZeroedAligned { size, align } => {
                self.made(size, align, true, || heap.malloc_zeroed(size, align));
            }
            Free { which } => self.free(which.into()),
            FreeSized { which } => self.free_sized(which),
            Realloc { which, size } => self.realloc(which, size, None),
            ReallocAligned { which, size, align } => self.realloc(which, size, Some(align)),
            FreeTwice { which } => self.free_twice(which),
            FreeStale { which } => {
                if let Some(address) = self.oracle.stale(which) {
                    self.rejects(address);
                }
            }
            ReallocStale { which, size } => self.realloc_stale(which, size),
            FreeInterior { which, offset } => self.free_interior(which, offset),
            FreeForeign { address } => {
                if address != 0 && !self.oracle.is_live(address) {
                    self.rejects(address);
                }
            }
            UsableSize { which } => self.usable_size(which),
            Many { size, count } => {
                for _ in 0..usize::from(count).min(MANY_BYTES / size.max(1) + 1) {
                    self.made(size, 16, false, || heap.malloc(size));
                }
            }
            FreeMany { count } => (0..count).for_each(|_| self.free(0)),
            Verify { which } => {
                if let Some((address, _)) = self.oracle.pick(which.into()) {
                    self.oracle.verify(address);
                }
            }
            Trim => heap.trim(),
            Check => heap.check().expect("the heap is sound"),
            // Of another thread's calls, none is by a third.
            Elsewhere { .. } => {}
        }
    }

    /// Whether there is room for a block of so many bytes besides; what no heap has always fits.
    fn fits(&self, size: usize) -> bool {
        let fits = self.oracle.bytes.saturating_add(size) <= MOST_BYTES;
        is_impossible(size) || fits && self.oracle.count() < MOST_BLOCKS
    }

    fn made(&mut self, size: usize, align: usize, zero: bool, call: impl FnOnce() -> usize) {
        if !self.fits(size) {
            return;
        }
        let block = call();
        if is_impossible(size) || !align.is_power_of_two() {
            return assert_eq!(block, 0, "{size} bytes at {align} are no request");
        }
        assert_ne!(block, 0, "null for {size} bytes at {align}");
        let usable = self.heap.usable_size(block).expect("the new block is live");
        if zero {
            assert!(usable >= size, "a block of {size} bytes can hold {usable}");
            // SAFETY: the heap gave us a block of `size` bytes, and nobody else has it.
            unsafe { assert_zero(block, size, usable) };
        }
        self.oracle.enter(block, size, align, usable);
    }

    fn free(&mut self, which: usize) {
        let Some((address, _)) = self.oracle.pick(which) else { return };
        self.oracle.leave(address);
        // SAFETY: the block is live, and has left the oracle: nobody uses it.
        unsafe { self.heap.try_free(address) }.expect("a live block can be freed");
    }

    fn free_sized(&mut self, which: u8) {
        let Some((address, block)) = self.oracle.pick(which.into()) else { return };
        if block.resized && block.align > 16 {
            // C23 takes no block here that was resized, and neither does Drystone.
            return self.free(which.into());
        }
        self.oracle.leave(address);
        // SAFETY: the block is live, and has left the oracle: nobody uses it.
        let freed = unsafe { self.heap.try_free_sized(address, block.size, block.align) };
        freed.expect("a live block can be freed with its size");
    }

    fn free_twice(&mut self, which: u8) {
        let Some((address, _)) = self.oracle.pick(which.into()) else { return };
        self.free(which.into());
        let misuse = self.rejects(address);
        assert_eq!(misuse.kind, MisuseKind::DoubleFree, "of a block that was freed just now");
    }

    /// A free of what is not live must be rejected.
    fn rejects(&self, address: usize) -> Misuse {
        // SAFETY: no live block starts there: nothing is asked.
        let freed = unsafe { self.heap.try_free(address) };
        let Err(misuse) = freed else { panic!("a free of {address:#x}, not live, is accepted") };
        assert!(self.heap.usable_size(address).is_err(), "{address:#x}, not live, has a size");
        misuse
    }

    fn free_interior(&mut self, which: u8, offset: u16) {
        let Some((address, block)) = self.oracle.pick(which.into()) else { return };
        let Some(offset) = usize::from(offset).checked_rem(block.usable) else { return };
        if offset == 0 {
            return;
        }
        let misuse = self.rejects(address + offset);
        let expected = match offset % 16 {
            0 => MisuseKind::InteriorPointer,
            _ => MisuseKind::UnalignedPointer,
        };
        assert_eq!(misuse.kind, expected, "{offset} bytes into a live block of {}", block.usable);
    }

    fn realloc_stale(&mut self, which: u8, size: usize) {
        let Some(address) = self.oracle.stale(which) else { return };
        // SAFETY: no live block starts there: nothing is asked.
        let result = unsafe { self.heap.try_realloc(address, size) };
        assert!(result.is_err(), "realloc of {address:#x}, not live, is accepted");
    }

    fn realloc(&mut self, which: u8, size: usize, align: Option<usize>) {
        let Some((address, before)) = self.oracle.pick(which.into()) else {
            let heap = self.heap;
            return self.made(size, 16, false, || {
                // SAFETY: null is no block.
                unsafe { heap.try_realloc(0, size) }.expect("null is no misuse")
            });
        };
        if !self.fits(size) {
            return;
        }
        let impossible = is_impossible(size) || align.is_some_and(|one| !one.is_power_of_two());
        if !impossible {
            self.oracle.leave(address);
        }
        // SAFETY: the block is live, and has left the oracle; an impossible request leaves it.
        let result = unsafe {
            match align {
                None => self.heap.try_realloc(address, size),
                Some(align) => self.heap.try_realloc_aligned(address, size, align),
            }
        };
        let block = result.expect("a live block can be resized");
        if impossible {
            assert_eq!(block, 0, "{size} bytes at {align:?} are no request");
            return self.oracle.verify(address);
        }
        if size == 0 && align.is_none() {
            return assert_eq!(block, 0, "realloc to 0 bytes frees");
        }
        assert_ne!(block, 0, "null from realloc to {size} bytes");
        let usable = self.heap.usable_size(block).expect("the new block is live");
        // SAFETY: the heap says that so many bytes of the old block's are there.
        unsafe { before.compare(block, before.size.min(size)) };
        // Where it did not move it keeps the alignment that it had.
        let align = if block == address { before.align } else { align.unwrap_or(16) };
        self.oracle.enter(block, size, align, usable);
        self.oracle.resized(block);
    }

    fn usable_size(&self, which: u8) {
        let Some((address, block)) = self.oracle.pick(which.into()) else { return };
        assert_eq!(self.heap.usable_size(address), Ok(block.usable), "the block has not changed");
    }
}

/// A request that no allocator may grant.
fn is_impossible(size: usize) -> bool {
    size > isize::MAX as usize
}
